//! What is broken is said to be broken, and where; what was acknowledged before a failure is still there.

mod support;

use std::fs;

use rusqlite::Connection;
use trainyard_core::{Event, Fact, JobId, Parameters};
use trainyard_journal::{Journal, Position};
use trainyard_sqlite::{SqliteJournal, SqliteOptions, verify};
use trainyard_testkit::journal_conformance::{commit, numbered};

use support::{chain, commit_one, filled, move_log, open, open_fails, records};

#[test]
fn any_flipped_byte_of_a_row_is_found() {
    for (what, change) in [
        ("facts", "facts = CAST(x'01' || substr(facts, 2) AS BLOB)"),
        ("facts", "facts = CAST(substr(facts, 1, length(facts) - 1) || x'7f' AS BLOB)"),
        ("facts", "facts = x''"),
        ("time", "at = at + 1"),
        ("writer", "writer = zeroblob(16)"),
        ("writer", "writer = x'00'"),
        ("checksum", "checksum = checksum + 1"),
        ("number", "position = 77"),
        ("place", "facts = (SELECT facts FROM records WHERE position = 2)"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("yard.sqlite");
        filled(&path, 5);
        let original: Vec<u8> = query(&path, "SELECT facts FROM records WHERE position = 3");
        sql(&path, &format!("UPDATE records SET {change} WHERE position = 3"));
        if query::<Vec<u8>>(&path, "SELECT coalesce((SELECT facts FROM records WHERE position = 3), x'')")
            == original
            && what == "facts"
        {
            continue; // the change was none
        }
        let error = verify(&path).unwrap_err();
        assert!(error.is_corrupt(), "{what}");
        let Ok((mut journal, _)) = SqliteJournal::open(&path, &SqliteOptions::new()) else {
            continue;
        };
        let error = records(&mut journal).unwrap_err();
        assert!(error.is_corrupt(), "{what}: {}", chain(&error));
        assert!(error.to_string().starts_with("record 3 of journal "), "{what}: {}", chain(&error));
        let mut reading = journal.read(Position::START).unwrap().records;
        assert_eq!(reading.by_ref().map_while(Result::ok).count(), 2, "what comes before it is readable");
        assert!(reading.next().is_none(), "nothing comes after an error");
    }
}

#[test]
fn a_missing_record_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    filled(&path, 5);
    sql(&path, "DELETE FROM records WHERE position = 1");
    let error = verify(&path).unwrap_err();
    assert!(error.is_corrupt());
    assert!(chain(&error).ends_with("is corrupt: it is missing"), "{}", chain(&error));
}

#[test]
fn a_damaged_snapshot_is_found() {
    for change in [
        "UPDATE snapshot SET facts = CAST(substr(facts, 1, length(facts) - 1) || x'ff' AS BLOB) WHERE part = 1",
        "DELETE FROM snapshot WHERE part = 2",
        "DELETE FROM snapshot",
        "UPDATE snapshot SET facts = (SELECT facts FROM snapshot WHERE part = 2) WHERE part = 1",
        "UPDATE meta SET value = value - 1 WHERE name = 'snapshot_position'",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("yard.sqlite");
        let (mut journal, _) = open(&path);
        commit_one(&mut journal, 1).unwrap();
        commit_one(&mut journal, 2).unwrap();
        let mut turn = journal.begin().unwrap();
        turn.compact(&(0..100_000).map(numbered).collect::<Vec<_>>()).unwrap();
        turn.commit().unwrap();
        drop(journal);
        assert_eq!(verify(&path).unwrap().facts, 100_000);
        sql(&path, change);
        let error = verify(&path).unwrap_err();
        assert!(error.is_corrupt(), "{change}: {error}");
        if change.contains("snapshot_position") {
            assert!(chain(&error).contains("it was closed at record 2 and ends at 1"), "{}", chain(&error));
            assert!(open_fails(&path).is_corrupt());
            continue;
        }
        assert!(error.to_string().starts_with("the snapshot of journal "), "{change}: {error}");
        let (mut journal, _) = open(&path);
        assert!(journal.read(Position::START).unwrap_err().is_corrupt());
    }
}

#[test]
fn a_cut_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    filled(&path, 500);
    move_log(&path);
    let bytes = fs::read(&path).unwrap();
    for left in [bytes.len() - 37, bytes.len() / 2, 4_096, 1_000, 50] {
        fs::write(&path, &bytes[..left]).unwrap();
        let verified = verify(&path).unwrap_err();
        let found = SqliteJournal::open(&path, &SqliteOptions::new())
            .and_then(|(mut journal, _)| records(&mut journal).map(|records| records.len()));
        assert!(verified.is_corrupt() && found.unwrap_err().is_corrupt(), "{left} bytes left");
    }
}

#[test]
fn a_write_ahead_log_that_was_left_is_not_lost_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let log = folder.path().join("yard.sqlite-wal");
    filled(&path, 8);
    let (head, bytes) = (verify(&path).unwrap().head, fs::read(&log).unwrap());
    assert!(head == Position::new(8) && bytes.len() > 8 * 4_096, "it was left when the journal was closed");
    let check = |what: &str| {
        let refused = verify(&path).unwrap_err();
        assert!(refused.is_corrupt(), "{what}: {}", chain(&refused));
        for _ in 0..2 {
            let refused = open_fails(&path);
            assert!(refused.is_corrupt(), "{what}: {}", chain(&refused));
        }
    };
    for left in [0, 31, 32, 5_000, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&log, &bytes[..left]).unwrap();
        check(&format!("{left} bytes left"));
    }
    for at in (32..bytes.len()).step_by(4_003) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        fs::write(&log, &flipped).unwrap();
        check(&format!("byte {at} flipped"));
    }
    fs::remove_file(&log).unwrap();
    check("no log");
    fs::write(&log, &bytes).unwrap();
    let (mut journal, opened) = open(&path);
    assert_eq!((opened.head, opened.recovered), (head, None), "with its log it is whole");
    assert_eq!(records(&mut journal).unwrap().len(), 8);
}

#[test]
fn a_flipped_byte_anywhere_never_goes_unnoticed_where_it_matters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let options = SqliteOptions::new().without_readable();
    let (mut journal, _) = SqliteJournal::open(&path, &options).unwrap();
    for n in 1..=120 {
        commit_one(&mut journal, n).unwrap();
    }
    let expected = records(&mut journal).unwrap();
    drop(journal);
    move_log(&path);
    let bytes = fs::read(&path).unwrap();
    let mut noticed = 0;
    for at in (0..bytes.len()).step_by(97) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        fs::write(&path, &flipped).unwrap();
        let found = SqliteJournal::open(&path, &options).and_then(|(mut journal, _)| records(&mut journal));
        match found {
            // In unused space, or in what SQLite does not need: then nothing is different.
            Ok(found) => assert_eq!(found, expected, "byte {at}"),
            Err(_) => noticed += 1,
        }
    }
    assert!(noticed > 20, "{noticed} of {}", bytes.len() / 97);
}

#[test]
fn a_full_disk_is_said_to_be_full_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let options = SqliteOptions::new().with_bytes_max(2 << 20);
    let (mut journal, _) = SqliteJournal::open(&path, &options).unwrap();
    let large = |n| {
        let parameters = Parameters::new(vec![7; 100_000]).unwrap();
        Fact {
            at: numbered(n).at,
            event: Event::Updated { job: JobId::from_u128(1), parameters, watermark: None },
        }
    };
    let mut acknowledged = 0;
    let error = loop {
        match commit(&mut journal, numbered(1).at, &[large(acknowledged)]) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 100, "there is a bound");
    };
    assert!(error.is_full(), "{}", chain(&error));
    assert!(acknowledged > 10);
    let stopped = journal.begin().err().unwrap();
    assert!(
        stopped.is_stopped() && stopped.to_string().ends_with("must be reopened, since a commit has failed")
    );
    assert!(journal.read(Position::START).unwrap_err().is_stopped());
    drop(journal);

    assert_eq!(verify(&path).unwrap().records, acknowledged);
    let (mut journal, _) = SqliteJournal::open(&path, &options).unwrap();
    assert_eq!(records(&mut journal).unwrap().len() as u64, acknowledged);
    let mut turn = journal.begin().unwrap();
    turn.compact(&[numbered(1)]).unwrap();
    turn.commit().unwrap();
    commit_one(&mut journal, 1).unwrap();
}

/// On a file system of 9 MiB, which is mounted where nobody else sees it. Where that may not be done it says so; what
/// fails then is in `faults` all the same.
#[cfg(target_os = "linux")]
#[test]
fn a_real_disk_that_is_full_loses_nothing() {
    const DISK: &str = "TRAINYARD_SMALL_DISK";
    let Some(folder) = std::env::var_os(DISK) else {
        let disk = tempfile::tempdir().unwrap();
        let mut command = std::process::Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c"]);
        command.arg(format!("mount -t tmpfs -o size=9m tmpfs \"${DISK}\" && exec \"$0\" \"$@\""));
        command.arg(std::env::current_exe().unwrap());
        command.args(["--exact", "a_real_disk_that_is_full_loses_nothing", "--nocapture"]);
        let output = command.env(DISK, disk.path()).output();
        match output {
            Ok(output) if String::from_utf8_lossy(&output.stdout).contains("running 1 test") => {
                let said = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
                assert!(said.contains("is full after"), "{said}");
            }
            other => println!("skipped: a small disk cannot be mounted here: {other:?}"),
        }
        return;
    };
    let folder = tempfile::tempdir_in(folder).unwrap();
    let path = folder.path().join("yard.sqlite");
    let ballast = folder.path().join("ballast");
    fs::write(&ballast, vec![1; 6 << 20]).unwrap();
    let (mut journal, _) = open(&path);
    let mut acknowledged = 0;
    let facts: Vec<_> = (0..500).map(numbered).collect();
    let error = loop {
        match commit(&mut journal, numbered(1).at, &facts) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 10_000, "the disk is small");
    };
    assert!(error.is_full(), "{}", chain(&error));
    println!("it is full after {acknowledged} commits: {}", chain(&error));
    drop(journal);
    match SqliteJournal::open(&path, &SqliteOptions::new()) {
        Ok((mut journal, _)) => assert_eq!(records(&mut journal).unwrap().len(), acknowledged),
        Err(error) => assert!(error.is_full(), "{}", chain(&error)),
    }
    fs::remove_file(&ballast).unwrap();
    let (mut journal, opened) = open(&path);
    println!("{opened}");
    assert_eq!(records(&mut journal).unwrap().len(), acknowledged);
    commit_one(&mut journal, 1).unwrap();
}

#[test]
fn a_failed_write_by_another_hand_stops_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let (mut journal, _) = open(&path);
    commit_one(&mut journal, 1).unwrap();
    sql(&path, "INSERT INTO records VALUES (2, zeroblob(16), 0, 0, x'', NULL)");
    let error = commit_one(&mut journal, 2).unwrap_err();
    assert!(error.to_string().starts_with("could not commit to journal "), "{}", chain(&error));
    assert!(commit_one(&mut journal, 2).unwrap_err().is_stopped());
    drop(journal);
    assert!(open_fails(&path).is_corrupt(), "what the other hand wrote is no record");
}

fn sql(path: &std::path::Path, statement: &str) {
    Connection::open(path).expect("it works").execute_batch(statement).expect("it works");
}

fn query<T: rusqlite::types::FromSql>(path: &std::path::Path, statement: &str) -> T {
    Connection::open(path).expect("it works").query_row(statement, [], |row| row.get(0)).expect("it works")
}
