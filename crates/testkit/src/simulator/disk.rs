//! A file on a disk that knows what of it is synced, and what it does to the rest when somebody dies.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_channel::Sender;
use parking_lot::Mutex;
use trainyard_core::{Fact, Timestamp};
use trainyard_journal::{JournalError, Position, WriterId, codec};

use super::frames::{self, Entry, NAME, RECORD, SNAPSHOT};

/// A simulated disk with one journal on it. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(pub(super) Arc<Shared>);

#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Held by whoever has the turn.
    pub(super) turn: Mutex<()>,
    /// Held for moments only.
    pub(super) file: Mutex<File>,
}

/// What a commit does besides, or instead of, what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It fails, and nothing has changed.
    FailsBefore,
    /// It fails, but all of it is durable.
    FailsAfter,
    /// It fails, because somebody else has written in between: an [`Event::Ticked`](trainyard_core::Event::Ticked).
    Conflicts,
}

/// What is left of a commit whose process dies before it was told that it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// All of it: it was on disk, and only nobody knew.
    Kept,
    /// Nothing.
    Lost,
    /// The first so many bytes in a thousand of it, at least one, and at least one is missing. A compaction replaces the
    /// file as a whole, so of one nothing is left.
    Torn {
        /// How much is left, in thousandths.
        thousandths: u16,
    },
}

#[derive(Debug, Default)]
pub(super) struct File {
    bytes: Vec<u8>,
    /// So many of the first bytes survive everything.
    synced: usize,
    /// The file before a compaction that is not synced yet.
    former: Option<(Vec<u8>, Vec<Entry>)>,
    /// Where its frames are.
    entries: Vec<Entry>,
    /// Whether somebody died in the middle of writing, so that the end has to be looked at.
    is_suspect: bool,
    /// Whether a commit is synced before it says that it is done, as it has to be outside of a simulation.
    is_lazy: bool,
    /// Records that are written, and those of them that are synced and were not looked at by the checker yet.
    pending: Vec<(Position, Vec<u8>)>,
    tape: VecDeque<(Position, Vec<u8>)>,
    is_taped: bool,
    pub(super) plan: Plan,
    pub(super) clock: Option<Timestamp>,
    pub(super) watchers: Vec<(WriterId, Sender<Position>)>,
    pub(super) writers: u128,
    pub(super) begins: u64,
    last_at: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    commits_left: u64,
    fate: Option<Fate>,
    pub(super) is_locked: bool,
}

impl Disk {
    /// An empty one, which syncs every commit before it says that it is done.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One whose commits are synced by [`Disk::sync`], or by whoever has the next turn; what is synced is also kept for
    /// [`Disk::take_tape`].
    pub(super) fn lazy() -> Self {
        let disk = Self::default();
        let mut file = disk.0.file.lock();
        (file.is_lazy, file.is_taped) = (true, true);
        drop(file);
        disk
    }

    /// Lets the n-th commit from now on, counted from 1, have this fate.
    pub fn plan(&self, n: u64, fate: Fate) {
        let mut file = self.0.file.lock();
        file.plan.commits_left = n.max(1);
        file.plan.fate = Some(fate);
    }

    /// Takes back what was planned and has not happened. Says whether nothing of the kind was left.
    pub(super) fn unplan(&self) -> bool {
        std::mem::take(&mut self.0.file.lock().plan).fate.is_none()
    }

    /// Lets the next turn fail to begin, because somebody else has the journal.
    pub fn lock_once(&self) {
        self.0.file.lock().plan.is_locked = true;
    }

    /// How many turns have begun.
    pub(super) fn begins(&self) -> u64 {
        self.0.file.lock().begins
    }

    /// What time it is by this disk's own clock, for all who share it.
    pub(super) fn set_clock(&self, now: Option<Timestamp>) {
        self.0.file.lock().clock = now;
    }

    /// What was written is durable.
    pub(super) fn sync(&self) {
        self.0.file.lock().sync();
    }

    /// Whoever wrote last dies; what was not synced has this end.
    pub fn crash(&self, tail: Tail) {
        let mut file = self.0.file.lock();
        if file.pending.is_empty() && file.former.is_none() {
            return;
        }
        file.is_suspect = true;
        match (tail, file.former.take()) {
            (Tail::Kept, _) => file.sync(),
            (Tail::Lost | Tail::Torn { .. }, Some((bytes, entries))) => {
                (file.bytes, file.entries) = (bytes, entries);
            }
            (Tail::Lost, None) => {
                let synced = file.synced;
                file.cut(synced);
            }
            (Tail::Torn { thousandths }, None) => {
                let written = file.bytes.len() - file.synced;
                let left = (written * usize::from(thousandths) / 1_000).clamp(1, written - 1);
                let left = file.synced + left;
                file.cut(left);
            }
        }
        file.pending.clear();
    }

    /// Loses the last record, although it was synced: what no disk must do.
    pub(super) fn forget(&self) {
        let mut file = self.0.file.lock();
        if file.entries.len() > 1 {
            let whole = file.entries[file.entries.len() - 2].end;
            file.cut(whole);
        }
    }

    /// How many bytes the file has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.file.lock().bytes.len()
    }

    /// The same file on another disk, with one bit of what is synced flipped; `None` when nothing is.
    #[must_use]
    pub fn flipped(&self, bit: u64) -> Option<Self> {
        let file = self.0.file.lock();
        let bits = (file.synced as u64) * 8;
        let bit = bit.checked_rem(bits)?;
        let mut bytes = file.bytes[..file.synced].to_vec();
        bytes[usize::try_from(bit / 8).ok()?] ^= 1 << (bit % 8);
        let copy = Self::new();
        let mut other = copy.0.file.lock();
        (other.synced, other.bytes, other.is_suspect) = (bytes.len(), bytes, true);
        drop(other);
        Some(copy)
    }

    /// The records that were synced since the last call, oldest first.
    pub(super) fn take_tape(&self) -> VecDeque<(Position, Vec<u8>)> {
        std::mem::take(&mut self.0.file.lock().tape)
    }
}

impl File {
    pub(super) fn head(&self) -> Position {
        self.entries.last().map(|entry| entry.position).unwrap_or_default()
    }

    /// The snapshot, if there is one.
    pub(super) fn snapshot(&self) -> Option<Entry> {
        self.entries.first().copied().filter(|entry| entry.kind == SNAPSHOT)
    }

    /// The records after a place.
    pub(super) fn after(&self, from: Position) -> &[Entry] {
        let skip = self.entries.partition_point(|entry| entry.kind == SNAPSHOT || entry.position <= from);
        &self.entries[skip..]
    }

    pub(super) fn decode(&self, entry: &Entry) -> Result<Vec<Fact>, JournalError> {
        frames::decode(&self.bytes[entry.start..entry.end], entry.position)
    }

    /// Looks at the file as somebody does who knows nothing of it: finds its frames, and cuts off one that was torn. In a
    /// simulation the records are looked into by whoever reads them next, which is at once.
    pub(super) fn open(&mut self) -> Result<(), JournalError> {
        let (entries, whole) = frames::scan(&self.bytes, &[], !self.is_lazy)?;
        self.accept(entries, whole)
    }

    /// The same for those who have it open: only what comes after the frames that they know is looked at.
    pub(super) fn recover(&mut self) -> Result<(), JournalError> {
        if !self.is_suspect {
            return Ok(());
        }
        let (entries, whole) = frames::scan(&self.bytes, &self.entries, true)?;
        self.accept(entries, whole)
    }

    fn accept(&mut self, entries: Vec<Entry>, whole: usize) -> Result<(), JournalError> {
        if whole < self.synced {
            return Err(JournalError::corrupt(format!(
                "{NAME}, which ends in the middle of what was synced,"
            )));
        }
        self.cut(whole);
        self.entries = entries;
        self.is_suspect = false;
        Ok(())
    }

    /// Writes a record and perhaps a snapshot in the place of everything, with the fate that was planned.
    pub(super) fn commit(
        &mut self,
        writer: WriterId,
        record: Option<(Timestamp, Vec<u8>)>,
        snapshot: Option<Vec<u8>>,
    ) -> Result<Position, JournalError> {
        let fate = self.fate();
        let at = record.as_ref().map_or(self.last_at, |(at, _)| *at);
        match fate {
            Some(Fate::FailsBefore) => {
                return Err(JournalError::failed(format!("a commit to {NAME} fails, as it was told to")));
            }
            Some(Fate::Conflicts) => {
                self.writers += 1;
                let stranger = WriterId::from_u128(self.writers);
                let ticked = [Fact { at, event: trainyard_core::Event::Ticked }];
                let bytes =
                    codec::encode(&ticked).map_err(|error| JournalError::failed(NAME).with_source(error))?;
                self.append(stranger, at, bytes);
                self.sync();
                return Err(JournalError::failed(format!("somebody else has written to {NAME} in between")));
            }
            Some(Fate::FailsAfter) | None => {}
        }
        if let Some((at, bytes)) = record {
            self.append(writer, at, bytes);
        }
        if let Some(snapshot) = snapshot {
            self.replace(writer, at, &snapshot);
        }
        if !self.is_lazy || fate.is_some() {
            self.sync();
        }
        match fate {
            Some(_) => Err(JournalError::failed(format!("nobody says that a commit to {NAME} is done"))),
            None => Ok(self.head()),
        }
    }

    pub(super) fn sync(&mut self) {
        self.synced = self.bytes.len();
        self.former = None;
        if self.is_taped {
            self.tape.extend(self.pending.drain(..));
        }
        self.pending.clear();
    }

    fn fate(&mut self) -> Option<Fate> {
        self.plan.commits_left = self.plan.commits_left.saturating_sub(1);
        if self.plan.commits_left == 0 { self.plan.fate.take() } else { None }
    }

    fn append(&mut self, writer: WriterId, at: Timestamp, bytes: Vec<u8>) {
        let position = self.head().next();
        self.last_at = at;
        self.frame(RECORD, position, writer, at, &bytes);
        self.pending.push((position, if self.is_taped { bytes } else { Vec::new() }));
    }

    fn replace(&mut self, writer: WriterId, at: Timestamp, snapshot: &[u8]) {
        let position = self.head();
        // What was appended in the same turn is no part of the former file: it comes with the compaction or not at all.
        let mut former = std::mem::take(&mut self.bytes);
        former.truncate(self.synced);
        let mut entries = std::mem::take(&mut self.entries);
        entries.retain(|entry| entry.end <= self.synced);
        self.former = Some((former, entries));
        self.frame(SNAPSHOT, position, writer, at, snapshot);
    }

    fn frame(&mut self, kind: u8, position: Position, writer: WriterId, at: Timestamp, record: &[u8]) {
        let entry = frames::append(&mut self.bytes, (kind, position, writer, at), record);
        self.entries.push(entry);
    }

    fn cut(&mut self, bytes: usize) {
        self.bytes.truncate(bytes);
        self.synced = self.synced.min(bytes);
        self.entries.retain(|entry| entry.end <= bytes);
    }
}
