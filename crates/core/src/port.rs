//! The handle that adapters hold: everything they may ask of a yard, in std types and futures only.
//!
//! The runtime implements it; an adapter is generic over it and never sees a runtime or a journal.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::{
    Admitted, Blocker, Decision, Fact, Job, JobId, Kind, Model, ModelId, Observation, Outcome, Progress,
    Reason, Registry, Rejection, RetrainRule, Subject, Submission, Template, Timestamp, Yard,
};

/// An answer that comes once it is durable. Needs no async runtime: the driver wakes it.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T, HandleError>> + Send>>;

/// Why a yard did not do as it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// It makes no sense in this state; nothing has changed.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Too much is asked at once; nothing has changed. Try again.
    #[error("{max} commands wait already")]
    Busy {
        /// How many may wait.
        max: usize,
    },
    /// More is asked in one call than one call may; nothing has changed. Ask in several.
    #[error("more than {max} in one call")]
    TooMany {
        /// How many there may be.
        max: usize,
    },
    /// The yard has stopped, by itself or because it was told to. Whether the command was done is not known
    /// when it was under way; nothing that was acknowledged is lost.
    #[error("the yard has stopped: {reason}")]
    Stopped {
        /// Why.
        reason: Reason,
    },
}

/// What became of a submission: the job it is, or has become part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Which job.
    pub job: JobId,
    /// Which of the two.
    pub how: Admitted,
}

/// What became of an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// What the rule said.
    pub decision: Arc<Decision>,
    /// The job that was submitted, if it fired.
    pub job: Option<JobId>,
}

/// Everything an adapter may ask of a yard.
///
/// A command is on its way when the method returns, whether or not its [`Pending`] is ever polled: whoever asked may
/// hang up.
///
/// Reads are of committed state and never wait for the disk. Of two reads the later never shows an older state.
pub trait Handle: Send + Sync + 'static {
    /// What time it is for the yard; it never goes back.
    fn now(&self) -> Timestamp;
    /// An id for a new job.
    fn job_id(&self) -> JobId;
    /// Train a subject.
    fn submit(&self, submission: Submission) -> Pending<Receipt>;
    /// Take a job back.
    fn cancel(&self, job: JobId, reason: Reason) -> Pending<()>;
    /// Retrain a subject by a rule from now on.
    fn set_rule(&self, subject: Subject, rule: RetrainRule, template: Template) -> Pending<()>;
    /// Ask a subject's rule about absolute totals; if it fires, the job is submitted.
    fn observe(&self, subject: Subject, observation: Observation) -> Pending<Observed>;
    /// Make a model the one of its registry.
    fn activate(&self, model: ModelId) -> Pending<()>;
    /// A subject is no more: its work is cancelled, its rule and models are dropped.
    fn retire(&self, subject: Subject) -> Pending<()>;
    /// Waits until a job is over. A job that is over already answers at once; one that is not in the books is
    /// rejected with [`Rejection::NoJob`]. Holds no thread.
    fn finished(&self, job: JobId) -> Pending<Outcome>;
    /// Looks at the committed yard. Everything that is read inside belongs to one moment. Keep it short: commits
    /// wait for it.
    fn read(&self, look: &mut dyn FnMut(&Yard));
    /// Which edition of the committed yard there is: a number that grows with every change of it, so that nobody who
    /// finds the one they know needs to look again. Inside of [`Handle::read`] it is that of the yard that is looked at.
    /// `None` when nobody counts them.
    fn edition(&self) -> Option<u64> {
        None
    }
    /// Where a running trainer stands; `None` when it has not said, or does not run. Live state.
    fn progress(&self, job: JobId) -> Option<Progress>;
    /// Why the yard has stopped, if it has; what is read of it then is the state it stopped in, for ever.
    fn stopped(&self) -> Option<Reason> {
        None
    }
    /// Every change from now on.
    fn subscribe(&self) -> Box<dyn Changes>;

    /// A job as it stands.
    fn job(&self, job: JobId) -> Option<Job> {
        let mut found = None;
        self.read(&mut |yard| found = yard.job(job).cloned());
        found
    }

    /// What holds a job back, with numbers; nothing when it runs or is over, `None` when there is no such job.
    fn explain(&self, job: JobId) -> Option<Vec<Blocker>> {
        let now = self.now();
        let mut found = None;
        self.read(&mut |yard| found = yard.explain(now, job));
        found
    }

    /// The active model of a registry.
    fn active_model(&self, registry: &Registry) -> Option<Arc<Model>> {
        let mut found = None;
        self.read(&mut |yard| found = yard.active_model(registry).cloned());
        found
    }

    /// The last stored decision about a subject.
    fn decision(&self, subject: &Subject) -> Option<Arc<Decision>> {
        let mut found = None;
        self.read(&mut |yard| found = yard.rule(subject).and_then(|rule| rule.decision.clone()));
        found
    }

    /// Whether some node has said that it trains this kind.
    fn trains(&self, kind: &Kind) -> bool {
        let mut found = false;
        self.read(&mut |yard| found = yard.trains(kind));
        found
    }
}

/// Changes of a yard, in order.
pub trait Changes: Send {
    /// Waits for the next change; `None` once the yard has stopped and everything was told.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Change>> + Send + '_>>;
    /// The next change if there is one already.
    fn try_next(&mut self) -> Option<Change>;
}

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Something has happened, and is durable.
    Happened {
        /// How many facts the yard held with this one; grows by one from fact to fact.
        revision: u64,
        /// What.
        fact: Arc<Fact>,
    },
    /// A running trainer stands elsewhere. Only the newest of each job is told.
    Progressed {
        /// Which job.
        job: JobId,
        /// Where.
        progress: Progress,
    },
    /// The subscriber was too slow; so many changes were not told. Read the state anew.
    Missed {
        /// How many.
        changes: u64,
    },
}
