//! Users, datasets and predictions, durably.

mod datasets;
mod predictions;
mod users;

use std::io;
use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode};
use uuid::Uuid;

pub(crate) use self::datasets::{DatasetRefused, Places};
pub(crate) use self::predictions::{NewPrediction, PredictionRefused};
pub(crate) use self::users::{Origin, UserRecord};

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
pub(crate) struct Catalog {
    writer: Mutex<Connection>,
    /// Another one, so that a look does not wait for somebody else's write to reach the disk.
    reader: Mutex<Connection>,
}

/// Why the catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogError {
    #[error("could not {operation} the catalogue")]
    Failed { operation: &'static str, source: rusqlite::Error },
    #[error("the catalogue has format {0}, which this version does not know")]
    Format(i64),
    #[error("the catalogue is damaged: {0}")]
    Damaged(String),
    #[error("could not look at what was there before the catalogue")]
    Before(#[source] io::Error),
}

impl CatalogError {
    /// Whether the disk is full, and nothing else is wrong.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Failed { source, .. } => source.sqlite_error_code() == Some(ErrorCode::DiskFull),
            Self::Format(_) | Self::Damaged(_) | Self::Before(_) => false,
        }
    }
}

impl Catalog {
    /// Opens the catalogue; a new one is made when there is none.
    #[cfg(test)]
    pub(crate) fn open(path: &Path) -> Result<Self, CatalogError> {
        Self::open_or_make(path, || Ok(()))
    }

    /// The same. `before` is called before there is a new one, which there is not when it fails.
    pub(crate) fn open_or_make(
        path: &Path,
        before: impl FnOnce() -> io::Result<()>,
    ) -> Result<Self, CatalogError> {
        let mut writer = connect(path)?;
        let transaction = writer.transaction().map_err(failed("open"))?;
        let format = transaction.pragma_query_value(None, "user_version", |row| row.get(0));
        match format.map_err(failed("open"))? {
            FORMAT => {}
            0 => {
                before().map_err(CatalogError::Before)?;
                transaction.execute_batch(SCHEMA).map_err(failed("make"))?;
                transaction.pragma_update(None, "user_version", FORMAT).map_err(failed("make"))?;
            }
            other => return Err(CatalogError::Format(other)),
        }
        transaction.commit().map_err(failed("open"))?;
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(connect(path)?) })
    }
}

#[cfg(test)]
impl Catalog {
    /// Nothing can be read of datasets or predictions meanwhile, or written.
    pub(crate) fn break_for<T>(&self, work: impl FnOnce() -> T) -> T {
        const TABLES: [&str; 2] = ["datasets", "predictions"];
        let rename = |from: &str, to: &str| {
            let sql = format!("ALTER TABLE {from} RENAME TO {to}");
            self.writer.lock().execute_batch(&sql).expect("it can be renamed");
        };
        TABLES.iter().for_each(|table| rename(table, &format!("{table}_away")));
        let done = work();
        TABLES.iter().for_each(|table| rename(&format!("{table}_away"), table));
        done
    }
}

fn connect(path: &Path) -> Result<Connection, CatalogError> {
    let connection = Connection::open(path).map_err(failed("open"))?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed("open"))?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed("open"))?;
    connection.pragma_update(None, "foreign_keys", true).map_err(failed("open"))?;
    connection.busy_timeout(BUSY_MAX).map_err(failed("open"))?;
    Ok(connection)
}

/// A look may come while the log is written back.
const BUSY_MAX: Duration = Duration::from_secs(10);

fn failed(operation: &'static str) -> impl Fn(rusqlite::Error) -> CatalogError {
    move |source| CatalogError::Failed { operation, source }
}

/// Reads an id of any kind.
fn id(what: &str, text: &str) -> Result<Uuid, CatalogError> {
    Uuid::try_parse(text).map_err(|_| CatalogError::Damaged(format!("the {what} {text:?} is no id")))
}

/// A number of rows or the like, as SQLite keeps it.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A text for people, cut to what is worth keeping.
fn reason(text: &str) -> &str {
    &text[..text.floor_char_boundary(REASON_BYTES_MAX)]
}

const REASON_BYTES_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.sqlite");
        let catalog = Catalog::open(&path).unwrap();
        catalog.writer.lock().pragma_update(None, "user_version", 2).unwrap();
        assert!(matches!(Catalog::open(&path), Err(CatalogError::Format(2))));
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let long = "ä".repeat(REASON_BYTES_MAX);
        assert_eq!(reason(&long).len(), REASON_BYTES_MAX);
        assert_eq!(reason(&format!("x{long}")).len(), REASON_BYTES_MAX - 1);
        assert_eq!(reason("short"), "short");
    }
}
