//! A [`Handle`] over a bare yard, with time that moves when it is told to, and algorithms that do what they are told.

use std::future::ready;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use trainyard_core::port::{Change, Changes, Handle, HandleError, Observed, Pending, Receipt};
use trainyard_core::{
    Abilities, Answer, Command, Failure, Job, JobId, Kind, Metric, ModelId, NodeId, Observation, Outcome,
    Placement, Progress, QueueName, QueueSettings, Reason, Reference, Rejection, Resource, Resources,
    RetrainRule, Run, RunEnd, Score, Subject, Submission, Template, Timestamp, Trained, Yard,
};
use trainyard_mathfi::{PERFORMANCE, TEST_PERFORMANCE, TRAINING_PERFORMANCE};

pub struct Yardmaster {
    state: Mutex<State>,
    pub stopped: AtomicBool,
    pub busy: AtomicBool,
}

struct State {
    yard: Yard,
    now: Timestamp,
    ids: u128,
}

/// 2025-10-24T08:35:36Z.
const START: Timestamp = Timestamp::from_millis(1_761_294_936_000);

impl Yardmaster {
    /// With room for so many contests at once.
    pub fn new(running_max: u32) -> Self {
        let state = State { yard: Yard::default(), now: START, ids: 0 };
        let master =
            Self { state: Mutex::new(state), stopped: AtomicBool::default(), busy: AtomicBool::default() };
        master.join();
        let settings = QueueSettings { running_max: Some(running_max), ..QueueSettings::default() };
        let queue = QueueName::new("mathfi").unwrap();
        master.command(&Command::ConfigureQueue { queue, settings }).unwrap();
        master
    }

    /// The node comes, or comes again after a crash: what ran is interrupted.
    pub fn join(&self) {
        let kinds = ["tabular", "other"].map(|kind| (Kind::new(kind).unwrap(), Placement::InProcess));
        let capacity = Resources::slots(8).with(Resource::new("memory_mib").unwrap(), 1_000);
        let abilities = Abilities { kinds: kinds.into(), capacity };
        self.command(&Command::JoinNode { node: NodeId::from_u128(1), abilities }).unwrap();
    }

    pub fn command(&self, command: &Command) -> Result<Answer, HandleError> {
        if self.stopped.load(Ordering::SeqCst) {
            return Err(HandleError::Stopped { reason: Reason::new("a secret cause") });
        }
        if self.busy.load(Ordering::SeqCst) {
            return Err(HandleError::Busy { max: 7 });
        }
        let mut state = self.state.lock().unwrap();
        let now = state.now;
        Ok(state.yard.handle(now, command).map(|handled| handled.answer)?)
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

    /// The run of the algorithm at this place, if it runs.
    pub fn run(&self, job: JobId, place: usize) -> Option<Run> {
        self.look(|yard| {
            let lease = yard.job(job)?.contest()?.candidates.get(place)?.lease()?;
            Some(Run { job, lease })
        })
    }

    /// The algorithm at this place has measured something; at the target it finishes with it.
    pub fn measure(&self, job: JobId, place: usize, value: f64) -> Result<Answer, HandleError> {
        let run = self.run(job, place).expect("it runs");
        let target = self.look(|yard| yard.job(job).unwrap().contest().unwrap().target);
        let value = Score::new(value).unwrap();
        if value < target {
            return self.command(&Command::Report { run, step: 1, performance: Some(value) });
        }
        let metric = |name| Metric::new(name).unwrap();
        let trained = Trained::artifact(Reference::new("memory:"))
            .with_metric(metric(PERFORMANCE), value)
            .with_metric(metric(TRAINING_PERFORMANCE), Score::new(0.987_654).unwrap())
            .with_metric(metric(TEST_PERFORMANCE), Score::new(0.876_543).unwrap());
        let model = ModelId::new(self.job_id().as_uuid());
        let end = RunEnd::Completed { trained, model, last: Some((1, value)) };
        self.command(&Command::Finish { run, end })
    }

    /// The algorithm at this place breaks.
    pub fn fail(&self, job: JobId, place: usize) {
        let run = self.run(job, place).expect("it runs");
        let failure =
            Failure { reason: Reason::new("a secret cause"), advice: trainyard_core::Advice::GiveUp };
        self.command(&Command::Finish { run, end: RunEnd::Failed(failure) }).unwrap();
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
