//! The indexes themselves: found by name or id, opened when they are first used, cleared away when nobody uses
//! them any more.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use trainyard_core::ModelId;
use trainyard_cyborgdb::{IndexId, NewIndex, Resolved};
use trainyard_ivf::{Index, Settings, StorageError};
use uuid::Uuid;

use super::catalog::{Catalog, CatalogError, Record, State};
use super::translate;

/// All indexes of a data folder.
pub(crate) struct Shelf {
    folder: PathBuf,
    /// Taken before `live`, never the other way round.
    catalog: Mutex<Catalog>,
    live: RwLock<Live>,
    /// Removed, and perhaps still read by a query or a training.
    doomed: Mutex<Vec<Arc<Entry>>>,
}

#[derive(Default)]
struct Live {
    ids: BTreeMap<String, IndexId>,
    entries: BTreeMap<IndexId, Arc<Entry>>,
}

/// One index. Whoever holds it may use it; its files go when nobody does and it was removed.
pub(crate) struct Entry {
    record: Record,
    path: PathBuf,
    index: OnceLock<Index>,
    opening: Mutex<()>,
    is_removed: AtomicBool,
    /// Removed, or the process ends: a model that is being put in is not waited for.
    is_leaving: AtomicBool,
    pub(crate) serving: Serving,
}

/// Which model an index serves queries by.
#[derive(Default)]
pub(crate) struct Serving {
    pub(crate) model: RwLock<Option<ModelId>>,
    /// Held while another one is put in its place; a model whose file is of no use is in it.
    pub(crate) changing: Mutex<Option<ModelId>>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ShelfError {
    #[error("there is an index of this name already")]
    Taken,
    #[error("there is no such index")]
    Gone,
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("could not make the folder of indexes")]
    Folder(#[source] std::io::Error),
}

impl Shelf {
    /// Opens the catalogue, and clears away what a crash, or a removal, has left; says how many indexes that were.
    pub(crate) fn open(folder: &Path) -> Result<(Self, usize), ShelfError> {
        let indexes = folder.join("indexes");
        fs::create_dir_all(&indexes).map_err(ShelfError::Folder)?;
        let catalog = Catalog::open(&folder.join("catalog.sqlite"))?;
        let mut live = Live::default();
        let mut left = Vec::new();
        for (record, state) in catalog.records()? {
            match state {
                State::Live => live.put(Arc::new(Entry::new(&indexes, record))),
                State::New | State::Removed => left.push(Arc::new(Entry::new(&indexes, record))),
            }
        }
        let cleared = left.len();
        let (catalog, live, doomed) = (Mutex::new(catalog), RwLock::new(live), Mutex::new(left));
        let shelf = Self { folder: indexes, catalog, live, doomed };
        shelf.sweep();
        Ok((shelf, cleared))
    }

    /// Makes an index. Its record comes first, its files second; only then is it there.
    pub(crate) fn create(&self, new: NewIndex) -> Result<IndexId, ShelfError> {
        let NewIndex { name, key, dimension, metric, precision } = new;
        let id = IndexId::new(Uuid::new_v4());
        let entry = Entry::new(&self.folder, Record { id, name, key, dimension, metric, precision });

        let catalog = self.catalog.lock();
        if self.live.read().ids.contains_key(&entry.record.name) {
            return Err(ShelfError::Taken);
        }
        catalog.add(&entry.record)?;
        let made = entry.make().map_err(ShelfError::from);
        if let Err(error) = made.and_then(|()| Ok(catalog.set(id, State::Live)?)) {
            drop(catalog);
            self.doomed.lock().push(Arc::new(entry));
            self.sweep();
            return Err(error);
        }
        self.live.write().put(Arc::new(entry));
        Ok(id)
    }

    /// Takes an index away; its name is free at once, its files go when nobody reads them.
    pub(crate) fn remove(&self, id: IndexId) -> Result<(), ShelfError> {
        {
            let catalog = self.catalog.lock();
            let entry = self.entry(id)?;
            catalog.set(id, State::Removed)?;
            entry.is_removed.store(true, Ordering::Release);
            entry.is_leaving.store(true, Ordering::Release);
            self.live.write().take(&entry);
            self.doomed.lock().push(entry);
        }
        self.sweep();
        Ok(())
    }

    /// Clears removed indexes away that nobody reads any more. Whoever may have been the last reader calls it.
    pub(crate) fn sweep(&self) {
        let doomed = std::mem::take(&mut *self.doomed.lock());
        for entry in doomed {
            match Arc::try_unwrap(entry) {
                Ok(entry) => self.clear(entry),
                Err(entry) => self.doomed.lock().push(entry),
            }
        }
    }

    fn clear(&self, entry: Entry) {
        let Entry { record, path, index, .. } = entry;
        drop(index);
        let cleared = Index::remove(&path).map_err(ShelfError::from);
        if let Err(error) = cleared.and_then(|()| Ok(self.catalog.lock().forget(record.id)?)) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(index = %record.id, error, "a removed index is cleared away at the next start");
        }
    }

    pub(crate) fn entry(&self, id: IndexId) -> Result<Arc<Entry>, ShelfError> {
        self.live.read().entries.get(&id).cloned().ok_or(ShelfError::Gone)
    }

    pub(crate) fn resolve(&self, name: &str) -> Option<Resolved> {
        let live = self.live.read();
        let id = *live.ids.get(name)?;
        live.entries.get(&id).map(|entry| Resolved { id, key: Some(entry.record.key) })
    }

    pub(crate) fn names(&self) -> Vec<(IndexId, String)> {
        self.live.read().ids.iter().map(|(name, id)| (*id, name.clone())).collect()
    }

    /// Puts no further models in.
    pub(crate) fn leave(&self) {
        let live = self.live.read();
        live.entries.values().for_each(|entry| entry.is_leaving.store(true, Ordering::Release));
    }

    /// Lets go of all indexes; their files can be opened by another process once nobody uses them.
    pub(crate) fn close(&self) {
        self.leave();
        *self.live.write() = Live::default();
        self.doomed.lock().clear();
    }
}

impl Live {
    fn put(&mut self, entry: Arc<Entry>) {
        self.ids.insert(entry.record.name.clone(), entry.record.id);
        self.entries.insert(entry.record.id, entry);
    }

    fn take(&mut self, entry: &Entry) {
        self.ids.remove(&entry.record.name);
        self.entries.remove(&entry.record.id);
    }
}

impl Entry {
    fn new(folder: &Path, record: Record) -> Self {
        Self {
            path: folder.join(record.id.to_string()),
            record,
            index: OnceLock::new(),
            opening: Mutex::new(()),
            is_removed: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
            serving: Serving::default(),
        }
    }

    fn make(&self) -> Result<(), StorageError> {
        let mut settings = Settings::new(translate::metric(self.record.metric));
        if let Some(dimension) = self.record.dimension {
            settings = settings.with_dimension(dimension).expect("the adapter checks dimensions");
        }
        let index = Index::create(&self.path, settings)?;
        self.index.set(index).expect("a new entry has no index yet");
        Ok(())
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.is_removed.load(Ordering::Acquire)
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }

    /// The vectors; read into memory at the first call.
    pub(crate) fn index(&self) -> Result<&Index, StorageError> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let _one_at_a_time = self.opening.lock();
        match self.index.get() {
            Some(index) => Ok(index),
            None => {
                let index = Index::open(&self.path)?;
                Ok(self.index.get_or_init(|| index))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use trainyard_cyborgdb::{Metric, Precision};
    use trainyard_http::secret::Digest;
    use trainyard_ivf::Item;

    use super::*;

    fn new(name: &str) -> NewIndex {
        let (metric, precision) = (Metric::default(), Precision::default());
        NewIndex { name: name.to_owned(), key: Digest::of(b"key"), dimension: None, metric, precision }
    }

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder.join("indexes")).unwrap().count()
    }

    #[test]
    fn a_removed_index_goes_when_its_last_reader_does() {
        let folder = tempfile::tempdir().unwrap();
        let (shelf, _) = Shelf::open(folder.path()).unwrap();
        let id = shelf.create(new("a")).unwrap();
        assert!(matches!(shelf.create(new("a")), Err(ShelfError::Taken)));
        let reader = shelf.entry(id).unwrap();
        reader.index().unwrap().upsert(&[Item::new("1", vec![1.0])]).unwrap();
        shelf.remove(id).unwrap();
        assert!(reader.is_removed() && reader.is_leaving());
        assert!(matches!(shelf.remove(id), Err(ShelfError::Gone)));
        assert_eq!(shelf.resolve("a"), None);

        let again = shelf.create(new("a")).unwrap();
        assert_ne!(again, id);
        assert!(shelf.entry(again).unwrap().index().unwrap().is_empty());
        let both = files(folder.path());
        assert_eq!(reader.index().unwrap().len(), 1, "a reader is not disturbed");
        drop(reader);
        shelf.sweep();
        assert!(files(folder.path()) < both);
        assert_eq!(shelf.catalog.lock().records().unwrap().len(), 1);
    }

    #[test]
    fn what_a_crash_has_left_is_cleared_away_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let (shelf, _) = Shelf::open(folder.path()).unwrap();
        let kept = shelf.create(new("kept")).unwrap();
        // Killed after the files were made, and while somebody read a removed one.
        let half = shelf.create(new("half")).unwrap();
        shelf.catalog.lock().set(half, State::New).unwrap();
        let removed = shelf.create(new("removed")).unwrap();
        let reader = shelf.entry(removed).unwrap();
        shelf.remove(removed).unwrap();
        drop(reader);
        shelf.close();
        drop(shelf);

        let (shelf, cleared) = Shelf::open(folder.path()).unwrap();
        assert_eq!(cleared, 2);
        assert_eq!(shelf.names(), [(kept, "kept".to_owned())]);
        assert_eq!(shelf.catalog.lock().records().unwrap().len(), 1);
        let names = fs::read_dir(folder.path().join("indexes")).unwrap();
        let names = names.map(|file| file.unwrap().file_name().into_string().unwrap());
        assert!(names.into_iter().all(|name| name.starts_with(&kept.to_string())));
        shelf.create(new("half")).unwrap();
    }
}
