//! Trains an index, as a job of the yard.

use std::sync::Arc;

use trainyard_core::Trained;
use trainyard_cyborgdb::{IndexId, TrainParameters};
use trainyard_ivf::train_index;
use trainyard_runtime::{Context, JobToTrain, TrainError, Trainer};

use super::shelf::{Shelf, ShelfError};
use super::translate;

/// Trains the index that a job's subject names.
pub(crate) struct IndexTrainer {
    shelf: Arc<Shelf>,
}

impl IndexTrainer {
    pub(crate) fn new(shelf: Arc<Shelf>) -> Self {
        Self { shelf }
    }
}

impl Trainer for IndexTrainer {
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let id = IndexId::of(&job.subject).ok_or_else(|| TrainError::failed("the subject is no index"))?;
        let parameters = TrainParameters::from_bytes(job.parameters.as_bytes());
        let parameters = parameters.map_err(|error| TrainError::failed(error.to_string()))?;
        let entry = match self.shelf.entry(id) {
            Ok(entry) => entry,
            Err(error @ ShelfError::Stopping) => return Err(TrainError::interrupted(error.to_string())),
            Err(error) => return Err(TrainError::failed(error.to_string())),
        };
        let index = entry.index().map_err(|error| TrainError::retry(error.to_string()))?;
        train_index(cx, index, &translate::order(&parameters))
    }
}
