//! A [`Handle`] over a bare yard, with time that moves when it is told to, and trainers that do what they are told.

use std::collections::{BTreeMap, VecDeque};
use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};
use std::time::Duration;

use trainyard_core::port::{Change, Changes, Handle, HandleError, Observed, Pending, Receipt};
use trainyard_core::{
    Abilities, Advice, Answer, Command, Fact, Failure, Job, JobId, Kind, ModelId, NodeId, Observation,
    Outcome, Placement, Progress, QueueName, QueueSettings, Reason, Reference, Rejection, Resources,
    RetrainRule, Run, RunEnd, Subject, Submission, Template, Timestamp, Trained, Yard,
};

pub struct Yardmaster {
    shared: Arc<Mutex<State>>,
    pub stopped: AtomicBool,
    pub busy: AtomicBool,
    /// How many commands were given.
    pub commands: AtomicUsize,
}

struct State {
    yard: Yard,
    /// Everything that has happened.
    facts: Vec<Fact>,
    now: Timestamp,
    ids: u128,
    progress: BTreeMap<JobId, Progress>,
    listeners: Vec<Arc<Mutex<Listener>>>,
}

#[derive(Default)]
struct Listener {
    queue: VecDeque<Change>,
    waker: Option<Waker>,
    is_over: bool,
}

/// 2024-06-10T06:13:20Z, the moment of the documentation.
pub const START: Timestamp = Timestamp::from_millis(1_718_000_000_000);

impl Yardmaster {
    /// With room for so many trainings at once.
    pub fn new(running_max: u32) -> Self {
        let state = State {
            yard: Yard::default(),
            facts: Vec::new(),
            now: START,
            ids: 0,
            progress: BTreeMap::new(),
            listeners: Vec::new(),
        };
        let master = Self {
            shared: Arc::new(Mutex::new(state)),
            stopped: AtomicBool::default(),
            busy: AtomicBool::default(),
            commands: AtomicUsize::default(),
        };
        master.join(&["native", "mlx", "cuda", "cpu"]);
        master.configure(QueueSettings { running_max: Some(running_max), ..QueueSettings::default() });
        master
    }

    /// The node comes, or comes again after a crash: what ran is interrupted.
    pub fn join(&self, backends: &[&str]) {
        let kind = |backend: &&str| (Kind::new(format!("eliza/{backend}")).unwrap(), Placement::InProcess);
        let kinds = backends.iter().map(kind).collect();
        let abilities = Abilities { kinds, capacity: Resources::slots(8) };
        self.command(&Command::JoinNode { node: NodeId::from_u128(1), abilities }).unwrap();
    }

    /// Everything is as its facts make it, after a crash too.
    pub fn restart(&self) {
        {
            let mut state = self.state();
            let mut again = Yard::default();
            state.facts.iter().for_each(|fact| again.apply(fact).unwrap());
            assert_eq!(again, state.yard);
            state.yard = again;
            state.progress.clear();
        }
        self.join(&["native", "mlx", "cuda", "cpu"]);
    }

    pub fn configure(&self, settings: QueueSettings) {
        let queue = QueueName::new("eliza").unwrap();
        self.command(&Command::ConfigureQueue { queue, settings }).unwrap();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap()
    }

    pub fn command(&self, command: &Command) -> Result<Answer, HandleError> {
        if self.stopped.load(Ordering::SeqCst) {
            return Err(HandleError::Stopped { reason: Reason::new("a secret cause") });
        }
        if self.busy.load(Ordering::SeqCst) {
            return Err(HandleError::Busy { max: 7 });
        }
        self.commands.fetch_add(1, Ordering::SeqCst);
        Ok(self.state().handle(command)?)
    }

    /// Time passes, and everything that falls due meanwhile is done when it is due.
    pub fn pass(&self, time: Duration) {
        let mut state = self.state();
        let end = state.now.after(time);
        loop {
            let due = state.yard.next_deadline().filter(|due| *due <= end);
            let now = due.unwrap_or(end).max(state.now);
            state.now = now;
            // The node shows in time that it is there.
            let node = NodeId::from_u128(1);
            let epoch = state.yard.node(node).unwrap().epoch;
            state.handle(&Command::RenewNode { node, epoch }).unwrap();
            state.handle(&Command::Tick).unwrap();
            if due.is_none() {
                return;
            }
        }
    }

    /// Time jumps, and the node is heard of only afterwards.
    pub fn jump(&self, time: Duration) {
        {
            let mut state = self.state();
            state.now = state.now.after(time);
            state.handle(&Command::Tick).unwrap();
        }
        self.join(&["native", "mlx", "cuda", "cpu"]);
    }

    pub fn look<T>(&self, look: impl FnOnce(&Yard) -> T) -> T {
        look(&self.state().yard)
    }

    pub fn facts(&self) -> usize {
        self.state().facts.len()
    }

    pub fn jobs(&self) -> Vec<Job> {
        self.look(|yard| yard.jobs().cloned().collect())
    }

    /// The newest job.
    pub fn newest(&self) -> Job {
        self.jobs().into_iter().max_by_key(|job| job.order).expect("there is a job")
    }

    /// What runs, or has yet to stop; the oldest of it.
    pub fn run(&self) -> Option<Run> {
        self.look(|yard| {
            yard.jobs().find_map(|job| {
                let draining = job.draining().and_then(|draining| draining.live.first().copied());
                let lease = job.running().map(|running| running.lease).or(draining)?;
                Some(Run { job: job.id, lease })
            })
        })
    }

    pub fn end(&self, end: RunEnd) {
        let run = self.run().expect("something runs");
        self.command(&Command::Finish { run, end }).unwrap();
        self.state().progress.remove(&run.job);
    }

    /// What runs hands a model over.
    pub fn complete(&self) -> ModelId {
        let trained = Trained::artifact(Reference::new("memory:"));
        let model = ModelId::new(self.job_id().as_uuid());
        self.end(RunEnd::Completed { trained, model, last: None });
        model
    }

    /// What runs has found nothing to do.
    pub fn skip(&self) {
        let model = ModelId::new(self.job_id().as_uuid());
        self.end(RunEnd::Completed { trained: Trained::default(), model, last: None });
    }

    /// What runs gives up.
    pub fn fail(&self, reason: &str) {
        self.end(RunEnd::Failed(Failure { reason: Reason::new(reason), advice: Advice::GiveUp }));
    }

    /// What runs shows where it stands.
    pub fn report(&self, progress: Progress) {
        let run = self.run().expect("something runs");
        let mut state = self.state();
        state.progress.insert(run.job, progress.clone());
        state.tell(&Change::Progressed { job: run.job, progress });
    }

    /// Whoever listens was too slow.
    pub fn miss(&self) {
        self.state().tell(&Change::Missed { changes: 7 });
    }

    /// The yard stops; whoever listens hears nothing more.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        for listener in &self.state().listeners {
            let mut listener = listener.lock().unwrap();
            listener.is_over = true;
            listener.waker.take().into_iter().for_each(Waker::wake);
        }
    }
}

impl State {
    fn handle(&mut self, command: &Command) -> Result<Answer, Rejection> {
        let handled = self.yard.handle(self.now, command)?;
        for fact in handled.facts {
            self.facts.push(fact.clone());
            let revision = u64::try_from(self.facts.len()).unwrap();
            self.tell(&Change::Happened { revision, fact: Arc::new(fact) });
        }
        Ok(handled.answer)
    }

    fn tell(&self, change: &Change) {
        for listener in &self.listeners {
            let mut listener = listener.lock().unwrap();
            listener.queue.push_back(change.clone());
            listener.waker.take().into_iter().for_each(Waker::wake);
        }
    }
}

fn done<T: Send + 'static>(result: Result<T, HandleError>) -> Pending<T> {
    Box::pin(ready(result))
}

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
        let outcome = self.look(|yard| yard.job(job).and_then(|job| job.outcome().cloned()));
        done(outcome.ok_or(Rejection::NoJob(job).into()))
    }

    fn read(&self, look: &mut dyn FnMut(&Yard)) {
        self.look(look);
    }

    fn progress(&self, job: JobId) -> Option<Progress> {
        self.state().progress.get(&job).cloned()
    }

    fn stopped(&self) -> Option<Reason> {
        self.stopped.load(Ordering::SeqCst).then(|| Reason::new("a secret cause"))
    }

    fn subscribe(&self) -> Box<dyn Changes> {
        let listener = Arc::default();
        self.state().listeners.push(Arc::clone(&listener));
        Box::new(Listening(listener))
    }
}

struct Listening(Arc<Mutex<Listener>>);

impl Changes for Listening {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Change>> + Send + '_>> {
        Box::pin(poll_fn(|cx| {
            let mut listener = self.0.lock().unwrap();
            match listener.queue.pop_front() {
                Some(change) => Poll::Ready(Some(change)),
                None if listener.is_over => Poll::Ready(None),
                None => {
                    listener.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        }))
    }

    fn try_next(&mut self) -> Option<Change> {
        self.0.lock().unwrap().queue.pop_front()
    }
}
