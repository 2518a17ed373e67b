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
    indexes_max: usize,
    ground: Arc<Ground>,
    live: RwLock<Live>,
}

/// What the shelf and every index on it have in common.
struct Ground {
    /// Taken before `live`, never the other way round, and never while the last handle of a removed index is let go.
    catalog: Mutex<Catalog>,
    /// The process ends: a model that is being put in is not waited for.
    is_stopping: AtomicBool,
    /// The folder is somebody else's soon: nothing is made or cleared in it any more.
    is_closed: AtomicBool,
}

#[derive(Default)]
struct Live {
    /// Known to the end: an index that exists is not unknown because the process ends.
    names: BTreeMap<String, Resolved>,
    entries: BTreeMap<IndexId, Arc<Entry>>,
}

/// One index. Whoever holds it may use it; when it was removed, its files go with the last one who does.
pub(crate) struct Entry {
    record: Record,
    path: PathBuf,
    ground: Arc<Ground>,
    index: OnceLock<Index>,
    opening: Mutex<()>,
    is_removed: AtomicBool,
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
    #[error("the service is stopping")]
    Stopping,
    #[error("the limit of {max} indexes is reached; delete one first")]
    Full { max: usize },
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("could not make the folder of indexes")]
    Folder(#[source] std::io::Error),
}

impl Shelf {
    /// Opens the catalogue, and clears away what a crash, or a removal, has left; says how many indexes that were.
    pub(crate) fn open(folder: &Path, indexes_max: usize) -> Result<(Self, usize), ShelfError> {
        let indexes = folder.join("indexes");
        fs::create_dir_all(&indexes).map_err(ShelfError::Folder)?;
        let catalog = Catalog::open(&folder.join("catalog.sqlite"))?;
        let records = catalog.records()?;
        let (is_stopping, is_closed) = (AtomicBool::new(false), AtomicBool::new(false));
        let ground = Arc::new(Ground { catalog: Mutex::new(catalog), is_stopping, is_closed });
        let mut live = Live::default();
        let mut cleared = 0;
        for (record, state) in records {
            let entry = Entry::new(&indexes, record, &ground);
            match state {
                State::Live => live.put(Arc::new(entry)),
                State::New | State::Removed => {
                    entry.doom();
                    cleared += 1;
                }
            }
        }
        Ok((Self { folder: indexes, indexes_max, ground, live: RwLock::new(live) }, cleared))
    }

    /// Makes an index. Its record comes first, its files second; only then is it there.
    pub(crate) fn create(&self, new: NewIndex) -> Result<IndexId, ShelfError> {
        let NewIndex { name, key, dimension, metric, precision } = new;
        let id = IndexId::new(Uuid::new_v4());
        let record = Record { id, name, key, dimension, metric, precision };
        let entry = Entry::new(&self.folder, record, &self.ground);

        let catalog = self.ground.catalog.lock();
        self.may_create(&entry.record.name)?;
        catalog.add(&entry.record)?;
        let made = entry.make().map_err(ShelfError::from);
        if let Err(error) = made.and_then(|()| Ok(catalog.set(id, State::Live)?)) {
            drop(catalog);
            entry.doom();
            return Err(error);
        }
        self.live.write().put(Arc::new(entry));
        Ok(id)
    }

    fn may_create(&self, name: &str) -> Result<(), ShelfError> {
        let live = self.live.read();
        if self.ground.is_closed.load(Ordering::Acquire) {
            return Err(ShelfError::Stopping);
        }
        if live.names.contains_key(name) {
            return Err(ShelfError::Taken);
        }
        match self.indexes_max {
            max if live.names.len() >= max => Err(ShelfError::Full { max }),
            _ => Ok(()),
        }
    }

    /// Takes an index away; its name is free at once, its files go when nobody reads them.
    pub(crate) fn remove(&self, id: IndexId) -> Result<(), ShelfError> {
        let catalog = self.ground.catalog.lock();
        let entry = self.entry(id)?;
        catalog.set(id, State::Removed)?;
        self.live.write().take(&entry);
        drop(catalog);
        entry.doom();
        Ok(())
    }

    pub(crate) fn entry(&self, id: IndexId) -> Result<Arc<Entry>, ShelfError> {
        let live = self.live.read();
        let gone = match self.ground.is_closed.load(Ordering::Acquire) {
            true => ShelfError::Stopping,
            false => ShelfError::Gone,
        };
        live.entries.get(&id).cloned().ok_or(gone)
    }

    pub(crate) fn resolve(&self, name: &str) -> Option<Resolved> {
        self.live.read().names.get(name).cloned()
    }

    pub(crate) fn names(&self) -> Vec<(IndexId, String)> {
        self.live.read().names.iter().map(|(name, index)| (index.id, name.clone())).collect()
    }

    /// Reads every index into memory, and tells of those that cannot be.
    pub(crate) fn open_all(&self) {
        let entries: Vec<_> = self.live.read().entries.values().cloned().collect();
        for entry in entries {
            if let Err(error) = entry.index() {
                let (Record { id, name, .. }, file) = (&entry.record, entry.path.display());
                let error: &dyn std::error::Error = &error;
                tracing::error!(index = %id, name, %file, error, "an index cannot be opened");
            }
        }
    }

    /// Puts no further models in.
    pub(crate) fn leave(&self) {
        self.ground.is_stopping.store(true, Ordering::Release);
    }

    /// Lets go of all indexes; their files can be opened by another process once nobody uses them.
    pub(crate) fn close(&self) {
        self.leave();
        let _nobody_creates = self.ground.catalog.lock();
        let mut live = self.live.write();
        self.ground.is_closed.store(true, Ordering::Release);
        live.entries.clear();
    }
}

impl Live {
    fn put(&mut self, entry: Arc<Entry>) {
        let Record { id, ref name, key, .. } = entry.record;
        self.names.insert(name.clone(), Resolved { id, key: Some(key) });
        self.entries.insert(id, entry);
    }

    fn take(&mut self, entry: &Entry) {
        self.names.remove(&entry.record.name);
        self.entries.remove(&entry.record.id);
    }
}

impl Entry {
    fn new(folder: &Path, record: Record, ground: &Arc<Ground>) -> Self {
        Self {
            path: folder.join(format!("{}.sqlite", record.id)),
            record,
            ground: Arc::clone(ground),
            index: OnceLock::new(),
            opening: Mutex::new(()),
            is_removed: AtomicBool::new(false),
            serving: Serving::default(),
        }
    }

    /// Its files go with the last handle.
    fn doom(&self) {
        self.is_removed.store(true, Ordering::Release);
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

    pub(crate) fn is_stopping(&self) -> bool {
        self.ground.is_stopping.load(Ordering::Acquire)
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

impl Drop for Entry {
    fn drop(&mut self) {
        if !*self.is_removed.get_mut() || self.ground.is_closed.load(Ordering::Acquire) {
            return;
        }
        drop(self.index.take());
        let id = self.record.id;
        let cleared = Index::remove(&self.path).map_err(ShelfError::from);
        if let Err(error) = cleared.and_then(|()| Ok(self.ground.catalog.lock().forget(id)?)) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(index = %id, error, "a removed index is cleared away at the next start");
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

    fn open(folder: &Path) -> (Shelf, usize) {
        Shelf::open(folder, 3).unwrap()
    }

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder.join("indexes")).unwrap().count()
    }

    #[test]
    fn a_removed_index_goes_when_its_last_reader_does() {
        let folder = tempfile::tempdir().unwrap();
        let (shelf, _) = open(folder.path());
        let id = shelf.create(new("a")).unwrap();
        assert!(matches!(shelf.create(new("a")), Err(ShelfError::Taken)));
        let reader = shelf.entry(id).unwrap();
        reader.index().unwrap().upsert(&[Item::new("1", vec![1.0])]).unwrap();
        shelf.remove(id).unwrap();
        assert!(reader.is_removed() && !reader.is_stopping());
        assert!(matches!(shelf.remove(id), Err(ShelfError::Gone)));
        assert_eq!(shelf.resolve("a"), None);

        let again = shelf.create(new("a")).unwrap();
        assert_ne!(again, id);
        assert!(shelf.entry(again).unwrap().index().unwrap().is_empty());
        let both = files(folder.path());
        assert_eq!(reader.index().unwrap().len(), 1, "a reader is not disturbed");
        let other = Arc::clone(&reader);
        std::thread::scope(|scope| {
            scope.spawn(|| drop(reader));
            scope.spawn(|| drop(other));
        });
        assert!(files(folder.path()) < both, "whoever of them was the last one");
        assert_eq!(shelf.ground.catalog.lock().records().unwrap().len(), 1);
    }

    #[test]
    fn a_shelf_that_stops_knows_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let (shelf, _) = open(folder.path());
        let id = shelf.create(new("a")).unwrap();
        let reader = shelf.entry(id).unwrap();
        shelf.leave();
        assert!(reader.is_stopping() && !reader.is_removed());
        shelf.entry(id).unwrap();
        shelf.close();
        assert_eq!(shelf.resolve("a").unwrap().id, id);
        assert!(matches!(shelf.entry(id), Err(ShelfError::Stopping)));
        assert!(matches!(shelf.remove(id), Err(ShelfError::Stopping)));
        assert!(matches!(shelf.create(new("b")), Err(ShelfError::Stopping)));
        drop(reader);
        let (shelf, cleared) = open(folder.path());
        assert_eq!((shelf.names(), cleared), (vec![(id, "a".to_owned())], 0));
    }

    #[test]
    fn there_are_only_so_many() {
        let folder = tempfile::tempdir().unwrap();
        let (shelf, _) = open(folder.path());
        let [first, ..] = ["a", "b", "c"].map(|name| shelf.create(new(name)).unwrap());
        let error = shelf.create(new("d")).unwrap_err();
        assert!(matches!(error, ShelfError::Full { max: 3 }), "{error}");
        assert!(matches!(shelf.create(new("a")), Err(ShelfError::Taken)));
        shelf.remove(first).unwrap();
        shelf.create(new("d")).unwrap();
    }

    #[test]
    fn a_half_made_index_that_could_not_be_cleared_away_does_not_keep_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (shelf, _) = open(folder.path());
        let half = IndexId::new(Uuid::new_v4());
        let NewIndex { name, key, dimension, metric, precision } = new("a");
        let record = Record { id: half, name, key, dimension, metric, precision };
        shelf.ground.catalog.lock().add(&record).unwrap();
        let made = shelf.create(new("a")).unwrap();
        drop(shelf);
        let (shelf, cleared) = open(folder.path());
        assert_eq!((shelf.names(), cleared), (vec![(made, "a".to_owned())], 1));
    }

    #[test]
    fn what_a_crash_has_left_is_cleared_away_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let (shelf, _) = open(folder.path());
        let kept = shelf.create(new("kept")).unwrap();
        // Killed after the files were made, and while somebody read a removed one.
        let half = shelf.create(new("half")).unwrap();
        shelf.ground.catalog.lock().set(half, State::New).unwrap();
        let removed = shelf.create(new("removed")).unwrap();
        let reader = shelf.entry(removed).unwrap();
        shelf.remove(removed).unwrap();
        shelf.close();
        drop(reader);
        drop(shelf);

        let (shelf, cleared) = open(folder.path());
        assert_eq!(cleared, 2);
        assert_eq!(shelf.names(), [(kept, "kept".to_owned())]);
        assert_eq!(shelf.ground.catalog.lock().records().unwrap().len(), 1);
        let names = fs::read_dir(folder.path().join("indexes")).unwrap();
        let names = names.map(|file| file.unwrap().file_name().into_string().unwrap());
        assert!(names.into_iter().all(|name| name.starts_with(&kept.to_string())));
        shelf.create(new("half")).unwrap();
    }
}
