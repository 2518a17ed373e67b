//! Performance figures that can be compared.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

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

    /// Whether this lies at least `gain` above `mark`, as people count who think in decimals: 0.7 lies 0.02 above
    /// 0.68, although the doubles nearest to them are a little closer to each other.
    ///
    /// Exact for decimals with up to six places, up to a million. It is done with a slack: what lacks no more than
    /// a thousandth of the gain, and no more than a billionth, lacks nothing. Beyond a million the slack is lost in
    /// the rounding of doubles, and the comparison is theirs.
    ///
    /// A higher score never gains less, and a higher mark or gain is never easier to reach. The answer is the same
    /// on every machine, since IEEE 754 rounds alike on all of them.
    ///
    /// ```
    /// use trainyard_core::Score;
    ///
    /// let [high, low, gain] = [0.7, 0.68, 0.02].map(|value| Score::new(value).unwrap());
    /// assert!(low.get() + gain.get() > high.get(), "so it is with doubles");
    /// assert!(high.gains(gain, low));
    /// ```
    #[must_use]
    pub fn gains(self, gain: Self, mark: Self) -> bool {
        let slack = (gain.0.abs() / 1_000.0).min(1e-9);
        self.0 >= mark.0 + (gain.0 - slack)
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

impl Hash for Score {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
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

    fn score(text: &str) -> Score {
        Score::new(text.parse().unwrap()).unwrap()
    }

    /// Numbers of every size, most of them of the usual one.
    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![-1.0_f64..1.0, -1e-8_f64..1e-8, -3e6_f64..3e6, -1e300_f64..1e300]
    }

    #[test]
    fn gains_are_counted_in_decimals() {
        for (value, gain, mark, gained) in [
            ("0.7", "0.02", "0.68", true),
            ("0.71", "0.03", "0.68", true),
            ("0.3", "0.2", "0.1", true),
            ("0.699999", "0.02", "0.68", false),
            ("0.5", "0", "0.5", true),
            ("0.499999", "0", "0.5", false),
            ("1e300", "1e300", "1e300", false),
            ("0.00000001", "0.00000002", "0", false),
        ] {
            assert_eq!(score(value).gains(score(gain), score(mark)), gained, "{value} {gain} {mark}");
        }
    }

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

        /// Up to six places, on both sides of zero; the cases close to the border are the interesting ones.
        #[test]
        fn decimals_gain_as_they_are_written(
            mark in -1_000_000_000_000_i64..=1_000_000_000_000, gain in -2_000_000_i64..=2_000_000, off in -2_i64..=2,
            places in 0_u32..=6,
        ) {
            let whole = 10_i64.pow(places);
            let (mark, gain) = (mark % (1_000_000 * whole), gain % (2 * whole));
            let value = mark + gain + off;
            let decimal = |count: i64| score(&format!("{}e-{places}", count));
            prop_assert_eq!(decimal(value).gains(decimal(gain), decimal(mark)), off >= 0);
        }

        #[test]
        fn more_never_gains_less(values in prop::array::uniform4(number()), near in any::<bool>()) {
            let [a, b, gain, mark] = values;
            // Either any two numbers, or two neighbours at the border itself.
            let border = mark + gain;
            let (a, b) = if near { (border, border.next_up()) } else { (a.min(b), a.max(b)) };
            for [low, high] in [[a, b], [border.next_down(), border]].map(|pair| pair.map(Score::new)) {
                let (Ok(low), Ok(high)) = (low, high) else { continue };
                let [gain, mark] = [gain, mark].map(|number| Score::new(number).unwrap());
                prop_assert!(!low.gains(gain, mark) || high.gains(gain, mark), "a higher score");
                for (more, less) in [(gain.0.next_up(), gain.0), (gain.0, gain.0.next_down())] {
                    let [more, less] = [more, less].map(|number| Score::new(number).unwrap());
                    prop_assert!(!low.gains(more, mark) || low.gains(less, mark), "a higher gain");
                }
                let above = Score::new(mark.0.next_up()).unwrap();
                prop_assert!(!low.gains(gain, above) || low.gains(gain, mark), "a higher mark");
            }
        }
    }
}
