//! What was found at opening.

use std::fmt;

use trainyard_journal::Position;

/// What was found, and mended, when a journal was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// What the journal is called in errors: `journal <path>`.
    pub journal: String,
    /// The size of the file, in bytes.
    pub bytes: u64,
    /// Where the log ends.
    pub head: Position,
    /// How many records there are after the snapshot.
    pub records: u64,
    /// Where the snapshot was taken, if there is one.
    pub snapshot: Option<Position>,
    /// What the last holder left in the write-ahead log, if it was not closed. All of it that was committed is in.
    pub recovered: Option<Recovered>,
    /// Who held it last, if that was not closed.
    pub stale_holder: Option<String>,
    /// Tables, views and the like that are not the journal's. They are left alone.
    pub foreign: Vec<String>,
}

/// What was in a write-ahead log that nobody had closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Its pages that belong to commits, now moved into the file; `None` when the disk had no room for them, and
    /// they are read from the log.
    pub pages: Option<u64>,
    /// Its size, in bytes. What is not such a page was never committed, or is from before the last checkpoint.
    pub bytes: u64,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { journal, bytes, head, records, snapshot, recovered, stale_holder, foreign } = self;
        write!(f, "{journal}: {records} records up to {head}, {bytes} bytes")?;
        if let Some(snapshot) = snapshot {
            write!(f, ", after a snapshot at {snapshot}")?;
        }
        if let Some(holder) = stale_holder {
            write!(f, "; {holder} did not close it")?;
        }
        if let Some(Recovered { pages, bytes }) = recovered {
            match pages {
                Some(pages) => {
                    write!(f, "; {pages} pages recovered from a write-ahead log of {bytes} bytes")?
                }
                None => write!(f, "; no room to move a write-ahead log of {bytes} bytes into the file")?,
            }
        }
        if !foreign.is_empty() {
            write!(f, "; foreign tables: {}", foreign.join(", "))?;
        }
        Ok(())
    }
}
