//! What the adapter asks of users, datasets and predictions.

use std::fs::File;
use std::io;
use std::sync::Arc;

use trainyard_core::ModelId;
use trainyard_mathfi::{
    Dataset, DatasetId, DatasetState, Host, HostError, NewDataset, Prediction, PredictionId, PredictionState,
    Refused, ResultFile, Upload, User, UserId,
};
use trainyard_runtime::Trainyard;
use uuid::Uuid;

use super::books::Books;
use super::catalog::DatasetRefused;
use super::uploads::{DataUpload, RowsUpload, pending};
use crate::incoming::Incoming;

/// The books, with the yard that works on what is in them.
pub(crate) struct TableHost {
    books: Arc<Books>,
    yard: Trainyard,
}

impl TableHost {
    pub(crate) fn new(books: Arc<Books>, yard: Trainyard) -> Self {
        Self { books, yard }
    }

    fn begin(&self) -> Result<Incoming, Refused> {
        self.books.files.inbox.begin().map_err(HostError::new)?.ok_or(Refused::Busy)
    }
}

impl Host for TableHost {
    fn log_in(&self, name: &str, password: &str) -> Result<Option<User>, HostError> {
        Ok(self.books.users.log_in(name, password))
    }

    fn user(&self, id: UserId) -> Option<User> {
        self.books.users.user(id)
    }

    fn create_dataset(&self, new: NewDataset) -> Result<Dataset, Refused> {
        let id = DatasetId::new(Uuid::new_v4());
        self.books.catalog.add_dataset(id, &new, self.books.datasets_max).map_err(
            |refused| match refused {
                DatasetRefused::Taken => Refused::Taken,
                DatasetRefused::TooMany { max } => Refused::TooMany { what: "datasets", max },
                DatasetRefused::Failed(error) => Refused::Failed(HostError::new(error)),
            },
        )?;
        let NewDataset { owner, name, description, buckets, at } = new;
        let state = DatasetState::Pending;
        Ok(Dataset { id, owner, name, description, buckets, created_at: at, state })
    }

    fn datasets(&self, owner: UserId) -> Result<Vec<Dataset>, HostError> {
        self.books.catalog.datasets(owner).map_err(HostError::new)
    }

    fn dataset(&self, id: DatasetId) -> Result<Option<Dataset>, HostError> {
        self.books.catalog.dataset(id).map_err(HostError::new)
    }

    fn receive_data(&self, id: DatasetId) -> Result<Box<dyn Upload<Dataset>>, Refused> {
        pending(&self.books, id)?;
        let (books, yard, incoming) = (Arc::clone(&self.books), self.yard.clone(), self.begin()?);
        Ok(Box::new(DataUpload { books, yard, id, incoming }))
    }

    fn receive_rows(&self, model: ModelId, owner: UserId) -> Result<Box<dyn Upload<Prediction>>, Refused> {
        if self.yard.model(model).is_none() {
            return Err(Refused::Gone);
        }
        let (books, yard, incoming) = (Arc::clone(&self.books), self.yard.clone(), self.begin()?);
        Ok(Box::new(RowsUpload { books, yard, model, owner, incoming }))
    }

    fn prediction(&self, id: PredictionId) -> Result<Option<Prediction>, HostError> {
        self.books.catalog.prediction(id).map_err(HostError::new)
    }

    fn result(&self, id: PredictionId) -> Result<Option<ResultFile>, HostError> {
        match self.prediction(id)?.map(|prediction| prediction.state) {
            Some(PredictionState::Completed) => {}
            Some(
                PredictionState::Pending
                | PredictionState::Running
                | PredictionState::Failed { .. }
                | PredictionState::TimedOut,
            )
            | None => return Ok(None),
        }
        let file = match File::open(self.books.files.result(id)) {
            Ok(file) => file,
            // It has just made room for another one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(HostError::new(error)),
        };
        let bytes = file.metadata().map_err(HostError::new)?.len();
        Ok(Some(ResultFile { bytes, csv: Box::new(file) }))
    }
}
