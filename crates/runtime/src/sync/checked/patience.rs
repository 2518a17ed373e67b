//! How long somebody waits where there is no time.

use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

/// How often others may go on before a wait with a bound is over. Shuttle knows no time, so any wait that has a bound
/// may end at any moment, or after everything else.
pub(super) struct Patience(Option<u8>);

impl Patience {
    /// Waits for ever.
    pub(super) const fn endless() -> Self {
        Self(None)
    }

    /// A wait with a bound. Zero is over at once; of all others every second one outlasts everything else.
    pub(super) fn of(bound: Duration) -> Self {
        match bound.is_zero() {
            true => Self(Some(0)),
            false => Self(thread_rng().gen_bool(0.5).then(|| thread_rng().gen_range(0..=TURNS_MAX))),
        }
    }

    /// How to go on with a wait.
    pub(super) fn next(&mut self) -> Next {
        match &mut self.0 {
            None => Next::Sleep,
            Some(0) => Next::GiveUp,
            Some(turns) => {
                *turns -= 1;
                Next::LookAgain
            }
        }
    }
}

/// How to go on with a wait.
pub(super) enum Next {
    /// Until somebody wakes us.
    Sleep,
    /// Let others go on, and look again.
    LookAgain,
    /// The time is over.
    GiveUp,
}

/// Lets others go on.
pub(super) fn let_others() {
    thread::yield_now();
}

const TURNS_MAX: u8 = 20;
