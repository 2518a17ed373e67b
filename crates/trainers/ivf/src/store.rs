//! The durable half of an index: one SQLite file with write-ahead log, synced at every commit.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use serde_json::{Map, Value};

use crate::artifact::sync_folder;
use crate::error::StorageCause;
use crate::{Item, Metric, StorageError};

/// Of the tables below; stored as `user_version`.
const FORMAT: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE settings (
        only INTEGER PRIMARY KEY CHECK (only = 0),
        metric TEXT NOT NULL,
        dimension INTEGER
    ) STRICT;
    CREATE TABLE items (
        slot INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        metadata TEXT NOT NULL,
        vector BLOB NOT NULL,
        contents TEXT NOT NULL
    ) STRICT;
";

/// The one connection that writes. Whoever has it has the index: a lock file keeps all others out.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    _lock: File,
}

/// A connection that reads while the other writes.
#[derive(Debug)]
pub(crate) struct StoreReader(Connection);

#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredSettings {
    pub(crate) metric: Metric,
    pub(crate) dimension: Option<usize>,
}

/// An item for a slot.
#[derive(Debug)]
pub(crate) struct Put<'a> {
    pub(crate) slot: u32,
    pub(crate) item: &'a Item,
    pub(crate) metadata: &'a str,
}

impl Store {
    pub(crate) fn create(path: &Path, settings: StoredSettings) -> Result<Self, StorageError> {
        let mut store = Self::connect(path, OpenFlags::SQLITE_OPEN_CREATE, CREATE)?;
        store.initialise(settings).map_err(|cause| StorageError::new(CREATE, cause))?;
        sync_folder(path).map_err(|error| StorageError::new(CREATE, error))?;
        Ok(store)
    }

    pub(crate) fn open(path: &Path) -> Result<(Self, StoredSettings), StorageError> {
        let store = Self::connect(path, OpenFlags::empty(), OPEN)?;
        let settings = store.settings().map_err(|cause| StorageError::new(OPEN, cause))?;
        Ok((store, settings))
    }

    pub(crate) fn reader(&self, path: &Path) -> Result<StoreReader, StorageError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(path, flags)
            .map(StoreReader)
            .map_err(|error| StorageError::new(OPEN, error))
    }

    /// Writes all of it in one transaction, which is durable at return; or nothing.
    pub(crate) fn write(
        &mut self,
        dimension: Option<usize>,
        puts: &[Put<'_>],
        deletes: &[u32],
    ) -> Result<(), StorageError> {
        self.transact(dimension, puts, deletes)
            .map_err(|error| StorageError::new("write to the index", error))
    }

    /// Hands over every item, ordered by slot.
    pub(crate) fn load(
        &self,
        dimension: Option<usize>,
        mut take: impl FnMut(u32, String, Vec<f32>, Map<String, Value>),
    ) -> Result<(), StorageError> {
        let mut read = || -> Result<(), StorageCause> {
            let mut statement =
                self.connection.prepare("SELECT slot, id, vector, metadata FROM items ORDER BY slot")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (slot, id): (u32, String) = (row.get(0)?, row.get(1)?);
                let vector = decode_vector(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?);
                if Some(vector.len()) != dimension || vector.iter().any(|x| !x.is_finite()) {
                    return Err(StorageCause::Damaged(format!("the vector of {id:?}")));
                }
                let metadata = decode_metadata(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?)
                    .ok_or_else(|| StorageCause::Damaged(format!("the metadata of {id:?}")))?;
                take(slot, id, vector, metadata);
            }
            Ok(())
        };
        read().map_err(|cause| StorageError::new("read the index", cause))
    }

    fn connect(path: &Path, flags: OpenFlags, operation: &'static str) -> Result<Self, StorageError> {
        let failed = |cause: StorageCause| StorageError::new(operation, cause);
        if !flags.contains(OpenFlags::SQLITE_OPEN_CREATE) {
            path.metadata().map_err(|error| failed(error.into()))?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(beside(path, ".lock"))
            .map_err(|error| failed(error.into()))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => failed(StorageCause::InUse),
            TryLockError::Error(error) => failed(error.into()),
        })?;
        let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connect = || -> Result<Connection, StorageCause> {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            Ok(connection)
        };
        Ok(Self { connection: connect().map_err(failed)?, _lock: lock })
    }

    fn initialise(&mut self, settings: StoredSettings) -> Result<(), StorageCause> {
        let transaction = self.connection.transaction()?;
        let tables: i64 =
            transaction.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
        if tables > 0 {
            return Err(StorageCause::Exists);
        }
        transaction.execute_batch(SCHEMA)?;
        transaction.execute(
            "INSERT INTO settings (only, metric, dimension) VALUES (0, ?1, ?2)",
            params![settings.metric.name(), settings.dimension.map(stored)],
        )?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        Ok(transaction.commit()?)
    }

    fn settings(&self) -> Result<StoredSettings, StorageCause> {
        let format: i64 = self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if format == 0 {
            return Err(StorageCause::Damaged("its creation was never finished".to_owned()));
        }
        if format != FORMAT {
            return Err(StorageCause::Format(format));
        }
        let (metric, dimension): (String, Option<u16>) =
            self.connection.query_row("SELECT metric, dimension FROM settings", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let metric = Metric::from_name(&metric).ok_or(StorageCause::Damaged("its metric".to_owned()))?;
        Ok(StoredSettings { metric, dimension: dimension.map(usize::from) })
    }

    fn transact(
        &mut self,
        dimension: Option<usize>,
        puts: &[Put<'_>],
        deletes: &[u32],
    ) -> Result<(), rusqlite::Error> {
        let transaction = self.connection.transaction()?;
        if let Some(dimension) = dimension {
            transaction.execute("UPDATE settings SET dimension = ?1", params![stored(dimension)])?;
        }
        {
            let mut delete = transaction.prepare_cached("DELETE FROM items WHERE slot = ?1")?;
            for slot in deletes {
                delete.execute(params![slot])?;
            }
            let mut put = transaction.prepare_cached(
                "INSERT OR REPLACE INTO items (slot, id, metadata, vector, contents) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for Put { slot, item, metadata } in puts {
                put.execute(params![slot, item.id, metadata, encode_vector(&item.vector), item.contents])?;
            }
        }
        transaction.commit()
    }

    #[cfg(test)]
    pub(crate) fn fill_disk(&self) {
        let pages: i64 = self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        self.connection.pragma_update(None, "max_page_count", pages).unwrap();
    }

    #[cfg(test)]
    pub(crate) fn free_disk(&self) {
        self.connection.pragma_update(None, "max_page_count", i64::from(u32::MAX) - 1).unwrap();
    }
}

impl StoreReader {
    /// What is read before this is dropped is as it was at one moment.
    pub(crate) fn moment(&self) -> Result<Transaction<'_>, StorageError> {
        self.0.unchecked_transaction().map_err(|error| StorageError::new(READ_ITEM, error))
    }

    /// What an item takes; nothing when it is not there. The lengths stand before the values, which stay on disk.
    pub(crate) fn bytes(&self, id: &str) -> Result<u64, StorageError> {
        let read = || -> Result<Option<i64>, rusqlite::Error> {
            let mut statement = self.0.prepare_cached(
                "SELECT octet_length(id) + octet_length(vector) + octet_length(contents) + octet_length(metadata)
                FROM items WHERE id = ?1",
            )?;
            statement.query_row(params![id], |row| row.get(0)).optional()
        };
        let bytes = read().map_err(|error| StorageError::new(READ_ITEM, error))?.unwrap_or(0);
        Ok(bytes.unsigned_abs()) // a sum of lengths
    }

    pub(crate) fn get(&self, id: &str) -> Result<Option<Item>, StorageError> {
        let failed = |cause: StorageCause| StorageError::new(READ_ITEM, cause);
        let read = || -> Result<_, rusqlite::Error> {
            let mut statement =
                self.0.prepare_cached("SELECT vector, contents, metadata FROM items WHERE id = ?1")?;
            let decode = |row: &rusqlite::Row<'_>| {
                let vector = decode_vector(row.get_ref(0)?.as_blob()?);
                Ok((vector, row.get::<_, String>(1)?, decode_metadata(row.get_ref(2)?.as_str()?)))
            };
            statement.query_row(params![id], decode).optional()
        };
        let Some((vector, contents, metadata)) = read().map_err(|error| failed(error.into()))? else {
            return Ok(None);
        };
        let damaged = || failed(StorageCause::Damaged(format!("the metadata of {id:?}")));
        Ok(Some(Item { id: id.to_owned(), vector, contents, metadata: metadata.ok_or_else(damaged)? }))
    }
}

/// Removes all files of an index; those that are not there are fine.
pub(crate) fn remove(path: &Path) -> Result<(), StorageError> {
    for suffix in ["", "-wal", "-shm", ".lock"] {
        match std::fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StorageError::new("remove an index", error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

fn stored(dimension: usize) -> u16 {
    u16::try_from(dimension).expect("dimensions are checked at the door")
}

fn encode_vector(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn decode_vector(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn decode_metadata(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(text).ok()
}

const CREATE: &str = "create the index";
const OPEN: &str = "open the index";
const READ_ITEM: &str = "read an item";
