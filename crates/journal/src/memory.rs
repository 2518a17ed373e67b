//! A journal that lives as long as its process.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::{Mutex, MutexGuard};
use trainyard_core::{Fact, Timestamp};

use crate::{Journal, JournalError, Position, Reading, Record, Records, Snapshot, Turn, WriterId};

/// A log in memory, for tests, simulations and yards that need not outlive their process.
///
/// [`MemoryJournal::holder`] gives another holder of the same log, with a writer id of its own (1, 2, 3 …), so
/// that several yards in one process act as several processes would on a shared journal. It has no clock.
///
/// It grows until it is compacted. "Durable" means here: as long as one holder is left.
///
/// ```
/// use trainyard_core::{Event, Fact, Timestamp};
/// use trainyard_journal::{Journal, MemoryJournal, Position};
///
/// let mut one = MemoryJournal::new();
/// let mut other = one.holder();
/// let now = Timestamp::from_millis(0);
///
/// let mut turn = one.begin()?;
/// turn.append(now, &[Fact { at: now, event: Event::Ticked }])?;
/// turn.commit()?;
///
/// assert_eq!(other.watch().try_recv(), Ok(Position::new(1)));
/// let mut turn = other.begin()?;
/// assert_eq!(turn.news()?.records.count(), 1);
/// assert_eq!(turn.news()?.records.count(), 0, "only once");
/// # Ok::<(), trainyard_journal::JournalError>(())
/// ```
#[derive(Debug)]
pub struct MemoryJournal {
    shared: Arc<Shared>,
    writer: WriterId,
    handed: Position,
    notices: Receiver<Position>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Held by whoever has the turn.
    turn: Mutex<()>,
    /// Held for moments only.
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    snapshot: Option<Arc<Snapshot>>,
    /// The records after the snapshot.
    records: Vec<Arc<Record>>,
    watchers: Vec<(WriterId, Sender<Position>)>,
    writers: u128,
}

impl MemoryJournal {
    /// A log with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::join(Arc::default())
    }

    /// Another holder of the same log, which was handed nothing yet.
    #[must_use]
    pub fn holder(&self) -> Self {
        Self::join(Arc::clone(&self.shared))
    }

    fn join(shared: Arc<Shared>) -> Self {
        let (sender, notices) = bounded(1);
        let mut log = shared.log.lock();
        log.writers += 1;
        let writer = WriterId::from_u128(log.writers);
        log.watchers.push((writer, sender));
        drop(log);
        Self { shared, writer, handed: Position::START, notices }
    }
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for MemoryJournal {
    /// The same as [`MemoryJournal::holder`].
    fn clone(&self) -> Self {
        self.holder()
    }
}

impl Drop for MemoryJournal {
    fn drop(&mut self) {
        self.shared.log.lock().watchers.retain(|(writer, _)| *writer != self.writer);
    }
}

impl Journal for MemoryJournal {
    fn begin(&mut self) -> Result<Box<dyn Turn + '_>, JournalError> {
        let Self { shared, writer, handed, notices: _ } = self;
        let exclusive = shared.turn.lock();
        let head = shared.log.lock().head();
        Ok(Box::new(MemoryTurn {
            shared,
            writer: *writer,
            handed,
            head,
            pending: None,
            snapshot: None,
            _exclusive: exclusive,
        }))
    }

    fn read(&mut self, from: Position) -> Result<Reading<'_>, JournalError> {
        let log = self.shared.log.lock();
        if from > log.head() {
            return Err(JournalError::failed(format!("{NAME} ends at {}, before {from}", log.head())));
        }
        Ok(log.read(from, &mut self.handed))
    }

    fn watch(&self) -> Receiver<Position> {
        self.notices.clone()
    }

    fn head(&self) -> Position {
        self.shared.log.lock().head()
    }

    fn writer(&self) -> WriterId {
        self.writer
    }
}

impl Log {
    fn head(&self) -> Position {
        let compacted = self.snapshot.as_ref().map(|snapshot| snapshot.position);
        self.records.last().map(|record| record.position).or(compacted).unwrap_or_default()
    }

    fn read<'a>(&self, from: Position, handed: &'a mut Position) -> Reading<'a> {
        let snapshot = self.snapshot.as_ref().filter(|snapshot| from < snapshot.position);
        let from = snapshot.map_or(from, |snapshot| snapshot.position);
        if snapshot.is_some() {
            *handed = from.max(*handed);
        }
        let skip = self.records.partition_point(|record| record.position <= from);
        let after: Vec<Arc<Record>> = self.records[skip..].to_vec();
        let records = after.into_iter().map(move |record| {
            if record.position == handed.next() {
                *handed = record.position;
            }
            Ok(Record::clone(&record))
        });
        Reading {
            snapshot: snapshot.map(|snapshot| Snapshot::clone(snapshot)),
            records: Records::new(records),
        }
    }
}

struct MemoryTurn<'a> {
    shared: &'a Shared,
    writer: WriterId,
    handed: &'a mut Position,
    head: Position,
    pending: Option<(Timestamp, Vec<Fact>)>,
    snapshot: Option<Vec<Fact>>,
    _exclusive: MutexGuard<'a, ()>,
}

impl MemoryTurn<'_> {
    fn check_news(&self) -> Result<(), JournalError> {
        if *self.handed < self.head { Err(JournalError::behind(NAME)) } else { Ok(()) }
    }
}

impl Turn for MemoryTurn<'_> {
    fn news(&mut self) -> Result<Reading<'_>, JournalError> {
        let from = *self.handed;
        Ok(self.shared.log.lock().read(from, self.handed))
    }

    fn now(&self) -> Option<Timestamp> {
        None
    }

    fn append(&mut self, at: Timestamp, facts: &[Fact]) -> Result<(), JournalError> {
        self.check_news()?;
        if !facts.is_empty() {
            let pending = self.pending.get_or_insert((at, Vec::new()));
            pending.0 = at;
            pending.1.extend_from_slice(facts);
        }
        Ok(())
    }

    fn compact(&mut self, snapshot: &[Fact]) -> Result<(), JournalError> {
        self.check_news()?;
        if self.head == Position::START && self.pending.is_none() {
            return Err(JournalError::failed(format!("there is nothing to compact in {NAME}")));
        }
        self.snapshot = Some(snapshot.to_vec());
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<Position, JournalError> {
        let mut log = self.shared.log.lock();
        let mut position = self.head;
        if let Some((at, facts)) = self.pending {
            position = position.next();
            log.records.push(Arc::new(Record { position, writer: self.writer, at, facts }));
        }
        if let Some(facts) = self.snapshot {
            log.records.clear();
            log.snapshot = Some(Arc::new(Snapshot { position, facts }));
        }
        *self.handed = position;
        if position > self.head {
            for (_, notices) in log.watchers.iter().filter(|(writer, _)| *writer != self.writer) {
                match notices.try_send(position) {
                    Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
                }
            }
        }
        Ok(position)
    }
}

const NAME: &str = "the journal in memory";
