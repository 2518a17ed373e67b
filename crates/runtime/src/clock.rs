//! What time it is, and how to wait for a moment.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use trainyard_core::Timestamp;

use crate::sync::{AtomicI64, Ordering, Sender};

/// Where a yard gets its time from. It never goes back.
pub trait Clock: Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Timestamp;

    /// Called once, at open, with the moment of the journal's last fact: from then on it is never earlier.
    fn start_from(&self, last: Timestamp);

    /// How long to sleep before it is worth looking again whether `deadline` has come; `None` when only the
    /// alarm can tell.
    fn until(&self, deadline: Timestamp) -> Option<Duration>;

    /// Called once, at open: ring this whenever the time has jumped. A clock that only ticks need not.
    fn set_alarm(&self, alarm: Alarm) {
        drop(alarm);
    }
}

/// Wakes a driver so that it looks at its clock again.
#[derive(Clone)]
pub struct Alarm {
    wake: Sender<()>,
}

impl Alarm {
    pub(crate) const fn new(wake: Sender<()>) -> Self {
        Self { wake }
    }

    /// Rings. Never blocks; an alarm that rings already rings no louder.
    pub fn ring(&self) {
        // Full: it will look anyway. Disconnected: there is no driver left to look.
        let _ = self.wake.try_send(());
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").finish_non_exhaustive()
    }
}

/// The machine's time: the wall clock where the yard is opened, and a monotonic clock from there.
///
/// When the wall clock is set back, or the journal's last fact lies in its future, yard time goes on from the
/// later of the two, so that it never goes back.
#[derive(Debug)]
pub struct SystemClock {
    made: Instant,
    /// What time it was when it was made, in milliseconds since 1970.
    then: AtomicI64,
}

impl SystemClock {
    /// A clock that starts at the wall clock's time.
    #[must_use]
    pub fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let then = i64::try_from(wall.as_millis()).unwrap_or(i64::MAX);
        Self { made: Instant::now(), then: AtomicI64::new(then) }
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.made.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.then.load(Ordering::Acquire).saturating_add(self.elapsed()))
    }

    fn start_from(&self, last: Timestamp) {
        self.then.fetch_max(last.as_millis().saturating_sub(self.elapsed()), Ordering::AcqRel);
    }

    fn until(&self, deadline: Timestamp) -> Option<Duration> {
        Some(deadline.since(self.now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_at_the_later_of_wall_and_journal() {
        let clock = SystemClock::new();
        let wall = clock.now();
        clock.start_from(Timestamp::from_millis(0));
        assert!(clock.now() >= wall, "an old journal changes nothing");
        let future = wall.after(Duration::from_secs(86_400));
        clock.start_from(future);
        assert!(clock.now() >= future);
        assert!(clock.until(future.after(Duration::from_secs(1))) <= Some(Duration::from_secs(1)));
    }
}
