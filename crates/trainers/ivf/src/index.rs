use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::codebook::{Codebook, GivenUp, Products};
use crate::item::{check_dimension, check_vectors};
use crate::memory::{Entry, Memory, Places, slot_number};
use crate::numeric::normalise;
use crate::set::{STREAM_SET, choose};
use crate::store::{self, Put, Store, StoreReader, StoredSettings};
use crate::{
    Filter, Hit, IndexError, Item, KMeans, Metric, ModelTag, Refusal, Search, StorageError, TrainingSet,
    VECTORS_MAX, search,
};

/// Vectors that can be searched, kept in a file.
///
/// Shared between threads by reference. Every change is one transaction, on disk when the call returns, and
/// either whole or not at all. Reads look at the index as it was at one moment: they wait for no change and no
/// training, and no change waits for them. Changes wait for each other.
///
/// Without a model every search is exact. [`training_set`](Self::training_set), [`KMeans::train`] and
/// [`install`](Self::install) make it fast; which model is installed is not kept in the file, so whoever
/// opens the index installs it again.
///
/// Memory: per vector `4 × dimension` and about 110 bytes, its id, and its metadata as parsed JSON; with a
/// model, `4 × dimension + 12` more, for lists hold their vectors side by side. Contents stay on disk.
///
/// Vectors lie in chunks of at most 512 KiB. What changes while a read looks at it is copied by chunks: per item
/// one for the item itself and, with a model, at most three for its lists, each chunk once per request; and
/// 8 bytes for each chunk and list there is.
///
/// ```
/// use trainyard_ivf::{Index, Item, Search, Settings};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("index");
/// let index = Index::create(&path, Settings::default())?;
/// index.upsert(&[Item::new("a", vec![0.0, 1.0]), Item::new("b", vec![5.0, 5.0])])?;
/// drop(index);
///
/// let index = Index::open(&path)?;
/// let hits = index.query(&[[0.0, 2.0]], &Search::new(1.try_into()?), &|| false)?;
/// assert_eq!((&*hits[0][0].id, hits[0][0].distance), ("a", 1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Index {
    pub(crate) metric: Metric,
    pub(crate) memory: RwLock<Arc<Memory>>,
    pub(crate) writer: Mutex<Writer>,
    reader: Mutex<StoreReader>,
    /// Held while a model is put in or taken out; taken before `writer`.
    pub(crate) installing: Mutex<()>,
}

/// What an index is from its creation on.
///
/// ```
/// use trainyard_ivf::{Metric, Settings};
///
/// let settings = Settings::new(Metric::Cosine).with_dimension(384)?;
/// assert!(Settings::new(Metric::Cosine).with_dimension(70_000).is_err());
/// # Ok::<(), trainyard_ivf::Refusal>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    metric: Metric,
    dimension: Option<usize>,
}

impl Settings {
    /// With this metric (default: [`Metric::Euclidean`]); the first upsert decides on the dimension.
    #[must_use]
    pub fn new(metric: Metric) -> Self {
        Self { metric, dimension: None }
    }

    /// With this dimension.
    ///
    /// # Errors
    /// [`Refusal::DimensionOutOfBounds`] outside 1 to [`DIMENSION_MAX`](crate::DIMENSION_MAX).
    pub fn with_dimension(self, dimension: usize) -> Result<Self, Refusal> {
        check_dimension(dimension)?;
        Ok(Self { dimension: Some(dimension), ..self })
    }
}

/// What an upsert did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upserted {
    /// Ids that were new.
    pub inserted: usize,
    /// Ids whose item was replaced.
    pub replaced: usize,
    /// How many items the index has now.
    pub len: usize,
}

/// What changes go through, one at a time.
#[derive(Debug)]
pub(crate) struct Writer {
    store: Store,
    slots: HashMap<Arc<str>, u32>,
    /// Slots below `end` that are not in use; the lowest is used first, so that a reopened index goes on as
    /// the closed one would have.
    free: BTreeSet<u32>,
    end: u32,
    /// Of the model that is installed.
    pub(crate) places: Places,
    stamp: u64,
}

impl Index {
    /// Makes an index in a file that is not there yet. Beside it there will be files with the same name and
    /// `-wal`, `-shm` and `.lock` at the end.
    ///
    /// # Errors
    /// [`StorageError`]: [`is_exists`](StorageError::is_exists), [`is_in_use`](StorageError::is_in_use), or
    /// whatever the disk says.
    pub fn create(path: &Path, settings: Settings) -> Result<Self, StorageError> {
        let Settings { metric, dimension } = settings;
        let settings = StoredSettings { metric, dimension };
        Self::of(Store::create(path, settings)?, path, settings)
    }

    /// Opens an index, with all that was in it, and reads every vector into memory.
    ///
    /// # Errors
    /// [`StorageError`]: [`is_not_found`](StorageError::is_not_found),
    /// [`is_in_use`](StorageError::is_in_use), [`is_damaged`](StorageError::is_damaged),
    /// [`is_unknown_format`](StorageError::is_unknown_format), or whatever the disk says.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let (store, settings) = Store::open(path)?;
        Self::of(store, path, settings)
    }

    /// Removes the files of an index that is not open; that there are none is fine.
    ///
    /// # Errors
    /// [`StorageError`] when the disk refuses.
    pub fn remove(path: &Path) -> Result<(), StorageError> {
        store::remove(path)
    }

    fn of(store: Store, path: &Path, settings: StoredSettings) -> Result<Self, StorageError> {
        let StoredSettings { metric, dimension } = settings;
        let mut memory = Memory { dim: dimension, ..Memory::default() };
        let mut slots = HashMap::new();
        store.load(dimension, |slot, id, mut vector, metadata| {
            let id: Arc<str> = id.into();
            slots.insert(Arc::clone(&id), slot);
            scale(metric, &mut vector);
            memory.put(slot, &vector, Entry { id, metadata: Arc::new(metadata), stamp: 0 });
        })?;
        let end = slot_number(memory.slots());
        let free = (0..end).filter(|&slot| memory.entry(slot).is_none()).collect();
        let reader = store.reader(path)?;
        Ok(Self {
            metric,
            memory: RwLock::new(Arc::new(memory)),
            writer: Mutex::new(Writer { store, slots, free, end, places: Places::default(), stamp: 0 }),
            reader: Mutex::new(reader),
            installing: Mutex::new(()),
        })
    }

    /// Puts items in; one with an id that is there already takes its place, with vector, contents and
    /// metadata. Of several with the same id the last counts. No items is fine, and does nothing.
    ///
    /// # Errors
    /// [`IndexError::Refused`] when anything is wrong with any of the items, [`IndexError::Failed`] when the
    /// disk did not take them; in both cases nothing has changed. (After a failed sync only the next open
    /// can tell what the disk kept; the items are then there as a whole or not at all.)
    pub fn upsert(&self, items: &[Item]) -> Result<Upserted, IndexError> {
        let Some(first) = items.first() else {
            return Ok(Upserted { inserted: 0, replaced: 0, len: self.len() });
        };
        let known = self.dimension();
        let dim = known.unwrap_or(first.vector.len());
        check_dimension(dim)?;
        check_vectors(dim, items.iter().map(|item| item.vector.as_slice()))?;
        let encoded = items.iter().enumerate().map(|(position, item)| item.check(position));
        let encoded: Vec<String> = encoded.collect::<Result<_, _>>()?;
        let last: HashMap<&str, usize> = items.iter().map(|item| item.id.as_str()).zip(0..).collect();

        let mut writer = self.writer.lock();
        if let Some(expected) = self.dimension().filter(|&expected| expected != dim) {
            return Err(Refusal::WrongDimension { position: 0, expected, got: dim }.into());
        }
        let mut vacant = writer.vacant();
        let mut puts = Vec::with_capacity(last.len());
        for (position, (item, metadata)) in items.iter().zip(&encoded).enumerate() {
            if last[item.id.as_str()] == position {
                let slot = writer.slots.get(item.id.as_str()).copied();
                let slot = slot.or_else(|| vacant.next()).ok_or(Refusal::Full)?;
                puts.push(Put { slot, item, metadata });
            }
        }
        drop(vacant);
        let rows: Vec<Vec<f32>> = puts.iter().map(|put| self.scaled(&put.item.vector)).collect();
        let lists = self.snapshot().lists.as_ref().map(|lists| nearest(lists.model.book(), &rows));
        writer.store.write(known.is_none().then_some(dim), &puts, &[])?;
        Ok(self.apply_puts(&mut writer, dim, &puts, &rows, lists.as_deref()))
    }

    /// Takes items out, and says how many were there. Ids that are not there are fine.
    ///
    /// # Errors
    /// [`StorageError`] when the disk did not do it; then nothing has changed.
    pub fn delete<S: AsRef<str>>(&self, ids: &[S]) -> Result<usize, StorageError> {
        let mut writer = self.writer.lock();
        let slots = ids.iter().filter_map(|id| writer.slots.get(id.as_ref()).copied());
        let slots: Vec<u32> = slots.collect::<BTreeSet<u32>>().into_iter().collect();
        if slots.is_empty() {
            return Ok(0);
        }
        writer.store.write(None, &[], &slots)?;
        let mut guard = self.memory.write();
        let memory = Arc::make_mut(&mut guard);
        for &slot in &slots {
            if let Some(entry) = memory.entry(slot) {
                writer.slots.remove(&entry.id);
            }
            memory.remove(slot);
            if let Some(lists) = &mut memory.lists {
                lists.leave(&mut writer.places, slot);
            }
        }
        writer.free.extend(&slots);
        Ok(slots.len())
    }

    /// The items with these ids, in this order; ids that are not there are left out. An id that is given twice
    /// is read twice: [`get_within`](Self::get_within) bounds the answer.
    ///
    /// # Errors
    /// [`StorageError`] when the disk did not give them.
    pub fn get<S: AsRef<str>>(&self, ids: &[S]) -> Result<Vec<Item>, StorageError> {
        let reader = self.reader.lock();
        ids.iter().filter_map(|id| reader.get(id.as_ref()).transpose()).collect()
    }

    /// As [`get`](Self::get), when the items together take at most this much; otherwise none of them is read.
    /// An item takes the bytes of its id, `4 × dimension`, those of its contents, and those of its metadata as
    /// JSON without spaces, as often as its id is given. All items are as they were at one moment.
    ///
    /// # Errors
    /// [`Refusal::TooMuch`], or [`IndexError::Failed`] when the disk did not give them.
    pub fn get_within<S: AsRef<str>>(&self, ids: &[S], bytes_max: u64) -> Result<Vec<Item>, IndexError> {
        let reader = self.reader.lock();
        let _moment = reader.moment()?;
        let mut bytes = 0_u64;
        for id in ids {
            bytes = bytes.saturating_add(reader.bytes(id.as_ref())?);
            if bytes > bytes_max {
                return Err(Refusal::TooMuch { bytes, max: bytes_max }.into());
            }
        }
        Ok(ids.iter().filter_map(|id| reader.get(id.as_ref()).transpose()).collect::<Result<_, _>>()?)
    }

    /// The nearest neighbours of every query, nearest first, of equals the smaller id first. `stop` is asked
    /// before each block of work: a chunk of at most 1024 vectors, and 64 items that are filtered.
    ///
    /// The same index gives the same answer for any number of threads, bit for bit.
    ///
    /// # Errors
    /// [`Refusal`]: of the wrong dimension, not finite, the index has no dimension yet, or stopped.
    pub fn query<V: AsRef<[f32]>>(
        &self,
        queries: &[V],
        search: &Search,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Vec<Hit>>, Refusal> {
        let memory = self.snapshot();
        let dim = memory.dim.ok_or(Refusal::DimensionUnknown)?;
        check_vectors(dim, queries.iter().map(AsRef::as_ref))?;
        let flat: Vec<f32> = queries.iter().flat_map(|query| self.scaled(query.as_ref())).collect();
        search::run(&memory, self.metric, &flat, search, stop).map_err(|GivenUp| Refusal::Stopped)
    }

    /// What a training may see: at most [`KMeans::points_max`] of the vectors, chosen evenly by the seed. No
    /// lock is held while they are copied.
    ///
    /// # Errors
    /// [`Refusal::DimensionUnknown`] when there has never been a vector.
    pub fn training_set(&self, params: &KMeans) -> Result<TrainingSet, Refusal> {
        let memory = self.snapshot();
        let dim = memory.dim.ok_or(Refusal::DimensionUnknown)?;
        let slots = || memory.entries().map(|(slot, _)| slot);
        let points = match choose(memory.len, params.points_max(), params.seed(), STREAM_SET) {
            None => slots().flat_map(|slot| memory.row(slot)).copied().collect(),
            Some(mut chosen) => {
                let mut wanted = chosen.next();
                let taken = slots().enumerate().filter(|&(at, _)| {
                    let taken = wanted == Some(at);
                    if taken {
                        wanted = chosen.next();
                    }
                    taken
                });
                let mut points = Vec::with_capacity(params.points_max() * dim);
                taken.for_each(|(_, slot)| points.extend_from_slice(memory.row(slot)));
                points
            }
        };
        Ok(TrainingSet::of_checked(dim, self.metric, points))
    }

    /// All ids; in no order that means anything.
    #[must_use]
    pub fn ids(&self) -> Vec<Arc<str>> {
        self.snapshot().entries().map(|(_, entry)| Arc::clone(&entry.id)).collect()
    }

    /// The ids of the items whose metadata pass, in order; at most `limit` of them.
    #[must_use]
    pub fn find(&self, filter: &Filter, limit: usize) -> Vec<Arc<str>> {
        let memory = self.snapshot();
        let passing = memory.entries().filter(|(_, entry)| filter.matches(&entry.metadata));
        let mut ids: Vec<Arc<str>> = passing.map(|(_, entry)| Arc::clone(&entry.id)).collect();
        ids.sort_unstable();
        ids.truncate(limit);
        ids
    }

    /// How many items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.memory.read().len
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How distances are measured.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// How many numbers a vector has; `None` until that was said or there was a first vector.
    #[must_use]
    pub fn dimension(&self) -> Option<usize> {
        self.memory.read().dim
    }

    /// The model that is installed, and its number of lists.
    #[must_use]
    pub fn installed(&self) -> Option<(ModelTag, usize)> {
        self.memory.read().lists.as_ref().map(|lists| (lists.tag(), lists.all.len()))
    }

    pub(crate) fn snapshot(&self) -> Arc<Memory> {
        Arc::clone(&self.memory.read())
    }

    fn scaled(&self, vector: &[f32]) -> Vec<f32> {
        let mut vector = vector.to_vec();
        scale(self.metric, &mut vector);
        vector
    }

    /// Nothing in here can fail: what is on disk must come into memory.
    fn apply_puts(
        &self,
        writer: &mut Writer,
        dim: usize,
        puts: &[Put<'_>],
        rows: &[Vec<f32>],
        lists: Option<&[u32]>,
    ) -> Upserted {
        let before = writer.slots.len();
        let mut guard = self.memory.write();
        let memory = Arc::make_mut(&mut guard);
        memory.dim = Some(dim);
        for (at, (&Put { slot, item, .. }, row)) in puts.iter().zip(rows).enumerate() {
            let present = memory.entry(slot).map(|entry| Arc::clone(&entry.id));
            let id = present.clone().unwrap_or_else(|| item.id.as_str().into());
            writer.occupy(slot, &id);
            let entry = Entry { id, metadata: Arc::new(item.metadata.clone()), stamp: writer.stamp };
            memory.put(slot, row, entry);
            if let (Some(lists), Some(found)) = (&mut memory.lists, lists) {
                if present.is_some() {
                    lists.leave(&mut writer.places, slot);
                }
                lists.enter(&mut writer.places, found[at], slot, row);
            }
        }
        let inserted = writer.slots.len() - before;
        Upserted { inserted, replaced: puts.len() - inserted, len: memory.len }
    }
}

impl Writer {
    /// Slots for new items, in the order in which they will be used.
    fn vacant(&self) -> impl Iterator<Item = u32> {
        let fresh = self.end..slot_number(VECTORS_MAX);
        self.free.iter().copied().chain(fresh)
    }

    fn occupy(&mut self, slot: u32, id: &Arc<str>) {
        self.stamp += 1;
        self.free.remove(&slot);
        self.end = self.end.max(slot + 1);
        if !self.slots.contains_key(id) {
            self.slots.insert(Arc::clone(id), slot);
        }
    }
}

/// The list of each row.
pub(crate) fn nearest(book: &Codebook, rows: &[Vec<f32>]) -> Vec<u32> {
    let mut products = Products::default();
    let mut lists = Vec::with_capacity(rows.len());
    // a few at a time, so that the products of a large request stay small
    for rows in rows.chunks(256) {
        let found = book.nearest(&rows.concat(), book.len(), &mut products, &|| false, |_, top| {
            lists.push(crate::codebook::list_number(top.at));
        });
        found.expect("nobody stops it");
    }
    lists
}

fn scale(metric: Metric, vector: &mut [f32]) {
    if metric.scales() {
        normalise(vector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_refuses_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let index = Index::create(&path, Settings::default()).unwrap();
        let item = |i: usize| Item::new(format!("{i}"), vec![i as f32; 400]);
        index.upsert(&[item(0), item(1)]).unwrap();
        let ids = |index: &Index| index.ids().iter().map(|id| id.to_string()).collect::<Vec<_>>();
        index.writer.lock().store.fill_disk();
        let many: Vec<Item> = (1..50).map(item).collect();
        let error = index.upsert(&many).unwrap_err();
        assert!(matches!(error, IndexError::Failed(_)), "{error}");
        assert_eq!(ids(&index), ["0", "1"]);
        assert_eq!(index.get(&["0", "1", "2"]).unwrap(), [item(0), item(1)]);
        index.writer.lock().store.free_disk();
        index.upsert(&many).unwrap();
        index.delete(&["0"]).unwrap();
        let live = (ids(&index), index.get(&ids(&index)).unwrap());
        assert_eq!(live.0.len(), 49);
        drop(index);
        let index = Index::open(&path).unwrap();
        assert_eq!((ids(&index), index.get(&ids(&index)).unwrap()), live);
    }
}
