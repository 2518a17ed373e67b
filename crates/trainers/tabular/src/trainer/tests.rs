use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use trainyard_core::{
    CandidateId, Class, ContestPlan, Entrant, Kind, Label, Outcome, Parameters, QueueName, Reason, Score,
    Subject, Submission,
};
use trainyard_journal::MemoryJournal;
use trainyard_runtime::Trainyard;

use super::*;
use crate::learners::{Boosting, ExtraTrees, Linear, Network};
use crate::{Learner, Limits, Shares, made, prepare};

const SECONDS: Duration = Duration::from_secs(300);

fn data(folder: &Path) -> Arc<Dataset> {
    let (csv, table) = (folder.join("made.csv"), folder.join("made.table"));
    made::mixed(1, 300).write_csv(&mut std::fs::File::create(&csv).unwrap()).unwrap();
    prepare(&csv, &table, &Limits::default(), &|| false).unwrap();
    Arc::new(Dataset::open(&table, &Shares::default(), 5, &|| false).unwrap())
}

/// A checkpoint after every step, and none but at a shutdown.
const OFTEN: Order = Order::new().with_checkpoint_every(Duration::ZERO);
const NEVER: Order = Order::new().with_checkpoint_every(Duration::MAX);

fn open(folder: &Path, journal: MemoryJournal, data: &Arc<Dataset>, algorithm: &Algorithm) -> Trainyard {
    open_with(folder, journal, data, algorithm, OFTEN)
}

fn open_with(
    folder: &Path,
    journal: MemoryJournal,
    data: &Arc<Dataset>,
    algorithm: &Algorithm,
    order: Order,
) -> Trainyard {
    let (data, algorithm) = (Arc::clone(data), algorithm.clone());
    let trainer =
        move |cx: &mut Context, job: &JobToTrain| train_candidate(cx, job, &data, &algorithm, &order);
    let builder = Trainyard::builder(folder).journal(journal).report_every(Duration::ZERO);
    builder.trainer(Kind::new("tabular").unwrap(), trainer).start().unwrap().0
}

fn submission(job: trainyard_core::JobId, target: Option<f64>) -> Submission {
    let class = Class::new(Kind::new("tabular").unwrap(), QueueName::new("default").unwrap());
    let mut submission = Submission::new(job, Subject::new("dataset/1").unwrap(), Arc::new(class));
    submission.contest = target.map(|target| {
        let (id, label, parameters) =
            (CandidateId::from_u128(1), Label::new("one").unwrap(), Parameters::default());
        let candidates = vec![Entrant { id, label, parameters }];
        Arc::new(ContestPlan { target: Score::new(target).unwrap(), candidates, median: None })
    });
    submission
}

/// A job's id that is the same in every yard, so that the seed is.
fn same_job() -> trainyard_core::JobId {
    trainyard_core::JobId::from_u128(7)
}

/// The best performance of all steps; it must come late enough for a run to be cut short before.
fn best(data: &Dataset, algorithm: &Algorithm, seed: u64) -> f64 {
    let curve = curve(data, algorithm, seed);
    let best = curve.iter().copied().fold(0.0, f64::max);
    let first = curve.iter().position(|value| *value == best).unwrap();
    assert!(first >= 3, "seed {seed}: the best came in step {first}");
    best
}

/// The performance of all steps.
fn curve(data: &Dataset, algorithm: &Algorithm, seed: u64) -> Vec<f64> {
    let lesson = Lesson {
        train: data.train(),
        train_classes: data.train_classes(),
        validation: data.validation(),
        validation_classes: data.validation_classes(),
        classes: data.classes(),
        knobs: Knobs::default(),
        seed,
        threads: std::num::NonZeroUsize::MIN,
        over: &|| false,
    };
    let mut course = algorithm.begin(&lesson).unwrap();
    let mut curve = Vec::new();
    loop {
        let step = course.step(&lesson).unwrap();
        curve.push(balanced_accuracy(data.validation_classes(), &course.validate(&lesson), data.classes()));
        if step == Step::Exhausted {
            return curve;
        }
    }
}

/// The model that came of it, and its figures by name.
fn model(yard: &Trainyard, outcome: &Outcome) -> (Vec<u8>, Vec<(String, f64)>) {
    let Outcome::Completed { model: Some(id) } = outcome else { panic!("{outcome}") };
    let registered = yard.model(*id).unwrap();
    let figures = registered.metrics.iter().map(|(name, score)| (name.as_str().to_owned(), score.get()));
    (std::fs::read(yard.artifact_path(&registered).unwrap()).unwrap(), figures.collect())
}

/// A learner that waits for the end at a gate before one of its steps, while that is shut.
struct Gated<L> {
    learner: L,
    shut_at: Arc<AtomicU64>,
    begun: Arc<AtomicU64>,
    seed: Arc<AtomicU64>,
    told: Sender<()>,
}

/// The other side of the gate.
struct Gate {
    /// Before which step it is shut.
    shut_at: Arc<AtomicU64>,
    /// How often it was begun anew.
    begun: Arc<AtomicU64>,
    /// By which seed.
    seed: Arc<AtomicU64>,
    /// Whether somebody waits there.
    is_told: Receiver<()>,
}

fn gated(learner: impl Learner, shut_at: u64) -> (Algorithm, Gate) {
    let (told, is_told) = channel();
    let gate = Gate {
        shut_at: Arc::new(AtomicU64::new(shut_at)),
        begun: Arc::default(),
        seed: Arc::default(),
        is_told,
    };
    let [shut_at, begun, seed] = [&gate.shut_at, &gate.begun, &gate.seed].map(Arc::clone);
    (Algorithm::new("gated", Gated { learner, shut_at, begun, seed, told }), gate)
}

impl<L: Learner> Learner for Gated<L> {
    type Learned = (u64, L::Learned);
    type Notes = L::Notes;

    fn begin(&self, lesson: &Lesson<'_>) -> Result<Self::Learned, LearnError> {
        self.begun.fetch_add(1, Ordering::AcqRel);
        self.seed.store(lesson.seed, Ordering::Release);
        Ok((0, self.learner.begin(lesson)?))
    }

    fn prepare(&self, lesson: &Lesson<'_>, learned: &Self::Learned) -> Result<L::Notes, LearnError> {
        self.learner.prepare(lesson, &learned.1)
    }

    fn step(
        &self,
        lesson: &Lesson<'_>,
        notes: &mut L::Notes,
        learned: &mut Self::Learned,
    ) -> Result<Step, LearnError> {
        if learned.0 == self.shut_at.load(Ordering::Acquire) {
            self.told.send(()).expect("the test listens");
            while !lesson.is_over() {
                std::thread::yield_now();
            }
        }
        let step = self.learner.step(lesson, notes, &mut learned.1)?;
        learned.0 += u64::from(step != Step::CutShort);
        Ok(step)
    }

    fn validate(&self, lesson: &Lesson<'_>, notes: &mut L::Notes, learned: &Self::Learned) -> Vec<u16> {
        self.learner.validate(lesson, notes, &learned.1)
    }

    fn predict(&self, learned: &Self::Learned, rows: &Rows) -> Vec<f32> {
        self.learner.predict(&learned.1, rows)
    }
}

/// Cut short after some steps and gone on with, a candidate gives the model that it gives when left alone.
fn check_resumed(learner: impl Learner + Copy, order: Order, deadline: Duration) {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let (algorithm, gate) = gated(learner, u64::MAX);
    let yard = open(&folder.path().join("alone"), MemoryJournal::new(), &data, &algorithm);
    let job = yard.submit(submission(same_job(), Some(2.0))).wait().unwrap().job;
    assert_eq!(yard.finished(job).wait().unwrap(), Outcome::Stalled, "nobody reaches what cannot be reached");
    yard.shutdown(SECONDS).wait().unwrap();
    let target = best(&data, &Algorithm::new("alone", learner), gate.seed.load(Ordering::Acquire));

    let yard = open(&folder.path().join("target"), MemoryJournal::new(), &data, &algorithm);
    let job = yard.submit(submission(same_job(), Some(target))).wait().unwrap().job;
    let expected = model(&yard, &yard.finished(job).wait().unwrap());
    yard.shutdown(SECONDS).wait().unwrap();
    let names: Vec<&str> = expected.1.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["performance", "test_performance", "training_performance"]);
    assert_eq!(expected.1[0].1.to_bits(), target.to_bits());

    gate.shut_at.store(2, Ordering::Release);
    let (home, journal) = (folder.path().join("cut"), MemoryJournal::new());
    let yard = open_with(&home, journal.clone(), &data, &algorithm, order);
    let job = yard.submit(submission(same_job(), Some(target))).wait().unwrap().job;
    let is_cut = gate.is_told.recv_timeout(SECONDS).is_ok();
    assert!(is_cut, "the best comes later than after two steps");
    yard.shutdown(deadline).wait().unwrap();
    let cut = yard.job(job).unwrap();
    let checkpoint = cut.contest().unwrap().candidates[0].standing.checkpoint.clone().unwrap();
    assert_eq!(checkpoint.step, 2, "all that it has learned");
    drop(yard);
    gate.shut_at.store(u64::MAX, Ordering::Release);
    let yard = open(&home, journal, &data, &algorithm);
    assert_eq!(model(&yard, &yard.finished(job).wait().unwrap()), expected);
    assert_eq!(gate.begun.load(Ordering::Acquire), 3, "once in each yard");
    let resumed = yard.job(job).unwrap();
    assert_eq!(resumed.attempts.get(), 2);
    yard.shutdown(SECONDS).wait().unwrap();
}

#[test]
fn a_shutdown_costs_no_step() {
    check_resumed(Linear, NEVER, SECONDS);
    check_resumed(Network, NEVER, SECONDS);
    check_resumed(ExtraTrees, NEVER, SECONDS);
    check_resumed(Boosting, NEVER, SECONDS);
}

/// Without time for a checkpoint, it goes on from the last one that there is.
#[test]
fn a_crash_costs_the_steps_since_the_last_checkpoint() {
    check_resumed(Boosting, OFTEN, Duration::ZERO);
    check_resumed(Network, OFTEN, Duration::ZERO);
}

#[test]
fn a_checkpoint_of_no_use_is_left_aside() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    for spoil in [
        |path: &Path| std::fs::write(path, "spoilt").unwrap(),
        |path: &Path| std::fs::remove_file(path).unwrap(),
    ] {
        let (algorithm, gate) = gated(Boosting, 3);
        let home = tempfile::tempdir().unwrap();
        let journal = MemoryJournal::new();
        let yard = open(home.path(), journal.clone(), &data, &algorithm);
        let job = yard.submit(submission(yard.job_id(), Some(2.0))).wait().unwrap().job;
        gate.is_told.recv_timeout(SECONDS).unwrap();
        yard.shutdown(SECONDS).wait().unwrap();
        let checkpoint =
            yard.job(job).unwrap().contest().unwrap().candidates[0].standing.checkpoint.clone().unwrap();
        assert_eq!(checkpoint.step, 3);
        drop(yard);
        let kept = home.path().join(checkpoint.reference.as_str());
        let others = std::fs::read_dir(kept.parent().unwrap()).unwrap().count();
        assert_eq!(others, 1, "older checkpoints are gone");
        spoil(&kept);
        gate.shut_at.store(u64::MAX, Ordering::Release);
        let yard = open(home.path(), journal, &data, &algorithm);
        assert_eq!(yard.finished(job).wait().unwrap(), Outcome::Stalled, "it has learned all it can");
        assert_eq!(gate.begun.load(Ordering::Acquire), 2, "and has begun anew");
        yard.shutdown(SECONDS).wait().unwrap();
    }
}

/// Outside of a contest a run learns all it can, and the best of that is handed over: also when it was cut short after
/// the best had come.
#[test]
fn outside_of_a_contest_the_best_is_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let (algorithm, gate) = gated(Boosting, u64::MAX);
    let yard = open(&folder.path().join("alone"), MemoryJournal::new(), &data, &algorithm);
    let job = yard.submit(submission(same_job(), None)).wait().unwrap().job;
    let expected = model(&yard, &yard.finished(job).wait().unwrap());
    yard.shutdown(SECONDS).wait().unwrap();

    let curve = curve(&data, &Algorithm::new("boosting", Boosting), gate.seed.load(Ordering::Acquire));
    let best = curve.iter().copied().fold(0.0, f64::max);
    let at = curve.iter().rposition(|value| *value == best).unwrap();
    assert!(at + 10 < curve.len(), "the last is worse than the best, of step {at}: {curve:?}");
    assert_eq!(expected.1[0], ("performance".to_owned(), best));

    gate.shut_at.store(curve.len() as u64 - 3, Ordering::Release);
    let (home, journal) = (folder.path().join("cut"), MemoryJournal::new());
    let yard = open_with(&home, journal.clone(), &data, &algorithm, NEVER);
    let job = yard.submit(submission(same_job(), None)).wait().unwrap().job;
    gate.is_told.recv_timeout(SECONDS).unwrap();
    yard.shutdown(SECONDS).wait().unwrap();
    drop(yard);
    gate.shut_at.store(u64::MAX, Ordering::Release);
    let yard = open_with(&home, journal, &data, &algorithm, NEVER);
    assert_eq!(model(&yard, &yard.finished(job).wait().unwrap()), expected);
    assert_eq!(gate.begun.load(Ordering::Acquire), 2, "it has not begun again");
    yard.shutdown(SECONDS).wait().unwrap();
}

#[test]
fn outside_of_a_contest_all_is_learned_and_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let yard = open(folder.path(), MemoryJournal::new(), &data, &Algorithm::new("linear", Linear));
    let job = yard.submit(submission(same_job(), None)).wait().unwrap().job;
    let (_, figures) = model(&yard, &yard.finished(job).wait().unwrap());
    assert!(figures.iter().all(|(name, value)| *value > 0.8 && *value <= 1.0 || panic!("{name} {value}")));
    yard.shutdown(SECONDS).wait().unwrap();
}

#[test]
fn a_cancelled_candidate_stops_within_its_step() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let (algorithm, gate) = gated(ExtraTrees, 1);
    let yard = open(folder.path(), MemoryJournal::new(), &data, &algorithm);
    let job = yard.submit(submission(yard.job_id(), Some(2.0))).wait().unwrap().job;
    gate.is_told.recv_timeout(SECONDS).unwrap();
    yard.cancel(job, Reason::new("enough")).wait().unwrap();
    assert_eq!(yard.finished(job).wait().unwrap(), Outcome::Cancelled { reason: Reason::new("enough") });
    yard.shutdown(SECONDS).wait().unwrap();
    assert_eq!(yard.stuck_threads(), 0);
}

/// A learner that knows everything after one step, and is told to stop before it can say so.
struct Late {
    /// What its first step comes to.
    first: Step,
    steps: Arc<AtomicU64>,
    told: Sender<()>,
}

impl Learner for Late {
    type Learned = ();
    type Notes = ();

    fn begin(&self, _: &Lesson<'_>) -> Result<(), LearnError> {
        Ok(())
    }

    fn prepare(&self, _: &Lesson<'_>, (): &()) -> Result<(), LearnError> {
        Ok(())
    }

    fn step(&self, _: &Lesson<'_>, (): &mut (), (): &mut ()) -> Result<Step, LearnError> {
        self.steps.fetch_add(1, Ordering::AcqRel);
        Ok(self.first)
    }

    fn validate(&self, lesson: &Lesson<'_>, (): &mut (), (): &()) -> Vec<u16> {
        // Until nobody listens any more, it waits for the end.
        while self.told.send(()).is_ok() && !lesson.is_over() {
            std::thread::yield_now();
        }
        lesson.validation_classes.to_vec()
    }

    fn predict(&self, (): &(), rows: &Rows) -> Vec<f32> {
        [1.0, 0.0, 0.0].repeat(rows.len())
    }
}

#[test]
fn who_was_there_when_it_was_cut_short_is_there_when_it_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let (told, is_told) = channel();
    let steps = Arc::new(AtomicU64::new(0));
    let algorithm = Algorithm::new("late", Late { first: Step::Again, steps: Arc::clone(&steps), told });
    let journal = MemoryJournal::new();
    let yard = open(folder.path(), journal.clone(), &data, &algorithm);
    let job = yard.submit(submission(yard.job_id(), Some(0.9))).wait().unwrap().job;
    is_told.recv_timeout(SECONDS).unwrap();
    yard.shutdown(SECONDS).wait().unwrap();
    drop((yard, is_told));
    let yard = open(folder.path(), journal, &data, &algorithm);
    let (_, figures) = model(&yard, &yard.finished(job).wait().unwrap());
    assert_eq!(figures[0], ("performance".to_owned(), 1.0));
    assert_eq!(steps.load(Ordering::Acquire), 1, "it has nothing to learn any more");
    yard.shutdown(SECONDS).wait().unwrap();
}

#[test]
fn who_had_run_out_when_it_was_cut_short_does_not_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    for target in [Some(2.0), None] {
        let (told, is_told) = channel();
        let steps = Arc::new(AtomicU64::new(0));
        let late = Late { first: Step::Exhausted, steps: Arc::clone(&steps), told };
        let algorithm = Algorithm::new("late", late);
        let (home, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new());
        let yard = open(home.path(), journal.clone(), &data, &algorithm);
        let job = yard.submit(submission(yard.job_id(), target)).wait().unwrap().job;
        is_told.recv_timeout(SECONDS).unwrap();
        yard.shutdown(SECONDS).wait().unwrap();
        drop((yard, is_told));
        let yard = open(home.path(), journal, &data, &algorithm);
        let outcome = yard.finished(job).wait().unwrap();
        assert_eq!(outcome.is_completed(), target.is_none(), "{outcome}");
        assert_eq!(steps.load(Ordering::Acquire), 1, "it has nothing to learn any more");
        yard.shutdown(SECONDS).wait().unwrap();
    }
}

/// A learner that does not keep to what it promises fails its candidate, and says how.
struct Odd(&'static str);

impl Learner for Odd {
    type Learned = ();
    type Notes = ();

    fn begin(&self, _: &Lesson<'_>) -> Result<(), LearnError> {
        if self.0 == "begin" { Err(LearnError::Memory { needed: 2, max: 1 }) } else { Ok(()) }
    }

    fn prepare(&self, _: &Lesson<'_>, (): &()) -> Result<(), LearnError> {
        Ok(())
    }

    fn step(&self, _: &Lesson<'_>, (): &mut (), (): &mut ()) -> Result<Step, LearnError> {
        match self.0 {
            "stops" => Ok(Step::CutShort),
            "diverges" => Err(LearnError::Diverged { what: "odd" }),
            _ => Ok(Step::Exhausted),
        }
    }

    fn validate(&self, lesson: &Lesson<'_>, (): &mut (), (): &()) -> Vec<u16> {
        lesson.validation_classes[usize::from(self.0 == "short")..].to_vec()
    }

    fn predict(&self, (): &(), _: &Rows) -> Vec<f32> {
        Vec::new()
    }
}

#[test]
fn a_learner_that_breaks_its_word_fails_its_candidate() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    for (what, expected) in [
        ("begin", "it needs 2 bytes of memory, and may have 1"),
        ("stops", "the learner stopped though nobody had told it to"),
        ("diverges", "the figures of odd are no longer finite"),
        ("short", "the learner said 59 classes for 60 rows"),
        ("mute", "the learner gave 0 probabilities for 180 rows"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let yard = open(home.path(), MemoryJournal::new(), &data, &Algorithm::new("odd", Odd(what)));
        let job = yard.submit(submission(yard.job_id(), Some(0.9))).wait().unwrap().job;
        yard.finished(job).wait().unwrap();
        let job = yard.job(job).unwrap();
        let trainyard_core::CandidatePhase::Ended { outcome, .. } =
            &job.contest().unwrap().candidates[0].phase
        else {
            panic!("{what}")
        };
        let (validation, train) = (data.validation().len(), data.train().len());
        let expected = expected
            .replace("59", &(validation - 1).to_string())
            .replace("60 rows", &format!("{validation} rows"))
            .replace("180", &train.to_string());
        assert_eq!(outcome, &Outcome::Failed { reason: Reason::new(expected) });
        yard.shutdown(SECONDS).wait().unwrap();
    }
}
