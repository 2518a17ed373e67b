//! The whole of it as one state machine.

mod apply;
mod books;
mod decide;
mod explain;
mod finish;
mod packed;
mod pages;
mod schedule;
mod snapshot;
mod subjects;
mod timers;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::queue::Rank;
use crate::{
    Answer, Class, Command, Decision, Fact, History, IdempotencyKey, Job, JobId, Kind, Lease, Model, ModelId,
    Node, NodeId, Order, Phase, Queue, QueueName, Registry, Rejection, RetrainRule, Settings, Subject,
    Template, Timestamp,
};

use packed::Packed;
use pages::Pages;
use subjects::{Line, SubjectKey, Subjects};
use timers::Timer;

pub use apply::Impossible;

/// Jobs, queues, contests, retrain rules, models and nodes as one state machine. See the [crate docs](crate).
///
/// Two yards are equal when they would behave alike for ever; replaying a log rebuilds an equal one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Yard {
    now: Timestamp,
    settings: Settings,
    next_order: Order,
    last_lease: Lease,
    /// Shared with other yards that hold the same, until one of them changes it.
    jobs: Pages<Arc<Job>>,
    orders: Packed<JobId, Order>,
    keys: BTreeMap<IdempotencyKey, Order>,
    queues: BTreeMap<QueueName, Queue>,
    /// Jobs that could start at once if there were room for them, by what they need.
    ready: BTreeMap<ClassKey, Packed<(Rank, Order), ()>>,
    /// Every job in line or at work, by its subject.
    unfinished: Subjects,
    /// Subjects with a run that may be at work.
    busy: BTreeMap<Subject, Order>,
    /// Jobs that are over for good, by the queue they came from.
    finished: BTreeMap<QueueName, BTreeSet<Order>>,
    /// The same, by subject.
    over: Subjects,
    nodes: BTreeMap<NodeId, Node>,
    rules: BTreeMap<Subject, Rule>,
    models: BTreeMap<ModelId, Arc<Model>>,
    registries: BTreeMap<Registry, RegistryState>,
    timers: BTreeSet<(Timestamp, Timer)>,
    /// Jobs in line that are not to be started before a moment that lies ahead.
    delayed: BTreeSet<(Timestamp, Order)>,
}

/// A subject's retrain rule and what it remembers.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The rule.
    pub rule: RetrainRule,
    /// What is submitted when it fires.
    pub template: Arc<Template>,
    /// What it remembers of the subject's runs.
    pub history: History,
    /// What it said last, if that was stored.
    pub decision: Option<Arc<Decision>>,
    /// The id of the job, should it fire by itself when a cooldown is over.
    pub next_job: Option<JobId>,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct RegistryState {
    active: Option<ModelId>,
    /// Oldest first.
    models: Vec<ModelId>,
}

/// What a command leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    /// What will have happened; empty when nothing needs to.
    pub facts: Vec<Fact>,
    /// What to answer once the facts are durable.
    pub answer: Answer,
}

/// What a command has led to, with everything that followed from it.
pub type Handled = Ruling;

impl Yard {
    /// Decides a command, applies its facts, and goes on with whatever is due or can start because of them: [`Yard::take`],
    /// then [`Yard::settle_step`] until there is nothing left to do.
    ///
    /// The facts are in order. Nothing of this may be shown or answered before they are durable; if they cannot be
    /// made so, this yard is ahead of its journal and must be dropped.
    ///
    /// # Errors
    /// [`Rejection`] when the command makes no sense in this state. What was due is then left for the next call.
    pub fn handle(&mut self, now: Timestamp, command: &Command) -> Result<Handled, Rejection> {
        let Ruling { mut facts, answer } = self.take(now, command)?;
        while let Some(due) = self.settle_step(now) {
            facts.extend(due);
        }
        Ok(Ruling { facts, answer })
    }

    /// Decides a command and applies its facts, and nothing else: what is due is left for [`Yard::settle_step`]. So
    /// several commands of one moment are taken before time has its say about any of them.
    ///
    /// # Errors
    /// [`Rejection`] when the command makes no sense in this state; the yard is as before.
    pub fn take(&mut self, now: Timestamp, command: &Command) -> Result<Ruling, Rejection> {
        let ruling = self.decide(now, command)?;
        self.apply_decided(&ruling.facts);
        Ok(ruling)
    }

    /// Does the next thing that is due or can start at `now`, and says what that was; `None` when the yard is settled.
    pub fn settle_step(&mut self, now: Timestamp) -> Option<Vec<Fact>> {
        let due = self.decide_next(now)?;
        debug_assert!(!due.is_empty(), "what is due leads to something, or it would be due for ever");
        self.apply_decided(&due);
        Some(due)
    }

    /// When to send [`Command::Tick`] at the latest, or `None` when only a command can change anything.
    ///
    /// After [`Yard::handle`] at `now` this is later than `now`.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let delayed = self.delayed.first().map(|(at, _)| *at);
        let timer = self.timers.first().map(|(at, _)| *at);
        delayed.into_iter().chain(timer).min()
    }

    /// The moment of the last fact.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Its bounds and habits.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A job, while it is in the books.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<&Job> {
        self.orders.get(&job).map(|order| &*self.jobs[*order])
    }

    /// All jobs in the books, in the order of submission.
    pub fn jobs(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.jobs.values().map(|job| &**job)
    }

    /// The jobs of a subject that are in line or at work, in the order of submission.
    pub fn unfinished<'a>(
        &'a self,
        subject: &'a Subject,
    ) -> impl DoubleEndedIterator<Item = &'a Job> + use<'a> {
        let orders = self.unfinished.get(SubjectKey::of(subject)).into_iter().flat_map(Line::iter);
        orders.map(|order| &*self.jobs[order]).filter(move |job| job.subject == *subject)
    }

    /// The newest job of a subject that is in the books, however far it is.
    #[must_use]
    pub fn newest(&self, subject: &Subject) -> Option<&Job> {
        let mut over = self.over.get(SubjectKey::of(subject)).into_iter().flat_map(Line::iter);
        let over = over.rfind(|order| self.jobs[*order].subject == *subject);
        let unfinished = self.unfinished(subject).next_back().map(|job| job.order);
        let newest = [over, self.busy.get(subject).copied(), unfinished].into_iter().flatten().max()?;
        self.jobs.get(newest).map(|job| &**job)
    }

    /// The jobs that run, or are over while a trainer has yet to stop; by subject.
    pub fn occupying(&self) -> impl Iterator<Item = &Job> {
        self.busy.values().map(|order| &*self.jobs[*order])
    }

    /// The jobs of a queue that are over for good and still in the books, in the order of submission.
    pub fn over(&self, queue: &QueueName) -> impl DoubleEndedIterator<Item = &Job> {
        let over = self.finished.get(queue).into_iter().flatten();
        over.map(|order| &*self.jobs[*order])
    }

    /// A queue, once anything was put in it or said about it.
    #[must_use]
    pub fn queue(&self, queue: &QueueName) -> Option<&Queue> {
        self.queues.get(queue)
    }

    /// All queues, by name.
    pub fn queues(&self) -> impl Iterator<Item = (&QueueName, &Queue)> {
        self.queues.iter()
    }

    /// A node that has ever joined.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Option<&Node> {
        self.nodes.get(&node)
    }

    /// All nodes that have ever joined, by id.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().map(|(id, node)| (*id, node))
    }

    /// Whether a node has said that it trains this kind, alive or not.
    #[must_use]
    pub fn trains(&self, kind: &Kind) -> bool {
        self.nodes.values().any(|node| node.abilities.kinds.contains_key(kind))
    }

    /// A subject's retrain rule.
    #[must_use]
    pub fn rule(&self, subject: &Subject) -> Option<&Rule> {
        self.rules.get(subject)
    }

    /// All retrain rules, by subject.
    pub fn rules(&self) -> impl Iterator<Item = (&Subject, &Rule)> {
        self.rules.iter()
    }

    /// A model, while it is in the books.
    #[must_use]
    pub fn model(&self, model: ModelId) -> Option<&Arc<Model>> {
        self.models.get(&model)
    }

    /// The models of a registry, oldest first.
    pub fn models(&self, registry: &Registry) -> impl DoubleEndedIterator<Item = &Arc<Model>> {
        self.registries
            .get(registry)
            .into_iter()
            .flat_map(|state| &state.models)
            .map(|model| &self.models[model])
    }

    /// All registries, by name.
    pub fn registries(&self) -> impl Iterator<Item = &Registry> {
        self.registries.keys()
    }

    /// The one of a registry.
    #[must_use]
    pub fn active_model(&self, registry: &Registry) -> Option<&Arc<Model>> {
        self.models.get(&self.registries.get(registry)?.active?)
    }

    /// Holds those of these jobs that wait together with another yard from now on, where both hold the same: two yards
    /// that were led by the same facts then take little more memory than one, since it is in line that jobs are many.
    /// Nobody sees a difference, and a change of one stays its own.
    pub fn share_waiting(&mut self, other: &Self, jobs: impl IntoIterator<Item = JobId>) {
        for job in jobs {
            let Some(order) = self.orders.get(&job).copied() else { continue };
            let (Some(mine), Some(theirs)) = (self.jobs.get_mut(order), other.jobs.get(order)) else {
                continue;
            };
            if matches!(mine.phase, Phase::Waiting(_)) && mine == theirs {
                *mine = Arc::clone(theirs);
            }
        }
    }

    fn apply_decided(&mut self, facts: &[Fact]) {
        for fact in facts {
            self.apply(fact).expect("a fact that was just decided fits the state it was decided in");
        }
    }

    fn job_mut(&mut self, job: JobId) -> Option<&mut Job> {
        self.jobs.get_mut(*self.orders.get(&job)?).map(Arc::make_mut)
    }
}

/// A class that is known again by its address before its contents are compared.
#[derive(Debug, Clone)]
struct ClassKey(Arc<Class>);

impl Ord for ClassKey {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for ClassKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ClassKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ClassKey {}
