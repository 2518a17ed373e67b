//! How much may wait that is asked in bulk: the inbox counts calls, and one call may bring many submissions.

use crate::sync::{Arc, AtomicU64, Ordering};

/// Room for so many submissions that wait in bulk.
pub(crate) struct Bulk {
    waiting: Arc<AtomicU64>,
    max: usize,
}

/// What one call takes of it, until the driver has taken the call or it is refused.
pub(crate) struct Room {
    waiting: Arc<AtomicU64>,
    taken: u64,
}

impl Bulk {
    pub(crate) fn new(max: usize) -> Self {
        Self { waiting: Arc::default(), max }
    }

    /// How many may wait.
    pub(crate) const fn max(&self) -> usize {
        self.max
    }

    /// Takes room for so many; `None` when there is not enough.
    pub(crate) fn take(&self, submissions: usize) -> Option<Room> {
        let taken = submissions as u64;
        let more = |waiting: u64| waiting.checked_add(taken).filter(|waiting| *waiting <= self.max as u64);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Room { waiting: Arc::clone(&self.waiting), taken })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_again_once_a_call_is_gone() {
        let bulk = Bulk::new(10);
        let (six, four) = (bulk.take(6).unwrap(), bulk.take(4).unwrap());
        assert!(bulk.take(1).is_none() && bulk.take(usize::MAX).is_none());
        drop(six);
        assert!(bulk.take(7).is_none());
        let six = bulk.take(6).unwrap();
        drop((six, four));
        assert!(bulk.take(10).is_some());
    }
}
