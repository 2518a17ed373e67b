//! Users, datasets and predictions, durably.

mod datasets;
mod predictions;
mod users;

use std::io;
use std::path::Path;

pub(crate) use self::datasets::{DatasetRefused, Places};
pub(crate) use self::predictions::{NewPrediction, PredictionRefused};
pub(crate) use self::users::{Origin, UserRecord};
use crate::records::{Records, RecordsError};

/// Of the tables below; stored as `user_version`.
const FORMAT: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE users (
        id TEXT PRIMARY KEY NOT NULL,
        name TEXT NOT NULL UNIQUE,
        -- a PHC string, from which the password cannot be read
        password TEXT NOT NULL,
        -- changes with the password
        stamp INTEGER NOT NULL,
        -- 'configured': by whoever starts the service; 'untold': made by the service, since nobody was, and perhaps
        -- nobody has heard of it yet; 'made': the same, told
        origin TEXT NOT NULL CHECK (origin IN ('configured', 'untold', 'made'))
    ) STRICT;
    CREATE TABLE datasets (
        -- the order in which they were made
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL REFERENCES users (id),
        name TEXT NOT NULL,
        description TEXT,
        buckets INTEGER NOT NULL,
        created_ms INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'processing', 'completed', 'failed')),
        -- that makes its data ready
        job TEXT,
        rows INTEGER,
        classes INTEGER,
        memory_mib INTEGER,
        -- why it failed
        reason TEXT
    ) STRICT;
    CREATE UNIQUE INDEX dataset_names ON datasets (owner, name);
    CREATE INDEX datasets_at_work ON datasets (serial) WHERE state = 'processing';
    CREATE TABLE predictions (
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL REFERENCES users (id),
        model TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'completed', 'failed', 'timed_out')),
        job TEXT NOT NULL,
        reason TEXT
    ) STRICT;
    CREATE INDEX predictions_of ON predictions (owner, serial);
    CREATE INDEX predictions_at_work ON predictions (serial) WHERE state IN ('pending', 'running');
";

/// The records of users, datasets and predictions. States only go forward: a step that comes too late, or a second
/// time, changes nothing, and says so.
#[derive(Debug)]
pub(crate) struct Catalog(Records);

impl Catalog {
    /// Opens the catalogue; a new one is made when there is none.
    #[cfg(test)]
    pub(crate) fn open(path: &Path) -> Result<Self, RecordsError> {
        Self::open_or_make(path, || Ok(()))
    }

    /// The same. `before` is called before there is a new one, which there is not when it fails.
    pub(crate) fn open_or_make(
        path: &Path,
        before: impl FnOnce() -> io::Result<()>,
    ) -> Result<Self, RecordsError> {
        Records::open_or_make(path, FORMAT, SCHEMA, before).map(Self)
    }
}

#[cfg(test)]
impl Catalog {
    /// Nothing can be read of datasets or predictions meanwhile, or written.
    pub(crate) fn break_for<T>(&self, work: impl FnOnce() -> T) -> T {
        const TABLES: [&str; 2] = ["datasets", "predictions"];
        let rename = |from: &str, to: &str| {
            let sql = format!("ALTER TABLE {from} RENAME TO {to}");
            self.0.writer.lock().execute_batch(&sql).expect("it can be renamed");
        };
        TABLES.iter().for_each(|table| rename(table, &format!("{table}_away")));
        let done = work();
        TABLES.iter().for_each(|table| rename(&format!("{table}_away"), table));
        done
    }
}
