use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use trainyard_core::{Class, JobId, Kind, Outcome, QueueName, Reason, Subject, Submission};
use trainyard_journal::MemoryJournal;
use trainyard_runtime::Trainyard;
use trainyard_trajectories::{HELD_OUT_SHARE, split};

use super::*;
use crate::made::{Talk, talk};
use crate::{Adapter, Benchmark, Rank, Sizes, Speech};

const SECONDS: Duration = Duration::from_secs(300);
const STEPS: u64 = 5;
const ROWS: u64 = 12;

fn tiny() -> Shape {
    let sizes = Sizes { width: 32, hidden: 64, context: 96, ..*Shape::SMALL.sizes() };
    Shape::new(sizes).unwrap()
}

fn recipe(steps: u64) -> Recipe {
    Recipe::new(1).with_shape(tiny()).unwrap().with_steps(steps.try_into().unwrap())
}

/// A base that knows a little.
fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| Base::make(&recipe(200), NonZeroUsize::MIN, &mut |_| true).unwrap())
}

/// That base in a folder of this one.
fn saved(folder: &Path) -> Source {
    let folder = folder.join("base");
    base().save(&folder).unwrap();
    Source::Folder(folder)
}

/// Rows by a rule that can be learned: whatever is asked, the answer is one.
fn rows(count: u64) -> Vec<Row> {
    let row = |n: u64| {
        let Talk { system, user, .. } = talk(99, n);
        Row::new(format!("row-{n}"), "response", system, user, "I will send it today.")
    };
    (0..count).map(row).collect()
}

fn order(base: Source) -> Order {
    let order = Order::new(base).with_iterations(STEPS).unwrap().with_batch_size(2).unwrap();
    order.with_checkpoint_every(Duration::ZERO)
}

/// Counts blocks of work; and before one of them waits for the end, while it is shut there.
struct Gate {
    shut_at: u64,
    blocks: AtomicU64,
    told: Sender<()>,
    reports: Mutex<Vec<Progress>>,
}

impl Gate {
    fn new(shut_at: u64) -> (Arc<Self>, Receiver<()>) {
        let (told, is_told) = channel();
        (Arc::new(Self { shut_at, blocks: AtomicU64::new(0), told, reports: Mutex::default() }), is_told)
    }
}

impl Watch for Gate {
    fn before_block(&self, cx: &Context) {
        if self.blocks.fetch_add(1, Ordering::AcqRel) == self.shut_at {
            self.told.send(()).expect("the test listens");
            while !cx.should_stop() {
                std::thread::yield_now();
            }
        }
    }

    fn told(&self, progress: &Progress) {
        self.reports.lock().unwrap().push(progress.clone());
    }
}

fn yard(folder: &Path, journal: MemoryJournal, rows: &[Row], order: &Order, gate: &Arc<Gate>) -> Trainyard {
    let (rows, order, gate) = (rows.to_vec(), order.clone(), Arc::clone(gate));
    let trainer = move |cx: &mut Context, _: &JobToTrain| run(cx, &rows, &order, &*gate);
    let builder = Trainyard::builder(folder.join("yard")).journal(journal).report_every(Duration::ZERO);
    builder.trainer(Kind::new("finetune").unwrap(), trainer).start().unwrap().0
}

/// A job whose id is the same in every yard, so that the seed is.
fn submission() -> Submission {
    let class = Class::new(Kind::new("finetune").unwrap(), QueueName::new("default").unwrap());
    Submission::new(JobId::from_u128(7), Subject::new("dataset/1").unwrap(), Arc::new(class))
}

/// The folder of the adapter that came of it.
fn artifact(yard: &Trainyard, outcome: &Outcome) -> PathBuf {
    let Outcome::Completed { model: Some(id) } = outcome else { panic!("{outcome}") };
    yard.artifact_path(&yard.model(*id).unwrap()).unwrap()
}

/// All files of a folder, by name.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// What comes of a training that is left alone, and the blocks that it takes.
fn alone(rows: &[Row], order: &Order) -> (Vec<(String, Vec<u8>)>, u64) {
    let folder = tempfile::tempdir().unwrap();
    let (gate, _is_told) = Gate::new(u64::MAX);
    let yard = yard(folder.path(), MemoryJournal::new(), rows, order, &gate);
    let job = yard.submit(submission()).wait().unwrap().job;
    let files = files(&artifact(&yard, &yard.finished(job).wait().unwrap()));
    yard.shutdown(SECONDS).wait().unwrap();
    (files, gate.blocks.load(Ordering::Acquire))
}

fn failure(rows: &[Row], order: &Order) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (gate, _is_told) = Gate::new(u64::MAX);
    let yard = yard(folder.path(), MemoryJournal::new(), rows, order, &gate);
    let job = yard.submit(submission()).wait().unwrap().job;
    let outcome = yard.finished(job).wait().unwrap();
    assert_eq!(yard.job(job).unwrap().attempts.get(), 1, "it will not work another time");
    yard.shutdown(SECONDS).wait().unwrap();
    let Outcome::Failed { reason } = outcome else { panic!("{outcome}") };
    reason.to_string()
}

#[test]
fn a_trained_adapter_scores_above_its_base() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rows(40);
    let order = order(saved(folder.path())).with_iterations(100).unwrap().with_batch_size(8).unwrap();
    let order = order.with_learning_rate(0.015).unwrap().with_rank(Rank::new(16, 32.0).unwrap());
    let (gate, _is_told) = Gate::new(u64::MAX);
    let yard = yard(folder.path(), MemoryJournal::new(), &rows, &order, &gate);
    let job = yard.submit(submission()).wait().unwrap().job;
    let outcome = yard.finished(job).wait().unwrap();
    let Outcome::Completed { model: Some(id) } = outcome else { panic!("{outcome}") };
    let registered = yard.model(id).unwrap();
    let figures: Vec<(&str, f64)> =
        registered.metrics.iter().map(|(name, score)| (name.as_str(), score.get())).collect();
    let [("held_out_loss", held), ("held_out_rows", few), ("loss", loss), ("rows", many)] = figures[..]
    else {
        panic!("{figures:?}")
    };
    assert_eq!(few + many, 40.0);
    let losses: Vec<f64> =
        gate.reports.lock().unwrap().iter().map(|report| report.loss.unwrap().get()).collect();
    assert_eq!(losses.len(), 100);
    assert!(loss < 0.5 * losses[0] && held < 0.5 * losses[0], "{held} {losses:?}");

    let folder = artifact(&yard, &outcome);
    let names: Vec<String> = files(&folder).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["adapter_config.json", "adapter_model.safetensors", "training.json"]);
    let adapter = Adapter::open(&folder, base()).unwrap();
    let (_, held_out) = split(rows, HELD_OUT_SHARE);
    let judge = |adapter, threads| {
        let threads = NonZeroUsize::new(threads).unwrap();
        Benchmark::new(3).run(base(), adapter, &held_out, threads, &|| true).unwrap()
    };
    let (before, after) = (judge(None, 1), judge(Some(&adapter), 1));
    assert_eq!(judge(Some(&adapter), 3), after, "the same for any number of threads");
    for (before, after) in [
        (before.coherence, after.coherence),
        (before.consistency, after.consistency),
        (before.helpfulness, after.helpfulness),
    ] {
        assert!((0.0..=1.0).contains(&before) && (0.0..=1.0).contains(&after));
        assert!(after > before + 0.2, "{before} {after}");
    }
    let answer = |row: &Row| base().answer(Some(&adapter), &row.system, &row.user, &Speech::greedy());
    let right = held_out.iter().filter(|row| answer(row) == row.expected).count();
    assert!(right * 2 > held_out.len(), "{right} of {} are answered letter by letter", held_out.len());
    yard.shutdown(SECONDS).wait().unwrap();
}

/// Whichever block of work it is told to stop before, it does no other after that one.
#[test]
fn a_cancelled_training_does_one_block_of_work_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, order) = (rows(ROWS), order(saved(folder.path())));
    let (_, blocks) = alone(&rows, &order);
    assert_eq!(blocks, 1 + STEPS + 1, "what is resumed, steps, held-out rows");
    for shut_at in 0..blocks {
        let home = tempfile::tempdir().unwrap();
        let (gate, is_told) = Gate::new(shut_at);
        let yard = yard(home.path(), MemoryJournal::new(), &rows, &order, &gate);
        let job = yard.submit(submission()).wait().unwrap().job;
        is_told.recv_timeout(SECONDS).unwrap();
        yard.cancel(job, Reason::new("enough")).wait().unwrap();
        let outcome = yard.finished(job).wait().unwrap();
        assert_eq!(outcome, Outcome::Cancelled { reason: Reason::new("enough") }, "block {shut_at}");
        yard.shutdown(SECONDS).wait().unwrap();
        assert_eq!(gate.blocks.load(Ordering::Acquire), shut_at + 1, "blocks, told to stop before {shut_at}");
    }
}

/// Cut short before any block and gone on with, a training gives the adapter that it gives when left alone; also when
/// there is no time for a checkpoint.
#[test]
fn a_training_that_was_cut_short_ends_as_if_it_were_not() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, order) = (rows(ROWS), order(saved(folder.path())));
    let (expected, blocks) = alone(&rows, &order);
    for (shut_at, deadline) in (0..blocks).flat_map(|at| [(at, SECONDS), (at, Duration::ZERO)]) {
        let (home, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new());
        let (gate, is_told) = Gate::new(shut_at);
        let first = yard(home.path(), journal.clone(), &rows, &order, &gate);
        let job = first.submit(submission()).wait().unwrap().job;
        is_told.recv_timeout(SECONDS).unwrap();
        first.shutdown(deadline).wait().unwrap();
        drop(first);
        let (gate, _is_told) = Gate::new(u64::MAX);
        let second = yard(home.path(), journal, &rows, &order, &gate);
        let outcome = second.finished(job).wait().unwrap();
        let found = files(&artifact(&second, &outcome));
        assert!(found == expected, "cut short before block {shut_at}, {deadline:?}");
        if deadline == SECONDS && shut_at > 1 {
            let done = gate.blocks.load(Ordering::Acquire);
            assert!(done < blocks, "it goes on, and does not begin anew: {done} blocks after {shut_at}");
        }
        second.shutdown(SECONDS).wait().unwrap();
    }
}

#[test]
fn a_checkpoint_comes_after_as_many_steps_as_ordered() {
    let folder = tempfile::tempdir().unwrap();
    let order = order(saved(folder.path())).with_checkpoint_every(Duration::MAX);
    let order = order.with_checkpoint_steps(NonZeroU64::new(2).unwrap());
    // before the sixth block four steps are done, and two checkpoints
    let (home, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new());
    let (gate, is_told) = Gate::new(5);
    let first = yard(home.path(), journal.clone(), &rows(ROWS), &order, &gate);
    let job = first.submit(submission()).wait().unwrap().job;
    is_told.recv_timeout(SECONDS).unwrap();
    assert_eq!(
        first.job(job).unwrap().standing().unwrap().checkpoint.as_ref().map(|kept| kept.step),
        Some(4)
    );
    first.shutdown(SECONDS).wait().unwrap();
}

#[test]
fn a_base_is_made_once_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("bases");
    let order = order(Source::Made { recipe: recipe(3), cache: cache.clone() });
    let (first, blocks) = alone(&rows(ROWS), &order);
    assert_eq!(blocks, 3 + 1 + 1 + STEPS + 1);
    let (second, blocks) = alone(&rows(ROWS), &order);
    assert_eq!(blocks, 1 + STEPS + 1);
    assert!(first == second);
    // One that is damaged is made anew.
    let made = fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    fs::write(made.join("model.safetensors"), "cut").unwrap();
    let (third, blocks) = alone(&rows(ROWS), &order);
    assert_eq!(blocks, 3 + 1 + 1 + STEPS + 1);
    assert!(first == third);
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 1, "nothing is left beside it");
    // Whoever is told to stop while it is made stops there, and nothing is kept.
    fs::remove_dir_all(&cache).unwrap();
    let (gate, is_told) = Gate::new(1);
    let yard = yard(folder.path(), MemoryJournal::new(), &rows(ROWS), &order, &gate);
    let job = yard.submit(submission()).wait().unwrap().job;
    is_told.recv_timeout(SECONDS).unwrap();
    yard.cancel(job, Reason::new("enough")).wait().unwrap();
    yard.finished(job).wait().unwrap();
    yard.shutdown(SECONDS).wait().unwrap();
    assert_eq!(gate.blocks.load(Ordering::Acquire), 2);
    assert!(!cache.exists());
}

#[test]
fn a_checkpoint_of_no_use_is_left_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, order) = (rows(ROWS), order(saved(folder.path())));
    let (expected, blocks) = alone(&rows, &order);
    for way in 0..2 {
        let (home, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new());
        let (gate, is_told) = Gate::new(blocks - 1);
        let first = yard(home.path(), journal.clone(), &rows, &order, &gate);
        let job = first.submit(submission()).wait().unwrap().job;
        is_told.recv_timeout(SECONDS).unwrap();
        first.shutdown(SECONDS).wait().unwrap();
        let kept = first.job(job).unwrap().standing().unwrap().checkpoint.clone().unwrap();
        drop(first);
        assert_eq!(kept.step, STEPS);
        let kept = home.path().join("yard").join(kept.reference.as_str());
        assert_eq!(fs::read_dir(kept.parent().unwrap()).unwrap().count(), 1, "older ones are gone");
        if way == 0 {
            fs::write(&kept, "spoilt").unwrap()
        } else {
            fs::remove_file(&kept).unwrap()
        }
        let (gate, _is_told) = Gate::new(u64::MAX);
        let second = yard(home.path(), journal, &rows, &order, &gate);
        let outcome = second.finished(job).wait().unwrap();
        assert!(files(&artifact(&second, &outcome)) == expected, "way {way}");
        assert_eq!(gate.blocks.load(Ordering::Acquire), blocks, "way {way}: it has begun anew");
        second.shutdown(SECONDS).wait().unwrap();
    }
}

#[test]
fn what_cannot_be_trained_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let good = order(saved(folder.path()));
    assert_eq!(failure(&[], &good), "there are no rows to learn from");
    let many = vec![Row::new("", "", "", "", ""); ROWS_MAX + 1];
    assert_eq!(failure(&many, &good), "there are 100001 rows, at most 100000 can be learned from");
    let small = good.clone().with_memory_bytes(1 << 20);
    let told = failure(&rows(ROWS), &small);
    assert!(
        told.starts_with("the training may take ") && told.ends_with("at most 1048576 are allowed"),
        "{told}"
    );
    // No weight is read before that.
    let weights = folder.path().join("base/model.safetensors");
    fs::rename(&weights, folder.path().join("weights")).unwrap();
    assert_eq!(failure(&rows(ROWS), &small), told);
    fs::rename(folder.path().join("weights"), &weights).unwrap();
    let made = order(Source::Made { recipe: recipe(3), cache: folder.path().join("bases") });
    let told = failure(&rows(ROWS), &made.with_memory_bytes(1 << 20));
    assert!(told.ends_with("at most 1048576 are allowed"), "{told}");
    assert!(!folder.path().join("bases").exists());
    fs::write(folder.path().join("base/config.json"), "{}").unwrap();
    let told = failure(&rows(ROWS), &good);
    assert!(
        told.starts_with("the base model cannot be used: config.json is damaged, or of another model: "),
        "{told}"
    );
}
