//! What the tests share.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::scheduler::{
    PctScheduler, RandomScheduler, ReplayScheduler, UncontrolledNondeterminismCheckScheduler,
};
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;
use shuttle::{Config, MaxSteps, Runner};
use trainyard_core::port::{HandleError, Receipt};
use trainyard_core::{
    Class, Event, Fact, JobId, Kind, Limits, NodeId, Outcome, QueueName, Reference, Subject, Submission,
    Timestamp, Trained, Yard,
};
use trainyard_journal::{Journal, MemoryJournal, Position};
use trainyard_runtime::{
    Builder, Context, Driver, JobToTrain, ShutdownReport, Ticket, TrainError, Trainer, Trainyard,
};
use trainyard_testkit::clock::ManualClock;
use uuid::Uuid;

/// Longer than anything takes: there is no time here.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Runs a test under so many schedules by chance, and as many by PCT.
pub(crate) fn check(schedules: usize, test: fn(&Rig)) {
    let dir = TempDir::new();
    let path = dir.0.clone();
    let run = move || test(&Rig::new(&path));
    if let Ok(schedule) = std::env::var("TRAINYARD_SCHEDULE") {
        Runner::new(ReplayScheduler::new_from_encoded(&schedule), config()).run(run);
        return;
    }
    let schedules = if std::env::var_os("TRAINYARD_LONG").is_some() { 20 * schedules } else { schedules };
    let by_chance = Runner::new(RandomScheduler::new(schedules), config()).run(run.clone());
    let by_pct = Runner::new(PctScheduler::new(PCT_DEPTH, schedules), config()).run(run);
    assert_eq!((by_chance, by_pct), (schedules, schedules));
}

/// Runs each schedule twice and compares them: what nobody can repeat, nobody can replay.
pub(crate) fn check_replay(schedules: usize, test: fn(&Rig)) {
    let dir = TempDir::new();
    let path = dir.0.clone();
    let scheduler = UncontrolledNondeterminismCheckScheduler::new(RandomScheduler::new(schedules));
    Runner::new(scheduler, config()).run(move || test(&Rig::new(&path)));
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.silence_warnings = true;
    config
}

/// How many changes of priority a schedule of PCT has, and one: bugs that need more are left to chance.
const PCT_DEPTH: usize = 3;

/// Room for a yard's decisions without optimisation.
const STACK_BYTES: usize = 1 << 20;

/// Whoever needs more goes round in circles.
const STEPS_MAX: usize = 200_000;

/// A folder that is gone when the test is.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("trainyard-shuttle-{}", Uuid::new_v4())))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A virtual clock and a journal in memory, new for every schedule; the folder is the same for all.
pub(crate) struct Rig {
    path: PathBuf,
    pub(crate) log: MemoryJournal,
    pub(crate) clock: ManualClock,
}

impl Rig {
    fn new(path: &Path) -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        Self { path: path.to_owned(), log: MemoryJournal::new(), clock }
    }

    pub(crate) fn builder(&self) -> Builder {
        self.builder_of(1, self.log.holder())
    }

    /// One for a node of its own. Ids are given, since those by chance would be others at every replay.
    pub(crate) fn builder_of(&self, node: u128, journal: impl Journal + 'static) -> Builder {
        Trainyard::builder(self.path.join(node.to_string()))
            .node(NodeId::from_u128(node))
            .threads(NonZeroUsize::MIN)
            .journal(journal)
            .clock(self.clock.clone())
    }

    pub(crate) fn start(&self, trainer: impl Trainer) -> Trainyard {
        self.builder().trainer(kind(), trainer).start().unwrap().0
    }

    /// How many folders of attempts there are.
    pub(crate) fn attempts(&self) -> usize {
        let jobs = std::fs::read_dir(self.path.join("1").join("work")).unwrap();
        jobs.map(|job| std::fs::read_dir(job.unwrap().path()).unwrap().count()).sum()
    }

    /// All facts of the journal.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let mut holder = self.log.holder();
        let reading = holder.read(Position::START).unwrap();
        reading.records.flat_map(|record| record.unwrap().facts.clone()).collect()
    }

    /// The yard that the journal tells of. What must hold of every journal is checked on the way: a job ends once, no
    /// run of it writes after that, and leases grow.
    pub(crate) fn replayed(&self) -> Yard {
        let mut over = BTreeSet::new();
        let mut leases = BTreeMap::new();
        for fact in self.facts() {
            match &fact.event {
                Event::Finished { job, .. } => assert!(over.insert(*job), "{job} ends twice"),
                Event::Reported { job, .. }
                | Event::Reached { job, .. }
                | Event::HandedOver { job, .. }
                | Event::Checkpointed { job, .. } => assert!(!over.contains(job), "{job} is over: {fact:?}"),
                Event::Started { job, lease, .. } => {
                    assert!(!over.contains(job), "{job} is over and starts");
                    assert!(leases.insert(*lease, *job).is_none(), "{lease} is given twice");
                    assert_eq!(leases.last_key_value().map(|(last, _)| last), Some(lease), "leases grow");
                }
                _ => {}
            }
        }
        Driver::open(self.log.holder()).unwrap().yard()
    }

    /// How a job has ended, by the journal.
    pub(crate) fn end(&self, job: JobId) -> Option<Outcome> {
        self.replayed().job(job).and_then(|job| job.outcome().cloned())
    }
}

/// Closed until somebody opens it for all.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub(crate) fn pass(&self) {
        let closed = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(closed, |is_open| !*is_open).unwrap());
    }
}

pub(crate) fn kind() -> Kind {
    Kind::new("test").unwrap()
}

pub(crate) fn class() -> Class {
    Class::new(kind(), QueueName::new("default").unwrap())
}

pub(crate) fn limited(limits: Limits) -> Class {
    Class { limits, ..class() }
}

pub(crate) fn id(number: u128) -> JobId {
    JobId::from_u128(number)
}

pub(crate) fn submission(number: u128, class: Class) -> Submission {
    Submission::new(id(number), Subject::new(number.to_string()).unwrap(), Arc::new(class))
}

pub(crate) fn submit(yard: &Trainyard, number: u128) -> Ticket<Receipt> {
    yard.submit(submission(number, class()))
}

/// Waits in one of three ways: on a thread, as a future, or on a thread that loses its patience again and again.
pub(crate) fn answer<T>(way: u128, mut ticket: Ticket<T>) -> Result<T, HandleError> {
    match way % 3 {
        0 => ticket.wait(),
        1 => block_on(ticket),
        _ => loop {
            match ticket.wait_timeout(LONG) {
                Ok(answer) => return answer,
                Err(same) => ticket = same,
            }
        },
    }
}

pub(crate) fn is_stopped<T>(answer: &Result<T, HandleError>) -> bool {
    matches!(answer, Err(HandleError::Stopped { .. }))
}

pub(crate) fn shut_down(yard: &Trainyard) -> ShutdownReport {
    yard.shutdown(LONG).wait().unwrap()
}

/// Has nothing to do.
pub(crate) fn quick(_: &mut Context, _: &JobToTrain) -> Result<Trained, TrainError> {
    Ok(Trained::default())
}

/// Somewhere else, so that nothing is written here.
pub(crate) fn elsewhere(name: &str) -> Reference {
    Reference::new(format!("memory://{name}"))
}

/// Waits until it is told to stop, and says why it was.
pub(crate) fn obedient(cx: &Context) -> TrainError {
    loop {
        if let Some(stop) = cx.stop_reason() {
            return stop.into();
        }
        thread::yield_now();
    }
}

pub(crate) const DONE: Outcome = Outcome::Completed { model: None };
