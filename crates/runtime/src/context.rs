//! What a trainer has to do with the yard while it trains.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use trainyard_core::port::HandleError;
use trainyard_core::{
    Checkpoint, Contact, Metric, Metrics, NotFinite, Progress, Reference, Score, Trained, Yard,
};
use trainyard_journal::failpoint;

use crate::board::Board;
use crate::call::Call;
use crate::folder::{self, DataFolder, NotKept};
use crate::inbox::Inbox;
use crate::run::{Shared, Shown};
use crate::sync::{Arc, Mutex, RwLock};
use crate::telemetry::{self, Meters};
use crate::ticket::Promise;
use crate::{OutsideDataFolder, Stop, Ticket, TrainError};

/// What a trainer has to do with the yard while it trains: it reports, writes checkpoints, and learns whether it
/// is to stop.
///
/// All of it can be done from several threads of one trainer.
pub struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) wiring: Arc<Wiring>,
    pub(crate) dir: PathBuf,
    pub(crate) resume: Option<Checkpoint>,
    pub(crate) contact: Contact,
    pub(crate) target: Option<Score>,
    /// Whether a stall rule looks at steps, so that they must be durable.
    pub(crate) steps_count: bool,
    pub(crate) threads: NonZeroUsize,
    pub(crate) seed: u64,
    pub(crate) metrics: Mutex<Metrics>,
    /// What was reported last.
    pub(crate) said: Mutex<Option<Progress>>,
}

/// Where the words of trainers go.
pub(crate) struct Wiring {
    pub(crate) inbox: Inbox,
    pub(crate) board: Board,
    pub(crate) committed: Arc<RwLock<Yard>>,
    pub(crate) folder: DataFolder,
    pub(crate) meters: Meters,
}

/// Whether to go on.
impl Context {
    /// Whether it is time to stop; one atomic load.
    #[must_use]
    pub fn should_stop(&self) -> bool {
        self.shared.stop.is_raised()
    }

    /// Why it is time to stop, if it is.
    #[must_use]
    pub fn stop_reason(&self) -> Option<Stop> {
        self.shared.stop.get()
    }

    /// Tells where training stands.
    ///
    /// All of it is shown at once. A performance is made durable too, and enters contests and stall rules: of
    /// several within a moment (100 ms, unless the yard was told otherwise) the newest. One that reaches the target
    /// of a contest is made durable at once: the first candidate that has one holds the win, however long it takes to
    /// hand over. Return what was trained, and it has won.
    ///
    /// Count steps from the beginning of the training, in every phase alike: a run that goes on from its checkpoint
    /// counts on from [`Context::resume_from`], one that cannot use it and begins anew counts from 0 again. What was made
    /// durable about a step stays: after a run that had come to 50, one that goes on from 40 shows 41 to 50 once more to
    /// whoever watches, and one that begins anew 0 to 50, but until it is past 50 its performances enter nothing; they
    /// say that it is alive and catches up, which is no stall. So what others see of a contest never jumps back, and
    /// nothing is shown twice. Of one run several performances at the same step are taken. Another try after a failure
    /// is measured anew, from the checkpoint or from 0. What a candidate reaches the target with is taken whatever its
    /// step.
    ///
    /// # Errors
    /// The [`Stop`] that says why training is to end.
    pub fn report(&self, progress: Progress) -> Result<(), Stop> {
        self.go_on()?;
        let Progress { step, performance, .. } = progress;
        *self.said.lock() = Some(progress.clone());
        self.wiring.board.report(self.shared.run, progress);
        if let (Some(target), Some(performance)) = (self.target, performance)
            && performance >= target
        {
            if self.shared.reach(step, performance)
                && self.wiring.inbox.send(Call::Reached(self.shared.run)).is_err()
            {
                self.shared.stop.raise(Stop::ShuttingDown);
            }
            self.shared.stop.raise(Stop::TargetReached);
            return self.go_on();
        }
        let durable = performance.is_some() || self.steps_count;
        if durable
            && self.shared.show(Shown { step, performance })
            && self.wiring.inbox.send(Call::Shown(self.shared.run)).is_err()
        {
            // Nobody is left to hear it.
            self.shared.stop.raise(Stop::ShuttingDown);
        }
        self.go_on()
    }

    /// What this run has reported last, also when it was told to stop since. For whoever wraps a trainer.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        self.said.lock().clone()
    }

    /// A number to report, or `None` when it is NaN or infinite; that is counted and logged.
    #[must_use]
    pub fn score(&self, value: f64) -> Option<Score> {
        self.checked(value).ok()
    }

    fn go_on(&self) -> Result<(), Stop> {
        match self.stop_reason() {
            None => Ok(()),
            Some(stop) => Err(stop),
        }
    }

    fn checked(&self, value: f64) -> Result<Score, NotFinite> {
        Score::new(value).inspect_err(|_| {
            self.wiring.meters.refused_scores.add(1);
            telemetry::score_refused(value);
        })
    }
}

/// What stays.
impl Context {
    /// This attempt's own folder, made on first use. It is removed once no model, no checkpoint of an unfinished
    /// job and no run needs it.
    ///
    /// # Errors
    /// [`TrainError`] when it cannot be made.
    pub fn dir(&self) -> Result<&Path, TrainError> {
        self.shared.need_folder();
        self.wiring.folder.make(&self.dir)?;
        Ok(&self.dir)
    }

    /// From here the job can go on. When it returns, that is durable: file, or folder, and record.
    ///
    /// `path` is relative to [`Context::dir`], or an absolute one within the data folder, or a URL; no link, and no
    /// folder with one in it. Works while the process shuts down, too.
    ///
    /// Never write over what an earlier checkpoint names: a crash in the middle would leave half of the only state
    /// there is to go on from. Write `state-<step>`, and remove the older one once this has returned.
    ///
    /// # Errors
    /// [`TrainError::Stopped`] when the run has lost its right to write; otherwise when the path is not there, or
    /// not within the data folder.
    pub fn checkpoint(&self, path: impl AsRef<Path>, step: u64) -> Result<(), TrainError> {
        self.may_write()?;
        failpoint!(CheckpointAhead);
        let reference = self.keep(path.as_ref())?;
        failpoint!(CheckpointSynced);
        self.ask(|promise| Call::Checkpoint(self.shared.run, Checkpoint { reference, step }, promise))?;
        failpoint!(CheckpointAcknowledged);
        Ok(())
    }

    /// The checkpoint to go on from, if an earlier attempt has left one.
    #[must_use]
    pub const fn resume(&self) -> Option<&Checkpoint> {
        self.resume.as_ref()
    }

    /// The step to go on from; 0 without a checkpoint.
    #[must_use]
    pub fn resume_from(&self) -> u64 {
        self.resume.as_ref().map_or(0, |checkpoint| checkpoint.step)
    }

    /// Where the checkpoint to go on from is; `None` without one, when it is not in the data folder, or when the data
    /// folder of this node does not have it, which is logged.
    #[must_use]
    pub fn resume_path(&self) -> Option<PathBuf> {
        let checkpoint = self.resume.as_ref()?;
        let path = self.wiring.folder.resolve(&checkpoint.reference).ok()?;
        if !path.exists() {
            telemetry::checkpoint_missing(checkpoint);
            return None;
        }
        Some(path)
    }

    /// Where a reference leads, such as that of another model.
    ///
    /// # Errors
    /// [`OutsideDataFolder`] when it is no path in there.
    pub fn path(&self, reference: &Reference) -> Result<PathBuf, OutsideDataFolder> {
        self.wiring.folder.resolve(reference)
    }

    /// Notes a figure for the model's metrics; of several under one name the last counts.
    ///
    /// # Errors
    /// [`TrainError::Failed`] when it is NaN or infinite (that is counted), or the name is none.
    pub fn measure(&self, name: &str, value: f64) -> Result<(), TrainError> {
        let score = self.checked(value)?;
        self.metrics.lock().insert(Metric::new(name)?, score);
        Ok(())
    }

    /// What to return at the end: the file or folder at `path`, durable, with everything that was measured.
    ///
    /// `path` is as in [`Context::checkpoint`].
    ///
    /// # Errors
    /// [`TrainError`] when it is not there, or not within the data folder.
    pub fn trained(&self, path: impl AsRef<Path>) -> Result<Trained, TrainError> {
        let artifact = self.keep(path.as_ref())?;
        Ok(Trained { artifact: Some(artifact), metrics: self.metrics.lock().clone() })
    }

    /// Asks the driver for something, and waits until that is durable.
    fn ask(&self, call: impl FnOnce(Promise<()>) -> Call) -> Result<(), TrainError> {
        let (ticket, promise) = Ticket::new();
        if self.wiring.inbox.send(call(promise)).is_err() {
            return Err(Stop::ShuttingDown.into());
        }
        ticket.wait().map_err(|error| {
            let refused = matches!(error, HandleError::Rejected(_));
            let stop = if refused { Stop::FencedOff } else { Stop::ShuttingDown };
            self.stop_reason().filter(|told| *told > stop || refused).unwrap_or(stop).into()
        })
    }

    fn may_write(&self) -> Result<(), Stop> {
        self.stop_reason().filter(|stop| !stop.may_write()).map_or(Ok(()), Err)
    }

    /// The reference to something durable.
    fn keep(&self, path: &Path) -> Result<Reference, TrainError> {
        if let Some(text) = path.to_str() {
            let reference = Reference::new(text);
            if folder::is_url(&reference) {
                return Ok(reference);
            }
        }
        self.make_durable(&self.wiring.folder.refer(&self.dir, path)?)
    }

    /// Checks that a reference leads to something in the data folder, or elsewhere by name, and makes it survive
    /// a crash of the machine. Gives it in its one spelling.
    pub(crate) fn make_durable(&self, reference: &Reference) -> Result<Reference, TrainError> {
        if folder::is_url(reference) {
            return Ok(reference.clone());
        }
        self.wiring.folder.keep(reference).map_err(|error| match error {
            NotKept::Outside(outside) => outside.into(),
            NotKept::Io(error) => {
                let text = format!("could not keep {reference}: {error}");
                let is_final = error.kind() == io::ErrorKind::InvalidInput;
                if is_final { TrainError::failed(text) } else { TrainError::retry(text) }
            }
        })
    }
}

/// What was at work outside of the process when that ended.
impl Context {
    /// Whether this run was begun by an earlier process of this node, see
    /// [`Builder::external_trainer`](crate::Builder::external_trainer): the trainer is to find it, and not to begin it.
    ///
    /// One that is lost is [`TrainError::interrupted`]; one that has ended in the meantime ends as it would have. It may
    /// be over already, which [`Context::stop_reason`] says as ever: then it is to be stopped.
    #[must_use]
    pub const fn is_recovering(&self) -> bool {
        match self.contact {
            Contact::Recovering => true,
            Contact::Held => false,
        }
    }

    /// Says that the run was found and is at work. When it returns, that is durable. Does nothing when there was
    /// nothing to find.
    ///
    /// # Errors
    /// [`TrainError::Stopped`] when the run has lost its right to write.
    pub fn recovered(&self) -> Result<(), TrainError> {
        if !self.is_recovering() {
            return Ok(());
        }
        self.may_write()?;
        self.ask(|promise| Call::Recovered(self.shared.run, promise))
    }
}

/// What it may look at, and use.
impl Context {
    /// Looks at the committed yard, such as for the model in use, which a new one has to beat. Everything that is read
    /// inside belongs to one moment. Keep it short, and report nothing inside: commits wait for it.
    pub fn read<T>(&self, look: impl FnOnce(&Yard) -> T) -> T {
        look(&self.wiring.committed.read())
    }

    /// How many threads it may use: its share of those of the whole process.
    #[must_use]
    pub const fn threads(&self) -> NonZeroUsize {
        self.threads
    }

    /// A seed for random numbers: the same in every attempt of a job, another one for every job and candidate.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("run", &self.shared.run).finish_non_exhaustive()
    }
}
