//! What the host and the trainers have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use trainyard_core::Outcome;
use trainyard_http::secret::Secret;
use trainyard_mathfi::{DatasetId, PredictionId, UserId};
use trainyard_tabular::{Limits, Order};

use super::Contestants;
use super::catalog::{Catalog, CatalogError};
use super::config::MathFiConfig;
use super::files::Files;
use super::passwords::{NotHashed, Passwords};
use super::room::Room;
use super::tables::Tables;
use super::users::{FirstUser, Users, UsersError};
use super::work::{Classes, Work};
use crate::incoming;
use crate::key::kept_key;
use crate::lock::make_private;

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
    pub(crate) room: Arc<Room>,
    /// Whose each dataset is, to be looked up without the catalogue.
    pub(crate) owners: RwLock<BTreeMap<DatasetId, UserId>>,
    /// The datasets whose data is on its way, with how many are sending it.
    receiving: Mutex<BTreeMap<DatasetId, usize>>,
    /// How long a dataset waits for its data before it may make room for another one.
    pub(crate) stale_after: Duration,
    /// Whether the catalogue and the yard may not agree: see [`Keeper`](super::Keeper).
    is_behind: AtomicBool,
}

/// Why the books cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BooksError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
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
        let room = Arc::new(Room::new(files.root(), config.bytes_max, config.free_min));
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
            is_behind: AtomicBool::new(false),
        };
        Ok((books, first))
    }

    /// How much the files of a user take, in bytes. Looks at each of them.
    pub(crate) fn stored(&self, owner: UserId) -> Result<u64, CatalogError> {
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

    /// A job is over; whoever it was for must not be left at work. What its trainer has noted stays.
    pub(crate) fn settle(&self, work: Work, outcome: &Outcome) {
        let noted = match work {
            Work::Prepare(id) => self.dataset_over(id, outcome),
            Work::Predict(id) => self.prediction_over(id, outcome),
        };
        if let Err(error) = noted {
            let error: &dyn std::error::Error = &error;
            tracing::error!(?work, error, "its end could not be noted; it is tried again");
            self.fall_behind();
        }
    }

    /// The catalogue and the yard may not agree any more.
    pub(crate) fn fall_behind(&self) {
        self.is_behind.store(true, Ordering::Release);
    }

    /// Whether they may not; asked once.
    pub(crate) fn was_behind(&self) -> bool {
        self.is_behind.swap(false, Ordering::AcqRel)
    }

    fn dataset_over(&self, id: DatasetId, outcome: &Outcome) -> Result<(), CatalogError> {
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

    fn prediction_over(&self, id: PredictionId, outcome: &Outcome) -> Result<(), CatalogError> {
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
fn known(catalog: &Catalog, files: &Files) -> Result<BTreeSet<PathBuf>, CatalogError> {
    let mut known = BTreeSet::new();
    known.extend(catalog.datasets_at_work()?.into_iter().map(|(id, _)| files.data(id)));
    known.extend(catalog.ready()?.into_iter().map(|(id, _)| files.table(id)));
    known.extend(catalog.predictions_at_work()?.into_iter().map(|(id, _)| files.rows(id)));
    known.extend(catalog.results()?.into_iter().map(|id| files.result(id)));
    Ok(known)
}

/// How many passwords are tried at once, of 19 MiB each.
const PASSWORDS_AT_ONCE: usize = 2;
