//! Datasets: what is in them, what is refused, and what is left when a build is killed or the disk is full.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use serde_json::{Value, json};
use trainyard_trajectories::{
    BuildError, DatasetId, Layout, Limits, LlmCall, Order, PrivacyFilter, Record, RowLimits, Rows, Task,
    Trajectory, build, open, remove,
};

fn id(text: &str) -> DatasetId {
    text.parse().unwrap()
}

fn order() -> Order {
    Order::new(id("dataset-1"), 1_718_000_000_000)
}

fn filter() -> PrivacyFilter {
    PrivacyFilter::new("salt").with_private_entity("hermit")
}

fn read(value: &Value) -> Trajectory {
    Trajectory::from_json(value.to_string().as_bytes(), &Limits::default()).unwrap()
}

fn build_of(
    root: &Path,
    order: &Order,
    trajectories: &[Trajectory],
) -> Result<Record, BuildError<Infallible>> {
    build(root, order, &filter(), trajectories.iter().cloned().map(Ok))
}

/// With `calls` calls that can be learned from, and one that cannot.
fn made(name: &str, calls: usize) -> Trajectory {
    let mut trajectory = Trajectory::new(name.parse().unwrap());
    trajectory.calls = vec![LlmCall::new("Be an agent.", "What is next?", "Nothing is."); calls];
    trajectory.calls.push(LlmCall::new("Be an agent.", "What is next?", "Nothing"));
    trajectory
}

/// Everything that can be in one, with something private in every place.
fn several() -> Vec<Trajectory> {
    [
        json!({
            "id": "../../etc/passwd", "agentId": "helper", "archetype": "guide", "source": "discord",
            "startTime": 1_718_000_000_000_u64, "endTime": 1_718_000_001_000_u64, "totalReward": 1.5,
            "aiJudgeReward": 0.75, "episodeLength": 2,
            "steps": [
                {"stepId": "s1", "observation": "@ana wrote", "llmCalls": [
                    {
                        "callId": "c1", "model": "small-1", "purpose": "response_handler",
                        "systemPrompt": "Say whether to answer.", "userPrompt": "@ana: write to ana@example.org",
                        "response": "{\"action\": \"RESPOND\"}",
                    },
                    {
                        "callId": "c2", "model": "small-1", "purpose": "planner",
                        "systemPrompt": "Say what to do.", "userPrompt": "She is at 52.5200, 13.4050.",
                        "response": "{\"action\": \"NONE\"}",
                    },
                ]},
                {"stepId": "s2", "password": "swordfish"},
            ],
        }),
        json!({"id": "short", "llmCalls": [{"systemPrompt": "x", "userPrompt": "y", "response": "z"}]}),
        json!({"id": "about", "metadata": {"entityId": "hermit"}, "llmCalls": [
            {"systemPrompt": "Be an agent.", "userPrompt": "What is next?", "response": "Nothing is."},
        ]}),
        json!({
            "id": "t4", "createdAt": 1_718_000_002_000_u64,
            "llmCalls": [
                {
                    "systemPrompt": "Describe the picture.", "userPrompt": "A label: +1 202 555 0123",
                    "response": "A shop in 12 Main Street.", "purpose": "DESCRIBE_IMAGE", "stepId": "s1",
                },
                {
                    "systemPrompt": "Choose the context.", "userPrompt": "What is my balance?",
                    "response": "context_routing: wallet; key sk-ant-api03-abcdefgh", "purpose": "evaluation",
                },
            ],
            "providerAccesses": [{"providerName": "facts", "data": {"mail": "ana@example.org"}}],
        }),
    ]
    .iter()
    .map(read)
    .collect()
}

/// All files below a folder, with their texts.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read_to_string(path).unwrap());
        }
    }
    found
}

/// Renewed by `TRAINYARD_RENEW_GOLDENS=1 cargo test`.
#[test]
fn every_file_is_as_it_always_was() {
    let root = tempfile::tempdir().unwrap();
    let record = build_of(root.path(), &order(), &several()).unwrap();
    assert_eq!((record.trajectory_count, record.example_count), (2, 4));
    assert_eq!((record.dropped_private, record.dropped_short), (1, 1));
    let built = files(&root.path().join("dataset-1"));
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    if std::env::var_os("TRAINYARD_RENEW_GOLDENS").is_some() {
        fs::remove_dir_all(&golden).unwrap();
        for (name, text) in &built {
            let path = golden.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    let expected = files(&golden);
    assert!(built.keys().eq(expected.keys()), "{:?}", built.keys());
    for (name, text) in &built {
        assert_eq!(text, &expected[name], "{name}");
    }
    let sizes: usize =
        built.iter().filter(|(name, _)| *name != "metadata.json").map(|(_, text)| text.len()).sum();
    assert_eq!(record.bytes, sizes as u64);
}

#[test]
fn what_is_built_is_listed_and_read_again() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("not there").join("yet");
    let first = build_of(&root, &order(), &several()).unwrap();
    let later = Order::new(id("dataset-0"), 1_718_000_000_001);
    let second = build_of(&root, &later, &[]).unwrap();
    assert_eq!((second.trajectory_count, second.example_count), (0, 0), "nothing to learn from is no error");
    let opened = open(&root).unwrap();
    assert_eq!(opened.datasets, [second, first.clone()], "the newest is the first");
    assert_eq!((opened.cleared, opened.strange.len()), (0, 0));

    let layout = Layout::new(&root, &first.id);
    for task in Task::ALL {
        let expected = first.tasks.get(task.as_str()).copied().unwrap_or(0);
        if expected == 0 {
            assert!(!layout.task(task).exists());
            continue;
        }
        let file = BufReader::new(fs::File::open(layout.task(task)).unwrap());
        let rows: Vec<_> = Rows::new(file, RowLimits::default()).map(Result::unwrap).collect();
        assert_eq!(rows.len() as u64, expected, "{task}");
        assert!(rows.iter().all(|row| row.task == task.as_str()));
    }
    let file = BufReader::new(fs::File::open(layout.examples()).unwrap());
    assert_eq!(Rows::new(file, RowLimits::default()).map(Result::unwrap).count() as u64, first.example_count);
    // Each trajectory can be read as one that was sent.
    for nth in 1..=first.trajectory_count {
        let text = fs::read(layout.trajectories().join(format!("{nth}.json"))).unwrap();
        let trajectory = Trajectory::from_json(&text, &Limits::default()).unwrap();
        assert!(trajectory.usable_calls().count() > 0);
    }
}

#[test]
fn the_limit_comes_before_the_minimum() {
    let root = tempfile::tempdir().unwrap();
    let trajectories = [made("a", 1), made("b", 3), made("c", 0), made("d", 3), made("e", 3)];
    let order = order().with_limit(4).with_min_calls(2);
    let record = build_of(root.path(), &order, &trajectories).unwrap();
    assert_eq!((record.trajectory_count, record.example_count, record.dropped_short), (2, 6, 2));
    // Nothing is asked for that is not needed.
    let more = std::iter::once(Ok(made("a", 1))).chain(std::iter::once_with(|| panic!("nobody needs it")));
    let order = Order::new(id("dataset-2"), 1).with_limit(1);
    let record = build::<Infallible>(root.path(), &order, &filter(), more).unwrap();
    assert_eq!((record.trajectory_count, record.limit), (1, 1));
}

#[test]
fn what_fails_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let lost = || [Ok(made("a", 1)), Err(io::Error::other("the store is gone"))];
    let error = build(root.path(), &order(), &filter(), lost()).unwrap_err();
    assert_eq!(error.to_string(), "could not get the next trajectory");
    assert!(!error.is_full());
    let small = order().with_bytes_max(1_000);
    let error = build_of(root.path(), &small, &vec![made("a", 1); 5]).unwrap_err();
    assert_eq!(error.to_string(), "the dataset would take more than 1000 bytes");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "nothing is left");

    build_of(root.path(), &order(), &several()).unwrap();
    let before = files(root.path());
    let error = build_of(root.path(), &order(), &[]).unwrap_err();
    assert_eq!(error.to_string(), "there is a dataset dataset-1 already");
    assert_eq!(files(root.path()), before);

    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let error = build_of(&file, &order(), &[]).unwrap_err();
    assert!(matches!(error, BuildError::Io { operation: "make the folder of all datasets", .. }), "{error}");
    assert_eq!(open(&file).unwrap_err().to_string(), "could not list the datasets");
    assert!(open(&root.path().join("not there")).unwrap().datasets.is_empty());
}

#[test]
fn what_is_no_dataset_is_told_and_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let record = build_of(root.path(), &order(), &several()).unwrap();
    let mut text = serde_json::to_value(&record).unwrap();
    for (name, version, of) in
        [("dataset-2", 1, "dataset-1"), ("dataset-3", 2, "dataset-3"), ("dataset-4", 1, "dataset-4")]
    {
        (text["version"], text["id"]) = (json!(version), json!(of));
        fs::create_dir(root.path().join(name)).unwrap();
        fs::write(root.path().join(name).join("metadata.json"), text.to_string()).unwrap();
    }
    // the names of what was not built to its end look alike
    for name in ["Notes", "dataset-5", ".building", ".My App.building"] {
        fs::create_dir(root.path().join(name)).unwrap();
    }
    fs::write(root.path().join(".dataset-6.building"), "a file").unwrap();
    let opened = open(root.path()).unwrap();
    assert_eq!((opened.datasets.len(), opened.cleared), (2, 0));
    let strange = [
        ".My App.building",
        ".building",
        ".dataset-6.building",
        "Notes",
        "dataset-2",
        "dataset-3",
        "dataset-5",
    ];
    assert_eq!(opened.strange, strange);
    assert!(root.path().join("Notes").exists());
}

/// Somebody else builds a dataset of that name while the first one is being built, and is done first.
#[test]
fn of_two_who_build_the_same_one_is_refused_and_nothing_is_mixed() {
    let root = tempfile::tempdir().unwrap();
    let second = |_| {
        let error = build_of(root.path(), &order(), &several()).unwrap_err();
        assert_eq!(error.to_string(), "there is a dataset dataset-1 already");
        Ok::<_, Infallible>(made("a", 1))
    };
    let first = build(root.path(), &order(), &filter(), (0..1).map(second)).unwrap();
    assert_eq!(open(root.path()).unwrap().datasets, [first]);

    let elsewhere = tempfile::tempdir().unwrap();
    let other = build_of(elsewhere.path(), &order(), &several()).unwrap();
    let theirs = elsewhere.path().join("dataset-1");
    let late = tempfile::tempdir().unwrap();
    let named = |_| {
        fs::rename(&theirs, late.path().join("dataset-1")).unwrap();
        Ok::<_, Infallible>(made("a", 1))
    };
    let error = build(late.path(), &order(), &filter(), (0..1).map(named)).unwrap_err();
    assert_eq!(error.to_string(), "there is a dataset dataset-1 already");
    let opened = open(late.path()).unwrap();
    assert_eq!((opened.datasets, opened.cleared), (vec![other], 0));
}

#[test]
#[cfg(unix)]
fn what_has_the_name_already_is_left_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    std::os::unix::fs::symlink("nowhere", path("dataset-1")).unwrap();
    fs::create_dir(path("dataset-2")).unwrap();
    fs::write(path("dataset-3"), "a file").unwrap();
    for name in ["dataset-1", "dataset-2", "dataset-3"] {
        let error = build_of(root.path(), &Order::new(id(name), 1), &several()).unwrap_err();
        assert_eq!(error.to_string(), format!("there is a dataset {name} already"));
    }
    assert_eq!(fs::read_link(path("dataset-1")).unwrap(), Path::new("nowhere"));
    assert_eq!(fs::read_dir(path("dataset-2")).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(path("dataset-3")).unwrap(), "a file");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3);
}

/// Where a child builds, and how many blocks its files may have.
const CHILD: &str = "TRAINYARD_BUILD_IN";

/// How many trajectories a child builds of.
const STEPS: usize = 6;

/// Nothing, unless this binary was started as a child: then a build that says how far it is and waits for a line before
/// it goes on.
#[test]
fn child() {
    let Some(root) = std::env::var_os(CHILD) else { return };
    let mut lines = io::stdin().lines();
    let mut wait = move |at: usize| {
        println!("\n> at {at}");
        let _ = lines.next();
    };
    let trajectories = (0..=STEPS).filter_map(move |nth| {
        wait(nth);
        // what is in a buffer is not in the file: each fills one
        let mut trajectory = made(&format!("t{nth}"), 1);
        trajectory.calls[0].response = "So it is. ".repeat(2_000);
        (nth < STEPS).then_some(Ok::<_, Infallible>(trajectory))
    });
    match build(Path::new(&root), &order(), &filter(), trajectories) {
        Ok(record) => println!("\n> built {}", record.trajectory_count),
        Err(error) => println!("\n> failed {} {error}", if error.is_full() { "full" } else { "otherwise" }),
    }
}

fn child_in(root: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, root);
    command
}

#[test]
#[cfg(unix)]
fn whoever_is_killed_leaves_nothing_that_is_listed() {
    for killed_at in 0..=STEPS {
        let root = tempfile::tempdir().unwrap();
        let mut child = child_in(root.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut go_on = child.stdin.take().unwrap();
        for at in 0..=killed_at {
            let expected = format!("> at {at}");
            assert!(told.any(|line| line == expected), "it comes that far: {at}");
            if at < killed_at {
                writeln!(go_on).unwrap();
            }
        }
        child.kill().unwrap(); // kill -9
        child.wait().unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "half of it is there");
        assert!(!root.path().join("dataset-1").exists(), "and has no name");
        let opened = open(root.path()).unwrap();
        assert_eq!(
            (opened.datasets.len(), opened.cleared, opened.strange.len()),
            (0, 1, 0),
            "at {killed_at}"
        );
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "it is cleared away");
        build_of(root.path(), &order(), &several()).unwrap();
        assert_eq!(open(root.path()).unwrap().datasets.len(), 1, "and can be built again");
    }
}

/// A child whose files may take no more than so many blocks of 512 bytes, or of 1 KiB with some shells. With `trap` the
/// signal that comes beyond becomes an error of the write; without it the signal kills.
#[cfg(unix)]
fn narrow_child_in(root: &Path, blocks: usize, trap: &str) -> (Option<i32>, String) {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{trap} ulimit -f {blocks}; ulimit -c 0; exec \"$0\" \"$@\"")]);
    let child = child_in(root);
    shell.arg(child.get_program()).args(child.get_args()).env(CHILD, root);
    let output = shell.stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
#[cfg(unix)]
fn a_full_disk_is_told_and_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (code, told) = narrow_child_in(root.path(), 64, "trap '' XFSZ;");
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("> failed full could not write the examples"), "{told}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "nothing is left");
    let (code, told) = narrow_child_in(root.path(), 10_000, "trap '' XFSZ;");
    assert!(code == Some(0) && told.contains(&format!("> built {STEPS}")), "{told}");
}

#[test]
#[cfg(unix)]
fn whoever_is_killed_in_the_middle_of_a_file_leaves_nothing_that_is_listed() {
    // from the first file of a trajectory to the last line of all examples
    for blocks in [0, 8, 32, 64, 128, 200] {
        let root = tempfile::tempdir().unwrap();
        let (code, told) = narrow_child_in(root.path(), blocks, "");
        assert_eq!(code, None, "a signal ends it: {told}");
        let opened = open(root.path()).unwrap();
        assert_eq!((opened.datasets.len(), opened.cleared), (0, 1), "{blocks}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_counts_are_those_of_the_files(
        calls in prop::collection::vec(0..4_usize, 0..8), limit in 1..10_u32, min_calls in 0..4_u32,
    ) {
        let root = tempfile::tempdir().unwrap();
        let order = order().with_limit(limit).with_min_calls(min_calls);
        let trajectories: Vec<_> = calls.iter().enumerate().map(|(nth, n)| made(&nth.to_string(), *n)).collect();
        let record = build_of(root.path(), &order, &trajectories).unwrap();
        let kept: Vec<usize> = calls.iter().copied().take(limit as usize).filter(|n| *n >= min_calls.max(1) as usize).collect();
        prop_assert_eq!(record.trajectory_count, kept.len() as u64);
        prop_assert_eq!(record.example_count, kept.iter().sum::<usize>() as u64);
        prop_assert_eq!(record.trajectory_count + record.dropped_short, calls.len().min(limit as usize) as u64);
        let layout = Layout::new(root.path(), order.id());
        prop_assert_eq!(fs::read_to_string(layout.examples()).unwrap().lines().count() as u64, record.example_count);
        prop_assert_eq!(fs::read_dir(layout.trajectories()).unwrap().count(), kept.len());
        prop_assert_eq!(&open(root.path()).unwrap().datasets, &[record]);
    }
}

#[test]
fn one_that_is_removed_is_never_listed_by_half() {
    let root = tempfile::tempdir().unwrap();
    let [one, other] = ["dataset-1", "dataset-2"].map(id);
    for id in [&one, &other] {
        build_of(root.path(), &Order::new(id.clone(), 1), &[made("t", 1)]).unwrap();
    }
    // As a kill in the middle leaves it, with a record that says that it is whole.
    let half = root.path().join(".dataset-1.building");
    fs::create_dir(&half).unwrap();
    fs::copy(Layout::new(root.path(), &one).record(), half.join("metadata.json")).unwrap();
    remove(root.path(), &one).unwrap();
    assert!(!half.exists());
    assert_eq!(remove(root.path(), &one).unwrap_err().kind(), io::ErrorKind::NotFound);
    fs::rename(Layout::new(root.path(), &other).folder(), &half).unwrap();
    let opened = open(root.path()).unwrap();
    assert_eq!((opened.datasets.len(), opened.cleared, opened.strange.len()), (0, 1, 0));
}
