//! The half of an index that queries read: immutable once shared, in chunks that are copied only when they
//! change while someone still looks at them.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{Model, ModelTag};

/// About how many numbers a chunk holds, of slots as of lists: what is copied when a vector changes under a
/// running query.
const NUMBERS_PER_CHUNK: usize = 1 << 17;
const ROWS_PER_CHUNK_MAX: usize = 1024;

/// Everything in an index at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    pub(crate) dim: Option<usize>,
    pub(crate) len: usize,
    pub(crate) chunks: Vec<Arc<Chunk>>,
    pub(crate) lists: Option<Lists>,
}

/// A run of slots. Vectors are as the metric compares them, that of an empty slot is of no meaning.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chunk {
    pub(crate) rows: Vec<f32>,
    pub(crate) entries: Vec<Option<Entry>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: Arc<str>,
    pub(crate) metadata: Arc<Map<String, Value>>,
    /// Another one each time the slot is written.
    pub(crate) stamp: u64,
}

/// The lists of a model.
#[derive(Debug, Clone)]
pub(crate) struct Lists {
    pub(crate) model: Arc<Model>,
    pub(crate) all: Vec<Arc<List>>,
}

/// What is in a list: all chunks are full but the last, and none is empty.
#[derive(Debug, Clone, Default)]
pub(crate) struct List {
    pub(crate) chunks: Vec<Arc<ListChunk>>,
}

/// Slots of a list, and once more their vectors: to go through them one by one would take six times as long
/// where they lie.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListChunk {
    pub(crate) slots: Vec<u32>,
    pub(crate) rows: Vec<f32>,
}

/// Where every slot in use is in the lists, so that none has to be looked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(Vec<Place>);

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    list: u32,
    /// Counted through all chunks of the list.
    at: u32,
}

impl Memory {
    /// While there is no dimension there are no chunks either.
    pub(crate) fn rows_per_chunk(&self) -> usize {
        self.dim.map_or(1, rows_per_chunk)
    }

    pub(crate) fn put(&mut self, slot: u32, row: &[f32], entry: Entry) {
        let (chunk, at) = self.locate(slot);
        while self.chunks.len() <= chunk {
            self.chunks.push(Arc::default());
        }
        let chunk = Arc::make_mut(&mut self.chunks[chunk]);
        if chunk.entries.len() <= at {
            chunk.entries.resize(at + 1, None);
            chunk.rows.resize((at + 1) * row.len(), 0.0);
        }
        chunk.rows[at * row.len()..][..row.len()].copy_from_slice(row);
        self.len += usize::from(chunk.entries[at].is_none());
        chunk.entries[at] = Some(entry);
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        let (chunk, at) = self.locate(slot);
        let removed = Arc::make_mut(&mut self.chunks[chunk]).entries[at].take();
        self.len -= usize::from(removed.is_some());
    }

    pub(crate) fn row(&self, slot: u32) -> &[f32] {
        let (chunk, at) = self.locate(slot);
        let dim = self.dim.unwrap_or_default();
        &self.chunks[chunk].rows[at * dim..][..dim]
    }

    pub(crate) fn entry(&self, slot: u32) -> Option<&Entry> {
        let (chunk, at) = self.locate(slot);
        self.chunks.get(chunk)?.entries.get(at)?.as_ref()
    }

    /// All that is in use, by slot.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u32, &Entry)> {
        let size = self.rows_per_chunk();
        self.chunks.iter().enumerate().flat_map(move |(chunk, content)| content.used(chunk * size))
    }

    pub(crate) fn slots(&self) -> usize {
        self.chunks
            .last()
            .map_or(0, |last| (self.chunks.len() - 1) * self.rows_per_chunk() + last.entries.len())
    }

    fn locate(&self, slot: u32) -> (usize, usize) {
        let (slot, size) = (slot as usize, self.rows_per_chunk());
        (slot / size, slot % size)
    }
}

impl Chunk {
    /// Slots in use, when the first of the chunk is `first`.
    pub(crate) fn used(&self, first: usize) -> impl Iterator<Item = (u32, &Entry)> {
        let slots = slot_number(first)..;
        slots.zip(&self.entries).filter_map(|(slot, entry)| Some((slot, entry.as_ref()?)))
    }
}

impl Lists {
    pub(crate) fn empty(model: &Arc<Model>) -> Self {
        Self { model: Arc::clone(model), all: (0..model.n_lists()).map(|_| Arc::default()).collect() }
    }

    pub(crate) fn tag(&self) -> ModelTag {
        self.model.tag()
    }

    pub(crate) fn enter(&mut self, places: &mut Places, list: u32, slot: u32, row: &[f32]) {
        let size = rows_per_chunk(self.model.dimension());
        let chunks = &mut Arc::make_mut(&mut self.all[list as usize]).chunks;
        if chunks.last().is_none_or(|last| last.slots.len() == size) {
            chunks.push(Arc::default());
        }
        let full = chunks.len() - 1;
        let last = Arc::make_mut(&mut chunks[full]);
        places.note(slot, Place { list, at: slot_number(full * size + last.slots.len()) });
        last.slots.push(slot);
        last.rows.extend_from_slice(row);
    }

    /// The last of the list takes the place of the one that leaves.
    pub(crate) fn leave(&mut self, places: &mut Places, slot: u32) {
        let dim = self.model.dimension();
        let size = rows_per_chunk(dim);
        let Place { list, at } = places.0[slot as usize];
        let chunks = &mut Arc::make_mut(&mut self.all[list as usize]).chunks;
        let last = Arc::make_mut(chunks.last_mut().expect("a list with a slot has a chunk"));
        let moved = last.slots.pop().expect("no chunk is empty");
        let row = last.rows.split_off(last.slots.len() * dim);
        if last.slots.is_empty() {
            chunks.pop();
        }
        if moved != slot {
            let (chunk, within) = (at as usize / size, at as usize % size);
            let chunk = Arc::make_mut(&mut chunks[chunk]);
            debug_assert_eq!(chunk.slots[within], slot, "a slot is where it is noted to be");
            chunk.slots[within] = moved;
            chunk.rows[within * dim..][..dim].copy_from_slice(&row);
            places.note(moved, Place { list, at });
        }
    }
}

impl Places {
    fn note(&mut self, slot: u32, place: Place) {
        if self.0.len() <= slot as usize {
            self.0.resize(slot as usize + 1, Place::default());
        }
        self.0[slot as usize] = place;
    }
}

fn rows_per_chunk(dim: usize) -> usize {
    (NUMBERS_PER_CHUNK / dim).clamp(1, ROWS_PER_CHUNK_MAX)
}

/// Slots are counted in `u32`: [`VECTORS_MAX`](crate::VECTORS_MAX) sees to it.
pub(crate) fn slot_number(index: usize) -> u32 {
    u32::try_from(index).expect("slots are counted in u32")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::{KMeans, Metric, TrainingSet};

    /// One list with this many slots; the vector of a slot is its number, `dim` times.
    fn one_list(len: u32, dim: usize) -> (Lists, Places) {
        let set = TrainingSet::new(dim, Metric::Euclidean, vec![1.0; dim * 4]).unwrap();
        let model = Arc::new(KMeans::new(NonZeroU32::MIN).train(&set, &()).unwrap());
        let (mut lists, mut places) = (Lists::empty(&model), Places::default());
        (0..len).for_each(|slot| lists.enter(&mut places, 0, slot, &vec![slot as f32; dim]));
        (lists, places)
    }

    /// The slots in the list, after a look at whether everything fits together.
    fn checked(lists: &Lists, places: &Places) -> Vec<u32> {
        let dim = lists.model.dimension();
        let chunks = &lists.all[0].chunks;
        let before_last = &chunks[..chunks.len().saturating_sub(1)];
        assert!(before_last.iter().all(|chunk| chunk.slots.len() == rows_per_chunk(dim)));
        assert!(chunks.iter().all(|chunk| !chunk.slots.is_empty()));
        let slots: Vec<u32> = chunks.iter().flat_map(|chunk| &chunk.slots).copied().collect();
        let rows: Vec<f32> = chunks.iter().flat_map(|chunk| &chunk.rows).copied().collect();
        let wanted: Vec<f32> = slots.iter().flat_map(|&slot| vec![slot as f32; dim]).collect();
        assert_eq!(rows, wanted);
        slots.iter().zip(0..).for_each(|(&slot, at)| assert_eq!(places.0[slot as usize].at, at));
        slots
    }

    #[test]
    fn whoever_leaves_is_not_looked_for() {
        const LEN: u32 = 50_000;
        // from the front, from the back, and from everywhere
        let orders: [fn(u32) -> u32; 3] = [|i| i, |i| LEN - 1 - i, |i| (i * 7_919) % LEN];
        for order in orders {
            let (mut lists, mut places) = one_list(LEN, 1);
            for i in 0..LEN {
                lists.leave(&mut places, order(i));
                if i % 10_000 == 0 {
                    let mut rest = checked(&lists, &places);
                    rest.sort_unstable();
                    let mut wanted: Vec<u32> = (i + 1..LEN).map(order).collect();
                    wanted.sort_unstable();
                    assert_eq!(rest, wanted);
                }
            }
            assert!(lists.all[0].chunks.is_empty());
        }
    }

    #[test]
    fn a_change_copies_two_chunks_at_most() {
        let (mut lists, mut places) = one_list(10_000, 2);
        let before = lists.clone();
        lists.leave(&mut places, 5_000);
        let pairs = || before.all[0].chunks.iter().zip(&lists.all[0].chunks);
        assert_eq!(pairs().count(), 10);
        assert_eq!(pairs().filter(|(before, now)| !Arc::ptr_eq(before, now)).count(), 2);
        checked(&lists, &places);
        let before = lists.clone();
        lists.enter(&mut places, 0, 5_000, &[5_000.0; 2]);
        let pairs = || before.all[0].chunks.iter().zip(&lists.all[0].chunks);
        assert_eq!(pairs().filter(|(before, now)| !Arc::ptr_eq(before, now)).count(), 1);
        assert_eq!(checked(&lists, &places).len(), 10_000);
        assert!(lists.all[0].chunks.iter().all(|chunk| chunk.rows.len() * 4 <= 512 << 10));
    }
}
