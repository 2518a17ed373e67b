//! Starts, ends, and everything that is written under a lease.

use std::time::Duration;

use trainyard_core::{JobId, Lease, NodeId, Outcome, Placement, TimedOut, Timestamp};

use super::books::{Stage, Stint};
use super::contest::ContestBook;
use super::{Breach, Checker, Invariant, breach};

impl Checker {
    pub(super) fn started(
        &mut self,
        at: Timestamp,
        job: JobId,
        lease: Lease,
        node: NodeId,
    ) -> Result<(), Breach> {
        if lease <= self.last_lease {
            return breach(
                Invariant::LeasesGrow,
                format!("lease {lease} of job {job} after {}", self.last_lease),
            );
        }
        self.check_room(job, node)?;
        let epoch = self.node(node)?.epoch;
        let book = self.job(job)?;
        match &book.stage {
            Stage::Waiting { held: false, not_before } if *not_before <= at => {}
            Stage::Waiting { .. } | Stage::Over { .. } => {
                return breach(
                    Invariant::StartsAreDue,
                    format!("job {job} starts at {at:?} as {:?}", book.stage),
                );
            }
            Stage::Running(_) => {
                return breach(Invariant::OneAtATime, format!("job {job} runs and is started"));
            }
        }
        let live = match &mut book.contest {
            Some(contest) => contest.start(lease),
            None => vec![lease],
        };
        book.attempts += 1;
        let (last, queue, subject) =
            (live.last().copied().unwrap_or(lease), book.class.queue.clone(), book.subject.clone());
        book.stage = Stage::Running(Stint { node, epoch, since: at, live });
        self.last_lease = last;
        self.node(node)?.occupants.insert(job);
        let queue = self.queue(&queue);
        queue.waiting = queue.waiting.saturating_sub(1);
        queue.running += 1;
        if queue.is_paused || queue.settings.running_max.is_some_and(|max| queue.running > max) {
            return breach(Invariant::QueuesKeepTheirLimits, format!("job {job} is started in {queue:?}"));
        }
        match self.subjects.entry(subject.clone()).or_default().occupied.replace(job) {
            Some(other) => breach(Invariant::OneAtATime, format!("jobs {other} and {job} train {subject}")),
            None => Ok(()),
        }
    }

    /// A node that is there, trains it, and has room for it beside what it has.
    fn check_room(&mut self, job: JobId, node: NodeId) -> Result<(), Breach> {
        self.job(job)?;
        self.node(node)?;
        let (book, here) = (&self.jobs[&job], &self.nodes[&node]);
        if !here.is_alive || !here.kinds.contains_key(&book.class.kind) {
            return breach(Invariant::StartsAreDue, format!("job {job} is started on {node}: {here:?}"));
        }
        for (name, needed) in book.class.resources.iter() {
            let mut taken = 0;
            for other in &here.occupants {
                let other = &self.jobs[other];
                if other.stint().is_some_and(|stint| stint.epoch == here.epoch) {
                    taken += other.class.resources.amount(name);
                }
            }
            let there = here.capacity.amount(name);
            if taken + needed > there {
                let what =
                    format!("job {job} needs {needed} {name}, node {node} has {there} and {taken} are taken");
                return breach(Invariant::NodesAreNotOversubscribed, what);
            }
        }
        Ok(())
    }

    /// What was at work in the process of a node that is gone was interrupted before, or nobody would ever end it.
    pub(super) fn node_lost(&mut self, id: NodeId) -> Result<(), Breach> {
        let node = self.node(id)?;
        node.is_alive = false;
        let node = &self.nodes[&id];
        let left = node.occupants.iter().find(|job| {
            let book = &self.jobs[job];
            book.is_over() || node.kinds.get(&book.class.kind) == Some(&Placement::InProcess)
        });
        match left {
            Some(job) => {
                breach(Invariant::NoJobIsLost, format!("job {job} is left on node {id}, which is gone"))
            }
            None => Ok(()),
        }
    }

    pub(super) fn wrote(&mut self, job: JobId, lease: Lease) -> Result<(), Breach> {
        if self.job(job)?.may_write(lease) {
            return Ok(());
        }
        breach(
            Invariant::OldLeasesNeverWrite,
            format!("lease {lease} writes for job {job}: {:?}", self.jobs[&job].stage),
        )
    }

    pub(super) fn in_contest(
        &mut self,
        job: JobId,
        lease: Lease,
        act: impl FnOnce(&mut ContestBook) -> Result<(), String>,
    ) -> Result<(), Breach> {
        self.wrote(job, lease)?;
        self.its_contest(job, act)
    }

    /// What its contest says to it.
    fn its_contest(
        &mut self,
        job: JobId,
        act: impl FnOnce(&mut ContestBook) -> Result<(), String>,
    ) -> Result<(), Breach> {
        let acted = match &mut self.job(job)?.contest {
            Some(contest) => act(contest),
            None => Err("it is no contest".into()),
        };
        acted.map_err(|what| Breach::new(Invariant::TheFirstToReachWins, format!("job {job}: {what}")))
    }

    /// Whoever ends or leaves it holds a lease that is in force.
    fn check_live(&mut self, job: JobId, lease: Lease, does: &str) -> Result<(), Breach> {
        let book = self.job(job)?;
        if book.is_live(lease) {
            return Ok(());
        }
        breach(Invariant::OldLeasesNeverWrite, format!("lease {lease} {does} job {job}: {:?}", book.stage))
    }

    pub(super) fn candidate_ended(
        &mut self,
        at: Timestamp,
        job: JobId,
        lease: Lease,
        outcome: &Outcome,
    ) -> Result<(), Breach> {
        let book = self.job(job)?;
        let late_at = book.out_of_time_at().map(|limit| limit.after(book.class.limits.grace));
        let limit = book.out_of_time_at();
        if matches!(outcome, Outcome::TimedOut(_)) && limit.is_none_or(|limit| at < limit) {
            return breach(
                Invariant::LimitsAreKept,
                format!("a candidate of job {job} is out at {at:?} of {limit:?}"),
            );
        }
        self.its_contest(job, |contest| contest.end(lease, outcome, at, late_at))
    }

    pub(super) fn retried(
        &mut self,
        at: Timestamp,
        job: JobId,
        not_before: Timestamp,
        ran: Duration,
    ) -> Result<(), Breach> {
        let book = self.job(job)?;
        book.retries += 1;
        let wait = book.class.retry.backoff.first().min(book.class.retry.backoff.cap());
        if book.retries > book.class.retry.retries_max || not_before < at.after(wait) {
            let what = format!(
                "job {job} is tried for the {}. time at {not_before:?}: {:?}",
                book.retries, book.class.retry
            );
            return breach(Invariant::LimitsAreKept, what);
        }
        self.requeued(job, not_before, ran)
    }

    /// Back into line, without an outcome.
    pub(super) fn requeued(
        &mut self,
        job: JobId,
        not_before: Timestamp,
        ran: Duration,
    ) -> Result<(), Breach> {
        let book = self.job(job)?;
        let Stage::Running(stint) = &book.stage else {
            return breach(Invariant::OneAtATime, format!("job {job} is interrupted as {:?}", book.stage));
        };
        let node = stint.node;
        book.ran = book.ran.saturating_add(ran);
        book.stage = Stage::Waiting { not_before, held: false };
        if let Some(contest) = &mut book.contest {
            contest.stop(None);
        }
        self.leave(job, node)?;
        let queue = self.jobs[&job].class.queue.clone();
        self.queue(&queue).waiting += 1;
        Ok(())
    }

    pub(super) fn set_held(&mut self, job: JobId, hold: bool) -> Result<(), Breach> {
        match &mut self.job(job)?.stage {
            Stage::Waiting { held, .. } => {
                *held = hold;
                Ok(())
            }
            Stage::Running(_) | Stage::Over { .. } => {
                breach(Invariant::StartsAreDue, format!("job {job} is held and does not wait"))
            }
        }
    }

    pub(super) fn recovering(&mut self, job: JobId) -> Result<(), Breach> {
        let Stage::Running(stint) = &self.job(job)?.stage else {
            return breach(
                Invariant::OldLeasesNeverWrite,
                format!("job {job} is looked for and was not at work"),
            );
        };
        let node = stint.node;
        let epoch = self.node(node)?.epoch;
        if let Stage::Running(stint) = &mut self.job(job)?.stage {
            stint.epoch = epoch;
        }
        Ok(())
    }

    pub(super) fn finished(
        &mut self,
        at: Timestamp,
        job: JobId,
        outcome: &Outcome,
        released: Option<Lease>,
    ) -> Result<(), Breach> {
        self.check_end(at, job, outcome, released)?;
        let book = self.job(job)?;
        let stint = match &book.stage {
            Stage::Running(stint) => Some(stint.clone()),
            Stage::Waiting { .. } => None,
            Stage::Over { outcome: first, .. } => {
                return breach(
                    Invariant::OutcomesAreFinal,
                    format!("job {job} is {first}, and then {outcome}"),
                );
            }
        };
        let node = stint.as_ref().map(|stint| stint.node);
        let draining = stint.and_then(|mut stint| {
            stint.live.retain(|lease| Some(*lease) != released);
            (!stint.live.is_empty()).then_some(stint)
        });
        let drains = draining.is_some();
        book.stage = Stage::Over { outcome: outcome.clone(), draining };
        let (queue, subject, watermark) = (book.class.queue.clone(), book.subject.clone(), book.watermark);
        if let Some(rule) = self.rules.get_mut(&subject) {
            rule.remember(outcome, watermark, at);
        }
        self.subjects.entry(subject).or_default().unfinished.remove(&job);
        match node {
            None => self.queue(&queue).waiting -= 1,
            Some(_) if drains => {}
            Some(node) => self.leave(job, node)?,
        }
        Ok(())
    }

    fn check_end(
        &mut self,
        at: Timestamp,
        job: JobId,
        outcome: &Outcome,
        released: Option<Lease>,
    ) -> Result<(), Breach> {
        if let Some(lease) = released {
            self.check_live(job, lease, "ends")?;
        }
        let book = self.job(job)?;
        let is_late = match outcome {
            Outcome::TimedOut(TimedOut::Running) if book.contest.is_none() => {
                book.out_of_time_at().is_some_and(|limit| limit <= at)
            }
            Outcome::TimedOut(TimedOut::Waiting) => {
                let limit = book.class.limits.queue_time.filter(|_| book.attempts == 0);
                limit.is_some_and(|limit| book.submitted_at.after(limit) <= at)
            }
            Outcome::Stalled => book.class.limits.stall.is_some() || book.contest.is_some(),
            Outcome::TimedOut(TimedOut::Running)
            | Outcome::Completed { .. }
            | Outcome::Cancelled { .. }
            | Outcome::Failed { .. }
            | Outcome::Superseded => true,
        };
        if !is_late {
            return breach(
                Invariant::LimitsAreKept,
                format!("job {job} is {outcome} at {at:?}: {:?}", book.class.limits),
            );
        }
        if book.contest.is_some() {
            self.its_contest(job, |contest| contest.finish(outcome))?;
        }
        let book = self.job(job)?;
        if let Outcome::Completed { model } = outcome
            && *model != book.model
        {
            let what = format!("job {job} is {outcome}, and its model {:?}", book.model);
            return breach(Invariant::OutcomesAreFinal, what);
        }
        Ok(())
    }

    pub(super) fn released(&mut self, job: JobId, lease: Lease) -> Result<(), Breach> {
        self.check_live(job, lease, "leaves")?;
        let book = self.job(job)?;
        if let Some(contest) = &mut book.contest {
            contest.stop(Some(lease));
        }
        let (node, is_empty) = match &mut book.stage {
            Stage::Running(stint) => {
                stint.live.retain(|live| *live != lease);
                (stint.node, false)
            }
            Stage::Over { draining: Some(stint), .. } => {
                stint.live.retain(|live| *live != lease);
                (stint.node, stint.live.is_empty())
            }
            Stage::Waiting { .. } | Stage::Over { draining: None, .. } => return Ok(()),
        };
        if !is_empty {
            return Ok(());
        }
        if let Stage::Over { draining, .. } = &mut book.stage {
            *draining = None;
        }
        self.leave(job, node)
    }

    /// It takes no room any more.
    fn leave(&mut self, job: JobId, node: NodeId) -> Result<(), Breach> {
        self.node(node)?.occupants.remove(&job);
        let (queue, subject) = (self.jobs[&job].class.queue.clone(), self.jobs[&job].subject.clone());
        let queue = self.queue(&queue);
        queue.running = queue.running.saturating_sub(1);
        let subject = self.subjects.entry(subject).or_default();
        subject.occupied.take_if(|occupant| *occupant == job);
        Ok(())
    }
}
