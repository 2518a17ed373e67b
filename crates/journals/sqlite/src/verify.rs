//! Checking a journal that nobody uses.

use std::path::Path;

use trainyard_journal::{JournalError, Position};

use crate::error::failure;
use crate::journal::resolve;
use crate::lock::{Lock, beside};
use crate::log::check_log;
use crate::read::read;
use crate::schema::{check_length, connect_to_read, ends};

/// What a journal holds, every byte of which was read and found to be as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Where the log ends.
    pub head: Position,
    /// Where the snapshot was taken, if there is one.
    pub snapshot: Option<Position>,
    /// How many records there are after it.
    pub records: u64,
    /// How many facts there are in snapshot and records.
    pub facts: u64,
}

/// Reads all of a journal that nobody has open, and checks everything that can be checked: SQLite's structures,
/// every checksum, every record, and that none is missing. Nothing is changed.
///
/// ```
/// # use trainyard_sqlite::{SqliteJournal, SqliteOptions, verify};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("yard.sqlite");
/// # drop(SqliteJournal::open(&path, &SqliteOptions::new())?);
/// assert_eq!(verify(&path)?.records, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When there is no such file, somebody [has it](JournalError::is_locked), it [is corrupt](JournalError::is_corrupt)
/// (the text says where), or of an [unknown version](JournalError::is_unknown_version).
pub fn verify(path: impl AsRef<Path>) -> Result<Verified, JournalError> {
    let (path, name) = resolve(path.as_ref());
    let failed = |error| failure("verify", &name, error);
    let file = std::fs::metadata(&path);
    let file =
        file.map_err(|error| JournalError::failed(format!("could not find {name}")).with_source(error))?;
    if file.len() == 0 {
        return Err(JournalError::corrupt(&name).with_source("it is empty"));
    }
    let (_lock, last) = Lock::take(&path, &name)?;
    let left = std::fs::metadata(beside(&path, "-wal")).map_or(0, |wal| wal.len());
    check_length(&path, &name, left)?;
    check_log(&path, &name)?;
    let connection = connect_to_read(&path, &name)?;
    let report: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if report != "ok" {
        return Err(JournalError::corrupt(&name).with_source(report));
    }
    let (head, snapshot) = ends(&connection).map_err(failed)?;
    last.check(&name, head)?;
    let mut handed = Position::START;
    let reading = read(&connection, &name, head, Position::START, &mut handed)?;
    let mut facts = reading.snapshot.as_ref().map_or(0, |snapshot| snapshot.facts.len() as u64);
    let mut records = 0;
    for record in reading.records {
        facts += record?.facts.len() as u64;
        records += 1;
    }
    Ok(Verified { head, snapshot, records, facts })
}
