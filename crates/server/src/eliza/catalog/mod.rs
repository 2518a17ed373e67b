//! Trajectories, datasets, and what is known of runs and models beside the yard, durably.

mod auto;
mod datasets;
mod models;
mod runs;
mod trajectories;

use std::path::Path;
use std::sync::atomic::AtomicUsize;

use parking_lot::Mutex;

pub(crate) use self::datasets::{DatasetRecord, DatasetRefused};
pub(crate) use self::runs::RunRecord;
use self::trajectories::Kept;
pub(crate) use self::trajectories::{Bounds, NewTrajectory, NotTaken};
use crate::editions::Editions;
use crate::records::{Records, RecordsError, count, failed};

/// Of the tables below; stored as `user_version`.
const FORMAT: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE trajectories (
        -- the order in which they came first
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        agent TEXT NOT NULL,
        source TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('active', 'completed', 'error', 'timeout')),
        archetype TEXT,
        llm_calls INTEGER NOT NULL,
        provider_accesses INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        total_reward REAL,
        judge_reward REAL,
        episode_length INTEGER,
        started_ms INTEGER NOT NULL,
        ended_ms INTEGER,
        created_ms INTEGER NOT NULL,
        -- how long the document is
        bytes INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX trajectories_over ON trajectories (serial) WHERE status <> 'active';
    -- apart from what lists show, so that a list does not wade through them
    CREATE TABLE documents (
        serial INTEGER PRIMARY KEY REFERENCES trajectories (serial) ON DELETE CASCADE,
        json TEXT NOT NULL
    ) STRICT;
    -- the ids of those that were over and have made room, so that none is counted twice; only the newest of them
    CREATE TABLE gone (
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE
    ) STRICT;
    -- how many completed trajectories each task has had while auto-training was enabled; never falls
    CREATE TABLE tasks (
        task TEXT PRIMARY KEY NOT NULL,
        total INTEGER NOT NULL
    ) STRICT;
    -- one row, or none while nobody has said anything
    CREATE TABLE auto (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        is_enabled INTEGER NOT NULL CHECK (is_enabled IN (0, 1)),
        threshold INTEGER NOT NULL,
        cooldown_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE auto_tasks (
        task TEXT PRIMARY KEY NOT NULL,
        threshold INTEGER,
        cooldown_ms INTEGER,
        backend TEXT
    ) STRICT;
    CREATE TABLE datasets (
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        created_ms INTEGER NOT NULL,
        trajectories INTEGER NOT NULL,
        examples INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE runs (
        job TEXT PRIMARY KEY NOT NULL,
        phase TEXT,
        -- never falls
        fraction REAL,
        iteration INTEGER,
        iterations INTEGER,
        loss REAL,
        exit_code INTEGER,
        signal INTEGER,
        -- of the attempt that runs, or ran last
        folder TEXT,
        log TEXT,
        program TEXT,
        -- where it runs, and the model it starts from
        backend TEXT,
        model TEXT
    ) STRICT;
    -- the numbers that models are named by, none of them twice
    CREATE TABLE versions (
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        job TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE models (
        model TEXT PRIMARY KEY NOT NULL,
        imported_name TEXT,
        imported_ms INTEGER,
        provider_model TEXT,
        is_passed INTEGER CHECK (is_passed IN (0, 1)),
        coherence REAL,
        consistency REAL,
        helpfulness REAL,
        output TEXT,
        benchmarked_ms INTEGER
    ) STRICT;
    -- what was made here, and shown to somebody
    CREATE TABLE told (
        what TEXT PRIMARY KEY NOT NULL
    ) STRICT;
    -- files of trajectories that were taken in whole, by the SHA-256 of what is in them
    CREATE TABLE imports (
        digest TEXT PRIMARY KEY NOT NULL,
        at_ms INTEGER NOT NULL
    ) STRICT;
";

/// The records of all that elizaOS's wire shows and the yard does not know.
#[derive(Debug)]
pub(crate) struct Catalog {
    records: Records,
    /// How many trajectories there are, and how long together. Changed by whoever holds the writer.
    kept: Mutex<Kept>,
    /// How many datasets are listed. Changed by whoever holds the writer.
    datasets: AtomicUsize,
    /// Of all that is known of runs and models, here and in memory.
    pub(crate) noted: Editions,
}

impl Catalog {
    /// Opens the catalogue; a new one is made when there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, RecordsError> {
        let records = Records::open(path, FORMAT, SCHEMA)?;
        let kept = Mutex::new(Kept::read(&records)?);
        let datasets = AtomicUsize::new(datasets::listed(&records)?);
        Ok(Self { records, kept, datasets, noted: Editions::default() })
    }

    /// Does all of this to each of these, in one step.
    fn forget_all(&self, sql: &[&str], ids: impl Iterator<Item = String>) -> Result<(), RecordsError> {
        let mut writer = self.records.writer.lock();
        let transaction = writer.transaction().map_err(failed("write"))?;
        for id in ids {
            for sql in sql {
                transaction.execute(sql, [&id]).map_err(failed("write"))?;
            }
        }
        transaction.commit().map_err(failed("write"))
    }

    /// Whether somebody was shown the token that was made here.
    pub(crate) fn is_token_told(&self) -> Result<bool, RecordsError> {
        let sql = "SELECT count(*) FROM told WHERE what = 'token'";
        Ok(self.records.one(sql, [], |row| count(row, 0))? > 0)
    }

    /// Somebody is shown it, or will be shown another one.
    pub(crate) fn tell_token(&self, is_told: bool) -> Result<(), RecordsError> {
        let sql = match is_told {
            true => "INSERT OR IGNORE INTO told (what) VALUES ('token')",
            false => "DELETE FROM told WHERE what = 'token'",
        };
        self.records.step(sql, &[]).map(drop)
    }
}

#[cfg(test)]
mod tests;
