//! The sample that the examples train on: what is in it, and that nothing private of it gets into a dataset.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde_json::Value;
use trainyard_trajectories::{
    HELD_OUT_SHARE, Layout, Limits, Order, PrivacyFilter, Record, Row, RowLimits, Rows, Status, Task,
    Trajectories, Trajectory, build, split,
};

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples/vendors/data/trajectories.jsonl")
}

fn sample() -> Vec<Trajectory> {
    let file = BufReader::new(File::open(path()).unwrap());
    Trajectories::new(file, Limits::default()).collect::<Result<_, _>>().unwrap()
}

/// Made up for the sample, and to be found by the filter.
const PLANTED: [&str; 20] = [
    "marlow.finch@mailbox.example",
    "@hilde_prints",
    "@crow_and_co",
    "@ravi_builds",
    "52.5163",
    "13.3777",
    "+49 30 5550147",
    "ines.falk@postfach.example",
    "14 Harbour Street",
    "Teekanne!2291",
    "030 5550188",
    "Lindenweg 12",
    "Fichtennadel88",
    "59.3326",
    "warden@ostrand.example",
    "rv7Qp2LmX9sK4dT1",
    "AKIAQZ4T7MVN2XEXDEMO",
    "wJb7Xr2/Kp9sLmQ4vT8nZc1dYh6gFu3eRa5oWi0t",
    "tools+hooks@acme-build.example",
    "tk9Zr4mWq7LxB2vNc8Ht5Js",
];

/// What looks private to a hasty reader.
const ORDINARY: [&str; 12] = [
    "@pytest.fixture",
    "KC-2291",
    "IMG_0417.jpg",
    "2026-03-01",
    "OrderList.tsx:14",
    "python:3.12-slim",
    "240 °C",
    "feature~3",
    "110 ml each and 38 euros",
    "room 2.14",
    "hooks/parse.go:41",
    "http://follow.example",
];

fn built(root: &Path) -> Record {
    let order = Order::new("dataset-1".parse().unwrap(), 1_770_000_000_000).with_limit(5_000);
    let newest_first = sample().into_iter().rev().map(Ok::<_, Infallible>);
    build(root, &order, &PrivacyFilter::new("salt"), newest_first).unwrap()
}

fn rows(root: &Path, task: Task) -> Vec<Row> {
    let file = Layout::new(root, &"dataset-1".parse().unwrap()).task(task);
    Rows::new(BufReader::new(File::open(file).unwrap()), RowLimits::default())
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn there_are_enough_of_every_task_source_and_status() {
    let sample = sample();
    assert_eq!(sample.len(), 97);
    assert_eq!(sample.iter().map(|t| t.id.as_str()).collect::<BTreeSet<_>>().len(), 97, "nobody comes twice");
    let count = |is: &dyn Fn(&Trajectory) -> bool| sample.iter().filter(|t| is(t)).count();
    let of = |task: Task| count(&|t| t.tasks().contains(&task));
    assert_eq!(Task::ALL.map(of), TRAJECTORIES);
    assert_eq!(Status::ALL.map(|status| count(&|t| t.status == status)), [1, 91, 3, 2]);
    for (source, at_least) in [("discord", 20), ("telegram", 20), ("chat", 15), ("autonomy", 8), ("api", 12)]
    {
        assert!(count(&|t| t.source.as_deref() == Some(source)) >= at_least, "{source}");
    }
    assert!(sample.is_sorted_by_key(|t| t.start_ms), "the oldest is the first");
    assert!(sample.iter().all(|t| (t.status == Status::Active) == t.end_ms.is_none()));
    assert!(sample.iter().all(|t| t.calls.iter().all(trainyard_trajectories::LlmCall::is_usable)));
}

/// In the order of [`Task::ALL`].
const TRAJECTORIES: [usize; 5] = [77, 29, 61, 56, 11];
const EXAMPLES: [u64; 5] = [117, 29, 92, 56, 11];

#[test]
fn nothing_private_of_it_gets_into_a_dataset() {
    let sent = fs::read_to_string(path()).unwrap();
    for planted in PLANTED {
        assert!(sent.contains(planted), "{planted} was sent");
    }
    let root = tempfile::tempdir().unwrap();
    let record = built(root.path());
    let mut written = String::new();
    let layout = Layout::new(root.path(), &record.id);
    for folder in [layout.folder().to_owned(), layout.tasks(), layout.trajectories()] {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file())
        {
            written += &fs::read_to_string(entry.path()).unwrap();
        }
    }
    for planted in PLANTED {
        assert!(!written.contains(planted), "{planted} was written");
    }
    for ordinary in ORDINARY {
        assert!(sent.contains(ordinary) && written.contains(ordinary), "{ordinary}");
    }
    let found = record.redactions;
    for count in [found.geo, found.credentials, found.emails, found.addresses, found.phones, found.handles] {
        assert!((2..40).contains(&count), "{found:?}");
    }
    assert_eq!(record.trajectory_count, 97);
    assert_eq!(Task::ALL.map(|task| record.tasks[task.as_str()]), EXAMPLES);
    for (task, examples) in Task::ALL.into_iter().zip(EXAMPLES) {
        assert_eq!(rows(root.path(), task).len() as u64, examples);
    }
}

/// A prompt can only become better at answers that follow from what was asked.
#[test]
fn answers_are_of_one_form_and_each_is_given_often_enough() {
    let root = tempfile::tempdir().unwrap();
    built(root.path());
    let mut given: BTreeMap<String, usize> = BTreeMap::new();
    for task in [Task::ShouldRespond, Task::ActionPlanner] {
        for row in rows(root.path(), task) {
            let answer: Value = serde_json::from_str(&row.expected).unwrap();
            let action = answer["action"].as_str().unwrap();
            assert!(row.system.contains(action), "{action} is one of those that are offered");
            *given.entry(format!("{task} {action}")).or_default() += 1;
        }
    }
    for (answer, at_least) in [("RESPOND", 40), ("IGNORE", 30), ("STOP", 10)] {
        assert!(given[&format!("should_respond {answer}")] >= at_least, "{given:?}");
    }
    assert!(given.keys().filter(|answer| answer.starts_with("action_planner")).count() >= 15, "{given:?}");
    let (train, judge) = split(rows(root.path(), Task::ShouldRespond), HELD_OUT_SHARE);
    assert!(judge.len() >= 10 && train.len() >= 50, "{} and {}", train.len(), judge.len());
    let asked: BTreeSet<&str> = train.iter().map(|row| row.user.as_str()).collect();
    assert!(asked.len() * 10 > train.len() * 9, "hardly anything is asked twice");
    assert!(train.iter().filter(|row| row.reward.is_some()).count() > train.len() / 2);
}
