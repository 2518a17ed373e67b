use std::fs;

use tempfile::TempDir;
use trainyard_eliza::Backend;
use trainyard_trajectories::Limits;

use super::super::catalog::{Bounds, NewTrajectory};
use super::*;

const AT: Timestamp = Timestamp::from_millis(1_718_000_000_000);

struct Shop {
    folder: TempDir,
    catalog: Arc<Catalog>,
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Arc::new(Catalog::open(&folder.path().join("catalog.sqlite")).unwrap());
        Self { folder, catalog }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("datasets")
    }

    fn open_with(&self, free_min: u64, max: u64) -> Datasets {
        let disk = Disk::new(self.folder.path(), free_min);
        let filter = PrivacyFilter::new("salt").with_secret("hunter2-hunter2");
        Datasets::open(self.root(), Arc::clone(&self.catalog), disk, max, filter).unwrap()
    }

    fn open(&self) -> Datasets {
        self.open_with(0, 9)
    }

    /// With one call each, of these numbers.
    fn take_in(&self, numbers: std::ops::Range<u64>) {
        let lines: String = numbers.map(|n| format!("{}\n", text(n))).collect();
        self.keep(&lines);
    }

    fn keep(&self, lines: &str) {
        let new: Vec<NewTrajectory> = translate::read_all(lines.as_bytes(), Limits::default(), AT).unwrap();
        self.catalog.take_in(&new, Bounds { trajectories_max: 999, bytes_max: u64::MAX }).unwrap();
    }

    fn lay_out(&self, of: &Datasets, source: Source, max: Option<u64>) -> Result<ElizaLesson, TrainError> {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let parameters =
            TrainParameters { trajectories_max: max, ..TrainParameters::new(source, Backend::Cuda) };
        of.lay_out(parameters, &folder)
    }
}

fn text(n: u64) -> Value {
    serde_json::json!({
        "id": format!("t{n}"), "source": "chat", "status": "completed",
        "llmCalls": [{
            "purpose": "should_respond", "systemPrompt": "You decide who answers.",
            "userPrompt": format!("write to mail{n}@example.com, hunter2-hunter2"),
            "response": format!("RESPOND for number {n}"),
        }],
    })
}

fn build(limit: u64) -> Build {
    Build { limit, llm_calls_min: 1, at: AT }
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn reason(error: TrainError) -> String {
    error.to_string()
}

#[test]
fn a_dataset_is_of_the_newest_and_nothing_private_is_in_it() {
    let shop = Shop::new();
    let datasets = shop.open();
    shop.take_in(0..12);
    let built = datasets.build(build(11), |_| false).unwrap();
    assert_eq!((built.trajectories, built.examples, built.created_at), (11, 11, AT));
    let rows = lines(&built.jsonl);
    assert!(rows[0].contains("number 11") && rows[10].contains("number 1\""), "newest first: {rows:?}");
    for row in &rows {
        assert!(!row.contains("example.com") && !row.contains("hunter2"), "{row}");
    }
    assert_eq!(fs::read_dir(&built.trajectory_dir).unwrap().count(), 11);
    assert!(built.metadata.is_file());
    assert_eq!(datasets.all().unwrap(), std::slice::from_ref(&built));
    let none = Build { llm_calls_min: 2, ..build(11) };
    assert_eq!(datasets.build(none, |_| false).unwrap().examples, 0, "none that fits is no error");
    assert_eq!(datasets.find(&built.id).unwrap(), Some(built));
}

#[test]
fn folders_and_records_agree_when_it_is_opened() {
    let shop = Shop::new();
    let datasets = shop.open();
    shop.take_in(0..2);
    let [one, two, three] = [1, 2, 2].map(|limit| datasets.build(build(limit), |_| false).unwrap());
    drop(datasets);
    // As after a crash, or after somebody has tidied up.
    shop.catalog.drop_dataset(&two.id).unwrap();
    fs::remove_dir_all(shop.root().join(three.id.as_str())).unwrap();
    fs::create_dir_all(shop.root().join(".dataset-9.building/trajectories")).unwrap();
    fs::create_dir(shop.root().join("mine")).unwrap();
    let datasets = shop.open();
    assert_eq!(datasets.all().unwrap(), [two, one], "whole ones are listed, and only those");
    assert!(!shop.root().join(".dataset-9.building").exists() && shop.root().join("mine").is_dir());
}

#[test]
fn there_are_only_so_many_and_none_on_a_full_disk() {
    let shop = Shop::new();
    shop.take_in(0..2);
    let datasets = shop.open_with(0, 2);
    let [one, two] = [1, 1].map(|limit| datasets.build(build(limit), |_| false).unwrap());
    let three = datasets.build(build(1), |id| *id == one.id).unwrap();
    assert_eq!(datasets.all().unwrap(), [three, one]);
    assert!(!shop.root().join(two.id.as_str()).exists());
    let refused = datasets.build(build(1), |_| true).unwrap_err();
    assert!(matches!(refused, Refused::TooMany { max: 2, .. }), "{refused}");
    assert_eq!(fs::read_dir(shop.root()).unwrap().count(), 2, "nothing is left of it");
    let full = shop.open_with(u64::MAX, 9);
    assert!(matches!(full.build(build(1), |_| false), Err(Refused::Full)));
    assert_eq!(fs::read_dir(shop.root()).unwrap().count(), 2);
}

#[test]
fn a_lesson_is_the_dataset_or_its_newest_part() {
    let shop = Shop::new();
    let datasets = shop.open();
    shop.take_in(0..21);
    let built = datasets.build(build(99), |_| false).unwrap();
    let of = |max| shop.lay_out(&datasets, Source::Dataset(built.id.clone()), max).unwrap();
    let whole = of(None);
    assert_eq!(
        (whole.examples, &whole.jsonl, &whole.trajectories),
        (21, &built.jsonl, &built.trajectory_dir)
    );
    let (train, valid) = (lines(&whole.data.join("train.jsonl")), lines(&whole.data.join("valid.jsonl")));
    assert_eq!((train.len(), valid.len()), (19, 2));
    let row: Value = serde_json::from_str(&train[0]).unwrap();
    assert_eq!(row.as_object().unwrap().len(), 1, "{row}");
    let roles: Vec<_> = row["messages"].as_array().unwrap().iter().map(|one| one["role"].clone()).collect();
    assert_eq!(roles, ["system", "user", "assistant"]);

    let part = of(Some(3));
    assert_eq!((part.examples, lines(&part.jsonl)), (3, lines(&built.jsonl)[..3].to_vec()));
    assert_eq!(fs::read_dir(&part.trajectories).unwrap().count(), 3);
    assert_eq!(lines(&part.tasks.join("should_respond_trajectories.jsonl")).len(), 3);
    assert_eq!(lines(&part.data.join("valid.jsonl")).len(), 1, "programs want some to validate with");
    assert_eq!(of(Some(21)).jsonl, built.jsonl, "no more than there are is all");

    let unknown = Source::Dataset(DatasetId::new("dataset-0").unwrap());
    let error = reason(shop.lay_out(&datasets, unknown, None).unwrap_err());
    assert!(error.contains("dataset-0 is not there any more"), "{error}");
    let none = Build { llm_calls_min: 9, ..build(99) };
    let empty = datasets.build(none, |_| false).unwrap();
    let error = reason(shop.lay_out(&datasets, Source::Dataset(empty.id), None).unwrap_err());
    assert!(error.contains("nothing to learn from"), "{error}");
}

#[test]
fn a_task_has_its_rows_as_they_are_now() {
    let shop = Shop::new();
    let datasets = shop.open();
    let of = |task: &str, max| shop.lay_out(&datasets, Source::Task(Task::new(task).unwrap()), max);
    assert!(reason(of("should_respond", None).unwrap_err()).contains("nothing to learn from"));
    let other = r#"{"id":"o","status":"completed","llmCalls":[{"purpose":"planner","systemPrompt":"You plan the day.",
        "userPrompt":"What is next?","response":"not for it at all"}]}"#;
    shop.keep(other);
    shop.take_in(0..5);
    let lesson = of("should_respond", None).unwrap();
    assert_eq!((lesson.examples, lines(&lesson.jsonl).len()), (5, 5));
    let row: Value = serde_json::from_str(&lines(&lesson.jsonl)[0]).unwrap();
    assert_eq!(
        (&row["format"], &row["metadata"]["task_type"]),
        (&"eliza_native_v1".into(), &"should_respond".into())
    );
    assert!(!row.to_string().contains("example.com"), "{row}");
    let train = lines(&lesson.data.join("train.jsonl"));
    assert!(train.iter().all(|row| !row.contains("not for it")), "only what is for the task: {train:?}");
    let row: Value = serde_json::from_str(&train[0]).unwrap();
    let roles: Vec<_> = row["messages"].as_array().unwrap().iter().map(|one| one["role"].clone()).collect();
    assert_eq!(
        (roles, &row["messages"][2]["content"]),
        (vec!["system".into(), "user".into(), "assistant".into()], &"RESPOND for number 4".into())
    );
    shop.take_in(5..7);
    assert_eq!(of("should_respond", None).unwrap().examples, 7);
    assert_eq!(of("should_respond", Some(2)).unwrap().examples, 2);
    assert!(reason(of("response", None).unwrap_err()).contains("nothing to learn from for response"));
    assert!(reason(of("no_such_task", None).unwrap_err()).contains("no_such_task"));
    assert_eq!(datasets.all().unwrap(), [], "they are no datasets");
}
