//! A shorter list of facts that rebuilds the same yard.

use std::sync::Arc;

use crate::{
    CandidateId, CandidatePhase, Event, Extras, Fact, Job, JobId, Phase, Queue, Restored, Retention,
    Standing, Timestamp,
};

use super::Yard;

impl Yard {
    /// Facts that, applied to an empty yard, rebuild this one. There are as many as there are things in the books,
    /// however long the log was.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Fact> {
        let counters = Restored::Counters { order: self.next_order, lease: self.last_lease };
        let queues = self
            .queues
            .iter()
            .map(|(name, queue)| Restored::Queue { name: name.clone(), queue: plain(queue) });
        // The form of a stored queue does not hold what is kept of it.
        let retentions = self.queues.iter().filter(|(_, queue)| queue.retention != Retention::default());
        let retentions = retentions
            .map(|(name, queue)| Event::RetentionSet { queue: name.clone(), retention: queue.retention });
        let nodes = self.nodes.iter().map(|(id, node)| Restored::Node { id: *id, node: node.clone() });
        let rules = self
            .rules
            .iter()
            .map(|(subject, rule)| Restored::Rule { subject: subject.clone(), rule: rule.clone() });
        let models = self.registries.values().flat_map(|registry| {
            registry.models.iter().map(|id| Restored::Model {
                model: Arc::clone(&self.models[id]),
                active: registry.active == Some(*id),
            })
        });
        let restored = std::iter::once(counters).chain(queues).chain(nodes).chain(rules).chain(models);
        let now = |event| Fact { at: self.now, event };
        let restored = restored.map(|restored| now(Event::Restored(Box::new(restored))));
        std::iter::once(now(Event::Configured(self.settings)))
            .chain(restored)
            .chain(retentions.map(now))
            .chain(self.jobs.values().flat_map(|job| facts_of(self.now, job)))
            .collect()
    }
}

/// A queue as the form of a stored one holds it.
fn plain(queue: &Queue) -> Queue {
    Queue { retention: Retention::default(), ..queue.clone() }
}

/// A job as it is, and in facts of their own what the form of a stored job does not hold: who has reached the target, and
/// at which step something was shown last. A candidate that is out while its run may still be at work is told of as one that runs, and then,
/// in a fact of its own, as one that was put out: so the form of a stored job need not know of such runs.
fn facts_of(now: Timestamp, job: &Job) -> Vec<Fact> {
    let mut job = job.clone();
    let leaving = match &mut job.phase {
        Phase::Running(running) => std::mem::take(&mut running.leaving),
        Phase::Waiting(_) | Phase::Finished(_) => vec![],
    };
    let id = job.id;
    let mut pieces = Vec::new();
    let mut ended = Vec::new();
    let mut candidates = &mut [][..];
    if let Some(Extras { standing, contest, .. }) = job.extras.as_deref_mut() {
        pieces.extend(take_shown(id, None, standing));
        if let Some(contest) = contest {
            let holders = std::mem::take(&mut contest.holders).into_iter();
            pieces.extend(holders.map(|holder| Restored::Reached { job: id, holder }));
            candidates = &mut contest.candidates;
        }
    }
    for candidate in candidates.iter_mut() {
        pieces.extend(take_shown(id, Some(candidate.id), &mut candidate.standing));
    }
    for out in leaving {
        let candidate = candidates.iter_mut().find(|candidate| candidate.id == out.candidate);
        let Some(candidate) = candidate else { continue };
        let runs = CandidatePhase::Running { lease: out.lease };
        if let CandidatePhase::Ended { outcome, at } = std::mem::replace(&mut candidate.phase, runs) {
            ended.push(Fact { at, event: Event::CandidateEnded { job: id, lease: out.lease, outcome } });
        }
    }
    let restored = std::iter::once(Restored::Job(job)).chain(pieces);
    let restored = restored.map(|piece| Fact { at: now, event: Event::Restored(Box::new(piece)) });
    restored.chain(ended).collect()
}

fn take_shown(job: JobId, candidate: Option<CandidateId>, standing: &mut Standing) -> Option<Restored> {
    let shown = standing.shown.take()?;
    Some(Restored::Shown { job, candidate, shown })
}
