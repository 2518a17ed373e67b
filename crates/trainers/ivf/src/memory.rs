//! The half of an index that queries read: immutable once shared, in chunks that are copied only when they
//! change while someone still looks at them.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{Model, ModelTag};

/// About how many numbers a chunk holds: what is copied when a vector changes under a running query.
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

/// The slots in a list, and once more their vectors: to go through them one by one would take six times as
/// long where they lie.
#[derive(Debug, Clone, Default)]
pub(crate) struct List {
    pub(crate) slots: Vec<u32>,
    pub(crate) rows: Vec<f32>,
}

impl Memory {
    /// While there is no dimension there are no chunks either.
    pub(crate) fn rows_per_chunk(&self) -> usize {
        self.dim.map_or(1, |dim| (NUMBERS_PER_CHUNK / dim).clamp(1, ROWS_PER_CHUNK_MAX))
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

    pub(crate) fn enter(&mut self, list: u32, slot: u32, row: &[f32]) {
        let list = Arc::make_mut(&mut self.all[list as usize]);
        list.slots.push(slot);
        list.rows.extend_from_slice(row);
    }

    pub(crate) fn leave(&mut self, list: u32, slot: u32) {
        let list = Arc::make_mut(&mut self.all[list as usize]);
        let at = list.slots.iter().position(|&member| member == slot);
        let at = at.expect("a slot is in the list that is noted for it");
        list.slots.swap_remove(at);
        let dim = self.model.dimension();
        let last = list.rows.len() - dim;
        list.rows.copy_within(last.., at * dim);
        list.rows.truncate(last);
    }
}

/// Slots are counted in `u32`: [`VECTORS_MAX`](crate::VECTORS_MAX) sees to it.
pub(crate) fn slot_number(index: usize) -> u32 {
    u32::try_from(index).expect("slots are counted in u32")
}
