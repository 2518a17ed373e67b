//! What time it is, when somebody says so.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use trainyard_core::Timestamp;
use trainyard_runtime::{Alarm, Clock};

/// A clock of any sort.
#[derive(Clone)]
pub(crate) struct OtherClock(pub(crate) Arc<dyn Clock>);

impl Clock for OtherClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn start_from(&self, last: Timestamp) {
        self.0.start_from(last);
    }

    fn until(&self, deadline: Timestamp) -> Option<Duration> {
        self.0.until(deadline)
    }

    fn set_alarm(&self, alarm: Alarm) {
        self.0.set_alarm(alarm);
    }
}

impl fmt::Debug for OtherClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OtherClock(..)")
    }
}
