//! The trainer that trains by a process.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use trainyard_core::{Kind, Run, Trained};
use trainyard_runtime::{Builder, Context, JobToTrain, TrainError, Trainer};

use crate::attempt::{Attempt, Start};
use crate::processes::RUN_ID;
use crate::record::{Record, name};
use crate::spawn::spawn;
use crate::spool::Spool;
use crate::system::Process;
use crate::told::{Places, tell};
use crate::{Exit, Launch, Observer, Processes};

type Plan = dyn Fn(&JobToTrain, &Path) -> Result<Launch, TrainError> + Send + Sync;

/// What becomes of the processes when the service that has started them ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AtShutdown {
    /// They go on, and are found again at the next open.
    #[default]
    LeaveRunning,
    /// They are stopped, and their jobs go on from their checkpoints at the next open.
    Stop,
}

/// Trains by a process of its own for each attempt.
///
/// It is made by [`Processes::trainer`] from a function that says what to run for a job, given the attempt's folder, and
/// is put into a yard by [`ProcessTrainer::register`].
#[derive(Clone)]
pub struct ProcessTrainer {
    processes: Processes,
    plan: Arc<Plan>,
    observer: Arc<dyn Observer>,
    at_shutdown: AtShutdown,
    poll_every: Duration,
}

impl ProcessTrainer {
    pub(crate) fn new(
        processes: Processes,
        plan: impl Fn(&JobToTrain, &Path) -> Result<Launch, TrainError> + Send + Sync + 'static,
    ) -> Self {
        let poll_every = Duration::from_millis(100);
        Self {
            processes,
            plan: Arc::new(plan),
            observer: Arc::new(()),
            at_shutdown: AtShutdown::default(),
            poll_every,
        }
    }

    /// Lets somebody watch.
    #[must_use]
    pub fn with_observer(mut self, observer: impl Observer) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// What becomes of the processes when this one ends. Default: [`AtShutdown::LeaveRunning`].
    #[must_use]
    pub const fn with_at_shutdown(mut self, at_shutdown: AtShutdown) -> Self {
        self.at_shutdown = at_shutdown;
        self
    }

    /// How often it is looked whether a process has written something or is to be stopped; its end is noticed at once.
    /// Default: 100 milliseconds; at least 1, and at most 10 seconds.
    #[must_use]
    pub fn with_poll_every(mut self, interval: Duration) -> Self {
        self.poll_every = interval.clamp(Duration::from_millis(1), Duration::from_secs(10));
        self
    }

    /// Has a yard train a kind by this: outside of its process when the processes are to outlive it, and inside
    /// otherwise, so that stopping them counts as no mishap of the jobs.
    pub fn register(self, builder: Builder, kind: Kind) -> Builder {
        match self.at_shutdown {
            AtShutdown::LeaveRunning => builder.external_trainer(kind, self),
            AtShutdown::Stop => builder.trainer(kind, self),
        }
    }

    pub(crate) const fn processes(&self) -> &Processes {
        &self.processes
    }

    pub(crate) fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    pub(crate) const fn at_shutdown(&self) -> AtShutdown {
        self.at_shutdown
    }

    pub(crate) const fn poll_every(&self) -> Duration {
        self.poll_every
    }

    /// Starts a process.
    fn begin(&self, cx: &Context, job: &JobToTrain) -> Result<Start, TrainError> {
        let records = self.processes.records();
        let places = Places::within(cx.dir()?);
        let launch = (self.plan)(job, &places.folder)?;
        launch.check()?;
        tell(cx, job, &launch, &places)?;
        Spool::make(&places.events)?;
        let log: File = Spool::make(&places.log)?;
        let exit = records.make_exit(job.run)?;
        let (run, attempt) = (name(job.run), job.attempt.to_string());
        let protocol = [
            ("TRAINYARD_CONTEXT", places.context.as_os_str()),
            ("TRAINYARD_EVENTS", places.events.as_os_str()),
            (RUN_ID, run.as_ref()),
            ("TRAINYARD_ATTEMPT", attempt.as_ref()),
        ];
        let held = spawn(&launch, &places.folder, protocol, &log, &exit).map_err(|error| {
            self.processes.forget(job.run);
            not_started(&error)
        })?;
        let record = Record {
            process: held.identity().clone(),
            folder: places.folder.clone(),
            working_dir: places.folder.join(launch.folder(&places.folder)),
            grace: launch.grace,
            log_bytes_max: launch.log_bytes_max,
            formats: launch.formats,
            result: launch.result,
        };
        // It waits until its number is on disk: whatever happens, it is found again.
        match records.write(job.run, &record) {
            Ok(()) => Ok(Start { record, process: Some(held.let_go()), is_found: false }),
            Err(error) => {
                held.call_off();
                self.processes.forget(job.run);
                Err(TrainError::retry(format!("could not write down which process it is: {error}")))
            }
        }
    }

    /// Finds what an earlier process of this service has started, or starts it if it was not let go yet.
    fn find(&self, cx: &Context, job: &JobToTrain) -> Result<Start, TrainError> {
        let run = job.run;
        let start = match self.look_for(run) {
            Ok(Some(start)) => start,
            Ok(None) => {
                // It waits for a word that will not come, unless a hand has removed what was written down of it.
                Processes::kill_the_rest(run);
                cx.stop_reason().map_or(Ok(()), |stop| Err(TrainError::from(stop)))?;
                self.begin(cx, job)?
            }
            Err(why) => {
                Processes::kill_the_rest(run);
                self.processes.has_ended(run);
                return Err(TrainError::interrupted(format!("its process is lost: {why}")));
            }
        };
        // A refusal says that it is to stop, which is seen to below.
        let _ = cx.recovered();
        Ok(start)
    }

    /// What is written down of a run; nothing when its process has never begun.
    fn look_for(&self, run: Run) -> io::Result<Option<Start>> {
        let records = self.processes.records();
        let unreadable =
            |error| io::Error::other(format!("what is written down of it cannot be read: {error}"));
        let Some(record) = records.read(run).map_err(unreadable)? else {
            return Ok(None);
        };
        if !record.process.is_of_this_boot()? {
            return Err(io::Error::other("the machine was restarted"));
        }
        let process = Process::find(&record.process)?;
        if process.is_none() && records.exit(run) == Exit::Lost {
            return Err(io::Error::other(Exit::Lost.to_string()));
        }
        Ok(Some(Start { record, process, is_found: true }))
    }
}

impl Trainer for ProcessTrainer {
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let start = if cx.is_recovering() { self.find(cx, job)? } else { self.begin(cx, job)? };
        let attempt = Attempt::new(self, cx, job.run, start);
        attempt.inspect_err(|_| self.processes.has_ended(job.run))?.follow()
    }
}

fn not_started(error: &io::Error) -> TrainError {
    let text = format!("could not start its process: {error}");
    let is_final = matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::InvalidInput | io::ErrorKind::NotADirectory
    );
    if is_final { TrainError::failed(text) } else { TrainError::retry(text) }
}

impl std::fmt::Debug for ProcessTrainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessTrainer").field("at_shutdown", &self.at_shutdown).finish_non_exhaustive()
    }
}
