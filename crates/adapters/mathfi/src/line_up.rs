//! Who competes.

use trainyard_core::{ContestPlan, Label};

/// The algorithms of one contest, in the order in which they are shown: 1 to [`ContestPlan::CANDIDATES_MAX`] labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineUp(Vec<Label>);

/// Nobody, or too many to compete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{count} algorithms cannot compete: it takes 1 to {max}", max = ContestPlan::CANDIDATES_MAX)]
pub struct BadLineUp {
    /// How many they were.
    pub count: usize,
}

impl LineUp {
    /// Takes labels in.
    ///
    /// # Errors
    /// [`BadLineUp`] for none and for more than [`ContestPlan::CANDIDATES_MAX`].
    ///
    /// ```
    /// use trainyard_core::Label;
    /// use trainyard_mathfi::LineUp;
    ///
    /// let line_up = LineUp::new(vec![Label::new("BFIF01")?, Label::new("BSEV02")?])?;
    /// assert_eq!(line_up.labels().len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(labels: Vec<Label>) -> Result<Self, BadLineUp> {
        match labels.len() {
            1..=ContestPlan::CANDIDATES_MAX => Ok(Self(labels)),
            count => Err(BadLineUp { count }),
        }
    }

    /// The vendor's four for two classes: `BSEV01`, `BFIF01`, `BSIX01`, `BSEV02`.
    #[must_use]
    pub fn two_classes() -> Self {
        Self::of(["BSEV01", "BFIF01", "BSIX01", "BSEV02"])
    }

    /// The vendor's four for more than two classes: `MSEV01`, `MFIF01`, `MSIX01`, `MSEV02`.
    #[must_use]
    pub fn more_classes() -> Self {
        Self::of(["MSEV01", "MFIF01", "MSIX01", "MSEV02"])
    }

    /// Who competes, in order.
    #[must_use]
    pub fn labels(&self) -> &[Label] {
        &self.0
    }

    fn of(codes: [&'static str; 4]) -> Self {
        Self(codes.map(|code| Label::new(code).expect("a short word is a label")).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_competes_and_not_too_many() {
        let labels = |count| vec![Label::new("x").unwrap(); count];
        assert_eq!(LineUp::new(labels(0)), Err(BadLineUp { count: 0 }));
        assert!(LineUp::new(labels(1)).is_ok());
        assert!(LineUp::new(labels(64)).is_ok());
        assert_eq!(
            LineUp::new(labels(65)).unwrap_err().to_string(),
            "65 algorithms cannot compete: it takes 1 to 64"
        );
    }
}
