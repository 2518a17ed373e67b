//! Trains an index, as a job of the yard.

use std::sync::Arc;

use trainyard_core::Trained;
use trainyard_cyborgdb::{IndexId, TrainParameters};
use trainyard_ivf::train_index;
use trainyard_runtime::{Context, JobToTrain, TrainError, Trainer};

use super::shelf::Shelf;
use super::translate;

/// Trains the index that a job's subject names.
pub(crate) struct IndexTrainer {
    shelf: Arc<Shelf>,
}

impl IndexTrainer {
    pub(crate) fn new(shelf: Arc<Shelf>) -> Self {
        Self { shelf }
    }

    fn train_on_shelf(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let id = IndexId::of(&job.subject).ok_or_else(|| TrainError::failed("the subject is no index"))?;
        let parameters = TrainParameters::from_bytes(job.parameters.as_bytes());
        let parameters = parameters.map_err(|error| TrainError::failed(error.to_string()))?;
        let entry = self.shelf.entry(id).map_err(|error| TrainError::failed(error.to_string()))?;
        let index = entry.index().map_err(|error| TrainError::retry(error.to_string()))?;
        train_index(cx, index, &translate::order(&parameters))
    }
}

impl Trainer for IndexTrainer {
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let trained = self.train_on_shelf(cx, job);
        // Should the index have been removed meanwhile, this was perhaps its last reader.
        self.shelf.sweep();
        trained
    }
}
