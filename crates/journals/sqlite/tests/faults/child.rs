//! The child's part: it opens, commits, compacts and closes, says what was acknowledged, and goes on after a fault as
//! an operator would.

use std::error::Error as _;
use std::fs;
use std::io::Write;
use std::path::Path;

use trainyard_core::{Event, Fact, JobId, Parameters};
use trainyard_journal::{Journal, JournalError, Position};
use trainyard_sqlite::{SqliteJournal, SqliteOptions};
use trainyard_testkit::journal_conformance::{commit, numbered, read_all};

pub(crate) const FOLDER: &str = "TRAINYARD_FAULTS_IN";
/// Says that it is only opened and stopped.
pub(crate) const STOPS: &str = "TRAINYARD_FAULTS_STOPS";
pub(crate) const WORK: &str = "TRAINYARD_FAULTS_WORK";
/// How many commits there are.
pub(crate) const LAST: u64 = 9;
/// Which of them compact.
const COMPACTING: [u64; 2] = [3, 6];
/// After which of them it is closed, and opened again.
const CLOSING: [u64; 2] = [4, 7];
/// How often it is tried to go on before there is room.
const TRIES: u32 = 2;
/// How often it is tried at all.
const TRIES_MAX: u32 = 6;

/// What is written, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Little, with compactions, and closed and opened in between.
    Small,
    /// So much that SQLite moves the log into the file within a commit.
    Large,
}

impl Work {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }

    fn of_this_process() -> Self {
        let name = std::env::var(WORK).expect("it is told");
        [Self::Small, Self::Large].into_iter().find(|work| work.name() == name).expect("one of them")
    }

    /// What one commit writes.
    fn facts(self, n: u64) -> Vec<Fact> {
        match self {
            Self::Small => vec![numbered(n)],
            Self::Large => {
                let parameters = Parameters::new(vec![n as u8; 600_000]).expect("it is within bounds");
                let event = Event::Updated { job: JobId::from_u128(1), parameters, watermark: None };
                vec![numbered(n), Fact { at: numbered(n).at, event }]
            }
        }
    }

    /// What a journal holds up to a place, however it was compacted.
    pub(crate) fn facts_up_to(self, head: u64) -> Vec<Fact> {
        (1..=head).flat_map(|n| self.facts(n)).collect()
    }

    fn is_compacting(self, n: u64) -> bool {
        self == Self::Small && COMPACTING.contains(&n)
    }

    pub(crate) fn commit(self, journal: &mut dyn Journal, n: u64) -> Result<Position, JournalError> {
        let mut turn = journal.begin()?;
        turn.append(numbered(n).at, &self.facts(n))?;
        if self.is_compacting(n) {
            turn.compact(&self.facts_up_to(n))?;
        }
        turn.commit()
    }
}

pub(crate) fn facts_of(journal: &mut dyn Journal) -> Result<Vec<Fact>, JournalError> {
    let read = read_all(journal.read(Position::START)?)?;
    let snapshot = read.snapshot.into_iter().flat_map(|snapshot| snapshot.facts);
    Ok(snapshot.chain(read.records.into_iter().flat_map(|record| record.facts)).collect())
}

/// What a yard does that is opened and stopped again: two commits.
pub(crate) fn open_and_stop(folder: &Path) {
    let path = folder.join("data/yard.sqlite");
    let (mut journal, _) = SqliteJournal::open(path, &SqliteOptions::new()).expect("it opens");
    facts_of(&mut journal).expect("it can be read");
    for _ in 0..2 {
        let fact = numbered(journal.head().get() + 1);
        commit(&mut journal, fact.at, &[fact]).expect("it can be written");
    }
}

/// Works until all commits are made, or it is tried too often.
pub(crate) fn work(folder: &Path) {
    let work = Work::of_this_process();
    println!(); // after what the test harness has begun to say
    let path = folder.join("data/yard.sqlite");
    let faults = || fs::metadata(folder.join("log")).map_or(0, |log| log.len());
    let say = |words: String| {
        std::io::stdout().lock().write_all(format!("> {words}\n").as_bytes()).expect("it works")
    };
    let mut journal: Option<SqliteJournal> = None;
    let (mut head, mut tries) = (0, 0);
    while head < LAST {
        let step = match &journal {
            None => "open",
            Some(_) if work.is_compacting(head + 1) => "compact",
            Some(_) => "commit",
        };
        let before = faults();
        let done = match &mut journal {
            None => open(&path, work, head).map(|(opened, found)| (journal, head) = (Some(opened), found)),
            Some(journal) => work.commit(journal, head + 1).map(|position| head = position.get()),
        };
        if faults() > before {
            say(format!("fault {step}"));
        }
        match done {
            Ok(()) if step == "open" => {}
            Ok(()) => {
                say(format!("acknowledged {head}"));
                if work == Work::Small && CLOSING.contains(&head) {
                    let before = faults();
                    journal = None;
                    if faults() > before {
                        say("fault close".to_owned());
                    }
                }
            }
            Err(error) => {
                say(format!("error {} {}", error.is_full(), chain(&error)));
                let text = error.to_string();
                match journal.take() {
                    // Nothing has changed.
                    Some(mut held) if text.contains("begin a turn") => {
                        assert!(facts_of(&mut held).expect("it is readable") == work.facts_up_to(head));
                    }
                    Some(mut stopped) => {
                        assert!(stopped.begin().err().expect("it is stopped").is_stopped());
                        assert!(stopped.read(Position::START).expect_err("it is stopped").is_stopped());
                    }
                    None => {}
                }
                tries += 1;
                if tries == TRIES {
                    fs::write(folder.join("data/room"), "").expect("it works");
                }
                if tries == TRIES_MAX {
                    say("gives up".to_owned());
                    return;
                }
            }
        }
    }
    let before = faults();
    drop(journal);
    if faults() > before {
        say("fault close".to_owned());
    }
    say("ended".to_owned());
}

/// Opens it, and reads all of it: no more than one commit may be there that was not acknowledged.
fn open(path: &Path, work: Work, head: u64) -> Result<(SqliteJournal, u64), JournalError> {
    let (mut journal, opened) = SqliteJournal::open(path, &SqliteOptions::new())?;
    let found = opened.head.get();
    assert!(found == head || found == head + 1, "{found} after {head}");
    let read = facts_of(&mut journal)?;
    assert!(read == work.facts_up_to(found), "nothing is read wrongly");
    Ok((journal, found))
}

fn chain(error: &JournalError) -> String {
    let source = error.source().map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default()).replace('\n', " ")
}

/// What a child has said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) acknowledged: u64,
    /// What was being done when the first fault came.
    pub(crate) step: String,
    /// What was said, and whether it said that the disk is full.
    pub(crate) errors: Vec<(String, bool)>,
    /// How many commits were acknowledged after the first fault and before the first error.
    pub(crate) acknowledged_after: usize,
    pub(crate) ended: bool,
}

impl Said {
    pub(crate) fn read(text: &str) -> Self {
        let mut said = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix("> ")) {
            let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
            match verb {
                "acknowledged" => {
                    said.acknowledged = rest.parse().expect("a number");
                    said.acknowledged_after += usize::from(!said.step.is_empty() && said.errors.is_empty());
                }
                "fault" if said.step.is_empty() => rest.clone_into(&mut said.step),
                "error" => {
                    let (is_full, text) = rest.split_once(' ').expect("two words");
                    said.errors.push((text.to_owned(), is_full == "true"));
                }
                "ended" => said.ended = true,
                _ => {}
            }
        }
        said
    }
}
