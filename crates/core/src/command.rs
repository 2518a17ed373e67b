//! What one may ask of a yard, and what it answers.

use std::sync::Arc;

use crate::{
    Abilities, Admitted, Checkpoint, Decision, Epoch, Failure, JobId, Kind, Lease, ModelId, NodeId,
    Observation, Outcome, QueueName, QueueSettings, Reason, Retention, RetrainRule, Score, Settings, Subject,
    Submission, Template, Trained,
};

/// What one may ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Look at the clock: whatever is due is done, one thing at a time. The answer is [`Answer::Done`].
    Tick,
    /// Have other settings.
    Configure(Settings),
    /// A process has opened the journal. What ran under an older epoch of the same node is interrupted.
    JoinNode {
        /// Which node.
        node: NodeId,
        /// What it can train.
        abilities: Abilities,
    },
    /// A node shows that it is there.
    RenewNode {
        /// Which node.
        node: NodeId,
        /// In which life.
        epoch: Epoch,
    },
    /// A node leaves; what still runs on it is interrupted.
    LeaveNode {
        /// Which node.
        node: NodeId,
        /// In which life.
        epoch: Epoch,
    },
    /// A queue gets other settings. A queue that nobody configured has the defaults.
    ConfigureQueue {
        /// Which queue.
        queue: QueueName,
        /// How it lets its jobs through.
        settings: QueueSettings,
    },
    /// So much of a queue's work is kept. Of a queue about which nobody has said that, as much as the yard's settings say.
    SetRetention {
        /// Which queue.
        queue: QueueName,
        /// How much.
        retention: Retention,
    },
    /// A queue lets nobody through; what runs goes on.
    PauseQueue {
        /// Which queue.
        queue: QueueName,
        /// Why.
        reason: Reason,
    },
    /// A paused queue lets its jobs through again.
    ResumeQueue {
        /// Which queue.
        queue: QueueName,
    },
    /// Train a subject.
    Submit(Arc<Submission>),
    /// Take a job back.
    Cancel {
        /// Which job.
        job: JobId,
        /// Why.
        reason: Reason,
    },
    /// Keep a job in line from being started.
    Hold {
        /// Which job.
        job: JobId,
        /// Why.
        reason: Reason,
    },
    /// Let a held job be started again.
    Unhold {
        /// Which job.
        job: JobId,
    },
    /// A run has something to show.
    Report {
        /// Whose run.
        run: Run,
        /// The step it is at.
        step: u64,
        /// How well it does. A candidate whose value reaches the target holds the win from then on, unless another
        /// does; it reports such a value once in a run, and then finishes.
        performance: Option<Score>,
    },
    /// A run can go on from here.
    Checkpoint {
        /// Whose run.
        run: Run,
        /// From where.
        checkpoint: Checkpoint,
    },
    /// A run has stopped.
    Finish {
        /// Whose run.
        run: Run,
        /// How.
        end: RunEnd,
    },
    /// An attempt outside of the process was found again after its node's restart.
    Recover {
        /// Whose run.
        run: Run,
        /// In which life of its node.
        epoch: Epoch,
    },
    /// Retrain a subject by a rule from now on. Its memory is kept when only the rule changes.
    SetRule {
        /// Which subject.
        subject: Subject,
        /// By which rule.
        rule: RetrainRule,
        /// What is submitted when it fires.
        template: Arc<Template>,
    },
    /// Retrain a subject by no rule.
    RemoveRule {
        /// Which subject.
        subject: Subject,
    },
    /// Ask a subject's rule; if it fires, the job is submitted.
    Observe {
        /// Which subject.
        subject: Subject,
        /// Its numbers, as absolute totals.
        observation: Observation,
        /// The id of the job, should there be one.
        job: JobId,
        /// How many evaluations since the last stored decision said what it said.
        repeats: u64,
    },
    /// Make a model the one of its registry.
    Activate {
        /// Which model.
        model: ModelId,
    },
    /// A subject is no more: its work is cancelled, its rule and models are dropped.
    Retire {
        /// Which subject.
        subject: Subject,
    },
}

/// One run: a job's attempt, or one candidate's part in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// Which job.
    pub job: JobId,
    /// The right to write.
    pub lease: Lease,
}

/// How a run stopped.
#[derive(Debug, Clone, PartialEq)]
pub enum RunEnd {
    /// It is done.
    Completed {
        /// What it hands over.
        trained: Trained,
        /// The id of the model, should there be one.
        model: ModelId,
        /// The step it ended at, and its last performance. To win, a candidate needs one that reaches the target, unless
        /// it has reported that in this run.
        last: Option<(u64, Score)>,
    },
    /// It broke.
    Failed(Failure),
    /// It was cut short. The job runs again from its last checkpoint, unless it has come to this too often without
    /// a newer one; a node that shuts down leaves instead, which does not count.
    Interrupted {
        /// Why.
        reason: Reason,
    },
    /// It stopped because it was told to. A run that nobody told counts as interrupted.
    Stopped,
}

/// What a yard answers once its facts are durable.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is done.
    Done,
    /// A node is part of the yard.
    Joined {
        /// In which life.
        epoch: Epoch,
    },
    /// A submission was let in.
    Admitted {
        /// The job it is, or has become part of.
        job: JobId,
        /// Which of the two.
        how: Admitted,
    },
    /// A rule was asked.
    Decided {
        /// What it said.
        decision: Arc<Decision>,
        /// The job that was submitted, if it fired.
        job: Option<JobId>,
    },
    /// A run's end was taken in.
    Ended {
        /// The job's outcome, if it is over with it.
        outcome: Option<Outcome>,
    },
}

/// Why a command makes no sense in this state. The yard is as before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// There is no such job.
    #[error("there is no job {0}")]
    NoJob(JobId),
    /// There is a job with this id already.
    #[error("there is a job {0} already")]
    JobExists(JobId),
    /// The job is over.
    #[error("job {job} is over: {outcome}")]
    Over {
        /// Which job.
        job: JobId,
        /// How it ended.
        outcome: Outcome,
    },
    /// The job is not in line.
    #[error("job {0} is not in line")]
    NotWaiting(JobId),
    /// The job is not held.
    #[error("job {0} is not held")]
    NotHeld(JobId),
    /// The run writes under a lease that is not in force any more.
    #[error("lease {lease} of job {job} is not in force")]
    Fenced {
        /// Which job.
        job: JobId,
        /// The lease that was shown.
        lease: Lease,
    },
    /// A candidate that has reached the target in this run finishes; it does not report that again.
    #[error("a candidate of job {0} that has reached the target finishes with it")]
    TargetReached(JobId),
    /// The subject has unfinished work, and the submission would rather be refused.
    #[error("{subject} has an unfinished job: {job}")]
    SubjectBusy {
        /// Which subject.
        subject: Subject,
        /// Its unfinished job.
        job: JobId,
    },
    /// The subject has as many unfinished jobs as it may have.
    #[error("{subject} has {max} unfinished jobs, the most it may have")]
    SubjectFull {
        /// Which subject.
        subject: Subject,
        /// The bound.
        max: u32,
    },
    /// As many jobs wait as may.
    #[error("{max} jobs wait in queue {queue}, the most that may")]
    QueueFull {
        /// Which queue.
        queue: QueueName,
        /// The bound.
        max: u32,
    },
    /// No node has ever said that it trains this.
    #[error("no node trains {0}")]
    UnknownKind(Kind),
    /// The idempotency key was used for another subject or kind.
    #[error("the idempotency key was used for another request: job {0}")]
    KeyReused(JobId),
    /// A contest has at least one candidate, at most so many, and no two with one id.
    #[error("a contest has 1 to {max} candidates with ids of their own", max = crate::ContestPlan::CANDIDATES_MAX)]
    BadCandidates,
    /// There is no such node, or not in this life.
    #[error("node {node} is not here in epoch {epoch}")]
    NoNode {
        /// Which node.
        node: NodeId,
        /// In which life.
        epoch: Epoch,
    },
    /// A node says it can train more kinds than it may.
    #[error("a node trains at most {max} kinds", max = Abilities::KINDS_MAX)]
    TooManyKinds,
    /// There are as many queues as there may be.
    #[error("there are {max} queues, the most there may be", max = crate::Queue::QUEUES_MAX)]
    TooManyQueues,
    /// There is no such queue.
    #[error("there is no queue {0}")]
    NoQueue(QueueName),
    /// The queue is not paused.
    #[error("queue {0} is not paused")]
    NotPaused(QueueName),
    /// The subject has no rule.
    #[error("{0} has no retrain rule")]
    NoRule(Subject),
    /// There is no such model.
    #[error("there is no model {0}")]
    NoModel(ModelId),
}
