//! The records of datasets.

use std::sync::atomic::Ordering;

use rusqlite::{Row, params};
use trainyard_core::Timestamp;
use trainyard_eliza::DatasetId;

use super::Catalog;
use crate::records::{Records, RecordsError, count, failed, stored, text};

/// What is known of a dataset beside where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatasetRecord {
    pub(crate) id: DatasetId,
    pub(crate) created_at: Timestamp,
    pub(crate) trajectories: u64,
    pub(crate) examples: u64,
}

/// Why a dataset was not listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatasetRefused {
    /// As many as may be are there, and a training needs each of them.
    #[error("there are {max} datasets already")]
    TooMany { max: u64 },
    #[error(transparent)]
    Failed(#[from] RecordsError),
}

const COLUMNS: &str = "id, created_ms, trajectories, examples";

impl Catalog {
    /// Lists a dataset whose folder is whole. Where there are as many as may be, the oldest that nobody needs go, and
    /// are handed back.
    pub(crate) fn add_dataset(
        &self,
        record: &DatasetRecord,
        max: u64,
        is_needed: impl Fn(&DatasetId) -> bool,
    ) -> Result<Vec<DatasetId>, DatasetRefused> {
        let DatasetRecord { id, created_at, trajectories, examples } = record;
        let mut writer = self.records.writer.lock();
        let transaction = writer.transaction().map_err(failed("write"))?;
        let mut gone = Vec::new();
        {
            let mut statement = transaction
                .prepare_cached("SELECT id FROM datasets ORDER BY serial")
                .map_err(failed("read"))?;
            let there = statement.query_map([], |row| Ok(key(row))).map_err(failed("read"))?;
            let there: Vec<DatasetId> =
                there.map(|row| row.map_err(failed("read"))?).collect::<Result<_, RecordsError>>()?;
            let mut over = (there.len() as u64 + 1).saturating_sub(max);
            let mut oldest = there.into_iter();
            while over > 0 {
                let unneeded = oldest.find(|id| !is_needed(id)).ok_or(DatasetRefused::TooMany { max })?;
                gone.push(unneeded);
                over -= 1;
            }
        }
        for id in &gone {
            let sql = "DELETE FROM datasets WHERE id = ?1";
            transaction.execute(sql, params![id.as_str()]).map_err(failed("write"))?;
        }
        let sql = format!("INSERT INTO datasets ({COLUMNS}) VALUES (?1, ?2, ?3, ?4)");
        let values = params![id.as_str(), created_at.as_millis(), stored(*trajectories), stored(*examples)];
        transaction.execute(&sql, values).map_err(failed("write"))?;
        transaction.commit().map_err(failed("write"))?;
        self.datasets.fetch_add(1, Ordering::AcqRel);
        self.datasets.fetch_sub(gone.len(), Ordering::AcqRel);
        Ok(gone)
    }

    /// Lists no more a dataset that is not there. False when it was not listed.
    pub(crate) fn drop_dataset(&self, id: &DatasetId) -> Result<bool, RecordsError> {
        let writer = self.records.writer.lock();
        let sql = "DELETE FROM datasets WHERE id = ?1";
        let dropped = writer.execute(sql, params![id.as_str()]).map_err(failed("write"))? == 1;
        self.datasets.fetch_sub(usize::from(dropped), Ordering::AcqRel);
        Ok(dropped)
    }

    /// How many there are. Does not wait for the disk.
    pub(crate) fn dataset_count(&self) -> usize {
        self.datasets.load(Ordering::Acquire)
    }

    /// All of them, newest first.
    pub(crate) fn datasets(&self) -> Result<Vec<DatasetRecord>, RecordsError> {
        let sql = format!("SELECT {COLUMNS} FROM datasets ORDER BY serial DESC");
        self.records.all(&sql, [], read)
    }

    /// One of them.
    pub(crate) fn dataset(&self, id: &DatasetId) -> Result<Option<DatasetRecord>, RecordsError> {
        let sql = format!("SELECT {COLUMNS} FROM datasets WHERE id = ?1");
        self.records.find(&sql, params![id.as_str()], read)
    }
}

/// How many are listed in the file.
pub(super) fn listed(records: &Records) -> Result<usize, RecordsError> {
    let listed = records.one("SELECT count(*) FROM datasets", [], |row| count(row, 0))?;
    usize::try_from(listed).map_err(|_| RecordsError::Damaged(format!("{listed} datasets")))
}

/// The id in the first column.
fn key(row: &Row<'_>) -> Result<DatasetId, RecordsError> {
    let id = text(row, 0)?;
    DatasetId::new(&*id).ok_or_else(|| RecordsError::Damaged(format!("the dataset id {id:?}")))
}

fn read(row: &Row<'_>) -> Result<DatasetRecord, RecordsError> {
    Ok(DatasetRecord {
        id: key(row)?,
        created_at: Timestamp::from_millis(row.get(1).map_err(failed("read"))?),
        trajectories: count(row, 2)?,
        examples: count(row, 3)?,
    })
}
