//! The log and its turns.

use std::fmt;

use crossbeam_channel::Receiver;
use trainyard_core::{Fact, Timestamp};

use crate::{JournalError, Position, WriterId};

/// A log that is written in turns, seen by one of its holders.
///
/// Order: records are numbered 1, 2, 3 … in the order of their commits, the same for every holder.
///
/// Each holder has a mark, up to which it has been handed everything. The mark begins at [`Position::START`],
/// and is moved by what [`Journal::read`] and [`Turn::news`] yield and by the holder's own commits. A turn that is
/// to write while there is something beyond the mark is refused: it would have been decided on an old state.
pub trait Journal: Send {
    /// Waits until nobody else has a turn, and takes one.
    ///
    /// # Errors
    /// When the journal cannot be reached, or [must be reopened](JournalError::is_stopped). Nothing has changed.
    fn begin(&mut self) -> Result<Box<dyn Turn + '_>, JournalError>;

    /// Reads what was written after `from`, oldest first, outside of any turn.
    ///
    /// The answer has a snapshot exactly if something after `from` was compacted away.
    ///
    /// # Errors
    /// When the journal cannot be reached, [is corrupt](JournalError::is_corrupt), holds a
    /// [version](JournalError::is_unknown_version) that this release does not know, or ends before `from`.
    fn read(&mut self, from: Position) -> Result<Reading<'_>, JournalError>;

    /// Where notices arrive when another holder has moved the head.
    ///
    /// There is one channel per holder, and it holds one notice: a new one is not sent while an older one waits. So
    /// a notice says "look again", and its position is a lower bound. A journal with a single holder never sends.
    fn watch(&self) -> Receiver<Position>;

    /// The newest place in the log that this holder knows of.
    fn head(&self) -> Position;

    /// Under which id this holder writes.
    fn writer(&self) -> WriterId;
}

/// The exclusive right to write. Dropped without a commit, it changes nothing.
pub trait Turn {
    /// What this holder has not been handed yet. Empty in a journal with a single holder that was read to its end.
    ///
    /// A snapshot means that others have compacted what this holder missed: drop the state and start over from it.
    ///
    /// # Errors
    /// As [`Journal::read`].
    fn news(&mut self) -> Result<Reading<'_>, JournalError>;

    /// The time by the journal's own clock, if it has one: then all its holders use it.
    fn now(&self) -> Option<Timestamp>;

    /// Adds facts to the one record that this turn commits. `at` is the time of the record; of several the last
    /// counts. Without facts nothing is added.
    ///
    /// # Errors
    /// When there is [news](JournalError::is_behind) that was not taken in, or the record becomes
    /// [too large](JournalError::is_too_large). The turn is then as before.
    fn append(&mut self, at: Timestamp, facts: &[Fact]) -> Result<(), JournalError>;

    /// Puts these facts in the place of everything up to and including what this turn appends. They must rebuild
    /// the same state. Takes effect with the commit.
    ///
    /// # Errors
    /// When there is [news](JournalError::is_behind) that was not taken in, or nothing was ever written and this
    /// turn appends nothing either. The turn is then as before.
    fn compact(&mut self, snapshot: &[Fact]) -> Result<(), JournalError>;

    /// Makes all of it durable at once, and says where the log ends now. Without anything to write it writes
    /// nothing.
    ///
    /// When it says `Ok`, what was appended is on disk, and stays there through a crash of process or machine.
    ///
    /// # Errors
    /// It may or may not have taken effect, and the journal [must be reopened](JournalError::is_stopped). It has if
    /// the record at the place after the former [head](Journal::head) carries the former
    /// [writer](Journal::writer).
    fn commit(self: Box<Self>) -> Result<Position, JournalError>;
}

/// One commit of one turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its number.
    pub position: Position,
    /// Who wrote it.
    pub writer: WriterId,
    /// When.
    pub at: Timestamp,
    /// What happened, in order.
    pub facts: Vec<Fact>,
}

/// What the records up to a place were compacted to.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The last record that it stands for.
    pub position: Position,
    /// Facts that rebuild the state at that place from nothing.
    pub facts: Vec<Fact>,
}

/// What a journal holds from some place on.
#[derive(Debug)]
#[must_use]
pub struct Reading<'a> {
    /// When there is one: start over from it, whatever was there before.
    pub snapshot: Option<Snapshot>,
    /// What was written after it, or after the place that was asked for.
    pub records: Records<'a>,
}

impl Reading<'_> {
    /// Nothing.
    pub fn empty() -> Self {
        Self { snapshot: None, records: Records::new(std::iter::empty()) }
    }
}

/// Records one by one, oldest first, as they are read. After an error it ends.
#[must_use]
pub struct Records<'a>(Option<Box<dyn Iterator<Item = Result<Record, JournalError>> + 'a>>);

impl<'a> Records<'a> {
    /// Wraps what a journal reads.
    pub fn new(records: impl Iterator<Item = Result<Record, JournalError>> + 'a) -> Self {
        Self(Some(Box::new(records)))
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.0.as_mut()?.next();
        if !matches!(record, Some(Ok(_))) {
            self.0 = None;
        }
        record
    }
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Records(..)")
    }
}

impl<J: Journal + ?Sized> Journal for Box<J> {
    fn begin(&mut self) -> Result<Box<dyn Turn + '_>, JournalError> {
        (**self).begin()
    }

    fn read(&mut self, from: Position) -> Result<Reading<'_>, JournalError> {
        (**self).read(from)
    }

    fn watch(&self) -> Receiver<Position> {
        (**self).watch()
    }

    fn head(&self) -> Position {
        (**self).head()
    }

    fn writer(&self) -> WriterId {
        (**self).writer()
    }
}
