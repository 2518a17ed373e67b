//! What the host and the trainers have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use trainyard_core::{JobId, Outcome, Parameters, QueueName, Subject, Submission};
use trainyard_http::secret::Secret;
use trainyard_mathfi::{DatasetId, PredictionId, UserId};
use trainyard_runtime::Trainyard;
use trainyard_tabular::{Limits, Order};

use super::Contestants;
use super::catalog::Catalog;
use super::config::MathFiConfig;
use super::files::Files;
use super::passwords::{NotHashed, Passwords};
use super::tables::Tables;
use super::users::{FirstUser, Users, UsersError};
use super::work::{Classes, Work};
use crate::disk::Disk;
use crate::incoming;
use crate::keeping::{Behind, Ledger};
use crate::key::kept_key;
use crate::lock::make_private;
use crate::records::RecordsError;
use crate::room::Room;

/// Users, datasets and predictions, with their files. The catalogue says how far each is; the yard says only whether
/// somebody works on it.
pub(crate) struct Books {
    pub(crate) catalog: Catalog,
    pub(crate) files: Files,
    pub(crate) users: Users,
    pub(crate) tables: Tables,
    pub(crate) contestants: Contestants,
    pub(crate) classes: Classes,
    pub(crate) limits: Limits,
    pub(crate) order: Order,
    pub(crate) key: Secret,
    /// What trainings may take together, in MiB.
    pub(crate) memory_mib: u64,
    pub(crate) datasets_max: u64,
    pub(crate) predictions_max: u64,
    /// Held while an upload becomes the data of its dataset, or a dataset makes room for another: of two, one wins.
    pub(crate) finishing: Mutex<()>,
    pub(crate) room: Arc<Room<UserId>>,
    /// Whose each dataset is, to be looked up without the catalogue.
    pub(crate) owners: RwLock<BTreeMap<DatasetId, UserId>>,
    /// The datasets whose data is on its way, with how many are sending it.
    receiving: Mutex<BTreeMap<DatasetId, usize>>,
    /// How long a dataset waits for its data before it may make room for another one.
    pub(crate) stale_after: Duration,
    pub(crate) behind: Behind,
}

/// Why the books cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BooksError {
    #[error(transparent)]
    Catalog(#[from] RecordsError),
    #[error(transparent)]
    Users(#[from] UsersError),
    #[error("could not use {}", path.display())]
    Folder { path: PathBuf, source: io::Error },
}

impl From<NotHashed> for BooksError {
    fn from(error: NotHashed) -> Self {
        Self::Users(error.into())
    }
}

impl Books {
    /// Opens the catalogue, and clears away what a crash has left; says who was made since nobody was configured.
    pub(crate) fn open(
        folder: &Path,
        config: &MathFiConfig,
        memory_mib: u64,
        disk: Disk,
    ) -> Result<(Self, Option<FirstUser>), BooksError> {
        let failed = |path: PathBuf| move |source| BooksError::Folder { path, source };
        make_private(folder).map_err(failed(folder.to_owned()))?;
        let limits = config.settings.limits();
        let files = Files::open(folder, limits.uploads).map_err(failed(folder.to_owned()))?;
        let catalog = Catalog::open_or_make(&folder.join("catalog.sqlite"), || {
            // Another catalogue than this one may name what is here.
            let kept = files.keep_all()?;
            if kept > 0 {
                tracing::warn!(kept, "there was no catalogue, and files are there: they are left alone");
            }
            Ok(())
        })?;
        let known = known(&catalog, &files)?;
        let cleared = files.clear_all_but(&known).map_err(failed(folder.to_owned()))?;
        if cleared > 0 {
            tracing::info!(cleared, "files that nobody knows were cleared away");
        }
        for (id, needed) in catalog.ready()? {
            if needed > memory_mib {
                tracing::warn!(dataset = %id, needed, memory_mib, "no training on it fits into the memory");
            }
        }
        let key = folder.join("signing.key");
        let key = kept_key(&key).map_err(failed(key))?;
        let (users, first) = Users::open(&catalog, &config.users, Passwords::new(PASSWORDS_AT_ONCE)?)?;
        let owners = catalog.owners()?.into_iter().collect();
        let room = Arc::new(Room::new(disk, config.bytes_max));
        let books = Self {
            catalog,
            files,
            users,
            tables: Tables::default(),
            contestants: config.contestants.clone(),
            classes: Classes::new(config.prepare_time, config.predict_time, config.retry),
            limits: Limits::default(),
            order: Order::new().with_checkpoint_every(config.checkpoint_every),
            key,
            memory_mib,
            datasets_max: config.datasets_max,
            predictions_max: config.predictions_max,
            finishing: Mutex::new(()),
            room,
            owners: RwLock::new(owners),
            receiving: Mutex::default(),
            stale_after: limits.upload_url_life,
            behind: Behind::default(),
        };
        Ok((books, first))
    }

    /// How much the files of a user take, in bytes. Looks at each of them.
    pub(crate) fn stored(&self, owner: UserId) -> Result<u64, RecordsError> {
        let datasets = self.catalog.datasets_with_files(owner)?.into_iter();
        let predictions = self.catalog.predictions_with_files(owner)?.into_iter();
        let bytes = datasets
            .map(|id| self.files.dataset_bytes(id))
            .chain(predictions.map(|id| self.files.prediction_bytes(id)));
        Ok(bytes.fold(0, u64::saturating_add))
    }

    /// Somebody sends the data of this dataset, until what is returned is dropped.
    pub(crate) fn receive(self: &Arc<Self>, id: DatasetId) -> Receiving {
        *self.receiving.lock().entry(id).or_default() += 1;
        Receiving { books: Arc::clone(self), id }
    }

    /// Whether somebody does.
    pub(crate) fn is_receiving(&self, id: DatasetId) -> bool {
        self.receiving.lock().contains_key(&id)
    }

    fn dataset_over(&self, id: DatasetId, outcome: &Outcome) -> Result<(), RecordsError> {
        let reason = match outcome {
            Outcome::TimedOut(_) => "the data took too long to be made ready",
            Outcome::Completed { .. }
            | Outcome::Stalled
            | Outcome::Cancelled { .. }
            | Outcome::Failed { .. }
            | Outcome::Superseded => "the data could not be made ready, for a reason that is not in it",
        };
        if self.catalog.fail_dataset(id, reason)? {
            tracing::error!(dataset = %id, %outcome, "its data could not be made ready");
            incoming::remove(&self.files.data(id));
        }
        Ok(())
    }

    fn prediction_over(&self, id: PredictionId, outcome: &Outcome) -> Result<(), RecordsError> {
        let is_news = match outcome {
            Outcome::TimedOut(_) => self.catalog.time_out_prediction(id)?,
            Outcome::Completed { .. }
            | Outcome::Stalled
            | Outcome::Cancelled { .. }
            | Outcome::Failed { .. }
            | Outcome::Superseded => {
                self.catalog.fail_prediction(id, "it broke, for a reason that is not in the rows")?
            }
        };
        if is_news {
            tracing::error!(prediction = %id, %outcome, "it could not be made");
            incoming::remove(&self.files.rows(id));
        }
        Ok(())
    }
}

impl Ledger for Books {
    type Work = Work;
    type Error = RecordsError;

    fn work_of(&self, subject: &Subject) -> Option<Work> {
        Work::of(subject)
    }

    fn at_work(&self) -> Result<Vec<(Work, JobId)>, RecordsError> {
        let datasets = self.catalog.datasets_at_work()?.into_iter();
        let predictions = self.catalog.predictions_at_work()?.into_iter();
        let predictions = predictions.map(|(id, job)| (Work::Predict(id), job));
        Ok(datasets.map(|(id, job)| (Work::Prepare(id), job)).chain(predictions).collect())
    }

    fn line(&self, work: Work) -> &QueueName {
        &self.classes.of(work).queue
    }

    /// A prediction is told where its model lies; when there is none of them any more, it fails.
    fn submission(
        &self,
        yard: &Trainyard,
        work: Work,
        job: JobId,
    ) -> Result<Option<Submission>, RecordsError> {
        let parameters = match work {
            Work::Prepare(_) => Parameters::default(),
            Work::Predict(id) => {
                let found = self.catalog.prediction(id)?.and_then(|prediction| yard.model(prediction.model));
                let reference = found.map(|model| model.artifact.to_string().into_bytes());
                let Some(parameters) = reference.and_then(|reference| Parameters::new(reference).ok()) else {
                    self.catalog.fail_prediction(id, "its model is not there any more")?;
                    incoming::remove(&self.files.rows(id));
                    return Ok(None);
                };
                parameters
            }
        };
        Ok(Some(self.classes.submission(work, job, parameters)))
    }

    fn settle(&self, work: Work, outcome: &Outcome) -> Result<(), RecordsError> {
        match work {
            Work::Prepare(id) => self.dataset_over(id, outcome),
            Work::Predict(id) => self.prediction_over(id, outcome),
        }
    }

    fn behind(&self) -> &Behind {
        &self.behind
    }
}

/// The data of a dataset is on its way while this is there.
pub(crate) struct Receiving {
    books: Arc<Books>,
    id: DatasetId,
}

impl Drop for Receiving {
    fn drop(&mut self) {
        let mut receiving = self.books.receiving.lock();
        if let Some(count) = receiving.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                receiving.remove(&self.id);
            }
        }
    }
}

/// The files that there should be.
fn known(catalog: &Catalog, files: &Files) -> Result<BTreeSet<PathBuf>, RecordsError> {
    let mut known = BTreeSet::new();
    known.extend(catalog.datasets_at_work()?.into_iter().map(|(id, _)| files.data(id)));
    known.extend(catalog.ready()?.into_iter().map(|(id, _)| files.table(id)));
    known.extend(catalog.predictions_at_work()?.into_iter().map(|(id, _)| files.rows(id)));
    known.extend(catalog.results()?.into_iter().map(|id| files.result(id)));
    Ok(known)
}

/// How many passwords are tried at once, of 19 MiB each.
const PASSWORDS_AT_ONCE: usize = 2;
