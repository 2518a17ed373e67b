//! How much may still come in: of each user, and onto the disk.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use trainyard_mathfi::{HostError, Refused, UserId};

use super::catalog::CatalogError;

/// The bounds, and what of each user is on its way in.
pub(crate) struct Room {
    /// Where everything lies.
    folder: PathBuf,
    /// What a user's files may take, those on their way in among them.
    bytes_max: u64,
    /// What stays free on the disk.
    free_min: u64,
    on_its_way: Mutex<BTreeMap<UserId, u64>>,
}

/// What of the room one file on its way in takes; given back when it is dropped.
pub(crate) struct Part {
    room: Arc<Room>,
    owner: UserId,
    /// What the owner's files took when it began.
    stored: u64,
    bytes: u64,
}

impl Room {
    pub(crate) fn new(folder: &Path, bytes_max: u64, free_min: u64) -> Self {
        Self { folder: folder.to_owned(), bytes_max, free_min, on_its_way: Mutex::default() }
    }

    /// Room for a file of this user's, whose files take `stored` so far.
    ///
    /// # Errors
    /// [`Refused::Full`] when there is none at all.
    pub(crate) fn begin(self: &Arc<Self>, owner: UserId, stored: u64) -> Result<Part, Refused> {
        let mut part = Part { room: Arc::clone(self), owner, stored, bytes: 0 };
        part.take(0)?;
        Ok(part)
    }

    fn is_free(&self, bytes: u64) -> Result<bool, Refused> {
        let free = fs4::available_space(&self.folder).map_err(HostError::new)?;
        Ok(free >= self.free_min.saturating_add(bytes))
    }

    fn fits(&self, owner: UserId, stored: u64, more: u64) -> bool {
        let on_its_way = self.on_its_way.lock().get(&owner).copied().unwrap_or(0);
        let all = stored.saturating_add(on_its_way).saturating_add(more);
        // At the bound there is no room for another file, were it ever so small.
        all < self.bytes_max || (more > 0 && all == self.bytes_max)
    }
}

impl Part {
    /// Takes so much more of it.
    ///
    /// # Errors
    /// [`Refused::Full`] when it is not there.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<(), Refused> {
        if !self.room.is_free(bytes)? || !self.room.fits(self.owner, self.stored, bytes) {
            return Err(Refused::Full);
        }
        if bytes > 0 {
            *self.room.on_its_way.lock().entry(self.owner).or_default() += bytes;
            self.bytes += bytes;
        }
        Ok(())
    }

    /// Whether all that came of it still has room, now that the owner's files take `stored`.
    ///
    /// # Errors
    /// [`Refused::Full`] when others were quicker.
    pub(crate) fn check(&self, stored: u64) -> Result<(), Refused> {
        let on_its_way = self.room.on_its_way.lock().get(&self.owner).copied().unwrap_or(0);
        if stored.saturating_add(on_its_way) <= self.room.bytes_max { Ok(()) } else { Err(Refused::Full) }
    }
}

impl Drop for Part {
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

/// What a failure of the disk is to whoever sends a file.
pub(crate) fn not_kept(error: io::Error) -> Refused {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
        tracing::warn!(%error, "there is no room for a file");
        return Refused::Full;
    }
    HostError::new(error).into()
}

/// The same of the catalogue.
pub(crate) fn not_noted(error: CatalogError) -> Refused {
    if error.is_full() {
        tracing::warn!(%error, "there is no room for a record");
        return Refused::Full;
    }
    HostError::new(error).into()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn user(n: u128) -> UserId {
        UserId::new(Uuid::from_u128(n))
    }

    fn is_full<T>(taken: &Result<T, Refused>) -> bool {
        matches!(taken, Err(Refused::Full))
    }

    #[test]
    fn files_of_one_user_share_a_bound_and_give_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let room = Arc::new(Room::new(folder.path(), 100, 0));
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
    fn so_much_of_the_disk_stays_free() {
        let folder = tempfile::tempdir().unwrap();
        let full = Arc::new(Room::new(folder.path(), u64::MAX, u64::MAX));
        assert!(is_full(&full.begin(user(1), 0)));
        Arc::new(Room::new(folder.path(), u64::MAX, 0)).begin(user(1), 0).unwrap().take(1).unwrap();
    }

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge] {
            assert!(matches!(not_kept(kind.into()), Refused::Full), "{kind}");
        }
        assert!(matches!(not_kept(io::ErrorKind::PermissionDenied.into()), Refused::Failed(_)));
        let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        let full =
            CatalogError::Failed { operation: "write", source: rusqlite::Error::SqliteFailure(full, None) };
        assert!(matches!(not_noted(full), Refused::Full));
        assert!(matches!(not_noted(CatalogError::Format(9)), Refused::Failed(_)));
    }
}
