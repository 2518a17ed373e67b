//! The records of datasets.

use rusqlite::{Row, params};
use trainyard_core::{JobId, Timestamp};
use trainyard_mathfi::{Dataset, DatasetId, DatasetState, NewDataset, Shape, UserId};

use super::Catalog;
use crate::records::{RecordsError, count, failed, id, reason, stored, text};

/// Why a dataset was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatasetRefused {
    #[error("there is a dataset of this name already")]
    Taken,
    #[error("there are {max} datasets already")]
    TooMany { max: u64 },
    #[error(transparent)]
    Failed(#[from] RecordsError),
}

/// How many datasets a user may have, and which of them make room for another one.
pub(crate) struct Places<'a> {
    pub(crate) max: u64,
    /// One without data goes if it was made before this.
    pub(crate) stale_before: Timestamp,
    /// Whose data is on its way just now: it stays.
    pub(crate) is_receiving: &'a dyn Fn(DatasetId) -> bool,
}

const COLUMNS: &str =
    "id, owner, name, description, buckets, created_ms, state, rows, classes, memory_mib, reason";

impl Catalog {
    /// Makes a dataset without data, unless its owner has one of this name. Where the owner has as many as may be, the
    /// oldest goes that has failed, or has got no data for so long, and is handed back; when there is none, it is
    /// refused.
    pub(crate) fn add_dataset(
        &self,
        key: DatasetId,
        new: &NewDataset,
        places: &Places<'_>,
    ) -> Result<Option<DatasetId>, DatasetRefused> {
        let Places { max, stale_before, is_receiving } = *places;
        let NewDataset { owner, name, description, buckets, at } = new;
        let owner = owner.to_string();
        let mut writer = self.0.writer.lock();
        let transaction = writer.transaction().map_err(failed("write"))?;
        let number = |sql, values: &[&dyn rusqlite::ToSql]| {
            transaction.query_row(sql, values, |row| row.get::<_, i64>(0)).map_err(failed("read"))
        };
        if number("SELECT count(*) FROM datasets WHERE owner = ?1 AND name = ?2", &[&owner, name])? > 0 {
            return Err(DatasetRefused::Taken);
        }
        let mut gone = None;
        if number("SELECT count(*) FROM datasets WHERE owner = ?1", &[&owner])? >= stored(max) {
            let sql = "SELECT id FROM datasets WHERE owner = ?1
                AND (state = 'failed' OR (state = 'pending' AND created_ms < ?2)) ORDER BY serial";
            let mut statement = transaction.prepare_cached(sql).map_err(failed("read"))?;
            let mut rows =
                statement.query(params![owner, stale_before.as_millis()]).map_err(failed("read"))?;
            while let (None, Some(row)) = (gone, rows.next().map_err(failed("read"))?) {
                let oldest = self::key(row)?;
                gone = (!is_receiving(oldest)).then_some(oldest);
            }
            let oldest = gone.ok_or(DatasetRefused::TooMany { max })?;
            let sql = "DELETE FROM datasets WHERE id = ?1";
            transaction.execute(sql, params![oldest.to_string()]).map_err(failed("write"))?;
        }
        let sql = "INSERT INTO datasets (id, owner, name, description, buckets, created_ms, state)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending')";
        let values = params![key.to_string(), owner, name, description, buckets, at.as_millis()];
        transaction.execute(sql, values).map_err(failed("write"))?;
        transaction.commit().map_err(failed("write"))?;
        Ok(gone)
    }

    /// All datasets there are, each with whose it is.
    pub(crate) fn owners(&self) -> Result<Vec<(DatasetId, UserId)>, RecordsError> {
        self.0.all("SELECT id, owner FROM datasets", [], |row| Ok((key(row)?, owner(row)?)))
    }

    /// The datasets of a user that have files.
    pub(crate) fn datasets_with_files(&self, owner: UserId) -> Result<Vec<DatasetId>, RecordsError> {
        let sql = "SELECT id FROM datasets WHERE owner = ?1 AND state IN ('processing', 'completed')";
        self.0.all(sql, params![owner.to_string()], key)
    }

    /// All datasets of a user, newest first.
    pub(crate) fn datasets(&self, owner: UserId) -> Result<Vec<Dataset>, RecordsError> {
        let sql = format!("SELECT {COLUMNS} FROM datasets WHERE owner = ?1 ORDER BY serial DESC");
        self.0.all(&sql, params![owner.to_string()], dataset)
    }

    /// A dataset.
    pub(crate) fn dataset(&self, key: DatasetId) -> Result<Option<Dataset>, RecordsError> {
        let sql = format!("SELECT {COLUMNS} FROM datasets WHERE id = ?1");
        self.0.find(&sql, params![key.to_string()], dataset)
    }

    /// The ids of all datasets that are ready.
    pub(crate) fn ready(&self) -> Result<Vec<(DatasetId, u64)>, RecordsError> {
        let sql = "SELECT id, memory_mib FROM datasets WHERE state = 'completed'";
        self.0.all(sql, [], |row| Ok((key(row)?, count(row, 1)?)))
    }

    /// The datasets whose data is being made ready, oldest first, each with the job that does it.
    pub(crate) fn datasets_at_work(&self) -> Result<Vec<(DatasetId, JobId)>, RecordsError> {
        let sql = "SELECT id, job FROM datasets WHERE state = 'processing' ORDER BY serial";
        self.0.all(sql, [], |row| Ok((key(row)?, JobId::new(id("job", &text(row, 1)?)?))))
    }

    /// The data is there; this job makes it ready. False when it had its data already, or is not there.
    pub(crate) fn begin_dataset(&self, key: DatasetId, job: JobId) -> Result<bool, RecordsError> {
        let sql = "UPDATE datasets SET state = 'processing', job = ?2 WHERE id = ?1 AND state = 'pending'";
        self.0.step(sql, params![key.to_string(), job.to_string()])
    }

    /// The data is ready. False when its end was known already.
    pub(crate) fn complete_dataset(&self, key: DatasetId, shape: Shape) -> Result<bool, RecordsError> {
        let sql = "UPDATE datasets SET state = 'completed', rows = ?2, classes = ?3, memory_mib = ?4
            WHERE id = ?1 AND state = 'processing'";
        let Shape { rows, classes, memory_mib } = shape;
        self.0.step(sql, params![key.to_string(), stored(rows), classes, stored(memory_mib)])
    }

    /// The data is of no use. False when its end was known already.
    pub(crate) fn fail_dataset(&self, key: DatasetId, why: &str) -> Result<bool, RecordsError> {
        let sql = "UPDATE datasets SET state = 'failed', reason = ?2 WHERE id = ?1 AND state = 'processing'";
        self.0.step(sql, params![key.to_string(), reason(why)])
    }
}

/// The id in the first column.
fn key(row: &Row<'_>) -> Result<DatasetId, RecordsError> {
    Ok(DatasetId::new(id("dataset id", &text(row, 0)?)?))
}

/// The owner in the second column.
fn owner(row: &Row<'_>) -> Result<UserId, RecordsError> {
    Ok(UserId::new(id("owner", &text(row, 1)?)?))
}

fn dataset(row: &Row<'_>) -> Result<Dataset, RecordsError> {
    let name = text(row, 2)?;
    let state = match text(row, 6)?.as_str() {
        "pending" => DatasetState::Pending,
        "processing" => DatasetState::Processing,
        "completed" => DatasetState::Completed(Shape {
            rows: count(row, 7)?,
            classes: row.get(8).map_err(failed("read"))?,
            memory_mib: count(row, 9)?,
        }),
        "failed" => DatasetState::Failed { reason: text(row, 10)? },
        other => return Err(RecordsError::Damaged(format!("the state {other:?} of {name:?}"))),
    };
    Ok(Dataset {
        id: key(row)?,
        owner: owner(row)?,
        description: row.get(3).map_err(failed("read"))?,
        buckets: row.get(4).map_err(failed("read"))?,
        created_at: Timestamp::from_millis(row.get(5).map_err(failed("read"))?),
        state,
        name,
    })
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

    /// Nobody sends anything; what was made before 1,000 ms is stale.
    fn places(max: u64) -> Places<'static> {
        Places { max, stale_before: Timestamp::from_millis(1_000), is_receiving: &|_| false }
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
        first.add_dataset(key(1), &described, &places(9)).unwrap();
        first.add_dataset(key(2), &new(1, "b"), &places(9)).unwrap();
        first.add_dataset(key(3), &new(2, "a"), &places(9)).unwrap();
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
        catalog.add_dataset(key(1), &new(1, "a"), &places(9)).unwrap();
        assert!(!catalog.complete_dataset(key(1), shape).unwrap(), "it has no data yet");
        assert!(!catalog.fail_dataset(key(1), "no").unwrap());
        assert!(catalog.begin_dataset(key(1), job).unwrap());
        assert!(!catalog.begin_dataset(key(1), job).unwrap(), "of two uploads one wins");
        assert!(catalog.complete_dataset(key(1), shape).unwrap());
        assert!(!catalog.fail_dataset(key(1), "too late").unwrap());
        assert!(!catalog.complete_dataset(key(1), shape).unwrap());
        assert_eq!(catalog.dataset(key(1)).unwrap().unwrap().state, DatasetState::Completed(shape));
        assert_eq!(catalog.ready().unwrap(), [(key(1), 64)]);

        catalog.add_dataset(key(2), &new(1, "b"), &places(9)).unwrap();
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
        catalog.add_dataset(key(1), &new(1, "a"), &places(2)).unwrap();
        assert!(matches!(catalog.add_dataset(key(2), &new(1, "a"), &places(2)), Err(DatasetRefused::Taken)));
        catalog.add_dataset(key(3), &new(1, "b"), &places(2)).unwrap();
        let refused = catalog.add_dataset(key(4), &new(1, "c"), &places(2)).unwrap_err();
        assert!(matches!(refused, DatasetRefused::TooMany { max: 2 }), "{refused}");
        catalog.add_dataset(key(5), &new(2, "a"), &places(2)).unwrap();
        assert_eq!(catalog.datasets(user(1)).unwrap().len(), 2);
    }

    #[test]
    fn what_has_failed_or_never_got_data_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = catalog(folder.path());
        let at = |millis, name| NewDataset { at: Timestamp::from_millis(millis), ..new(1, name) };
        for (n, name, millis) in [(1, "a", 2_000), (2, "b", 900), (3, "c", 1_000), (4, "d", 2_000)] {
            assert_eq!(catalog.add_dataset(key(n), &at(millis, name), &places(9)).unwrap(), None);
        }
        for n in [1, 4] {
            assert!(catalog.begin_dataset(key(n), JobId::from_u128(n)).unwrap());
        }
        let add = |n, name, places: &Places<'_>| catalog.add_dataset(key(n), &at(2_000, name), places);
        let receiving = Places { is_receiving: &|id| id == key(2), ..places(4) };
        assert!(matches!(add(5, "e", &receiving), Err(DatasetRefused::TooMany { max: 4 })));
        assert!(catalog.fail_dataset(key(4), "no").unwrap());
        assert!(
            matches!(add(5, "d", &places(4)), Err(DatasetRefused::Taken)),
            "a name is taken while it is there"
        );
        assert_eq!(add(5, "e", &receiving).unwrap(), Some(key(4)));
        assert_eq!(add(6, "d", &places(4)).unwrap(), Some(key(2)), "the oldest, and its name was free");
        assert_eq!(catalog.dataset(key(2)).unwrap(), None);
        assert!(
            matches!(add(7, "f", &places(4)), Err(DatasetRefused::TooMany { max: 4 })),
            "what is new stays"
        );
        let mut owners = catalog.owners().unwrap();
        owners.sort();
        assert_eq!(owners, [1, 3, 5, 6].map(|n| (key(n), user(1))));
        assert_eq!(catalog.datasets_with_files(user(1)).unwrap(), [key(1)]);
        assert_eq!(catalog.datasets_with_files(user(2)).unwrap(), []);
    }
}
