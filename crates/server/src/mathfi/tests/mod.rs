//! The catalogue and the yard, and what comes between them.

mod files;
mod keeping;
mod restarts;
mod tries;
mod uploads;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use trainyard_core::{JobId, ModelId, Timestamp, Trained};
use trainyard_http::secret::Secret;
use trainyard_journal::MemoryJournal;
use trainyard_mathfi::{
    DatasetId, DatasetState, Host, NewDataset, PredictionId, PredictionState, Refused, UserId,
};
use trainyard_runtime::{Context, JobToTrain, TrainError, Trainer, Trainyard};
use uuid::Uuid;

use super::books::Books;
use super::catalog::{NewPrediction, Places};
use super::config::MathFiConfig;
use super::host::TableHost;
use super::work::Work;
use crate::disk::Disk;
use crate::incoming;
use crate::keeping::{Healed, Keeper, submit};

const CSV: &str = "id,a,class\n1,0,x\n2,1,y\n3,0,x\n4,1,y\n5,0,x\n6,1,y\n7,0,x\n8,1,y\n";

fn books(folder: &Path) -> (Arc<Books>, UserId) {
    books_with(folder, tries_at_once())
}

fn books_with(folder: &Path, config: MathFiConfig) -> (Arc<Books>, UserId) {
    let users = [("a".to_owned(), Secret::new("s3cret").unwrap())].into();
    let config = MathFiConfig { users, ..config };
    let (books, _) = Books::open(&folder.join("mathfi"), &config, 1_000, Disk::new(folder, 0)).unwrap();
    let user = books.users.log_in("a", "s3cret").unwrap();
    (Arc::new(books), user.id)
}

/// Both kinds are done by this one.
fn yard(folder: &Path, books: &Books, trainer: impl Trainer + Clone) -> Trainyard {
    let builder = Trainyard::builder(folder.join("yard"))
        .journal(MemoryJournal::new())
        .trainer(books.classes.prepare.kind.clone(), trainer.clone())
        .trainer(books.classes.predict.kind.clone(), trainer);
    builder.start().unwrap().0
}

fn keep(books: &Arc<Books>, yard: &Trainyard) -> (JoinHandle<()>, Healed) {
    let (keeper, healed) = Keeper::open(Arc::clone(books), yard.clone()).unwrap();
    (thread::spawn(move || keeper.run()), healed)
}

/// A dataset whose data came in, and whose job nobody has heard of.
fn processing(books: &Books, owner: UserId) -> (DatasetId, JobId) {
    let (id, job) = (DatasetId::new(Uuid::new_v4()), JobId::new(Uuid::new_v4()));
    let (at, name) = (Timestamp::from_millis(0), id.to_string());
    let new = NewDataset { owner, name, description: None, buckets: 20, at };
    let places = Places { max: 9, stale_before: at, is_receiving: &|_| false };
    books.catalog.add_dataset(id, &new, &places).unwrap();
    fs::write(books.files.data(id), CSV).unwrap();
    assert!(books.catalog.begin_dataset(id, job).unwrap());
    (id, job)
}

fn pending(books: &Books, owner: UserId) -> (PredictionId, JobId) {
    let (id, job) = (PredictionId::new(Uuid::new_v4()), JobId::new(Uuid::new_v4()));
    let model = ModelId::new(Uuid::new_v4());
    books.catalog.add_prediction(NewPrediction { id, owner, model, job }, 9).unwrap();
    fs::write(books.files.rows(id), CSV).unwrap();
    (id, job)
}

fn dataset(books: &Books, id: DatasetId) -> DatasetState {
    books.catalog.dataset(id).unwrap().unwrap().state
}

fn prediction(books: &Books, id: PredictionId) -> PredictionState {
    books.catalog.prediction(id).unwrap().unwrap().state
}

fn end(yard: &Trainyard, keeping: JoinHandle<()>) {
    yard.shutdown(Duration::from_secs(5)).wait().unwrap();
    keeping.join().unwrap();
}

/// What fails is tried again at once.
fn tries_at_once() -> MathFiConfig {
    let backoff = trainyard_core::Backoff::new(Duration::ZERO, Duration::ZERO);
    MathFiConfig { retry: trainyard_core::RetryPolicy { retries_max: 5, backoff }, ..MathFiConfig::new() }
}
