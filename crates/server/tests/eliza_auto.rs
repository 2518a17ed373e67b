//! Trainings of tasks that nobody asks for, over HTTP and over restarts, on a clock that the test moves.
#![cfg(unix)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use support::eliza::{Agent, trajectory};
use support::until_told;
use trainyard_core::{Progress, Timestamp, Trained};
use trainyard_eliza::Backend;
use trainyard_runtime::{Context, JobToTrain, TrainError, Trainer};
use trainyard_server::{ElizaLessons, Service, ServiceConfig};
use trainyard_testkit::clock::ManualClock;

/// Nobody waits for it, on a slow machine neither.
const SECONDS: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3_600);

/// Notes how many examples it was given, and leaves that number as what it has trained.
struct Counting {
    lessons: ElizaLessons,
    seen: Arc<Mutex<Vec<u64>>>,
}

impl Trainer for Counting {
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let lesson = self.lessons.lay_out(job, cx.dir()?)?;
        let rows = fs::read_to_string(&lesson.jsonl)?;
        assert!(rows.lines().all(|row| row.contains("eliza_native_v1") && !row.contains("example.com")));
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(lesson.examples);
        self.lessons.log(job, "counts");
        cx.report(Progress::step(1, 1).with_phase("counting"))?;
        fs::write(cx.dir()?.join("count"), lesson.examples.to_string())?;
        cx.trained("count")
    }
}

struct Office {
    clock: ManualClock,
    seen: Arc<Mutex<Vec<u64>>>,
}

impl Office {
    fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_718_000_000_000));
        Self { clock, seen: Arc::default() }
    }

    fn open(&self, folder: &Path) -> (Service, Agent) {
        let seen = Arc::clone(&self.seen);
        let make = move |lessons: ElizaLessons| -> Arc<dyn Trainer> {
            Arc::new(Counting { lessons, seen: Arc::clone(&seen) })
        };
        let config = ServiceConfig::new(folder)
            .with_listen("127.0.0.1:0".parse().expect("it is an address"))
            .with_clock(self.clock.clone())
            .with_eliza_trainer(Backend::Native, make);
        let (service, _) = Service::open(config).expect("it opens");
        let agent = Agent::new(service.url());
        (service, agent)
    }

    fn seen(&self) -> Vec<u64> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many trainings are over, and nothing is left to do.
    fn until_runs(&self, service: &Service, agent: &Agent, runs: usize) {
        until_told(service.yard(), "so many were trained", || {
            let status = agent.read("status");
            status["completedJobs"] == runs && status["runningJobs"] == 0 && status["queuedJobs"] == 0
        });
        assert_eq!(self.seen().len(), runs);
    }
}

fn send(agent: &Agent, numbers: std::ops::Range<u64>) {
    let some: Vec<Value> = numbers.map(|n| trajectory(&format!("t{n}"), "completed")).collect();
    agent.send(&some);
}

#[test]
fn the_threshold_fires_once_and_then_the_cooldown_holds() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::new();
    let (service, agent) = office.open(folder.path());
    agent.done("auto/config", &json!({ "triggerThreshold": 3, "triggerCooldownHours": 12 }));
    send(&agent, 0..2);
    send(&agent, 0..2);
    agent.send(&[trajectory("active", "active"), trajectory("error", "error")]);
    assert_eq!(agent.list("jobs").len(), 0, "2 are 2, however often they are sent");
    send(&agent, 2..3);
    office.until_runs(&service, &agent, 1);
    assert_eq!(office.seen(), [5], "of all that there are");
    let [job] = &agent.list("jobs")[..] else { panic!("one job") };
    assert_eq!((&job["backend"], &job["logs"]), (&json!("native"), &json!(["counts"])), "{job}");
    assert_eq!((&job["currentIteration"], &job["progress"]), (&json!(1), &json!(1.0)), "{job}");

    // Enough are new, and it is too soon.
    send(&agent, 3..7);
    assert_eq!(agent.list("jobs").len(), 1);
    service.shutdown(SECONDS);
    let (service, agent) = office.open(folder.path());
    assert_eq!(agent.list("jobs").len(), 1, "a restart is no reason");
    office.clock.advance(11 * HOUR);
    send(&agent, 0..7);
    assert_eq!(agent.list("jobs").len(), 1);
    // The cooldown is over, and nobody has to come by for that.
    office.clock.advance(2 * HOUR);
    office.until_runs(&service, &agent, 2);
    assert_eq!(office.seen(), [5, 9]);
    office.clock.advance(100 * HOUR);
    send(&agent, 7..9);
    assert_eq!(agent.list("jobs").len(), 2, "2 are new since then");
    service.shutdown(SECONDS);
    let (service, agent) = office.open(folder.path());
    send(&agent, 0..10);
    office.until_runs(&service, &agent, 3);
    service.shutdown(SECONDS);
}

#[test]
fn when_the_catalogue_is_lost_what_comes_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::new();
    let (service, agent) = office.open(folder.path());
    agent.done("auto/config", &json!({ "triggerThreshold": 5, "triggerCooldownHours": 0 }));
    send(&agent, 0..5);
    office.until_runs(&service, &agent, 1);
    service.shutdown(SECONDS);
    for ending in ["", "-wal", "-shm"] {
        drop(fs::remove_file(folder.path().join(format!("eliza/catalog.sqlite{ending}"))));
    }
    let (service, agent) = office.open(folder.path());
    agent.done("auto/config", &json!({ "triggerThreshold": 2, "triggerCooldownHours": 0 }));
    send(&agent, 5..6);
    assert_eq!(agent.list("jobs").len(), 1);
    send(&agent, 6..7);
    office.until_runs(&service, &agent, 2);
    service.shutdown(SECONDS);
}

#[test]
fn while_it_is_disabled_nothing_counts() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::new();
    let (service, agent) = office.open(folder.path());
    agent.done("auto/config", &json!({ "triggerThreshold": 2, "autoTrain": false }));
    send(&agent, 0..5);
    agent.done("auto/config", &json!({ "autoTrain": true }));
    send(&agent, 5..6);
    assert_eq!(agent.list("jobs").len(), 0);
    service.shutdown(SECONDS);
    let (service, agent) = office.open(folder.path());
    send(&agent, 0..6);
    assert_eq!(agent.list("jobs").len(), 0, "what was there then counts never");
    send(&agent, 6..7);
    office.until_runs(&service, &agent, 1);
    service.shutdown(SECONDS);
}

#[test]
fn a_backend_that_nobody_trains_for_is_said_to_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let config = ServiceConfig::new(folder.path()).with_listen("127.0.0.1:0".parse().unwrap());
    let (service, _) = Service::open(config).unwrap();
    let agent = Agent::new(service.url());
    agent.done("auto/config", &json!({ "triggerThreshold": 1 }));
    send(&agent, 0..1);
    until_told(service.yard(), "it is over", || agent.read("status")["failedJobs"] == 1);
    let [job] = &agent.list("jobs")[..] else { panic!("one job") };
    assert!(job["error"].as_str().unwrap().contains("nobody trains for the backend native"), "{job}");
    let (status, refused) = agent.post("jobs", br#"{"backend":"native"}"#);
    assert_eq!((status, &refused["code"]), (400, &json!("INVALID_REQUEST")), "{refused}");
    service.shutdown(SECONDS);
}
