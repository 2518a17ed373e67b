//! Trainings: queued, run, watched, deleted under, and gone on with after a restart.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{Bench, MemoryHost, OTHER_KEY, Told, fixture, post, with_key, yard};
use trainyard_core::port::Handle;
use trainyard_core::{Class, Kind, QueueName, RunEnd, Subject, Submission, Switch};
use trainyard_cyborgdb::{IndexId, Rule, Settings, TrainParameters};
use trainyard_http::{Answer, Service, block_on, timeout};

/// The rules of the fact sheet, with ten where it says ten thousand.
fn documented() -> Settings {
    Settings::new().with_rule(Rule::Documented { threshold: 10, first: 10 }).with_min_vectors(10)
}

fn service() -> Settings {
    Settings::new().with_rule(Rule::Service { floor: 10 }).with_min_vectors(10)
}

/// Nobody waits longer than this, on a slow machine neither.
const PATIENCE: Duration = Duration::from_secs(300);

/// A `train` that is under way.
struct Train<'b>(Pin<Box<dyn Future<Output = Told> + Send + 'b>>);

impl<'b> Train<'b> {
    fn start(bench: &'b Bench, name: &str, more: &str) -> Self {
        let answer: Answer<'b> = bench.service.call(post("/v1/indexes/train", &with_key(name, more)));
        let mut train = Self(Box::pin(async { Told::of(answer.await).await }));
        let before = bench.jobs();
        block_on(async {
            until_queued(bench, before, &mut train.0).await;
        });
        assert!(train.is_waiting(), "it waits for its job");
        train
    }

    fn is_waiting(&mut self) -> bool {
        block_on(timeout(Duration::from_millis(5), &mut self.0)).is_none()
    }

    #[track_caller]
    fn ends(self, fixture: &str) {
        block_on(timeout(PATIENCE, self.0)).expect("its job is over").is(200, fixture);
    }
}

/// Until there are more jobs than before. Meanwhile a `train` has no answer.
async fn until_queued(bench: &Bench, before: usize, train: &mut (impl Future + Unpin)) {
    let deadline = Instant::now() + PATIENCE;
    while bench.jobs() == before {
        assert!(timeout(Duration::from_millis(1), &mut *train).await.is_none(), "it waits");
        assert!(Instant::now() < deadline, "it is never queued");
    }
}

fn names(status: &serde_json::Value, member: &str) -> Vec<String> {
    status[member].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_first_training_by_hand() {
    let bench = Bench::new(documented());
    bench.create("i");
    bench.fill("i", 0, 5);
    let mut train = Train::start(&bench, "i", r#""n_lists":"64""#);
    assert_eq!(names(&bench.status(), "training_indexes"), ["i"]);
    bench.report();
    let described = bench.describe("i");
    assert_eq!((&described["is_trained"], &described["n_lists"]), (&false.into(), &1.into()));
    assert!(train.is_waiting());
    let parameters = bench.parameters();
    let expected = TrainParameters { n_lists: Some(64), ..TrainParameters::automatic("i", 10) };
    assert_eq!(TrainParameters::from_bytes(&parameters).unwrap(), expected);

    bench.complete(Some(64));
    train.ends("trained.json");
    assert!(bench.host.serves("i").is_some(), "the model serves when train returns");
    bench.post("/v1/indexes/describe", &with_key("i", "")).is(200, "described_trained.json");
    assert!(names(&bench.status(), "training_indexes").is_empty());
}

#[test]
fn the_clients_train() {
    for client in ["train_client_0.18.json", "train_client_0.17.json"] {
        let bench = Bench::new(documented());
        bench.create("i");
        let body = fixture(&format!("requests/{client}"));
        let before = bench.jobs();
        let train = bench.service.call(post("/v1/indexes/train", &body));
        block_on(async {
            let mut train = train;
            until_queued(&bench, before, &mut train).await;
            let parameters = bench.parameters();
            assert_eq!(
                TrainParameters::from_bytes(&parameters).unwrap(),
                TrainParameters::automatic("i", 10)
            );
            // Nothing to do is a success, and leaves everything as it was.
            bench.complete(None);
            Told::of(train.await).await.is(200, "trained.json");
        });
        assert_eq!(bench.describe("i")["is_trained"], false);
        assert_eq!(bench.describe("i")["n_lists"], 1);
    }
}

#[test]
fn what_the_trainer_is_told_is_within_bounds() {
    let bench = Bench::new(documented());
    bench.create("i");
    let train = Train::start(
        &bench,
        "i",
        r#""n_lists":1e40,"batch_size":-5,"max_iters":"20","tolerance":-1,"max_memory":true"#,
    );
    let parameters = bench.parameters();
    let expected = TrainParameters {
        n_lists: Some(i64::MAX as u64),
        max_iters: Some(20),
        max_memory: Some(1),
        ..TrainParameters::automatic("i", 10)
    };
    assert_eq!(TrainParameters::from_bytes(&parameters).unwrap(), expected);
    bench.yard.fail("a secret cause");
    train.ends("train_failed.json");
}

#[test]
fn a_training_that_fails_is_a_200() {
    let bench = Bench::new(documented());
    bench.create("i");
    let train = Train::start(&bench, "i", "");
    bench.yard.fail("a secret cause");
    train.ends("train_failed.json");
    let jobs = bench.jobs();
    bench.post("/v1/indexes/train", &with_key("i", r#""n_lists":-1"#)).is(200, "train_failed.json");
    assert_eq!(bench.jobs(), jobs, "it is refused before it is queued");
    for (body, status) in [
        ("{}".to_owned(), 422),
        (with_key("j", ""), 404),
        (format!(r#"{{"index_name":"i","index_key":"{OTHER_KEY}"}}"#), 401),
    ] {
        assert_eq!(bench.post("/v1/indexes/train", &body).status, status);
        assert_eq!(bench.jobs(), jobs, "it is refused before it is queued");
    }
}

#[test]
fn a_retraining_shows_untrained_while_it_trains() {
    let bench = Bench::new(documented());
    bench.create("i");
    let train = Train::start(&bench, "i", "");
    bench.complete(Some(16));
    train.ends("trained.json");
    let first = bench.host.serves("i");

    let train = Train::start(&bench, "i", "");
    assert_eq!(bench.describe("i")["is_trained"], true, "it may yet find nothing to do");
    bench.report();
    let described = bench.describe("i");
    assert_eq!((&described["is_trained"], &described["n_lists"]), (&false.into(), &16.into()));
    bench.complete(Some(32));
    train.ends("trained.json");
    let described = bench.describe("i");
    assert_eq!((&described["is_trained"], &described["n_lists"]), (&true.into(), &32.into()));
    assert_ne!(bench.host.serves("i"), first);

    let train = Train::start(&bench, "i", "");
    bench.report();
    bench.yard.fail("a secret cause");
    train.ends("train_failed.json");
    let described = bench.describe("i");
    assert_eq!((&described["is_trained"], &described["n_lists"]), (&true.into(), &32.into()), "as before");
}

#[test]
fn one_line_first_come_first_served_a_name_once_per_job() {
    let bench = Bench::new(documented());
    bench.create("A");
    bench.create("B");
    assert!(bench.fill("A", 0, 10).text().contains("training_triggered"));
    assert!(bench.fill("B", 0, 10).text().contains("training_triggered"));
    let first = Train::start(&bench, "A", "");
    let second = Train::start(&bench, "A", "");
    let status = bench.status();
    assert_eq!(names(&status, "training_indexes"), ["A", "B", "A", "A"]);
    assert_eq!(status["currently_training"], "A");
    assert_eq!(names(&status, "queued_indexes"), ["B", "A", "A"]);
    for expected in [vec!["B", "A", "A"], vec!["A", "A"], vec!["A"], vec![]] {
        bench.complete(Some(4));
        assert_eq!(names(&bench.status(), "training_indexes"), expected);
    }
    for train in [first, second] {
        let told = block_on(train.0);
        assert_eq!(told.text(), r#"{"status":"success","message":"Index 'A' trained successfully"}"#);
    }
}

#[test]
fn ten_thousand_is_enough_on_the_wire_too() {
    let bench = Bench::new(Settings::new());
    bench.create("i");
    bench.host.stuff("i", 9_998);
    let upsert = |id| {
        let items = format!(r#""items":[{{"id":"{id}","vector":[1]}}]"#);
        bench.post("/v1/vectors/upsert", &with_key("i", &items)).text().to_owned()
    };
    assert!(!upsert("a").contains("triggered"), "9,999");
    assert!(upsert("b").contains("(vectors: 10000, threshold: 10000)"), "10,000");
    bench.complete(Some(128));
    assert!(!upsert("c").contains("triggered"), "10,001 are not above 128 x 10,000");
}

#[test]
fn the_documented_rule_fires_and_says_so() {
    let bench = Bench::new(documented());
    bench.create("i");
    assert_eq!(bench.fill("i", 0, 9).text(), r#"{"status":"success","message":"Upserted 9 vectors"}"#);
    bench.fill("i", 9, 1).is(200, "upserted_triggered_documented.json");
    bench.fill("i", 10, 1).is(200, "upserted.json");
    assert_eq!(names(&bench.status(), "training_indexes"), ["i"], "beside an unfinished job it never fires");
    bench.complete(Some(4));
    assert_eq!(bench.describe("i")["n_lists"], 4);
    let told = bench.fill("i", 11, 29);
    assert!(!told.text().contains("training_triggered"), "40 are not above 4 x 10");
    let told = bench.fill("i", 40, 1);
    assert!(told.text().contains("(vectors: 41, threshold: 40)"), "{}", told.text());
    // Deleting never triggers training, and neither does an upsert that replaces.
    bench.complete(Some(8));
    assert!(!bench.fill("i", 0, 1).text().contains("training_triggered"));
}

#[test]
fn the_rule_of_the_service_fires_and_says_so() {
    let bench = Bench::new(service());
    bench.create("i");
    assert!(!bench.fill("i", 0, 10).text().contains("training_triggered"), "10 do not exceed 10");
    bench.fill("i", 10, 1).is(200, "upserted_triggered_service.json");
    assert_eq!(bench.status()["retrain_threshold"], 10);
    bench.complete(Some(4));
    assert!(!bench.fill("i", 11, 20).text().contains("training_triggered"), "4 lists suit 31 vectors");
    assert!(bench.fill("i", 31, 1).text().contains("(vectors: 32)"), "8 lists suit 32 vectors");
}

#[test]
fn without_automatic_training_only_train_trains() {
    let bench = Bench::new(documented().with_auto_train(Switch::Off));
    bench.create("i");
    assert!(!bench.fill("i", 0, 100).text().contains("training"));
    assert_eq!(bench.jobs(), 0);
    assert_eq!(bench.status()["retrain_threshold"], 10, "it is shown all the same");
    let train = Train::start(&bench, "i", "");
    bench.complete(Some(8));
    train.ends("trained.json");
}

#[test]
fn a_check_that_fails_is_a_warning() {
    let bench = Bench::new(documented());
    bench.create("i");
    bench.yard.stop("the disk is full");
    bench.fill("i", 0, 1).is(200, "upserted_unchecked.json");
    assert_eq!(bench.post("/v1/indexes/train", &with_key("i", "")).status, 503);
    bench.yard.go_on();
    bench.forget_rule(&bench.host.id("i").unwrap().subject());
    assert!(bench.fill("i", 1, 9).text().contains("training_triggered"), "a rule that is not there is set");
}

#[test]
fn a_yard_that_has_stopped_tells_nothing() {
    let bench = Bench::new(documented());
    bench.create("i");
    bench.fill("i", 0, 10);
    assert_eq!(names(&bench.status(), "training_indexes"), ["i"]);
    bench.yard.stop("the disk is full");
    for told in [
        bench.get("/v1/indexes/training-status"),
        bench.post("/v1/indexes/train", &with_key("i", "")),
        bench.post("/v1/indexes/train", &with_key("i", r#""n_lists":-1"#)),
        bench.post("/v1/indexes/describe", &with_key("i", "")),
    ] {
        told.says(503, "The training queue has stopped");
        assert_eq!(told.header("retry-after"), Some("30"));
    }
    // Vectors do not need it.
    bench.fill("i", 10, 1).is(200, "upserted_unchecked.json");
    assert_eq!(bench.post("/v1/vectors/query", &with_key("i", r#""query_vectors":[0,0]"#)).status, 200);
    bench.post("/v1/indexes/train", &with_key("nobody", "")).says(404, "No KMS envelope for index 'nobody'");
}

#[test]
fn a_model_that_cannot_be_served_is_none() {
    let bench = Bench::new(documented());
    bench.create("i");
    bench.fill("i", 0, 10);
    bench.complete(Some(4));
    bench.host.damaged.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(!bench.fill("i", 10, 1).text().contains("training_triggered"), "nobody knows yet");
    let query = || bench.post("/v1/vectors/query", &with_key("i", r#""query_vectors":[0,0]"#));
    assert_eq!((query().status, query().status), (200, 200));
    assert_eq!(bench.describe("i")["is_trained"], false);
    let told = bench.fill("i", 11, 1);
    assert!(told.text().contains("(vectors: 12, threshold: 10)"), "{}", told.text());

    // The next one is another one.
    bench.host.damaged.store(false, std::sync::atomic::Ordering::SeqCst);
    bench.complete(Some(4));
    assert_eq!(bench.describe("i")["is_trained"], true);
    assert!(!bench.fill("i", 12, 1).text().contains("training_triggered"));
}

#[test]
fn the_price_of_a_search_falls_with_training() {
    let limits = trainyard_cyborgdb::Limits { multiply_adds: 10, ..Default::default() };
    let bench = Bench::new(documented().with_limits(limits));
    bench.create("i");
    bench.fill("i", 0, 10);
    let query = |probes: u32| {
        let more = format!(r#""query_vectors":[0,0],"n_probes":{probes}"#);
        bench.post("/v1/vectors/query", &with_key("i", &more)).status
    };
    assert_eq!((query(0), query(1)), (400, 400), "there are no lists to look into");
    bench.complete(Some(4));
    assert_eq!((query(0), query(1), query(2), query(3)), (200, 200, 200, 400));
    assert_eq!(query(u32::MAX), 400);
}

#[test]
fn a_train_that_waits_when_the_yard_stops_is_told_so() {
    let bench = Bench::new(documented());
    bench.create("i");
    let train = Train::start(&bench, "i", "");
    bench.yard.stop("the disk is full");
    let told = block_on(train.0);
    told.says(503, "Failed to train index: the service is stopping; trainings go on at its next start");
    assert_eq!(told.header("retry-after"), Some("30"));
}

#[test]
fn deleted_while_it_runs() {
    let bench = Bench::new(documented());
    bench.create("i");
    let mut train = Train::start(&bench, "i", "");
    let queued = Train::start(&bench, "i", "");
    bench.report();
    let old = bench.host.id("i").unwrap();
    bench.post("/v1/indexes/delete", &with_key("i", "")).is(200, "index_deleted.json");
    assert_eq!(bench.get("/v1/indexes/list").text(), r#"{"indexes":[]}"#);
    bench.post("/v1/indexes/describe", &with_key("i", "")).says(404, "No KMS envelope for index 'i'");
    bench.post("/v1/indexes/train", &with_key("i", "")).says(404, "No KMS envelope for index 'i'");
    assert_eq!(names(&bench.status(), "training_indexes"), ["i"], "the trainer has yet to stop");

    // A new one of the same name is another one, also for the old trainer.
    bench.create("i");
    let new = bench.host.id("i").unwrap();
    assert_ne!(old, new);
    assert_eq!(bench.describe("i")["is_trained"], false);
    assert!(!train.is_waiting(), "it was told at once");
    let train = Train::start(&bench, "i", "");
    assert_eq!(names(&bench.status(), "training_indexes"), ["i", "i"]);
    bench.yard.end(RunEnd::Stopped);
    assert_eq!(names(&bench.status(), "training_indexes"), ["i"]);
    bench.complete(Some(8));
    train.ends("trained.json");
    queued.ends("train_failed.json");
    assert_eq!(bench.describe("i")["n_lists"], 8);
    assert!(names(&bench.status(), "training_indexes").is_empty());
}

#[test]
fn the_train_of_a_deleted_index_fails() {
    let bench = Bench::new(documented());
    bench.create("i");
    let train = Train::start(&bench, "i", "");
    bench.post("/v1/indexes/delete", &with_key("i", "")).is(200, "index_deleted.json");
    train.ends("train_failed.json");
    // What the trainer hands over now is nobody's.
    bench.yard.end(RunEnd::Stopped);
    assert!(bench.yard.run().is_none());
}

#[test]
fn the_worker_stays_five_seconds() {
    let bench = Bench::new(documented());
    let is_running = || bench.status()["worker_running"].as_bool().unwrap();
    assert!(!is_running());
    bench.create("i");
    let train = Train::start(&bench, "i", "");
    assert!(is_running());
    bench.yard.pass(Duration::from_secs(10));
    assert!(is_running(), "it is at work");
    bench.complete(None);
    train.ends("trained.json");
    bench.yard.pass(Duration::from_millis(4_999));
    assert!(is_running());
    bench.yard.pass(Duration::from_millis(1));
    assert!(!is_running());
}

#[test]
fn jobs_of_others_do_not_hide_the_last_end() {
    let bench = Bench::new(documented());
    bench.create("i");
    let train = Train::start(&bench, "i", "");
    bench.complete(None);
    train.ends("trained.json");
    let other = Arc::new(Class::new(Kind::new("ivf").unwrap(), QueueName::new("other").unwrap()));
    for number in 0..300 {
        let subject = Subject::new(format!("other/{number}")).unwrap();
        let submission = Submission::new(bench.yard.job_id(), subject, Arc::clone(&other));
        block_on(bench.yard.submit(submission)).unwrap();
    }
    assert_eq!(bench.jobs(), 301);
    bench.yard.pass(Duration::from_millis(4_999));
    assert_eq!(bench.status()["worker_running"], true);
    bench.yard.pass(Duration::from_millis(1));
    assert_eq!(bench.status()["worker_running"], false);
}

#[test]
fn a_start_puts_right_what_a_crash_left() {
    let bench = Bench::new(documented());
    bench.create("lost");
    bench.create("kept");
    bench.create("grown");
    drop(Train::start(&bench, "lost", ""));
    drop(Train::start(&bench, "lost", ""));
    let [lost, kept, grown] = ["lost", "kept", "grown"].map(|name| bench.host.id(name).unwrap());
    // A crash between the two steps of a delete, one between those of a create, one before an observation.
    trainyard_cyborgdb::Host::remove(&*bench.host, lost).unwrap();
    bench.forget_rule(&kept.subject());
    bench.host.stuff("grown", 10);

    let bench = Bench::over(documented(), Arc::clone(&bench.yard), Arc::clone(&bench.host));
    let done = block_on(bench.service.resync()).unwrap();
    assert_eq!((done.indexes, done.ruled, done.triggered, done.retired), (2, 1, 1, 1));
    assert!(bench.has_rule(&kept.subject()) && !bench.has_rule(&lost.subject()));
    bench.yard.end(RunEnd::Stopped);
    assert_eq!(names(&bench.status(), "training_indexes"), ["grown"]);
    let again = block_on(bench.service.resync()).unwrap();
    assert_eq!((again.ruled, again.triggered, again.retired), (0, 0, 0), "once is enough");
    assert!(IndexId::of(&grown.subject()) == Some(grown));

    // Other settings are other rules.
    let bench = Bench::over(service(), Arc::clone(&bench.yard), Arc::clone(&bench.host));
    assert_eq!(block_on(bench.service.resync()).unwrap().ruled, 2);
    bench.host.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(block_on(bench.service.resync()).is_err());
}

#[test]
fn a_model_of_before_the_restart_serves_after_it() {
    let bench = Bench::new(documented());
    bench.create("i");
    bench.fill("i", 0, 10);
    bench.complete(Some(4));
    assert!(bench.host.serves("i").is_none(), "nobody has asked yet");
    bench.post("/v1/vectors/query", &with_key("i", r#""query_vectors":[0,0]"#));
    assert!(bench.host.serves("i").is_some(), "a query finds the model that the registry has");
}

#[test]
fn a_thousand_blocked_trains_slow_nothing_down() {
    let fresh = || Bench::over(documented(), Arc::new(yard()), Arc::new(MemoryHost::default()));
    // The same jobs, and nobody who waits for them.
    let alone = fresh();
    alone.create("i");
    let without = block_on(async {
        drop(blocked(&alone).await);
        status_time(&alone).await
    });
    let bench = fresh();
    bench.create("i");
    block_on(async {
        // This one thread holds all of them, and answers between them.
        let mut trains = blocked(&bench).await;
        let with = status_time(&bench).await;
        println!("a status takes {with:?} beside {TRAINS} blocked trains, {without:?} without them");
        assert!(with < 20 * without, "{with:?} beside {TRAINS} blocked trains, {without:?} without them");
        bench.post_all_done(&mut trains).await;
    });
}

const TRAINS: usize = 1_000;

/// So many trains, each of which waits for its job.
async fn blocked(bench: &Bench) -> Vec<Answer<'_>> {
    let body = with_key("i", "");
    let mut trains: Vec<Answer<'_>> =
        (0..TRAINS).map(|_| bench.service.call(post("/v1/indexes/train", &body))).collect();
    let deadline = Instant::now() + PATIENCE;
    while bench.jobs() < TRAINS {
        for train in &mut trains {
            assert!(timeout(Duration::ZERO, train).await.is_none(), "it waits");
        }
        assert!(Instant::now() < deadline, "{} of {TRAINS} are queued", bench.jobs());
    }
    trains
}

/// How long it takes at best to tell that all is well, and a thousand names: whatever else this machine does, it does
/// not always.
async fn status_time(bench: &Bench) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..20 {
        // So that what was told before is not told again.
        bench.report();
        let started = Instant::now();
        let health = trainyard_http::Request::new(trainyard_http::Method::GET, "/v1/health");
        assert_eq!(bench.service.call(health).await.status(), 200);
        let status = trainyard_http::Request::new(trainyard_http::Method::GET, "/v1/indexes/training-status");
        let told = Told::of(bench.service.call(status).await).await;
        assert_eq!(names(&told.json(), "training_indexes").len(), TRAINS);
        best = best.min(started.elapsed());
    }
    best
}

impl Bench {
    /// Cancels everything by deleting the index, and sees every train end.
    async fn post_all_done(&self, trains: &mut [Answer<'_>]) {
        let told = Told::of(self.service.call(post("/v1/indexes/delete", &with_key("i", ""))).await).await;
        told.is(200, "index_deleted.json");
        for train in trains {
            Told::of(train.await).await.is(200, "train_failed.json");
        }
    }
}
