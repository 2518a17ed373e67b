//! Which indexes there are, durably.

use std::path::Path;

use rusqlite::{Connection, params};
use trainyard_cyborgdb::{IndexId, Metric, Precision};
use trainyard_http::secret::Digest;
use uuid::Uuid;

/// Of the table below; stored as `user_version`.
const FORMAT: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE indexes (
        id TEXT PRIMARY KEY NOT NULL,
        name TEXT NOT NULL,
        key_digest TEXT NOT NULL,
        dimension INTEGER,
        metric TEXT NOT NULL,
        precision TEXT NOT NULL,
        created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
        -- 'new': its files are being made; 'live'; 'removed': its files are being cleared away
        state TEXT NOT NULL CHECK (state IN ('new', 'live', 'removed'))
    ) STRICT;
    CREATE UNIQUE INDEX names ON indexes (name) WHERE state <> 'removed';
";

/// The records of all indexes. A record comes before its files and goes after them, so that a crash leaves no
/// file that no record names.
#[derive(Debug)]
pub(crate) struct Catalog(Connection);

/// What an index is, from its creation on.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: IndexId,
    pub(crate) name: String,
    pub(crate) key: Digest,
    /// As it was created; the vectors know better.
    pub(crate) dimension: Option<usize>,
    pub(crate) metric: Metric,
    pub(crate) precision: Precision,
}

/// Where an index is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    New,
    Live,
    Removed,
}

/// Why the catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogError {
    #[error("could not {operation} the catalogue")]
    Failed { operation: &'static str, source: rusqlite::Error },
    #[error("the catalogue has format {0}, which this version does not know")]
    Format(i64),
    #[error("the catalogue says something else than an index: {0}")]
    Damaged(String),
}

impl Catalog {
    /// Opens the catalogue; a new one is made when there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, CatalogError> {
        let mut connection = Connection::open(path).map_err(failed("open"))?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(failed("open"))?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(failed("open"))?;
        let transaction = connection.transaction().map_err(failed("open"))?;
        let format = transaction.pragma_query_value(None, "user_version", |row| row.get(0));
        match format.map_err(failed("open"))? {
            FORMAT => {}
            0 => {
                transaction.execute_batch(SCHEMA).map_err(failed("make"))?;
                transaction.pragma_update(None, "user_version", FORMAT).map_err(failed("make"))?;
            }
            other => return Err(CatalogError::Format(other)),
        }
        transaction.commit().map_err(failed("open"))?;
        Ok(Self(connection))
    }

    /// All records, in no order that means anything.
    pub(crate) fn records(&self) -> Result<Vec<(Record, State)>, CatalogError> {
        let sql = "SELECT id, name, key_digest, dimension, metric, precision, state FROM indexes";
        let mut statement = self.0.prepare(sql).map_err(failed("read"))?;
        let mut rows = statement.query([]).map_err(failed("read"))?;
        let mut records = Vec::new();
        while let Some(row) = rows.next().map_err(failed("read"))? {
            let text = |column| row.get::<_, String>(column).map_err(failed("read"));
            let (id, name) = (text(0)?, text(1)?);
            let damaged = |what| CatalogError::Damaged(format!("{what} of {name:?}"));
            let dimension: Option<u16> = row.get(3).map_err(failed("read"))?;
            let record = Record {
                id: Uuid::try_parse(&id).map(IndexId::new).map_err(|_| damaged("the id"))?,
                key: Digest::from_hex(&text(2)?).map_err(|_| damaged("the key digest"))?,
                dimension: dimension.map(usize::from),
                metric: read(&METRICS, &text(4)?).ok_or_else(|| damaged("the metric"))?,
                precision: read(&PRECISIONS, &text(5)?).ok_or_else(|| damaged("the precision"))?,
                name: name.clone(),
            };
            let state = read(&STATES, &text(6)?).ok_or_else(|| damaged("the state"))?;
            records.push((record, state));
        }
        Ok(records)
    }

    /// Notes an index whose files will be made next. The name must be free; one of it that was never finished, and
    /// could not be forgotten, counts as removed from now on.
    pub(crate) fn add(&self, record: &Record) -> Result<(), CatalogError> {
        let sql = "UPDATE indexes SET state = 'removed' WHERE name = ?1 AND state = 'new'";
        self.0.execute(sql, params![record.name]).map_err(failed("write"))?;
        let sql = "INSERT INTO indexes (id, name, key_digest, dimension, metric, precision, state)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let values = params![
            record.id.to_string(),
            record.name,
            record.key.to_hex(),
            record.dimension.map(|dimension| u16::try_from(dimension).unwrap_or(u16::MAX)),
            word(&METRICS, record.metric),
            word(&PRECISIONS, record.precision),
            word(&STATES, State::New),
        ];
        self.0.execute(sql, values).map_err(failed("write"))?;
        Ok(())
    }

    /// Notes where an index is in its life.
    pub(crate) fn set(&self, id: IndexId, state: State) -> Result<(), CatalogError> {
        let sql = "UPDATE indexes SET state = ?2 WHERE id = ?1";
        self.0.execute(sql, params![id.to_string(), word(&STATES, state)]).map_err(failed("write"))?;
        Ok(())
    }

    /// Drops the record of an index whose files are gone.
    pub(crate) fn forget(&self, id: IndexId) -> Result<(), CatalogError> {
        self.0
            .execute("DELETE FROM indexes WHERE id = ?1", params![id.to_string()])
            .map_err(failed("write"))?;
        Ok(())
    }
}

fn failed(operation: &'static str) -> impl Fn(rusqlite::Error) -> CatalogError {
    move |source| CatalogError::Failed { operation, source }
}

fn word<T: Copy + PartialEq>(words: &[(T, &'static str)], value: T) -> &'static str {
    words.iter().find(|(known, _)| *known == value).expect("every value has its word").1
}

fn read<T: Copy>(words: &[(T, &'static str)], text: &str) -> Option<T> {
    words.iter().find(|(_, word)| *word == text).map(|(value, _)| *value)
}

const STATES: [(State, &str); 3] = [(State::New, "new"), (State::Live, "live"), (State::Removed, "removed")];
const METRICS: [(Metric, &str); 3] = [
    (Metric::Euclidean, "euclidean"),
    (Metric::SquaredEuclidean, "squared_euclidean"),
    (Metric::Cosine, "cosine"),
];
const PRECISIONS: [(Precision, &str); 6] = [
    (Precision::Float32, "float32"),
    (Precision::Float16, "float16"),
    (Precision::Tq12, "tq12"),
    (Precision::Tq8, "tq8"),
    (Precision::Tq6, "tq6"),
    (Precision::Tq4, "tq4"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: u128, name: &str) -> Record {
        Record {
            id: IndexId::new(Uuid::from_u128(id)),
            name: name.to_owned(),
            key: Digest::of(b"key"),
            dimension: Some(65_535),
            metric: Metric::Cosine,
            precision: Precision::Tq6,
        }
    }

    #[test]
    fn what_is_written_is_there_when_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.sqlite");
        let catalog = Catalog::open(&path).unwrap();
        catalog.add(&record(1, "a/ä")).unwrap();
        catalog.add(&record(2, "gone")).unwrap();
        catalog.add(&record(3, "no more")).unwrap();
        catalog.set(record(1, "").id, State::Live).unwrap();
        catalog.set(record(2, "").id, State::Removed).unwrap();
        catalog.forget(record(3, "").id).unwrap();
        drop(catalog);
        let mut records = Catalog::open(&path).unwrap().records().unwrap();
        records.sort_by_key(|(record, _)| record.id);
        let [(first, State::Live), (second, State::Removed)] = &records[..] else { panic!("{records:?}") };
        assert_eq!((first.name.as_str(), second.name.as_str()), ("a/ä", "gone"));
        assert_eq!((first.dimension, first.metric), (Some(65_535), Metric::Cosine));
        assert_eq!((first.key, first.precision), (Digest::of(b"key"), Precision::Tq6));
    }

    #[test]
    fn a_name_is_one_index_until_that_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.sqlite")).unwrap();
        catalog.add(&record(1, "a")).unwrap();
        catalog.set(record(1, "a").id, State::Live).unwrap();
        catalog.add(&record(2, "a")).unwrap_err();
        catalog.set(record(1, "a").id, State::Removed).unwrap();
        catalog.add(&record(2, "a")).unwrap();
        catalog.add(&record(3, "a")).unwrap();
        let states = catalog.records().unwrap().into_iter().map(|(_, state)| state);
        assert_eq!(states.filter(|state| *state == State::Removed).count(), 2, "the half-made one as well");
    }

    #[test]
    fn a_later_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.sqlite");
        Catalog::open(&path).unwrap().0.pragma_update(None, "user_version", 2).unwrap();
        assert!(matches!(Catalog::open(&path), Err(CatalogError::Format(2))));
    }
}
