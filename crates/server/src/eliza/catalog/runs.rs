//! The records of runs.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rusqlite::{Row, params};
use trainyard_core::JobId;
use trainyard_eliza::Backend;

use super::Catalog;
use crate::records::{RecordsError, count, failed, id, stored, text};

/// What is known of a run beside what the yard knows, without its log.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct RunRecord {
    pub(crate) phase: Option<String>,
    pub(crate) fraction: Option<f64>,
    pub(crate) iteration: Option<u64>,
    pub(crate) iterations: Option<u64>,
    pub(crate) loss: Option<f64>,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) log: Option<PathBuf>,
    pub(crate) program: Option<PathBuf>,
    pub(crate) backend: Option<Backend>,
    /// The model it starts from.
    pub(crate) model: Option<String>,
}

impl Catalog {
    /// Notes how a run stands. Its fraction never falls, whatever is said.
    pub(crate) fn put_run(&self, job: JobId, run: &RunRecord) -> Result<(), RecordsError> {
        let RunRecord {
            phase,
            fraction,
            iteration,
            iterations,
            loss,
            exit_code,
            signal,
            folder,
            log,
            program,
            backend,
            model,
        } = run;
        let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
        let sql = "INSERT INTO runs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
            ON CONFLICT DO UPDATE SET phase = ?2,
                fraction = max(coalesce(fraction, ?3), coalesce(?3, fraction)),
                iteration = ?4, iterations = ?5, loss = ?6, exit_code = ?7, signal = ?8, folder = ?9, log = ?10,
                program = ?11, backend = ?12, model = ?13";
        let values = params![
            job.to_string(),
            phase,
            fraction,
            iteration.map(stored),
            iterations.map(stored),
            loss,
            exit_code,
            signal,
            shown(folder),
            shown(log),
            shown(program),
            backend.map(Backend::as_str),
            model,
        ];
        let _changing = self.noted.change();
        self.records.step(sql, values).map(drop)
    }

    /// How a run stands; `None` when nothing was noted.
    pub(crate) fn run(&self, job: JobId) -> Result<Option<RunRecord>, RecordsError> {
        let sql =
            "SELECT phase, fraction, iteration, iterations, loss, exit_code, signal, folder, log, program, backend, model
            FROM runs WHERE job = ?1";
        self.records.find(sql, params![job.to_string()], read)
    }

    /// The number of the model that this job makes: given once, and never to another one.
    pub(crate) fn make_version(&self, job: JobId) -> Result<(), RecordsError> {
        let sql =
            "INSERT INTO versions (job) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM versions WHERE job = ?1)";
        let _changing = self.noted.change();
        self.records.step(sql, params![job.to_string()]).map(drop)
    }

    /// The same, if it was given.
    pub(crate) fn version(&self, job: JobId) -> Result<Option<u64>, RecordsError> {
        let sql = "SELECT serial FROM versions WHERE job = ?1";
        self.records.find(sql, params![job.to_string()], |row| count(row, 0))
    }

    /// The jobs of whose runs something was noted.
    pub(crate) fn noted_runs(&self) -> Result<BTreeSet<JobId>, RecordsError> {
        let read = |row: &Row<'_>| Ok(JobId::new(id("job", &text(row, 0)?)?));
        Ok(self.records.all("SELECT job FROM runs", [], read)?.into_iter().collect())
    }

    /// Forgets what was noted of the runs of these jobs.
    pub(crate) fn forget_runs(&self, jobs: &BTreeSet<JobId>) -> Result<(), RecordsError> {
        let jobs = jobs.iter().map(ToString::to_string);
        let _changing = self.noted.change();
        self.forget_all(&["DELETE FROM versions WHERE job = ?1", "DELETE FROM runs WHERE job = ?1"], jobs)
    }
}

fn read(row: &Row<'_>) -> Result<RunRecord, RecordsError> {
    let number = |column: usize| {
        let found: Option<i64> = row.get(column).map_err(failed("read"))?;
        found.map(|_| count(row, column)).transpose()
    };
    let path = |column: usize| {
        let found: Option<String> = row.get(column).map_err(failed("read"))?;
        Ok(found.map(PathBuf::from))
    };
    let backend: Option<String> = row.get(10).map_err(failed("read"))?;
    let unknown = |word: String| {
        Backend::of(&word).ok_or_else(|| RecordsError::Damaged(format!("the backend {word:?}")))
    };
    Ok(RunRecord {
        phase: row.get(0).map_err(failed("read"))?,
        fraction: row.get(1).map_err(failed("read"))?,
        iteration: number(2)?,
        iterations: number(3)?,
        loss: row.get(4).map_err(failed("read"))?,
        exit_code: row.get(5).map_err(failed("read"))?,
        signal: row.get(6).map_err(failed("read"))?,
        folder: path(7)?,
        log: path(8)?,
        program: path(9)?,
        backend: backend.map(unknown).transpose()?,
        model: row.get(11).map_err(failed("read"))?,
    })
}
