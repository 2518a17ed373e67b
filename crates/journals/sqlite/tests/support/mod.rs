//! What the tests share.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::error::Error as _;
use std::path::Path;

use trainyard_journal::{Journal, JournalError, Position, Record};
use trainyard_sqlite::{Opened, SqliteJournal, SqliteOptions};
use trainyard_testkit::journal_conformance::{commit, numbered, read_all};

pub(crate) fn open(path: &Path) -> (SqliteJournal, Opened) {
    SqliteJournal::open(path, &SqliteOptions::new()).expect("it opens")
}

pub(crate) fn open_fails(path: &Path) -> JournalError {
    SqliteJournal::open(path, &SqliteOptions::new()).map(drop).expect_err("it is refused")
}

pub(crate) fn commit_one(journal: &mut dyn Journal, n: u64) -> Result<Position, JournalError> {
    commit(journal, numbered(n).at, &[numbered(n)])
}

pub(crate) fn records(journal: &mut dyn Journal) -> Result<Vec<Record>, JournalError> {
    Ok(read_all(journal.read(Position::START)?)?.records)
}

/// A journal of so many records, closed.
pub(crate) fn filled(path: &Path, count: u64) {
    let (mut journal, _) = open(path);
    for n in 1..=count {
        commit_one(&mut journal, n).expect("a commit");
    }
}

/// Lets another program move the write-ahead log of a closed journal into the file, so that a test can damage it there.
pub(crate) fn move_log(path: &Path) {
    let shell = rusqlite::Connection::open(path).expect("a database");
    shell.query_row("SELECT count(*) FROM records", [], |row| row.get::<_, i64>(0)).expect("a journal");
    shell.close().expect("nobody else has it");
    assert!(!path.with_extension("sqlite-wal").exists(), "its last user moves the log");
}

/// An error with its causes.
pub(crate) fn chain(error: &JournalError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
