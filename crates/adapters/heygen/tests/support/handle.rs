//! A [`Handle`] over a bare yard, with time that moves when it is told to, and trainers that do what they are told.

use std::future::ready;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use trainyard_core::port::{Change, Changes, Handle, HandleError, Observed, Pending, Receipt};
use trainyard_core::{
    Abilities, Advice, Answer, Command, Failure, Job, JobId, Kind, ModelId, NodeId, Observation, Outcome,
    Placement, Progress, QueueName, QueueSettings, Reason, Reference, Rejection, Resources, RetrainRule, Run,
    RunEnd, Subject, Submission, Template, Timestamp, Trained, Yard,
};

pub struct Yardmaster {
    state: Mutex<State>,
    /// Told after each command.
    changed: Condvar,
    pub stopped: AtomicBool,
    pub busy: AtomicBool,
    /// How many commands were given.
    pub commands: AtomicUsize,
}

struct State {
    yard: Yard,
    now: Timestamp,
    ids: u128,
}

/// 2026-02-02T02:40:00.123Z.
const START: Timestamp = Timestamp::from_millis(1_770_000_000_123);

impl Yardmaster {
    /// With room for so many trainings at once.
    pub fn new(running_max: u32) -> Self {
        let state = State { yard: Yard::default(), now: START, ids: 0 };
        let master = Self {
            state: Mutex::new(state),
            changed: Condvar::default(),
            stopped: AtomicBool::default(),
            busy: AtomicBool::default(),
            commands: AtomicUsize::default(),
        };
        master.join();
        master.configure(QueueSettings { running_max: Some(running_max), ..QueueSettings::default() });
        master
    }

    /// The node comes, or comes again after a crash: what ran is interrupted.
    pub fn join(&self) {
        let kinds = [(Kind::new("portrait").unwrap(), Placement::InProcess)];
        let abilities = Abilities { kinds: kinds.into(), capacity: Resources::slots(8) };
        self.command(&Command::JoinNode { node: NodeId::from_u128(1), abilities }).unwrap();
    }

    pub fn configure(&self, settings: QueueSettings) {
        let queue = QueueName::new("heygen").unwrap();
        self.command(&Command::ConfigureQueue { queue, settings }).unwrap();
    }

    pub fn command(&self, command: &Command) -> Result<Answer, HandleError> {
        if self.stopped.load(Ordering::SeqCst) {
            return Err(HandleError::Stopped { reason: Reason::new("a secret cause") });
        }
        if self.busy.load(Ordering::SeqCst) {
            return Err(HandleError::Busy { max: 7 });
        }
        self.commands.fetch_add(1, Ordering::SeqCst);
        let mut state = self.state.lock().unwrap();
        let now = state.now;
        let handled = state.yard.handle(now, command);
        self.changed.notify_all();
        Ok(handled.map(|handled| handled.answer)?)
    }

    /// Blocks the test until the yard is as it should be.
    pub fn wait_until(&self, mut look: impl FnMut(&Yard) -> bool) {
        let state = self.state.lock().unwrap();
        let patience = Duration::from_secs(60);
        let waited = self.changed.wait_timeout_while(state, patience, |state| !look(&state.yard));
        assert!(!waited.unwrap().1.timed_out(), "nothing of the sort has happened");
    }

    /// Time passes, and everything that falls due meanwhile is done when it is due.
    pub fn pass(&self, time: Duration) {
        let mut state = self.state.lock().unwrap();
        let end = state.now.after(time);
        loop {
            let due = state.yard.next_deadline().filter(|due| *due <= end);
            let now = due.unwrap_or(end).max(state.now);
            state.now = now;
            // The node shows in time that it is there.
            let node = NodeId::from_u128(1);
            let epoch = state.yard.node(node).unwrap().epoch;
            state.yard.handle(now, &Command::RenewNode { node, epoch }).unwrap();
            state.yard.handle(now, &Command::Tick).unwrap();
            if due.is_none() {
                return;
            }
        }
    }

    pub fn look<T>(&self, look: impl FnOnce(&Yard) -> T) -> T {
        look(&self.state.lock().unwrap().yard)
    }

    pub fn jobs(&self) -> Vec<Job> {
        self.look(|yard| yard.jobs().cloned().collect())
    }

    /// The newest job.
    pub fn newest(&self) -> Job {
        self.jobs().into_iter().max_by_key(|job| job.order).expect("there is a job")
    }

    /// The newest job's run, if it runs.
    pub fn run(&self) -> Option<Run> {
        let job = self.newest();
        Some(Run { job: job.id, lease: job.running()?.lease })
    }

    pub fn end(&self, end: RunEnd) {
        let run = self.run().expect("it runs");
        self.command(&Command::Finish { run, end }).unwrap();
    }

    /// The newest job's trainer hands a model over.
    pub fn complete(&self) {
        let trained = Trained::artifact(Reference::new("memory:"));
        let model = ModelId::new(self.job_id().as_uuid());
        self.end(RunEnd::Completed { trained, model, last: None });
    }

    /// The newest job's trainer gives up.
    pub fn fail(&self, reason: &str) {
        self.end(RunEnd::Failed(Failure { reason: Reason::new(reason), advice: Advice::GiveUp }));
    }

    /// The newest job's trainer breaks, and may be tried again.
    pub fn stumble(&self) {
        self.end(RunEnd::Failed(Failure { reason: Reason::new("a glitch"), advice: Advice::Retry }));
    }
}

fn done<T: Send + 'static>(result: Result<T, HandleError>) -> Pending<T> {
    Box::pin(ready(result))
}

impl Handle for Yardmaster {
    fn now(&self) -> Timestamp {
        self.state.lock().unwrap().now
    }

    fn job_id(&self) -> JobId {
        let mut state = self.state.lock().unwrap();
        state.ids += 1;
        JobId::from_u128(state.ids)
    }

    fn submit(&self, submission: Submission) -> Pending<Receipt> {
        let answer = self.command(&Command::Submit(submission.into()));
        done(answer.map(|answer| {
            let Answer::Admitted { job, how } = answer else { panic!("{answer:?}") };
            Receipt { job, how }
        }))
    }

    fn cancel(&self, job: JobId, reason: Reason) -> Pending<()> {
        done(self.command(&Command::Cancel { job, reason }).map(|_| ()))
    }

    fn set_rule(&self, _: Subject, _: RetrainRule, _: Template) -> Pending<()> {
        unreachable!("nothing is retrained by itself")
    }

    fn observe(&self, _: Subject, _: Observation) -> Pending<Observed> {
        unreachable!("nothing is retrained by itself")
    }

    fn activate(&self, model: ModelId) -> Pending<()> {
        done(self.command(&Command::Activate { model }).map(|_| ()))
    }

    fn retire(&self, subject: Subject) -> Pending<()> {
        done(self.command(&Command::Retire { subject }).map(|_| ()))
    }

    fn finished(&self, job: JobId) -> Pending<Outcome> {
        let outcome = self.look(|yard| yard.job(job).and_then(|job| job.outcome().cloned()));
        done(outcome.ok_or(Rejection::NoJob(job).into()))
    }

    fn read(&self, look: &mut dyn FnMut(&Yard)) {
        self.look(look);
    }

    fn progress(&self, _: JobId) -> Option<Progress> {
        None
    }

    fn stopped(&self) -> Option<Reason> {
        self.stopped.load(Ordering::SeqCst).then(|| Reason::new("a secret cause"))
    }

    fn subscribe(&self) -> Box<dyn Changes> {
        Box::new(Nothing)
    }
}

struct Nothing;

impl Changes for Nothing {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Change>> + Send + '_>> {
        Box::pin(ready(None))
    }

    fn try_next(&mut self) -> Option<Change> {
        None
    }
}
