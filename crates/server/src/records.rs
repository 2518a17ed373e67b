//! Records in a file of SQLite's: one connection to write, one to look.

use std::io;
use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row, ToSql};
use uuid::Uuid;

/// A file of records. What was written is on the disk when the call returns.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) writer: Mutex<Connection>,
    /// Another one, so that a look does not wait for somebody else's write to reach the disk.
    pub(crate) reader: Mutex<Connection>,
}

/// Why records cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordsError {
    #[error("could not {operation} the catalogue")]
    Failed { operation: &'static str, source: rusqlite::Error },
    #[error("the catalogue has format {0}, which this version does not know")]
    Format(i64),
    #[error("the catalogue is damaged: {0}")]
    Damaged(String),
    #[error("could not look at what was there before the catalogue")]
    Before(#[source] io::Error),
}

impl RecordsError {
    /// Whether the disk is full, and nothing else is wrong.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Failed { source, .. } => source.sqlite_error_code() == Some(ErrorCode::DiskFull),
            Self::Format(_) | Self::Damaged(_) | Self::Before(_) => false,
        }
    }
}

impl Records {
    /// Opens the file; one with these tables is made when there is none. The format is that of the tables.
    pub(crate) fn open(path: &Path, format: i64, schema: &str) -> Result<Self, RecordsError> {
        Self::open_or_make(path, format, schema, || Ok(()))
    }

    /// The same. `before` is called before there is a new one, which there is not when it fails.
    pub(crate) fn open_or_make(
        path: &Path,
        format: i64,
        schema: &str,
        before: impl FnOnce() -> io::Result<()>,
    ) -> Result<Self, RecordsError> {
        let mut writer = connect(path)?;
        let transaction = writer.transaction().map_err(failed("open"))?;
        let found: i64 =
            transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed("open"))?;
        if found == 0 {
            before().map_err(RecordsError::Before)?;
            transaction.execute_batch(schema).map_err(failed("make"))?;
            transaction.pragma_update(None, "user_version", format).map_err(failed("make"))?;
        } else if found != format {
            return Err(RecordsError::Format(found));
        }
        transaction.commit().map_err(failed("open"))?;
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(connect(path)?) })
    }

    /// Takes one step of one record, and says whether there was one to take.
    pub(crate) fn step(&self, sql: &str, values: &[&dyn ToSql]) -> Result<bool, RecordsError> {
        Ok(self.writer.lock().execute(sql, values).map_err(failed("write"))? == 1)
    }

    /// Every row, read.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl Fn(&Row<'_>) -> Result<T, RecordsError>,
    ) -> Result<Vec<T>, RecordsError> {
        let reader = self.reader.lock();
        let mut statement = reader.prepare_cached(sql).map_err(failed("read"))?;
        let mut rows = statement.query(values).map_err(failed("read"))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(failed("read"))? {
            all.push(read(row)?);
        }
        Ok(all)
    }

    /// The row that there is, read.
    pub(crate) fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl Fn(&Row<'_>) -> Result<T, RecordsError>,
    ) -> Result<T, RecordsError> {
        let none = || RecordsError::Damaged("a count is missing".to_owned());
        self.find(sql, values, read)?.ok_or_else(none)
    }

    /// A row, read, if there is one.
    pub(crate) fn find<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl Fn(&Row<'_>) -> Result<T, RecordsError>,
    ) -> Result<Option<T>, RecordsError> {
        let reader = self.reader.lock();
        let mut statement = reader.prepare_cached(sql).map_err(failed("read"))?;
        let found = statement.query_row(values, |row| Ok(read(row))).optional();
        found.map_err(failed("read"))?.transpose()
    }
}

fn connect(path: &Path) -> Result<Connection, RecordsError> {
    let connection = Connection::open(path).map_err(failed("open"))?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed("open"))?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed("open"))?;
    connection.pragma_update(None, "foreign_keys", true).map_err(failed("open"))?;
    connection.busy_timeout(BUSY_MAX).map_err(failed("open"))?;
    Ok(connection)
}

/// A look may come while the log is written back.
const BUSY_MAX: Duration = Duration::from_secs(10);

pub(crate) fn failed(operation: &'static str) -> impl Fn(rusqlite::Error) -> RecordsError {
    move |source| RecordsError::Failed { operation, source }
}

/// Reads a text.
pub(crate) fn text(row: &Row<'_>, column: usize) -> Result<String, RecordsError> {
    row.get(column).map_err(failed("read"))
}

/// Reads a count.
pub(crate) fn count(row: &Row<'_>, column: usize) -> Result<u64, RecordsError> {
    let number: i64 = row.get(column).map_err(failed("read"))?;
    u64::try_from(number).map_err(|_| RecordsError::Damaged(format!("the number {number}")))
}

/// Reads an id of any kind.
pub(crate) fn id(what: &str, text: &str) -> Result<Uuid, RecordsError> {
    Uuid::try_parse(text).map_err(|_| RecordsError::Damaged(format!("the {what} {text:?} is no id")))
}

/// A count, as SQLite keeps it.
pub(crate) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A text for people, cut to what is worth keeping.
pub(crate) fn reason(text: &str) -> &str {
    &text[..text.floor_char_boundary(REASON_BYTES_MAX)]
}

const REASON_BYTES_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "CREATE TABLE things (id TEXT PRIMARY KEY NOT NULL) STRICT;";

    #[test]
    fn another_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.sqlite");
        let records = Records::open(&path, 1, TABLE).unwrap();
        assert!(records.step("INSERT INTO things VALUES ('a')", &[]).unwrap());
        assert!(!records.step("DELETE FROM things WHERE id = 'b'", &[]).unwrap());
        assert!(matches!(Records::open(&path, 2, TABLE), Err(RecordsError::Format(1))));
        let again = Records::open(&path, 1, TABLE).unwrap();
        assert!(again.step("DELETE FROM things WHERE id = 'a'", &[]).unwrap());
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let long = "ä".repeat(REASON_BYTES_MAX);
        assert_eq!(reason(&long).len(), REASON_BYTES_MAX);
        assert_eq!(reason(&format!("x{long}")).len(), REASON_BYTES_MAX - 1);
        assert_eq!(reason("short"), "short");
    }
}
