//! One process owns a journal, and everybody can read which.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use trainyard_core::Timestamp;
use trainyard_journal::{JournalError, failpoint, render};

/// A lock on `<journal>.lock`, which says who holds it. The operating system drops it with the process; the file
/// stays, and is empty when its holder has closed the journal.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock, and says who held it without closing the journal, if anybody did.
    pub(crate) fn take(journal: &Path, name: &str) -> Result<(Self, Option<String>), JournalError> {
        let failed = |operation: &str| {
            let text = format!("could not {operation} the lock file of {name}");
            move |error: std::io::Error| match error.kind() {
                ErrorKind::StorageFull => JournalError::full(name).with_source(error),
                _ => JournalError::failed(text).with_source(error),
            }
        };
        let path = beside(journal, ".lock");
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder =
                    read(&mut file).unwrap_or_else(|| "somebody who has not said who it is".to_owned());
                return Err(JournalError::locked(name, holder));
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
        }
        let stale = read(&mut file);
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(me().as_bytes())
        };
        write(&mut file).map_err(failed("write"))?;
        Ok((Self(file), stale))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        failpoint!(JournalClosed);
        // What stays in it names a dead process; that is told at the next opening and does no harm.
        let _ = self.0.set_len(0);
        // A child process that is just being made has this file open, too, until it runs its own program, and would
        // hold the lock as long.
        let _ = self.0.unlock();
    }
}

/// The path of a file that belongs to a journal.
pub(crate) fn beside(journal: &Path, suffix: &str) -> PathBuf {
    let mut path = journal.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn read(file: &mut File) -> Option<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(HOLDER_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let text: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).collect();
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn me() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = render::to_rfc3339(Timestamp::from_millis(0).after(since));
    let host = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.or_else(|| std::env::var("HOSTNAME").or_else(|_| std::env::var("COMPUTERNAME")).ok());
    let host = host.map(|host| format!(" on host {}", host.trim())).unwrap_or_default();
    format!("process {}{host} since {since}\n", std::process::id())
}

const HOLDER_BYTES_MAX: u64 = 1_024;
