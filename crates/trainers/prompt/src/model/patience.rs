//! How often and how long a model is asked again.

use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

use trainyard_trainkit::Chance;

/// How often and how long a model that does not answer is asked again.
///
/// The wait before the next try doubles from try to try, and is drawn from its upper half, so that callers do not come
/// back all at once. A server that asks for more with `Retry-After` gets it, up to the longest wait.
///
/// ```
/// use std::time::Duration;
/// use trainyard_prompt::Patience;
///
/// let patience = Patience::default().with_tries(6.try_into()?).with_total(Duration::from_secs(60));
/// assert_ne!(patience, Patience::default());
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    tries: NonZeroU32,
    first: Duration,
    longest: Duration,
    total: Duration,
    seed: u64,
}

impl Patience {
    /// It is asked so often, 1 to 100 times. Default: 4.
    #[must_use]
    pub fn with_tries(mut self, tries: NonZeroU32) -> Self {
        self.tries = tries.min(TRIES_MAX);
        self
    }

    /// The first wait, at most a minute. Default: half a second.
    #[must_use]
    pub fn with_first_wait(mut self, wait: Duration) -> Self {
        self.first = wait.min(Duration::from_secs(60));
        self
    }

    /// The longest wait, at most an hour. A server that asks for more is not asked again in this attempt. Default: 30
    /// seconds.
    #[must_use]
    pub fn with_longest_wait(mut self, wait: Duration) -> Self {
        self.longest = wait.min(Duration::from_secs(3_600));
        self
    }

    /// The time for all tries of one question and the waits between them; no try begins after it, and no wait that would
    /// reach beyond it. At most a day. Default: 3 minutes.
    #[must_use]
    pub fn with_total(mut self, time: Duration) -> Self {
        self.total = time.min(Duration::from_secs(24 * 3_600));
        self
    }

    /// The seed of the waits. Default: 0.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How long to wait after so many tries, the last of which failed `spent` after the first began, and with what the
    /// server asked for; `None` to give up.
    fn wait(
        &self,
        tries: u32,
        spent: Duration,
        asked: Option<Duration>,
        chance: &mut Chance,
    ) -> Option<Duration> {
        if tries >= self.tries.get() || asked.is_some_and(|asked| asked > self.longest) {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << tries.saturating_sub(1).min(30)).min(self.longest);
        let wait = doubled.mul_f64(0.5 + chance.unit() / 2.0).max(asked.unwrap_or_default());
        (spent.saturating_add(wait) < self.total).then_some(wait)
    }

    /// Calls `attempt` until it gives something, or fails for good, or patience or `stop` ends it. `question` tells the
    /// waits of different questions apart.
    pub(super) fn insist<T>(
        &self,
        question: u64,
        stop: &dyn Fn() -> bool,
        mut attempt: impl FnMut() -> Result<T, super::ModelError>,
    ) -> Result<T, super::ModelError> {
        let (begun, mut chance) = (Instant::now(), Chance::new(self.seed, question));
        let mut tries = 0;
        loop {
            tries += 1;
            if stop() {
                return Err(super::ModelError::stopped());
            }
            let error = match attempt() {
                Ok(answer) => return Ok(answer),
                Err(error) => error.after(tries),
            };
            let wait = self.wait(tries, begun.elapsed(), error.retry_after(), &mut chance);
            let Some(wait) = wait.filter(|_| error.is_transient()) else {
                return Err(error);
            };
            tracing::debug!(error = %error, wait_ms = wait.as_millis(), "the model is asked again");
            if !wait_or_stop(wait, stop) {
                return Err(super::ModelError::stopped());
            }
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: NonZeroU32::new(4).expect("4 is not 0"),
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            total: Duration::from_secs(180),
            seed: 0,
        }
    }
}

/// Waits, unless it is time to stop, which is looked for often; whether it waited to the end.
fn wait_or_stop(wait: Duration, stop: &dyn Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !stop() {
        match wait.checked_sub(begun.elapsed()) {
            Some(left) if !left.is_zero() => thread::park_timeout(left.min(GLANCE)),
            _ => return true,
        }
    }
    false
}

const TRIES_MAX: NonZeroU32 = NonZeroU32::new(100).expect("100 is not 0");
/// How long a stop may go unseen while something is waited for.
pub(super) const GLANCE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::ModelError;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_within_their_bounds() {
        let patience = Patience::default().with_tries(100.try_into().unwrap()).with_total(Duration::MAX);
        let mut chance = Chance::new(1, 0);
        for (tries, most) in (1..).zip([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]) {
            let wait = patience.wait(tries, Duration::ZERO, None, &mut chance).unwrap().as_secs_f64();
            assert!((most / 2.0..=most).contains(&wait), "{tries}: {wait}");
        }
        assert!(patience.wait(99, Duration::ZERO, None, &mut chance).is_some());
        assert_eq!(patience.wait(100, Duration::ZERO, None, &mut chance), None);
    }

    #[test]
    fn a_server_that_asks_for_time_gets_it_or_is_left_alone() {
        let patience = Patience::default();
        let wait = |asked, spent| patience.wait(1, spent, Some(asked), &mut Chance::new(1, 0));
        assert_eq!(wait(7 * SECOND, Duration::ZERO), Some(7 * SECOND));
        assert_eq!(wait(31 * SECOND, Duration::ZERO), None, "longer than the longest wait");
        assert_eq!(wait(7 * SECOND, 173 * SECOND), None, "it would reach beyond the total");
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let patience = Patience::default().with_first_wait(Duration::ZERO);
        let tries = Cell::new(0);
        let attempt = |errors: u32, error: fn(&str) -> ModelError| {
            tries.set(0);
            patience.insist(0, &|| false, || {
                tries.set(tries.get() + 1);
                if tries.get() > errors { Ok(tries.get()) } else { Err(error("no")) }
            })
        };
        assert_eq!(attempt(3, |what| ModelError::transient(what)).unwrap(), 4);
        let error = attempt(4, |what| ModelError::transient(what)).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.tries()), ("no (4 tries)", 4));
        let error = attempt(4, |what| ModelError::refused(what)).unwrap_err();
        assert_eq!((error.to_string().as_str(), tries.get()), ("no", 1));
    }

    #[test]
    fn a_wait_ends_when_it_is_time_to_stop() {
        let patience = Patience::default().with_first_wait(60 * SECOND).with_longest_wait(60 * SECOND);
        let glances = Cell::new(0);
        let stop = || {
            glances.set(glances.get() + 1);
            glances.get() > 3
        };
        let error = patience.insist(0, &stop, || Err::<(), _>(ModelError::transient("no"))).unwrap_err();
        assert!(error.is_stopped() && !error.is_transient());
    }
}
