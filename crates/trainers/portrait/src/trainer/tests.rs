use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trainyard_core::port::Change;
use trainyard_core::{Class, JobId, Kind, Outcome, QueueName, Reason, Subject, Submission};
use trainyard_journal::MemoryJournal;
use trainyard_runtime::Trainyard;

use super::*;
use crate::made::Person;
use crate::{Side, Size, Variation};

const SECONDS: Duration = Duration::from_secs(300);
const PHOTOS: u64 = 2;
const STEPS: u64 = 4;
/// 64 views.
const FIRST_BLOCKS: u64 = 2;

/// Blocks of a whole run: photos, a checkpoint, the mean picture, steps with a probe after each but the last, the
/// quality, looks.
const BLOCKS: u64 = PHOTOS + 1 + FIRST_BLOCKS + STEPS + (STEPS - 1) + HELD_BACK_BLOCKS + PHOTOS;

fn sources(folder: &Path) -> Vec<Source> {
    let write = |number: u64| {
        let path = folder.join(format!("photo-{number}"));
        let photo = Person::new(4).photo(u32::try_from(number).unwrap(), 48);
        std::fs::write(&path, if number == 0 { photo.to_png() } else { photo.to_jpeg(90) }).unwrap();
        Source::new(path, format!("look {number}"))
    };
    (0..PHOTOS).map(write).collect()
}

fn order() -> Order {
    let size = Size::new(Side::new(32).unwrap(), 2, 2).unwrap();
    let order = Order::new().with_size(size).with_steps(STEPS.try_into().unwrap());
    order.with_quality_min(Quality::ZERO).with_checkpoint_every(Duration::ZERO)
}

/// Counts blocks of work; and before one of them waits for the end, while it is shut there.
struct Gate {
    shut_at: AtomicU64,
    blocks: AtomicU64,
    told: Sender<()>,
    reports: Mutex<Vec<Progress>>,
}

impl Gate {
    fn new(shut_at: u64) -> (Arc<Self>, Receiver<()>) {
        let (told, is_told) = channel();
        (
            Arc::new(Self {
                shut_at: AtomicU64::new(shut_at),
                blocks: AtomicU64::new(0),
                told,
                reports: Mutex::default(),
            }),
            is_told,
        )
    }
}

impl Watch for Gate {
    fn before_block(&self, cx: &Context) {
        if self.blocks.fetch_add(1, Ordering::AcqRel) == self.shut_at.load(Ordering::Acquire) {
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

fn open(
    folder: &Path,
    journal: MemoryJournal,
    sources: &[Source],
    order: Order,
    gate: &Arc<Gate>,
) -> Trainyard {
    let (sources, gate) = (sources.to_vec(), Arc::clone(gate));
    let trainer = move |cx: &mut Context, job: &JobToTrain| run(cx, job, &sources, &order, &*gate);
    let builder = Trainyard::builder(folder).journal(journal).report_every(Duration::ZERO);
    builder.trainer(Kind::new("portrait").unwrap(), trainer).start().unwrap().0
}

/// A job whose id is the same in every yard, so that the seed is.
fn submission() -> Submission {
    let class = Class::new(Kind::new("portrait").unwrap(), QueueName::new("default").unwrap());
    Submission::new(JobId::from_u128(7), Subject::new("group/1").unwrap(), Arc::new(class))
}

/// The model that came of it, and its figures by name.
fn model(yard: &Trainyard, outcome: &Outcome) -> (Vec<u8>, Vec<(String, f64)>) {
    let Outcome::Completed { model: Some(id) } = outcome else { panic!("{outcome}") };
    let registered = yard.model(*id).unwrap();
    let figures = registered.metrics.iter().map(|(name, score)| (name.as_str().to_owned(), score.get()));
    (std::fs::read(yard.artifact_path(&registered).unwrap()).unwrap(), figures.collect())
}

/// What comes of a training that is left alone.
fn alone(sources: &[Source], order: Order) -> (Vec<u8>, Vec<(String, f64)>) {
    let folder = tempfile::tempdir().unwrap();
    let (gate, _is_told) = Gate::new(u64::MAX);
    let yard = open(folder.path(), MemoryJournal::new(), sources, order, &gate);
    let job = yard.submit(submission()).wait().unwrap().job;
    let expected = model(&yard, &yard.finished(job).wait().unwrap());
    yard.shutdown(SECONDS).wait().unwrap();
    assert_eq!(gate.blocks.load(Ordering::Acquire), BLOCKS);
    expected
}

fn failure(sources: &[Source], order: Order) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (gate, _is_told) = Gate::new(u64::MAX);
    let yard = open(folder.path(), MemoryJournal::new(), sources, order, &gate);
    let job = yard.submit(submission()).wait().unwrap().job;
    let outcome = yard.finished(job).wait().unwrap();
    let attempts = yard.job(job).unwrap().attempts.get();
    yard.shutdown(SECONDS).wait().unwrap();
    let Outcome::Failed { reason } = outcome else { panic!("{outcome}") };
    assert_eq!(attempts, 1, "it will not work another time: {reason}");
    let text = reason.to_string();
    // Words by which a client takes it for something that passes.
    assert!(!text.contains("transient") && !text.contains("try again"), "{text}");
    text
}

#[test]
fn a_training_is_reported_and_hands_over_a_portrait() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    let order = Order::new().with_size(Size::SMALL).with_steps(64.try_into().unwrap());
    let order = order.with_quality_min(Quality::new(0.5).unwrap());
    let (gate, _is_told) = Gate::new(u64::MAX);
    let yard = open(&folder.path().join("data"), MemoryJournal::new(), &sources, order, &gate);
    let changes = yard.subscribe();
    let job = yard.submit(submission()).wait().unwrap().job;
    let Outcome::Completed { model: Some(id) } = yard.finished(job).wait().unwrap() else { panic!() };
    let registered = yard.model(id).unwrap();
    let portrait = Portrait::open(&yard.artifact_path(&registered).unwrap()).unwrap();
    assert_eq!(portrait.looks(), ["look 0", "look 1"]);
    assert!(portrait.variation(1, &Variation::new(3)).is_some());
    let figures: Vec<(&str, f64)> =
        registered.metrics.iter().map(|(name, score)| (name.as_str(), score.get())).collect();
    let [("loss", loss), ("photos", 2.0), ("quality", quality)] = figures[..] else { panic!("{figures:?}") };
    assert_eq!(quality, portrait.quality().get());
    assert!(quality > 0.5 && loss < 0.6, "{quality} {loss}");
    yard.shutdown(SECONDS).wait().unwrap();
    assert!(changes.into_iter().any(|change| matches!(change, Change::Progressed { .. })));
}

/// Whichever block of work it is told to stop before, it does no other after that one.
#[test]
fn a_cancelled_training_does_one_block_of_work_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    for shut_at in 0..BLOCKS {
        let home = tempfile::tempdir().unwrap();
        let (gate, is_told) = Gate::new(shut_at);
        let yard = open(home.path(), MemoryJournal::new(), &sources, order(), &gate);
        let job = yard.submit(submission()).wait().unwrap().job;
        is_told.recv_timeout(SECONDS).unwrap();
        yard.cancel(job, Reason::new("enough")).wait().unwrap();
        let outcome = yard.finished(job).wait().unwrap();
        assert_eq!(outcome, Outcome::Cancelled { reason: Reason::new("enough") }, "block {shut_at}");
        yard.shutdown(SECONDS).wait().unwrap();
        assert_eq!(gate.blocks.load(Ordering::Acquire), shut_at + 1, "blocks, told to stop before {shut_at}");
    }
}

/// Cut short before any block and gone on with, a training gives the model that it gives when left alone; also when
/// there is no time for a checkpoint.
#[test]
fn a_training_that_was_cut_short_ends_as_if_it_were_not() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    let expected = alone(&sources, order());
    for (shut_at, deadline) in (0..BLOCKS).flat_map(|at| [(at, SECONDS), (at, Duration::ZERO)]) {
        let (home, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new());
        let (gate, is_told) = Gate::new(shut_at);
        let yard = open(home.path(), journal.clone(), &sources, order(), &gate);
        let job = yard.submit(submission()).wait().unwrap().job;
        is_told.recv_timeout(SECONDS).unwrap();
        yard.shutdown(deadline).wait().unwrap();
        drop(yard);
        let (gate, _is_told) = Gate::new(u64::MAX);
        let yard = open(home.path(), journal, &sources, order(), &gate);
        let outcome = yard.finished(job).wait().unwrap();
        assert!(model(&yard, &outcome) == expected, "cut short before block {shut_at}, {deadline:?}");
        let resumed = yard.job(job).unwrap();
        assert_eq!(resumed.attempts.get(), 2);
        let done = gate.blocks.load(Ordering::Acquire);
        if deadline == SECONDS && shut_at > PHOTOS + FIRST_BLOCKS + 1 {
            assert!(done < BLOCKS, "cut short before block {shut_at} it has learned nothing anew: {done}");
        }
        yard.shutdown(SECONDS).wait().unwrap();
    }
}

#[test]
fn a_checkpoint_of_no_use_is_left_aside() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    let expected = alone(&sources, order());
    let turned = vec![sources[1].clone(), sources[0].clone()];
    let expected_turned = alone(&turned, order());
    assert_ne!(expected_turned.0, expected.0);
    let nothing = |_: &Path| {};
    let spoil = |path: &Path| std::fs::write(path, "spoilt").unwrap();
    let remove = |path: &Path| std::fs::remove_file(path).unwrap();
    type Spoil<'a> = &'a dyn Fn(&Path);
    let ways: [(Spoil<'_>, _, _); 3] = [
        (&spoil, &sources, &expected),
        (&remove, &sources, &expected),
        (&nothing, &turned, &expected_turned),
    ];
    for (number, (spoil, sources_now, expected)) in ways.into_iter().enumerate() {
        let (home, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new());
        let (gate, is_told) = Gate::new(BLOCKS - 1);
        let yard = open(home.path(), journal.clone(), &sources, order(), &gate);
        let job = yard.submit(submission()).wait().unwrap().job;
        is_told.recv_timeout(SECONDS).unwrap();
        yard.shutdown(SECONDS).wait().unwrap();
        let checkpoint = yard.job(job).unwrap().standing().unwrap().checkpoint.clone().unwrap();
        assert_eq!(checkpoint.step, STEPS);
        drop(yard);
        let kept = home.path().join(checkpoint.reference.as_str());
        assert_eq!(std::fs::read_dir(kept.parent().unwrap()).unwrap().count(), 1, "older ones are gone");
        spoil(&kept);
        let (gate, _is_told) = Gate::new(u64::MAX);
        let yard = open(home.path(), journal, sources_now, order(), &gate);
        let outcome = yard.finished(job).wait().unwrap();
        assert!(model(&yard, &outcome) == *expected, "way {number}");
        assert_eq!(gate.blocks.load(Ordering::Acquire), BLOCKS, "way {number}: it has begun anew");
        yard.shutdown(SECONDS).wait().unwrap();
    }
}

#[test]
fn too_low_a_quality_fails_in_words_for_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    let order = order().with_quality_min(Quality::new(0.995).unwrap());
    let text = failure(&sources, order);
    let (before, after) = text.split_once("quality of 0.").unwrap();
    assert_eq!(before, "the photos were learned with a ");
    assert!(after[2..].starts_with(", at least 1.00 is needed; clear photos"), "{text}");
    assert!(failure(&sources[..1], order).starts_with("the photo was learned with a quality of 0."));
}

#[test]
fn a_photo_that_cannot_be_used_fails_with_the_name_of_its_look() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    std::fs::remove_file(&sources[1].path).unwrap();
    let expected = "the photo of look \"look 1\" cannot be used: there is no such file";
    assert_eq!(failure(&sources, order()), expected);
    std::fs::write(&sources[1].path, "a text").unwrap();
    let expected = "the photo of look \"look 1\" cannot be used: the file is neither a png nor a jpeg";
    assert_eq!(failure(&sources, order()), expected);
    assert_eq!(failure(&[], order()), "there are no photos to learn from");
    let many = vec![sources[0].clone(); PHOTOS_MAX + 1];
    assert_eq!(failure(&many, order()), "there are 1001 photos, at most 1000 can be learned from");
}

/// What fails a run with the usual demands: there is nothing of anybody to be learned from it but light.
#[test]
fn what_shows_nobody_is_not_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut chance = trainyard_trainkit::Chance::new(5, 0);
    let mut noise = |side: u32, least: u8, steps: usize| {
        let pixels = (0..side * side * 3).map(|_| least + u8::try_from(chance.below(steps)).unwrap());
        crate::Rendered::new(side, side, pixels.collect()).unwrap()
    };
    for (what, picture) in [("noise", noise(512, 0, 256)), ("a wall", noise(128, 126, 5))] {
        let path = folder.path().join(what);
        std::fs::write(&path, picture.to_png()).unwrap();
        let told = failure(&[Source::new(path, what)], Order::new());
        assert!(told.starts_with("the photo was learned with a quality of 0."), "{what}: {told}");
        let quality: f64 = told["the photo was learned with a quality of ".len()..][..4].parse().unwrap();
        assert!(quality < 0.2, "{what}: {told}");
        assert!(told.contains(", at least 0.65 is needed"), "{what}: {told}");
    }
}

#[test]
fn every_photo_counts_for_the_quality() {
    for (photos, blocks) in [(1, 4), (128, 4), (129, 5), (PHOTOS_MAX, 32)] {
        assert_eq!(held_back_blocks(photos), blocks, "{photos} photos");
    }
}

#[test]
fn what_is_needed_is_told_as_it_was_asked() {
    for percent in 1..=100_u32 {
        let least = f64::from(percent) / 100.0;
        let told = too_low(Quality::new(least - 0.001).unwrap(), Quality::new(least).unwrap(), 1);
        assert!(told.contains(&format!("at least {least:.2} is needed")), "{percent}: {told}");
        assert!(
            told.contains(&format!("quality of {:.2},", f64::from(percent - 1) / 100.0)),
            "{percent}: {told}"
        );
    }
}

#[test]
fn every_step_is_told_with_its_loss_and_now_and_then_the_quality() {
    const TOTAL: u64 = 64;
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    let order = Order::new().with_size(Size::SMALL).with_steps(TOTAL.try_into().unwrap());
    let order = order.with_quality_min(Quality::ZERO);
    let (gate, _is_told) = Gate::new(u64::MAX);
    let yard = open(&folder.path().join("data"), MemoryJournal::new(), &sources, order, &gate);
    let job = yard.submit(submission()).wait().unwrap().job;
    let outcome = yard.finished(job).wait().unwrap();
    let (_, figures) = model(&yard, &outcome);
    yard.shutdown(SECONDS).wait().unwrap();
    let told = gate.reports.lock().unwrap();
    let steps: Vec<u64> = told.iter().map(|progress| progress.step).collect();
    assert_eq!(steps, (1..=TOTAL).chain([TOTAL]).collect::<Vec<_>>(), "and the quality at the end");
    assert!(told.iter().all(|progress| progress.total == TOTAL));
    let losses: Vec<f64> = told.iter().map(|progress| progress.loss.unwrap().get()).collect();
    assert!(losses[0] > 0.8 && *losses.last().unwrap() < losses[0] / 2.0, "{losses:?}");
    let qualities = told.iter().filter_map(|progress| Some((progress.step, progress.performance?.get())));
    let (at, qualities): (Vec<u64>, Vec<f64>) = qualities.unzip();
    assert_eq!(at, (1..=8).map(|part| part * TOTAL / 8).collect::<Vec<_>>());
    let quality = figures.iter().find(|(name, _)| name == "quality").unwrap().1;
    assert_eq!(*qualities.last().unwrap(), quality);
    assert!(quality > qualities[0], "{qualities:?}");
    let phases: Vec<&str> = told.iter().map(|progress| progress.phase.as_ref().unwrap().as_str()).collect();
    assert!(phases[..63].iter().all(|phase| *phase == "learning") && phases[63..] == ["done", "done"]);
}
