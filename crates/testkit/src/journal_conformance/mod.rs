//! What every journal must do.
//!
//! Implement [`Log`] for a way to make logs, and call [`check`]: it runs every property that applies. Each is a
//! function of its own, for those who want to see one alone.
//!
//! ```
//! use trainyard_journal::{Journal, MemoryJournal};
//! use trainyard_testkit::journal_conformance::{Holders, Log, check};
//!
//! struct InMemory(MemoryJournal);
//!
//! impl Log for InMemory {
//!     const HOLDERS: Holders = Holders::Many;
//!
//!     fn fresh() -> Self {
//!         Self(MemoryJournal::new())
//!     }
//!
//!     fn open(&mut self) -> Box<dyn Journal> {
//!         Box::new(self.0.holder())
//!     }
//! }
//!
//! check::<InMemory>();
//! ```

mod alone;
mod model;
mod shared;

pub use alone::{
    a_commit_is_read_back, a_compacted_log_starts_at_its_snapshot,
    a_compaction_that_was_dropped_changes_nothing, a_dropped_turn_changes_nothing, a_fresh_log_is_empty,
    a_turn_may_append_and_compact_at_once, appends_of_one_turn_are_one_record, compacting_nothing_is_refused,
    every_event_survives, large_records_survive, news_is_handed_once, reading_beyond_the_end_is_refused,
    reading_from_anywhere, turns_without_facts_write_nothing, unseen_records_keep_a_turn_from_writing,
    what_was_committed_is_there_after_reopening,
};
pub use model::any_history_is_that_of_the_model;
pub use shared::{
    news_comes_to_the_others, notices_are_sent_and_coalesced, turns_are_exclusive,
    who_missed_a_compaction_gets_the_snapshot, writers_are_told_apart,
};

use trainyard_core::{Event, Fact, JobId, Timestamp};
use trainyard_journal::{Journal, JournalError, Position, Reading, Record, Snapshot};

/// A log under test, and how to get at it.
pub trait Log {
    /// How many may have it open at once.
    const HOLDERS: Holders;

    /// One that nothing was ever written to.
    fn fresh() -> Self;

    /// Opens it. With [`Holders::One`] it is called only when nobody has it open.
    fn open(&mut self) -> Box<dyn Journal>;
}

/// How many may have a log open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holders {
    /// One only.
    One,
    /// As many as there are.
    Many,
}

/// Checks every property that applies.
///
/// # Panics
/// When one does not hold.
pub fn check<L: Log>() {
    a_fresh_log_is_empty(&mut L::fresh());
    a_commit_is_read_back(&mut L::fresh());
    appends_of_one_turn_are_one_record(&mut L::fresh());
    turns_without_facts_write_nothing(&mut L::fresh());
    a_dropped_turn_changes_nothing(&mut L::fresh());
    reading_from_anywhere(&mut L::fresh());
    reading_beyond_the_end_is_refused(&mut L::fresh());
    news_is_handed_once(&mut L::fresh());
    unseen_records_keep_a_turn_from_writing(&mut L::fresh());
    what_was_committed_is_there_after_reopening(&mut L::fresh());
    a_compacted_log_starts_at_its_snapshot(&mut L::fresh());
    a_turn_may_append_and_compact_at_once(&mut L::fresh());
    a_compaction_that_was_dropped_changes_nothing(&mut L::fresh());
    compacting_nothing_is_refused(&mut L::fresh());
    every_event_survives(&mut L::fresh());
    large_records_survive(&mut L::fresh());
    any_history_is_that_of_the_model::<L>(48);
    match L::HOLDERS {
        Holders::One => {}
        Holders::Many => {
            news_comes_to_the_others(&mut L::fresh());
            writers_are_told_apart(&mut L::fresh());
            notices_are_sent_and_coalesced(&mut L::fresh());
            turns_are_exclusive(&mut L::fresh());
            who_missed_a_compaction_gets_the_snapshot(&mut L::fresh());
        }
    }
}

/// A small fact that is unlike those of other numbers.
#[must_use]
pub fn numbered(n: u64) -> Fact {
    Fact { at: at(n), event: Event::Unheld { job: JobId::from_u128(n.into()) } }
}

/// A reading with its records read.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// Its snapshot.
    pub snapshot: Option<Snapshot>,
    /// Its records.
    pub records: Vec<Record>,
}

/// Reads a reading to its end.
///
/// # Errors
/// That of the first record that cannot be read.
pub fn read_all(reading: Reading<'_>) -> Result<Read, JournalError> {
    let Reading { snapshot, records } = reading;
    Ok(Read { snapshot, records: records.collect::<Result<_, _>>()? })
}

/// Commits facts in a turn of their own, taking in the news before, and says where the log ends then.
///
/// # Errors
/// Whatever the journal says.
pub fn commit(journal: &mut dyn Journal, at: Timestamp, facts: &[Fact]) -> Result<Position, JournalError> {
    let mut turn = journal.begin()?;
    read_all(turn.news()?)?;
    turn.append(at, facts)?;
    turn.commit()
}

fn commit_numbered(journal: &mut dyn Journal, n: u64) -> Position {
    commit(journal, at(n), &[numbered(n)]).expect("the commit works")
}

fn compact(journal: &mut dyn Journal, snapshot: &[Fact]) -> Position {
    let mut turn = journal.begin().expect("a turn");
    read_all(turn.news().expect("news")).expect("readable news");
    turn.compact(snapshot).expect("compaction works");
    turn.commit().expect("the commit works")
}

fn everything(journal: &mut dyn Journal) -> Read {
    read_from(journal, Position::START)
}

fn read_from(journal: &mut dyn Journal, from: Position) -> Read {
    read_all(journal.read(from).expect("reading works")).expect("every record can be read")
}

fn news(journal: &mut dyn Journal) -> Read {
    let mut turn = journal.begin().expect("a turn");
    read_all(turn.news().expect("news")).expect("readable news")
}

fn at(n: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000).after(std::time::Duration::from_secs(n))
}
