//! What goes into the next turn.

use trainyard_core::{Command, Reason, Run, RunEnd, Timestamp};
use trainyard_journal::failpoint;

use super::batch::Batch;
use super::{Closing, Engine};
use crate::call::{Call, Reply, stopped};

impl Engine {
    /// The commands of the next turn.
    pub(super) fn plan(&mut self, now: Timestamp, calls: Vec<Call>) -> Batch {
        let mut batch = std::mem::take(&mut self.agenda.planned);
        if self.agenda.renew_at.take_if(|at| *at <= now).is_some() {
            let renew = Command::RenewNode { node: self.floor.node, epoch: self.floor.epoch };
            batch.push(renew, Reply::Nobody("renewal"));
        }
        while self.agenda.reports.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, run)) = self.agenda.reports.pop_first() {
                self.plan_report(now, run, &mut batch);
            }
        }
        for call in calls {
            self.plan_call(now, call, &mut batch);
        }
        batch
    }

    fn plan_call(&mut self, now: Timestamp, call: Call, batch: &mut Batch) {
        match call {
            Call::Ask(..) | Call::AskAll(..) if self.agenda.closing.is_some() => {
                call.refuse(&Reason::new(SHUTTING_DOWN));
            }
            Call::Ask(Command::Observe { subject, observation, job, .. }, reply) => {
                let repeats = self.agenda.repeats.get(&subject).copied().unwrap_or(0);
                batch.push(Command::Observe { subject, observation, job, repeats }, reply);
            }
            Call::Ask(command, reply) => batch.push(command, reply),
            Call::AskAll(commands, promise, room) => {
                drop(room);
                let reply = Reply::AllSubmitted(commands.len(), promise);
                batch.push_all(commands, reply);
            }
            Call::Shown(run) => self.plan_report(now, run, batch),
            Call::Reached(run) => self.plan_reached(run, batch),
            Call::Checkpoint(run, checkpoint, promise) => {
                failpoint!(CheckpointPlanned);
                batch.push(Command::Checkpoint { run, checkpoint }, Reply::Done(promise));
            }
            Call::Recovered(run, promise) => {
                batch.push(Command::Recover { run, epoch: self.floor.epoch }, Reply::Done(promise));
            }
            Call::Ended(run, end) => self.plan_end(run, end, batch),
            Call::Close(_, promise) if self.agenda.closing.is_some() => {
                promise.answer(Err(stopped(&Reason::new(SHUTTING_DOWN))));
            }
            Call::Close(until, promise) => {
                failpoint!(ClosePlanned);
                self.floor.close();
                self.agenda.closing = Some(Closing { until, promise: Some(promise) });
            }
        }
    }

    fn plan_report(&mut self, now: Timestamp, run: Run, batch: &mut Batch) {
        match self.floor.fetch(run, now, now.after(self.report_every)) {
            Ok(Some(shown)) => {
                let report = Command::Report { run, step: shown.step, performance: shown.performance };
                batch.push(report, Reply::Nobody("report"));
            }
            Ok(None) => {}
            Err(later) => drop(self.agenda.reports.insert((later, run))),
        }
    }

    /// Not held back by any rate, and neither is what was shown before it.
    fn plan_reached(&self, run: Run, batch: &mut Batch) {
        let Some(runner) = self.floor.runs.get(&run) else {
            return;
        };
        let unsent = runner.shared.take_unsent().map(|unsent| (unsent.step, unsent.performance));
        let reached = runner.shared.reached().map(|(step, performance)| (step, Some(performance)));
        for (step, performance) in unsent.into_iter().chain(reached) {
            batch.push(Command::Report { run, step, performance }, Reply::Nobody("report"));
        }
    }

    fn plan_end(&mut self, run: Run, mut end: RunEnd, batch: &mut Batch) {
        let Some(runner) = self.floor.leave(run) else {
            return;
        };
        failpoint!(EndPlanned);
        if runner.shared.has_folder() {
            self.folders.add(run);
        }
        self.agenda.ended.push(run.job);
        self.agenda.ended.extend(runner.resumed.map(|resumed| resumed.job));
        let mut unsent = runner.shared.take_unsent();
        if let RunEnd::Completed { last: last @ None, .. } = &mut end
            && let Some(performance) = unsent.and_then(|unsent| unsent.performance)
        {
            *last = unsent.take().map(|unsent| (unsent.step, performance));
        }
        if let Some(unsent) = unsent {
            let report = Command::Report { run, step: unsent.step, performance: unsent.performance };
            batch.push(report, Reply::Nobody("report"));
        }
        // Whoever stops because the process ends is interrupted with it, in one go: said now, it would be started
        // again at once.
        if !(self.floor.is_closing && matches!(end, RunEnd::Interrupted { .. })) {
            batch.push(Command::Finish { run, end }, Reply::Nobody("end of a run"));
        }
    }
}

const SHUTTING_DOWN: &str = "it is shutting down";
