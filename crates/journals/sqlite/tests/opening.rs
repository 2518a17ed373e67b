//! Who may open what, and what is said about it.

mod support;

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;
use trainyard_journal::{Journal, Position};
use trainyard_sqlite::{SqliteJournal, SqliteOptions, verify};
use trainyard_testkit::journal_conformance::numbered;

use support::{chain, commit_one, filled, open, open_fails, records};

#[test]
fn a_second_opener_is_told_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let (journal, _) = open(&path);
    let error = open_fails(&path);
    assert!(error.is_locked());
    let me = format!("is held by process {} ", std::process::id());
    assert!(error.to_string().contains(&me), "{error}");
    assert!(verify(&path).unwrap_err().is_locked());
    drop(journal);
    open(&path);
}

#[cfg(unix)]
#[test]
fn a_second_way_to_a_file_meets_the_same_lock() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("yard.sqlite"), folder.path().join("link.sqlite"));
    let (journal, _) = open(&path);
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(open_fails(&link).is_locked());
    drop(journal);
}

#[test]
fn a_lock_file_of_the_dead_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let lock = folder.path().join("yard.sqlite.lock");
    let (journal, opened) = open(&path);
    assert_eq!(opened.stale_holder, None);
    drop(journal);
    assert_eq!(fs::read_to_string(&lock).unwrap(), "closed at record 0\n");
    fs::write(&lock, "process 1 on host x since 2026-01-01T00:00:00.000Z\n").unwrap();
    let (_journal, opened) = open(&path);
    assert_eq!(opened.stale_holder.as_deref(), Some("process 1 on host x since 2026-01-01T00:00:00.000Z"));
    assert!(fs::read_to_string(&lock).unwrap().contains(&std::process::id().to_string()));
}

#[test]
fn an_older_copy_takes_the_place_of_a_journal_whose_other_files_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let [path, copy] = ["yard.sqlite", "copy.sqlite"].map(|name| folder.path().join(name));
    filled(&path, 5);
    let shell = Connection::open(&path).unwrap();
    shell.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    drop(shell);
    let (mut journal, _) = open(&path);
    for n in 6..=8 {
        commit_one(&mut journal, n).unwrap();
    }
    drop(journal);
    assert_eq!(verify(&path).unwrap().records, 8);

    fs::copy(&copy, &path).unwrap();
    for beside in ["yard.sqlite-wal", "yard.sqlite-shm"] {
        fs::remove_file(folder.path().join(beside)).unwrap();
    }
    let refused = open_fails(&path);
    assert!(refused.is_corrupt() && chain(&refused).contains("an older copy"), "{}", chain(&refused));
    assert!(verify(&path).unwrap_err().is_corrupt());
    fs::remove_file(folder.path().join("yard.sqlite.lock")).unwrap();
    assert_eq!(verify(&path).unwrap().records, 5);
    let (mut journal, _) = open(&path);
    assert_eq!(records(&mut journal).unwrap().len(), 5);
}

#[test]
fn a_mark_that_is_older_than_the_file_is_no_closing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let lock = folder.path().join("yard.sqlite.lock");
    filled(&path, 8);
    // A power cut: what the last holder wrote to the lock file was not on disk yet.
    fs::write(&lock, "closed at record 5\n").unwrap();
    let (journal, opened) = open(&path);
    assert_eq!(opened.head, Position::new(8));
    assert!(opened.recovered.is_some_and(|recovered| recovered.pages > Some(0)), "{opened:?}");
    drop(journal);
    assert_eq!(fs::read_to_string(&lock).unwrap(), "closed at record 8\n");
}

#[test]
fn opening_says_what_it_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let (mut journal, opened) = open(&path);
    assert_eq!((opened.head, opened.records, opened.snapshot), (Position::START, 0, None));
    for n in 1..=3 {
        commit_one(&mut journal, n).unwrap();
    }
    let mut turn = journal.begin().unwrap();
    turn.compact(&[numbered(9)]).unwrap();
    turn.commit().unwrap();
    commit_one(&mut journal, 4).unwrap();
    drop(journal);
    let (_journal, opened) = open(&path);
    assert_eq!((opened.head, opened.records, opened.snapshot), (Position::new(4), 1, Some(Position::new(3))));
    assert_eq!((opened.recovered, opened.stale_holder.clone(), opened.foreign.len()), (None, None, 0));
    assert_eq!(opened.bytes, fs::metadata(&path).unwrap().len());
    let name = path.canonicalize().unwrap();
    let expected = format!(
        "journal {}: 1 records up to 4, {} bytes, after a snapshot at 3",
        name.display(),
        opened.bytes
    );
    assert_eq!(opened.to_string(), expected);
}

#[test]
fn what_is_no_journal_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.sqlite");
    sql(&path, "CREATE TABLE t (x); INSERT INTO t VALUES (1);");
    let before = fs::read(&path).unwrap();
    let error = open_fails(&path);
    assert!(!error.is_corrupt() && error.to_string().contains("no journal"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);

    let path = folder.path().join("text");
    fs::write(
        &path,
        "hello, this is no database at all, but it is longer than a header of SQLite's".repeat(20),
    )
    .unwrap();
    assert!(open_fails(&path).is_corrupt());
    assert!(verify(folder.path().join("nowhere")).unwrap_err().to_string().starts_with("could not find"));
}

#[test]
fn foreign_tables_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    filled(&path, 1);
    sql(&path, "CREATE TABLE notes (x);");
    assert_eq!(open(&path).1.foreign, ["table notes"]);
}

#[test]
fn an_unknown_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    filled(&path, 1);
    sql(&path, "UPDATE meta SET value = 2 WHERE name = 'format';");
    let error = open_fails(&path);
    assert!(error.is_unknown_version());
    assert!(error.to_string().ends_with("is of version 2, which this release cannot read"), "{error}");
    assert!(verify(&path).unwrap_err().is_unknown_version());
}

#[test]
fn a_record_of_a_newer_release_is_refused_at_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    filled(&path, 2);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[2, 0, 0xaa]);
    let record = [&[2, 0], &hasher.finalize().to_le_bytes()[..], &[0xaa]].concat();
    let hex: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
    sql(&path, &format!("UPDATE records SET facts = x'{hex}' WHERE position = 2;"));
    let error = open_fails(&path);
    assert!(error.is_unknown_version());
    assert!(error.to_string().starts_with("record 2 of journal "), "{error}");
    assert!(chain(&error).ends_with("version 2 is unknown, the newest known one is 1"), "{}", chain(&error));
}

#[test]
fn operators_can_read_it_while_it_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let (mut journal, _) = open(&path);
    let facts = trainyard_testkit::arbitrary::one_of_each();
    trainyard_testkit::journal_conformance::commit(&mut journal, facts[0].at, &facts).unwrap();
    let found =
        rows(&path, "SELECT position, number, at, event FROM facts WHERE detail LIKE '%index/1%' LIMIT 1;");
    assert_eq!(found, ["1|9|2027-01-15T08:00:00.008Z|Submitted"]);
    assert_eq!(rows(&path, "SELECT count(*) FROM facts;"), [facts.len().to_string()]);
    assert_eq!(
        rows(&path, "SELECT detail ->> '$.reason' FROM facts WHERE event = 'QueuePaused';"),
        ["maintenance"]
    );

    // A copy that was made meanwhile is a journal.
    let copy = folder.path().join("copy.sqlite");
    sql(&path, &format!("VACUUM INTO '{}'", copy.display()));
    commit_one(&mut journal, 2).unwrap();
    assert_eq!(verify(&copy).unwrap().facts, facts.len() as u64);
    assert_eq!(records(&mut open(&copy).0).unwrap()[0].facts, facts);
}

#[test]
fn without_the_text_the_view_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let (mut journal, _) = SqliteJournal::open(&path, &SqliteOptions::new().without_readable()).unwrap();
    commit_one(&mut journal, 1).unwrap();
    assert_eq!(rows(&path, "SELECT count(*) FROM facts;"), ["0"]);
    assert_eq!(records(&mut journal).unwrap().len(), 1);
}

#[test]
fn a_shell_that_writes_makes_a_turn_wait_or_fail_but_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let options = SqliteOptions::new().with_busy_timeout(std::time::Duration::from_millis(50));
    let (mut journal, _) = SqliteJournal::open(&path, &options).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(journal.begin().err().unwrap().is_locked());
    other.execute_batch("ROLLBACK").unwrap();
    commit_one(&mut journal, 1).unwrap();
}

/// Does as a shell would.
fn sql(path: &Path, statements: &str) {
    Connection::open(path).expect("it works").execute_batch(statements).expect("it works");
}

/// What a shell would show: cells with `|` between them.
fn rows(path: &Path, query: &str) -> Vec<String> {
    let connection = Connection::open(path).expect("it works");
    let mut statement = connection.prepare(query).expect("it works");
    let columns = statement.column_count();
    let cell = |value| match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text,
        other @ (Value::Null | Value::Real(_) | Value::Blob(_)) => format!("{other:?}"),
    };
    let rows = statement.query_map([], |row| {
        let cells: Result<Vec<String>, _> = (0..columns).map(|column| row.get(column).map(cell)).collect();
        Ok(cells?.join("|"))
    });
    rows.expect("it works").collect::<Result<_, _>>().expect("it works")
}
