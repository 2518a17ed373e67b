//! The records of trajectories, and how many of them each task has had.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rusqlite::{OptionalExtension, Row, Transaction, params};
use trainyard_core::Timestamp;
use trainyard_eliza::{Ingested, Page, Shelf, Task, TrajectoryRow, TrajectoryStatus};

use super::Catalog;
use crate::records::{Records, RecordsError, count, failed, stored, text};

/// A trajectory to be taken in.
#[derive(Debug, Clone)]
pub(crate) struct NewTrajectory {
    /// As lists show it; `created_at` is when it came.
    pub(crate) row: TrajectoryRow,
    /// All of it, as JSON.
    pub(crate) document: String,
    /// The tasks that something can be learned for from it.
    pub(crate) tasks: BTreeSet<Task>,
}

/// How many trajectories are kept, and how long together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) trajectories_max: u64,
    pub(crate) bytes_max: u64,
}

/// Why trajectories were not taken in; none of them was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// All that there are go on, so none can make room.
    #[error("there are {max} trajectories already, and none of them is over")]
    TooMany { max: u64 },
    /// Together they would be too long, were all others gone.
    #[error("the trajectories would be longer than they may be together")]
    TooLong,
    #[error(transparent)]
    Failed(#[from] RecordsError),
}

/// How many trajectories there are, and how long their documents are together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kept {
    trajectories: u64,
    bytes: u64,
}

impl Kept {
    pub(super) fn read(records: &Records) -> Result<Self, RecordsError> {
        let sql = "SELECT count(*), coalesce(sum(bytes), 0) FROM trajectories";
        records.one(sql, [], |row| Ok(Self { trajectories: count(row, 0)?, bytes: count(row, 1)? }))
    }
}

const COLUMNS: &str = "id, agent, source, status, archetype, llm_calls, provider_accesses, prompt_tokens,
    completion_tokens, total_reward, judge_reward, episode_length, started_ms, ended_ms, created_ms";

impl Catalog {
    /// Takes them in, in this order: all of them, or none. One that is there already is replaced, unless it is over. The
    /// oldest that are over make room. A trajectory that becomes completed while auto-training is enabled is counted
    /// for its tasks in the same step, and never again, however often it is sent.
    pub(crate) fn take_in(&self, new: &[NewTrajectory], bounds: Bounds) -> Result<Ingested, NotTaken> {
        self.take_in_part(new, bounds, None)
    }

    /// The same, and with it the last of a file that was taken in whole.
    pub(super) fn take_in_part(
        &self,
        new: &[NewTrajectory],
        bounds: Bounds,
        last_of: Option<(&str, Timestamp)>,
    ) -> Result<Ingested, NotTaken> {
        let mut writer = self.records.writer.lock();
        let transaction = writer.transaction().map_err(failed("write"))?;
        let mut kept = *self.kept.lock();
        let is_counting = super::auto::is_enabled(&transaction)?;
        let mut more = BTreeSet::new();
        let mut rows = Vec::with_capacity(new.len());
        for trajectory in new {
            let there = find(&transaction, &trajectory.row.id)?;
            match there {
                Some((_, row, _)) if row.status != TrajectoryStatus::Active => {
                    rows.push(row);
                    continue;
                }
                Some((serial, row, bytes)) => {
                    let row = TrajectoryRow { created_at: row.created_at, ..trajectory.row.clone() };
                    kept.bytes = kept.bytes.saturating_sub(bytes);
                    make_room(&transaction, &mut kept, trajectory, bounds, 0)?;
                    replace(&transaction, serial, &row, &trajectory.document)?;
                    rows.push(row);
                }
                None => {
                    make_room(&transaction, &mut kept, trajectory, bounds, 1)?;
                    add(&transaction, trajectory)?;
                    kept.trajectories += 1;
                    rows.push(trajectory.row.clone());
                }
            }
            kept.bytes += trajectory.document.len() as u64;
            let is_completed = trajectory.row.status == TrajectoryStatus::Completed;
            if is_counting && is_completed && !is_gone(&transaction, &trajectory.row.id)? {
                for task in &trajectory.tasks {
                    let sql = "INSERT INTO tasks VALUES (?1, 1) ON CONFLICT DO UPDATE SET total = total + 1";
                    let values = params![task.as_str()];
                    transaction
                        .prepare_cached(sql)
                        .and_then(|mut sql| sql.execute(values))
                        .map_err(failed("write"))?;
                    more.insert(task.clone());
                }
            }
        }
        if let Some((digest, at)) = last_of {
            let sql = "INSERT OR IGNORE INTO imports VALUES (?1, ?2)";
            transaction.execute(sql, params![digest, at.as_millis()]).map_err(failed("write"))?;
        }
        let mut totals = totals(&transaction)?;
        totals.retain(|task, _| more.contains(task));
        transaction.commit().map_err(failed("write"))?;
        *self.kept.lock() = kept;
        Ok(Ingested { rows, totals })
    }

    /// A page of them, newest first.
    pub(crate) fn trajectories(&self, page: Page) -> Result<Shelf, RecordsError> {
        let sql = format!("SELECT {COLUMNS} FROM trajectories ORDER BY serial DESC LIMIT ?1 OFFSET ?2");
        let rows = self.records.all(&sql, params![stored(page.limit), stored(page.offset)], read)?;
        Ok(Shelf { total: self.trajectory_count(), rows })
    }

    /// How many there are.
    pub(crate) fn trajectory_count(&self) -> u64 {
        self.kept.lock().trajectories
    }

    /// One of them, with its document.
    pub(crate) fn trajectory(&self, id: &str) -> Result<Option<(TrajectoryRow, String)>, RecordsError> {
        let sql =
            format!("SELECT {COLUMNS}, json FROM trajectories JOIN documents USING (serial) WHERE id = ?1");
        self.records.find(&sql, params![id], |row| Ok((read(row)?, text(row, 15)?)))
    }

    /// The newest so many documents, newest first. Few of them are in memory at once, and what comes meanwhile is not
    /// among them.
    pub(crate) fn newest(&self, limit: u64) -> Newest<'_> {
        Newest { catalog: self, before: i64::MAX, left: limit, some: VecDeque::new() }
    }

    /// How many completed ones each task has had.
    pub(crate) fn task_totals(&self) -> Result<BTreeMap<Task, u64>, RecordsError> {
        Ok(self.records.all(TOTALS, [], total)?.into_iter().collect())
    }

    /// Counts on from these, where there are fewer: for a catalogue that was lost.
    pub(crate) fn raise_totals(&self, totals: &BTreeMap<Task, u64>) -> Result<(), RecordsError> {
        let sql = "INSERT INTO tasks VALUES (?1, ?2)
            ON CONFLICT DO UPDATE SET total = excluded.total WHERE total < excluded.total";
        totals.iter().try_for_each(|(task, total)| {
            self.records.step(sql, params![task.as_str(), stored(*total)]).map(drop)
        })
    }

    /// Whether a file of this digest was taken in whole.
    pub(crate) fn is_imported(&self, digest: &str) -> Result<bool, RecordsError> {
        let sql = "SELECT count(*) FROM imports WHERE digest = ?1";
        Ok(self.records.one(sql, params![digest], |row| count(row, 0))? > 0)
    }

    /// Takes in the last of a file, and notes that all of it is there.
    pub(crate) fn take_in_last(
        &self,
        new: &[NewTrajectory],
        bounds: Bounds,
        digest: &str,
        at: Timestamp,
    ) -> Result<Ingested, NotTaken> {
        self.take_in_part(new, bounds, Some((digest, at)))
    }
}

/// The newest documents. See [`Catalog::newest`].
pub(crate) struct Newest<'c> {
    catalog: &'c Catalog,
    before: i64,
    left: u64,
    some: VecDeque<String>,
}

impl Newest<'_> {
    fn fetch(&mut self) -> Result<(), RecordsError> {
        let sql = "SELECT serial, json FROM documents WHERE serial < ?1 ORDER BY serial DESC LIMIT ?2";
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0).map_err(failed("read"))?, text(row, 1)?));
        let few = params![self.before, stored(self.left.min(AT_A_TIME))];
        let documents = self.catalog.records.all(sql, few, read)?;
        self.left = documents.last().map_or(0, |_| self.left - documents.len() as u64);
        self.before = documents.last().map_or(self.before, |(serial, _)| *serial);
        self.some.extend(documents.into_iter().map(|(_, document)| document));
        Ok(())
    }
}

impl Iterator for Newest<'_> {
    type Item = Result<String, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.some.is_empty()
            && self.left > 0
            && let Err(error) = self.fetch()
        {
            self.left = 0;
            return Some(Err(error));
        }
        self.some.pop_front().map(Ok)
    }
}

/// So many documents are in memory at once when all are looked through.
const AT_A_TIME: u64 = 16;
/// Of so many that made room it is known that they were there.
const GONE_MAX: u64 = 1_000_000;

/// One that is there, with its serial number and the length of its document.
fn find(transaction: &Transaction<'_>, id: &str) -> Result<Option<(i64, TrajectoryRow, u64)>, RecordsError> {
    let sql = format!("SELECT {COLUMNS}, serial, bytes FROM trajectories WHERE id = ?1");
    let mut statement = transaction.prepare_cached(&sql).map_err(failed("read"))?;
    let read = |row: &Row<'_>| {
        Ok(read(row)
            .and_then(|trajectory| Ok((row.get(15).map_err(failed("read"))?, trajectory, count(row, 16)?))))
    };
    statement.query_row(params![id], read).optional().map_err(failed("read"))?.transpose()
}

fn is_gone(transaction: &Transaction<'_>, id: &str) -> Result<bool, RecordsError> {
    let mut statement =
        transaction.prepare_cached("SELECT 1 FROM gone WHERE id = ?1").map_err(failed("read"))?;
    statement.exists(params![id]).map_err(failed("read"))
}

/// Has the oldest that are over go until there is room.
fn make_room(
    transaction: &Transaction<'_>,
    kept: &mut Kept,
    new: &NewTrajectory,
    bounds: Bounds,
    more: u64,
) -> Result<(), NotTaken> {
    let Bounds { trajectories_max, bytes_max } = bounds;
    let bytes = new.document.len() as u64;
    let is_tight = |kept: &Kept| {
        kept.trajectories + more > trajectories_max || kept.bytes.saturating_add(bytes) > bytes_max
    };
    while is_tight(kept) {
        let sql =
            "SELECT serial, id, bytes FROM trajectories WHERE status <> 'active' ORDER BY serial LIMIT 1";
        let mut statement = transaction.prepare_cached(sql).map_err(failed("read"))?;
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, count(row, 2)));
        let Some((serial, id, length)) = statement.query_row([], read).optional().map_err(failed("read"))?
        else {
            let is_too_long = kept.bytes.saturating_add(bytes) > bytes_max;
            return Err(match is_too_long {
                true => NotTaken::TooLong,
                false => NotTaken::TooMany { max: trajectories_max },
            });
        };
        forget(transaction, serial, &id)?;
        kept.trajectories = kept.trajectories.saturating_sub(1);
        kept.bytes = kept.bytes.saturating_sub(length?);
    }
    Ok(())
}

/// Removes one that is over, and remembers that it was there.
fn forget(transaction: &Transaction<'_>, serial: i64, id: &str) -> Result<(), RecordsError> {
    let run = |sql: &str, value: &dyn rusqlite::ToSql| {
        transaction.prepare_cached(sql).and_then(|mut sql| sql.execute([value])).map_err(failed("write"))
    };
    run("DELETE FROM trajectories WHERE serial = ?1", &serial)?;
    run("INSERT OR IGNORE INTO gone (id) VALUES (?1)", &id)?;
    run("DELETE FROM gone WHERE serial <= (SELECT max(serial) FROM gone) - ?1", &stored(GONE_MAX))?;
    Ok(())
}

fn add(transaction: &Transaction<'_>, new: &NewTrajectory) -> Result<(), RecordsError> {
    let NewTrajectory { row, document, tasks: _ } = new;
    let sql = format!(
        "INSERT INTO trajectories ({COLUMNS}, bytes)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
    );
    write(transaction, &sql, row, document)?;
    let sql = "INSERT INTO documents VALUES (?1, ?2)";
    let values = params![transaction.last_insert_rowid(), document];
    transaction.prepare_cached(sql).and_then(|mut sql| sql.execute(values)).map_err(failed("write"))?;
    Ok(())
}

fn replace(
    transaction: &Transaction<'_>,
    serial: i64,
    row: &TrajectoryRow,
    document: &str,
) -> Result<(), RecordsError> {
    let sql = "UPDATE trajectories SET agent = ?2, source = ?3, status = ?4, archetype = ?5, llm_calls = ?6,
        provider_accesses = ?7, prompt_tokens = ?8, completion_tokens = ?9, total_reward = ?10, judge_reward = ?11,
        episode_length = ?12, started_ms = ?13, ended_ms = ?14, created_ms = ?15, bytes = ?16 WHERE id = ?1";
    write(transaction, sql, row, document)?;
    let sql = "UPDATE documents SET json = ?2 WHERE serial = ?1";
    let values = params![serial, document];
    transaction.prepare_cached(sql).and_then(|mut sql| sql.execute(values)).map_err(failed("write"))?;
    Ok(())
}

fn write(
    transaction: &Transaction<'_>,
    sql: &str,
    row: &TrajectoryRow,
    document: &str,
) -> Result<(), RecordsError> {
    let TrajectoryRow {
        id,
        agent_id,
        source,
        status,
        archetype,
        llm_calls,
        provider_accesses,
        prompt_tokens,
        completion_tokens,
        total_reward,
        judge_reward,
        episode_length,
        started_at,
        ended_at,
        created_at,
    } = row;
    let values = params![
        id,
        agent_id,
        source,
        word(*status),
        archetype,
        stored(*llm_calls),
        stored(*provider_accesses),
        stored(*prompt_tokens),
        stored(*completion_tokens),
        total_reward,
        judge_reward,
        episode_length.map(stored),
        started_at.as_millis(),
        ended_at.map(Timestamp::as_millis),
        created_at.as_millis(),
        stored(document.len() as u64),
    ];
    transaction.prepare_cached(sql).and_then(|mut sql| sql.execute(values)).map_err(failed("write"))?;
    Ok(())
}

const TOTALS: &str = "SELECT task, total FROM tasks";

fn totals(transaction: &Transaction<'_>) -> Result<BTreeMap<Task, u64>, RecordsError> {
    let mut statement = transaction.prepare_cached(TOTALS).map_err(failed("read"))?;
    let rows = statement.query_map([], |row| Ok(total(row))).map_err(failed("read"))?;
    rows.map(|row| row.map_err(failed("read"))?).collect()
}

fn total(row: &Row<'_>) -> Result<(Task, u64), RecordsError> {
    Ok((task(&text(row, 0)?)?, count(row, 1)?))
}

/// Reads a task.
pub(super) fn task(word: &str) -> Result<Task, RecordsError> {
    Task::new(word).ok_or_else(|| RecordsError::Damaged(format!("the task {word:?}")))
}

fn word(status: TrajectoryStatus) -> &'static str {
    match status {
        TrajectoryStatus::Active => "active",
        TrajectoryStatus::Completed => "completed",
        TrajectoryStatus::Error => "error",
        TrajectoryStatus::Timeout => "timeout",
    }
}

fn read(row: &Row<'_>) -> Result<TrajectoryRow, RecordsError> {
    let id = text(row, 0)?;
    let status = match text(row, 3)?.as_str() {
        "active" => TrajectoryStatus::Active,
        "completed" => TrajectoryStatus::Completed,
        "error" => TrajectoryStatus::Error,
        "timeout" => TrajectoryStatus::Timeout,
        other => return Err(RecordsError::Damaged(format!("the status {other:?} of {id:?}"))),
    };
    let millis = |column: usize| row.get::<_, Option<i64>>(column).map_err(failed("read"));
    let real = |column: usize| row.get::<_, Option<f64>>(column).map_err(failed("read"));
    let time = |millis: Option<i64>| Timestamp::from_millis(millis.unwrap_or(0));
    Ok(TrajectoryRow {
        agent_id: text(row, 1)?,
        source: text(row, 2)?,
        status,
        archetype: row.get(4).map_err(failed("read"))?,
        llm_calls: count(row, 5)?,
        provider_accesses: count(row, 6)?,
        prompt_tokens: count(row, 7)?,
        completion_tokens: count(row, 8)?,
        total_reward: real(9)?,
        judge_reward: real(10)?,
        episode_length: millis(11)?.map(|_| count(row, 11)).transpose()?,
        started_at: time(millis(12)?),
        ended_at: millis(13)?.map(Timestamp::from_millis),
        created_at: time(millis(14)?),
        id,
    })
}
