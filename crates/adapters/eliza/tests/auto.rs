//! Trainings that nobody asks for: they begin exactly when they should.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Bench, Following, MemoryHost, drain, yard};
use trainyard_core::port::Handle;
use trainyard_core::{Job, JobId, Outcome, Promotion, Timestamp, Trained};
use trainyard_eliza::{Backend, Settings, Source, Task, TrainParameters};
use trainyard_http::{Method, block_on};

const HOUR: Duration = Duration::from_secs(3_600);
const TASKS: [&str; 2] = ["response", "should_respond"];

fn task(word: &str) -> Task {
    Task::new(word).unwrap()
}

fn configure(bench: &Bench, body: &Value) {
    bench.ask(Method::PUT, "/auto/config", &body.to_string()).data();
}

/// The jobs of a task, oldest first.
fn runs(bench: &Bench, word: &str) -> Vec<Job> {
    let subject = task(word).subject();
    bench.yard.jobs().into_iter().filter(|job| job.subject == subject).collect()
}

#[test]
fn enough_new_trajectories_set_a_training_off() {
    let bench = Bench::new();
    configure(&bench, &json!({ "threshold": 3 }));
    bench.bring(0, 2, "response").made();
    assert!(bench.yard.jobs().is_empty());
    bench.bring(1, 1, "response").made();
    assert!(bench.yard.jobs().is_empty(), "one that is sent twice is there once");
    bench.bring(2, 1, "response").made();
    let job = bench.yard.newest();
    assert_eq!((&job.subject, job.watermark()), (&task("response").subject(), Some(3)));
    assert_eq!((job.class.kind.as_str(), &job.class.registry), ("eliza/native", &None));
    assert!(matches!(job.class.promotion, Promotion::AtLeast(..)), "the trainer says whether it is better");
    let parameters = TrainParameters::from_bytes(job.parameters.as_bytes()).unwrap();
    assert_eq!(parameters, TrainParameters::new(Source::Task(task("response")), Backend::Native));
    bench.complete();
    let registry = trainyard_core::Registry::from(&task("response").subject());
    assert_eq!(bench.yard.look(|yard| yard.models(&registry).count()), 1);
    assert_eq!(bench.get("/models").data()["models"][0]["task"], "response");
}

#[test]
fn one_trajectory_may_count_for_several_tasks() {
    let bench = Bench::new();
    configure(
        &bench,
        &json!({ "threshold": 2, "perTaskOverrides": { "response": { "threshold": 1, "backend": "cpu" } } }),
    );
    bench.post("/trajectories", &json!({ "id": "a", "tasks": ["response", "should_respond"] })).made();
    let job = bench.yard.newest();
    assert_eq!(job.class.kind.as_str(), "eliza/cpu", "the task's own backend");
    assert_eq!(bench.yard.jobs().len(), 1);
    bench.post("/trajectories", &json!({ "id": "b", "tasks": ["should_respond"] })).made();
    assert_eq!(bench.yard.newest().subject, task("should_respond").subject());
}

#[test]
fn nothing_is_written_that_is_there_already() {
    let bench = Bench::new();
    configure(&bench, &json!({ "threshold": 5 }));
    bench.bring(0, 2, "response").made();
    let facts = bench.yard.facts();
    let done = block_on(bench.service.resync()).unwrap();
    assert_eq!((done.tasks, done.ruled, done.triggered), (1, 0, 0));
    configure(&bench, &json!({ "threshold": 5 }));
    bench.service.observe().unwrap();
    assert_eq!(bench.yard.facts(), facts);
}

#[test]
fn a_start_and_what_follows_may_be_driven_anywhere() {
    fn check<T: Send>(_: &T) {}
    let bench = Bench::new();
    check(&bench.service.resync());
    check(&bench.service.follow());
}

#[test]
fn a_start_makes_up_for_what_the_yard_has_not_heard() {
    let bench = Bench::new();
    configure(&bench, &json!({ "threshold": 2 }));
    bench.yard.be_busy();
    bench.bring(0, 2, "response").made();
    bench.yard.go_on();
    assert!(bench.yard.jobs().is_empty());
    let done = block_on(bench.service.resync()).unwrap();
    assert_eq!((done.tasks, done.ruled, done.triggered), (1, 1, 1));
    assert_eq!(bench.yard.jobs().len(), 1);
}

#[test]
fn an_agent_in_the_process_needs_no_wire() {
    let bench = Bench::new();
    configure(&bench, &json!({ "threshold": 1 }));
    let ingested = bench.service.ingest(br#"{"id":"a","tasks":["response"]}"#).unwrap();
    assert_eq!(ingested.totals, BTreeMap::from([(task("response"), 1)]));
    assert_eq!(bench.yard.jobs().len(), 1);
    bench.service.ingest(b"{").unwrap_err();
}

#[test]
fn disabled_nothing_is_counted_and_a_manual_run_asks_nobody() {
    let bench = Bench::new();
    configure(&bench, &json!({ "threshold": 1 }));
    bench.bring(0, 1, "response").made();
    bench.complete();
    configure(&bench, &json!({ "enabled": false }));
    bench.yard.pass(100 * HOUR);
    bench.bring(1, 5, "response").made();
    assert_eq!(bench.host.totals()[&task("response")], 1);
    assert_eq!(runs(&bench, "response").len(), 1);
    let told = bench.post("/auto/trigger", &json!({ "task": "response" })).made();
    assert_eq!((&told["status"], &told["run"]["source"]), (&json!("running"), &json!("manual")));
    assert_eq!(runs(&bench, "response").len(), 2);
    bench.yard.complete(Trained::default());
    let run = bench.get("/auto/runs").data()["runs"][0].clone();
    assert_eq!(
        (&run["status"], &run["reason"]),
        (&json!("skipped"), &json!("it found nothing to do, or nothing better"))
    );
}

#[test]
fn without_a_task_the_fullest_one_is_run() {
    let bench = Bench::new();
    configure(&bench, &json!({ "threshold": 3, "enabled": true, "cooldownHours": 1_000 }));
    let told = bench.post("/auto/trigger", &json!({})).made();
    assert_eq!((&told["status"], &told["runId"]), (&json!("skipped"), &Value::Null));
    for (first, count, word) in [(0, 3, "response"), (10, 4, "should_respond")] {
        bench.bring(first, count, word).made();
        bench.yard.fail("no luck");
    }
    let told = bench.post("/auto/trigger", &json!({})).made();
    assert_eq!(told["run"]["task"], "should_respond");
}

#[test]
fn a_run_that_ends_after_its_cooldown_is_followed_by_the_next() {
    let bench = Bench::new();
    let mut follow: Following = Box::pin(bench.service.follow());
    configure(&bench, &json!({ "threshold": 2, "cooldownHours": 1 }));
    bench.bring(0, 2, "response").made();
    bench.bring(2, 2, "response").made();
    bench.yard.pass(2 * HOUR);
    assert_eq!(runs(&bench, "response").len(), 1);
    bench.complete();
    drain(&mut follow);
    assert_eq!(runs(&bench, "response").len(), 2, "what came meanwhile is enough");
    bench.complete();
    drain(&mut follow);
    bench.yard.pass(1_000 * HOUR);
    assert_eq!(runs(&bench, "response").len(), 2, "once for one count");
}

#[derive(Debug, Clone)]
enum Step {
    /// So many are completed, of one task or of both.
    Complete(usize, Vec<&'static str>),
    /// One goes on, or breaks off before it was anything.
    Active,
    Pass(Duration),
    /// The clock jumps, and the node was not heard of meanwhile.
    Jump(Duration),
    Enable(bool),
    Threshold(u64),
    Cooldown(u64),
    Succeed,
    Skip,
    Fail,
    /// The process dies and comes again.
    Restart,
    /// It is told again what it knows.
    Observe,
}

fn step() -> impl Strategy<Value = Step> {
    let tasks = prop::sample::select(vec![vec![TASKS[0]], vec![TASKS[1]], TASKS.to_vec()]);
    let millis = prop_oneof![
        0_u64..3,
        0_u64..120_000,
        (0_u64..30).prop_map(|hours| hours * 3_600_000),
        Just(3_600_000 - 1),
    ];
    let far = prop_oneof![Just(40_u64 * 24 * 3_600_000), Just(400_u64 * 24 * 3_600_000)];
    prop_oneof![
        8 => (1_usize..5, tasks).prop_map(|(count, tasks)| Step::Complete(count, tasks)),
        1 => Just(Step::Active),
        5 => millis.prop_map(|millis| Step::Pass(Duration::from_millis(millis))),
        1 => far.prop_map(|millis| Step::Jump(Duration::from_millis(millis))),
        2 => any::<bool>().prop_map(Step::Enable),
        2 => (1_u64..8).prop_map(Step::Threshold),
        2 => (0_u64..14).prop_map(Step::Cooldown),
        4 => Just(Step::Succeed),
        1 => Just(Step::Skip),
        2 => Just(Step::Fail),
        1 => Just(Step::Restart),
        1 => Just(Step::Observe),
    ]
}

/// What should be known of a task.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    total: u64,
    /// The total that the last run which went well was set off at.
    seen: u64,
    fired_at: Option<Timestamp>,
    failures: u32,
    failed_at: Option<Timestamp>,
    in_flight: Option<JobId>,
}

/// What should be so, told naively.
#[derive(Debug)]
struct Naive {
    is_enabled: bool,
    threshold: u64,
    cooldown: Duration,
    tasks: BTreeMap<&'static str, Known>,
}

impl Naive {
    /// Whether a task is to be trained at a moment, with this total.
    fn is_due(&self, known: &Known, total: u64, now: Timestamp) -> bool {
        let is_over =
            |since: Option<Timestamp>, wait: Duration| since.is_none_or(|since| now >= since.after(wait));
        // A minute, doubling up to six hours.
        let backoff = (60_u64 << known.failures.saturating_sub(1).min(20)).min(6 * 3_600);
        self.is_enabled
            && total >= known.seen + self.threshold
            && known.in_flight.is_none()
            && is_over(known.fired_at, self.cooldown)
            && is_over(known.failed_at, Duration::from_secs(backoff))
    }
}

struct Play {
    bench: Bench,
    follow: Following,
    naive: Naive,
    /// How many trajectories there are.
    sent: usize,
    /// How many jobs were there.
    jobs: usize,
}

impl Play {
    fn new() -> Self {
        let yard = Arc::new(yard(2));
        let bench = Bench::over(Settings::new(), yard, Arc::new(MemoryHost::default()));
        configure(&bench, &json!({ "threshold": 3, "cooldownHours": 12 }));
        let follow = Box::pin(bench.service.follow());
        let tasks = TASKS.map(|word| (word, Known::default())).into();
        let naive = Naive { is_enabled: true, threshold: 3, cooldown: 12 * HOUR, tasks };
        Self { bench, follow, naive, sent: 0, jobs: 0 }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Complete(count, tasks) => {
                let one = |id: usize| json!({ "id": format!("t-{id}"), "tasks": tasks });
                let all: Vec<Value> = (self.sent..self.sent + count).map(one).collect();
                self.sent += count;
                if self.naive.is_enabled {
                    for word in tasks {
                        self.naive.tasks.get_mut(word).unwrap().total += u64::try_from(*count).unwrap();
                    }
                }
                self.bench.post("/trajectories", &all.into()).made();
            }
            Step::Active => {
                let one = json!({ "id": "goes on", "status": "active", "tasks": TASKS });
                self.bench.post("/trajectories", &one).made();
            }
            Step::Pass(time) => self.bench.yard.pass(*time),
            Step::Jump(time) => self.bench.yard.jump(*time),
            Step::Enable(is_enabled) => {
                self.naive.is_enabled = *is_enabled;
                configure(&self.bench, &json!({ "enabled": is_enabled }));
            }
            Step::Threshold(threshold) => {
                self.naive.threshold = *threshold;
                configure(&self.bench, &json!({ "threshold": threshold }));
            }
            Step::Cooldown(hours) => {
                self.naive.cooldown = HOUR * u32::try_from(*hours).unwrap();
                configure(&self.bench, &json!({ "cooldownHours": hours }));
            }
            Step::Succeed => self.end(|bench| _ = bench.complete()),
            Step::Skip => self.end(|bench| _ = bench.yard.complete(Trained::default())),
            Step::Fail => self.end(|bench| bench.yard.fail("no luck")),
            Step::Restart => {
                self.bench.yard.restart();
                let (yard, host) = (Arc::clone(&self.bench.yard), Arc::clone(&self.bench.host));
                self.bench = Bench::over(Settings::new(), yard, host);
                self.follow = Box::pin(self.bench.service.follow());
                let done = block_on(self.bench.service.resync()).unwrap();
                assert_eq!((done.ruled, done.triggered), (0, 0), "a restart is no news");
            }
            Step::Observe => self.bench.service.observe().unwrap(),
        }
    }

    fn end(&self, end: impl FnOnce(&Bench)) {
        if self.bench.yard.run().is_some() {
            end(&self.bench);
        }
    }

    /// What has ended is noted.
    fn note_ends(&mut self) {
        for job in self.bench.yard.jobs() {
            let word = Task::of(&job.subject).unwrap();
            let known = self.naive.tasks.get_mut(word.as_str()).unwrap();
            if known.in_flight != Some(job.id) {
                continue;
            }
            match job.outcome() {
                None => {}
                Some(Outcome::Completed { .. }) => {
                    let (failures, failed_at, in_flight) = (0, None, None);
                    let seen = job.watermark().unwrap();
                    *known = Known { seen, failures, failed_at, in_flight, ..*known };
                }
                Some(_) => {
                    known.failures += 1;
                    known.failed_at = Some(self.bench.yard.now());
                    known.in_flight = None;
                }
            }
        }
    }

    /// What has begun should have, and what has not should not.
    fn check(&mut self) -> Result<(), TestCaseError> {
        let all = self.bench.yard.jobs();
        for job in &all[self.jobs..] {
            let word = Task::of(&job.subject).unwrap();
            let known = self.naive.tasks[word.as_str()];
            let total = job.watermark().unwrap();
            prop_assert!(self.naive.is_due(&known, total, job.submitted_at), "{word} began early: {known:?}");
            prop_assert!(total <= known.total, "{} of {}", total, known.total);
            let known = self.naive.tasks.get_mut(word.as_str()).unwrap();
            (known.fired_at, known.in_flight) = (Some(job.submitted_at), Some(job.id));
        }
        self.jobs = all.len();
        for (word, known) in &self.naive.tasks {
            let is_due = self.naive.is_due(known, known.total, self.bench.yard.now());
            prop_assert!(!is_due, "{word} should have begun: {known:?}");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 192, ..ProptestConfig::default() })]

    /// A task is trained exactly when auto-training is enabled, enough is new since its last run that went well, its
    /// cooldown and the wait after failures are over, and no run of it is under way. So never twice for one count.
    #[test]
    fn a_task_is_trained_exactly_when_it_is_due(steps in prop::collection::vec(step(), 1..60)) {
        let mut play = Play::new();
        for step in &steps {
            play.take(step);
            // Ends are noted before what follows from them.
            play.note_ends();
            drain(&mut play.follow);
            play.check()?;
        }
        // What is told says the same.
        let status = play.bench.get("/auto/status").data();
        for (word, known) in &play.naive.tasks {
            if known.total > 0 {
                prop_assert_eq!(&status["counters"][*word], known.total - known.seen);
            }
        }
    }
}
