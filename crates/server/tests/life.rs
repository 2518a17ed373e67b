//! One process: an index is made, filled, trained, searched, deleted, and served again after a restart.

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Client, DIMENSION, INDEX_KEY, LONG_LISTS, LONG_VECTORS, Points, long_training, named, until};
use trainyard_core::{Class, Kind, QueueName, Reason, Subject, Submission, Trained};
use trainyard_cyborgdb::{IndexId, Settings};
use trainyard_http::secret::Secret;
use trainyard_runtime::{Context, JobToTrain, TrainError};
use trainyard_server::{JournalChoice, OpenError, Opened, Service, ServiceConfig};
use uuid::Uuid;

/// Nobody waits for it, on a slow machine neither.
const SECONDS: Duration = Duration::from_secs(300);

fn config(folder: &Path) -> ServiceConfig {
    ServiceConfig::new(folder).with_listen(SocketAddr::from(([127, 0, 0, 1], 0)))
}

fn open(folder: &Path) -> (Service, Opened, Client) {
    let (service, opened) = Service::open(config(folder)).expect("the folder can be opened");
    let client = Client::new(service.url());
    (service, opened, client)
}

fn recall(client: &Client, name: &str, points: &Points) -> f64 {
    let queries: Vec<&[f32; DIMENSION]> = points.rows.iter().step_by(200).collect();
    let found = queries.iter().map(|query| {
        let nearest = points.nearest(&query[..], 10);
        client.nearest(name, &query[..], 10).iter().filter(|id| nearest.contains(id)).count()
    });
    found.sum::<usize>() as f64 / (10 * queries.len()) as f64
}

#[test]
fn a_kind_of_ones_own_is_trained_beside_the_adapters() {
    let folder = tempfile::tempdir().unwrap();
    let kind = Kind::new("demo").unwrap();
    let refuses = |_: &mut Context, _: &JobToTrain| -> Result<Trained, TrainError> {
        Err(TrainError::failed("indexes are trained as ever"))
    };
    let config = config(folder.path())
        .with_trainer(kind.clone(), 1, |_: &mut Context, _: &JobToTrain| Ok(Trained::default()))
        .with_trainer(Settings::new().class().kind.clone(), 0, refuses);
    let (service, _) = Service::open(config).unwrap();
    let class = Arc::new(Class::new(kind, QueueName::new("demo").unwrap()));
    let yard = service.yard();
    let job = yard.job_id();
    yard.submit(Submission::new(job, Subject::new("demo/1").unwrap(), class)).wait().unwrap();
    assert!(yard.finished(job).wait().unwrap().is_completed());
    let client = Client::new(service.url());
    client.create("docs");
    client.upsert("docs", &Points::clustered(10_000));
    client.until_trained("docs");
    service.shutdown(SECONDS);
}

#[test]
fn an_index_trains_itself_and_serves_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _, client) = open(folder.path());
    assert_eq!(client.get("/v1/health").1["version"], "0.18.0");
    assert_eq!(client.get("/nowhere").0, 404);
    client.create("docs");
    let mut points = Points::clustered(10_000);
    let last = points.rows.pop().unwrap();
    let answer = client.upsert("docs", &points);
    assert_eq!(answer, json!({ "status": "success", "message": "Upserted 9999 vectors" }));
    points.rows.push(last);
    let answer = client.upsert("docs", &points);
    assert_eq!(answer["training_triggered"], true, "{answer}");
    client.until_trained("docs");
    let described = client.describe("docs");
    assert_eq!((&described["n_lists"], &described["dimension"]), (&json!(128), &json!(32)));
    let before = recall(&client, "docs", &points);
    assert!(before >= 0.95, "{before}");
    let closed = service.shutdown(SECONDS);
    assert!(closed.http.is_clean(), "{closed}");

    let (service, opened, client) = open(folder.path());
    assert_eq!((opened.indexes.indexes, opened.indexes.triggered, opened.cleared), (1, 0, 0));
    assert_eq!(client.describe("docs"), described);
    assert_eq!(client.count("docs"), 10_000);
    assert_eq!(recall(&client, "docs", &points), before);
    client.done("/v1/vectors/delete", &json!({ "index_name": "docs", "index_key": INDEX_KEY, "ids": ["0"] }));
    client.done("/v1/indexes/delete", &named("docs"));
    assert_eq!(client.post("/v1/indexes/describe", &named("docs")).0, 404);
    service.shutdown(SECONDS);
    let left = std::fs::read_dir(folder.path().join("cyborgdb/indexes")).unwrap().count();
    assert_eq!(left, 0, "the files of a deleted index are gone");
}

#[test]
fn what_is_deleted_while_it_trains_never_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _, client) = open(folder.path());
    client.create("docs");
    client.upsert("docs", &Points::scattered(0, LONG_VECTORS));
    client.until_trained("docs");
    let waiting = thread::spawn({
        let client = client.clone();
        move || client.done("/v1/indexes/train", &long_training("docs"))
    });
    until("it trains", || client.is_training("docs") && !client.is_trained("docs"));
    client.done("/v1/indexes/delete", &named("docs"));
    assert_eq!(waiting.join().unwrap()["status"], "error");
    client.create("docs");
    client.upsert("docs", &Points::scattered(0, 10));
    let is_fresh = |client: &Client| {
        let described = client.describe("docs");
        assert_eq!((&described["is_trained"], &described["n_lists"]), (&json!(false), &json!(1)));
        assert_eq!(client.count("docs"), 10);
    };
    is_fresh(&client);
    until("the old training is over", || !client.is_training("docs"));
    is_fresh(&client);
    service.shutdown(SECONDS);
    let (service, opened, client) = open(folder.path());
    assert_eq!((opened.indexes.indexes, opened.indexes.retired), (1, 0));
    is_fresh(&client);
    service.shutdown(SECONDS);
}

#[test]
fn a_train_that_waits_is_answered_when_the_service_stops_and_goes_on_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _, client) = open(folder.path());
    client.create("docs");
    client.upsert("docs", &Points::scattered(0, LONG_VECTORS));
    client.until_trained("docs");
    let waiting = thread::spawn({
        let client = client.clone();
        move || client.try_post("/v1/indexes/train", &long_training("docs"))
    });
    until("it trains", || client.is_training("docs") && !client.is_trained("docs"));
    let begun = Instant::now();
    let closed = service.shutdown(SECONDS);
    assert!(begun.elapsed() < SECONDS / 2, "nobody waits for the deadline");
    assert_eq!(closed.yard.unwrap().attempts_interrupted, 1);
    // An answer, or a connection that was closed.
    if let Ok((status, answer)) = waiting.join().unwrap() {
        assert_eq!(status, 503, "{answer}");
    }
    assert!(client.try_get("/v1/health").is_err(), "nobody listens");

    let (service, opened, client) = open(folder.path());
    assert_eq!((opened.yard.attempts_interrupted, opened.yard.waiting), (0, 0), "it runs again already");
    assert!(client.is_training("docs"));
    client.until_trained("docs");
    assert_eq!(client.describe("docs")["n_lists"], LONG_LISTS);
    service.shutdown(SECONDS);
}

#[test]
fn a_yard_that_stops_by_itself_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _, client) = open(folder.path());
    client.create("docs");
    let ending = service.ending();
    service.yard().shutdown(Duration::ZERO).wait().unwrap();
    assert!(!ending.wait().to_string().is_empty());
    assert_eq!(client.post("/v1/indexes/train", &named("docs")).0, 503);
    assert!(service.shutdown(SECONDS).yard.is_none());
}

#[test]
fn what_is_dropped_serves_nobody_and_can_be_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _, client) = open(folder.path());
    client.create("docs");
    drop(service);
    assert!(client.try_get("/v1/health").is_err(), "nobody listens");
    until("the folder is free", || Service::open(config(folder.path())).is_ok());
}

#[test]
fn only_so_many_trainings_wait() {
    const WAITING_MAX: u128 = 4_096;
    let folder = tempfile::tempdir().unwrap();
    let (service, _) = Service::open(config(folder.path()).with_journal(JournalChoice::Memory)).unwrap();
    let client = Client::new(service.url());
    client.create("docs");
    let settings = Settings::new();
    let (yard, class) = (service.yard(), settings.class());
    yard.pause_queue(class.queue.clone(), Reason::new("so that all wait")).wait().unwrap();
    for n in 1..=WAITING_MAX {
        let subject = IndexId::new(Uuid::from_u128(n)).subject();
        yard.submit(Submission::new(yard.job_id(), subject, class.clone())).wait().unwrap();
    }
    client.upsert("docs", &Points::scattered(0, 10_000));
    assert_eq!(client.count("docs"), 10_000, "what does not train is not disturbed");
    let (status, answer) = client.post("/v1/indexes/train", &named("docs"));
    assert_eq!((status, &answer["status"]), (200, &json!("error")), "{answer}");
    service.shutdown(SECONDS);
}

#[test]
fn only_so_many_indexes_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _) = Service::open(config(folder.path()).with_indexes_max(1)).unwrap();
    let client = Client::new(service.url());
    client.create("docs");
    let (status, answer) = client.post("/v1/indexes/create", &named("more"));
    assert_eq!(status, 400, "{answer}");
    assert!(answer.to_string().contains("the limit of 1 indexes is reached"), "{answer}");
    service.shutdown(SECONDS);
}

#[test]
fn keys_and_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let exposed = Service::open(config(folder.path()).with_listen("0.0.0.0:0".parse().unwrap()));
    let error = exposed.unwrap_err();
    assert!(matches!(error, OpenError::Exposed { .. }));
    let told = error.to_string();
    assert!(told.starts_with("0.0.0.0:0 can be reached by others and no root key is set"), "{told}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was begun");

    let settings = Settings::new().with_root_key(Secret::new("s3cret").unwrap());
    let (service, opened) = Service::open(config(folder.path()).with_cyborgdb(settings)).unwrap();
    let told = format!("{service:?} {opened} {opened:?} {}", service.greeting("$KEY"));
    assert!(!told.contains("s3cret"));
    let stranger = Client::new(service.url());
    assert_eq!(stranger.get("/v1/indexes/list").1, json!({ "detail": "API Key is required" }));
    assert_eq!(stranger.get("/v1/health").0, 200);
    let wrong = stranger.clone().with_root_key("wrong");
    assert_eq!(wrong.post("/v1/indexes/create", &named("a")).0, 401);
    let right = stranger.with_root_key("s3cret");
    right.create("a");
    assert_eq!(right.get("/v1/indexes/list").1, json!({ "indexes": ["a"] }));
    let other_key = json!({ "index_name": "a", "index_key": "ff".repeat(32) });
    assert_eq!(right.post("/v1/indexes/describe", &other_key).0, 401);
    service.shutdown(SECONDS);
}

#[test]
fn without_a_journal_indexes_are_trained_anew() {
    let folder = tempfile::tempdir().unwrap();
    let memory = || config(folder.path()).with_journal(JournalChoice::Memory);
    let (service, _) = Service::open(memory()).unwrap();
    let client = Client::new(service.url());
    client.create("docs");
    client.upsert("docs", &Points::clustered(10_000));
    client.until_trained("docs");
    service.shutdown(SECONDS);
    let (service, opened) = Service::open(memory()).unwrap();
    assert_eq!((opened.indexes.ruled, opened.indexes.triggered), (1, 1));
    Client::new(service.url()).until_trained("docs");
    service.shutdown(SECONDS);
}

#[test]
fn a_model_whose_file_is_gone_leaves_exact_search() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _, client) = open(folder.path());
    client.create("docs");
    let points = Points::clustered(10_000);
    client.upsert("docs", &points);
    client.until_trained("docs");
    service.shutdown(SECONDS);
    std::fs::remove_dir_all(folder.path().join("work")).unwrap();

    let (service, _, client) = open(folder.path());
    assert!(!client.is_trained("docs"));
    assert_eq!(client.nearest("docs", &points.rows[5], 10), points.nearest(&points.rows[5], 10));
    assert_eq!(client.done("/v1/indexes/train", &named("docs"))["status"], "success");
    assert!(client.is_trained("docs"));
    service.shutdown(SECONDS);
}
