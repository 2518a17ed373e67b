use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::codebook::{GivenUp, Products, Stop, list_number};
use crate::memory::{Entry, Lists, Memory, Places};
use crate::share::share;
use crate::{Index, InstallError, Model};

/// Changes that came during an assignment are assigned with changes still coming, until they are this few;
/// then changes wait for the rest.
const CATCH_UP_MAX: usize = 1024;
/// How often at most, when changes come faster than they can be assigned.
const CATCH_UPS: usize = 4;

/// What became of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installed {
    /// The model serves queries now.
    Swapped,
    /// It did already; nothing was done.
    Already,
}

impl Index {
    /// Puts every vector into a list of the model, and lets queries use it from then on. A model that was
    /// there is replaced.
    ///
    /// Queries and changes go on meanwhile; what is changed is in the new lists as it then is. Only for the
    /// last changes and the swap itself do further changes wait. Of two installations at the same time one
    /// waits for the other. `stop` is asked before each block of work, at most 1024 vectors.
    ///
    /// # Errors
    /// [`InstallError`]: the model does not fit this index, or it was stopped. The index is as it was.
    pub fn install(
        &self,
        model: &Arc<Model>,
        threads: NonZeroUsize,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Installed, InstallError> {
        if model.metric().scales() != self.metric.scales() {
            return Err(InstallError::WrongMetric { expected: self.metric, got: model.metric() });
        }
        let _one_at_a_time = self.installing.lock();
        if self.installed().is_some_and(|(tag, _)| tag == model.tag()) {
            return Ok(Installed::Already);
        }
        let mut assignment =
            Assignment { seen: Arc::default(), lists: Lists::empty(model), places: Places::default() };
        for _ in 0..CATCH_UPS {
            let now = self.snapshot();
            if now.dim != Some(model.dimension()) {
                return Err(InstallError::WrongDimension { expected: now.dim, got: model.dimension() });
            }
            let changed = assignment.catch_up(now, threads, stop).map_err(|GivenUp| InstallError::Stopped)?;
            if changed <= CATCH_UP_MAX {
                break;
            }
        }
        let mut writer = self.writer.lock();
        assignment.catch_up(self.snapshot(), threads, stop).map_err(|GivenUp| InstallError::Stopped)?;
        let Assignment { seen, lists, places } = assignment;
        drop(seen); // or the swap would copy what it still looks at
        writer.places = places;
        let old = Arc::make_mut(&mut self.memory.write()).lists.replace(lists);
        drop(writer);
        drop(old);
        Ok(Installed::Swapped)
    }

    /// Goes back to exact search. That there is no model is fine.
    pub fn uninstall(&self) {
        let _one_at_a_time = self.installing.lock();
        let mut writer = self.writer.lock();
        writer.places = Places::default();
        Arc::make_mut(&mut self.memory.write()).lists = None;
    }
}

/// The lists of a model for the index as it was last seen.
struct Assignment {
    seen: Arc<Memory>,
    lists: Lists,
    places: Places,
}

impl Assignment {
    /// Assigns what has changed since the last time, and says how much that was.
    fn catch_up(
        &mut self,
        now: Arc<Memory>,
        threads: NonZeroUsize,
        stop: Stop<'_>,
    ) -> Result<usize, GivenUp> {
        let size = now.rows_per_chunk();
        let before = Arc::clone(&self.seen);
        // who changes a chunk that is still looked at gets a copy: the same chunk has the same content
        let same = |number: usize| {
            before.chunks.get(number).is_some_and(|before| Arc::ptr_eq(before, &now.chunks[number]))
        };
        let changed: Vec<usize> = (0..now.chunks.len()).filter(|&number| !same(number)).collect();
        for &number in &changed {
            let chunk = before.chunks.get(number);
            for (slot, entry) in chunk.into_iter().flat_map(|chunk| chunk.used(number * size)) {
                if now.entry(slot).map(|entry| entry.stamp) != Some(entry.stamp) {
                    self.lists.leave(&mut self.places, slot);
                }
            }
        }
        let new =
            |&(slot, entry): &(u32, &Entry)| before.entry(slot).map(|entry| entry.stamp) != Some(entry.stamp);
        let found = Mutex::new(Vec::new());
        let given_up = AtomicBool::new(false);
        let book = self.lists.model.book();
        share(threads, changed.iter(), |jobs| {
            let (mut products, mut rows, mut pairs) = (Products::default(), Vec::new(), Vec::new());
            while let Some(&number) = jobs.next() {
                let slots = now.chunks[number].used(number * size).filter(new).map(|(slot, _)| slot);
                let first = pairs.len();
                pairs.extend(slots.map(|slot| (slot, 0)));
                rows.clear();
                pairs[first..].iter().for_each(|&(slot, _)| rows.extend_from_slice(now.row(slot)));
                let done = book.nearest(&rows, book.len(), &mut products, stop, |row, top| {
                    pairs[first + row].1 = list_number(top.at);
                });
                if done.is_err() {
                    given_up.store(true, Ordering::Relaxed);
                    return;
                }
            }
            found.lock().append(&mut pairs);
        });
        if given_up.into_inner() {
            return Err(GivenUp);
        }
        let found = found.into_inner();
        for &(slot, list) in &found {
            self.lists.enter(&mut self.places, list, slot, now.row(slot));
        }
        self.seen = now;
        Ok(found.len())
    }
}
