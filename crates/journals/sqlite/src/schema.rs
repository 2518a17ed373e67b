//! What is in the file.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use trainyard_journal::{JournalError, Position, failpoint};

use crate::error::failure;
use crate::lock::beside;
use crate::options::SqliteOptions;

/// "tyrd": by it `file` and SQLite tell a journal from other databases.
const APPLICATION_ID: i32 = 0x7479_7264;

/// The version of the layout below; what is in the blobs has versions of its own.
const FORMAT: i64 = 1;

const PAGE_BYTES: u64 = 4_096;

const LAYOUT: &str = "
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per commit. The checksum is of position, writer, time and the header of the facts, which has one of them.
CREATE TABLE records (
    position INTEGER PRIMARY KEY,
    writer   BLOB    NOT NULL,
    at       INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    facts    BLOB    NOT NULL,
    readable TEXT
) STRICT;

-- What the records up to meta.snapshot_position were compacted to, in parts.
CREATE TABLE snapshot (
    part  INTEGER PRIMARY KEY,
    facts BLOB    NOT NULL
) STRICT;

-- For people: every fact since the snapshot.
CREATE VIEW facts AS
SELECT
    records.position  AS position,
    fact.key + 1      AS number,
    coalesce(fact.value ->> '$.at', strftime('%Y-%m-%dT%H:%M:%fZ', records.at / 1000.0, 'unixepoch')) AS at,
    event.key         AS event,
    event.value       AS detail,
    lower(hex(writer)) AS writer
FROM records, json_each(records.readable) AS fact, json_each(fact.value) AS event
WHERE event.key <> 'at';
";

/// Opens the file, and makes it a journal if it is new.
pub(crate) fn connect(path: &Path, name: &str, options: &SqliteOptions) -> Result<Connection, JournalError> {
    let failed = |error| failure("open", name, error);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let had_log = beside(path, "-wal").exists();
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    // Whoever is refused after this leaves the write-ahead log as it was found.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
    connection.busy_timeout(options.busy_timeout()).map_err(failed)?;
    let is_new = check_owner(&connection, name)?;
    prepare(&connection, name, options)?;
    if is_new {
        create(&connection).map_err(failed)?;
        failpoint!(JournalCreated);
    }
    if is_new || !had_log {
        // SQLite makes the name of a log durable with its first commit, but does not tell when that fails.
        sync_folder(path).map_err(|error| {
            JournalError::failed(format!("could not sync the folder of {name}")).with_source(error)
        })?;
    }
    check_format(&connection, name)?;
    Ok(connection)
}

/// Opens a journal to look at it. Writes nothing, not even when it is closed: a log that is there stays as it is.
pub(crate) fn connect_to_read(path: &Path, name: &str) -> Result<Connection, JournalError> {
    let failed = |error| failure("open", name, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
    if check_owner(&connection, name)? {
        return Err(JournalError::corrupt(name).with_source("it is empty"));
    }
    connection.pragma_update(None, "cell_size_check", "ON").map_err(failed)?;
    connection.pragma_update(None, "trusted_schema", "OFF").map_err(failed)?;
    check_format(&connection, name)?;
    Ok(connection)
}

/// Refuses what is a database of somebody else's, before anything is changed in it. Says whether it is nobody's yet.
fn check_owner(connection: &Connection, name: &str) -> Result<bool, JournalError> {
    let failed = |error| failure("open", name, error);
    let owner: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    match (owner, is_empty(connection).map_err(failed)?) {
        (0, true) => Ok(true),
        (APPLICATION_ID, false) => Ok(false),
        // Made anew, it would look as if nothing had ever been in it.
        (APPLICATION_ID, true) => Err(JournalError::corrupt(name).with_source("its tables are gone")),
        _ => Err(JournalError::failed(format!(
            "{name} is a database, but no journal: its application id is {owner:#x}"
        ))),
    }
}

fn prepare(connection: &Connection, name: &str, options: &SqliteOptions) -> Result<(), JournalError> {
    let failed = |error| failure("open", name, error);
    // Before anything is written, or it has no effect; and later it would be written anew at every opening.
    if is_empty(connection).map_err(failed)? {
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(failed)?;
    }
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(failed)?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(JournalError::failed(format!("the file system of {name} allows no write-ahead log")));
    }
    let pages = options.bytes_max().map_or(i64::from(u32::MAX - 1), |bytes| {
        i64::try_from(bytes.div_ceil(PAGE_BYTES).max(1)).unwrap_or(i64::MAX)
    });
    let set = |pragma: &str, value: &dyn rusqlite::ToSql| {
        connection.pragma_update(None, pragma, value).map_err(failed)
    };
    set("synchronous", &"FULL")?;
    set("fullfsync", &"ON")?;
    set("checkpoint_fullfsync", &"ON")?;
    set("wal_autocheckpoint", &1_000)?;
    set("journal_size_limit", &(64 << 20))?;
    set("max_page_count", &pages)?;
    set("cell_size_check", &"ON")?;
    set("trusted_schema", &"OFF")
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.execute_batch(LAYOUT)?;
    set_meta(&transaction, "format", FORMAT)?;
    failpoint!(JournalDrafted);
    transaction.commit()
}

fn check_format(connection: &Connection, name: &str) -> Result<(), JournalError> {
    let format = meta(connection, "format").map_err(|error| failure("open", name, error))?;
    match format {
        Some(FORMAT) => Ok(()),
        Some(other) => Err(JournalError::unknown_version(name, other)),
        None => Err(JournalError::corrupt(name).with_source("it does not say of which format it is")),
    }
}

/// Refuses a file whose last page was cut off, before SQLite reads on in zeros and fills it up, and one whose header
/// says that nobody may write.
///
/// After a crash a page may be cut off: then it is in the write-ahead log, of which `log` bytes were left, or, when the
/// journal was just being made, in SQLite's rollback journal.
pub(crate) fn check_length(path: &Path, name: &str, log: u64) -> Result<(), JournalError> {
    let cut = || Err(JournalError::corrupt(name).with_source("its last page was cut off"));
    let mut header = [0; 20];
    let file = match File::open(path) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(_) => return Ok(()), // SQLite will say so
    };
    let bytes = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |file| file.len());
    if bytes == 0 && log > 0 {
        // SQLite would remove the log, and begin anew.
        return Err(
            JournalError::corrupt(name).with_source("it is empty or gone, and its write-ahead log is not")
        );
    }
    let Some(mut file) = file else {
        return Ok(());
    };
    let is_new = std::fs::metadata(beside(path, "-journal")).is_ok_and(|journal| journal.len() > 0);
    let is_whole = bytes == 0 || log > 0 || is_new;
    if file.read_exact(&mut header).is_err() {
        return if is_whole { Ok(()) } else { cut() };
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return Ok(()); // SQLite will say so
    }
    if header[18..20].iter().any(|version| *version > 2) {
        return Err(JournalError::corrupt(name).with_source("its header is damaged"));
    }
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        page => u64::from(page),
    };
    if is_whole || bytes.is_multiple_of(page.max(1)) { Ok(()) } else { cut() }
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
        .map(|count| count == 0)
}

/// Refuses a file in which a page of the records is damaged. Records between others are missed when they are read; but
/// where the number of those on the last page has become less, or a pointer leads to another page, the newest ones are
/// gone as if they had never been.
pub(crate) fn check_records(connection: &Connection, name: &str) -> Result<(), JournalError> {
    let report: String = connection
        .query_row("PRAGMA quick_check(records)", [], |row| row.get(0))
        .map_err(|error| failure("open", name, error))?;
    if report == "ok" { Ok(()) } else { Err(JournalError::corrupt(name).with_source(report)) }
}

/// What is in the file but not of the layout.
pub(crate) fn foreign(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT type || ' ' || name FROM sqlite_schema
         WHERE name NOT IN ('meta', 'records', 'snapshot', 'facts') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'
         ORDER BY name LIMIT 100",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// Where the log ends, and where it begins.
pub(crate) fn ends(connection: &Connection) -> rusqlite::Result<(Position, Option<Position>)> {
    let snapshot = meta(connection, "snapshot_position")?.map(to_position).transpose()?;
    let newest: Option<i64> =
        connection.query_row("SELECT max(position) FROM records", [], |row| row.get(0))?;
    let newest = newest.map(to_position).transpose()?;
    Ok((newest.or(snapshot).unwrap_or_default(), snapshot))
}

pub(crate) fn meta(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

pub(crate) fn set_meta(connection: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?
        .execute((name, value))?;
    Ok(())
}

pub(crate) fn to_position(stored: i64) -> rusqlite::Result<Position> {
    u64::try_from(stored).map(Position::new).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, stored))
}

/// SQLite has no number beyond 2^63; nobody lives to see it.
pub(crate) fn from_position(position: Position) -> i64 {
    i64::try_from(position.get()).unwrap_or(i64::MAX)
}

/// Makes the name of a new file as durable as its content.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
