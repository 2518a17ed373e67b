//! A yard in memory, for tests of whatever holds a [`Handle`].
//!
//! ```
//! use std::time::Duration;
//! use trainyard_core::port::Handle;
//! use trainyard_core::{Class, Kind, QueueName, Reference, Resources, Subject, Submission, Timestamp, Trained};
//! use trainyard_testkit::bare_yard::{BareYard, in_process};
//!
//! let yard = BareYard::new(Timestamp::from_millis(1_000), in_process(&["portrait"], Resources::slots(8)));
//! let class = Class::new(Kind::new("portrait")?, QueueName::new("photos")?);
//! let job = yard.job_id();
//! drop(yard.submit(Submission::new(job, Subject::new("ann")?, class.into())));
//! assert_eq!(yard.run().expect("it runs").job, job);
//!
//! yard.pass(Duration::from_secs(60));
//! yard.complete(Trained::artifact(Reference::new("memory:")));
//! assert!(yard.newest().is_finished());
//! # Ok::<(), trainyard_core::NameError>(())
//! ```

use std::collections::BTreeMap;
use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use trainyard_core::port::{Change, Changes, Handle, HandleError, Observed, Pending, Receipt};
use trainyard_core::{
    Abilities, Advice, Answer, Command, Fact, Failure, Job, JobId, Kind, ModelId, NodeId, Observation,
    Outcome, Placement, Progress, QueueName, QueueSettings, Reason, Rejection, Resources, RetrainRule, Run,
    RunEnd, Subject, Submission, Template, Timestamp, Trained, Yard,
};

/// A yard that decides and applies at once: no runtime, no journal, no trainers. Whatever is asked of its [`Handle`]
/// is done when the method returns.
///
/// Time stands still until it is moved, ids are counted from 1, and runs end when a test says how. One node of its own
/// has joined; it never fails to renew its lease while time passes. Everything that has happened is kept, for
/// [`BareYard::restart`] and for subscribers, who miss nothing by themselves.
#[derive(Debug)]
pub struct BareYard {
    shared: Arc<Shared>,
    is_without_rules: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told after each change.
    changed: Condvar,
    /// How many changes there were; counted while the state is locked.
    editions: AtomicU64,
}

#[derive(Debug)]
struct State {
    yard: Yard,
    now: Timestamp,
    ids: u128,
    abilities: Abilities,
    /// What every command is answered with.
    refusal: Option<HandleError>,
    /// How many commands were not refused.
    commands: usize,
    /// How often it has stopped.
    stops: usize,
    progress: BTreeMap<JobId, Progress>,
    changes: Vec<Change>,
    /// How many of the changes are facts.
    facts: usize,
    wakers: Vec<Waker>,
}

const NODE: NodeId = NodeId::from_u128(1);

/// What a node can do that trains these kinds in its own process.
///
/// # Panics
/// When one of them is no [`Kind`].
#[must_use]
pub fn in_process(kinds: &[&str], capacity: Resources) -> Abilities {
    let kind = |kind: &&str| (Kind::new(*kind).expect("this is a kind"), Placement::InProcess);
    Abilities { kinds: kinds.iter().map(kind).collect(), capacity }
}

impl BareYard {
    /// At this moment, with one node that can do this.
    #[must_use]
    pub fn new(now: Timestamp, abilities: Abilities) -> Self {
        let mut state = State {
            yard: Yard::default(),
            now,
            ids: 0,
            abilities,
            refusal: None,
            commands: 0,
            stops: 0,
            progress: BTreeMap::new(),
            changes: Vec::new(),
            facts: 0,
            wakers: Vec::new(),
        };
        state.join();
        let shared =
            Shared { state: Mutex::new(state), changed: Condvar::new(), editions: AtomicU64::new(0) };
        Self { shared: Arc::new(shared), is_without_rules: false }
    }

    /// Nothing is retrained by itself: [`Handle::set_rule`] and [`Handle::observe`] panic.
    #[must_use]
    pub fn without_rules(mut self) -> Self {
        self.is_without_rules = true;
        self
    }

    /// Gives a command, of whatever kind. It is done when this returns.
    ///
    /// # Errors
    /// [`HandleError`] when the yard rejects it or was told to refuse it; nothing has changed.
    pub fn command(&self, command: &Command) -> Result<Answer, HandleError> {
        self.shared.change(|state| {
            if let Some(refusal) = &state.refusal {
                return Err(refusal.clone());
            }
            state.commands += 1;
            Ok(state.take(command)?)
        })
    }

    /// Configures a queue.
    ///
    /// # Panics
    /// When this is no [`QueueName`], or the settings are rejected.
    pub fn configure_queue(&self, queue: &str, settings: QueueSettings) {
        let queue = QueueName::new(queue).expect("this is the name of a queue");
        self.command(&Command::ConfigureQueue { queue, settings }).expect("these are settings");
    }

    /// From now on every command is answered with [`HandleError::Busy`].
    pub fn be_busy(&self) {
        self.shared.change(|state| state.refusal = Some(HandleError::Busy { max: 7 }));
    }

    /// From now on every command is answered with [`HandleError::Stopped`]. Whoever waits for a job is told so, and
    /// subscribers hear nothing more once they have heard what there was.
    pub fn stop(&self, reason: &str) {
        self.shared.change(|state| {
            state.refusal = Some(HandleError::Stopped { reason: Reason::new(reason) });
            state.stops += 1;
        });
    }

    /// From now on commands are taken again. Who subscribed before a stop hears nothing of it.
    pub fn go_on(&self) {
        self.shared.change(|state| state.refusal = None);
    }

    /// Time passes, and everything that falls due meanwhile is done when it is due.
    pub fn pass(&self, time: Duration) {
        self.shared.change(|state| {
            let end = state.now.after(time);
            loop {
                let due = state.yard.next_deadline().filter(|due| *due <= end);
                state.now = due.unwrap_or(end).max(state.now);
                // The node shows in time that it is there.
                state.renew();
                state.must(&Command::Tick);
                if due.is_none() {
                    return;
                }
            }
        });
    }

    /// Time jumps, and the node is heard of only afterwards: it may have been given up.
    pub fn jump(&self, time: Duration) {
        self.shared.change(|state| {
            state.now = state.now.after(time);
            state.must(&Command::Tick);
            state.join();
        });
    }

    /// The node comes again, and can do this from now on. What ran is interrupted.
    pub fn join(&self, abilities: Abilities) {
        self.shared.change(|state| {
            state.abilities = abilities;
            state.join();
        });
    }

    /// A crash: the yard is what its facts make it, and the node comes again. What ran is interrupted.
    ///
    /// # Panics
    /// When the facts make another yard than there was.
    pub fn restart(&self) {
        self.shared.change(|state| {
            let mut again = Yard::default();
            for fact in state.facts() {
                again.apply(fact).expect("it has been applied before");
            }
            assert_eq!(again, state.yard, "the facts make another yard");
            state.yard = again;
            state.progress.clear();
            state.join();
        });
    }

    /// Ends what runs: see [`BareYard::run`].
    ///
    /// # Panics
    /// When nothing runs, or it cannot end like this.
    pub fn end(&self, end: RunEnd) {
        let run = self.run().expect("something runs");
        self.command(&Command::Finish { run, end }).expect("it can end like this");
        self.shared.state.lock().progress.remove(&run.job);
    }

    /// What runs hands a model over, or has found nothing to do when there is no artifact.
    ///
    /// # Panics
    /// When nothing runs.
    pub fn complete(&self, trained: Trained) -> ModelId {
        let model = self.model_id();
        self.end(RunEnd::Completed { trained, model, last: None });
        model
    }

    /// What runs gives up.
    ///
    /// # Panics
    /// When nothing runs.
    pub fn fail(&self, reason: &str) {
        self.end(RunEnd::Failed(Failure { reason: Reason::new(reason), advice: Advice::GiveUp }));
    }

    /// What runs shows where it stands.
    ///
    /// # Panics
    /// When nothing runs.
    pub fn report(&self, progress: Progress) {
        let job = self.run().expect("something runs").job;
        self.shared.change(|state| {
            state.progress.insert(job, progress.clone());
            state.changes.push(Change::Progressed { job, progress });
        });
    }

    /// Subscribers are told that they were too slow.
    pub fn miss(&self) {
        self.shared.change(|state| state.changes.push(Change::Missed { changes: 7 }));
    }

    /// An id for a model. It is that of no job.
    #[must_use]
    pub fn model_id(&self) -> ModelId {
        ModelId::new(self.job_id().as_uuid())
    }

    /// Looks at the yard, at one moment.
    pub fn look<T>(&self, look: impl FnOnce(&Yard) -> T) -> T {
        look(&self.shared.state.lock().yard)
    }

    /// Blocks the test until the yard is as it should be.
    ///
    /// # Panics
    /// When it is not within 300 seconds.
    pub fn wait_until(&self, mut look: impl FnMut(&Yard) -> bool) {
        let mut state = self.shared.state.lock();
        let patience = Duration::from_secs(300);
        let waited = self.shared.changed.wait_while_for(&mut state, |state| !look(&state.yard), patience);
        assert!(!waited.timed_out(), "nothing of the sort has happened");
    }

    /// What runs, or has yet to stop; the oldest of it.
    #[must_use]
    pub fn run(&self) -> Option<Run> {
        self.look(|yard| {
            yard.jobs().find_map(|job| {
                let draining = job.draining().and_then(|draining| draining.live.first().copied());
                let lease = job.running().map(|running| running.lease).or(draining)?;
                Some(Run { job: job.id, lease })
            })
        })
    }

    /// Every job in the books, oldest first.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        self.look(|yard| yard.jobs().cloned().collect())
    }

    /// The newest job.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn newest(&self) -> Job {
        self.jobs().into_iter().max_by_key(|job| job.order).expect("there is a job")
    }

    /// How many facts there are.
    #[must_use]
    pub fn facts(&self) -> usize {
        self.shared.state.lock().facts
    }

    /// How many commands were given through the handle or [`BareYard::command`] and not refused because it was busy or
    /// had stopped.
    #[must_use]
    pub fn commands(&self) -> usize {
        self.shared.state.lock().commands
    }

    fn ask<T: Send + 'static>(&self, command: &Command, read: impl FnOnce(Answer) -> T) -> Pending<T> {
        Box::pin(ready(self.command(command).map(read)))
    }
}

impl Handle for BareYard {
    fn now(&self) -> Timestamp {
        self.shared.state.lock().now
    }

    fn job_id(&self) -> JobId {
        let mut state = self.shared.state.lock();
        state.ids += 1;
        JobId::from_u128(state.ids)
    }

    fn submit(&self, submission: Submission) -> Pending<Receipt> {
        self.ask(&Command::Submit(submission.into()), |answer| {
            let Answer::Admitted { job, how } = answer else { panic!("{answer:?}") };
            Receipt { job, how }
        })
    }

    fn cancel(&self, job: JobId, reason: Reason) -> Pending<()> {
        self.ask(&Command::Cancel { job, reason }, drop)
    }

    fn set_rule(&self, subject: Subject, rule: RetrainRule, template: Template) -> Pending<()> {
        assert!(!self.is_without_rules, "nothing is retrained by itself");
        self.ask(&Command::SetRule { subject, rule, template: template.into() }, drop)
    }

    fn observe(&self, subject: Subject, observation: Observation) -> Pending<Observed> {
        assert!(!self.is_without_rules, "nothing is retrained by itself");
        let job = self.job_id();
        self.ask(&Command::Observe { subject, observation, job, repeats: 0 }, |answer| {
            let Answer::Decided { decision, job } = answer else { panic!("{answer:?}") };
            Observed { decision, job }
        })
    }

    fn activate(&self, model: ModelId) -> Pending<()> {
        self.ask(&Command::Activate { model }, drop)
    }

    fn retire(&self, subject: Subject) -> Pending<()> {
        self.ask(&Command::Retire { subject }, drop)
    }

    fn finished(&self, job: JobId) -> Pending<Outcome> {
        let shared = Arc::clone(&self.shared);
        Box::pin(poll_fn(move |cx| {
            let mut state = shared.state.lock();
            match (state.yard.job(job).map(Job::outcome), &state.refusal) {
                (None, _) => Poll::Ready(Err(Rejection::NoJob(job).into())),
                (Some(Some(outcome)), _) => Poll::Ready(Ok(outcome.clone())),
                (Some(None), Some(refusal @ HandleError::Stopped { .. })) => {
                    Poll::Ready(Err(refusal.clone()))
                }
                (Some(None), _) => state.wait(cx),
            }
        }))
    }

    fn read(&self, look: &mut dyn FnMut(&Yard)) {
        self.look(look);
    }

    /// Every change of anything counts.
    fn edition(&self) -> Option<u64> {
        Some(self.shared.editions.load(Ordering::SeqCst))
    }

    fn progress(&self, job: JobId) -> Option<Progress> {
        self.shared.state.lock().progress.get(&job).cloned()
    }

    fn stopped(&self) -> Option<Reason> {
        self.shared.state.lock().stopped()
    }

    fn subscribe(&self) -> Box<dyn Changes> {
        let state = self.shared.state.lock();
        let shared = Arc::clone(&self.shared);
        Box::new(Listening { shared, next: state.changes.len(), stops: state.stops })
    }
}

/// Somebody who subscribed.
struct Listening {
    shared: Arc<Shared>,
    /// The place of the next change.
    next: usize,
    /// How often the yard had stopped then.
    stops: usize,
}

impl Changes for Listening {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Change>> + Send + '_>> {
        Box::pin(poll_fn(|cx| {
            let mut state = self.shared.state.lock();
            match state.changes.get(self.next).cloned() {
                Some(change) => {
                    self.next += 1;
                    Poll::Ready(Some(change))
                }
                None if state.stops > self.stops || state.stopped().is_some() => Poll::Ready(None),
                None => state.wait(cx),
            }
        }))
    }

    fn try_next(&mut self) -> Option<Change> {
        let change = self.shared.state.lock().changes.get(self.next).cloned()?;
        self.next += 1;
        Some(change)
    }
}

impl Shared {
    /// Changes something, and tells whoever waits.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        self.editions.fetch_add(1, Ordering::SeqCst);
        let changed = change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
        changed
    }
}

impl State {
    fn take(&mut self, command: &Command) -> Result<Answer, Rejection> {
        let handled = self.yard.handle(self.now, command)?;
        for fact in handled.facts {
            self.facts += 1;
            let revision = u64::try_from(self.facts).expect("nobody counts that far");
            self.changes.push(Change::Happened { revision, fact: fact.into() });
        }
        Ok(handled.answer)
    }

    fn must(&mut self, command: &Command) {
        self.take(command).expect("it makes sense in every state");
    }

    fn join(&mut self) {
        self.must(&Command::JoinNode { node: NODE, abilities: self.abilities.clone() });
    }

    fn renew(&mut self) {
        let epoch = self.yard.node(NODE).expect("it has joined").epoch;
        self.must(&Command::RenewNode { node: NODE, epoch });
    }

    fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.changes.iter().filter_map(|change| match change {
            Change::Happened { fact, .. } => Some(&**fact),
            Change::Progressed { .. } | Change::Missed { .. } => None,
        })
    }

    fn stopped(&self) -> Option<Reason> {
        let Some(HandleError::Stopped { reason }) = &self.refusal else { return None };
        Some(reason.clone())
    }

    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        if !self.wakers.iter().any(|known| known.will_wake(cx.waker())) {
            self.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}
