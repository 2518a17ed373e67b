//! A process that is killed in the middle of commits loses nothing that was acknowledged.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use trainyard_core::Fact;
use trainyard_journal::{Journal, Position};
use trainyard_sqlite::{SqliteJournal, SqliteOptions, verify};
use trainyard_testkit::journal_conformance::{commit, numbered, read_all};

use support::{commit_one, open, open_fails};

const CHILD: &str = "TRAINYARD_CRASH_CHILD";
const FACTS: u64 = 3;
const COMPACT_EVERY: u64 = 50;

/// The child's part: commits until it is killed, and says after each commit how far it is.
#[test]
fn child() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let (mut journal, _) = open(&PathBuf::from(path));
    let mut out = std::io::stdout().lock();
    let mut head = journal.head().get();
    read_all(journal.read(Position::START).unwrap()).unwrap();
    loop {
        head += 1;
        let mut turn = journal.begin().unwrap();
        turn.append(numbered(head).at, &facts(head)).unwrap();
        if head.is_multiple_of(COMPACT_EVERY) {
            turn.compact(&facts(head)).unwrap();
        }
        let head = turn.commit().unwrap();
        writeln!(out, "committed {head}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let mut acknowledged = 0;
    for round in 1..=8_u64 {
        let (mut child, mut lines) = spawn(&path);
        let until = acknowledged + 7 * round;
        while acknowledged < until {
            acknowledged = next(&mut lines);
        }
        let error = open_fails(&path);
        assert!(error.to_string().contains(&format!("process {}", child.id())), "{error}");
        std::thread::sleep(Duration::from_millis(round % 4)); // somewhere in the next commits
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = rest(lines).unwrap_or(acknowledged);

        let (mut journal, opened) = open(&path);
        let head = opened.head.get();
        assert!(head >= acknowledged, "round {round}: {head} of {acknowledged}");
        assert!(head <= acknowledged + 1, "at most the commit that was under way");
        assert!(opened.stale_holder.is_some_and(|holder| holder.contains(&child.id().to_string())));
        assert!(opened.recovered.is_some() || opened.records == 0, "it had no time to tidy up");
        let read = read_all(journal.read(Position::START).unwrap()).unwrap();
        let from = read.snapshot.as_ref().map_or(0, |snapshot| snapshot.position.get());
        assert_eq!(from, head - head % COMPACT_EVERY);
        assert!(read.snapshot.is_none_or(|snapshot| snapshot.facts == facts(from)));
        assert!(read.records.iter().map(|record| record.position.get()).eq(from + 1..=head));
        assert!(read.records.iter().all(|record| record.facts == facts(record.position.get())));
        drop(journal);
        assert_eq!(verify(&path).unwrap().head.get(), head);
        acknowledged = head;
    }
}

#[test]
fn a_compacted_file_stays_small() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yard.sqlite");
    let (mut journal, _) = SqliteJournal::open(&path, &SqliteOptions::new()).unwrap();
    let facts: Vec<Fact> = (0..1_000).map(numbered).collect();
    let snapshot = &facts[..500];
    let wal = folder.path().join("yard.sqlite-wal");
    let size = || std::fs::metadata(&path).unwrap().len() + std::fs::metadata(&wal).unwrap().len();
    let mut sizes = Vec::new();
    for _ in 0..10 {
        for _ in 0..10 {
            commit(&mut journal, facts[0].at, &facts).unwrap();
        }
        let full = size();
        let mut turn = journal.begin().unwrap();
        turn.compact(snapshot).unwrap();
        turn.commit().unwrap();
        sizes.push(size());
        assert!(size() < full / 4, "{} of {full} bytes are left", size());
    }
    assert!(sizes.iter().all(|size| *size <= sizes[0] + 16 * 4_096), "it does not grow: {sizes:?}");
    let wal = folder.path().join("yard.sqlite-wal");
    assert_eq!(std::fs::metadata(&wal).unwrap().len(), 0, "the write-ahead log is cut back");
    commit_one(&mut journal, 1).unwrap();
    drop(journal);
    assert!(
        std::fs::metadata(&wal).unwrap().len() < 8 * 4_096,
        "what is small stays when the journal is closed"
    );
    let (mut journal, opened) = SqliteJournal::open(&path, &SqliteOptions::new()).unwrap();
    assert_eq!((opened.recovered, opened.stale_holder), (None, None), "which is no crash");
    for n in 2..100 {
        commit_one(&mut journal, n).unwrap();
    }
    drop(journal);
    assert!(!wal.exists(), "what is large is moved into the file");
    assert_eq!(verify(&path).unwrap().facts, 599);
}

fn facts(n: u64) -> Vec<Fact> {
    (0..FACTS).map(|part| numbered(n * FACTS + part)).collect()
}

fn spawn(path: &std::path::Path) -> (Child, impl Iterator<Item = String>) {
    let mut child = Command::new(std::env::current_exe().expect("it works"))
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it works");
    let lines = BufReader::new(child.stdout.take().expect("it works")).lines().map_while(Result::ok);
    (child, lines)
}

fn next(lines: &mut impl Iterator<Item = String>) -> u64 {
    let line = lines.find(|line| line.contains("committed ")).expect("the child goes on until it is killed");
    position(&line)
}

/// What it managed to say before it died; a line that was cut off says nothing.
fn rest(lines: impl Iterator<Item = String>) -> Option<u64> {
    lines.filter(|line| line.contains("committed ")).map(|line| position(&line)).last()
}

fn position(line: &str) -> u64 {
    line.rsplit(' ').next().and_then(|word| word.parse().ok()).expect("a position")
}
