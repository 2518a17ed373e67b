//! One process owns a journal, and everybody can read which; and who finds it closed can read where.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use trainyard_core::Timestamp;
use trainyard_journal::{JournalError, Position, failpoint, render};

/// A lock on `<journal>.lock`, which says who holds it. The operating system drops it with the process; the file
/// stays, and says at which record its holder has closed the journal.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    leave: Leave,
}

/// What stays in the lock file when the lock is given back.
#[derive(Debug)]
enum Leave {
    /// What was in it: the journal was looked at and not held.
    AsBefore(Option<String>),
    /// Nothing: it was held, and where the log ends is not known.
    Nothing,
    /// Where the log ends.
    ClosedAt(Position),
}

/// What is known of the last holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Last {
    /// Nothing: there was none, or it could not say.
    Unknown,
    /// It has closed the journal when the log ended here.
    Closed(Position),
    /// It has not closed the journal; this is who it was.
    Gone(String),
}

impl Last {
    fn of(text: Option<String>) -> Self {
        let Some(text) = text else { return Self::Unknown };
        match text.strip_prefix(CLOSED).map(str::parse) {
            Some(Ok(position)) => Self::Closed(Position::new(position)),
            Some(Err(_)) => Self::Unknown,
            None => Self::Gone(text),
        }
    }

    /// Refuses a log that ends before the place at which it was closed.
    pub(crate) fn check(&self, name: &str, head: Position) -> Result<(), JournalError> {
        match self {
            Self::Closed(closed) if *closed > head => Err(JournalError::corrupt(name).with_source(format!(
                "it was closed at record {closed} and ends at {head}: the file or its write-ahead log is gone, \
                 damaged or an older copy (if that is wanted, remove the lock file beside it)"
            ))),
            Self::Closed(_) | Self::Gone(_) | Self::Unknown => Ok(()),
        }
    }

    pub(crate) fn stale_holder(self) -> Option<String> {
        match self {
            Self::Gone(holder) => Some(holder),
            Self::Closed(_) | Self::Unknown => None,
        }
    }
}

impl Lock {
    /// Takes the lock, and says what became of whoever held it last.
    pub(crate) fn take(journal: &Path, name: &str) -> Result<(Self, Last), JournalError> {
        let failed = |operation: &str| {
            let text = format!("could not {operation} the lock file of {name}");
            move |error: std::io::Error| {
                let is_full = error.kind() == ErrorKind::StorageFull;
                let failure = if is_full { JournalError::full(name) } else { JournalError::failed(text) };
                failure.with_source(error)
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
                let holder = match Last::of(read(&mut file)) {
                    Last::Gone(holder) => holder,
                    Last::Closed(_) | Last::Unknown => "somebody who has not said who it is".to_owned(),
                };
                return Err(JournalError::locked(name, holder));
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
        }
        let before = read(&mut file);
        let last = Last::of(before.clone());
        put(&mut file, &me()).map_err(failed("write"))?;
        Ok((Self { file, leave: Leave::AsBefore(before) }, last))
    }

    /// The journal is held from now on.
    pub(crate) fn hold(&mut self) {
        self.leave = Leave::Nothing;
    }

    /// The journal is being closed, with its log ending here.
    pub(crate) fn close_at(&mut self, head: Position) {
        self.leave = Leave::ClosedAt(head);
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        failpoint!(JournalClosed);
        // What stays in it names a dead process; that is told at the next opening and does no harm.
        let _ = self.leave();
        // A child process that is just being made has this file open, too, until it runs its own program, and would
        // hold the lock as long.
        let _ = self.file.unlock();
    }
}

impl Lock {
    fn leave(&mut self) -> std::io::Result<()> {
        match &self.leave {
            Leave::Nothing | Leave::AsBefore(None) => self.file.set_len(0),
            Leave::AsBefore(Some(text)) => put(&mut self.file, &format!("{text}\n")),
            Leave::ClosedAt(head) => put(&mut self.file, &format!("{CLOSED}{head}\n")),
        }
    }
}

/// The path of a file that belongs to a journal.
pub(crate) fn beside(journal: &Path, suffix: &str) -> PathBuf {
    let mut path = journal.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Puts a text in the place of what is there, over it: on a disk that is full there is room for that, and whoever fails
/// leaves what was there.
fn put(file: &mut File, text: &str) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
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

const CLOSED: &str = "closed at record ";

const HOLDER_BYTES_MAX: u64 = 1_024;
