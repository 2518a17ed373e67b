//! What the tests share.
#![allow(dead_code, unreachable_pub, reason = "every test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use trainyard_core::port::{Change, HandleError};
use trainyard_core::{
    Class, Event, Job, JobId, Kind, Limits, Outcome, QueueName, Subject, Submission, Timestamp, Trained,
};
use trainyard_journal::{Journal, MemoryJournal};
use trainyard_runtime::{
    Builder, Context, JobToTrain, ShutdownReport, Subscription, Ticket, TrainError, Trainer, Trainyard,
};
use trainyard_testkit::clock::ManualClock;
use uuid::Uuid;

/// Nobody waits longer than this, on a slow machine neither; only a broken test ever waits so long.
pub const SAFETY: Duration = Duration::from_secs(300);

/// A folder that is gone when the test is.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        Self(std::env::temp_dir().join(format!("trainyard-test-{}", Uuid::new_v4())))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// How many folders of attempts there are.
    pub fn attempts(&self) -> usize {
        let jobs = std::fs::read_dir(self.0.join("work")).unwrap();
        jobs.map(|job| std::fs::read_dir(job.unwrap().path()).unwrap().count()).sum()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A yard with a virtual clock, a journal in memory and one trainer.
pub struct Rig {
    pub dir: TempDir,
    pub log: MemoryJournal,
    pub clock: ManualClock,
}

impl Rig {
    pub fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        Self { dir: TempDir::new(), log: MemoryJournal::new(), clock }
    }

    pub fn builder(&self) -> Builder {
        self.builder_on(self.log.holder())
    }

    pub fn builder_on(&self, journal: impl Journal + 'static) -> Builder {
        Trainyard::builder(self.dir.path()).journal(journal).clock(self.clock.clone())
    }

    pub fn start(&self, trainer: impl Trainer) -> Trainyard {
        self.builder().trainer(kind(), trainer).start().unwrap().0
    }
}

pub fn kind() -> Kind {
    Kind::new("test").unwrap()
}

pub fn subject(name: &str) -> Subject {
    Subject::new(name).unwrap()
}

pub fn class() -> Class {
    Class::new(kind(), QueueName::new("default").unwrap())
}

pub fn limited(limits: Limits) -> Class {
    Class { limits, ..class() }
}

/// Submits a job of this class, and waits until it is let in.
pub fn submit(yard: &Trainyard, name: &str, class: Class) -> JobId {
    wait(yard.submit(Submission::new(yard.job_id(), subject(name), Arc::new(class)))).unwrap().job
}

pub fn wait<T>(ticket: Ticket<T>) -> Result<T, HandleError> {
    ticket.wait_timeout(SAFETY).expect("an answer comes")
}

pub fn outcome(yard: &Trainyard, job: JobId) -> Outcome {
    wait(yard.finished(job)).unwrap()
}

pub fn job(yard: &Trainyard, job: JobId) -> Job {
    yard.read(|yard| yard.job(job).cloned()).expect("the job is in the books")
}

/// Whoever waits for the deadline runs into [`SAFETY`] first.
pub fn shut_down(yard: &Trainyard) -> ShutdownReport {
    wait(yard.shutdown(SAFETY * 2)).unwrap()
}

/// Waits until an event has happened that `wanted` knows.
pub fn until(changes: &mut Subscription, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        match changes.next_timeout(SAFETY).expect("it happens") {
            Change::Happened { fact, .. } if wanted(&fact.event) => return fact.event.clone(),
            Change::Happened { .. } | Change::Progressed { .. } | Change::Missed { .. } => {}
        }
    }
}

/// A trainer that says when it has begun, and waits to be told how to end.
pub struct Puppet {
    begun: Sender<JobToTrain>,
    ends: Receiver<Result<Trained, TrainError>>,
}

/// The strings of a [`Puppet`].
pub struct Strings {
    pub begun: Receiver<JobToTrain>,
    pub ends: Sender<Result<Trained, TrainError>>,
}

pub fn puppet() -> (Puppet, Strings) {
    let (begun, has_begun) = unbounded();
    let (end, ends) = unbounded();
    (Puppet { begun, ends }, Strings { begun: has_begun, ends: end })
}

impl Strings {
    pub fn begun(&self) -> JobToTrain {
        self.begun.recv_timeout(SAFETY).expect("it begins")
    }

    pub fn end(&self, end: Result<Trained, TrainError>) {
        self.ends.send(end).unwrap();
    }
}

impl Trainer for Puppet {
    /// Deaf to everything but its strings.
    fn train(&self, _cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let _ = self.begun.send(job.clone());
        self.ends.recv().unwrap_or(Ok(Trained::default()))
    }
}

/// Waits until it is told to stop, and says why it was.
pub fn obedient(cx: &Context) -> TrainError {
    loop {
        if let Some(stop) = cx.stop_reason() {
            return stop.into();
        }
        std::thread::yield_now();
    }
}
