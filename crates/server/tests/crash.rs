//! A process of its own: killed, asked to stop, and refused what another one has.
#![cfg(unix)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use support::serving::{self, Serving};
use support::{Client, LONG_LISTS, LONG_VECTORS, Points, long_training, until};
use trainyard_server::{OpenError, Service, ServiceConfig};

fn config(folder: &Path) -> ServiceConfig {
    ServiceConfig::new(folder).with_listen(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// Nothing, unless this binary was started as [`Serving`]: then a server, until it is told to stop.
#[test]
fn child() {
    if let Some(folder) = serving::folder() {
        serving::serve(config(&folder), |_| {});
    }
}

fn start(folder: &Path) -> (Serving, String, Client) {
    let serving = Serving::start(folder);
    let (opened, client) = (serving.opened.clone(), Client::new(serving.url.clone()));
    (serving, opened, client)
}

/// An index that trains for a while, and somebody who has asked for that and waits.
fn begin_long_training(client: &Client) -> thread::JoinHandle<()> {
    client.create("docs");
    client.upsert("docs", &Points::scattered(0, LONG_VECTORS));
    client.until_trained("docs");
    let waiting = client.clone();
    thread::spawn(move || {
        // What it is told, if anything, is another test's business.
        let _ = waiting.try_post("/v1/indexes/train", &long_training("docs"));
    })
}

#[test]
fn a_killed_server_goes_on_with_its_training() {
    let folder = tempfile::tempdir().unwrap();
    let (mut serving, _, client) = start(folder.path());
    let waiting = begin_long_training(&client);
    serving.hear("trained ");
    serving.hear("training "); // the next one: at its first word the process dies
    client.upsert("docs", &Points::scattered(LONG_VECTORS, 100));
    serving.process.kill().unwrap();
    drop(serving);
    waiting.join().unwrap();

    let (_serving, opened, client) = start(folder.path());
    assert!(opened.starts_with("1 attempt interrupted and requeued"), "{opened}");
    assert_eq!(client.count("docs"), LONG_VECTORS as u64 + 100, "what was acknowledged is there");
    assert!(client.is_training("docs"), "it goes on by itself");
    client.until_trained("docs");
    assert_eq!(client.describe("docs")["n_lists"], LONG_LISTS);
}

#[test]
fn a_server_that_is_asked_to_stop_keeps_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (mut serving, _, client) = start(folder.path());
    let waiting = begin_long_training(&client);
    serving.hear("trained ");
    serving.hear("training \"docs\": seeding");
    until("it is well under way", || {
        assert!(client.is_training("docs"), "it should take longer");
        !client.is_trained("docs")
    });
    serving.hear("training \"docs\": kmeans");
    let closed = serving.stop();
    assert!(closed.starts_with("1 attempt interrupted"), "{closed}");
    waiting.join().unwrap();

    let (service, opened) = Service::open(config(folder.path())).unwrap();
    assert_eq!(opened.yard.attempts_interrupted, 0, "it was put in line before the process ended");
    let checkpoint = service.yard().read(|yard| {
        let job = yard.jobs().find(|job| !job.is_finished());
        job.and_then(|job| job.standing()?.checkpoint.clone())
    });
    assert!(checkpoint.is_some_and(|checkpoint| checkpoint.step > 0), "it goes on where it was");
    let client = Client::new(service.url());
    client.until_trained("docs");
    assert_eq!(client.describe("docs")["n_lists"], LONG_LISTS);
    service.shutdown(Duration::from_secs(300));
}

#[test]
fn a_folder_that_another_process_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (serving, _, client) = start(folder.path());
    let error = Service::open(config(folder.path())).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }));
    assert!(error.to_string().ends_with(&format!("in use by process {}", serving.process.id())), "{error}");
    assert_eq!(client.get("/v1/health").0, 200, "the first one is not disturbed");
    drop(serving);
    Service::open(config(folder.path())).unwrap().0.shutdown(Duration::from_secs(300));
}
