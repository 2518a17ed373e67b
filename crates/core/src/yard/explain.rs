//! Which predicates hold a job back, and by how much.

use crate::{Blocker, Job, JobId, Phase, Resource, Resources, Timestamp, Waiting};

use super::Yard;

impl Yard {
    /// What holds a job back at `now`, with numbers. Nothing when it runs or is over, `None` when there is no such job.
    #[must_use]
    pub fn explain(&self, now: Timestamp, job: JobId) -> Option<Vec<Blocker>> {
        let job = self.job(job)?;
        Some(match &job.phase {
            Phase::Waiting(waiting) => self.blockers(now, job, waiting),
            Phase::Running(_) | Phase::Finished(_) => vec![],
        })
    }

    fn blockers(&self, now: Timestamp, job: &Job, waiting: &Waiting) -> Vec<Blocker> {
        let mut blockers = Vec::new();
        if let Some(reason) = &waiting.held {
            blockers.push(Blocker::Held { reason: reason.clone() });
        }
        if waiting.not_before > now {
            let not_before = waiting.not_before;
            blockers.push(Blocker::NotYet { not_before, left: not_before.since(now) });
        }
        blockers.extend(self.queue_blocker(job));
        blockers.extend(self.subject_blocker(job));
        blockers.extend(self.room_blocker(now, job));
        let rank = (self.rank(job), job.order);
        let ahead = self.ready.iter().filter(|(class, _)| class.0.queue == job.class.queue);
        let jobs = ahead.map(|(_, line)| line.count_before(&rank) as u64).sum();
        if jobs > 0 {
            blockers.push(Blocker::Behind { jobs });
        }
        blockers
    }

    fn queue_blocker(&self, job: &Job) -> Option<Blocker> {
        let name = job.class.queue.clone();
        let queue = self.queues.get(&name)?;
        match (&queue.paused, queue.settings.running_max) {
            (Some(reason), _) => Some(Blocker::QueuePaused { queue: name, reason: reason.clone() }),
            (None, Some(max)) if queue.running >= max => {
                Some(Blocker::QueueLimit { queue: name, running: queue.running, max })
            }
            (None, Some(_) | None) => None,
        }
    }

    fn subject_blocker(&self, job: &Job) -> Option<Blocker> {
        if let Some(order) = self.busy.get(&job.subject) {
            let by = &self.jobs[*order];
            let draining = by.draining().is_some();
            return Some(Blocker::SubjectBusy { subject: job.subject.clone(), job: by.id, draining });
        }
        let first =
            self.unfinished(&job.subject).filter(|other| other.class == job.class && self.is_eligible(other));
        let first = first.min_by_key(|other| (self.rank(other), other.order))?;
        (first.id != job.id && (self.rank(first), first.order) < (self.rank(job), job.order))
            .then_some(Blocker::SubjectBehind { job: first.id })
    }

    fn room_blocker(&self, now: Timestamp, job: &Job) -> Option<Blocker> {
        let demand = &job.class.resources;
        let kind = &job.class.kind;
        let mut trains = self
            .nodes
            .iter()
            .filter(|(_, node)| node.is_alive() && node.abilities.kinds.contains_key(kind))
            .peekable();
        if trains.peek().is_none() {
            return Some(Blocker::NoNode { kind: kind.clone() });
        }
        // The node that comes closest: one that could ever do it, with the fewest things lacking now.
        let (id, node) = trains.min_by_key(|(_, node)| {
            let never = !node.abilities.capacity.covers(demand);
            (never, node.free().lacks(demand).count())
        })?;
        let free = node.free();
        if let Some(lacking) = free.lacks(demand).next() {
            return Some(Blocker::NoCapacity {
                node: *id,
                resource: Resource::new(lacking).unwrap_or_else(|_| slot()),
                needed: demand.amount(lacking),
                free: free.amount(lacking),
                total: node.abilities.capacity.amount(lacking),
            });
        }
        let reservation = self.reservation(now)?;
        let kept = (reservation.rank, reservation.order) < (self.rank(job), job.order)
            && self.place(&job.class, Some(reservation)).is_none();
        kept.then(|| Blocker::Reserved { job: self.jobs[reservation.order].id })
    }
}

fn slot() -> Resource {
    Resource::new(Resources::SLOT).expect("`slot` is a name")
}
