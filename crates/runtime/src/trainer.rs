//! Code that trains, as an application writes it.

use std::io;
use std::time::Duration;

use trainyard_core::{
    Advice, Attempt, CandidateId, Failure, JobId, Kind, Label, NameError, NotFinite, Parameters, Reason, Run,
    Score, Subject, Trained,
};

use crate::{Context, OutsideDataFolder, Stop};

/// Code that trains a subject; registered under a kind.
///
/// It runs on a thread of its own. It should report often, since a report is how it learns that it is to stop.
/// A panic fails the attempt, not the process. Closures are trainers too.
///
/// ```
/// use trainyard_core::{Progress, Trained};
/// use trainyard_runtime::{Context, JobToTrain, TrainError, Trainer};
///
/// struct Averages;
///
/// impl Trainer for Averages {
///     fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
///         for step in cx.resume_from()..100 {
///             cx.report(Progress::step(step, 100))?; // Err when it is to stop
///         }
///         std::fs::write(cx.dir()?.join("model"), job.parameters.as_bytes())?;
///         cx.measure("loss", 0.1)?;
///         cx.trained("model")
///     }
/// }
/// ```
pub trait Trainer: Send + Sync + 'static {
    /// Trains, and says what came of it.
    ///
    /// # Errors
    /// [`TrainError`] when it broke, was told to stop, or was cut short.
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError>;
}

impl<F> Trainer for F
where
    F: Fn(&mut Context, &JobToTrain) -> Result<Trained, TrainError> + Send + Sync + 'static,
{
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        self(cx, job)
    }
}

/// What a trainer is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobToTrain {
    /// The job's id.
    pub id: JobId,
    /// What gets trained.
    pub subject: Subject,
    /// Which sort of training it is.
    pub kind: Kind,
    /// What the job says; a candidate has parameters of its own beside them.
    pub parameters: Parameters,
    /// Which attempt this is, from 1.
    pub attempt: Attempt,
    /// Under which lease it writes.
    pub run: Run,
    /// How much there was to train on when it was asked for.
    pub watermark: Option<u64>,
    /// The candidate to train, when the job is a contest.
    pub candidate: Option<CandidateToTrain>,
}

/// One algorithm's part in a contest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CandidateToTrain {
    /// Its id.
    pub id: CandidateId,
    /// What it is called.
    pub label: Label,
    /// What it is told.
    pub parameters: Parameters,
    /// Who reaches this first has won.
    pub target: Score,
}

/// Why a trainer hands nothing over.
///
/// [`Stop`], I/O errors and refused names, numbers and paths turn into one by `?`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// It stopped because it was told to.
    #[error("it was told to stop: {0}")]
    Stopped(Stop),
    /// It broke.
    #[error("{}", .0.reason)]
    Failed(Failure),
    /// It was cut short; the job goes on from its last checkpoint, and no retry is spent.
    #[error("it was cut short: {0}")]
    Interrupted(Reason),
}

impl TrainError {
    /// It stopped because it was told to.
    #[must_use]
    pub const fn stopped(stop: Stop) -> Self {
        Self::Stopped(stop)
    }

    /// It broke, and will break again: bad data, a bad parameter.
    #[must_use]
    pub fn failed(reason: impl AsRef<str>) -> Self {
        Self::broke(reason, Advice::GiveUp)
    }

    /// It broke, and may work another time; whether there is one is for the job's retry policy to say.
    #[must_use]
    pub fn retry(reason: impl AsRef<str>) -> Self {
        Self::broke(reason, Advice::Retry)
    }

    /// It broke, and may work another time, but not before this wait.
    #[must_use]
    pub fn retry_after(wait: Duration, reason: impl AsRef<str>) -> Self {
        Self::broke(reason, Advice::RetryAfter(wait))
    }

    /// It was cut short; the job goes on from its last checkpoint, and no retry is spent.
    #[must_use]
    pub fn interrupted(reason: impl AsRef<str>) -> Self {
        Self::Interrupted(Reason::new(reason))
    }

    fn broke(reason: impl AsRef<str>, advice: Advice) -> Self {
        Self::Failed(Failure { reason: Reason::new(reason), advice })
    }
}

impl From<Stop> for TrainError {
    fn from(stop: Stop) -> Self {
        Self::stopped(stop)
    }
}

impl From<io::Error> for TrainError {
    /// A disk may have room another time.
    fn from(error: io::Error) -> Self {
        Self::retry(error.to_string())
    }
}

impl From<NotFinite> for TrainError {
    fn from(error: NotFinite) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<NameError> for TrainError {
    fn from(error: NameError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<OutsideDataFolder> for TrainError {
    fn from(error: OutsideDataFolder) -> Self {
        Self::failed(error.to_string())
    }
}
