//! Everything that is derived from jobs, nodes and rules, kept true while they change.

use std::sync::Arc;

use crate::{
    Epoch, Job, JobId, ModelId, Node, NodeId, Order, Phase, Queue, QueueName, Registry, Subject, Timestamp,
};

use super::apply::{Impossible, no_job};
use super::timers::Timer;
use super::{ClassKey, Rule, SubjectKey, Yard};

impl Yard {
    /// Time has passed: whoever waited for a moment that has come is in line for room.
    pub(super) fn wake(&mut self) {
        while let Some((_, order)) = self.delayed.first().copied().filter(|(at, _)| *at <= self.now) {
            self.delayed.pop_first();
            self.line_up(order, SubjectKey::of(&self.jobs[order].subject));
        }
    }

    pub(super) fn set_node(&mut self, id: NodeId, node: Node) {
        if let Some(until) = self.nodes.get(&id).and_then(|old| old.alive_until) {
            self.timers.remove(&(until, Timer::NodeLease(id)));
        }
        if let Some(until) = node.alive_until {
            self.timers.insert((until, Timer::NodeLease(id)));
        }
        self.nodes.insert(id, node);
    }

    pub(super) fn set_rule(&mut self, subject: &Subject, rule: Option<Rule>) {
        if let Some(at) = self.rules.get(subject).and_then(Rule::reconsider_at) {
            self.timers.remove(&(at, Timer::Rule(subject.clone())));
        }
        match rule {
            Some(rule) => {
                if let Some(at) = rule.reconsider_at() {
                    self.timers.insert((at, Timer::Rule(subject.clone())));
                }
                self.rules.insert(subject.clone(), rule);
            }
            None => drop(self.rules.remove(subject)),
        }
    }

    pub(super) fn queue_mut(&mut self, queue: &QueueName) -> &mut Queue {
        if !self.queues.contains_key(queue) {
            self.queues.insert(queue.clone(), Queue::default());
        }
        self.queues.get_mut(queue).expect("it was put there if it was missing")
    }

    /// A queue's settings say how its jobs are ordered: everybody in line for room is put there anew.
    pub(super) fn line_up_again(&mut self, queue: &QueueName) {
        let of_queue = |class: &&ClassKey| class.0.queue == *queue;
        let classes: Vec<ClassKey> = self.ready.keys().filter(|class| of_queue(class)).cloned().collect();
        for class in classes {
            let line = self.ready.remove(&class).unwrap_or_default();
            for ((_, order), ()) in line.iter() {
                let order = *order;
                self.line_up(order, SubjectKey::of(&self.jobs[order].subject));
            }
        }
    }

    pub(super) fn forget_job(&mut self, job: JobId) -> Result<(), Impossible> {
        let order = self.orders.remove(&job).ok_or_else(|| no_job(job))?;
        if !matches!(role(&self.jobs[order]), Role::Over) {
            return Err(Impossible::new(format!("job {job} is forgotten before it is over")));
        }
        self.unindex(order);
        if let Some(key) = self.jobs.remove(order).as_ref().and_then(|job| job.key()) {
            self.keys.remove(key);
        }
        Ok(())
    }

    pub(super) fn forget_model(&mut self, model: ModelId) {
        let Some(model) = self.models.remove(&model) else {
            return;
        };
        let registry: &Registry = &model.registry;
        if let Some(state) = self.registries.get_mut(registry) {
            state.models.retain(|id| *id != model.id);
            state.active.take_if(|id| *id == model.id);
            if state.models.is_empty() {
                self.registries.remove(registry);
            }
        }
    }

    pub(super) fn insert(&mut self, job: Job) {
        let (id, order, subject) = (job.id, job.order, SubjectKey::of(&job.subject));
        if let Some(key) = job.key() {
            self.keys.insert(key.clone(), order);
        }
        self.queue_mut(&job.class.queue);
        self.orders.insert(id, order);
        if !job.is_finished() {
            self.unfinished.insert(subject, order);
        }
        self.jobs.insert(order, Arc::new(job));
        self.index(order);
        self.line_up(order, subject);
    }

    /// Changes a job and everything that is derived from it.
    pub(super) fn change(
        &mut self,
        id: JobId,
        change: impl FnOnce(&mut Job) -> Result<(), Impossible>,
    ) -> Result<(), Impossible> {
        let order = *self.orders.get(&id).ok_or_else(|| no_job(id))?;
        self.unindex(order);
        let job = Arc::make_mut(self.jobs.get_mut(order).ok_or_else(|| no_job(id))?);
        let was_running = job.running().is_some();
        let was_finished = job.is_finished();
        change(job)?;
        let runs_on = was_running && job.running().is_some();
        let has_ended = !was_finished && job.is_finished();
        let subject = (!runs_on).then(|| SubjectKey::of(&job.subject));
        self.index(order);
        let Some(subject) = subject else { return Ok(()) };
        if !(has_ended && self.unfinished.remove(subject, order)) {
            self.line_up(order, subject);
        }
        Ok(())
    }

    /// Takes room for a job, or counts it among those in line or those that are over.
    fn index(&mut self, order: Order) {
        let job = &self.jobs[order];
        for timer in self.timers_of(job).into_iter().flatten() {
            self.timers.insert(timer);
        }
        let queue = self.queues.get_mut(&job.class.queue).expect("the queue of a job is in the books");
        match role(job) {
            Role::InLine => {
                queue.waiting = queue.waiting.saturating_add(1);
                self.delayed.extend(delayed_until(job, self.now));
            }
            Role::Over => {
                self.finished.entry(job.class.queue.clone()).or_default().insert(order);
                self.over.insert(SubjectKey::of(&job.subject), order);
            }
            Role::Occupies(id, epoch) => {
                queue.running = queue.running.saturating_add(1);
                self.busy.insert(job.subject.clone(), order);
                if let Some(node) = self.nodes.get_mut(&id).filter(|node| node.epoch == epoch) {
                    node.used = node.used.plus(&job.class.resources);
                }
            }
        }
    }

    /// The reverse of [`Yard::index`].
    fn unindex(&mut self, order: Order) {
        let job = &self.jobs[order];
        for timer in self.timers_of(job).into_iter().flatten() {
            self.timers.remove(&timer);
        }
        let queue = self.queues.get_mut(&job.class.queue).expect("the queue of a job is in the books");
        match role(job) {
            Role::InLine => {
                queue.waiting = queue.waiting.saturating_sub(1);
                if let Some(entry) = delayed_until(job, self.now) {
                    self.delayed.remove(&entry);
                }
                self.step_out((self.rank(&self.jobs[order]), order));
            }
            Role::Over => {
                if let Some(finished) = self.finished.get_mut(&job.class.queue) {
                    finished.remove(&order);
                    if finished.is_empty() {
                        self.finished.remove(&job.class.queue);
                    }
                }
                self.over.remove(SubjectKey::of(&job.subject), order);
            }
            Role::Occupies(id, epoch) => {
                queue.running = queue.running.saturating_sub(1);
                self.busy.remove(&job.subject);
                if let Some(node) = self.nodes.get_mut(&id).filter(|node| node.epoch == epoch) {
                    node.used = node.used.minus(&job.class.resources);
                }
            }
        }
    }
}

/// What a job counts as.
enum Role {
    InLine,
    Occupies(NodeId, Epoch),
    Over,
}

fn role(job: &Job) -> Role {
    match &job.phase {
        Phase::Waiting(_) => Role::InLine,
        Phase::Running(running) => Role::Occupies(running.node, running.epoch),
        Phase::Finished(finished) => match &finished.draining {
            Some(draining) => Role::Occupies(draining.node, draining.epoch),
            None => Role::Over,
        },
    }
}

/// The moment that a job in line waits for, if one lies ahead.
fn delayed_until(job: &Job, now: Timestamp) -> Option<(Timestamp, Order)> {
    match &job.phase {
        Phase::Waiting(waiting) => {
            let waits = waiting.held.is_none() && waiting.not_before > now;
            waits.then_some((waiting.not_before, job.order))
        }
        Phase::Running(_) | Phase::Finished(_) => None,
    }
}
