//! Which learner stands behind which of MathFi's codes.

use std::collections::BTreeMap;

use trainyard_core::Label;
use trainyard_tabular::{Algorithm, Learner, Lineup};

/// The learners that contests may be run with, under the codes they are shown by.
///
/// ```
/// use trainyard_core::Label;
/// use trainyard_server::Contestants;
///
/// let contestants = Contestants::standard();
/// let boosting = contestants.find(&Label::new("BSEV02")?);
/// assert_eq!(boosting.map(|algorithm| algorithm.name()), Some("boosting"));
/// # Ok::<(), trainyard_core::NameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Contestants {
    lineup: Lineup,
    names: BTreeMap<Label, String>,
}

/// There is no algorithm of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no algorithm {0:?}")]
pub struct UnknownAlgorithm(pub String);

impl Contestants {
    /// The four of [`trainyard_tabular`] under the vendor's codes: `BSEV01` and `MSEV01` are `extra-trees`, `BFIF01`
    /// and `MFIF01` `linear`, `BSIX01` and `MSIX01` `network`, `BSEV02` and `MSEV02` `boosting`.
    ///
    /// # Panics
    /// Never: the codes are short words.
    #[must_use]
    pub fn standard() -> Self {
        let label = |code| Label::new(code).expect("a short word is a label");
        let names = CODES.into_iter().map(|(code, name)| (label(code), name.to_owned()));
        Self { lineup: Lineup::standard(), names: names.collect() }
    }

    /// One more learner, or another one under a code that is taken. It is kept with its models under `name`. Tell
    /// [`Settings::with_line_ups`](trainyard_mathfi::Settings::with_line_ups) who competes.
    #[must_use]
    pub fn with(mut self, code: Label, name: &str, learner: impl Learner) -> Self {
        self.lineup = self.lineup.with(name, learner);
        self.names.insert(code, name.to_owned());
        self
    }

    /// A code for a learner that is there.
    ///
    /// # Errors
    /// [`UnknownAlgorithm`] when it is not.
    pub fn with_code(mut self, code: Label, name: &str) -> Result<Self, UnknownAlgorithm> {
        if self.lineup.find(name).is_none() {
            return Err(UnknownAlgorithm(name.to_owned()));
        }
        self.names.insert(code, name.to_owned());
        Ok(self)
    }

    /// The learner behind a code.
    #[must_use]
    pub fn find(&self, code: &Label) -> Option<&Algorithm> {
        self.lineup.find(self.names.get(code)?)
    }

    /// All learners, by their names.
    #[must_use]
    pub fn lineup(&self) -> &Lineup {
        &self.lineup
    }
}

impl Default for Contestants {
    fn default() -> Self {
        Self::standard()
    }
}

const CODES: [(&str, &str); 8] = [
    ("BSEV01", "extra-trees"),
    ("BFIF01", "linear"),
    ("BSIX01", "network"),
    ("BSEV02", "boosting"),
    ("MSEV01", "extra-trees"),
    ("MFIF01", "linear"),
    ("MSIX01", "network"),
    ("MSEV02", "boosting"),
];

#[cfg(test)]
mod tests {
    use trainyard_mathfi::LineUp;

    use super::*;

    #[test]
    fn every_code_of_the_vendor_has_its_learner() {
        let contestants = Contestants::standard();
        for line_up in [LineUp::two_classes(), LineUp::more_classes()] {
            let names: Vec<_> = line_up
                .labels()
                .iter()
                .map(|code| contestants.find(code).unwrap().name().to_owned())
                .collect();
            assert_eq!(names, ["extra-trees", "linear", "network", "boosting"]);
        }
        let code = Label::new("MINE").unwrap();
        assert!(contestants.find(&code).is_none());
        let unknown = contestants.clone().with_code(code.clone(), "mine").unwrap_err();
        assert_eq!(unknown, UnknownAlgorithm("mine".to_owned()));
        let mine = contestants.with_code(code.clone(), "linear").unwrap();
        assert_eq!(mine.find(&code).unwrap().name(), "linear");
    }
}
