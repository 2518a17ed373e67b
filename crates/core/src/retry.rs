//! What happens after a failure.

use std::time::Duration;

use crate::Reason;

/// A wait that doubles with every failure, up to a cap.
///
/// ```
/// use std::time::Duration;
/// use trainyard_core::Backoff;
///
/// let backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(60));
/// let waits: Vec<_> = (1..=4).map(|failures| backoff.wait(failures).as_secs()).collect();
/// assert_eq!(waits, [10, 20, 40, 60]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Backoff {
    first: Duration,
    cap: Duration,
}

impl Backoff {
    /// Starts at `first` and never waits longer than `cap`.
    #[must_use]
    pub const fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap }
    }

    /// The wait after so many failures in a row; none after none.
    #[must_use]
    pub fn wait(self, failures: u32) -> Duration {
        if failures == 0 {
            return Duration::ZERO;
        }
        let mut wait = self.first;
        for _ in 1..failures {
            if wait.is_zero() || wait >= self.cap {
                break;
            }
            wait = wait.saturating_mul(2);
        }
        wait.min(self.cap)
    }

    /// The wait after the first failure.
    #[must_use]
    pub const fn first(self) -> Duration {
        self.first
    }

    /// The longest wait.
    #[must_use]
    pub const fn cap(self) -> Duration {
        self.cap
    }
}

impl Default for Backoff {
    /// 10 seconds, doubling up to an hour.
    fn default() -> Self {
        Self::new(Duration::from_secs(10), Duration::from_secs(3_600))
    }
}

/// How often a failed job is tried again, and after which wait.
///
/// Only failures spend a retry: an interruption (crash, shutdown, lost node) does not. The default is no
/// retry at all, since a training that failed on its data fails on it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RetryPolicy {
    /// How many tries come after the first; 0 for none.
    pub retries_max: u32,
    /// The wait before each.
    pub backoff: Backoff,
}

impl RetryPolicy {
    /// The wait before the next try, or `None` when this failure is the last word. `retries` is how many
    /// tries have followed the first so far.
    #[must_use]
    pub fn next_try(&self, retries: u32, failure: &Failure) -> Option<Duration> {
        let wait = self.backoff.wait(retries.saturating_add(1));
        match failure.advice {
            _ if retries >= self.retries_max => None,
            Advice::GiveUp => None,
            Advice::Retry => Some(wait),
            Advice::RetryAfter(asked) => Some(wait.max(asked)),
        }
    }
}

/// Why a try failed, and what its trainer advises.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Failure {
    /// The cause in words.
    pub reason: Reason,
    /// Whether another try makes sense.
    pub advice: Advice,
}

/// What a trainer knows about trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Advice {
    /// It may work another time.
    Retry,
    /// It may work, but not before this wait.
    RetryAfter(Duration),
    /// It will never work: bad data, a bad parameter.
    GiveUp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_grow_to_the_cap_and_stay(first in 0_u64..1 << 40, cap in 0_u64..1 << 50, failures in 0_u32..200) {
            let backoff = Backoff::new(Duration::from_millis(first), Duration::from_millis(cap));
            prop_assert!(backoff.wait(failures) <= backoff.wait(failures + 1));
            prop_assert!(backoff.wait(failures) <= Duration::from_millis(cap));
        }
    }

    #[test]
    fn the_failure_is_heard() {
        let policy = RetryPolicy {
            retries_max: 2,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(9)),
        };
        let next = |retries, advice| policy.next_try(retries, &Failure { reason: Reason::new("x"), advice });
        assert_eq!(next(0, Advice::Retry), Some(Duration::from_secs(1)));
        assert_eq!(next(1, Advice::Retry), Some(Duration::from_secs(2)));
        assert_eq!(next(2, Advice::Retry), None);
        assert_eq!(next(0, Advice::GiveUp), None);
        assert_eq!(next(0, Advice::RetryAfter(Duration::from_secs(5))), Some(Duration::from_secs(5)));
        assert_eq!(next(1, Advice::RetryAfter(Duration::ZERO)), Some(Duration::from_secs(2)));
    }
}
