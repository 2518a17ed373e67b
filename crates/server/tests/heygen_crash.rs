//! A process of its own that is killed in the middle of a training, of an upload, and of looking at photos.
#![cfg(unix)]

mod support;

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use support::heygen::{Gated, Studio, photo};
use support::serving::{self, NARROW, Serving};
use support::steady::Gate;
use support::until;
use trainyard_core::Trained;
use trainyard_heygen::Settings;
use trainyard_http::secret::Secret;
use trainyard_portrait::{Order, Quality, Size, Source, train_portrait};
use trainyard_runtime::{Context, JobToTrain, TrainError, Trainer};
use trainyard_server::{GroupPhotos, ServiceConfig};

const KEY: &str = "k3y";
/// A group of this name is trained for real; others wait at a gate.
const REAL: &str = "real";
/// So many that a test that is held up comes while it still learns.
const REAL_STEPS: u64 = 1_000;

/// Nothing, unless this binary was started as [`Serving`]: then a server whose gate opens at the first line it hears.
#[test]
fn child() {
    let Some(folder) = serving::folder() else { return };
    let gate = Arc::new(Gate::default());
    let opens = Arc::clone(&gate);
    let key = Secret::new(KEY).unwrap();
    let config = ServiceConfig::new(folder)
        .with_listen(SocketAddr::from(([127, 0, 0, 1], 0)))
        .with_heygen(Settings::new().with_key(key))
        .with_heygen_trainer(move |photos: GroupPhotos| -> Arc<dyn Trainer> {
            Arc::new(Either(Gated { gate: Arc::clone(&gate), photos }))
        });
    serving::serve(config, move |_| opens.open());
}

struct Either(Gated);

impl Trainer for Either {
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let photos = self.0.photos.of(job)?;
        if photos[0].name != REAL {
            return self.0.train(cx, job);
        }
        let sources = photos.into_iter().map(|photo| Source::new(photo.path, photo.look.to_string()));
        let number = |number| NonZeroU64::new(number).expect("it is not 0");
        let order = Order::new()
            .with_size(Size::SMALL)
            .with_steps(number(REAL_STEPS))
            .with_quality_min(Quality::ZERO)
            .with_checkpoint_steps(number(5));
        train_portrait(cx, job, &sources.collect::<Vec<_>>(), &order)
    }
}

fn start(folder: &Path) -> (Serving, Studio) {
    let serving = Serving::start(folder);
    let studio = Studio::new(&serving.url, KEY);
    (serving, studio)
}

fn ready(studio: &Studio, name: &str, photos: u32) -> String {
    let group = studio.create_of(name, photos);
    until("its looks are completed", || studio.are_completed(&group));
    group
}

fn files(folder: &Path, of: &str) -> usize {
    fs::read_dir(folder.join("heygen").join(of)).expect("a folder").count()
}

#[test]
fn a_killed_training_goes_on_and_ends_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut serving, studio) = start(folder.path());
    let group = ready(&studio, "Ada", 2);
    studio.train(&group).data();
    let before = studio.status(&group);
    let work = folder.path().join("work");
    until("it waits at the gate", || has_file(&work, "waits"));
    serving.process.kill().unwrap();
    drop(serving);

    let (mut serving, studio) = start(folder.path());
    assert!(serving.opened.contains("interrupted and requeued"), "{}", serving.opened);
    assert_eq!(studio.status(&group), before, "it goes on by itself");
    assert_eq!(studio.train(&group).status, 400, "it is at work");
    serving.tell("open");
    let told = serving.hear("trained \"Ada\": quality ");
    assert_eq!(told, "0.200", "from where it was");
    until("it is known", || studio.status(&group)["status"] == "ready");
    let after = studio.status(&group);
    assert_eq!(after["created_at"], before["created_at"]);
    serving.process.kill().unwrap();
    drop(serving);

    let (mut serving, studio) = start(folder.path());
    assert_eq!(studio.status(&group), after, "for ever");
    studio.delete_group(&group).data();
    serving.stop();
    assert!(!has_file(&work, "model"), "its model is gone with it");
}

#[test]
fn a_training_that_is_killed_too_often_is_over_and_another_one_may_begin() {
    let folder = tempfile::tempdir().unwrap();
    let (mut serving, mut studio) = start(folder.path());
    let group = ready(&studio, "Ada", 1);
    studio.train(&group).data();
    let work = folder.path().join("work");
    until("it has its checkpoint", || has_file(&work, "waits"));
    // At the gate it comes no further: each process writes the same checkpoint, in a folder of its own.
    let mut seen = 0;
    for _ in 0..3 {
        until("it runs", || attempts(&work) > seen);
        seen = attempts(&work);
        serving.process.kill().unwrap();
        drop(serving);
        (serving, studio) = start(folder.path());
    }
    until("it is over", || studio.status(&group)["status"] != "pending");
    let status = studio.status(&group);
    assert_eq!(status["status"], "failed");
    assert_eq!(status["error_msg"], "The training was cut short too often");
    serving.tell("open");
    studio.train(&group).data();
    until("the next one is", || studio.status(&group)["status"] == "ready");
    serving.stop();
}

/// The last attempt that has got to the gate; they are numbered.
fn attempts(work: &Path) -> u64 {
    let jobs = fs::read_dir(work).into_iter().flatten().flatten();
    let folders = jobs.filter_map(|job| fs::read_dir(job.path()).ok()).flatten().flatten();
    let at_gate = folders.filter(|folder| folder.path().join("state").exists());
    at_gate.filter_map(|folder| folder.file_name().to_str()?.parse().ok()).max().unwrap_or(0)
}

fn has_file(folder: &Path, name: &str) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name() == name || has_file(&entry.path(), name))
}

#[test]
fn a_killed_portrait_goes_on_from_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (mut serving, studio) = start(folder.path());
    let group = ready(&studio, REAL, 2);
    studio.train(&group).data();
    let step = |line: String| -> u64 { line.split(' ').next().unwrap().parse().unwrap() };
    step(serving.hear("training \"real\": learning "));
    let work = folder.path().join("work");
    let kept = || (1..REAL_STEPS).rev().find(|step| has_file(&work, &format!("state-{step}")));
    until("something is kept", || kept().is_some());
    let before = kept().unwrap();
    // Of the last one the yard may not have heard; of the one before it has.
    until("another one is kept", || kept().is_some_and(|step| step > before));
    serving.process.kill().unwrap();
    drop(serving);

    let (mut serving, studio) = start(folder.path());
    assert!(serving.opened.contains("interrupted and requeued"), "{}", serving.opened);
    assert_eq!(studio.status(&group)["status"], "pending");
    let first = step(serving.hear("training \"real\": learning "));
    assert!(first + 1 >= before, "at step {first}, though {before} was kept");
    until("it is over", || studio.status(&group)["status"] != "pending");
    let status = studio.status(&group);
    assert_eq!((&status["status"], &status["error_msg"]), (&"ready".into(), &Value::Null), "{status}");
    serving.stop();
}

#[test]
fn a_killed_upload_leaves_nothing_and_what_nobody_knows_goes() {
    let folder = tempfile::tempdir().unwrap();
    let (mut serving, studio) = start(folder.path());
    let group = ready(&studio, "Ada", 1);
    let address = serving.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let head =
        format!("POST /v1/asset HTTP/1.1\r\nHost: x\r\nX-Api-Key: {KEY}\r\nContent-Length: 1000000\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&photo("Bea", 0)).unwrap();
    until("it is on its way", || files(folder.path(), "incoming") == 1);
    serving.process.kill().unwrap();
    drop(serving);
    assert_eq!(files(folder.path(), "incoming"), 1, "nobody was there to clear it away");
    // As between the file of an upload and its record.
    let stray = folder.path().join("heygen/assets/00000000-0000-0000-0000-000000000007.png");
    fs::write(&stray, photo("Bea", 0)).unwrap();

    let (mut serving, studio) = start(folder.path());
    assert_eq!((files(folder.path(), "incoming"), files(folder.path(), "assets")), (0, 1));
    assert!(!stray.exists());
    assert!(studio.are_completed(&group));
    let again = studio.add(&group, &[photo("Bea", 0)]);
    until("it is completed", || studio.look(&again[0])["status"] == "completed");
    serving.stop();
}

#[test]
fn killed_looks_are_looked_at_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (mut serving, studio) = start(folder.path());
    let groups: Vec<String> = (0..3).map(|n| studio.create_of(&format!("group {n}"), 5)).collect();
    serving.process.kill().unwrap();
    drop(serving);

    let (mut serving, studio) = start(folder.path());
    for group in &groups {
        assert_eq!(studio.looks(group).len(), 5);
        until("its looks are completed", || studio.are_completed(group));
    }
    studio.train(&groups[0]).data();
    serving.tell("open");
    until("it is trained", || studio.status(&groups[0])["status"] == "ready");
    assert_eq!(files(folder.path(), "assets"), 15);
    serving.stop();
}

#[test]
fn a_full_disk_refuses_a_file_and_takes_the_next() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(NARROW), "4096").unwrap();
    let (mut serving, studio) = start(folder.path());
    let mut large = photo("Ada", 0);
    large.resize(6 << 20, 0);
    let answer = studio.upload(&large);
    assert_eq!((answer.status, &answer.body["code"]), (507, &Value::from(50_700)), "{answer:?}");
    until("nothing is left of it", || files(folder.path(), "incoming") == 0);
    assert_eq!(files(folder.path(), "assets"), 0);
    ready(&studio, "Ada", 1);
    serving.stop();
}
