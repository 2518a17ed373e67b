//! What jobs of the yard do here.

use std::io::{self, BufWriter};
use std::sync::Arc;

use trainyard_core::{Reference, Trained};
use trainyard_mathfi::{DatasetId, PredictionId, PredictionState, Shape, TrainParameters};
use trainyard_runtime::{Context, JobToTrain, Stop, TrainError, Trainer};
use trainyard_tabular::{Knobs, Model, ModelError, PredictError, TableError, prepare, train_candidate};
use trainyard_trainkit::told;

use super::books::Books;
use super::work::Work;
use crate::incoming;
use crate::records::RecordsError;

/// Trains one candidate of a contest on the dataset that the job's subject names.
pub(crate) struct ContestTrainer(pub(crate) Arc<Books>);

/// Makes the data of a dataset ready.
pub(crate) struct PrepareTrainer(pub(crate) Arc<Books>);

/// Makes a prediction.
pub(crate) struct PredictTrainer(pub(crate) Arc<Books>);

impl Trainer for ContestTrainer {
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let Self(books) = self;
        let id =
            DatasetId::of(&job.subject).ok_or_else(|| TrainError::failed("the subject is no dataset"))?;
        let candidate = job.candidate.as_ref().ok_or_else(|| TrainError::failed("it is no contest"))?;
        let parameters = TrainParameters::from_bytes(candidate.parameters.as_bytes());
        let TrainParameters { scaling_factor, buckets } =
            parameters.map_err(|error| TrainError::failed(error.to_string()))?;
        let unknown = || TrainError::failed(format!("no algorithm stands behind {}", candidate.label));
        let algorithm = books.contestants.find(&candidate.label).ok_or_else(unknown)?;
        let data = match books.tables.get(id, &books.files.table(id), &|| cx.should_stop()) {
            Ok(data) => data,
            Err(TableError::Stopped) => return Err(stopped(cx)),
            Err(error) => return Err(TrainError::failed(told(&error))),
        };
        let order = books.order.with_knobs(Knobs { scaling_factor, buckets });
        train_candidate(cx, job, &data, algorithm, &order)
    }
}

impl Trainer for PrepareTrainer {
    /// The catalogue is told before the yard is.
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let Self(books) = self;
        let Some(Work::Prepare(id)) = Work::of(&job.subject) else {
            return Err(TrainError::failed("the subject is no data"));
        };
        let (csv, table) = (books.files.data(id), books.files.table(id));
        let prepared = match prepare(&csv, &table, &books.limits, &|| cx.should_stop()) {
            Ok(prepared) => prepared,
            Err(TableError::Refused(refusal)) => return give_up(books, id, &refusal.to_string()),
            Err(TableError::Stopped) => return Err(stopped(cx)),
            Err(error) => return Err(TrainError::retry(told(&error))),
        };
        let needed = prepared.training_bytes.div_ceil(MIB);
        if needed > books.memory_mib {
            incoming::remove(&table);
            let max = books.memory_mib;
            return give_up(
                books,
                id,
                &format!("a training on it takes {needed} MiB of memory, and may take {max}"),
            );
        }
        let classes = u32::try_from(prepared.schema.classes().len()).unwrap_or(u32::MAX);
        let shape = Shape { rows: prepared.rows, classes, memory_mib: needed };
        if books.catalog.complete_dataset(id, shape).map_err(not_noted)? {
            incoming::remove(&csv);
        } else {
            forget_late_table(books, id)?;
        }
        Ok(Trained::default())
    }
}

/// The data is of no use, which its owner reads.
fn give_up(books: &Books, id: DatasetId, reason: &str) -> Result<Trained, TrainError> {
    if books.catalog.fail_dataset(id, reason).map_err(not_noted)? {
        incoming::remove(&books.files.data(id));
    }
    Err(TrainError::failed(reason))
}

/// Somebody else was quicker: to make it ready, or to give it up.
fn forget_late_table(books: &Books, id: DatasetId) -> Result<(), TrainError> {
    let is_ready = books
        .catalog
        .dataset(id)
        .map_err(not_noted)?
        .is_some_and(|dataset| matches!(dataset.state, trainyard_mathfi::DatasetState::Completed(_)));
    if !is_ready {
        incoming::remove(&books.files.table(id));
    }
    Ok(())
}

impl Trainer for PredictTrainer {
    /// The catalogue is told before the yard is.
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let Self(books) = self;
        let Some(Work::Predict(id)) = Work::of(&job.subject) else {
            return Err(TrainError::failed("the subject is no prediction"));
        };
        let prediction = books.catalog.prediction(id).map_err(not_noted)?;
        match prediction.map(|prediction| prediction.state) {
            Some(PredictionState::Pending | PredictionState::Running) => {}
            Some(PredictionState::Completed | PredictionState::Failed { .. } | PredictionState::TimedOut)
            | None => return Ok(Trained::default()),
        }
        books.catalog.start_prediction(id).map_err(not_noted)?;
        let reference = String::from_utf8_lossy(job.parameters.as_bytes());
        let path = cx.path(&Reference::new(&*reference))?;
        let model = match Model::open(&path, books.contestants.lineup()) {
            Ok(model) => model,
            Err(error) if may_pass(&error) => return Err(TrainError::retry(told(&error))),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(prediction = %id, model = %path.display(), error, "a model cannot be used");
                return fail(books, id, "its model is of no use any more: train again");
            }
        };
        match predict(books, cx, id, &model) {
            Ok(()) => {}
            Err(PredictError::Refused(refusal)) => return fail(books, id, &refusal.to_string()),
            Err(PredictError::Stopped) => return Err(stopped(cx)),
            Err(error) => return Err(TrainError::retry(told(&error))),
        }
        if !books.catalog.complete_prediction(id).map_err(not_noted)? {
            incoming::remove(&books.files.result(id));
        }
        incoming::remove(&books.files.rows(id));
        Ok(Trained::default())
    }
}

/// Whether it is the disk, and not the model.
fn may_pass(error: &ModelError) -> bool {
    matches!(error, ModelError::Io { source, .. } if source.kind() != io::ErrorKind::NotFound)
}

fn predict(books: &Books, cx: &Context, id: PredictionId, model: &Model) -> Result<(), PredictError> {
    let failed = |source: io::Error| PredictError::Io { operation: "keep the result", source };
    let mut result = BufWriter::new(books.files.inbox.begin_own().map_err(failed)?);
    model.predict_csv(&books.files.rows(id), &mut result, &books.limits, &|| cx.should_stop())?;
    let result = result.into_inner().map_err(|error| failed(error.into_error()))?;
    result.keep(&books.files.result(id)).map_err(failed)
}

/// The rows are of no use, or the model is, which the owner of the prediction reads.
fn fail(books: &Books, id: PredictionId, reason: &str) -> Result<Trained, TrainError> {
    if books.catalog.fail_prediction(id, reason).map_err(not_noted)? {
        incoming::remove(&books.files.rows(id));
    }
    Err(TrainError::failed(reason))
}

fn stopped(cx: &Context) -> TrainError {
    TrainError::stopped(cx.stop_reason().unwrap_or(Stop::ShuttingDown))
}

fn not_noted(error: RecordsError) -> TrainError {
    TrainError::retry(told(&error))
}

const MIB: u64 = 1 << 20;
