//! A journal on a simulated disk.

use crossbeam_channel::{Receiver, TrySendError, bounded};
use parking_lot::MutexGuard;
use trainyard_core::{Fact, Timestamp};
use trainyard_journal::{
    Journal, JournalError, Position, Reading, Record, Records, Snapshot, Turn, WriterId, codec,
};

use super::disk::{Disk, Shared};
use super::frames::NAME;

/// One holder of the journal on a [`Disk`].
///
/// ```
/// use trainyard_core::{Event, Fact, Timestamp};
/// use trainyard_journal::{Journal, Position};
/// use trainyard_testkit::simulator::{Disk, Fate};
///
/// let disk = Disk::new();
/// let now = Timestamp::from_millis(0);
/// let commit = |fate: Option<Fate>| {
///     let mut journal = disk.open()?;
///     journal.read(Position::START)?.records.for_each(drop);
///     fate.into_iter().for_each(|fate| disk.plan(1, fate));
///     let mut turn = journal.begin()?;
///     turn.append(now, &[Fact { at: now, event: Event::Ticked }])?;
///     turn.commit()
/// };
/// assert_eq!(commit(None)?, Position::new(1));
/// assert!(commit(Some(Fate::FailsBefore)).is_err());
/// assert_eq!(disk.open()?.head(), Position::new(1), "nothing has changed");
/// assert!(commit(Some(Fate::FailsAfter)).is_err());
/// assert_eq!(disk.open()?.head(), Position::new(2), "it is there, only nobody said so");
///
/// let damaged = disk.flipped(777).expect("something is written");
/// assert!(damaged.open().unwrap_err().is_corrupt());
/// # Ok::<(), trainyard_journal::JournalError>(())
/// ```
#[derive(Debug)]
pub struct SimJournal {
    disk: Disk,
    writer: WriterId,
    handed: Position,
    notices: Receiver<Position>,
    is_stopped: bool,
}

impl Disk {
    /// Another holder of the journal on this disk.
    ///
    /// # Errors
    /// When it is damaged. The end of a frame that was torn is cut off; that is none.
    pub fn open(&self) -> Result<SimJournal, JournalError> {
        let mut file = self.0.file.lock();
        file.open()?;
        file.writers += 1;
        let writer = WriterId::from_u128(file.writers);
        let (sender, notices) = bounded(1);
        file.watchers.push((writer, sender));
        drop(file);
        Ok(SimJournal { disk: self.clone(), writer, handed: Position::START, notices, is_stopped: false })
    }

    /// The snapshot and every record after it, read anew from the bytes.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn facts(&self) -> Result<Vec<Fact>, JournalError> {
        let mut file = self.0.file.lock();
        file.open()?;
        let mut facts = Vec::new();
        for entry in file.snapshot().iter().chain(file.after(Position::START)) {
            facts.extend(file.decode(entry)?);
        }
        Ok(facts)
    }

    /// Where its journal ends.
    #[must_use]
    pub fn head(&self) -> Position {
        self.0.file.lock().head()
    }
}

impl SimJournal {
    fn check(&self) -> Result<(), JournalError> {
        if self.is_stopped { Err(JournalError::stopped(NAME)) } else { Ok(()) }
    }
}

impl Drop for SimJournal {
    fn drop(&mut self) {
        self.disk.0.file.lock().watchers.retain(|(writer, _)| *writer != self.writer);
    }
}

impl Journal for SimJournal {
    fn begin(&mut self) -> Result<Box<dyn Turn + '_>, JournalError> {
        self.check()?;
        let Self { disk, writer, handed, is_stopped, notices: _ } = self;
        let shared: &Shared = &disk.0;
        if std::mem::take(&mut shared.file.lock().plan.is_locked) {
            return Err(JournalError::locked(NAME, "somebody else"));
        }
        let exclusive = shared.turn.lock();
        let mut file = shared.file.lock();
        file.recover()?;
        // Whoever had the turn before has given it back, and does so only when it is durable.
        file.sync();
        file.begins += 1;
        let (head, now) = (file.head(), file.clock);
        drop(file);
        let turn = SimTurn {
            shared,
            writer: *writer,
            handed,
            is_stopped,
            head,
            now,
            pending: None,
            snapshot: None,
            _exclusive: exclusive,
        };
        Ok(Box::new(turn))
    }

    fn read(&mut self, from: Position) -> Result<Reading<'_>, JournalError> {
        self.check()?;
        let head = self.disk.head();
        if from > head {
            return Err(JournalError::failed(format!("{NAME} ends at {head}, before {from}")));
        }
        read(&self.disk.0, from, &mut self.handed)
    }

    fn watch(&self) -> Receiver<Position> {
        self.notices.clone()
    }

    fn head(&self) -> Position {
        self.disk.head()
    }

    fn writer(&self) -> WriterId {
        self.writer
    }
}

fn read<'a>(shared: &Shared, from: Position, handed: &'a mut Position) -> Result<Reading<'a>, JournalError> {
    let file = shared.file.lock();
    let snapshot = file.snapshot().filter(|snapshot| from < snapshot.position);
    let from = snapshot.as_ref().map_or(from, |snapshot| snapshot.position);
    if snapshot.is_some() {
        *handed = from.max(*handed);
    }
    let snapshot = match snapshot {
        Some(entry) => Some(Snapshot { position: entry.position, facts: file.decode(&entry)? }),
        None => None,
    };
    let after = file.after(from);
    if after.is_empty() {
        return Ok(Reading { snapshot, records: Records::new(std::iter::empty()) });
    }
    let records: Vec<Result<Record, JournalError>> = after
        .iter()
        .map(|entry| {
            let facts = file.decode(entry)?;
            Ok(Record { position: entry.position, writer: entry.writer, at: entry.at, facts })
        })
        .collect();
    let records = records.into_iter().inspect(move |record| {
        if let Ok(record) = record
            && record.position == handed.next()
        {
            *handed = record.position;
        }
    });
    Ok(Reading { snapshot, records: Records::new(records) })
}

struct SimTurn<'a> {
    shared: &'a Shared,
    writer: WriterId,
    handed: &'a mut Position,
    is_stopped: &'a mut bool,
    head: Position,
    now: Option<Timestamp>,
    pending: Option<(Timestamp, Vec<Fact>)>,
    snapshot: Option<Vec<u8>>,
    _exclusive: MutexGuard<'a, ()>,
}

impl SimTurn<'_> {
    fn check_news(&self) -> Result<(), JournalError> {
        if *self.handed < self.head { Err(JournalError::behind(NAME)) } else { Ok(()) }
    }
}

impl Turn for SimTurn<'_> {
    fn news(&mut self) -> Result<Reading<'_>, JournalError> {
        let from = *self.handed;
        read(self.shared, from, self.handed)
    }

    fn now(&self) -> Option<Timestamp> {
        self.now
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
        self.snapshot = Some(encode(snapshot)?);
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<Position, JournalError> {
        let record = match &self.pending {
            Some((at, facts)) => Some((*at, encode(facts)?)),
            None => None,
        };
        if record.is_none() && self.snapshot.is_none() {
            *self.handed = self.head;
            return Ok(self.head);
        }
        let mut file = self.shared.file.lock();
        let committed = file.commit(self.writer, record, self.snapshot);
        *self.is_stopped = committed.is_err();
        let position = committed?;
        *self.handed = position;
        if position > self.head {
            for (_, notices) in file.watchers.iter().filter(|(writer, _)| *writer != self.writer) {
                match notices.try_send(position) {
                    Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
                }
            }
        }
        Ok(position)
    }
}

fn encode(facts: &[Fact]) -> Result<Vec<u8>, JournalError> {
    codec::encode(facts).map_err(|error| JournalError::too_large(NAME).with_source(error))
}
