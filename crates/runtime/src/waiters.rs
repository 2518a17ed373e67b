//! Those who wait until a job is over.

use std::collections::BTreeMap;

use trainyard_core::port::HandleError;
use trainyard_core::{JobId, Outcome, Reason, Rejection};

use crate::sync::Mutex;
use crate::ticket::Promise;

/// Promises to tell a job's outcome. Holds no thread; costs nothing until the job is over.
#[derive(Default)]
pub(crate) struct Waiters {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<JobId, Vec<Promise<Outcome>>>,
    stopped: Option<Reason>,
}

impl Waiters {
    /// Waits for a job that the caller knows to be unfinished, and that cannot finish while it calls.
    pub(crate) fn wait(&self, job: JobId, promise: Promise<Outcome>) {
        let mut state = self.state.lock();
        if let Some(reason) = &state.stopped {
            return promise.answer(Err(HandleError::Stopped { reason: reason.clone() }));
        }
        let promises = state.waiting.entry(job).or_default();
        // Whoever has left is forgotten from time to time, so that a thousand short waits leave nothing behind.
        if promises.len() >= 32 && promises.len().is_power_of_two() {
            promises.retain(Promise::is_awaited);
        }
        promises.push(promise);
    }

    /// A job is over, or is not in the books any more.
    pub(crate) fn over(&self, job: JobId, outcome: Result<&Outcome, Rejection>) {
        let promises = self.state.lock().waiting.remove(&job);
        for promise in promises.into_iter().flatten() {
            promise.answer(outcome.clone().cloned().map_err(HandleError::Rejected));
        }
    }

    /// The jobs that somebody waits for.
    pub(crate) fn jobs(&self) -> Vec<JobId> {
        self.state.lock().waiting.keys().copied().collect()
    }

    /// Nobody is told anything any more.
    pub(crate) fn stop(&self, reason: &Reason) {
        let mut state = self.state.lock();
        state.stopped = Some(reason.clone());
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for promise in waiting.into_values().flatten() {
            promise.answer(Err(HandleError::Stopped { reason: reason.clone() }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ticket;

    #[test]
    fn who_has_left_is_forgotten() {
        let waiters = Waiters::default();
        let job = JobId::from_u128(1);
        for _ in 0..1_000 {
            let (ticket, promise) = Ticket::new();
            waiters.wait(job, promise);
            drop(ticket);
        }
        assert!(waiters.state.lock().waiting[&job].len() <= 64);
    }
}
