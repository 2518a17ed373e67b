//! How much may still come in: of each owner, and onto the disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, NotKept};

/// The bounds, and what of each owner is on its way in.
pub(crate) struct Room<K: Ord + Copy> {
    disk: Disk,
    /// What an owner's files may take, those on their way in among them.
    bytes_max: u64,
    on_its_way: Mutex<BTreeMap<K, u64>>,
}

/// What of the room one file on its way in takes; given back when it is dropped.
pub(crate) struct Part<K: Ord + Copy> {
    room: Arc<Room<K>>,
    owner: K,
    /// What the owner's files took when it began.
    stored: u64,
    bytes: u64,
}

impl<K: Ord + Copy> Room<K> {
    pub(crate) fn new(disk: Disk, bytes_max: u64) -> Self {
        Self { disk, bytes_max, on_its_way: Mutex::default() }
    }

    /// Room for a file of this owner's, whose files take `stored` so far.
    ///
    /// # Errors
    /// [`NotKept::Full`] when there is none at all.
    pub(crate) fn begin(self: &Arc<Self>, owner: K, stored: u64) -> Result<Part<K>, NotKept> {
        let mut part = Part { room: Arc::clone(self), owner, stored, bytes: 0 };
        part.take(0)?;
        Ok(part)
    }

    fn fits(&self, owner: K, stored: u64, more: u64) -> bool {
        let on_its_way = self.on_its_way.lock().get(&owner).copied().unwrap_or(0);
        let all = stored.saturating_add(on_its_way).saturating_add(more);
        // At the bound there is no room for another file, were it ever so small.
        all < self.bytes_max || (more > 0 && all == self.bytes_max)
    }
}

impl<K: Ord + Copy> Part<K> {
    /// Takes so much more of it.
    ///
    /// # Errors
    /// [`NotKept::Full`] when it is not there.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<(), NotKept> {
        self.room.disk.has(bytes)?;
        if !self.room.fits(self.owner, self.stored, bytes) {
            return Err(NotKept::Full);
        }
        if bytes > 0 {
            *self.room.on_its_way.lock().entry(self.owner).or_default() += bytes;
            self.bytes += bytes;
        }
        Ok(())
    }

    /// How much it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether all that came of it still has room, now that the owner's files take `stored`.
    ///
    /// # Errors
    /// [`NotKept::Full`] when others were quicker.
    pub(crate) fn check(&self, stored: u64) -> Result<(), NotKept> {
        let on_its_way = self.room.on_its_way.lock().get(&self.owner).copied().unwrap_or(0);
        if stored.saturating_add(on_its_way) <= self.room.bytes_max { Ok(()) } else { Err(NotKept::Full) }
    }
}

impl<K: Ord + Copy> Drop for Part<K> {
    fn drop(&mut self) {
        let mut on_its_way = self.room.on_its_way.lock();
        if let Some(bytes) = on_its_way.get_mut(&self.owner) {
            *bytes = bytes.saturating_sub(self.bytes);
            if *bytes == 0 {
                on_its_way.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(n: u128) -> u128 {
        n
    }

    fn is_full<T>(taken: &Result<T, NotKept>) -> bool {
        matches!(taken, Err(NotKept::Full))
    }

    #[test]
    fn files_of_one_user_share_a_bound_and_give_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let room = Arc::new(Room::new(Disk::new(folder.path(), 0), 100));
        let mut one = room.begin(user(1), 40).unwrap();
        let mut two = room.begin(user(1), 40).unwrap();
        one.take(30).unwrap();
        two.take(29).unwrap();
        assert!(is_full(&two.take(2)));
        two.take(1).unwrap();
        assert!(is_full(&room.begin(user(1), 40)));
        room.begin(user(2), 40).unwrap().take(60).unwrap();
        one.check(40).unwrap();
        assert!(is_full(&one.check(41)), "another file has become one of theirs meanwhile");
        drop(two);
        one.take(30).unwrap();
        drop(one);
        assert!(room.on_its_way.lock().is_empty());
    }

    #[test]
    fn on_a_full_disk_there_is_no_room() {
        let folder = tempfile::tempdir().unwrap();
        let full = Arc::new(Room::new(Disk::new(folder.path(), u64::MAX), u64::MAX));
        assert!(is_full(&full.begin(user(1), 0)));
        let free = Arc::new(Room::new(Disk::new(folder.path(), 0), u64::MAX));
        free.begin(user(1), 0).unwrap().take(1).unwrap();
    }
}
