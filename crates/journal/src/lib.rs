//! The log a yard is written to, in turns.
//!
//! A [`Journal`] is a list of [`Record`]s that only grows. Whoever wants to write takes a [`Turn`], and while one
//! holder has it nobody else does: it takes in what others have written ([`Turn::news`]), decides, appends, and
//! commits. So several processes can each keep a replica of one yard and act as one; an embedded journal has a
//! single holder and takes every turn.
//!
//! 1. Open the journal and rebuild the yard from [`Journal::read`] at [`Position::START`].
//! 2. For every batch: [`Journal::begin`], apply [`Turn::news`], decide, [`Turn::append`], [`Turn::commit`].
//! 3. When [`Turn::commit`] says `Ok` the record is durable; only then show, answer or start anything.
//! 4. When it says `Err`, drop yard and journal, reopen, and go on from 1.
//!
//! ```
//! use trainyard_core::{Event, Fact, Timestamp};
//! use trainyard_journal::{Journal, MemoryJournal, Position};
//!
//! let mut journal = MemoryJournal::new();
//! let now = Timestamp::from_millis(1_000);
//! let fact = Fact { at: now, event: Event::Ticked };
//!
//! let mut turn = journal.begin()?;
//! turn.append(now, &[fact.clone()])?;
//! let head = turn.commit()?;
//! assert_eq!(head, Position::new(1));
//!
//! let reading = journal.read(Position::START)?;
//! assert!(reading.snapshot.is_none(), "nothing was compacted");
//! for record in reading.records {
//!     assert_eq!(record?.facts, [fact.clone()]);
//! }
//! # Ok::<(), trainyard_journal::JournalError>(())
//! ```
//!
//! A journal is kept short by [`Turn::compact`]: everything so far is replaced by a shorter list of facts that
//! rebuilds the same yard.
//!
//! # Features
//!
//! `failpoints`: for our own tests, see [`failpoint`](crate::failpoint!); without debug assertions it does nothing.
//!
//! What journals that keep bytes write is made by the [`codec`]: versioned, checksummed, and readable for ever.
//! What an operator reads is made by [`render`].

pub mod codec;
mod error;
mod failpoint;
#[cfg(feature = "failpoints")]
pub mod failpoints;
mod journal;
mod memory;
mod position;
mod record;
pub mod render;

pub use crate::error::JournalError;
pub use crate::journal::{Journal, Reading, Record, Records, Snapshot, Turn};
pub use crate::memory::MemoryJournal;
pub use crate::position::{Position, WriterId};
