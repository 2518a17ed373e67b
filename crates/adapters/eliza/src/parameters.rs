//! What a trainer is told.

use crate::host::{Backend, DatasetId, Task};

/// The parameters of one training, as they lie in its job: versioned JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainParameters {
    /// What is trained on.
    pub source: Source,
    /// Where it runs.
    pub backend: Backend,
    /// The model to start from; the trainer's own choice without a word.
    pub model: Option<String>,
    /// Of the source, only the newest so many trajectories; at least 1.
    pub trajectories_max: Option<u64>,
    /// How many iterations; the trainer's own choice without a word; at least 1.
    pub iterations: Option<u64>,
    /// How many examples a step; at least 1.
    pub batch_size: Option<u64>,
    /// The learning rate; above 0, finite.
    pub learning_rate: Option<f64>,
    /// Which optimiser of prompts, for [`Backend::Native`].
    pub optimizer: Option<String>,
}

/// What is trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A dataset.
    Dataset(DatasetId),
    /// The rows of a task, of the newest trajectories there are when it runs.
    Task(Task),
}
