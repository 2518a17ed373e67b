//! The records of models.

use std::collections::BTreeSet;

use rusqlite::{Row, params};
use trainyard_core::{ModelId, Score, Timestamp};
use trainyard_eliza::{Benchmark, Imported, Scores};

use super::Catalog;
use crate::records::{RecordsError, failed, id, text};

/// What has been done with a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ModelRecord {
    pub(crate) imported: Option<Imported>,
    pub(crate) provider_model: Option<String>,
    pub(crate) benchmark: Option<Benchmark>,
}

impl Catalog {
    /// What has been done with a model so far.
    pub(crate) fn model(&self, model: ModelId) -> Result<ModelRecord, RecordsError> {
        let sql = "SELECT imported_name, imported_ms, provider_model, is_passed, coherence, consistency, helpfulness,
            output, benchmarked_ms FROM models WHERE model = ?1";
        Ok(self.records.find(sql, params![model.to_string()], read)?.unwrap_or_default())
    }

    /// It was imported.
    pub(crate) fn note_import(&self, model: ModelId, imported: &Imported) -> Result<(), RecordsError> {
        let sql = "INSERT INTO models (model, imported_name, imported_ms) VALUES (?1, ?2, ?3)
            ON CONFLICT DO UPDATE SET imported_name = ?2, imported_ms = ?3";
        let values = params![model.to_string(), imported.name, imported.at.as_millis()];
        let _changing = self.noted.change();
        self.records.step(sql, values).map(drop)
    }

    /// The agent is to use it under this name.
    pub(crate) fn note_provider_model(&self, model: ModelId, name: &str) -> Result<(), RecordsError> {
        let sql = "INSERT INTO models (model, provider_model) VALUES (?1, ?2)
            ON CONFLICT DO UPDATE SET provider_model = ?2";
        let _changing = self.noted.change();
        self.records.step(sql, params![model.to_string(), name]).map(drop)
    }

    /// It was measured.
    pub(crate) fn note_benchmark(&self, model: ModelId, benchmark: &Benchmark) -> Result<(), RecordsError> {
        let Benchmark { is_passed, scores, output, at } = benchmark;
        let figure = |of: fn(Scores) -> Score| scores.map(|scores| of(scores).get());
        let sql = "INSERT INTO models
                (model, is_passed, coherence, consistency, helpfulness, output, benchmarked_ms)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT DO UPDATE SET is_passed = ?2, coherence = ?3, consistency = ?4, helpfulness = ?5, output = ?6,
                benchmarked_ms = ?7";
        let values = params![
            model.to_string(),
            is_passed,
            figure(|scores| scores.coherence),
            figure(|scores| scores.consistency),
            figure(|scores| scores.helpfulness),
            output,
            at.as_millis(),
        ];
        let _changing = self.noted.change();
        self.records.step(sql, values).map(drop)
    }

    /// The models of which something was noted.
    pub(crate) fn noted_models(&self) -> Result<BTreeSet<ModelId>, RecordsError> {
        let read = |row: &Row<'_>| Ok(ModelId::new(id("model", &text(row, 0)?)?));
        Ok(self.records.all("SELECT model FROM models", [], read)?.into_iter().collect())
    }

    /// Forgets what was noted of these models.
    pub(crate) fn forget_models(&self, models: &BTreeSet<ModelId>) -> Result<(), RecordsError> {
        if models.is_empty() {
            return Ok(());
        }
        let models = models.iter().map(ToString::to_string);
        let _changing = self.noted.change();
        self.forget_all(&["DELETE FROM models WHERE model = ?1"], models)
    }
}

fn read(row: &Row<'_>) -> Result<ModelRecord, RecordsError> {
    let (name, imported): (Option<String>, Option<i64>) =
        (row.get(0).map_err(failed("read"))?, row.get(1).map_err(failed("read"))?);
    let imported = name.zip(imported);
    let imported = imported.map(|(name, at)| Imported { name, at: Timestamp::from_millis(at) });
    let is_passed: Option<bool> = row.get(3).map_err(failed("read"))?;
    let at: Option<i64> = row.get(8).map_err(failed("read"))?;
    let figure = |column: usize| {
        let found: Option<f64> = row.get(column).map_err(failed("read"))?;
        let no_score = |_| RecordsError::Damaged("a figure of a benchmark".to_owned());
        found.map(|figure| Score::new(figure).map_err(no_score)).transpose()
    };
    let scores = match (figure(4)?, figure(5)?, figure(6)?) {
        (Some(coherence), Some(consistency), Some(helpfulness)) => {
            Some(Scores { coherence, consistency, helpfulness })
        }
        (_, _, _) => None,
    };
    let output = row.get::<_, Option<String>>(7).map_err(failed("read"))?.unwrap_or_default();
    let benchmark = is_passed.zip(at).map(|(is_passed, at)| {
        let at = Timestamp::from_millis(at);
        Benchmark { is_passed, scores, output, at }
    });
    Ok(ModelRecord { imported, provider_model: row.get(2).map_err(failed("read"))?, benchmark })
}
