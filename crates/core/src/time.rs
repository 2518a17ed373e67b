//! Moments, as numbers that can be written down.

use std::fmt;
use std::time::Duration;

/// A moment in milliseconds since 1970-01-01T00:00:00Z.
///
/// The core has no clock: whoever calls it says what time it is. Arithmetic saturates, so that a limit of
/// a thousand years is as harmless as one of a second.
///
/// ```
/// use std::time::Duration;
/// use trainyard_core::Timestamp;
///
/// let start = Timestamp::from_millis(1_000);
/// assert_eq!(start.after(Duration::from_secs(2)).since(start), Duration::from_secs(2));
/// assert_eq!(start.since(start.after(Duration::from_secs(2))), Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest moment there is.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest moment there is; a deadline here never comes.
    pub const MAX: Self = Self(i64::MAX);

    /// The moment so many milliseconds after the epoch (before it, when negative).
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This much later, or [`Timestamp::MAX`]. Fractions of a millisecond are rounded up, so that a wait is
    /// never shorter than it was asked to be.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(i64::try_from(millis_up(wait).saturating_add(i128::from(self.0))).unwrap_or(i64::MAX))
    }

    /// How much later this is than `earlier`; zero when it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(if self > earlier { self.0.abs_diff(earlier.0) } else { 0 })
    }

    /// The same moment in the calendar, or `None` outside the years that `time` can hold.
    #[must_use]
    pub fn to_offset_date_time(self) -> Option<time::OffsetDateTime> {
        time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).ok()
    }
}

impl From<time::OffsetDateTime> for Timestamp {
    fn from(moment: time::OffsetDateTime) -> Self {
        let millis = moment.unix_timestamp_nanos().div_euclid(1_000_000);
        Self(i64::try_from(millis).unwrap_or(if millis < 0 { i64::MIN } else { i64::MAX }))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

fn millis_up(wait: Duration) -> i128 {
    let whole = wait.as_millis() + u128::from(!wait.subsec_nanos().is_multiple_of(1_000_000));
    i128::try_from(whole).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn adding_never_goes_back_and_measures_back(start in any::<i64>(), wait in any::<u64>()) {
            let start = Timestamp::from_millis(start);
            let end = start.after(Duration::from_millis(wait));
            prop_assert!(end >= start);
            prop_assert!(end.since(start) <= Duration::from_millis(wait));
            if end < Timestamp::MAX {
                prop_assert_eq!(end.since(start), Duration::from_millis(wait));
            }
        }

        #[test]
        fn the_calendar_and_back(millis in -60_000_000_000_000_i64..250_000_000_000_000) {
            let moment = Timestamp::from_millis(millis);
            prop_assert_eq!(Timestamp::from(moment.to_offset_date_time().unwrap()), moment);
        }
    }

    #[test]
    fn a_wait_is_never_shortened() {
        let start = Timestamp::from_millis(0);
        assert_eq!(start.after(Duration::from_nanos(1)), Timestamp::from_millis(1));
        assert_eq!(start.after(Duration::MAX), Timestamp::MAX);
    }
}
