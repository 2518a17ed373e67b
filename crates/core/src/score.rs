//! Performance figures that can be compared.

use std::cmp::Ordering;
use std::fmt;

/// A finite number, totally ordered; higher is better.
///
/// NaN and the infinities are refused where they are reported, so that nothing behind that door has to
/// think about them. Negative zero is stored as zero, so equal scores have equal bits.
///
/// ```
/// use trainyard_core::Score;
///
/// assert!(Score::new(0.9)? > Score::new(0.8)?);
/// assert!(Score::new(f64::NAN).is_err());
/// # Ok::<(), trainyard_core::NotFinite>(())
/// ```
#[derive(Clone, Copy, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct Score(f64);

/// A number that is NaN or infinite where a finite one is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a score must be a finite number")]
pub struct NotFinite;

impl Score {
    /// Takes a number in.
    ///
    /// # Errors
    /// [`NotFinite`] for NaN and the infinities.
    pub fn new(value: f64) -> Result<Self, NotFinite> {
        if value.is_finite() { Ok(Self(value + 0.0)) } else { Err(NotFinite) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// Whether this lies at least `gain` above `mark`.
    #[must_use]
    pub fn gains(self, gain: Self, mark: Self) -> bool {
        // The sum is rounded as every sum of two doubles is; IEEE 754 rounds it alike on every machine.
        self.0 >= mark.0 + gain.0
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Score({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_finite_is_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Score::new(value), Err(NotFinite));
        }
        assert_eq!(Score::new(-0.0).unwrap(), Score::new(0.0).unwrap());
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_numbers(a in -1e300_f64..1e300, b in -1e300_f64..1e300) {
            let (x, y) = (Score::new(a).unwrap(), Score::new(b).unwrap());
            prop_assert_eq!(x < y, a < b);
            prop_assert_eq!(x == y, a == b);
        }
    }
}
