//! What runs say, and how they end.

use std::sync::Arc;

use crate::contest::exhausted;
use crate::fact::Interruption;
use crate::{
    Answer, Candidate, CandidatePhase, Checkpoint, Contest, Event, Fact, Failure, Job, Lease, Model, ModelId,
    Outcome, Phase, Reason, Rejection, Release, Run, RunEnd, Running, Score, Timestamp, Trained,
};

use super::decide::interrupted;
use super::timers::finished_with;
use super::{Ruling, Yard};

impl Yard {
    pub(super) fn decide_report(
        &self,
        now: Timestamp,
        run: Run,
        step: u64,
        performance: Option<Score>,
    ) -> Result<Ruling, Rejection> {
        let (job, _) = self.at_work(run)?;
        let Run { job: id, lease } = run;
        if let (Some(contest), Some(performance)) = (job.contest(), performance)
            && performance >= contest.target
        {
            if contest.has_reached(lease) {
                return Err(Rejection::TargetReached(id));
            }
            let event = Event::Reached { job: id, lease, step, performance };
            return Ok(Ruling { facts: vec![Fact { at: now, event }], answer: Answer::Done });
        }
        let mut facts = vec![Fact { at: now, event: Event::Reported { job: id, lease, step, performance } }];
        if let Some(contest) = job.contest().filter(|contest| contest.median.is_some()) {
            let mut after = contest.clone();
            let taken = after.report(lease, job.class.limits.stall.as_ref(), now, step, performance);
            if taken && after.falls_behind(lease) {
                facts.extend(self.end_candidate(now, job, lease, exhausted(), None));
            }
        }
        Ok(Ruling { facts, answer: Answer::Done })
    }

    pub(super) fn decide_checkpoint(
        &self,
        now: Timestamp,
        run: Run,
        checkpoint: &Checkpoint,
    ) -> Result<Ruling, Rejection> {
        let (job, _) = self.at_work(run)?;
        let event = Event::Checkpointed { job: job.id, lease: run.lease, checkpoint: checkpoint.clone() };
        Ok(Ruling { facts: vec![Fact { at: now, event }], answer: Answer::Done })
    }

    pub(super) fn decide_finish(&self, now: Timestamp, run: Run, end: &RunEnd) -> Result<Ruling, Rejection> {
        let job = self.job(run.job).ok_or(Rejection::NoJob(run.job))?;
        let facts = match &job.phase {
            Phase::Running(running) if running.live.contains(&run.lease) => match job.contest() {
                None => self.end_single(now, job, run.lease, end),
                Some(contest) => self.end_part(now, job, running, contest, run.lease, end),
            },
            Phase::Finished(over)
                if over.draining.as_ref().is_some_and(|left| left.live.contains(&run.lease)) =>
            {
                vec![released(now, job, run.lease, Release::Stopped)]
            }
            Phase::Waiting(_) | Phase::Running(_) | Phase::Finished(_) => return Err(fenced(run)),
        };
        let mut outcome = job.outcome().cloned();
        for fact in &facts {
            if let Event::Finished { outcome: now_over, .. } = &fact.event {
                outcome = Some(now_over.clone());
            }
        }
        Ok(Ruling { facts, answer: Answer::Ended { outcome } })
    }

    /// The end of the one run of a job.
    fn end_single(&self, now: Timestamp, job: &Job, lease: Lease, end: &RunEnd) -> Vec<Fact> {
        match end {
            RunEnd::Completed { trained, model, last } => {
                let mut facts: Vec<Fact> =
                    last.map(|last| reported(now, job, lease, last)).into_iter().collect();
                let (model, registered) = self.register(now, job, *model, trained);
                facts.extend(registered);
                facts.push(finished_with(now, job, Outcome::Completed { model }, Some(lease)));
                facts
            }
            RunEnd::Failed(failure) => vec![self.retry_or_fail(now, job, lease, failure)],
            RunEnd::Interrupted { reason } => interrupted(now, job, now, Interruption::Abrupt, reason),
            RunEnd::Stopped => {
                interrupted(now, job, now, Interruption::Abrupt, &Reason::new("its trainer stopped unasked"))
            }
        }
    }

    fn retry_or_fail(&self, now: Timestamp, job: &Job, lease: Lease, failure: &Failure) -> Fact {
        let reason = failure.reason.clone();
        match job.class.retry.next_try(job.retries, failure) {
            Some(wait) => {
                let ran = job.running().map(|running| now.since(running.started_at)).unwrap_or_default();
                Fact {
                    at: now,
                    event: Event::Retried { job: job.id, reason, not_before: now.after(wait), ran },
                }
            }
            None => finished_with(now, job, Outcome::Failed { reason }, Some(lease)),
        }
    }

    /// The end of one candidate's run.
    fn end_part(
        &self,
        now: Timestamp,
        job: &Job,
        running: &Running,
        contest: &Contest,
        lease: Lease,
        end: &RunEnd,
    ) -> Vec<Fact> {
        if contest.by_lease(lease).is_none() {
            // It was put out before; now its thread has noticed.
            return release_part(now, job, running, lease, Release::Stopped);
        }
        match end {
            RunEnd::Completed { trained, model, last } => {
                let mut facts: Vec<Fact> =
                    last.and_then(|last| last_word(now, job, contest, lease, last)).into_iter().collect();
                let reaches = last.is_some_and(|(_, value)| value >= contest.target);
                if !reaches && !contest.has_reached(lease) {
                    facts.extend(self.end_candidate(now, job, lease, exhausted(), Some(lease)));
                } else if contest.holder().is_none_or(|holder| holder.lease() == Some(lease)) {
                    facts.extend(self.win(now, job, lease, (*model, trained), Some(lease)));
                } else {
                    let (model, trained) = (*model, trained.clone());
                    let event = Event::HandedOver { job: job.id, lease, model, trained };
                    facts.push(Fact { at: now, event });
                    facts.extend(release_part(now, job, running, lease, Release::Stopped));
                }
                facts
            }
            RunEnd::Failed(failure) => {
                let outcome = Outcome::Failed { reason: failure.reason.clone() };
                self.end_candidate(now, job, lease, outcome, Some(lease))
            }
            RunEnd::Interrupted { .. } | RunEnd::Stopped => {
                release_part(now, job, running, lease, Release::Stopped)
            }
        }
    }

    /// In one step: the winner completes, the champion is registered, everybody else who was still in is superseded.
    /// `released` is the run that has ended with it.
    fn win(
        &self,
        now: Timestamp,
        job: &Job,
        lease: Lease,
        (model, trained): (ModelId, &Trained),
        released: Option<Lease>,
    ) -> Vec<Fact> {
        let (model, mut facts) = self.register(now, job, model, trained);
        let outcome = Outcome::Completed { model };
        facts.push(Fact {
            at: now,
            event: Event::CandidateEnded { job: job.id, lease, outcome: outcome.clone() },
        });
        facts.push(finished_with(now, job, outcome, released));
        facts
    }

    /// The same for a candidate that has handed over; `None` for another.
    pub(super) fn crown(
        &self,
        now: Timestamp,
        job: &Job,
        candidate: &Candidate,
        released: Option<Lease>,
    ) -> Option<Vec<Fact>> {
        match &candidate.phase {
            CandidatePhase::HandedOver { lease, model, trained } => {
                Some(self.win(now, job, *lease, (*model, trained), released))
            }
            CandidatePhase::Pending | CandidatePhase::Running { .. } | CandidatePhase::Ended { .. } => None,
        }
    }

    /// One candidate is out. If whoever holds the win now has handed over, it has won; if it was the last, the contest is
    /// over. `released` is its run, if that has stopped too.
    pub(super) fn end_candidate(
        &self,
        now: Timestamp,
        job: &Job,
        lease: Lease,
        outcome: Outcome,
        released: Option<Lease>,
    ) -> Vec<Fact> {
        let ended = Event::CandidateEnded { job: job.id, lease, outcome: outcome.clone() };
        let mut facts = vec![Fact { at: now, event: ended }];
        let after = job.contest().map(|contest| {
            let mut after = contest.clone();
            after.end(lease, outcome, now);
            after
        });
        let holder = after.as_ref().and_then(Contest::holder);
        if let Some(won) = holder.and_then(|holder| self.crown(now, job, holder, released)) {
            facts.extend(won);
            return facts;
        }
        match (after.as_ref().and_then(Contest::verdict), released, job.running()) {
            (Some(verdict), _, _) => facts.push(finished_with(now, job, verdict, released)),
            (None, Some(lease), Some(running)) => {
                facts.extend(release_part(now, job, running, lease, Release::Stopped));
            }
            (None, _, _) => {}
        }
        facts
    }

    /// The model of a completed job in its registry, promoted or not, and what has to make room for it: how much is kept
    /// is said by the job's queue.
    fn register(
        &self,
        now: Timestamp,
        job: &Job,
        id: ModelId,
        trained: &Trained,
    ) -> (Option<ModelId>, Vec<Fact>) {
        let Some(artifact) = &trained.artifact else {
            return (None, vec![]);
        };
        let registry = job.registry();
        let active = self.active_model(&registry);
        let model = Arc::new(Model {
            id,
            registry: registry.clone(),
            subject: job.subject.clone(),
            job: job.id,
            parent: active.map(|active| active.id),
            artifact: artifact.clone(),
            metrics: trained.metrics.clone(),
            watermark: job.watermark(),
            at: now,
        });
        let promoted = job.class.promotion.promotes(&trained.metrics, active.map(|active| &active.metrics));
        let stays = if promoted { Some(id) } else { active.map(|active| active.id) };
        let all =
            || self.models(&registry).map(|model| model.id).chain([id]).filter(|model| Some(*model) != stays);
        let own = self.queues.get(&job.class.queue).and_then(|queue| queue.retention.models_max);
        let max = own.unwrap_or(self.settings.models_max);
        let too_many = all().count().saturating_sub(max as usize);
        let forgotten: Vec<ModelId> = all().filter(|model| *model != id).take(too_many).collect();

        let mut events = vec![Event::ModelRegistered { model }];
        if promoted {
            events.push(Event::ModelActivated { registry: registry.clone(), model: id });
        }
        if !forgotten.is_empty() {
            events.push(Event::ModelsForgotten { models: forgotten });
        }
        (Some(id), events.into_iter().map(|event| Fact { at: now, event }).collect())
    }

    /// The job of a run that may still write.
    pub(super) fn at_work(&self, run: Run) -> Result<(&Job, &Running), Rejection> {
        let job = self.job(run.job).ok_or(Rejection::NoJob(run.job))?;
        let running = job.running().filter(|running| running.live.contains(&run.lease)).ok_or(fenced(run))?;
        let is_out = job.contest().is_some_and(|contest| contest.by_lease(run.lease).is_none());
        if is_out { Err(fenced(run)) } else { Ok((job, running)) }
    }
}

/// One run of a contest has stopped, or is given up; if it was the last and somebody is still to run, the contest is
/// interrupted.
pub(super) fn release_part(
    now: Timestamp,
    job: &Job,
    running: &Running,
    lease: Lease,
    how: Release,
) -> Vec<Fact> {
    let mut facts = vec![released(now, job, lease, how)];
    if running.live.iter().all(|live| *live == lease) {
        let reason = Reason::new(match how {
            Release::Stopped => "its candidates stopped unasked",
            Release::GivenUp => "nobody was left at work on it but a candidate that is out and did not stop",
        });
        facts.extend(interrupted(now, job, now, Interruption::Abrupt, &reason));
    }
    facts
}

/// What a candidate ends with, unless it is what it has reached the target with.
fn last_word(
    now: Timestamp,
    job: &Job,
    contest: &Contest,
    lease: Lease,
    (step, performance): (u64, Score),
) -> Option<Fact> {
    if performance < contest.target {
        return Some(reported(now, job, lease, (step, performance)));
    }
    let standing = contest.by_lease(lease).map(|candidate| &candidate.standing);
    let is_known =
        contest.has_reached(lease) && standing.is_some_and(|standing| standing.shows(step, performance));
    let event = Event::Reached { job: job.id, lease, step, performance };
    (!is_known).then_some(Fact { at: now, event })
}

/// What a run ends with. A step behind the newest counts as the newest, unless an earlier run has shown that already.
fn reported(now: Timestamp, job: &Job, lease: Lease, (step, performance): (u64, Score)) -> Fact {
    let standing = match job.contest() {
        Some(contest) => contest.by_lease(lease).map(|candidate| &candidate.standing),
        None => job.standing(),
    };
    let step = standing.map_or(step, |standing| standing.step.max(step));
    let performance = Some(performance);
    Fact { at: now, event: Event::Reported { job: job.id, lease, step, performance } }
}

pub(super) fn released(now: Timestamp, job: &Job, lease: Lease, how: Release) -> Fact {
    Fact { at: now, event: Event::Released { job: job.id, lease, how } }
}

const fn fenced(run: Run) -> Rejection {
    Rejection::Fenced { job: run.job, lease: run.lease }
}
