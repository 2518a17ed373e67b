//! All processes of a data folder.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use trainyard_core::{Job, Phase, Run};
use trainyard_runtime::{JobToTrain, TrainError, Trainyard};

use crate::lines::{Lines, Piece, plain};
use crate::record::{Records, name};
use crate::spool::{TAIL, read_at};
use crate::system::{self, Process, Signal};
use crate::{Launch, ProcessTrainer, telemetry};

/// What is written down of the processes of one service, so that they are found again after a restart.
#[derive(Debug, Clone)]
pub struct Processes {
    records: Arc<Records>,
    /// Runs whose end was told to the yard, oldest first.
    ended: Arc<Mutex<VecDeque<Run>>>,
}

impl Processes {
    /// Opens the folder of the records, such as `processes` in the data folder, or makes it. It must not be in the folder of
    /// an attempt, and belongs to one yard.
    ///
    /// # Errors
    /// When it cannot be made, or this is not Linux.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        system::check()?;
        Ok(Self { records: Arc::new(Records::open(folder.into())?), ended: Arc::default() })
    }

    /// A trainer that runs what `plan` says for a job, given the attempt's folder, which is there. It is called once for an
    /// attempt, and not again when its process is found after a restart, but when it had not begun yet; an error ends the
    /// attempt.
    pub fn trainer(
        &self,
        plan: impl Fn(&JobToTrain, &Path) -> Result<Launch, TrainError> + Send + Sync + 'static,
    ) -> ProcessTrainer {
        ProcessTrainer::new(self.clone(), plan)
    }

    /// Ends the processes whose run is over: it was cancelled, or was given to another, while nobody was there to stop
    /// its process. Their records, and those of processes that have ended, are removed. Call it once the yard is open.
    ///
    /// All are sent SIGTERM, and whoever has not ended when its grace is over SIGKILL; it returns when all have ended.
    ///
    /// # Errors
    /// When the records cannot be listed. A process that cannot be ended is logged, and tried again the next time.
    pub fn clear_away(&self, yard: &Trainyard) -> io::Result<ClearedAway> {
        let mut cleared = ClearedAway::default();
        let mut orphans = Vec::new();
        for run in self.records.runs()? {
            let is_mine = |job: &Job| is_live(job, run) && node_of(job) == Some(yard.node());
            if yard.read(|yard| yard.job(run.job).is_some_and(is_mine)) {
                continue;
            }
            match self.orphan(run, &mut cleared) {
                Ok(orphan) => orphans.extend(orphan),
                Err(error) => telemetry::record_not_removed(run, &error),
            }
        }
        for Orphan { run, mut process, kill_at } in orphans {
            let mut end = || {
                while !process.wait(kill_at.saturating_duration_since(Instant::now()))? {
                    if kill_at <= Instant::now() {
                        process.signal(Signal::KILL)?;
                        process.wait(Duration::from_secs(1))?;
                    }
                }
                self.records.remove(run)
            };
            match end() {
                Ok(()) => cleared.ended += 1,
                Err(error) => telemetry::record_not_removed(run, &error),
            }
        }
        Ok(cleared)
    }

    pub(crate) fn records(&self) -> &Records {
        &self.records
    }

    /// A run has ended, and the yard is about to be told. Its record stays for a while: if this process dies before
    /// the yard knows, the next one finds out how it has ended.
    pub(crate) fn has_ended(&self, run: Run) {
        let mut ended = self.ended.lock();
        ended.push_back(run);
        let oldest = if ended.len() > ENDED_MAX { ended.pop_front() } else { None };
        drop(ended);
        if let Some(run) = oldest {
            self.forget(run);
        }
    }

    /// Removes what is written down of a run's process.
    pub(crate) fn forget(&self, run: Run) {
        if let Err(error) = self.records.remove(run) {
            telemetry::record_not_removed(run, &error);
        }
    }

    /// Kills whatever is left of a run whose process is gone or cannot be found: somebody may have killed the shell around
    /// it and no more.
    /// Whether there was anything.
    pub(crate) fn kill_the_rest(run: Run) -> bool {
        match system::kill_all_with(RUN_ID, &name(run)) {
            Ok(0) => return false,
            Ok(count) => telemetry::rest_killed(run, count),
            Err(error) => telemetry::rest_not_killed(run, &error),
        }
        true
    }

    /// The process of a run that is over, told to stop; `None` when it has ended.
    fn orphan(&self, run: Run, cleared: &mut ClearedAway) -> io::Result<Option<Orphan>> {
        // What cannot be read names no process that could be told to stop.
        let record = self.records.read(run).ok().flatten();
        let process = record.as_ref().map(|record| Process::find(&record.process)).transpose()?.flatten();
        // One that has ended and that nobody has taken note of is there, and is at work no more.
        let process = match process {
            Some(mut process) => (!process.wait(Duration::ZERO)?).then_some(process),
            None => None,
        };
        let (Some(record), Some(mut process)) = (record, process) else {
            cleared.ended += usize::from(Self::kill_the_rest(run));
            self.records.remove(run)?;
            return Ok(None);
        };
        telemetry::orphan(run, record.process.pid);
        process.signal(Signal::TERM)?;
        Ok(Some(Orphan { run, process, kill_at: Instant::now() + record.grace }))
    }
}

/// What [`Processes::clear_away`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ClearedAway {
    /// Processes that were still at work and were ended.
    pub ended: usize,
}

struct Orphan {
    run: Run,
    process: Process,
    kill_at: Instant,
}

/// Whether a run is at work by the books, stopping included.
fn is_live(job: &Job, run: Run) -> bool {
    match &job.phase {
        Phase::Waiting(_) => false,
        Phase::Running(running) => running.live.contains(&run.lease),
        Phase::Finished(finished) => {
            finished.draining.as_ref().is_some_and(|draining| draining.live.contains(&run.lease))
        }
    }
}

fn node_of(job: &Job) -> Option<trainyard_core::NodeId> {
    match &job.phase {
        Phase::Waiting(_) => None,
        Phase::Running(running) => Some(running.node),
        Phase::Finished(finished) => finished.draining.as_ref().map(|draining| draining.node),
    }
}

/// The last lines of a process's log, at most [`LINES_MAX`], without what it has written over. For a host that was
/// restarted; see [`Began::log`](crate::Began::log).
///
/// # Errors
/// When it cannot be read.
pub fn last_lines(log: &Path) -> io::Result<Vec<String>> {
    let file = File::open(log)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL);
    let mut bytes = vec![0; usize::try_from(length - from).unwrap_or(0)];
    let mut filled = 0;
    while filled < bytes.len() {
        match read_at(&file, &mut bytes[filled..], from + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    let (mut lines, mut last) = (Lines::default(), VecDeque::new());
    lines.push(&bytes[..filled], |piece| {
        if let Piece::Line { text, .. } = piece
            && !text.starts_with(crate::event::MARK)
        {
            last.push_back(plain(text));
        }
    });
    // The first is a half when it is not the start of the file.
    let skip = last.len().saturating_sub(LINES_MAX).max(usize::from(from > 0));
    Ok(last.into_iter().skip(skip).collect())
}

/// The variable that a process and everything it starts has in its environment: which run it belongs to.
pub(crate) const RUN_ID: &str = "TRAINYARD_RUN_ID";

/// How many lines [`last_lines`] gives.
pub const LINES_MAX: usize = 600;

/// How many runs that have ended keep their record. The yard knows of the first long before the last has ended.
const ENDED_MAX: usize = 1_024;
