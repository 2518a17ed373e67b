//! The records of datasets.

use rusqlite::{OptionalExtension, Row, params};
use trainyard_core::{JobId, Timestamp};
use trainyard_mathfi::{Dataset, DatasetId, DatasetState, NewDataset, Shape, UserId};

use super::{Catalog, CatalogError, failed, id, reason, stored};

/// Why a dataset was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatasetRefused {
    #[error("there is a dataset of this name already")]
    Taken,
    #[error("there are {max} datasets already")]
    TooMany { max: u64 },
    #[error(transparent)]
    Failed(#[from] CatalogError),
}

const COLUMNS: &str =
    "id, owner, name, description, buckets, created_ms, state, rows, classes, memory_mib, reason";

impl Catalog {
    /// Makes a dataset without data, unless its owner has one of this name, or `max` of them.
    pub(crate) fn add_dataset(
        &self,
        key: DatasetId,
        new: &NewDataset,
        max: u64,
    ) -> Result<(), DatasetRefused> {
        let NewDataset { owner, name, description, buckets, at } = new;
        let owner = owner.to_string();
        let mut writer = self.writer.lock();
        let transaction = writer.transaction().map_err(failed("write"))?;
        let count = |sql, values: &[&dyn rusqlite::ToSql]| {
            transaction.query_row(sql, values, |row| row.get::<_, i64>(0)).map_err(failed("read"))
        };
        if count("SELECT count(*) FROM datasets WHERE owner = ?1 AND name = ?2", &[&owner, name])? > 0 {
            return Err(DatasetRefused::Taken);
        }
        if count("SELECT count(*) FROM datasets WHERE owner = ?1", &[&owner])? >= stored(max) {
            return Err(DatasetRefused::TooMany { max });
        }
        let sql = "INSERT INTO datasets (id, owner, name, description, buckets, created_ms, state)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending')";
        let values = params![key.to_string(), owner, name, description, buckets, at.as_millis()];
        transaction.execute(sql, values).map_err(failed("write"))?;
        transaction.commit().map_err(failed("write"))?;
        Ok(())
    }

    /// All datasets of a user, newest first.
    pub(crate) fn datasets(&self, owner: UserId) -> Result<Vec<Dataset>, CatalogError> {
        let sql = format!("SELECT {COLUMNS} FROM datasets WHERE owner = ?1 ORDER BY serial DESC");
        let reader = self.reader.lock();
        let mut statement = reader.prepare_cached(&sql).map_err(failed("read"))?;
        let mut rows = statement.query(params![owner.to_string()]).map_err(failed("read"))?;
        let mut datasets = Vec::new();
        while let Some(row) = rows.next().map_err(failed("read"))? {
            datasets.push(dataset(row)?);
        }
        Ok(datasets)
    }

    /// A dataset.
    pub(crate) fn dataset(&self, key: DatasetId) -> Result<Option<Dataset>, CatalogError> {
        let sql = format!("SELECT {COLUMNS} FROM datasets WHERE id = ?1");
        let reader = self.reader.lock();
        let mut statement = reader.prepare_cached(&sql).map_err(failed("read"))?;
        let found = statement.query_row(params![key.to_string()], |row| Ok(dataset(row))).optional();
        found.map_err(failed("read"))?.transpose()
    }

    /// The ids of all datasets that are ready.
    pub(crate) fn ready(&self) -> Result<Vec<(DatasetId, u64)>, CatalogError> {
        let sql = "SELECT id, memory_mib FROM datasets WHERE state = 'completed'";
        let reader = self.reader.lock();
        let mut statement = reader.prepare(sql).map_err(failed("read"))?;
        let mut rows = statement.query([]).map_err(failed("read"))?;
        let mut ready = Vec::new();
        while let Some(row) = rows.next().map_err(failed("read"))? {
            let text: String = row.get(0).map_err(failed("read"))?;
            ready.push((DatasetId::new(id("dataset id", &text)?), number(row, 1)?));
        }
        Ok(ready)
    }

    /// The datasets whose data is being made ready, oldest first, each with the job that does it.
    pub(crate) fn datasets_at_work(&self) -> Result<Vec<(DatasetId, JobId)>, CatalogError> {
        let at_work =
            self.at_work("SELECT id, job FROM datasets WHERE state = 'processing' ORDER BY serial")?;
        Ok(at_work.into_iter().map(|(id, job)| (DatasetId::new(id), JobId::new(job))).collect())
    }

    /// The data is there; this job makes it ready. False when it had its data already, or is not there.
    pub(crate) fn begin_dataset(&self, key: DatasetId, job: JobId) -> Result<bool, CatalogError> {
        let sql = "UPDATE datasets SET state = 'processing', job = ?2 WHERE id = ?1 AND state = 'pending'";
        self.step(sql, params![key.to_string(), job.to_string()])
    }

    /// The data is ready. False when its end was known already.
    pub(crate) fn complete_dataset(&self, key: DatasetId, shape: Shape) -> Result<bool, CatalogError> {
        let sql = "UPDATE datasets SET state = 'completed', rows = ?2, classes = ?3, memory_mib = ?4
            WHERE id = ?1 AND state = 'processing'";
        let Shape { rows, classes, memory_mib } = shape;
        self.step(sql, params![key.to_string(), stored(rows), classes, stored(memory_mib)])
    }

    /// The data is of no use. False when its end was known already.
    pub(crate) fn fail_dataset(&self, key: DatasetId, why: &str) -> Result<bool, CatalogError> {
        let sql = "UPDATE datasets SET state = 'failed', reason = ?2 WHERE id = ?1 AND state = 'processing'";
        self.step(sql, params![key.to_string(), reason(why)])
    }

    pub(super) fn at_work(&self, sql: &str) -> Result<Vec<(uuid::Uuid, uuid::Uuid)>, CatalogError> {
        let reader = self.reader.lock();
        let mut statement = reader.prepare_cached(sql).map_err(failed("read"))?;
        let mut rows = statement.query([]).map_err(failed("read"))?;
        let mut at_work = Vec::new();
        while let Some(row) = rows.next().map_err(failed("read"))? {
            let text = |column| row.get::<_, String>(column).map_err(failed("read"));
            at_work.push((id("id", &text(0)?)?, id("job id", &text(1)?)?));
        }
        Ok(at_work)
    }

    /// Takes one step of one record, and says whether there was one to take.
    pub(super) fn step(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<bool, CatalogError> {
        Ok(self.writer.lock().execute(sql, values).map_err(failed("write"))? == 1)
    }
}

fn dataset(row: &Row<'_>) -> Result<Dataset, CatalogError> {
    let text = |column| row.get::<_, String>(column).map_err(failed("read"));
    let name = text(2)?;
    let state = match text(6)?.as_str() {
        "pending" => DatasetState::Pending,
        "processing" => DatasetState::Processing,
        "completed" => DatasetState::Completed(Shape {
            rows: number(row, 7)?,
            classes: row.get(8).map_err(failed("read"))?,
            memory_mib: number(row, 9)?,
        }),
        "failed" => DatasetState::Failed { reason: text(10)? },
        other => return Err(CatalogError::Damaged(format!("the state {other:?} of {name:?}"))),
    };
    Ok(Dataset {
        id: DatasetId::new(id("dataset id", &text(0)?)?),
        owner: UserId::new(id("owner", &text(1)?)?),
        description: row.get(3).map_err(failed("read"))?,
        buckets: row.get(4).map_err(failed("read"))?,
        created_at: Timestamp::from_millis(row.get(5).map_err(failed("read"))?),
        state,
        name,
    })
}

fn number(row: &Row<'_>, column: usize) -> Result<u64, CatalogError> {
    let number: i64 = row.get(column).map_err(failed("read"))?;
    u64::try_from(number).map_err(|_| CatalogError::Damaged(format!("the number {number}")))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::mathfi::catalog::{Origin, UserRecord};
    use crate::mathfi::passwords::Phc;

    fn key(n: u128) -> DatasetId {
        DatasetId::new(Uuid::from_u128(n))
    }

    fn user(n: u128) -> UserId {
        UserId::new(Uuid::from_u128(n))
    }

    fn new(owner: u128, name: &str) -> NewDataset {
        let at = Timestamp::from_millis(1_700_000_000_000);
        NewDataset { owner: user(owner), name: name.to_owned(), description: None, buckets: 20, at }
    }

    fn catalog(folder: &std::path::Path) -> Catalog {
        let catalog = Catalog::open(&folder.join("catalog.sqlite")).unwrap();
        for n in [1, 2] {
            let (name, password) = (format!("user {n}"), Phc::stored("none".to_owned()));
            let (stamp, origin) = (trainyard_mathfi::Stamp(7), Origin::Configured);
            catalog.put_user(&UserRecord { id: user(n), name, password, stamp, origin }).unwrap();
        }
        catalog
    }

    #[test]
    fn what_is_written_is_there_when_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let first = catalog(folder.path());
        let described = NewDataset { description: Some("ä".to_owned()), buckets: 1_000, ..new(1, "a") };
        first.add_dataset(key(1), &described, 9).unwrap();
        first.add_dataset(key(2), &new(1, "b"), 9).unwrap();
        first.add_dataset(key(3), &new(2, "a"), 9).unwrap();
        assert!(first.begin_dataset(key(1), JobId::from_u128(7)).unwrap());
        drop(first);
        let again = catalog(folder.path());
        assert_eq!(again.datasets_at_work().unwrap(), [(key(1), JobId::from_u128(7))]);
        let [b, a] = &again.datasets(user(1)).unwrap()[..] else { panic!("two, newest first") };
        assert_eq!((b.id, a.id, a.buckets, a.description.as_deref()), (key(2), key(1), 1_000, Some("ä")));
        assert_eq!((a.created_at, &a.state), (described.at, &DatasetState::Processing));
        assert_eq!(again.dataset(key(3)).unwrap().unwrap().owner, user(2));
        assert_eq!(again.dataset(key(4)).unwrap(), None);
    }

    #[test]
    fn states_never_go_back() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = catalog(folder.path());
        let shape = Shape { rows: 150, classes: 3, memory_mib: 64 };
        let job = JobId::from_u128(1);
        catalog.add_dataset(key(1), &new(1, "a"), 9).unwrap();
        assert!(!catalog.complete_dataset(key(1), shape).unwrap(), "it has no data yet");
        assert!(!catalog.fail_dataset(key(1), "no").unwrap());
        assert!(catalog.begin_dataset(key(1), job).unwrap());
        assert!(!catalog.begin_dataset(key(1), job).unwrap(), "of two uploads one wins");
        assert!(catalog.complete_dataset(key(1), shape).unwrap());
        assert!(!catalog.fail_dataset(key(1), "too late").unwrap());
        assert!(!catalog.complete_dataset(key(1), shape).unwrap());
        assert_eq!(catalog.dataset(key(1)).unwrap().unwrap().state, DatasetState::Completed(shape));
        assert_eq!(catalog.ready().unwrap(), [(key(1), 64)]);

        catalog.add_dataset(key(2), &new(1, "b"), 9).unwrap();
        assert!(catalog.begin_dataset(key(2), job).unwrap());
        assert!(catalog.fail_dataset(key(2), "one class only").unwrap());
        assert!(!catalog.complete_dataset(key(2), shape).unwrap());
        let DatasetState::Failed { reason } = catalog.dataset(key(2)).unwrap().unwrap().state else {
            panic!()
        };
        assert_eq!(reason, "one class only");
        assert!(!catalog.begin_dataset(key(9), job).unwrap(), "there is no such dataset");
    }

    #[test]
    fn names_and_numbers_are_bounded_per_user() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = catalog(folder.path());
        catalog.add_dataset(key(1), &new(1, "a"), 2).unwrap();
        assert!(matches!(catalog.add_dataset(key(2), &new(1, "a"), 2), Err(DatasetRefused::Taken)));
        catalog.add_dataset(key(3), &new(1, "b"), 2).unwrap();
        let refused = catalog.add_dataset(key(4), &new(1, "c"), 2).unwrap_err();
        assert!(matches!(refused, DatasetRefused::TooMany { max: 2 }), "{refused}");
        catalog.add_dataset(key(5), &new(2, "a"), 2).unwrap();
        assert_eq!(catalog.datasets(user(1)).unwrap().len(), 2);
    }
}
