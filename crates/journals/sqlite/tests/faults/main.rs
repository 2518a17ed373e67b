//! A disk that fails at any one call, or is full from there on: what is acknowledged stays, what fails is said.
//!
//! The faults are real: a library between the process and its disk (`shim.c`, made with `cc`) fails the n-th call on
//! the journal's files, for every n there is in opening, committing, compacting and closing.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic; its numbers are small"
)]

mod child;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;
use trainyard_journal::{Journal, Position};
use trainyard_sqlite::{SqliteJournal, SqliteOptions, verify};

use child::{Said, Work, facts_of};

/// Nothing, unless this binary was started by [`run`]: then one piece of work.
#[test]
fn child() {
    if let Some(folder) = std::env::var_os(child::FOLDER) {
        let is_short = std::env::var_os(child::STOPS).is_some();
        if is_short { child::open_and_stop(Path::new(&folder)) } else { child::work(Path::new(&folder)) }
    }
}

#[test]
fn opening_two_commits_and_closing_sync_three_times_at_most() {
    let syncs = |at: u32| {
        let folder = folder();
        let (data, log) = (folder.path().join("data"), folder.path().join("log"));
        fs::create_dir(&data).unwrap();
        let (mut journal, _) = SqliteJournal::open(data.join("yard.sqlite"), &SqliteOptions::new()).unwrap();
        Work::Small.commit(&mut journal, 1).unwrap();
        drop(journal);
        let fault = Fault { calls: "sync", ..SMALL };
        let output = started(folder.path(), &log, fault, at).env(child::STOPS, "yes").output().unwrap();
        let failed = log.exists();
        assert_eq!(output.status.success(), !failed, "{}", String::from_utf8_lossy(&output.stderr));
        failed
    };
    assert!(!syncs(4), "a fourth sync would have failed, and would have been told");
    assert!(syncs(3), "the last of three is that of a commit");
}

#[test]
fn any_call_that_fails_once_is_told_and_loses_nothing() {
    let told = everywhere(Fault { calls: ALL, kind: EIO, lasts: 1, ..SMALL }, |case| {
        assert!(case.ended, "it goes on after it was reopened: {case:?}");
        if case.step == "commit" && !case.call.ends_with(NAMES) {
            assert!(case.error.is_some(), "a commit that could not be made is not acknowledged: {case:?}");
        }
    });
    // What is told nowhere else: the log that a commit is written to, and its sync.
    for call in ["write yard.sqlite-wal", "sync yard.sqlite-wal"] {
        assert!(told.contains_key(&("commit", call.to_owned())), "{told:#?}");
    }
}

#[test]
fn a_disk_that_is_full_for_a_moment_is_said_to_be_full() {
    everywhere(Fault { calls: "write", kind: ENOSPC, lasts: 1, ..SMALL }, |case| {
        assert!(case.ended, "it goes on when there is room: {case:?}");
        if case.step == "commit" {
            assert!(case.is_full, "{case:?}");
        }
        assert!(case.is_full || case.error.is_none(), "whoever is told anything is told that: {case:?}");
    });
}

#[test]
fn a_disk_that_is_full_stays_full_until_there_is_room_and_loses_nothing() {
    everywhere(Fault { calls: "write", kind: ENOSPC, lasts: 0, ..SMALL }, |case| {
        assert!(case.ended, "it goes on when there is room: {case:?}");
        assert!(case.is_full || case.error.is_none(), "{case:?}");
    });
}

#[test]
fn after_a_sync_that_failed_nothing_is_acknowledged() {
    everywhere(Fault { calls: "sync", kind: EIO, lasts: 0, ..SMALL }, |case| {
        // What is acknowledged after a fault was not in its commit: it was in closing, or in giving space back.
        if case.step == "commit" && !case.call.ends_with(NAMES) {
            assert!(case.error.is_some(), "{case:?}");
            assert_eq!(case.acknowledged_after, 0, "{case:?}");
        }
    });
}

#[test]
fn a_write_that_is_cut_short_is_finished() {
    everywhere(Fault { calls: "write", kind: SHORT, lasts: 1, ..SMALL }, |case| {
        assert!(case.ended && (case.error.is_none() || case.step == "open"), "{case:?}");
    });
}

#[test]
fn a_kill_inside_of_any_call_loses_nothing() {
    everywhere(Fault { calls: ALL, kind: KILL, lasts: 1, ..SMALL }, |case| assert!(!case.ended, "{case:?}"));
}

#[test]
fn a_checkpoint_within_a_commit_may_fail() {
    let every = if std::env::var_os("TRAINYARD_LONG").is_some() { 7 } else { 211 };
    let mut within = 0;
    for kind in [EIO, ENOSPC, KILL] {
        everywhere(
            Fault { calls: "write sync truncate", kind, work: Work::Large, every, lasts: 1 },
            |case| {
                assert_eq!(case.ended, kind != KILL, "{case:?}");
                let is_of_commit = case.step == "commit" && case.call.ends_with("-wal");
                assert!(case.error.is_some() || !is_of_commit, "{case:?}");
                within += u32::from(case.call == "write yard.sqlite");
            },
        );
    }
    assert!(within > 5, "a log of 1,000 pages is moved into the file by the commit that fills it: {within}");
}

/// Which calls fail, how, and for how many calls (0 is for ever).
#[derive(Clone, Copy)]
struct Fault {
    calls: &'static str,
    kind: i32,
    lasts: u32,
    /// Each of them, or each so-manieth.
    every: usize,
    work: Work,
}

const SMALL: Fault = Fault { calls: ALL, kind: EIO, lasts: 1, every: 1, work: Work::Small };

/// SQLite's first commit makes it durable that the log has a name, and does not tell when that fails. Opening has seen
/// to it before.
const NAMES: &str = " the folder";

const ALL: &str = "read write sync truncate open unlink";
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const SHORT: i32 = -1;
const KILL: i32 = -2;

/// What one fault has led to.
#[derive(Debug)]
struct Case {
    /// The call, and the file.
    call: String,
    /// What was being done.
    step: String,
    /// What was said of it.
    error: Option<String>,
    is_full: bool,
    /// How many commits were acknowledged from then on, before anything was reopened.
    acknowledged_after: usize,
    /// Whether the work was done in the end.
    ended: bool,
}

/// Lets every call of the work fail once, in a folder of its own, until there are none left. After each the journal
/// is looked at without the shim. Says what was told, by what was being done and which call failed.
fn everywhere(fault: Fault, mut check: impl FnMut(&Case)) -> BTreeMap<(&'static str, String), usize> {
    let mut told = BTreeMap::new();
    let mut swallowed = BTreeMap::new();
    for at in (1..).step_by(fault.every) {
        assert!(at < 5_000, "the work is short");
        let folder = folder();
        let Some(case) = run(folder.path(), fault, at) else {
            assert!(at > 10, "there are more calls than {at}");
            break;
        };
        check(&case);
        let step = ["open", "commit", "compact", "close"].into_iter().find(|step| *step == case.step);
        let step = step.unwrap_or("killed");
        let map = if case.error.is_some() { &mut told } else { &mut swallowed };
        *map.entry((step, case.call.clone())).or_default() += 1;
    }
    println!("told: {told:#?}\nnobody was told: {swallowed:#?}");
    told
}

/// One piece of work with one fault, and a look at what it has left; `None` when the fault did not come.
fn run(folder: &Path, fault: Fault, at: u32) -> Option<Case> {
    let data = folder.join("data");
    fs::create_dir(&data).expect("it works");
    let log = folder.join("log");
    let output = started(folder, &log, fault, at).stderr(Stdio::inherit()).output().expect("it works");
    let said = Said::read(&String::from_utf8_lossy(&output.stdout));
    let log = fs::read_to_string(log).unwrap_or_default();
    let call = log.lines().next().map(|line| line.split_once(' ').expect("a number and a call").1.to_owned());
    let is_killed = fault.kind == KILL && call.is_some();
    assert_eq!(output.status.success(), !is_killed, "at {at}, {call:?}: {said:#?}");

    let Fault { work, .. } = fault;
    // Without the fault: all that was acknowledged is there, and at most one commit more.
    let path = data.join("yard.sqlite");
    let head = if path.exists() { look(&path, work, &said, at, call.as_deref()) } else { 0 };
    assert!(head >= said.acknowledged, "at {at}, {call:?}: {head} of {}", said.acknowledged);
    assert!(head <= said.acknowledged + 1, "at {at}, {call:?}: {head} after {}", said.acknowledged);
    // And it goes on.
    let (mut journal, _) = SqliteJournal::open(&path, &SqliteOptions::new()).expect("it opens");
    let read = facts_of(&mut journal).expect("it can be read");
    assert!(read == work.facts_up_to(head), "{} facts up to {head}", read.len());
    work.commit(&mut journal, head + 1).expect("it can be written");

    Some(Case {
        call: call?,
        step: said.step.clone(),
        error: said.errors.first().map(|(text, _)| text.clone()),
        is_full: !said.errors.is_empty() && said.errors.iter().all(|(_, is_full)| *is_full),
        acknowledged_after: said.acknowledged_after,
        ended: said.ended,
    })
}

/// This binary as a child with the shim between it and the disk.
fn started(folder: &Path, log: &Path, fault: Fault, at: u32) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("it works"));
    command
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(child::FOLDER, folder)
        .env(child::WORK, fault.work.name())
        .env("LD_PRELOAD", shim())
        .env("FAULT_FOLDER", folder.join("data"))
        .env("FAULT_CALLS", fault.calls)
        .env("FAULT_AT", at.to_string())
        .env("FAULT_LASTS", fault.lasts.to_string())
        .env("FAULT_KIND", fault.kind.to_string())
        .env("FAULT_LOG", log);
    command
}

/// What is in a journal, and whether it is whole.
fn look(path: &Path, work: Work, said: &Said, at: u32, call: Option<&str>) -> u64 {
    if said.acknowledged > 0 {
        let verified = verify(path).unwrap_or_else(|error| panic!("at {at}, {call:?}: {error:?}"));
        assert_eq!(verified.facts, work.facts_up_to(verified.head.get()).len() as u64);
    }
    let (mut journal, _) = SqliteJournal::open(path, &SqliteOptions::new()).expect("it opens");
    assert!(journal.read(Position::START).is_ok());
    // What is set once, when the file is made, is set, whatever failed then.
    let connection = rusqlite::Connection::open(path).expect("it opens");
    let (vacuum, mode): (i64, String) =
        (set_of(&connection, "auto_vacuum"), set_of(&connection, "journal_mode"));
    assert_eq!((vacuum, &*mode), (2, "wal"), "at {at}, {call:?}");
    journal.head().get()
}

fn set_of<T: rusqlite::types::FromSql>(connection: &rusqlite::Connection, pragma: &str) -> T {
    connection.pragma_query_value(None, pragma, |row| row.get(0)).expect("it is set")
}

/// In memory if there is such a place, since thousands of journals are made.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// The library between the process and its disk.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("shim-{}.so", std::process::id()));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/shim.c");
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&path)
            .arg(source)
            .arg("-ldl")
            .status();
        assert!(made.expect("a C compiler").success(), "{source} does not compile");
        path
    })
}
