//! What can go wrong while a yard is opened or run.

use std::io;
use std::path::PathBuf;

use trainyard_core::{Impossible, NodeId, Rejection};
use trainyard_journal::JournalError;

/// Why a yard could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No journal was given.
    #[error("a yard needs a journal")]
    NoJournal,
    /// The data folder cannot be used.
    #[error("could not {verb} {}", path.display())]
    Folder {
        /// What was tried.
        verb: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file that holds the node's id holds something else.
    #[error("{} does not hold the id of a node", path.display())]
    BadNodeId {
        /// Which file.
        path: PathBuf,
    },
    /// The yard could not be rebuilt or joined.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// The operating system has no thread for the driver.
    #[error("could not start the driver's thread")]
    Thread(#[source] io::Error),
}

/// Why a driver cannot go on. Its yard is dropped, and may be opened again from the journal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriveError {
    /// The journal failed; of what was under way it is not known whether it is in there.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal holds what cannot have happened.
    #[error(transparent)]
    Impossible(#[from] Impossible),
    /// The yard refuses what a driver must be able to do: join it, or look at the clock.
    #[error("the yard refused its driver")]
    Refused(#[source] Rejection),
    /// Another process has joined under this node's id, and has fenced this one off.
    #[error("another process has joined as node {0}")]
    Replaced(NodeId),
}
