//! What the adapter asks of indexes and vectors.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use trainyard_core::Model as Registered;
use trainyard_cyborgdb::{
    Batch, Description, Hit, Host, HostError, IndexId, Item, Listed, NewIndex, Parts, Query, Refused,
    Resolved,
};
use trainyard_ivf::Model;
use trainyard_runtime::Trainyard;

use super::shelf::{Entry, Shelf};
use super::translate;

/// The shelf, with the yard that knows where models lie.
pub(crate) struct VectorHost {
    shelf: Arc<Shelf>,
    yard: Trainyard,
    threads: NonZeroUsize,
}

impl VectorHost {
    pub(crate) fn new(shelf: Arc<Shelf>, yard: Trainyard) -> Self {
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { shelf, yard, threads }
    }

    /// Every index.
    pub(crate) fn ids(&self) -> Vec<IndexId> {
        self.shelf.names().into_iter().map(|(id, _)| id).collect()
    }

    /// Serves by the active model already now, so that no query is the first to wait for it.
    pub(crate) fn adopt_active(&self, index: IndexId) {
        let model = self.yard.read(|yard| yard.active_model(&index.registry()).cloned());
        if let Some(model) = model
            && let Err(error) = self.adopt(index, &model)
            && !matches!(error, Refused::Gone | Refused::Stopping)
        {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(%index, model = %model.id, error, "a model cannot be used; search is as before");
        }
    }

    fn install(&self, entry: &Entry, model: &Registered) -> Result<(), Unusable> {
        let index = entry.index().map_err(Unusable::Index)?;
        let path: PathBuf = self.yard.artifact_path(model)?;
        let model = Arc::new(Model::load(&path)?);
        index.install(&model, self.threads, &|| entry.is_removed() || entry.is_stopping())?;
        Ok(())
    }
}

impl Host for VectorHost {
    fn create(&self, index: NewIndex) -> Result<IndexId, Refused> {
        Ok(self.shelf.create(index)?)
    }

    fn list(&self) -> Result<Vec<Listed>, HostError> {
        Ok(self.shelf.names().into_iter().map(|(id, name)| Listed { id, name }).collect())
    }

    fn resolve(&self, name: &str) -> Result<Option<Resolved>, HostError> {
        Ok(self.shelf.resolve(name))
    }

    fn describe(&self, index: IndexId) -> Result<Description, Refused> {
        let entry = self.shelf.entry(index)?;
        let dimension = entry.index().map_err(translate::failed)?.dimension();
        Ok(Description { dimension, metric: entry.record().metric })
    }

    fn remove(&self, index: IndexId) -> Result<(), Refused> {
        Ok(self.shelf.remove(index)?)
    }

    /// While somebody else puts a model in, queries are served as before: they wait for nothing. A model whose file
    /// is of no use is read once, and refused from then on; queries are exact, or by the model before.
    fn adopt(&self, index: IndexId, model: &Registered) -> Result<(), Refused> {
        let entry = self.shelf.entry(index)?;
        if *entry.serving.model.read() == Some(model.id) {
            return Ok(());
        }
        let Some(mut unusable) = entry.serving.changing.try_lock() else {
            return Ok(());
        };
        if *unusable == Some(model.id) {
            return Err(Refused::Failed(HostError::new("the file of the model is of no use, train again")));
        }
        match self.install(&entry, model) {
            Ok(()) => {
                *entry.serving.model.write() = Some(model.id);
                Ok(())
            }
            Err(_) if entry.is_removed() => Err(Refused::Gone),
            Err(_) if entry.is_stopping() => Err(Refused::Stopping),
            Err(error) => {
                if error.is_lasting() {
                    *unusable = Some(model.id);
                }
                Err(Refused::Failed(HostError::new(error)))
            }
        }
    }

    fn upsert(&self, index: IndexId, batch: Batch) -> Result<u64, Refused> {
        let entry = self.shelf.entry(index)?;
        let items = translate::items(batch);
        let upserted = entry.index().map_err(translate::failed)?.upsert(&items);
        Ok(upserted.map_err(translate::index_error)?.len as u64)
    }

    fn get(&self, index: IndexId, ids: &[String], parts: Parts) -> Result<Vec<Item>, Refused> {
        let entry = self.shelf.entry(index)?;
        let index = entry.index().map_err(translate::failed)?;
        let items = index.get_within(ids, GET_BYTES_MAX).map_err(translate::index_error)?;
        Ok(items.into_iter().map(|item| translate::got(item, parts)).collect())
    }

    fn delete(&self, index: IndexId, ids: &[String]) -> Result<(), Refused> {
        let entry = self.shelf.entry(index)?;
        entry.index().and_then(|index| index.delete(ids)).map_err(translate::failed)?;
        Ok(())
    }

    fn list_ids(&self, index: IndexId) -> Result<Vec<String>, Refused> {
        let entry = self.shelf.entry(index)?;
        let ids = entry.index().map_err(translate::failed)?.ids();
        Ok(ids.iter().map(|id| id.as_ref().to_owned()).collect())
    }

    fn count(&self, index: IndexId) -> Result<u64, Refused> {
        let entry = self.shelf.entry(index)?;
        Ok(entry.index().map_err(translate::failed)?.len() as u64)
    }

    fn query(&self, index: IndexId, query: &Query) -> Result<Vec<Vec<Hit>>, Refused> {
        let entry = self.shelf.entry(index)?;
        let index = entry.index().map_err(translate::failed)?;
        let search = translate::search(query, index.len(), self.threads)?;
        let vectors: Vec<&[f32]> = query.vectors.chunks_exact(query.dimension).collect();
        let found = index.query(&vectors, &search, &|| entry.is_removed());
        let found = match found {
            Err(_) if entry.is_removed() => return Err(Refused::Gone),
            found => found.map_err(translate::refused)?,
        };
        let hits = |hits: Vec<_>| hits.into_iter().map(|hit| translate::hit(hit, query.metadata)).collect();
        Ok(found.into_iter().map(hits).collect())
    }
}

/// So much is read into memory for one request, also of what it does not want to have answered: 64 MiB.
const GET_BYTES_MAX: u64 = 64 << 20;

/// Why a model does not serve an index.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Elsewhere(#[from] trainyard_runtime::OutsideDataFolder),
    #[error(transparent)]
    Index(trainyard_ivf::StorageError),
    #[error(transparent)]
    File(#[from] trainyard_ivf::StorageError),
    #[error(transparent)]
    Install(#[from] trainyard_ivf::InstallError),
}

impl Unusable {
    /// Whether another try would find the same.
    fn is_lasting(&self) -> bool {
        match self {
            Self::Elsewhere(_) => true,
            Self::Index(_) => false,
            Self::File(error) => error.is_damaged() || error.is_unknown_format() || error.is_not_found(),
            Self::Install(error) => !matches!(error, trainyard_ivf::InstallError::Stopped),
        }
    }
}
