//! A process that is killed in the middle of an optimisation.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use support::{BASELINE, Fake, Reply, examples, model};
use trainyard_core::{Class, Kind, Outcome, QueueName, Subject, Submission};
use trainyard_prompt::{Api, Artifact, Endpoint, HttpModel, Mipro, Order, train_prompt};
use trainyard_runtime::{Context, JobToTrain, Trainyard};
use trainyard_sqlite::{SqliteJournal, SqliteOptions};

const SECONDS: Duration = Duration::from_secs(300);
const FOLDER: &str = "TRAINYARD_PROMPT_TEST_FOLDER";
const URL: &str = "TRAINYARD_PROMPT_TEST_URL";
const AT_ONCE: usize = 2;

fn open(folder: &Path, url: &str) -> Trainyard {
    let model = HttpModel::new(Endpoint::new(Api::OpenAi, url, "tiny").unwrap());
    let order =
        Order::new("should_respond").with_baseline(BASELINE).with_optimizer(Arc::new(Mipro::default()));
    let order = order.with_calls_at_once(AT_ONCE.try_into().unwrap());
    let trainer =
        move |cx: &mut Context, job: &JobToTrain| train_prompt(cx, job, &examples(18), &model, &order);
    let (journal, _) = SqliteJournal::open(folder.join("yard.sqlite"), &SqliteOptions::default()).unwrap();
    let builder = Trainyard::builder(folder).journal(journal);
    builder.trainer(Kind::new("prompt").unwrap(), trainer).start().unwrap().0
}

fn submit(yard: &Trainyard) {
    let class = Arc::new(Class::new(Kind::new("prompt").unwrap(), QueueName::new("default").unwrap()));
    let subject = Subject::new("eliza/task/should_respond").unwrap();
    yard.submit(Submission::new(yard.job_id(), subject, class)).wait().unwrap();
}

/// Kills it, whatever becomes of the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
#[ignore = "it is the process that the other test kills"]
fn it_waits_for_its_end() {
    let yard = open(Path::new(&std::env::var(FOLDER).unwrap()), &std::env::var(URL).unwrap());
    submit(&yard);
    let job = yard.read(|yard| yard.jobs().next().map(|job| job.id)).unwrap();
    panic!("it was not killed: {}", yard.finished(job).wait().unwrap());
}

#[test]
fn a_killed_process_has_paid_for_nothing_in_vain() {
    for killed_at in [1, 40, 131] {
        let (told, is_told) = channel();
        let is_dead = Arc::new(AtomicBool::new(false));
        let dead = Arc::clone(&is_dead);
        let fake = Fake::start(move |asked| {
            if asked.number == killed_at {
                told.send(()).unwrap();
            }
            let is_too_late = asked.number >= killed_at && !dead.load(Ordering::Acquire);
            if is_too_late { Reply::Hang } else { model(asked) }
        });
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "it_waits_for_its_end", "--ignored"])
            .envs([(FOLDER, folder.path().as_os_str()), (URL, fake.url().as_ref())])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let child = Killed(child);
        is_told.recv_timeout(SECONDS).unwrap();
        drop(child);
        is_dead.store(true, Ordering::Release);

        let yard = open(folder.path(), &fake.url());
        let job = yard.read(|yard| yard.jobs().next().map(|job| job.id)).unwrap();
        let Outcome::Completed { model: Some(id) } = yard.finished(job).wait().unwrap() else { panic!() };
        let path = yard.artifact_path(&yard.model(id).unwrap()).unwrap();
        assert_eq!(Artifact::open(&path).unwrap().score, 1.0);
        yard.shutdown(SECONDS).wait().unwrap();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        fake.asked().iter().for_each(|asked| *counts.entry(asked.body.to_string()).or_default() += 1);
        let again = counts.values().filter(|count| **count > 1).count();
        assert!(again <= AT_ONCE, "only what was in flight: {again}, killed in call {killed_at}");
    }
}
