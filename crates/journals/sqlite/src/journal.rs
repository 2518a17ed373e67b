//! The journal and its turns.

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crossbeam_channel::Receiver;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};
use trainyard_core::{Fact, Timestamp};
use trainyard_journal::{Journal, JournalError, Position, Reading, Turn, WriterId, codec, failpoint, render};

use crate::error::{failure, undecodable};
use crate::lock::{Last, Lock, beside};
use crate::log::check_log;
use crate::opened::{Opened, Recovered};
use crate::options::SqliteOptions;
use crate::read::{Seal, read};
use crate::schema::{self, connect, from_position, set_meta};

/// A journal in a file, owned by one process. See the [crate docs](crate).
///
/// It has no clock of its own, and never sends a notice.
pub struct SqliteJournal {
    // Closed before the lock is given back.
    connection: Connection,
    path: PathBuf,
    name: String,
    readable: bool,
    writer: WriterId,
    head: Position,
    handed: Position,
    stopped: bool,
    lock: Lock,
}

impl SqliteJournal {
    /// Opens a journal, or makes a new one, and says what it found. The folder must be there.
    ///
    /// # Errors
    /// When somebody else [has it](JournalError::is_locked), it [is corrupt](JournalError::is_corrupt), of an
    /// [unknown version](JournalError::is_unknown_version), no journal at all, or cannot be opened.
    pub fn open(path: impl AsRef<Path>, options: &SqliteOptions) -> Result<(Self, Opened), JournalError> {
        let (path, name) = resolve(path.as_ref());
        let (mut lock, last) = Lock::take(&path, &name)?;
        failpoint!(JournalLocked);
        let left = fs::metadata(beside(&path, "-wal")).map_or(0, |wal| wal.len());
        let failed = |error| failure("open", &name, error);

        schema::check_length(&path, &name, left)?;
        check_log(&path, &name)?;
        let connection = connect(&path, &name, options)?;
        failpoint!(JournalConnected);
        // After a power cut the lock file may say what it said before: that it was closed somewhere earlier.
        let (head, _) = schema::ends(&connection).map_err(failed)?;
        let was_closed = last == Last::Closed(head);
        let recovered =
            if left > 0 && !was_closed { Some(recover(&connection, left).map_err(failed)?) } else { None };
        failpoint!(JournalRecovered);
        if !was_closed {
            schema::check_records(&connection, &name)?;
        }
        let (head, snapshot) = schema::ends(&connection).map_err(failed)?;
        last.check(&name, head)?;
        let newest = Position::new(head.get().saturating_sub(1)).max(snapshot.unwrap_or_default());
        for record in read(&connection, &name, head, newest, &mut Position::new(0))?.records {
            record?; // a newer release's, or a broken one, is refused here and not after hours of replay
        }
        let opened = Opened {
            journal: name.clone(),
            bytes: fs::metadata(&path).map_or(0, |file| file.len()),
            head,
            records: head.get().saturating_sub(snapshot.unwrap_or_default().get()),
            snapshot,
            recovered,
            stale_holder: last.stale_holder(),
            foreign: schema::foreign(&connection).map_err(failed)?,
        };
        lock.hold();
        let journal = Self {
            connection,
            readable: options.is_readable(),
            writer: draw_writer(&name)?,
            path,
            name,
            head,
            handed: Position::START,
            stopped: false,
            lock,
        };
        Ok((journal, opened))
    }

    fn check(&self) -> Result<(), JournalError> {
        if self.stopped { Err(JournalError::stopped(&self.name)) } else { Ok(()) }
    }
}

impl Journal for SqliteJournal {
    fn begin(&mut self) -> Result<Box<dyn Turn + '_>, JournalError> {
        self.check()?;
        run(&self.connection, "BEGIN IMMEDIATE")
            .map_err(|error| failure("begin a turn of", &self.name, error))?;
        Ok(Box::new(SqliteTurn { journal: self, pending: None, snapshot: None }))
    }

    fn read(&mut self, from: Position) -> Result<Reading<'_>, JournalError> {
        self.check()?;
        read(&self.connection, &self.name, self.head, from, &mut self.handed)
    }

    fn watch(&self) -> Receiver<Position> {
        crossbeam_channel::never()
    }

    fn head(&self) -> Position {
        self.head
    }

    fn writer(&self) -> WriterId {
        self.writer
    }
}

impl Drop for SqliteJournal {
    /// A small write-ahead log is left where it is: moving it costs the disk more than reading it at the next opening.
    /// The lock file says up to which record the journal was closed, so that a log that gets lost is noticed.
    fn drop(&mut self) {
        let log = fs::metadata(beside(&self.path, "-wal")).map_or(0, |log| log.len());
        let is_left = log <= LOG_BYTES_LEFT;
        let set = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_left);
        if set.is_ok() && !self.stopped {
            self.lock.close_at(self.head);
        }
    }
}

impl fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteJournal")
            .field("name", &self.name)
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

struct SqliteTurn<'a> {
    journal: &'a mut SqliteJournal,
    pending: Option<Pending>,
    /// The snapshot, encoded in parts.
    snapshot: Option<Vec<Vec<u8>>>,
}

/// A record on its way into the file.
struct Pending {
    at: Timestamp,
    encoded: Vec<u8>,
    readable: Option<String>,
}

impl Turn for SqliteTurn<'_> {
    fn news(&mut self) -> Result<Reading<'_>, JournalError> {
        let SqliteJournal { connection, name, head, handed, .. } = &mut *self.journal;
        if *handed == *head {
            return Ok(Reading::empty());
        }
        let from = *handed;
        read(connection, name, *head, from, handed)
    }

    fn now(&self) -> Option<Timestamp> {
        None
    }

    fn append(&mut self, at: Timestamp, facts: &[Fact]) -> Result<(), JournalError> {
        self.check_news()?;
        if facts.is_empty() {
            return Ok(());
        }
        let name = &self.journal.name;
        // Hardly anybody appends twice in a turn; what was appended before is then taken up again.
        let all = match &self.pending {
            None => Cow::Borrowed(facts),
            Some(pending) => {
                let mut all = codec::decode(&pending.encoded).map_err(|error| undecodable(name, error))?;
                all.extend_from_slice(facts);
                Cow::Owned(all)
            }
        };
        let too_large = |error| JournalError::too_large(name).with_source(error);
        let encoded = codec::encode(&all).map_err(too_large)?;
        let readable = self.journal.readable.then(|| render::to_json_array(at, &all));
        self.pending = Some(Pending { at, encoded, readable });
        Ok(())
    }

    fn compact(&mut self, snapshot: &[Fact]) -> Result<(), JournalError> {
        self.check_news()?;
        let name = &self.journal.name;
        if self.journal.head == Position::START && self.pending.is_none() {
            return Err(JournalError::failed(format!("there is nothing to compact in {name}")));
        }
        let parts: Result<_, _> = codec::encode_parts(snapshot, PART_BYTES).collect();
        self.snapshot = Some(parts.map_err(|error| JournalError::too_large(name).with_source(error))?);
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<Position, JournalError> {
        let (pending, snapshot) = (self.pending.take(), self.snapshot.take());
        if pending.is_none() && snapshot.is_none() {
            return Ok(self.journal.head);
        }
        // Should anything fail from here on, its end is unknown.
        self.journal.stopped = true;
        failpoint!(CommitAhead);
        let position = self
            .write(pending, snapshot.as_deref())
            .map_err(|error| failure("commit to", &self.journal.name, error))?;
        self.journal.stopped = false;
        self.journal.head = position;
        self.journal.handed = position;
        if snapshot.is_some() {
            failpoint!(CompactionDurable);
            // It is durable already. What is not tidied now is tidied by the next compaction.
            let _ = give_back(&self.journal.connection);
        }
        Ok(position)
    }
}

impl SqliteTurn<'_> {
    fn write(&self, pending: Option<Pending>, snapshot: Option<&[Vec<u8>]>) -> rusqlite::Result<Position> {
        let SqliteJournal { connection, writer, head, .. } = &*self.journal;
        let mut position = *head;
        if let Some(Pending { at, encoded, readable }) = pending {
            position = position.next();
            if snapshot.is_none() {
                let checksum = Seal::of_record(position, *writer, at, &encoded);
                let mut insert = connection.prepare_cached(
                    "INSERT INTO records (position, writer, at, checksum, facts, readable) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?;
                let writer = writer.as_uuid();
                insert.execute((
                    from_position(position),
                    writer.as_bytes(),
                    at.as_millis(),
                    checksum,
                    encoded,
                    readable,
                ))?;
                failpoint!(RecordInserted);
            }
        }
        if let Some(parts) = snapshot {
            write_snapshot(connection, position, parts)?;
        }
        failpoint!(SqlCommitAhead);
        run(connection, "COMMIT")?;
        failpoint!(SqlCommitted);
        Ok(position)
    }

    fn check_news(&self) -> Result<(), JournalError> {
        let SqliteJournal { name, head, handed, .. } = &*self.journal;
        if handed < head { Err(JournalError::behind(name)) } else { Ok(()) }
    }
}

impl Drop for SqliteTurn<'_> {
    fn drop(&mut self) {
        if !self.journal.connection.is_autocommit() && run(&self.journal.connection, "ROLLBACK").is_err() {
            self.journal.stopped = true;
        }
    }
}

/// Puts a snapshot in the place of everything.
fn write_snapshot(connection: &Connection, position: Position, parts: &[Vec<u8>]) -> rusqlite::Result<()> {
    // Deleting first lets the snapshot take the freed pages, and without a condition it is done at once.
    connection.execute("DELETE FROM records", [])?;
    connection.execute("DELETE FROM snapshot", [])?;
    failpoint!(CompactionDeleted);
    let mut seal = Seal::new(position);
    let mut insert = connection.prepare_cached("INSERT INTO snapshot (part, facts) VALUES (?1, ?2)")?;
    for (number, part) in (1_i64..).zip(parts) {
        seal.add(part);
        insert.execute((number, part))?;
        failpoint!(CompactionPartInserted);
    }
    set_meta(connection, "snapshot_position", from_position(position))?;
    set_meta(connection, "snapshot_checksum", seal.finish())?;
    failpoint!(CompactionSealed);
    Ok(())
}

/// Gives free pages back to the file system.
fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    for pragma in ["PRAGMA incremental_vacuum", "PRAGMA wal_checkpoint(TRUNCATE)"] {
        let mut statement = connection.prepare(pragma)?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        failpoint!(CompactionTidies);
    }
    Ok(())
}

/// Moves what a dead holder left in the write-ahead log into the file. On a disk that is full it cannot; then all
/// of it stays where it is, and is read from there.
fn recover(connection: &Connection, bytes: u64) -> rusqlite::Result<Recovered> {
    let pages = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(1));
    let pages = match pages {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => None,
        pages => Some(u64::try_from(pages?).unwrap_or(0)),
    };
    Ok(Recovered { pages, bytes })
}

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

fn draw_writer(name: &str) -> Result<WriterId, JournalError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        JournalError::failed(format!("could not draw a writer id for {name}")).with_source(error)
    })?;
    Ok(WriterId::new(uuid::Builder::from_random_bytes(bytes).into_uuid()))
}

/// The file that a path leads to, over links, so that two ways to one file meet at one lock; and its name.
pub(crate) fn resolve(path: &Path) -> (PathBuf, String) {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = format!("journal {}", path.display());
    (path, name)
}

const PART_BYTES: usize = 1 << 20;

/// The longest write-ahead log that is not moved into the file when the journal is closed.
const LOG_BYTES_LEFT: u64 = 256 << 10;
