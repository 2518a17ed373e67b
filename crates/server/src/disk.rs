//! The disk that files are kept on, and what of it stays free.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use crate::records::RecordsError;

/// The disk below a folder.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    folder: PathBuf,
    /// What stays free, in bytes.
    free_min: u64,
}

/// Why what somebody sends is not kept.
#[derive(Debug)]
pub(crate) enum NotKept {
    /// The disk is full. Later it may not be.
    Full,
    /// It fails.
    Failed(Box<dyn Error + Send + Sync>),
}

impl Disk {
    pub(crate) fn new(folder: &Path, free_min: u64) -> Self {
        Self { folder: folder.to_owned(), free_min }
    }

    /// Whether there is room for so many bytes more.
    pub(crate) fn has(&self, bytes: u64) -> Result<(), NotKept> {
        let free = fs4::available_space(&self.folder)?;
        if free >= self.free_min.saturating_add(bytes) { Ok(()) } else { Err(NotKept::Full) }
    }
}

impl From<io::Error> for NotKept {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
            tracing::warn!(%error, "there is no room for a file");
            return Self::Full;
        }
        Self::Failed(error.into())
    }
}

impl From<RecordsError> for NotKept {
    fn from(error: RecordsError) -> Self {
        if error.is_full() {
            tracing::warn!(%error, "there is no room for a record");
            return Self::Full;
        }
        Self::Failed(error.into())
    }
}

impl From<NotKept> for trainyard_mathfi::Refused {
    fn from(error: NotKept) -> Self {
        match error {
            NotKept::Full => Self::Full,
            NotKept::Failed(error) => Self::Failed(trainyard_mathfi::HostError::new(error)),
        }
    }
}

impl From<NotKept> for trainyard_heygen::Refused {
    fn from(error: NotKept) -> Self {
        match error {
            NotKept::Full => Self::Full,
            NotKept::Failed(error) => Self::Failed(trainyard_heygen::HostError::new(error)),
        }
    }
}

impl From<NotKept> for trainyard_eliza::Refused {
    fn from(error: NotKept) -> Self {
        match error {
            NotKept::Full => Self::Full,
            NotKept::Failed(error) => Self::Failed(trainyard_eliza::HostError::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_of_the_disk_stays_free() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Disk::new(folder.path(), u64::MAX).has(0), Err(NotKept::Full)));
        assert!(matches!(Disk::new(folder.path(), 0).has(u64::MAX), Err(NotKept::Full)));
        Disk::new(folder.path(), 0).has(1).unwrap();
        let gone = Disk::new(&folder.path().join("no such folder"), 0);
        assert!(matches!(gone.has(0), Err(NotKept::Failed(_))));
    }

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge] {
            assert!(matches!(NotKept::from(io::Error::from(kind)), NotKept::Full), "{kind}");
        }
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(matches!(NotKept::from(denied), NotKept::Failed(_)));
        let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        let full =
            RecordsError::Failed { operation: "write", source: rusqlite::Error::SqliteFailure(full, None) };
        assert!(matches!(NotKept::from(full).into(), trainyard_heygen::Refused::Full));
        assert!(matches!(
            NotKept::from(RecordsError::Format(9)).into(),
            trainyard_mathfi::Refused::Failed(_)
        ));
    }
}
