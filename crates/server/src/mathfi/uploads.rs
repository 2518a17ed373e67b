//! Files on their way in, and what begins when they are whole.

use std::io::Write;
use std::sync::Arc;

use trainyard_core::ModelId;
use trainyard_mathfi::{
    Dataset, DatasetId, DatasetState, HostError, Prediction, PredictionId, PredictionState, Refused, Upload,
    UserId,
};
use trainyard_runtime::Trainyard;
use uuid::Uuid;

use super::books::{Books, Receiving};
use super::catalog::{NewPrediction, PredictionRefused};
use super::work::Work;
use crate::disk::NotKept;
use crate::incoming::{self, Incoming};
use crate::keeping::submit;
use crate::room::Part;

/// The data of a dataset.
pub(crate) struct DataUpload {
    pub(crate) books: Arc<Books>,
    pub(crate) yard: Trainyard,
    pub(crate) id: DatasetId,
    pub(crate) receiving: Receiving,
    pub(crate) part: Part<UserId>,
    pub(crate) incoming: Incoming,
}

/// Rows to predict for.
pub(crate) struct RowsUpload {
    pub(crate) books: Arc<Books>,
    pub(crate) yard: Trainyard,
    pub(crate) model: ModelId,
    pub(crate) owner: UserId,
    pub(crate) part: Part<UserId>,
    pub(crate) incoming: Incoming,
}

impl Upload<Dataset> for DataUpload {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        self.part.take(bytes.len() as u64)?;
        self.incoming.write_all(bytes).map_err(|error| NotKept::from(error).into())
    }

    /// The file comes first, the record second, the job third: a crash in between leaves a file that nobody knows,
    /// or a record whose job is made at the next start.
    fn finish(self: Box<Self>) -> Result<Dataset, Refused> {
        let Self { books, yard, id, receiving, part, incoming } = *self;
        incoming.sync().map_err(NotKept::from)?;
        let job = yard.job_id();
        let one_at_a_time = books.finishing.lock();
        let dataset = pending(&books, id)?;
        part.check(books.stored(dataset.owner).map_err(HostError::new)?)?;
        incoming.keep(&books.files.data(id)).map_err(|error| {
            incoming::remove(&books.files.data(id));
            NotKept::from(error)
        })?;
        match books.catalog.begin_dataset(id, job) {
            Ok(true) => {}
            Ok(false) => return Err(Refused::NotPending),
            Err(error) => {
                incoming::remove(&books.files.data(id));
                return Err(NotKept::from(error).into());
            }
        }
        drop((one_at_a_time, part, receiving));
        submit(&*books, &yard, Work::Prepare(id), job);
        Ok(Dataset { state: DatasetState::Processing, ..dataset })
    }
}

/// The dataset, if it has no data yet.
pub(super) fn pending(books: &Books, id: DatasetId) -> Result<Dataset, Refused> {
    let dataset = books.catalog.dataset(id).map_err(HostError::new)?.ok_or(Refused::Gone)?;
    match dataset.state {
        DatasetState::Pending => Ok(dataset),
        DatasetState::Processing | DatasetState::Completed(_) | DatasetState::Failed { .. } => {
            Err(Refused::NotPending)
        }
    }
}

impl Upload<Prediction> for RowsUpload {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        self.part.take(bytes.len() as u64)?;
        self.incoming.write_all(bytes).map_err(|error| NotKept::from(error).into())
    }

    /// In the same order.
    fn finish(self: Box<Self>) -> Result<Prediction, Refused> {
        let Self { books, yard, model, owner, part, incoming } = *self;
        part.check(books.stored(owner).map_err(HostError::new)?)?;
        let (id, job) = (PredictionId::new(Uuid::new_v4()), yard.job_id());
        let rows = books.files.rows(id);
        incoming.keep(&rows).map_err(|error| {
            incoming::remove(&rows);
            NotKept::from(error)
        })?;
        let added =
            books.catalog.add_prediction(NewPrediction { id, owner, model, job }, books.predictions_max);
        let gone = added.map_err(|refused| {
            incoming::remove(&rows);
            match refused {
                PredictionRefused::TooMany { max } => Refused::TooMany { what: "predictions", max },
                PredictionRefused::Failed(error) => NotKept::from(error).into(),
            }
        })?;
        drop(part);
        if let Some(gone) = gone {
            incoming::remove(&books.files.result(gone));
        }
        submit(&*books, &yard, Work::Predict(id), job);
        Ok(Prediction { id, owner, model, state: PredictionState::Pending })
    }
}
