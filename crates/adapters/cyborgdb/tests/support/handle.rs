//! A [`Handle`] over a bare yard, with time that moves when it is told to.

use std::collections::BTreeMap;
use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};
use std::time::Duration;

use trainyard_core::port::{Change, Changes, Handle, HandleError, Observed, Pending, Receipt};
use trainyard_core::{
    Abilities, Answer, Command, Failure, JobId, Kind, Metric, ModelId, NodeId, Observation, Outcome,
    Placement, Progress, QueueName, QueueSettings, Reason, Rejection, Resources, RetrainRule, Run, RunEnd,
    Score, Subject, Submission, Template, Timestamp, Trained, Yard,
};

pub struct Yardmaster {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    stopped: AtomicBool,
}

struct State {
    yard: Yard,
    now: Timestamp,
    ids: u128,
    wakers: Vec<Waker>,
    progress: BTreeMap<JobId, Progress>,
}

impl Yardmaster {
    pub fn new() -> Self {
        let state = State {
            yard: Yard::default(),
            now: Timestamp::from_millis(1_000_000),
            ids: 0,
            wakers: Vec::new(),
            progress: BTreeMap::new(),
        };
        let shared = Shared { state: Mutex::new(state), stopped: AtomicBool::new(false) };
        let master = Self { shared: Arc::new(shared) };
        let kinds = [(Kind::new("ivf").unwrap(), Placement::InProcess)].into();
        let abilities = Abilities { kinds, capacity: Resources::slots(8) };
        master.command(&Command::JoinNode { node: NodeId::from_u128(1), abilities }).unwrap();
        let settings = QueueSettings { running_max: Some(1), ..QueueSettings::default() };
        let queue = QueueName::new("cyborgdb").unwrap();
        master.command(&Command::ConfigureQueue { queue, settings }).unwrap();
        master
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    fn command(&self, command: &Command) -> Result<Answer, HandleError> {
        if self.shared.stopped.load(Ordering::SeqCst) {
            return Err(stopped());
        }
        let mut state = self.state();
        let now = state.now;
        let answer = state.yard.handle(now, command).map(|handled| handled.answer);
        state.wakers.drain(..).for_each(Waker::wake);
        Ok(answer?)
    }

    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.state().wakers.drain(..).for_each(Waker::wake);
    }

    pub fn go_on(&self) {
        self.shared.stopped.store(false, Ordering::SeqCst);
    }

    pub fn pass(&self, time: Duration) {
        let mut state = self.state();
        state.now = state.now.after(time);
    }

    fn run(&self) -> Option<Run> {
        let state = self.state();
        state.yard.jobs().find_map(|job| {
            let lease =
                job.running().map(|running| running.lease).or_else(|| job.draining()?.live.first().copied());
            Some(Run { job: job.id, lease: lease? })
        })
    }

    pub fn running(&self) -> Option<JobId> {
        self.run().map(|run| run.job)
    }

    /// Ends the running training with a model of so many lists, or with nothing done.
    pub fn complete(&self, lists: Option<u32>) {
        let trained = Trained {
            artifact: lists.map(|_| Reason::new("memory:")),
            metrics: lists
                .map(|n| (Metric::new("n_lists").unwrap(), Score::new(n.into()).unwrap()))
                .into_iter()
                .collect(),
        };
        let model = ModelId::new(self.job_id().as_uuid());
        self.end(RunEnd::Completed { trained, model, last: None });
    }

    pub fn fail(&self) {
        let failure =
            Failure { reason: Reason::new("a secret cause"), advice: trainyard_core::Advice::GiveUp };
        self.end(RunEnd::Failed(failure));
    }

    pub fn stop_run(&self) {
        self.end(RunEnd::Stopped);
    }

    fn end(&self, end: RunEnd) {
        let run = self.run().expect("something runs");
        self.command(&Command::Finish { run, end }).unwrap();
        self.state().progress.remove(&run.job);
    }

    /// The running training shows that it is at work.
    pub fn report(&self) {
        let job = self.running().expect("something runs");
        self.state().progress.insert(job, Progress::step(1, 20));
    }

    pub fn has_rule(&self, subject: &Subject) -> bool {
        self.state().yard.rule(subject).is_some()
    }

    pub fn jobs(&self) -> usize {
        self.state().yard.jobs().count()
    }

    pub fn parameters(&self, job: JobId) -> Vec<u8> {
        self.state().yard.job(job).unwrap().parameters.as_bytes().to_vec()
    }

    /// Forgets a subject's rule, as if a creation had been cut short.
    pub fn forget_rule(&self, subject: &Subject) {
        self.command(&Command::RemoveRule { subject: subject.clone() }).unwrap();
    }
}

fn stopped() -> HandleError {
    HandleError::Stopped { reason: Reason::new("the disk is full") }
}

fn done<T: Send + 'static>(result: Result<T, HandleError>) -> Pending<T> {
    Box::pin(ready(result))
}

/// What a test and the futures of its service share.
impl Handle for Yardmaster {
    fn now(&self) -> Timestamp {
        self.state().now
    }

    fn job_id(&self) -> JobId {
        let mut state = self.state();
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

    fn set_rule(&self, subject: Subject, rule: RetrainRule, template: Template) -> Pending<()> {
        done(self.command(&Command::SetRule { subject, rule, template: template.into() }).map(|_| ()))
    }

    fn observe(&self, subject: Subject, observation: Observation) -> Pending<Observed> {
        let job = self.job_id();
        let answer = self.command(&Command::Observe { subject, observation, job, repeats: 0 });
        done(answer.map(|answer| {
            let Answer::Decided { decision, job } = answer else { panic!("{answer:?}") };
            Observed { decision, job }
        }))
    }

    fn activate(&self, model: ModelId) -> Pending<()> {
        done(self.command(&Command::Activate { model }).map(|_| ()))
    }

    fn retire(&self, subject: Subject) -> Pending<()> {
        done(self.command(&Command::Retire { subject }).map(|_| ()))
    }

    fn finished(&self, job: JobId) -> Pending<Outcome> {
        let shared = Arc::clone(&self.shared);
        Box::pin(poll_fn(move |cx| {
            let mut state = shared.state.lock().unwrap();
            let outcome = state.yard.job(job).map(|job| job.outcome().cloned());
            match outcome {
                None => Poll::Ready(Err(Rejection::NoJob(job).into())),
                Some(Some(outcome)) => Poll::Ready(Ok(outcome)),
                Some(None) if shared.stopped.load(Ordering::SeqCst) => Poll::Ready(Err(stopped())),
                Some(None) => {
                    state.wakers.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        }))
    }

    fn read(&self, look: &mut dyn FnMut(&Yard)) {
        look(&self.state().yard);
    }

    fn progress(&self, job: JobId) -> Option<Progress> {
        self.state().progress.get(&job).cloned()
    }

    fn stopped(&self) -> Option<Reason> {
        self.shared.stopped.load(Ordering::SeqCst).then(|| Reason::new("the disk is full"))
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
