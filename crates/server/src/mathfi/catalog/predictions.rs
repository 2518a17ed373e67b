//! The records of predictions.

use rusqlite::{OptionalExtension, Row, params};
use trainyard_core::{JobId, ModelId};
use trainyard_mathfi::{Prediction, PredictionId, PredictionState, UserId};

use super::Catalog;
use crate::records::{RecordsError, failed, id, reason, stored, text};

/// A prediction to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewPrediction {
    pub(crate) id: PredictionId,
    pub(crate) owner: UserId,
    pub(crate) model: ModelId,
    /// That makes it.
    pub(crate) job: JobId,
}

/// Why a prediction was not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PredictionRefused {
    #[error("{max} predictions are at work already")]
    TooMany { max: u64 },
    #[error(transparent)]
    Failed(#[from] RecordsError),
}

const COLUMNS: &str = "id, owner, model, state, reason";

impl Catalog {
    /// Lets a prediction in. Where its owner has `max` of them already, the oldest one that has ended goes, which is
    /// handed back; when none has ended, it is refused.
    pub(crate) fn add_prediction(
        &self,
        new: NewPrediction,
        max: u64,
    ) -> Result<Option<PredictionId>, PredictionRefused> {
        let NewPrediction { id: key, owner, model, job } = new;
        let owner = owner.to_string();
        let mut writer = self.0.writer.lock();
        let transaction = writer.transaction().map_err(failed("write"))?;
        let sql = "SELECT count(*) FROM predictions WHERE owner = ?1";
        let count: i64 =
            transaction.query_row(sql, params![owner], |row| row.get(0)).map_err(failed("read"))?;
        let mut gone = None;
        if count >= stored(max) {
            let sql = "DELETE FROM predictions WHERE serial =
                (SELECT min(serial) FROM predictions
                    WHERE owner = ?1 AND state NOT IN ('pending', 'running'))
                RETURNING id";
            let oldest: Option<String> = transaction
                .query_row(sql, params![owner], |row| row.get(0))
                .optional()
                .map_err(failed("write"))?;
            let oldest = oldest.ok_or(PredictionRefused::TooMany { max })?;
            gone = Some(PredictionId::new(id("prediction id", &oldest)?));
        }
        let sql = "INSERT INTO predictions (id, owner, model, state, job) VALUES (?1, ?2, ?3, 'pending', ?4)";
        let values = params![key.to_string(), owner, model.to_string(), job.to_string()];
        transaction.execute(sql, values).map_err(failed("write"))?;
        transaction.commit().map_err(failed("write"))?;
        Ok(gone)
    }

    /// A prediction.
    pub(crate) fn prediction(&self, key: PredictionId) -> Result<Option<Prediction>, RecordsError> {
        let sql = format!("SELECT {COLUMNS} FROM predictions WHERE id = ?1");
        self.0.find(&sql, params![key.to_string()], prediction)
    }

    /// The ids of all predictions that have a result.
    pub(crate) fn results(&self) -> Result<Vec<PredictionId>, RecordsError> {
        self.0.all("SELECT id FROM predictions WHERE state = 'completed'", [], key)
    }

    /// The predictions of a user that have files.
    pub(crate) fn predictions_with_files(&self, owner: UserId) -> Result<Vec<PredictionId>, RecordsError> {
        let sql = "SELECT id FROM predictions
            WHERE owner = ?1 AND state IN ('pending', 'running', 'completed')";
        self.0.all(sql, params![owner.to_string()], key)
    }

    /// The predictions that have not ended, oldest first, each with the job that makes it.
    pub(crate) fn predictions_at_work(&self) -> Result<Vec<(PredictionId, JobId)>, RecordsError> {
        let sql = "SELECT id, job FROM predictions WHERE state IN ('pending', 'running') ORDER BY serial";
        self.0.all(sql, [], |row| Ok((key(row)?, JobId::new(id("job", &text(row, 1)?)?))))
    }

    /// It is at work. False when it was already, or has ended.
    pub(crate) fn start_prediction(&self, key: PredictionId) -> Result<bool, RecordsError> {
        let sql = "UPDATE predictions SET state = 'running' WHERE id = ?1 AND state = 'pending'";
        self.0.step(sql, params![key.to_string()])
    }

    /// There is a result. False when its end was known already, or it is gone.
    pub(crate) fn complete_prediction(&self, key: PredictionId) -> Result<bool, RecordsError> {
        self.end_prediction(key, "completed", None)
    }

    /// It broke. False as in [`Catalog::complete_prediction`].
    pub(crate) fn fail_prediction(&self, key: PredictionId, why: &str) -> Result<bool, RecordsError> {
        self.end_prediction(key, "failed", Some(reason(why)))
    }

    /// It took too long. False as in [`Catalog::complete_prediction`].
    pub(crate) fn time_out_prediction(&self, key: PredictionId) -> Result<bool, RecordsError> {
        self.end_prediction(key, "timed_out", None)
    }

    fn end_prediction(
        &self,
        key: PredictionId,
        state: &str,
        why: Option<&str>,
    ) -> Result<bool, RecordsError> {
        let sql = "UPDATE predictions SET state = ?2, reason = ?3
            WHERE id = ?1 AND state IN ('pending', 'running')";
        self.0.step(sql, params![key.to_string(), state, why])
    }
}

/// The id in the first column.
fn key(row: &Row<'_>) -> Result<PredictionId, RecordsError> {
    Ok(PredictionId::new(id("prediction id", &text(row, 0)?)?))
}

fn prediction(row: &Row<'_>) -> Result<Prediction, RecordsError> {
    let key = key(row)?;
    let state = match text(row, 3)?.as_str() {
        "pending" => PredictionState::Pending,
        "running" => PredictionState::Running,
        "completed" => PredictionState::Completed,
        "failed" => PredictionState::Failed { reason: text(row, 4)? },
        "timed_out" => PredictionState::TimedOut,
        other => return Err(RecordsError::Damaged(format!("the state {other:?} of prediction {key}"))),
    };
    Ok(Prediction {
        id: key,
        owner: UserId::new(id("owner", &text(row, 1)?)?),
        model: ModelId::new(id("model id", &text(row, 2)?)?),
        state,
    })
}

#[cfg(test)]
mod tests {
    use trainyard_mathfi::Stamp;
    use uuid::Uuid;

    use super::*;
    use crate::mathfi::catalog::{Origin, UserRecord};
    use crate::mathfi::passwords::Phc;

    fn key(n: u128) -> PredictionId {
        PredictionId::new(Uuid::from_u128(n))
    }

    fn owner() -> UserId {
        UserId::new(Uuid::from_u128(1))
    }

    fn new(n: u128) -> NewPrediction {
        let (model, job) = (ModelId::from_u128(5), JobId::from_u128(n));
        NewPrediction { id: key(n), owner: owner(), model, job }
    }

    fn catalog(folder: &std::path::Path) -> Catalog {
        let catalog = Catalog::open(&folder.join("catalog.sqlite")).unwrap();
        let (name, password) = ("a".to_owned(), Phc::stored("none".to_owned()));
        let origin = Origin::Made;
        catalog.put_user(&UserRecord { id: owner(), name, password, stamp: Stamp(1), origin }).unwrap();
        catalog
    }

    #[test]
    fn states_never_go_back() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = catalog(folder.path());
        let state = |n| catalog.prediction(key(n)).unwrap().unwrap().state;
        for n in 1..=3 {
            assert_eq!(catalog.add_prediction(new(n), 9).unwrap(), None);
            assert_eq!(state(n), PredictionState::Pending);
        }
        assert!(catalog.start_prediction(key(1)).unwrap());
        assert!(!catalog.start_prediction(key(1)).unwrap());
        assert_eq!(state(1), PredictionState::Running);
        assert!(catalog.complete_prediction(key(1)).unwrap());
        assert!(!catalog.time_out_prediction(key(1)).unwrap(), "it was in time");
        assert!(!catalog.start_prediction(key(1)).unwrap());
        assert_eq!(state(1), PredictionState::Completed);
        assert!(catalog.time_out_prediction(key(2)).unwrap());
        assert!(!catalog.complete_prediction(key(2)).unwrap());
        assert_eq!(state(2), PredictionState::TimedOut);
        assert_eq!(catalog.predictions_at_work().unwrap(), [(key(3), JobId::from_u128(3))]);
        assert!(catalog.fail_prediction(key(3), "other columns").unwrap());
        assert_eq!(state(3), PredictionState::Failed { reason: "other columns".to_owned() });
        assert_eq!(catalog.results().unwrap(), [key(1)]);
        assert_eq!(catalog.prediction(key(9)).unwrap(), None);
    }

    #[test]
    fn of_too_many_the_oldest_that_has_ended_goes() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = catalog(folder.path());
        for n in 1..=3 {
            catalog.add_prediction(new(n), 3).unwrap();
        }
        let refused = catalog.add_prediction(new(4), 3).unwrap_err();
        assert!(matches!(refused, PredictionRefused::TooMany { max: 3 }), "{refused}");
        catalog.fail_prediction(key(3), "no").unwrap();
        catalog.complete_prediction(key(2)).unwrap();
        assert_eq!(catalog.add_prediction(new(4), 3).unwrap(), Some(key(2)));
        assert_eq!(catalog.prediction(key(2)).unwrap(), None);
        assert_eq!(catalog.add_prediction(new(5), 3).unwrap(), Some(key(3)));
        assert!(catalog.add_prediction(new(6), 3).is_err());
    }
}
