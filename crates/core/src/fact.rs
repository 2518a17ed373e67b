//! What has happened, for ever.

use std::sync::Arc;
use std::time::Duration;

use crate::{
    Abilities, Admission, CandidateId, Checkpoint, Class, Decision, Epoch, Holder, Job, JobId, Lease, Model,
    ModelId, Node, NodeId, Order, Outcome, Parameters, Queue, QueueName, QueueSettings, Reason, Registry,
    Retention, RetrainRule, Rule, Score, Settings, Shown, Subject, Submission, Timestamp, Trained,
};

/// Something that has happened at a moment. Journals hold these; applying them in order rebuilds the yard.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// What has happened. The alphabet of the journal: new letters may come, none changes its meaning.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Time has passed: whatever was not to be started earlier may be.
    Ticked,
    /// The yard has other settings.
    Configured(Settings),
    /// A process has opened the journal.
    NodeJoined {
        /// Which node.
        node: NodeId,
        /// How often it has, now.
        epoch: Epoch,
        /// What it can train.
        abilities: Abilities,
        /// Until when it counts as alive.
        until: Timestamp,
    },
    /// A node has shown that it is there.
    NodeAlive {
        /// Which node.
        node: NodeId,
        /// Until when it counts as alive.
        until: Timestamp,
    },
    /// A node has left, or was not heard of in time.
    NodeLost {
        /// Which node.
        node: NodeId,
    },
    /// A queue has other settings.
    QueueConfigured {
        /// Which queue.
        queue: QueueName,
        /// How it lets its jobs through.
        settings: QueueSettings,
    },
    /// So much of a queue's work is kept.
    RetentionSet {
        /// Which queue.
        queue: QueueName,
        /// How much.
        retention: Retention,
    },
    /// A queue lets nobody through.
    QueuePaused {
        /// Which queue.
        queue: QueueName,
        /// Why.
        reason: Reason,
    },
    /// A paused queue lets its jobs through again.
    QueueResumed {
        /// Which queue.
        queue: QueueName,
    },
    /// A job is in line.
    Submitted {
        /// What was asked for.
        submission: Arc<Submission>,
    },
    /// A job in line has newer parameters.
    Updated {
        /// Which job.
        job: JobId,
        /// What its trainer is told now.
        parameters: Parameters,
        /// How much there is to train on now.
        watermark: Option<u64>,
    },
    /// A job is at work. Of a contest, every candidate that is not out is, under the leases that follow.
    Started {
        /// Which job.
        job: JobId,
        /// The right to write for this attempt.
        lease: Lease,
        /// Where.
        node: NodeId,
    },
    /// A run has shown something.
    Reported {
        /// Which job.
        job: JobId,
        /// Whose run.
        lease: Lease,
        /// The step it is at. A report about an older step than the newest of its run's [`Standing`](crate::Standing)
        /// says that the run is alive and nothing else.
        step: u64,
        /// How well it does.
        performance: Option<Score>,
    },
    /// A candidate has reached its contest's target, and holds the win unless another does. What it has reached with
    /// counts whatever its step, once.
    Reached {
        /// Which contest.
        job: JobId,
        /// Whose run.
        lease: Lease,
        /// The step it was at.
        step: u64,
        /// How well it does.
        performance: Score,
    },
    /// A candidate that has reached the target has handed over, while another holds the win.
    HandedOver {
        /// Which contest.
        job: JobId,
        /// Whose run.
        lease: Lease,
        /// The id of the model, should it win.
        model: ModelId,
        /// What it has trained.
        trained: Trained,
    },
    /// A run can go on from here.
    Checkpointed {
        /// Which job.
        job: JobId,
        /// Whose run.
        lease: Lease,
        /// From where.
        checkpoint: Checkpoint,
    },
    /// A candidate is out; its contest goes on.
    CandidateEnded {
        /// Which contest.
        job: JobId,
        /// Whose run.
        lease: Lease,
        /// How it ended.
        outcome: Outcome,
    },
    /// An attempt has ended without an outcome; the job is in line again.
    Interrupted {
        /// Which job.
        job: JobId,
        /// Of what sort it was.
        cause: Interruption,
        /// Why, in words.
        reason: Reason,
        /// How long the attempt ran.
        ran: Duration,
    },
    /// A try has failed; another one follows.
    Retried {
        /// Which job.
        job: JobId,
        /// Of what it failed.
        reason: Reason,
        /// Not to be started earlier.
        not_before: Timestamp,
        /// How long the attempt ran.
        ran: Duration,
    },
    /// A job in line is not to be started.
    Held {
        /// Which job.
        job: JobId,
        /// Why.
        reason: Reason,
    },
    /// A job that was held may be started again.
    Unheld {
        /// Which job.
        job: JobId,
    },
    /// A node was restarted, and an attempt that may have outlived it has yet to be found.
    Recovering {
        /// Which job.
        job: JobId,
    },
    /// An attempt that outlived its node's restart was found.
    Recovered {
        /// Which job.
        job: JobId,
    },
    /// A job is over.
    Finished {
        /// Which job.
        job: JobId,
        /// How it ended.
        outcome: Outcome,
        /// The run that ended with it, and is no longer at work.
        released: Option<Lease>,
        /// When the runs that may still be at work are given up.
        deadline: Timestamp,
    },
    /// A run is no longer at work.
    Released {
        /// Which job.
        job: JobId,
        /// Whose run.
        lease: Lease,
        /// Whether it has stopped, or was given up.
        how: Release,
    },
    /// A subject is retrained by a rule from now on.
    RuleSet {
        /// Which subject.
        subject: Subject,
        /// By which rule.
        rule: RetrainRule,
        /// What is submitted when it fires.
        template: Arc<Template>,
    },
    /// A subject is no longer retrained by a rule.
    RuleRemoved {
        /// Which subject.
        subject: Subject,
    },
    /// A rule was asked, and said something else than before, or fired.
    Decided {
        /// About which subject.
        subject: Subject,
        /// What it said.
        decision: Arc<Decision>,
        /// The id of the job, should the rule fire by itself when a cooldown is over.
        next_job: JobId,
    },
    /// A model is in its registry.
    ModelRegistered {
        /// The model.
        model: Arc<Model>,
    },
    /// A model is the one of its registry.
    ModelActivated {
        /// Of which registry.
        registry: Registry,
        /// Which model.
        model: ModelId,
    },
    /// Models are gone from the registry.
    ModelsForgotten {
        /// Which.
        models: Vec<ModelId>,
    },
    /// A subject is no more: its rule and models are gone. Its jobs were cancelled before.
    Retired {
        /// Which subject.
        subject: Subject,
    },
    /// Finished jobs are gone from the books.
    Forgotten {
        /// Which.
        jobs: Vec<JobId>,
    },
    /// Part of a snapshot.
    Restored(Box<Restored>),
}

impl Event {
    /// The one job that this is about, if it is about one.
    #[must_use]
    pub fn job(&self) -> Option<JobId> {
        match self {
            Self::Submitted { submission } => Some(submission.job),
            Self::Updated { job, .. }
            | Self::Started { job, .. }
            | Self::Reported { job, .. }
            | Self::Reached { job, .. }
            | Self::HandedOver { job, .. }
            | Self::Checkpointed { job, .. }
            | Self::CandidateEnded { job, .. }
            | Self::Interrupted { job, .. }
            | Self::Retried { job, .. }
            | Self::Held { job, .. }
            | Self::Unheld { job }
            | Self::Recovering { job }
            | Self::Recovered { job }
            | Self::Finished { job, .. }
            | Self::Released { job, .. } => Some(*job),
            Self::Restored(restored) => match &**restored {
                Restored::Job(job) => Some(job.id),
                Restored::Reached { job, .. } | Restored::Shown { job, .. } => Some(*job),
                Restored::Counters { .. }
                | Restored::Queue { .. }
                | Restored::Node { .. }
                | Restored::Rule { .. }
                | Restored::Model { .. } => None,
            },
            Self::Ticked
            | Self::Configured(_)
            | Self::NodeJoined { .. }
            | Self::NodeAlive { .. }
            | Self::NodeLost { .. }
            | Self::QueueConfigured { .. }
            | Self::RetentionSet { .. }
            | Self::QueuePaused { .. }
            | Self::QueueResumed { .. }
            | Self::RuleSet { .. }
            | Self::RuleRemoved { .. }
            | Self::Decided { .. }
            | Self::ModelRegistered { .. }
            | Self::ModelActivated { .. }
            | Self::ModelsForgotten { .. }
            | Self::Retired { .. }
            | Self::Forgotten { .. } => None,
        }
    }
}

/// Of what sort an interruption was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// Nobody asked for it: the process died or was not heard of, or the trainer gave up by itself. It may be the job
    /// that does it. Too many of these without a newer checkpoint, and the job is held.
    Abrupt,
    /// Somebody asked for it, by letting a node leave. It says nothing about the job.
    Orderly,
}

/// How a run stopped being at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// It stopped.
    Stopped,
    /// It did not stop in time and was fenced off; its thread may still be there.
    GivenUp,
}

/// A piece of a yard as it was, for snapshots: a shorter list of facts that rebuilds the same yard.
#[derive(Debug, Clone, PartialEq)]
pub enum Restored {
    /// The counters.
    Counters {
        /// The next job's place.
        order: Order,
        /// The last lease that was given.
        lease: Lease,
    },
    /// A queue with the default [`Retention`], unless an [`Event::RetentionSet`] that follows says otherwise; its counts
    /// are rebuilt from the jobs.
    Queue {
        /// Its name.
        name: QueueName,
        /// The queue.
        queue: Queue,
    },
    /// A node; what is left of its capacity is rebuilt from the jobs.
    Node {
        /// Its id.
        id: NodeId,
        /// The node.
        node: Node,
    },
    /// A job, with nobody in [`Running::leaving`](crate::Running::leaving) and [`Contest::holders`](crate::Contest::holders)
    /// and nothing in [`Standing::shown`](crate::Standing::shown): that is told by an [`Event::CandidateEnded`],
    /// [`Restored::Reached`] and [`Restored::Shown`] that follow.
    Job(Job),
    /// A rule with its memory.
    Rule {
        /// The subject it is for.
        subject: Subject,
        /// The rule.
        rule: Rule,
    },
    /// A model, and whether it is the active one.
    Model {
        /// The model.
        model: Arc<Model>,
        /// Whether it is the one of its registry.
        active: bool,
    },
    /// A candidate that has reached the target and is not out; in the order of reaching.
    Reached {
        /// Which contest.
        job: JobId,
        /// Which candidate, by which run.
        holder: Holder,
    },
    /// At which step a job that is not over, or a candidate that is not out, has last shown a performance.
    Shown {
        /// Which job.
        job: JobId,
        /// Which of its candidates; `None` for a job that is no contest.
        candidate: Option<CandidateId>,
        /// When that was.
        shown: Shown,
    },
}

/// What is submitted when a retrain rule fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// What the job shares with others of its sort.
    pub class: Arc<Class>,
    /// What the trainer is told.
    pub parameters: Parameters,
    /// What is done when the subject has unfinished work. [`Admission::Trail`] lets the rule fire for one
    /// trailing run; with any other, unfinished work keeps it from firing.
    pub admission: Admission,
}
