//! Every region of a journal's files, damaged: it is refused, or nothing is different; and [`verify`] finds it, and
//! changes nothing.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic; its numbers are small"
)]

mod support;

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use trainyard_core::Fact;
use trainyard_journal::{Journal, JournalError, Position};
use trainyard_sqlite::{SqliteJournal, SqliteOptions, verify};
use trainyard_testkit::journal_conformance::{commit, numbered, read_all};

use support::{chain, commit_one, move_log, open};

const PAGE: usize = 4_096;
const RECORDS: u64 = 60;
const SNAPSHOT: u64 = 20;

/// A journal with a snapshot in parts and records after it, closed; and all that it holds.
fn journal(path: &Path) -> Vec<Fact> {
    let (mut journal, _) = open(path);
    for n in 1..=RECORDS {
        let mut turn = journal.begin().unwrap();
        turn.append(numbered(n).at, &[numbered(n)]).unwrap();
        if n == SNAPSHOT {
            turn.compact(&(1..=n).map(numbered).collect::<Vec<_>>()).unwrap();
        }
        turn.commit().unwrap();
    }
    let all = facts(&mut journal).unwrap();
    drop(journal);
    move_log(path);
    all
}

fn facts(journal: &mut dyn Journal) -> Result<Vec<Fact>, JournalError> {
    let read = read_all(journal.read(Position::START)?)?;
    let snapshot = read.snapshot.into_iter().flat_map(|snapshot| snapshot.facts);
    Ok(snapshot.chain(read.records.into_iter().flat_map(|record| record.facts)).collect())
}

fn reopened(path: &Path) -> Result<Vec<Fact>, JournalError> {
    let (mut journal, _) = SqliteJournal::open(path, &SqliteOptions::new())?;
    facts(&mut journal)
}

/// The bytes of a journal's files; a log that is not there and an empty one are the same.
fn bytes(path: &Path) -> [Vec<u8>; 2] {
    [fs::read(path).unwrap_or_default(), fs::read(wal(path)).unwrap_or_default()]
}

fn wal(path: &Path) -> std::path::PathBuf {
    path.with_extension("sqlite-wal")
}

/// Puts a journal's files there, and what [`verify`] and opening say of them. The former must leave them as they are.
fn found(path: &Path, files: &[Vec<u8>; 2]) -> (Result<u64, JournalError>, Result<Vec<Fact>, JournalError>) {
    for beside in ["-shm", "-wal", ".lock"] {
        let _ = fs::remove_file(path.with_extension(format!("sqlite{beside}")));
    }
    fs::write(path, &files[0]).unwrap();
    if !files[1].is_empty() {
        fs::write(wal(path), &files[1]).unwrap();
    }
    let verified = verify(path).map(|verified| verified.facts);
    assert!(bytes(path) == *files, "it was changed by verify, which said {verified:?}");
    (verified, reopened(path))
}

#[test]
fn a_flipped_bit_anywhere_in_the_file_is_found_or_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let expected = journal(&path);
    let whole = bytes(&path);
    assert!(whole[1].is_empty() && whole[0].len() > 5 * PAGE);
    // All of the header of the file and of those of its pages, and a part of everything else.
    let headers = (0..whole[0].len()).filter(|at| *at < 112 || at % PAGE < 12);
    let headers = headers.flat_map(|at| (0..8).map(move |bit| (at, bit)));
    let others = (0..whole[0].len()).step_by(53).enumerate().map(|(n, at)| (at, n % 8));
    let (mut refused, mut verified, mut total) = (0, 0, 0);
    for (at, bit) in headers.chain(others) {
        let mut files = whole.clone();
        files[0][at] ^= 1 << bit;
        let (said, read) = found(&path, &files);
        match &read {
            Ok(facts) => assert!(*facts == expected, "byte {at}: it is read wrongly"),
            Err(error) => assert!(!error.is_stopped() && !error.is_full(), "byte {at}: {}", chain(error)),
        }
        if let Ok(facts) = said {
            assert_eq!(facts, expected.len() as u64, "byte {at}");
            assert!(read.is_ok(), "byte {at}: verify finds all that opening does: {:?}", read.unwrap_err());
        } else {
            verified += 1;
        }
        refused += u32::from(read.is_err());
        total += 1;
    }
    println!("of {total} flipped bits {refused} were refused by opening, {verified} by verify");
    assert!(refused > 50 && verified >= refused, "{refused}, {verified} of {total}");
}

#[test]
fn a_file_that_was_cut_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    journal(&path);
    let whole = bytes(&path);
    for left in (1..whole[0].len()).filter(|left| left % PAGE == 0 || left % (PAGE / 2) == 0 || *left < 100) {
        let files = [whole[0][..left].to_vec(), vec![]];
        let (verified, read) = found(&path, &files);
        assert!(verified.is_err(), "{left} bytes left");
        let error = read.expect_err("it is refused");
        assert!(error.is_corrupt(), "{left} bytes left: {}", chain(&error));
    }
    // Nothing at all is what a new journal begins with; verify knows none that is empty.
    let (verified, read) = found(&path, &[vec![], vec![]]);
    assert!(chain(&verified.unwrap_err()).ends_with("is corrupt: it is empty"));
    assert!(read.unwrap().is_empty());
}

#[test]
fn a_file_that_is_damaged_beneath_a_log_is_refused_or_nothing_is_different() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let expected = journal(&path);
    let (mut journal, _) = open(&path);
    commit_one(&mut journal, RECORDS + 1).unwrap();
    let whole = bytes(&path);
    drop(journal);
    assert!(!whole[1].is_empty());
    let cuts = (0..whole[0].len()).step_by(PAGE / 2).map(|left| whole[0][..left].to_vec());
    let flips = (0..whole[0].len()).step_by(211).map(|at| {
        let mut file = whole[0].clone();
        file[at] ^= 1 << (at % 8);
        file
    });
    let mut refused = 0;
    for (n, file) in cuts.chain(flips).enumerate() {
        let (_, read) = found(&path, &[file, whole[1].clone()]);
        match read {
            Ok(facts) => assert!(facts[..expected.len()] == expected && facts.len() > expected.len(), "{n}"),
            Err(error) => {
                assert!(!error.is_stopped() && !error.is_full(), "{n}: {}", chain(&error));
                refused += 1;
            }
        }
    }
    assert!(refused > 20, "{refused}");
}

/// The files of a journal whose process was killed, with everything but its beginning in the log; and where each of
/// its commits ends there.
fn killed(folder: &Path) -> ([Vec<u8>; 2], Vec<usize>) {
    let path = folder.join("killed.sqlite");
    let (mut journal, _) = open(&path);
    // From here on the log is short, and grows by what is committed.
    let shell = Connection::open(&path).unwrap();
    shell.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let mut ends = vec![];
    for n in 1..=12 {
        commit_one(&mut journal, n).unwrap();
        ends.push(fs::metadata(wal(&path)).unwrap().len() as usize);
    }
    (bytes(&path), ends)
}

#[test]
fn what_a_killed_process_has_left_is_verified_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (files, ends) = killed(folder.path());
    assert_eq!(*ends.last().unwrap(), files[1].len());
    let (verified, read) = found(&folder.path().join("yard.sqlite"), &files);
    assert_eq!(verified.unwrap(), 12);
    assert_eq!(read.unwrap(), (1..=12).map(numbered).collect::<Vec<_>>());
}

#[test]
fn a_flipped_bit_in_the_log_is_refused_unless_it_is_in_the_last_commit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let (whole, ends) = killed(folder.path());
    let last = ends[ends.len() - 2];
    // Its header, those of its frames, and a part of everything else.
    let frame = 24 + PAGE;
    let places = (0..whole[1].len()).filter(|at| *at < 32 || (at - 32) % frame < 28 || at % 101 == 0);
    for (n, at) in places.enumerate() {
        let mut files = whole.clone();
        files[1][at] ^= 1 << (n % 8);
        let (verified, read) = found(&path, &files);
        if at < last {
            let (verified, read) = (verified.unwrap_err(), read.expect_err("it is refused"));
            assert!(verified.is_corrupt() && read.is_corrupt(), "byte {at}: {}", chain(&read));
            assert!(chain(&read).contains("write-ahead log"), "byte {at}: {}", chain(&read));
        } else {
            // As if the process had been killed in the middle of it.
            assert_eq!(read.unwrap(), (1..=11).map(numbered).collect::<Vec<_>>(), "byte {at}");
        }
    }
}

#[test]
fn a_log_that_was_cut_off_ends_with_the_last_commit_that_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let (whole, ends) = killed(folder.path());
    for left in (0..=whole[1].len()).step_by(1_027).chain(ends.iter().copied()) {
        let files = [whole[0].clone(), whole[1][..left].to_vec()];
        let (verified, read) = found(&path, &files);
        let commits = ends.iter().filter(|end| **end <= left).count() as u64;
        assert_eq!(verified.unwrap(), commits, "{left} bytes left");
        assert_eq!(read.unwrap(), (1..=commits).map(numbered).collect::<Vec<_>>(), "{left} bytes left");
    }
}

#[test]
fn a_log_that_was_begun_anew_has_no_hole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let (mut journal, _) = open(&path);
    for n in 1..=8 {
        commit_one(&mut journal, n).unwrap();
    }
    // All of it is in the file; the next commit writes over the beginning of the log, and leaves the rest.
    let shell = Connection::open(&path).unwrap();
    shell.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
    let before = fs::metadata(wal(&path)).unwrap().len();
    commit_one(&mut journal, 9).unwrap();
    assert_eq!(fs::metadata(wal(&path)).unwrap().len(), before);
    let files = bytes(&path);
    drop((journal, shell));
    let (verified, read) = found(&path, &files);
    assert_eq!((verified.unwrap(), read.unwrap().len()), (9, 9));
}

#[test]
fn a_commit_that_was_torn_over_an_earlier_log_is_no_hole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.sqlite");
    let (mut journal, _) = open(&path);
    for n in 1..=60 {
        commit_one(&mut journal, n).unwrap();
    }
    let shell = Connection::open(&path).unwrap();
    shell.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
    commit_one(&mut journal, 61).unwrap();
    let before = bytes(&path);
    let many: Vec<Fact> = (0..2_000).map(|_| numbered(62)).collect();
    commit(&mut journal, numbered(62).at, &many).unwrap();
    let after = bytes(&path);
    assert_eq!(before[1].len(), after[1].len(), "it is written over what was there");
    drop((journal, shell));

    // The disk wrote its frames in any order when the power went: some are as they were in the log before.
    let frame = 24 + PAGE;
    let places = (32..after[1].len()).step_by(frame);
    let changed: Vec<_> =
        places.filter(|at| before[1][*at..at + frame] != after[1][*at..at + frame]).collect();
    assert!(changed.len() > 8, "{changed:?}");
    let ends_commit = |at: &usize| before[1][at + 4..at + 8] != [0; 4];
    assert!(changed[..changed.len() - 2].iter().any(ends_commit), "one of them looks like an end");
    for at in &changed {
        for lost in [*at..at + frame, *at..at + frame / 2, at + frame / 2..at + frame] {
            let mut files = after.clone();
            files[1][lost.clone()].copy_from_slice(&before[1][lost.clone()]);
            let (verified, read) = found(&folder.path().join("yard.sqlite"), &files);
            if files[1] == after[1] {
                continue;
            }
            assert_eq!(verified.map_err(|error| chain(&error)), Ok(61), "{lost:?}");
            assert_eq!(read.map_err(|error| chain(&error)).unwrap().len(), 61, "{lost:?}");
        }
    }
}
