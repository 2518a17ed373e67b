//! One process has a data folder, and everybody can read which.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::OpenError;

/// Held as long as the folder is in use. The operating system drops it with the process; the file stays.
#[derive(Debug)]
pub(crate) struct FolderLock(File);

#[derive(Debug)]
enum NotLocked {
    HeldBy(String),
    Failed(io::Error),
}

impl FolderLock {
    /// Makes the folder if it is not there, for its owner alone, and takes it.
    pub(crate) fn open(data: &Path) -> Result<Self, OpenError> {
        let folder = || data.to_owned();
        make_private(data).map_err(|source| OpenError::Folder { folder: folder(), source })?;
        Self::take(data).map_err(|error| match error {
            NotLocked::HeldBy(holder) => OpenError::InUse { folder: folder(), holder },
            NotLocked::Failed(source) => OpenError::Folder { folder: folder(), source },
        })
    }

    fn take(folder: &Path) -> Result<Self, NotLocked> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join("lock"))
            .map_err(NotLocked::Failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(NotLocked::HeldBy(holder(file))),
            Err(TryLockError::Error(error)) => return Err(NotLocked::Failed(error)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            writeln!(file, "process {}", std::process::id())
        };
        write(&mut file).map_err(NotLocked::Failed)?;
        Ok(Self(file))
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // A child process that is just being made has this file open, too, until it runs its own program, and would
        // hold the lock as long.
        let _ = self.0.unlock();
    }
}

/// A folder that is made here is nobody else's to read: nothing in it is encrypted.
pub(crate) fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn holder(file: File) -> String {
    let mut text = String::new();
    let read = file.take(HOLDER_BYTES_MAX).read_to_string(&mut text);
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    match read {
        Ok(_) if !text.is_empty() => text,
        Ok(_) | Err(_) => "a process that has not said who it is".to_owned(),
    }
}

const HOLDER_BYTES_MAX: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        let NotLocked::HeldBy(holder) = FolderLock::take(folder.path()).unwrap_err() else {
            panic!("it is held");
        };
        assert_eq!(holder, format!("process {}", std::process::id()));
        drop(lock);
        FolderLock::take(folder.path()).unwrap();
    }
}
