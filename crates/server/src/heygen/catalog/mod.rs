//! Assets, groups and looks, durably.

mod assets;
mod groups;
mod looks;

use std::path::Path;

use rusqlite::{OptionalExtension, Params, Row};
use trainyard_heygen::{AssetId, HostError, Refused};

pub(crate) use self::assets::Stored;
pub(crate) use self::looks::LookToAdd;
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
        media TEXT NOT NULL CHECK (media IN ('jpeg', 'png')),
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
pub(crate) struct Catalog(Records);

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
            NotAdded::Failed(error) => Self::Failed(HostError::new(error)),
        }
    }
}

impl Catalog {
    /// Opens the catalogue; a new one is made when there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, RecordsError> {
        Records::open(path, FORMAT, SCHEMA).map(Self)
    }

    /// Whether somebody was shown the key that was made here.
    pub(crate) fn is_key_told(&self) -> Result<bool, RecordsError> {
        let count: i64 = self.one("SELECT count(*) FROM told WHERE what = 'key'", [], |row| {
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
        self.0.step(sql, &[]).map(drop)
    }

    /// Every row, read.
    fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl Fn(&Row<'_>) -> Result<T, RecordsError>,
    ) -> Result<Vec<T>, RecordsError> {
        let reader = self.0.reader.lock();
        let mut statement = reader.prepare_cached(sql).map_err(failed("read"))?;
        let mut rows = statement.query(values).map_err(failed("read"))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(failed("read"))? {
            all.push(read(row)?);
        }
        Ok(all)
    }

    /// The row that there is, read.
    fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl Fn(&Row<'_>) -> Result<T, RecordsError>,
    ) -> Result<T, RecordsError> {
        let none = || RecordsError::Damaged("a count is missing".to_owned());
        self.find(sql, values, read)?.ok_or_else(none)
    }

    /// A row, read, if there is one.
    fn find<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl Fn(&Row<'_>) -> Result<T, RecordsError>,
    ) -> Result<Option<T>, RecordsError> {
        let reader = self.0.reader.lock();
        let mut statement = reader.prepare_cached(sql).map_err(failed("read"))?;
        let found = statement.query_row(values, |row| Ok(read(row))).optional();
        found.map_err(failed("read"))?.transpose()
    }
}

fn text(row: &Row<'_>, column: usize) -> Result<String, RecordsError> {
    row.get(column).map_err(failed("read"))
}

fn count(row: &Row<'_>, column: usize) -> Result<u64, RecordsError> {
    let number: i64 = row.get(column).map_err(failed("read"))?;
    u64::try_from(number).map_err(|_| RecordsError::Damaged(format!("the number {number}")))
}

#[cfg(test)]
mod tests;
