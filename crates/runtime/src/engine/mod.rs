//! The driver's thread: what happens around its turns.

mod batch;
mod plan;
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use trainyard_core::{Abilities, Command, Event, JobId, Reason, Run, Subject, Timestamp};
use trainyard_journal::{Position, failpoint};

use batch::Batch;

use crate::call::{Call, Reply, stopped, weight};
use crate::floor::Floor;
use crate::house::House;
use crate::inbox::Calls;
use crate::sweep::{Broom, Folders};
use crate::sync::{Arc, First, Notices, Ordering, Receiver, first_of, never};
use crate::ticket::Promise;
use crate::{DriveError, Driver, ShutdownReport, Turned, telemetry, worker};

/// A driver with everything around it: it owns the yard.
pub(crate) struct Engine {
    pub(crate) driver: Driver,
    pub(crate) floor: Floor,
    pub(crate) house: Arc<House>,
    pub(crate) inbox: Calls,
    pub(crate) alarm: Receiver<()>,
    pub(crate) notices: Notices<Position>,
    pub(crate) abilities: Abilities,
    pub(crate) report_every: Duration,
    pub(crate) folders: Folders,
    pub(crate) broom: Broom,
    pub(crate) agenda: Agenda,
}

/// What is to be done without anybody asking.
#[derive(Default)]
pub(crate) struct Agenda {
    /// What follows from committed facts.
    planned: Batch,
    /// Those who asked for what is in the turn.
    pub(crate) unanswered: Vec<Reply>,
    /// Runs that have shown something, and when it may be made durable.
    reports: BTreeSet<(Timestamp, Run)>,
    /// When this node has to show that it is there.
    renew_at: Option<Timestamp>,
    /// How often each rule has said the same since its decision was stored.
    repeats: BTreeMap<Subject, u64>,
    /// Jobs whose trainers have returned since the last turn.
    ended: Vec<JobId>,
    /// Whether others have written.
    is_noticed: bool,
    closing: Option<Closing>,
}

/// The yard is to be left.
struct Closing {
    until: Timestamp,
    promise: Option<Promise<ShutdownReport>>,
}

impl Engine {
    /// Runs until it is told to stop, cannot go on, or nobody is left.
    pub(crate) fn run(mut self) {
        let left = match catch_unwind(AssertUnwindSafe(|| self.work())) {
            Ok(Ok(report)) => Ok(report),
            Ok(Err(error)) => Err(Reason::new(in_full(&error))),
            Err(panic) => Err(Reason::new(format!("its driver panicked: {}", worker::message_of(&*panic)))),
        };
        self.stop(left);
    }

    fn work(&mut self) -> Result<ShutdownReport, DriveError> {
        loop {
            let calls = self.wait();
            let now = self.house.now();
            let batch = self.plan(now, calls);
            let is_due = self.driver.next_deadline().is_some_and(|deadline| deadline <= now);
            let is_noticed = std::mem::take(&mut self.agenda.is_noticed);
            if is_due || is_noticed || !batch.is_empty() {
                let turned = self.turn(now, batch)?;
                self.settle(turned)?;
            }
            if self.is_time_to_leave() {
                return self.leave();
            }
        }
    }

    /// Takes a turn. Those who asked are kept until they are answered, whatever happens.
    fn turn(&mut self, now: Timestamp, batch: Batch) -> Result<Turned, DriveError> {
        let Batch { commands, replies } = batch;
        self.agenda.unanswered = replies;
        let mut tries = BEGIN_TRIES;
        let turned = loop {
            tries -= 1;
            match self.driver.turn(now, &commands) {
                // Nothing is decided yet, and the journal has waited already.
                Err(DriveError::Journal(error))
                    if error.is_locked() && !self.driver.has_begun() && tries > 0 =>
                {
                    telemetry::journal_locked(&error);
                }
                turned => break turned?,
            }
        };
        self.house.set_time(now, turned.journal_now, turned.now);
        Ok(turned)
    }

    /// Waits until there is something to do, and takes as much as fits into one commit.
    fn wait(&mut self) -> Vec<Call> {
        let mut calls: Vec<Call> = self.inbox.try_recv().into_iter().collect();
        if calls.is_empty() && self.agenda.planned.is_empty() {
            self.sleep(&mut calls);
        }
        self.agenda.is_noticed |= self.notices.try_recv().is_ok();
        let mut bytes: usize = calls.iter().map(weight_of).sum();
        let mut commands: usize = calls.iter().map(commands_of).sum();
        while commands < BATCH_MAX && bytes < BATCH_BYTES_MAX {
            let Ok(call) = self.inbox.try_recv() else { break };
            bytes += weight_of(&call);
            commands += commands_of(&call);
            calls.push(call);
        }
        calls
    }

    /// Waits for the first of everything that there may be to do.
    fn sleep(&mut self, calls: &mut Vec<Call>) {
        let wake_at = self.wake_at();
        // Only a clock that does not tick can have come so far that the timer would not tell.
        if wake_at.is_some_and(|deadline| deadline <= self.house.now()) {
            return;
        }
        let timer = wake_at.and_then(|deadline| self.house.until(deadline)).map(|wait| wait.min(SLEEP_MAX));
        // A channel whose senders are gone would wake us for ever.
        match first_of(&self.inbox, &self.notices, &self.alarm, timer) {
            First::Call(call) => calls.extend(call),
            First::Notice(Ok(_)) => self.agenda.is_noticed = true,
            First::Notice(Err(_)) => self.notices = crossbeam_channel::never(),
            First::Alarm(Err(_)) => self.alarm = never(),
            First::Alarm(Ok(())) | First::Timer => {}
        }
    }

    fn wake_at(&self) -> Option<Timestamp> {
        let Agenda { reports, renew_at, closing, .. } = &self.agenda;
        [
            self.driver.next_deadline(),
            *renew_at,
            reports.first().map(|(at, _)| *at),
            closing.as_ref().map(|closing| closing.until),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether nothing is left to wait for.
    fn is_time_to_leave(&mut self) -> bool {
        let now = self.house.now();
        let is_deserted = self.house.is_deserted.load(Ordering::Acquire);
        if is_deserted && self.agenda.closing.is_none() && self.inbox.is_empty() {
            self.floor.close();
            self.agenda.closing = Some(Closing { until: now, promise: None });
        }
        self.agenda.closing.as_ref().is_some_and(|closing| self.floor.runs.is_empty() || closing.until <= now)
    }

    /// Leaves the yard: what still runs here is interrupted.
    fn leave(&mut self) -> Result<ShutdownReport, DriveError> {
        let leave = Command::LeaveNode { node: self.floor.node, epoch: self.floor.epoch };
        let mut batch = Batch::default();
        batch.push(leave, Reply::Nobody("leave"));
        failpoint!(LeaveAhead);
        let turned = self.turn(self.house.now(), batch)?;
        failpoint!(Left);
        let own = || turned.facts.iter().skip(turned.news);
        let attempts_interrupted =
            own().filter(|fact| matches!(fact.event, Event::Interrupted { .. })).count();
        let attempts_left = own().filter(|fact| matches!(fact.event, Event::Recovering { .. })).count();
        let stuck_threads = self.floor.runs.len();
        self.settle(turned)?;
        Ok(ShutdownReport { attempts_interrupted, attempts_left, stuck_threads })
    }

    /// Nobody gets anything but this any more. The journal is closed when whoever waits for the end is told.
    fn stop(mut self, left: Result<ShutdownReport, Reason>) {
        let reason = match &left {
            Ok(_) => Reason::new("it was shut down"),
            Err(reason) => reason.clone(),
        };
        match &left {
            Ok(report) => telemetry::shut_down(report),
            Err(reason) => telemetry::stopped(reason),
        }
        self.floor.close();
        self.house.stop(&reason);
        let closing = self.agenda.closing.take();
        let Self { driver, inbox, agenda, broom, .. } = self;
        for reply in agenda.unanswered.into_iter().chain(agenda.planned.replies) {
            reply.refuse(&reason);
        }
        inbox.close(&reason);
        broom.rest();
        failpoint!(JournalCloses);
        drop(driver);
        failpoint!(Closed);
        if let Some(promise) = closing.and_then(|closing| closing.promise) {
            promise.answer(left.map_err(|reason| stopped(&reason)));
        }
    }
}

fn commands_of(call: &Call) -> usize {
    match call {
        Call::AskAll(commands, ..) => commands.len(),
        Call::Ask(..)
        | Call::Shown(_)
        | Call::Reached(_)
        | Call::Checkpoint(..)
        | Call::Recovered(..)
        | Call::Ended(..)
        | Call::Close(..) => 1,
    }
}

fn weight_of(call: &Call) -> usize {
    match call {
        Call::Ask(command, _) => weight(command),
        Call::AskAll(commands, ..) => commands.iter().map(weight).sum(),
        Call::Shown(_)
        | Call::Reached(_)
        | Call::Checkpoint(..)
        | Call::Recovered(..)
        | Call::Ended(..)
        | Call::Close(..) => 0,
    }
}

/// An error with everything that led to it.
fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// How many commands share a commit at most: enough that the disk's wait is spread thin, few enough that nobody
/// waits long for the deciding.
const BATCH_MAX: usize = 1_024;

/// About how many bytes share a commit at most.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// How often a turn is begun, when somebody else has the journal, before the yard stops.
const BEGIN_TRIES: u32 = 5;

/// The clock is looked at this often even when nothing is due.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);
