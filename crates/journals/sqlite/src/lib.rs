//! The embedded journal: one SQLite file, one commit per turn.
//!
//! ```
//! use trainyard_core::{Event, Fact, Timestamp};
//! use trainyard_journal::{Journal, Position};
//! use trainyard_sqlite::{SqliteJournal, SqliteOptions};
//!
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("yard.sqlite");
//! let (mut journal, opened) = SqliteJournal::open(&path, &SqliteOptions::new())?;
//! assert_eq!(opened.head, Position::START);
//!
//! let now = Timestamp::from_millis(1_000);
//! let mut turn = journal.begin()?;
//! turn.append(now, &[Fact { at: now, event: Event::Ticked }])?;
//! assert_eq!(turn.commit()?, Position::new(1));
//! drop(journal);
//!
//! let (_journal, opened) = SqliteJournal::open(&path, &SqliteOptions::new())?;
//! assert_eq!(opened.records, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promises
//!
//! - When a commit says `Ok` its record is on disk (`synchronous=FULL`: the write-ahead log is synced).
//! - One process owns the file, by a lock on `<file>.lock`. Whoever else tries is refused and told who has it. What a
//!   dead process leaves behind is no obstacle.
//! - Every record and snapshot carries a checksum that is verified when it is read.
//! - So does every frame of the write-ahead log. A commit that is damaged there is noticed as long as another one
//!   follows it. Damage to the last one looks as a crash does in the middle of it, and so does a log that was cut off:
//!   what is no longer there is missing, and nobody can know.
//! - After a commit that failed the journal refuses everything until it is reopened. What was acknowledged is there
//!   then.
//! - So it is when the disk was full, whatever room there is. To write again it needs about 8 MiB: the write-ahead log
//!   has to be moved into the file first.
//! - Compaction gives the space back to the file system. The write-ahead log is cut back to 64 MiB at the latest
//!   when a checkpoint has passed.
//!
//! # Looking in
//!
//! The file may be read at any time, also while it is in use, with the `sqlite3` shell:
//!
//! ```sql
//! SELECT position, at, event, detail FROM facts ORDER BY position DESC, number DESC LIMIT 20;
//! SELECT at, event, detail FROM facts WHERE detail LIKE '%index/1%';
//! ```
//!
//! The view `facts` shows every fact since the last snapshot, parameters by their length only. It reads a JSON
//! text beside each record, written with it. That costs nothing measurable where a commit holds one fact or the disk
//! takes milliseconds to sync, and a fifth of the rate with 64 facts per commit on one that syncs in 0.2 ms (see
//! `examples/rates.rs`); the file is three times as long between compactions. [`SqliteOptions::without_readable`]
//! leaves it out. A shell that holds a transaction open keeps the write-ahead log from being cut back; one that
//! writes does damage.
//!
//! # Backing up
//!
//! While it is in use: `sqlite3 yard.sqlite ".backup copy.sqlite"`, or `VACUUM INTO 'copy.sqlite'`. Both copy one
//! committed state, and the copy opens as a journal. While it is not: copy `yard.sqlite` and, should there be one,
//! `yard.sqlite-wal`; without the latter the newest commits are missing. `yard.sqlite-shm` and `yard.sqlite.lock`
//! need no copy. Check a copy with [`verify`].
//!
//! Before a copy takes the place of a journal, remove what is beside that: `yard.sqlite-wal`, `yard.sqlite-shm` and
//! `yard.sqlite.lock`. A log is no good over another file than its own, and the lock file says at which record the
//! journal was closed: one that ends before that is refused.
//!
//! What is beside the journal in a data folder (artifacts, checkpoints) is older or newer than the copy: copy the
//! journal first, so that everything it refers to is there.

mod error;
mod journal;
mod lock;
mod log;
mod opened;
mod options;
mod read;
mod schema;
mod verify;

pub use crate::journal::SqliteJournal;
pub use crate::opened::{Opened, Recovered};
pub use crate::options::SqliteOptions;
pub use crate::verify::{Verified, verify};
