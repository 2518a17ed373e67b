//! What agents did, laid out for those who train on it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trainyard_core::Progress;
use trainyard_eliza::TrainParameters;
use trainyard_runtime::{JobToTrain, TrainError};
use trainyard_trainkit::told;

use super::archive::Archive;
use super::runs::{Beginning, Runs};

/// What agents did, for the trainers of [`ServiceConfig::with_eliza_trainer`](crate::ServiceConfig::with_eliza_trainer).
/// Nothing private is in it.
#[derive(Clone)]
pub struct ElizaLessons(Arc<Archive>);

/// What one job trains on, in files that stay until it is over.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ElizaLesson {
    /// What the job says.
    pub parameters: TrainParameters,
    /// All examples, one a line: of a dataset in the form of its `dataset.jsonl`; of a task as rows of
    /// `eliza_native_v1`.
    pub jsonl: PathBuf,
    /// A folder with a file for each trajectory.
    pub trajectories: PathBuf,
    /// A folder with a file `<task>_trajectories.jsonl` for each task that there is something of, rows of
    /// `eliza_native_v1`.
    pub tasks: PathBuf,
    /// A folder with `train.jsonl` and `valid.jsonl`, each line an object with `messages`.
    pub data: PathBuf,
    /// How many examples there are.
    pub examples: u64,
}

impl ElizaLessons {
    pub(super) const fn new(archive: Arc<Archive>) -> Self {
        Self(archive)
    }

    /// Lays out in the attempt's [folder](trainyard_runtime::Context::dir) what a job trains on: its dataset, or the rows
    /// of its task as they are now; no more than it says.
    ///
    /// # Errors
    /// [`TrainError`] when the dataset is gone, there is nothing to learn from, the job is no training of elizaOS's, or
    /// the disk fails or is full.
    pub fn lay_out(&self, job: &JobToTrain, folder: &Path) -> Result<ElizaLesson, TrainError> {
        self.0.datasets.lay_out(parameters(job)?, folder)
    }

    /// Adds a line to the log of a training; whoever watches is told. The words of
    /// [reports](trainyard_runtime::Context::report) need not be added: they come into it by themselves, but for those
    /// that others follow at once.
    pub fn log(&self, job: &JobToTrain, line: &str) {
        self.0.runs.line(job.id, line);
    }

    /// A run of this job begins.
    pub(super) fn begin(
        &self,
        job: &JobToTrain,
        folder: &Path,
        model: Option<String>,
        program: Option<PathBuf>,
    ) -> Result<(), TrainError> {
        let backend = parameters(job)?.backend;
        let beginning = Beginning { backend, model, folder, program };
        self.0.runs.begin(job.id, beginning).map_err(|error| TrainError::retry(told(&error)))
    }

    /// A run of this job in this process is over.
    pub(super) fn end(&self, job: &JobToTrain, is_trained: bool, last: Option<&Progress>) {
        self.0.runs.end(job.id, is_trained, last);
    }

    pub(super) fn runs(&self) -> Arc<Runs> {
        Arc::clone(&self.0.runs)
    }
}

impl fmt::Debug for ElizaLessons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElizaLessons").finish_non_exhaustive()
    }
}

pub(super) fn parameters(job: &JobToTrain) -> Result<TrainParameters, TrainError> {
    TrainParameters::from_bytes(job.parameters.as_bytes()).map_err(|error| TrainError::failed(told(&error)))
}
