//! What the adapter asks of users, datasets and predictions.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use trainyard_core::{ModelId, QueueName, Timestamp, Yard};
use trainyard_mathfi::{
    Dataset, DatasetId, DatasetState, Host, HostError, NewDataset, Prediction, PredictionId, PredictionState,
    Refused, ResultFile, Upload, User, UserId,
};
use trainyard_runtime::Trainyard;
use uuid::Uuid;

use super::books::Books;
use super::catalog::{DatasetRefused, Places};
use super::uploads::{DataUpload, RowsUpload, pending};
use crate::disk::NotKept;
use crate::incoming::Incoming;
use crate::room::Part;

/// The books, with the yard that works on what is in them.
pub(crate) struct TableHost {
    books: Arc<Books>,
    yard: Trainyard,
}

impl TableHost {
    pub(crate) fn new(books: Arc<Books>, yard: Trainyard) -> Self {
        Self { books, yard }
    }

    /// A place and room for a file of this user's, unless too much waits in this line already.
    fn begin(&self, owner: UserId, line: &QueueName) -> Result<(Part<UserId>, Incoming), Refused> {
        let is_full =
            |yard: &Yard| yard.queue(line).is_some_and(|line| line.waiting >= line.settings.waiting_max);
        if self.yard.read(is_full) {
            return Err(Refused::Busy);
        }
        let part = self.books.room.begin(owner, self.books.stored(owner).map_err(HostError::new)?)?;
        let incoming = self.books.files.inbox.begin().map_err(NotKept::from)?.ok_or(Refused::Busy)?;
        Ok((part, incoming))
    }
}

/// So long before a time.
fn before(at: Timestamp, wait: Duration) -> Timestamp {
    let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(at.as_millis().saturating_sub(millis))
}

impl Host for TableHost {
    fn log_in(&self, name: &str, password: &str) -> Result<Option<User>, HostError> {
        Ok(self.books.users.log_in(name, password))
    }

    fn user(&self, id: UserId) -> Option<User> {
        self.books.users.user(id)
    }

    fn owner(&self, id: DatasetId) -> Option<UserId> {
        self.books.owners.read().get(&id).copied()
    }

    fn training_memory_mib(&self) -> u64 {
        self.books.memory_mib
    }

    fn create_dataset(&self, new: NewDataset) -> Result<Dataset, Refused> {
        let Self { books, .. } = self;
        let id = DatasetId::new(Uuid::new_v4());
        let places = Places {
            max: books.datasets_max,
            stale_before: before(new.at, books.stale_after),
            is_receiving: &|id| books.is_receiving(id),
        };
        let one_at_a_time = books.finishing.lock();
        let gone = books.catalog.add_dataset(id, &new, &places).map_err(|refused| match refused {
            DatasetRefused::Taken => Refused::Taken,
            DatasetRefused::TooMany { max } => Refused::TooMany { what: "datasets", max },
            DatasetRefused::Failed(error) => NotKept::from(error).into(),
        })?;
        drop(one_at_a_time);
        let mut owners = books.owners.write();
        owners.insert(id, new.owner);
        gone.map(|gone| owners.remove(&gone));
        drop(owners);
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
        let receiving = self.books.receive(id);
        let owner = pending(&self.books, id)?.owner;
        let (part, incoming) = self.begin(owner, &self.books.classes.prepare.queue)?;
        let (books, yard) = (Arc::clone(&self.books), self.yard.clone());
        Ok(Box::new(DataUpload { books, yard, id, receiving, part, incoming }))
    }

    fn receive_rows(&self, model: ModelId, owner: UserId) -> Result<Box<dyn Upload<Prediction>>, Refused> {
        if self.yard.model(model).is_none() {
            return Err(Refused::Gone);
        }
        let (part, incoming) = self.begin(owner, &self.books.classes.predict.queue)?;
        let (books, yard) = (Arc::clone(&self.books), self.yard.clone());
        Ok(Box::new(RowsUpload { books, yard, model, owner, part, incoming }))
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
