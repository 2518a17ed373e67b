use std::time::Duration;

use tempfile::TempDir;
use trainyard_core::{JobId, ModelId, Score, Timestamp};
use trainyard_eliza::{
    AutoConfig, Backend, Benchmark, DatasetId, Imported, Page, Scores, Task, TaskConfig, TrajectoryRow,
    TrajectoryStatus,
};

use super::trajectories::NotTaken;
use super::*;

const ALL: Page = Page { offset: 0, limit: 1_000 };
const WIDE: Bounds = Bounds { trajectories_max: 1_000, bytes_max: u64::MAX };

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

fn task(word: &str) -> Task {
    Task::new(word).unwrap()
}

fn trajectory(id: &str, status: TrajectoryStatus) -> NewTrajectory {
    let row = TrajectoryRow {
        id: id.to_owned(),
        agent_id: "agent".to_owned(),
        source: "chat".to_owned(),
        status,
        archetype: Some("trader".to_owned()),
        llm_calls: 2,
        provider_accesses: 1,
        prompt_tokens: 30,
        completion_tokens: 40,
        total_reward: Some(0.5),
        judge_reward: None,
        episode_length: Some(3),
        started_at: at(0),
        ended_at: (status != TrajectoryStatus::Active).then(|| at(10)),
        created_at: at(20),
    };
    NewTrajectory { row, document: format!("{{\"id\":{id:?}}}"), tasks: [task("response")].into() }
}

fn completed(id: &str) -> NewTrajectory {
    trajectory(id, TrajectoryStatus::Completed)
}

fn active(id: &str) -> NewTrajectory {
    trajectory(id, TrajectoryStatus::Active)
}

fn open(folder: &TempDir) -> Catalog {
    Catalog::open(&folder.path().join("catalog.sqlite")).unwrap()
}

fn ids(catalog: &Catalog) -> Vec<String> {
    catalog.trajectories(ALL).unwrap().rows.into_iter().map(|row| row.id).collect()
}

fn responses(catalog: &Catalog) -> u64 {
    catalog.task_totals().unwrap().get(&task("response")).copied().unwrap_or(0)
}

#[test]
fn trajectories_are_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(&folder);
    let new = [completed("a"), active("b"), trajectory("c", TrajectoryStatus::Timeout)];
    let ingested = first.take_in(&new, WIDE).unwrap();
    assert_eq!(ingested.rows, new.clone().map(|new| new.row));
    assert_eq!(ingested.totals, [(task("response"), 1)].into(), "only what is completed counts");
    drop(first);
    let again = open(&folder);
    let [c, b, a] = &again.trajectories(ALL).unwrap().rows[..] else { panic!("three, newest first") };
    assert_eq!([a, b, c], [&new[0].row, &new[1].row, &new[2].row]);
    assert_eq!(again.trajectory("a").unwrap(), Some((new[0].row.clone(), new[0].document.clone())));
    assert_eq!(again.trajectory("d").unwrap(), None);
    assert_eq!((again.trajectory_count(), responses(&again)), (3, 1));
    let shelf = again.trajectories(Page { offset: 1, limit: 1 }).unwrap();
    assert_eq!((shelf.total, &shelf.rows), (3, &vec![b.clone()]));
}

#[test]
fn one_that_is_over_stays_as_it_is_and_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder);
    catalog.take_in(&[active("a")], WIDE).unwrap();
    assert_eq!(responses(&catalog), 0);
    let mut over = completed("a");
    over.row.created_at = at(99);
    let ingested = catalog.take_in(&[over.clone()], WIDE).unwrap();
    assert_eq!(ingested.rows[0].created_at, at(20), "it came when it came first");
    assert_eq!((ingested.rows[0].status, ingested.totals.len()), (TrajectoryStatus::Completed, 1));
    let mut other = completed("a");
    other.row.source = "api".to_owned();
    for again in [over, other, active("a"), trajectory("a", TrajectoryStatus::Error)] {
        let ingested = catalog.take_in(&[again.clone(), again], WIDE).unwrap();
        assert_eq!((ingested.rows.len(), ingested.totals.len()), (2, 0));
        assert_eq!((ingested.rows[0].source.as_str(), ingested.rows[0].created_at), ("chat", at(20)));
    }
    drop(catalog);
    let catalog = open(&folder);
    assert!(catalog.take_in(&[completed("a")], WIDE).unwrap().totals.is_empty(), "also after a restart");
    assert_eq!((responses(&catalog), ids(&catalog)), (1, vec!["a".to_owned()]));
}

#[test]
fn nothing_counts_while_auto_training_is_disabled() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder);
    let config = |is_enabled| AutoConfig { is_enabled, ..AutoConfig::default() };
    catalog.set_auto_config(&config(false)).unwrap();
    assert!(catalog.take_in(&[completed("a")], WIDE).unwrap().totals.is_empty());
    catalog.set_auto_config(&config(true)).unwrap();
    let totals = catalog.take_in(&[completed("a"), completed("b")], WIDE).unwrap().totals;
    assert_eq!(totals, [(task("response"), 1)].into(), "what was over then counts never");
}

#[test]
fn the_oldest_that_is_over_makes_room_and_never_counts_again() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder);
    let bounds = Bounds { trajectories_max: 3, ..WIDE };
    catalog.take_in(&[active("a"), completed("b"), completed("c")], bounds).unwrap();
    catalog.take_in(&[completed("d")], bounds).unwrap();
    assert_eq!(ids(&catalog), ["d", "c", "a"]);
    assert_eq!(catalog.trajectory("b").unwrap(), None);
    let ingested = catalog.take_in(&[completed("b")], bounds).unwrap();
    assert_eq!((ids(&catalog), responses(&catalog)), (vec!["b".into(), "d".into(), "a".into()], 3));
    assert!(ingested.totals.is_empty());

    let bounds = Bounds { trajectories_max: 1, ..WIDE };
    let refused = catalog.take_in(&[completed("e"), active("f")], bounds).unwrap_err();
    assert!(matches!(refused, NotTaken::TooMany { max: 1 }), "{refused}");
    assert_eq!(ids(&catalog), ["b", "d", "a"], "none of it, and nothing is gone");
    assert_eq!(catalog.trajectory_count(), 3);
    drop(catalog);
    assert_eq!(open(&folder).trajectory_count(), 3);
}

#[test]
fn what_is_too_long_makes_room_or_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder);
    let long = |id: &str, bytes: usize| NewTrajectory { document: "x".repeat(bytes), ..completed(id) };
    let bounds = Bounds { bytes_max: 100, ..WIDE };
    catalog.take_in(&[long("a", 60), long("b", 40)], bounds).unwrap();
    catalog.take_in(&[long("c", 50)], bounds).unwrap();
    assert_eq!(ids(&catalog), ["c", "b"]);
    assert!(matches!(catalog.take_in(&[long("d", 101)], bounds), Err(NotTaken::TooLong)));
    catalog.take_in(&[active("e")], bounds).unwrap();
    let longer = NewTrajectory { document: "x".repeat(100), ..active("e") };
    catalog.take_in(&[longer], bounds).unwrap();
    assert_eq!(ids(&catalog), ["e"]);
}

#[test]
fn the_newest_documents_come_first_and_no_more_than_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder);
    let new: Vec<NewTrajectory> = (0..50).map(|n| completed(&n.to_string())).collect();
    catalog.take_in(&new, WIDE).unwrap();
    let newest = |limit| catalog.newest(limit).collect::<Result<Vec<String>, _>>().unwrap();
    let expected = |count: usize| -> Vec<String> {
        new.iter().rev().take(count).map(|new| new.document.clone()).collect()
    };
    for (limit, count) in [(40, 40), (99, 50), (50, 50), (16, 16), (1, 1), (0, 0)] {
        assert_eq!(newest(limit), expected(count), "{limit}");
    }
    let mut newest = catalog.newest(99);
    newest.next().unwrap().unwrap();
    catalog.take_in(&[completed("late")], WIDE).unwrap();
    assert_eq!(newest.count(), 49, "what comes meanwhile is not among them");
}

#[test]
fn a_token_is_told_until_it_is_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder);
    for is_told in [false, true, true, false] {
        catalog.tell_token(is_told).unwrap();
        assert_eq!(open(&folder).is_token_told().unwrap(), is_told);
    }
}

#[test]
fn a_file_is_taken_in_once() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder);
    assert!(!catalog.is_imported("d1").unwrap());
    catalog.take_in_last(&[completed("a")], WIDE, "d1", at(0)).unwrap();
    drop(catalog);
    let catalog = open(&folder);
    assert!(catalog.is_imported("d1").unwrap() && !catalog.is_imported("d2").unwrap());
}

#[test]
fn the_configuration_is_stored_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder);
    assert_eq!(catalog.auto_config().unwrap(), AutoConfig::default());
    let one = TaskConfig {
        threshold: Some(7),
        cooldown: Some(Duration::from_millis(90)),
        backend: Some(Backend::Cuda),
    };
    let other = TaskConfig { cooldown: Some(Duration::ZERO), ..TaskConfig::default() };
    let config = AutoConfig {
        is_enabled: false,
        threshold: 3,
        cooldown: Duration::from_secs(60),
        overrides: [(task("response"), one), (task("should_respond"), other)].into(),
    };
    catalog.set_auto_config(&config).unwrap();
    assert_eq!(catalog.auto_config().unwrap(), config);
    let bare = AutoConfig { overrides: [(task("response"), other)].into(), ..AutoConfig::default() };
    catalog.set_auto_config(&bare).unwrap();
    drop(catalog);
    assert_eq!(open(&folder).auto_config().unwrap(), bare);
}

#[test]
fn the_oldest_dataset_that_nobody_needs_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder);
    let id = |n: u64| DatasetId::new(format!("dataset-{n}")).unwrap();
    let record = |n: u64| DatasetRecord { id: id(n), created_at: at(1), trajectories: n, examples: 2 * n };
    for n in 1..=2 {
        assert_eq!(catalog.add_dataset(&record(n), 2, |_| false).unwrap(), []);
    }
    assert_eq!(catalog.add_dataset(&record(3), 2, |needed| *needed == id(1)).unwrap(), [id(2)]);
    let refused = catalog.add_dataset(&record(4), 2, |_| true).unwrap_err();
    assert!(matches!(refused, DatasetRefused::TooMany { max: 2 }), "{refused}");
    assert_eq!(catalog.datasets().unwrap(), [record(3), record(1)]);
    assert_eq!(catalog.dataset_count(), 2);
    assert_eq!(catalog.dataset(&id(3)).unwrap(), Some(record(3)));
    assert!(catalog.drop_dataset(&id(3)).unwrap() && !catalog.drop_dataset(&id(3)).unwrap());
    assert_eq!(catalog.dataset(&id(3)).unwrap(), None);
    assert_eq!(catalog.dataset_count(), 1);
    drop(catalog);
    assert_eq!(open(&folder).dataset_count(), 1, "it is counted anew");
}

#[test]
fn a_run_never_falls_back_and_goes_with_its_job() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder);
    let [one, two] = [1, 2].map(JobId::from_u128);
    assert_eq!(catalog.run(one).unwrap(), None);
    let run = |fraction| RunRecord {
        phase: Some("training".to_owned()),
        fraction,
        iteration: Some(4),
        loss: Some(0.25),
        log: Some("work/log".into()),
        exit_code: Some(-1),
        backend: Some(Backend::Mlx),
        model: Some("small".to_owned()),
        ..RunRecord::default()
    };
    catalog.put_run(one, &run(Some(0.45))).unwrap();
    catalog.put_run(one, &run(Some(0.25))).unwrap();
    assert_eq!(catalog.run(one).unwrap(), Some(run(Some(0.45))));
    catalog.put_run(one, &RunRecord { phase: None, ..run(None) }).unwrap();
    assert_eq!(catalog.run(one).unwrap(), Some(RunRecord { phase: None, ..run(Some(0.45)) }));
    catalog.put_run(two, &run(None)).unwrap();
    catalog.put_run(two, &run(Some(0.5))).unwrap();
    assert_eq!(catalog.run(two).unwrap().unwrap().fraction, Some(0.5));
    for job in [one, one, two] {
        catalog.make_version(job).unwrap();
    }
    let versions = || [one, two].map(|job| catalog.version(job).unwrap());
    assert_eq!(versions(), [Some(1), Some(2)]);
    assert_eq!(catalog.noted_runs().unwrap(), [one, two].into());
    catalog.forget_runs(&[one].into()).unwrap();
    assert_eq!(catalog.noted_runs().unwrap(), [two].into());
    assert_eq!(versions(), [None, Some(2)]);
    assert_eq!((catalog.run(one).unwrap(), catalog.run(two).unwrap().is_some()), (None, true));
}

#[test]
fn what_is_noted_of_a_model_stays_until_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder);
    let [one, two] = [1, 2].map(ModelId::from_u128);
    assert_eq!(catalog.model(one).unwrap(), models::ModelRecord::default());
    let figure = |value| Score::new(value).unwrap();
    let scores = Scores { coherence: figure(0.5), consistency: figure(0.25), helpfulness: figure(1.0) };
    let imported = Imported { name: "mine".to_owned(), at: at(1) };
    let benchmark = Benchmark { is_passed: true, scores: Some(scores), output: "well".to_owned(), at: at(2) };
    catalog.note_benchmark(one, &benchmark).unwrap();
    catalog.note_provider_model(one, "ollama/mine").unwrap();
    catalog.note_import(one, &imported).unwrap();
    drop(catalog);
    let catalog = open(&folder);
    let record = catalog.model(one).unwrap();
    assert_eq!(record.imported, Some(imported));
    assert_eq!(record.provider_model.as_deref(), Some("ollama/mine"));
    assert_eq!(record.benchmark, Some(benchmark.clone()));
    let bare = Benchmark { is_passed: false, scores: None, ..benchmark };
    catalog.note_benchmark(one, &bare).unwrap();
    assert_eq!(catalog.model(one).unwrap().benchmark, Some(bare));
    catalog.note_provider_model(two, "x").unwrap();
    assert_eq!(catalog.noted_models().unwrap(), [one, two].into());
    catalog.forget_models(&[one].into()).unwrap();
    assert_eq!(catalog.noted_models().unwrap(), [two].into());
    assert_eq!(catalog.model(one).unwrap(), models::ModelRecord::default());
    assert_eq!(catalog.model(two).unwrap().provider_model.as_deref(), Some("x"));
}
