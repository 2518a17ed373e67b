//! A clock that stands still until somebody moves it.
//!
//! ```
//! use std::time::Duration;
//! use trainyard_core::Timestamp;
//! use trainyard_runtime::Clock;
//! use trainyard_testkit::clock::ManualClock;
//!
//! let clock = ManualClock::at(Timestamp::from_millis(1_000));
//! let same = clock.clone();
//! same.advance(Duration::from_secs(86_400));
//! assert_eq!(clock.now(), Timestamp::from_millis(86_401_000));
//! ```

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use trainyard_core::Timestamp;
use trainyard_runtime::{Alarm, Clock};

/// A virtual clock for tests: whoever waits for a moment wakes when [`ManualClock::advance`] has passed it, and
/// nobody ever sleeps. All clones are one clock, which several yards may share.
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    now: Timestamp,
    alarms: Vec<Alarm>,
}

impl ManualClock {
    /// A clock that shows this moment.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(State { now, alarms: Vec::new() })))
    }

    /// Moves it on and wakes whoever waits. What is due by then is done by the drivers that use it, soon after.
    pub fn advance(&self, by: Duration) {
        let mut state = self.0.lock();
        state.now = state.now.after(by);
        // Whoever is woken may ask for the time at once.
        let alarms = state.alarms.clone();
        drop(state);
        alarms.iter().for_each(Alarm::ring);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().now
    }

    fn start_from(&self, last: Timestamp) {
        let mut state = self.0.lock();
        state.now = state.now.max(last);
    }

    fn until(&self, _deadline: Timestamp) -> Option<Duration> {
        None
    }

    fn set_alarm(&self, alarm: Alarm) {
        self.0.lock().alarms.push(alarm);
    }
}
