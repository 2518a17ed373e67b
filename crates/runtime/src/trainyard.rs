//! The running thing, as an application holds it.

use std::path::PathBuf;
use std::time::Duration;

use trainyard_core::port::{HandleError, Observed, Receipt};
use trainyard_core::{
    Blocker, Command, Decision, Job, JobId, Lease, Model, ModelId, NodeId, Observation, Outcome, Progress,
    QueueName, QueueSettings, Reason, Registry, Rejection, Retention, RetrainRule, Run, Settings, Subject,
    Submission, Template, Timestamp, Yard,
};
use uuid::Uuid;

use crate::call::{Call, Reply};
use crate::house::House;
use crate::hub::BUFFER;
use crate::sync::{Arc, Ordering};
use crate::{Alarm, Builder, Counters, OutsideDataFolder, ShutdownReport, Subscription, Ticket};

/// A running yard. Cheap to clone; all clones are one.
///
/// Every command gives a [`Ticket`], which is answered once what it asks for is durable. Reads are of committed
/// state and never wait for the disk; of two the later never shows an older state.
///
/// When the last clone is gone, the yard stops by itself as if it were shut down without a delay; use
/// [`Trainyard::shutdown`] to give trainers time for a checkpoint, and to know when the journal is closed.
///
/// ```
/// use std::sync::Arc;
/// use trainyard_core::{Class, Kind, Outcome, QueueName, Subject, Submission, Trained};
/// use trainyard_journal::MemoryJournal;
/// use trainyard_runtime::{Context, JobToTrain, Trainyard};
///
/// # let dir = std::env::temp_dir().join(format!("trainyard-doc-{}", std::process::id()));
/// let kind = Kind::new("demo")?;
/// let (yard, report) = Trainyard::builder(&dir)
///     .journal(MemoryJournal::new())
///     .trainer(kind.clone(), |_: &mut Context, _: &JobToTrain| Ok(Trained::default()))
///     .start()?;
/// assert_eq!(report.attempts_interrupted, 0);
///
/// let class = Arc::new(Class::new(kind, QueueName::new("default")?));
/// let receipt = yard.submit(Submission::new(yard.job_id(), Subject::new("index/1")?, class)).wait()?;
/// assert_eq!(yard.finished(receipt.job).wait()?, Outcome::Completed { model: None });
/// # yard.shutdown(std::time::Duration::from_secs(5)).wait()?;
/// # std::fs::remove_dir_all(dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Trainyard {
    inner: Arc<Inner>,
}

struct Inner {
    house: Arc<House>,
    node: NodeId,
    alarm: Alarm,
}

impl Trainyard {
    /// A yard that keeps its files in this folder.
    pub fn builder(data_dir: impl Into<PathBuf>) -> Builder {
        Builder::new(data_dir.into())
    }

    pub(crate) fn new(house: Arc<House>, node: NodeId, alarm: Alarm) -> Self {
        Self { inner: Arc::new(Inner { house, node, alarm }) }
    }

    pub(crate) fn house(&self) -> &House {
        &self.inner.house
    }

    /// Stops: nothing is started any more, trainers are asked to write a checkpoint and return, and whoever has
    /// not by the deadline is interrupted. When the ticket is answered, the journal is closed.
    ///
    /// After it every command is answered with [`HandleError::Stopped`](trainyard_core::port::HandleError).
    pub fn shutdown(&self, deadline: Duration) -> Ticket<ShutdownReport> {
        let (ticket, promise) = Ticket::new();
        let until = self.now().after(deadline);
        if let Err(refused) = self.house().wiring.inbox.send(Call::Close(until, promise)) {
            refused.into_inner().refuse(&self.house().stop_reason());
        }
        ticket
    }

    fn done(&self, command: Command) -> Ticket<()> {
        self.house().ask(command, Reply::Done)
    }
}

/// Jobs.
impl Trainyard {
    /// An id for a new job; ids grow with time.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        JobId::new(Uuid::now_v7())
    }

    /// Trains a subject.
    pub fn submit(&self, submission: Submission) -> Ticket<Receipt> {
        self.house().ask(Command::Submit(Arc::new(submission)), Reply::Submitted)
    }

    /// Trains many subjects: all that are let in are durable at once, and the answer says of each, in the order given,
    /// what became of it. One that is refused does not keep the others out. Far cheaper than as many calls of
    /// [`Trainyard::submit`]: one hand-over, one answer and one commit, or a few when the jobs bring much along.
    ///
    /// At most [`Trainyard::SUBMISSIONS_MAX`] in one call; with more nothing is done, and the answer is
    /// [`HandleError::TooMany`](trainyard_core::port::HandleError::TooMany). At most four times as many wait in all such
    /// calls together; with more the answer is [`HandleError::Busy`](trainyard_core::port::HandleError::Busy).
    ///
    /// A subscriber is told each of them like any other change: with a buffer that holds fewer it misses the rest.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use trainyard_core::{Class, Kind, QueueName, Rejection, Subject, Submission, Trained};
    /// # use trainyard_journal::MemoryJournal;
    /// # use trainyard_runtime::{Context, JobToTrain, Trainyard};
    /// # let dir = std::env::temp_dir().join(format!("trainyard-doc-all-{}", std::process::id()));
    /// # let kind = Kind::new("demo")?;
    /// # let (yard, _) = Trainyard::builder(&dir)
    /// #     .journal(MemoryJournal::new())
    /// #     .trainer(kind.clone(), |_: &mut Context, _: &JobToTrain| Ok(Trained::default()))
    /// #     .start()?;
    /// let class = Arc::new(Class::new(kind, QueueName::new("default")?));
    /// let first = Submission::new(yard.job_id(), Subject::new("index/1")?, class);
    /// let twice = first.clone();
    /// let receipts = yard.submit_all(vec![first, twice]).wait()?;
    /// assert!(receipts[0].is_ok());
    /// assert!(matches!(receipts[1], Err(Rejection::JobExists(_))));
    /// # yard.shutdown(std::time::Duration::from_secs(5)).wait()?;
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn submit_all(&self, submissions: Vec<Submission>) -> Ticket<Vec<Result<Receipt, Rejection>>> {
        let max = Self::SUBMISSIONS_MAX;
        if submissions.len() > max {
            return Ticket::answered(Err(HandleError::TooMany { max }));
        }
        if submissions.is_empty() {
            return Ticket::answered(Ok(vec![]));
        }
        let submit = |submission| Command::Submit(Arc::new(submission));
        self.house().ask_all(submissions.into_iter().map(submit).collect())
    }

    /// The most submissions that one call of [`Trainyard::submit_all`] takes.
    pub const SUBMISSIONS_MAX: usize = 65_536;

    /// The most submissions that wait in such calls.
    pub(crate) const BULK_MAX: usize = 4 * Self::SUBMISSIONS_MAX;

    /// Takes a job back. It is over at once; its trainer is told to stop, and occupies its slot until it has.
    pub fn cancel(&self, job: JobId, reason: Reason) -> Ticket<()> {
        self.done(Command::Cancel { job, reason })
    }

    /// Keeps a job in line from being started.
    pub fn hold(&self, job: JobId, reason: Reason) -> Ticket<()> {
        self.done(Command::Hold { job, reason })
    }

    /// Lets a held job be started again.
    pub fn unhold(&self, job: JobId) -> Ticket<()> {
        self.done(Command::Unhold { job })
    }

    /// Waits until a job is over. Holds no thread, however many wait.
    pub fn finished(&self, job: JobId) -> Ticket<Outcome> {
        self.house().finished(job)
    }

    /// Where a running trainer stands; of a contest, what a candidate said last. `None` when it has not said, or
    /// does not run. Live state.
    #[must_use]
    pub fn progress(&self, job: JobId) -> Option<Progress> {
        self.house().wiring.board.progress(job)
    }

    /// Where one run stands, such as a candidate's.
    #[must_use]
    pub fn progress_of(&self, job: JobId, lease: Lease) -> Option<Progress> {
        self.house().wiring.board.progress_of(Run { job, lease })
    }
}

/// Retraining and models.
impl Trainyard {
    /// Retrains a subject by a rule from now on.
    pub fn set_rule(&self, subject: Subject, rule: RetrainRule, template: Template) -> Ticket<()> {
        self.done(Command::SetRule { subject, rule, template: Arc::new(template) })
    }

    /// Retrains a subject by no rule.
    pub fn remove_rule(&self, subject: Subject) -> Ticket<()> {
        self.done(Command::RemoveRule { subject })
    }

    /// Asks a subject's rule about absolute totals; if it fires, the job is submitted.
    pub fn observe(&self, subject: Subject, observation: Observation) -> Ticket<Observed> {
        let command =
            Command::Observe { subject: subject.clone(), observation, job: self.job_id(), repeats: 0 };
        self.house().ask(command, |promise| Reply::Observed(subject, promise))
    }

    /// Makes a model the one of its registry.
    pub fn activate(&self, model: ModelId) -> Ticket<()> {
        self.done(Command::Activate { model })
    }

    /// A subject is no more: its work is cancelled, its rule and models are dropped, and their files removed.
    pub fn retire(&self, subject: Subject) -> Ticket<()> {
        self.done(Command::Retire { subject })
    }

    /// Where a model's artifact is.
    ///
    /// # Errors
    /// [`OutsideDataFolder`] when it is elsewhere, such as under a URL.
    pub fn artifact_path(&self, model: &Model) -> Result<PathBuf, OutsideDataFolder> {
        self.house().wiring.folder.resolve(&model.artifact)
    }
}

/// Queues and settings.
impl Trainyard {
    /// Gives a queue other settings.
    pub fn configure_queue(&self, queue: QueueName, settings: QueueSettings) -> Ticket<()> {
        self.done(Command::ConfigureQueue { queue, settings })
    }

    /// Says how much of a queue's work is kept, in place of what was said before; what [`Settings`] say holds for
    /// what is left out. That is durable, so it need be said once.
    ///
    /// ```
    /// use trainyard_core::{QueueName, Retention};
    /// use trainyard_journal::MemoryJournal;
    /// use trainyard_runtime::Trainyard;
    ///
    /// # let dir = std::env::temp_dir().join(format!("trainyard-retention-{}", std::process::id()));
    /// let (yard, _) = Trainyard::builder(&dir).journal(MemoryJournal::new()).start()?;
    /// let small = QueueName::new("small models")?;
    /// let retention = Retention { models_max: Some(1_000), ..Retention::default() };
    /// yard.set_retention(small.clone(), retention).wait()?;
    /// assert_eq!(yard.read(|yard| yard.queue(&small).map(|queue| queue.retention)), Some(retention));
    /// # yard.shutdown(std::time::Duration::from_secs(5)).wait()?;
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_retention(&self, queue: QueueName, retention: Retention) -> Ticket<()> {
        self.done(Command::SetRetention { queue, retention })
    }

    /// Lets nobody through a queue; what runs goes on.
    pub fn pause_queue(&self, queue: QueueName, reason: Reason) -> Ticket<()> {
        self.done(Command::PauseQueue { queue, reason })
    }

    /// Lets jobs through a paused queue again.
    pub fn resume_queue(&self, queue: QueueName) -> Ticket<()> {
        self.done(Command::ResumeQueue { queue })
    }

    /// Has other settings for the whole yard.
    pub fn configure(&self, settings: Settings) -> Ticket<()> {
        self.done(Command::Configure(settings))
    }
}

/// Looking.
impl Trainyard {
    /// What time it is for the yard; it never goes back.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.house().now()
    }

    /// Looks at the committed yard. Everything that is read inside belongs to one moment. Keep it short, and ask
    /// this handle for nothing but its [edition](Trainyard::edition) inside: commits wait for it.
    pub fn read<T>(&self, look: impl FnOnce(&Yard) -> T) -> T {
        look(&self.house().committed.read())
    }

    /// Which edition of the committed yard there is: grows with every change of it. Inside of [`Trainyard::read`] it is
    /// that of the yard that is looked at.
    #[must_use]
    pub fn edition(&self) -> u64 {
        self.house().edition.load(Ordering::Acquire)
    }

    /// A job as it stands, while it is in the books.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<Job> {
        self.read(|yard| yard.job(job).cloned())
    }

    /// What holds a job back, with numbers; nothing when it runs or is over, `None` when there is no such job.
    #[must_use]
    pub fn explain(&self, job: JobId) -> Option<Vec<Blocker>> {
        let now = self.now();
        self.read(|yard| yard.explain(now, job))
    }

    /// A model, while it is in the books.
    #[must_use]
    pub fn model(&self, model: ModelId) -> Option<Arc<Model>> {
        self.read(|yard| yard.model(model).cloned())
    }

    /// The active model of a registry.
    #[must_use]
    pub fn active_model(&self, registry: &Registry) -> Option<Arc<Model>> {
        self.read(|yard| yard.active_model(registry).cloned())
    }

    /// The last stored decision about a subject.
    #[must_use]
    pub fn decision(&self, subject: &Subject) -> Option<Arc<Decision>> {
        self.read(|yard| yard.rule(subject).and_then(|rule| rule.decision.clone()))
    }

    /// Every change from now on; 4,096 may wait.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        self.subscribe_with(BUFFER)
    }

    /// Every change from now on; so many may wait, at least 1.
    #[must_use]
    pub fn subscribe_with(&self, buffer: usize) -> Subscription {
        self.house().hub.subscribe(buffer)
    }

    /// Which node this process is.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.inner.node
    }

    /// What was done since it was opened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.house().wiring.meters.read()
    }

    /// How many threads are lost to trainers that did not stop when they were told to.
    #[must_use]
    pub fn stuck_threads(&self) -> u64 {
        self.counters().stuck_threads
    }

    /// Why it has stopped, if it has.
    #[must_use]
    pub fn stopped(&self) -> Option<Reason> {
        self.house().stopped.get().cloned()
    }
}

impl Drop for Inner {
    /// Tells the driver that nobody is left; waits for nothing.
    fn drop(&mut self) {
        self.house.is_deserted.store(true, Ordering::Release);
        self.alarm.ring();
    }
}

impl std::fmt::Debug for Trainyard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainyard").field("node", &self.inner.node).finish_non_exhaustive()
    }
}
