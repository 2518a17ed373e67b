use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use serde_json::{Map, Value};

use crate::codebook::{GivenUp, Products, Stop};
use crate::memory::{Lists, Memory, slot_number};
use crate::share::share;
use crate::{Filter, Metric};

/// How to look for neighbours.
///
/// With a model installed, the lists nearest to the query are looked through, at least `probes` of them, and
/// then further ones until `top_k` rows are found or no list is left: a query comes back short only when
/// there are not enough rows that pass the filter. `probes` of all lists, or no model, is exact search.
///
/// ```
/// use std::num::NonZeroUsize;
/// use serde_json::json;
/// use trainyard_ivf::{Filter, Search};
///
/// let filter = Filter::parse(&json!({ "colour": "red" }))?;
/// let search = Search::new(NonZeroUsize::MIN).with_filter(filter);
/// assert_eq!(search.top_k().get(), 1);
/// # Ok::<(), trainyard_ivf::FilterError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Search {
    top_k: NonZeroUsize,
    probes: Option<NonZeroU32>,
    filter: Option<Filter>,
    threads: NonZeroUsize,
}

impl Search {
    /// For this many neighbours, with [`default_probes`], no filter and one thread. Memory and time grow
    /// with `top_k`; a bound on it is the caller's.
    #[must_use]
    pub fn new(top_k: NonZeroUsize) -> Self {
        Self { top_k, probes: None, filter: None, threads: NonZeroUsize::MIN }
    }

    /// How many lists to look through at least; more than there are is all of them.
    #[must_use]
    pub fn with_probes(mut self, probes: NonZeroU32) -> Self {
        self.probes = Some(probes);
        self
    }

    /// Only rows whose metadata pass.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// How many threads share the queries of a request (and the rows, in exact search).
    #[must_use]
    pub fn with_threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads;
        self
    }

    /// How many neighbours at most.
    #[must_use]
    pub fn top_k(&self) -> NonZeroUsize {
        self.top_k
    }
}

/// One neighbour.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Its id.
    pub id: Arc<str>,
    /// How far it is, by the metric of the index; never less than that of the hit before.
    pub distance: f32,
    /// Its metadata, shared with the index.
    pub metadata: Arc<Map<String, Value>>,
}

/// How many lists are looked through when a search does not say: three times the square root of their
/// number, at least 8, at most all.
///
/// Chosen so that of the ten nearest at least 95 % are found in data with clusters. Measured with as many
/// lists as are automatic, 500 queries from the same distribution, clusters as wide as 1 in every direction and
/// their centres drawn with the given deviation:
///
/// | vectors | dimension | clusters | deviation | metric | lists | probes | recall@10 |
/// |---|---|---|---|---|---|---|---|
/// | 10,000 | 32 | 100 | 1 | euclidean | 128 | 33 | 0.995 |
/// | 10,000 | 128 | 100 | 0.5 | cosine | 128 | 33 | 0.958 |
/// | 40,000 | 64 | 300 | 1 | euclidean | 256 | 48 | 0.999 |
/// | 100,000 | 128 | 1,000 | 1 | euclidean | 256 | 48 | 0.996 |
/// | 100,000 | 128 | 20 | 1 | euclidean | 256 | 48 | 1.000 |
/// | 140,000 | 48 | 2,000 | 1 | cosine | 512 | 66 | 0.960 |
/// | 100,000 | 128 | 1,000 | 0.5 | euclidean | 256 | 48 | 0.651 |
///
/// The last row is what happens where clusters lie within each other: then take more.
///
/// ```
/// use trainyard_ivf::default_probes;
///
/// assert_eq!((default_probes(1), default_probes(128), default_probes(256)), (1, 33, 48));
/// ```
#[must_use]
pub fn default_probes(n_lists: usize) -> usize {
    (3 * n_lists.isqrt()).clamp(8.min(n_lists), n_lists)
}

/// Queries per thread that share a pass over the rows in exact search.
const QUERIES_PER_GROUP: usize = 8;
/// How many items are filtered before `stop` is asked again: a filter may cost much more than a distance.
const FILTERED_PER_STOP: usize = 64;

/// Of every query, the nearest rows in order of distance, then of id.
pub(crate) fn run(
    memory: &Memory,
    metric: Metric,
    queries: &[f32],
    search: &Search,
    stop: Stop<'_>,
) -> Result<Vec<Vec<Hit>>, GivenUp> {
    let dim = memory.dim.unwrap_or(1);
    let finder = Finder { memory, metric, search, stop };
    let tops = match &memory.lists {
        Some(lists) => finder.probed(lists, queries, dim)?,
        None => finder.exact(queries, dim)?,
    };
    let hit = |candidate: Candidate<'_>| {
        let entry = memory.entry(candidate.slot).expect("only slots in use become candidates");
        Hit {
            id: Arc::clone(&entry.id),
            distance: metric.distance(candidate.key),
            metadata: Arc::clone(&entry.metadata),
        }
    };
    Ok(tops.into_iter().map(|top| top.0.into_sorted_vec().into_iter().map(hit).collect()).collect())
}

struct Finder<'m> {
    memory: &'m Memory,
    metric: Metric,
    search: &'m Search,
    stop: Stop<'m>,
}

impl<'m> Finder<'m> {
    fn exact(&self, queries: &[f32], dim: usize) -> Result<Vec<Top<'m>>, GivenUp> {
        let groups = (queries.len() / dim).div_ceil(QUERIES_PER_GROUP).max(1);
        let parts = self.search.threads.get().div_ceil(groups);
        let chunks_per_part = self.memory.chunks.len().div_ceil(parts).max(1);
        let tops: Vec<Mutex<Top<'m>>> = queries.chunks_exact(dim).map(|_| Mutex::default()).collect();
        let jobs = queries.chunks(QUERIES_PER_GROUP * dim).enumerate().flat_map(|(group, queries)| {
            let parts = self.memory.chunks.chunks(chunks_per_part).enumerate();
            parts.map(move |(part, chunks)| {
                (group * QUERIES_PER_GROUP, queries, part * chunks_per_part, chunks)
            })
        });
        self.all(jobs, |(first_query, queries, first_chunk, chunks)| {
            let mut found: Vec<Top<'m>> = queries.chunks_exact(dim).map(|_| Top::default()).collect();
            let mut unasked = 0;
            for (chunk, number) in chunks.iter().zip(first_chunk..) {
                self.ask()?;
                let rows = chunk.rows.chunks_exact(dim).zip(&chunk.entries);
                let slots = slot_number(number * self.memory.rows_per_chunk())..;
                for (slot, (row, entry)) in slots.zip(rows) {
                    if entry.is_some() {
                        for (top, query) in found.iter_mut().zip(queries.chunks_exact(dim)) {
                            self.offer(&mut unasked, top, query, slot, row)?;
                        }
                    }
                }
            }
            for (top, whole) in found.into_iter().zip(&tops[first_query..]) {
                let mut whole = whole.lock();
                top.0.into_iter().for_each(|candidate| whole.push(candidate, self.search.top_k));
            }
            Ok(())
        })?;
        Ok(tops.into_iter().map(Mutex::into_inner).collect())
    }

    fn probed(&self, lists: &Lists, queries: &[f32], dim: usize) -> Result<Vec<Top<'m>>, GivenUp> {
        let mut tops: Vec<Top<'m>> = queries.chunks_exact(dim).map(|_| Top::default()).collect();
        let book = lists.model.book();
        let probes = self.search.probes.map_or(default_probes(book.len()), |probes| probes.get() as usize);
        let jobs = tops.iter_mut().zip(queries.chunks_exact(dim));
        self.all(jobs, |(top, query)| {
            self.ask()?;
            let mut unasked = 0;
            let mut keys = book.keys(query, &mut Products::default());
            let near_first = |a: &(f32, u32), b: &(f32, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            if probes < keys.len() {
                keys.select_nth_unstable_by(probes, near_first);
            }
            for at in 0..keys.len() {
                if at >= probes && top.0.len() == self.search.top_k.get() {
                    break;
                }
                if at == probes {
                    keys[probes..].sort_unstable_by(near_first);
                }
                for chunk in &lists.all[keys[at].1 as usize].chunks {
                    self.ask()?;
                    for (&slot, row) in chunk.slots.iter().zip(chunk.rows.chunks_exact(dim)) {
                        self.offer(&mut unasked, top, query, slot, row)?;
                    }
                }
            }
            Ok(())
        })?;
        Ok(tops)
    }

    fn all<I: Iterator + Send>(
        &self,
        jobs: I,
        work: impl Fn(I::Item) -> Result<(), GivenUp> + Sync,
    ) -> Result<(), GivenUp> {
        let given_up = AtomicBool::new(false);
        share(self.search.threads, jobs, |jobs| {
            while let Some(job) = jobs.next() {
                if work(job).is_err() {
                    given_up.store(true, std::sync::atomic::Ordering::Relaxed);
                    return;
                }
            }
        });
        if given_up.into_inner() { Err(GivenUp) } else { Ok(()) }
    }

    /// `unasked` counts the items that were filtered since `stop` was asked.
    fn offer(
        &self,
        unasked: &mut usize,
        top: &mut Top<'m>,
        query: &[f32],
        slot: u32,
        row: &[f32],
    ) -> Result<(), GivenUp> {
        let key = self.metric.key(query, row);
        if !top.wants(key, self.search.top_k) {
            return Ok(());
        }
        let entry = self.memory.entry(slot).expect("lists and chunks name slots in use");
        if let Some(filter) = &self.search.filter {
            *unasked += 1;
            if *unasked == FILTERED_PER_STOP {
                *unasked = 0;
                self.ask()?;
            }
            if !filter.matches(&entry.metadata) {
                return Ok(());
            }
        }
        top.push(Candidate { key, id: &entry.id, slot }, self.search.top_k);
        Ok(())
    }

    fn ask(&self) -> Result<(), GivenUp> {
        if (self.stop)() { Err(GivenUp) } else { Ok(()) }
    }
}

/// The best so far, the worst of them on top.
#[derive(Debug, Default)]
struct Top<'m>(BinaryHeap<Candidate<'m>>);

impl<'m> Top<'m> {
    fn wants(&self, key: f32, top_k: NonZeroUsize) -> bool {
        self.0.len() < top_k.get() || self.0.peek().is_none_or(|worst| key <= worst.key)
    }

    fn push(&mut self, candidate: Candidate<'m>, top_k: NonZeroUsize) {
        if self.0.len() < top_k.get() {
            self.0.push(candidate);
        } else if let Some(mut worst) = self.0.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Candidate<'m> {
    key: f32,
    id: &'m str,
    slot: u32,
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.total_cmp(&other.key).then_with(|| self.id.cmp(other.id))
    }
}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate<'_> {}
