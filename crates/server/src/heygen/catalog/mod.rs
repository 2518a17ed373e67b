//! Assets, groups and looks, durably.

mod assets;
mod groups;
mod looks;

use std::collections::BTreeSet;
use std::path::Path;

use parking_lot::RwLock;
use trainyard_heygen::{AssetId, GroupId, Refused};

pub(crate) use self::assets::Stored;
pub(crate) use self::looks::LookToAdd;
use crate::disk::NotKept;
use crate::records::{Records, RecordsError, failed};

/// Of the tables below; stored as `user_version`.
const FORMAT: i64 = 1;
const SCHEMA: &str = "
    -- what was made here, and shown to somebody
    CREATE TABLE told (
        what TEXT PRIMARY KEY NOT NULL
    ) STRICT;
    CREATE TABLE assets (
        -- the order in which they came
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        media TEXT NOT NULL CHECK (media IN ('jpeg', 'png', 'mp4', 'webm', 'mp3', 'wav')),
        created_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE avatar_groups (
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        created_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE looks (
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        avatar_group TEXT NOT NULL REFERENCES avatar_groups (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        -- an asset stays as long as a look shows it
        image TEXT NOT NULL REFERENCES assets (id),
        created_ms INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'completed', 'failed')),
        -- that looks at its image
        job TEXT NOT NULL,
        -- why it failed
        reason TEXT
    ) STRICT;
    CREATE INDEX looks_of ON looks (avatar_group, serial);
    CREATE INDEX looks_with ON looks (image);
    CREATE INDEX looks_at_work ON looks (serial) WHERE state = 'pending';
";

/// The records of assets, groups and looks. States only go forward: a step that comes too late, or a second time,
/// changes nothing, and says so.
#[derive(Debug)]
pub(crate) struct Catalog {
    records: Records,
    /// Which groups there are, to be looked at without the file. Changed by whoever holds the writer.
    known: RwLock<BTreeSet<GroupId>>,
}

/// Why something was not added. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAdded {
    #[error("there is no such group")]
    Gone,
    #[error("there is no image {0}")]
    NoImage(AssetId),
    #[error("there are {max} {what} already")]
    TooMany { what: &'static str, max: u64 },
    #[error(transparent)]
    Failed(#[from] RecordsError),
}

impl From<NotAdded> for Refused {
    fn from(error: NotAdded) -> Self {
        match error {
            NotAdded::Gone => Self::Gone,
            NotAdded::NoImage(id) => Self::NoImage(id),
            NotAdded::TooMany { what, max } => Self::TooMany { what, max },
            NotAdded::Failed(error) => NotKept::from(error).into(),
        }
    }
}

impl Catalog {
    /// Opens the catalogue; a new one is made when there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, RecordsError> {
        let records = Records::open(path, FORMAT, SCHEMA)?;
        let known = RwLock::new(groups::known(&records)?);
        Ok(Self { records, known })
    }

    /// Whether somebody was shown the key that was made here.
    pub(crate) fn is_key_told(&self) -> Result<bool, RecordsError> {
        let count: i64 = self.records.one("SELECT count(*) FROM told WHERE what = 'key'", [], |row| {
            row.get(0).map_err(failed("read"))
        })?;
        Ok(count > 0)
    }

    /// Somebody is shown it, or will be shown another one.
    pub(crate) fn tell_key(&self, is_told: bool) -> Result<(), RecordsError> {
        let sql = match is_told {
            true => "INSERT OR IGNORE INTO told (what) VALUES ('key')",
            false => "DELETE FROM told WHERE what = 'key'",
        };
        self.records.step(sql, &[]).map(drop)
    }
}

#[cfg(test)]
mod tests;
