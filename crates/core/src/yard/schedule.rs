//! Who starts next, and where.

use std::sync::Arc;

use crate::queue::Rank;
use crate::{
    Class, Event, Fact, Job, Node, NodeId, Order, Phase, Queue, QueueName, QueueSettings, Resources, Subject,
    Submission, Timestamp,
};

use super::{ClassKey, Line, SubjectKey, Yard};

/// A job that has waited so long for resources that others may not take them any more.
#[derive(Clone, Copy)]
pub(super) struct Reservation<'a> {
    pub(super) rank: Rank,
    pub(super) order: Order,
    class: &'a Class,
}

impl Reservation<'_> {
    /// Whether it keeps `class` from taking something of this node.
    fn keeps(&self, node: &Node, free: &Resources, class: &Class) -> bool {
        node.suits(&self.class.kind, &self.class.resources)
            && free.lacks(&self.class.resources).any(|lacking| class.resources.amount(lacking) > 0)
    }
}

impl Yard {
    /// The next thing that happens by itself at `now`: a timer, a clearing out, a start. One at a time, so that each
    /// is decided in the state that the one before has left.
    pub(super) fn decide_next(&self, now: Timestamp) -> Option<Vec<Fact>> {
        self.decide_due(now)
            .or_else(|| self.forget_finished(now))
            .or_else(|| Some(vec![self.next_start(now)?]))
    }

    /// The start of a job that was just submitted and is alone with its subject, when nothing stands in its way and
    /// nothing else is due: in a settled yard no other job can be waiting for the same room.
    pub(super) fn start_at_once(&self, now: Timestamp, submission: &Submission) -> Option<Fact> {
        let class = &submission.class;
        let due = submission.not_before.is_none_or(|not_before| not_before <= now);
        if !due || !self.is_open(class) || self.busy.contains_key(&submission.subject) {
            return None;
        }
        self.place(class, None)?;
        if self.next_deadline().is_some_and(|due| due <= now) || self.next_start(now).is_some() {
            return None;
        }
        let node = self.place(class, self.reservation(now))?;
        Some(Fact {
            at: now,
            event: Event::Started { job: submission.job, lease: self.last_lease.next(), node },
        })
    }

    fn next_start(&self, now: Timestamp) -> Option<Fact> {
        // Whoever finds no room at all need not be held against a reservation, which is dearer to find.
        let roomy = |class: &Class| self.is_open(class) && self.place(class, None).is_some();
        if !self.ready.keys().any(|ClassKey(class)| roomy(class)) {
            return None;
        }
        let reservation = self.reservation(now);
        let mut best: Option<(Rank, Order, NodeId)> = None;
        for (ClassKey(class), line) in &self.ready {
            let Some(&(rank, order)) = line.first() else { continue };
            let is_first =
                best.is_none_or(|(best_rank, best_order, _)| (rank, order) < (best_rank, best_order));
            if !is_first || !self.is_open(class) {
                continue;
            }
            let reservation =
                reservation.filter(|reservation| (reservation.rank, reservation.order) < (rank, order));
            if let Some(node) = self.place(class, reservation) {
                best = Some((rank, order, node));
            }
        }
        let (_, order, node) = best?;
        let event = Event::Started { job: self.jobs[order].id, lease: self.last_lease.next(), node };
        Some(Fact { at: now, event })
    }

    /// The node for a job of this class: of those with room the one with most slots left, the first by id among equals.
    pub(super) fn place(&self, class: &Class, reservation: Option<Reservation<'_>>) -> Option<NodeId> {
        let mut best: Option<(u64, NodeId)> = None;
        for (id, node) in &self.nodes {
            if !node.suits(&class.kind, &class.resources) {
                continue;
            }
            let free = node.free();
            let kept = reservation.is_some_and(|reservation| reservation.keeps(node, &free, class));
            let slots = free.amount(Resources::SLOT);
            if free.covers(&class.resources) && !kept && best.is_none_or(|(most, _)| slots > most) {
                best = Some((slots, *id));
            }
        }
        best.map(|(_, id)| id)
    }

    /// The first job that could run somewhere, finds no room, and has waited longer than
    /// `Settings::reserve_after`.
    pub(super) fn reservation(&self, now: Timestamp) -> Option<Reservation<'_>> {
        if self.ready.is_empty() {
            return None;
        }
        let lacks_room = |class: &Class| {
            let mut suitable =
                self.nodes.values().filter(|node| node.suits(&class.kind, &class.resources)).peekable();
            suitable.peek().is_some() && !suitable.any(|node| node.free().covers(&class.resources))
        };
        self.ready
            .iter()
            .filter_map(|(ClassKey(class), line)| {
                line.first().map(|(rank, order)| Reservation { rank: *rank, order: *order, class })
            })
            .filter(|head| now.since(could_start_at(&self.jobs[head.order])) >= self.settings.reserve_after)
            .filter(|head| self.is_open(head.class) && lacks_room(head.class))
            .min_by_key(|head| (head.rank, head.order))
    }

    /// The jobs that wait in a queue, first to go first. Among jobs of one subject, which never run together, that is
    /// the order too. Costs nothing when nobody waits, else a look at every unfinished job of the yard.
    pub fn waiting(&self, queue: &QueueName) -> impl Iterator<Item = &Job> {
        let mut waiting = Vec::new();
        if let Some(line) = self.queues.get(queue).filter(|line| line.waiting > 0) {
            let in_line = |job: &&Job| job.class.queue == *queue && matches!(job.phase, Phase::Waiting(_));
            waiting.extend(self.unfinished.orders().map(|order| &*self.jobs[order]).filter(in_line));
            waiting.sort_by_key(|job| {
                (Rank::new(job.submitted_at, job.priority, line.settings.priority_step), job.order)
            });
        }
        waiting.into_iter()
    }

    pub(super) fn rank(&self, job: &Job) -> Rank {
        let settings =
            self.queues.get(&job.class.queue).map_or_else(QueueSettings::default, |queue| queue.settings);
        Rank::new(job.submitted_at, job.priority, settings.priority_step)
    }

    fn is_open(&self, class: &Class) -> bool {
        self.queues.get(&class.queue).is_none_or(Queue::is_open)
    }

    pub(super) fn is_eligible(&self, job: &Job) -> bool {
        match &job.phase {
            Phase::Waiting(waiting) => waiting.held.is_none() && waiting.not_before <= self.now,
            Phase::Running(_) | Phase::Finished(_) => false,
        }
    }

    /// After a change of one job: puts the jobs of its subject that could go next into the line for room. Of a free
    /// subject that is the first of each class, since one that its queue or its demand holds back is no reason for
    /// another to wait; of a busy one nobody.
    pub(super) fn line_up(&mut self, order: Order, key: SubjectKey) {
        let job = &self.jobs[order];
        match (self.busy.get(&job.subject), self.unfinished.get(key)) {
            (_, None) => {}
            // Nobody of a busy subject stands in that line, unless it has become busy just now.
            (Some(busy), Some(_)) if *busy != order => {}
            (Some(_), Some(Line::One(only))) if only == order => {}
            (Some(_), Some(_)) => {
                let waiting = self.unfinished(&job.subject).filter(|job| self.is_eligible(job));
                let places: Vec<_> = waiting.map(|job| (self.rank(job), job.order)).collect();
                places.into_iter().for_each(|place| self.step_out(place));
            }
            (None, Some(Line::One(only))) => {
                let next = &self.jobs[only];
                // Or else it is of another subject with the same number, which may be busy.
                let is_of_it = only == order || next.subject == job.subject;
                if is_of_it && self.is_eligible(next) {
                    let place = (self.rank(next), next.order);
                    self.ready.entry(ClassKey(Arc::clone(&next.class))).or_default().insert(place, ());
                }
            }
            (None, Some(Line::Many(_))) => {
                let subject = job.subject.clone();
                self.line_up_many(&subject);
            }
        }
    }

    fn line_up_many(&mut self, subject: &Subject) {
        let mut firsts: Vec<(ClassKey, (Rank, Order))> = Vec::new();
        let mut others: Vec<(Rank, Order)> = Vec::new();
        for job in self.unfinished(subject).filter(|job| self.is_eligible(job)) {
            let key = (self.rank(job), job.order);
            let class = ClassKey(Arc::clone(&job.class));
            match firsts.iter_mut().find(|(known, _)| *known == class) {
                None => firsts.push((class, key)),
                Some((_, first)) if key < *first => others.push(std::mem::replace(first, key)),
                Some(_) => others.push(key),
            }
        }
        for key in others {
            self.step_out(key);
        }
        for (class, key) in firsts {
            self.ready.entry(class).or_default().insert(key, ());
        }
    }

    /// Takes a job out of the line for room, if it stands there.
    pub(super) fn step_out(&mut self, (rank, order): (Rank, Order)) {
        let class = ClassKey(Arc::clone(&self.jobs[order].class));
        if let Some(line) = self.ready.get_mut(&class) {
            line.remove(&(rank, order));
            if line.is_empty() {
                self.ready.remove(&class);
            }
        }
    }
}

/// Since when a job in line might have been started, had there been room.
fn could_start_at(job: &Job) -> Timestamp {
    match &job.phase {
        Phase::Waiting(waiting) => job.submitted_at.max(waiting.not_before),
        Phase::Running(_) | Phase::Finished(_) => job.submitted_at,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]
mod tests {
    use crate::*;

    fn send(yard: &mut Yard, command: &Command) -> Option<Run> {
        let facts = yard.handle(Timestamp::from_millis(0), command).expect("it is done").facts;
        facts.iter().find_map(|fact| match fact.event {
            Event::Started { job, lease, .. } => Some(Run { job, lease }),
            _ => None,
        })
    }

    fn submit(yard: &mut Yard, job: u128, subject: &str) -> Option<Run> {
        let class = Class::new(Kind::new("kind").unwrap(), QueueName::new("queue").unwrap());
        let subject = Subject::new(subject).unwrap();
        let submission = Submission::new(JobId::from_u128(job), subject, class.into());
        send(yard, &Command::Submit(submission.into()))
    }

    #[test]
    fn a_subject_that_shares_its_number_is_not_started_twice() {
        let mut yard = Yard::default();
        let kinds = [(Kind::new("kind").unwrap(), Placement::InProcess)].into();
        let abilities = Abilities { kinds, capacity: Resources::slots(3) };
        send(&mut yard, &Command::JoinNode { node: NodeId::from_u128(1), abilities });
        let drains = submit(&mut yard, 1, "same number/one").expect("it is started");
        assert_eq!(submit(&mut yard, 2, "same number/one"), None, "its subject is busy");
        send(&mut yard, &Command::Cancel { job: drains.job, reason: Reason::new("") });

        let other = submit(&mut yard, 3, "same number/two").expect("it is started");
        let end = RunEnd::Completed { trained: Trained::default(), model: ModelId::from_u128(1), last: None };
        let started = send(&mut yard, &Command::Finish { run: other, end });
        assert_eq!(started, None, "the trainer of its subject has yet to stop");
        let started = send(&mut yard, &Command::Finish { run: drains, end: RunEnd::Stopped });
        assert_eq!(started.map(|run| run.job), Some(JobId::from_u128(2)));
    }
}
