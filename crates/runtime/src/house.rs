//! What the driver and everybody who asks it something have in common.

use std::time::Duration;

use trainyard_core::port::{HandleError, Receipt};
use trainyard_core::{Command, JobId, Outcome, Reason, Rejection, Timestamp, Yard};

use crate::bulk::Bulk;
use crate::call::{Call, Reply, stopped};
use crate::context::Wiring;
use crate::hub::Hub;
use crate::sync::{Arc, AtomicBool, AtomicI64, AtomicU64, OnceLock, Ordering, RwLock, TrySendError};
use crate::ticket::Promise;
use crate::waiters::Waiters;
use crate::{Clock, Ticket};

/// What the driver and its handles share. The driver alone writes the yard.
pub(crate) struct House {
    pub(crate) committed: Arc<RwLock<Yard>>,
    /// Of the committed yard; grows while its lock is held for writing.
    pub(crate) edition: Arc<AtomicU64>,
    pub(crate) wiring: Arc<Wiring>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) waiters: Waiters,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) inbox_max: usize,
    pub(crate) bulk: Bulk,
    pub(crate) time: SharedTime,
    pub(crate) stopped: OnceLock<Reason>,
    /// Whether the last handle is gone.
    pub(crate) is_deserted: AtomicBool,
}

/// What is known of the time besides the clock.
#[derive(Default)]
pub(crate) struct SharedTime {
    /// The moment of the committed yard's last fact, in milliseconds since 1970.
    last: AtomicI64,
    /// How far a journal with a clock of its own is ahead of ours, in milliseconds.
    ahead: AtomicI64,
}

impl House {
    /// What time it is for the yard.
    pub(crate) fn now(&self) -> Timestamp {
        let ours = self.clock.now().as_millis().saturating_add(self.time.ahead.load(Ordering::Acquire));
        Timestamp::from_millis(ours.max(self.time.last.load(Ordering::Acquire)))
    }

    /// How long to sleep before it is worth looking whether `deadline` has come.
    pub(crate) fn until(&self, deadline: Timestamp) -> Option<Duration> {
        let ahead = self.time.ahead.load(Ordering::Acquire);
        self.clock.until(Timestamp::from_millis(deadline.as_millis().saturating_sub(ahead)))
    }

    /// Takes in what time it was for a turn that began at `ours`.
    pub(crate) fn set_time(&self, ours: Timestamp, journal: Option<Timestamp>, turn: Timestamp) {
        if let Some(journal) = journal {
            let ahead = journal.as_millis().saturating_sub(ours.as_millis());
            self.time.ahead.fetch_add(ahead, Ordering::AcqRel);
        }
        self.time.last.fetch_max(turn.as_millis(), Ordering::AcqRel);
    }

    /// Asks the driver for something.
    pub(crate) fn ask<T>(&self, command: Command, reply: impl FnOnce(Promise<T>) -> Reply) -> Ticket<T> {
        self.call(|promise| Call::Ask(command, reply(promise)))
    }

    /// Asks the driver for many submissions at once.
    pub(crate) fn ask_all(&self, commands: Vec<Command>) -> Ticket<Vec<Result<Receipt, Rejection>>> {
        match self.bulk.take(commands.len()) {
            Some(room) => self.call(|promise| Call::AskAll(commands, promise, room)),
            None => Ticket::answered(Err(HandleError::Busy { max: self.bulk.max() })),
        }
    }

    fn call<T>(&self, call: impl FnOnce(Promise<T>) -> Call) -> Ticket<T> {
        let (ticket, promise) = Ticket::new();
        match self.wiring.inbox.try_send(call(promise)) {
            Ok(()) => ticket,
            Err(TrySendError::Full(_)) => Ticket::answered(Err(HandleError::Busy { max: self.inbox_max })),
            Err(TrySendError::Disconnected(call)) => {
                call.refuse(&self.stop_reason());
                ticket
            }
        }
    }

    /// Waits until a job is over.
    pub(crate) fn finished(&self, job: JobId) -> Ticket<Outcome> {
        // The driver needs the yard for itself to end a job, so none ends between the look and the wait.
        let yard = self.committed.read();
        if let Some(reason) = self.stopped.get() {
            return Ticket::answered(Err(stopped(reason)));
        }
        match yard.job(job).map(|job| job.outcome()) {
            None => Ticket::answered(Err(Rejection::NoJob(job).into())),
            Some(Some(outcome)) => Ticket::answered(Ok(outcome.clone())),
            Some(None) => {
                let (ticket, promise) = Ticket::new();
                self.waiters.wait(job, promise);
                ticket
            }
        }
    }

    /// Nobody is answered any more but with this.
    pub(crate) fn stop(&self, reason: &Reason) {
        // The first reason is the one that counts.
        let reason = self.stopped.get_or_init(|| reason.clone());
        self.waiters.stop(reason);
        self.hub.close();
    }

    pub(crate) fn stop_reason(&self) -> Reason {
        self.stopped.get().cloned().unwrap_or_else(|| Reason::new("its driver is gone"))
    }
}
