//! The record of how auto-training is configured.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use trainyard_eliza::{AutoConfig, Backend, TaskConfig};

use super::Catalog;
use super::trajectories::task;
use crate::records::{RecordsError, count, failed, stored, text};

impl Catalog {
    /// As it was stored last; the default before.
    pub(crate) fn auto_config(&self) -> Result<AutoConfig, RecordsError> {
        let mut reader = self.records.reader.lock();
        // Of one moment, though in two looks.
        let reader = reader.transaction().map_err(failed("read"))?;
        let sql = "SELECT is_enabled, threshold, cooldown_ms FROM auto";
        let read = |row: &Row<'_>| Ok((row.get(0)?, count(row, 1), count(row, 2)));
        let found: Option<(bool, _, _)> =
            reader.query_row(sql, [], read).optional().map_err(failed("read"))?;
        let Some((is_enabled, threshold, cooldown)) = found else { return Ok(AutoConfig::default()) };
        let sql = "SELECT task, threshold, cooldown_ms, backend FROM auto_tasks";
        let mut statement = reader.prepare_cached(sql).map_err(failed("read"))?;
        let rows = statement.query_map([], |row| Ok(task_config(row))).map_err(failed("read"))?;
        let overrides: Result<BTreeMap<_, _>, _> = rows.map(|row| row.map_err(failed("read"))?).collect();
        Ok(AutoConfig {
            is_enabled,
            threshold: threshold?,
            cooldown: Duration::from_millis(cooldown?),
            overrides: overrides?,
        })
    }

    /// Stores it, as a whole.
    pub(crate) fn set_auto_config(&self, config: &AutoConfig) -> Result<(), RecordsError> {
        let AutoConfig { is_enabled, threshold, cooldown, overrides } = config;
        let mut writer = self.records.writer.lock();
        let transaction = writer.transaction().map_err(failed("write"))?;
        let sql = "INSERT OR REPLACE INTO auto VALUES (1, ?1, ?2, ?3)";
        let values = params![is_enabled, stored(*threshold), millis(*cooldown)];
        transaction.execute(sql, values).map_err(failed("write"))?;
        transaction.execute("DELETE FROM auto_tasks", []).map_err(failed("write"))?;
        for (task, TaskConfig { threshold, cooldown, backend }) in overrides {
            let sql = "INSERT INTO auto_tasks VALUES (?1, ?2, ?3, ?4)";
            let values = params![
                task.as_str(),
                threshold.map(stored),
                cooldown.map(millis),
                backend.map(Backend::as_str)
            ];
            transaction.execute(sql, values).map_err(failed("write"))?;
        }
        transaction.commit().map_err(failed("write"))
    }
}

/// Whether completed trajectories are counted now.
pub(super) fn is_enabled(transaction: &Transaction<'_>) -> Result<bool, RecordsError> {
    let found = transaction.query_row("SELECT is_enabled FROM auto", [], |row| row.get(0)).optional();
    Ok(found.map_err(failed("read"))?.unwrap_or(AutoConfig::default().is_enabled))
}

fn task_config(row: &Row<'_>) -> Result<(trainyard_eliza::Task, TaskConfig), RecordsError> {
    let there = |column: usize| {
        let found: Option<i64> = row.get(column).map_err(failed("read"))?;
        found.map(|_| count(row, column)).transpose()
    };
    let backend: Option<String> = row.get(3).map_err(failed("read"))?;
    let unknown = |word: String| {
        Backend::of(&word).ok_or_else(|| RecordsError::Damaged(format!("the backend {word:?}")))
    };
    let config = TaskConfig {
        threshold: there(1)?,
        cooldown: there(2)?.map(Duration::from_millis),
        backend: backend.map(unknown).transpose()?,
    };
    Ok((task(&text(row, 0)?)?, config))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
