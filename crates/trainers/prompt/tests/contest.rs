//! Optimisers that compete: whoever comes to the target first has won, and does no more than that takes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use support::run::{Held, Made, ROWS, SECONDS, alone, order, submission};
use support::{BASELINE, Fake, examples, model};
use trainyard_core::{
    CandidateId, ContestPlan, Entrant, Kind, Label, Outcome, Parameters, Score, Submission,
};
use trainyard_journal::MemoryJournal;
use trainyard_prompt::{Bench, Ended, Gepa, Optimizer, Order, train_prompt};
use trainyard_runtime::{Context, JobToTrain, Trainyard};

/// A contest of those that are named, each with what it is ordered.
fn contest(target: f64, names: &[&str]) -> Submission {
    let entrant = |(number, name): (u128, &&str)| Entrant {
        id: CandidateId::from_u128(number),
        label: Label::new(*name).unwrap(),
        parameters: Parameters::default(),
    };
    let candidates = (1..).zip(names).map(entrant).collect();
    let plan = ContestPlan { target: Score::new(target).unwrap(), candidates, median: None };
    Submission { contest: Some(Arc::new(plan)), ..submission() }
}

fn open(
    folder: &Path,
    journal: MemoryJournal,
    fake: &Fake,
    order: impl Fn(&str) -> Order + Send + Sync + 'static,
) -> Trainyard {
    let (held, _is_told) = Held::new(fake, 0);
    let trainer = move |cx: &mut Context, job: &JobToTrain| {
        let order = order(job.candidate.as_ref().unwrap().label.as_str());
        train_prompt(cx, job, &examples(ROWS), &*held, &order)
    };
    let builder = Trainyard::builder(folder).journal(journal);
    builder.trainer(Kind::new("prompt").unwrap(), trainer).start().unwrap().0
}

#[test]
fn it_ends_at_the_target_and_short_of_it_hands_nothing_over() {
    let fake = Fake::start(model);
    let whole = alone(&fake, order("gepa")).artifact;
    let folder = tempfile::tempdir().unwrap();
    let ordered = |label: &str| match label {
        "gepa" => order("gepa"),
        _ => order("gepa").with_candidates(NonZeroU64::MIN),
    };
    let yard = open(folder.path(), MemoryJournal::new(), &fake, ordered);
    let job = yard.submit(contest(0.9, &["nothing", "gepa"])).wait().unwrap().job;
    let made = Made::of(&yard, &yard.finished(job).wait().unwrap());
    yard.shutdown(SECONDS).wait().unwrap();
    assert_eq!(made.artifact.score, 1.0);
    let lineage = &made.artifact.lineage;
    assert!(
        lineage.len() < whole.lineage.len() && lineage[..lineage.len() - 1].iter().all(|one| one.score < 0.9)
    );
}

#[test]
fn a_prompt_to_begin_with_that_is_good_enough_has_won() {
    let fake = Fake::start(model);
    let folder = tempfile::tempdir().unwrap();
    let yard = open(folder.path(), MemoryJournal::new(), &fake, order);
    let job = yard.submit(contest(0.1, &["gepa"])).wait().unwrap().job;
    let made = Made::of(&yard, &yard.finished(job).wait().unwrap());
    yard.shutdown(SECONDS).wait().unwrap();
    assert_eq!((made.artifact.prompt.as_str(), made.artifact.lineage.len()), (BASELINE, 1));
    assert!(!made.artifact.gate.promoted);
}

/// Like [`Gepa`], but at its end it tells so, and waits until the process ends.
struct Late(Mutex<Sender<()>>);

impl Optimizer for Late {
    fn name(&self) -> &'static str {
        Gepa::default().name()
    }

    fn candidates_max(&self) -> u64 {
        Gepa::default().candidates_max()
    }

    fn optimize(&self, bench: &mut Bench<'_>) -> Result<(), Ended> {
        let ended = Gepa::default().optimize(bench).expect_err("the target is reached");
        self.0.lock().unwrap().send(()).unwrap();
        let prompt = bench.baseline().prompt.clone();
        while bench.answers(&prompt, bench.examples()).is_ok() {
            std::thread::yield_now();
        }
        Err(ended)
    }
}

#[test]
fn who_has_reached_the_target_has_won_though_the_process_ends_before_it_hands_over() {
    let fake = Fake::start(model);
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new());
    let (told, is_told) = channel();
    let late = Arc::new(Late(Mutex::new(told)));
    let yard =
        open(folder.path(), journal.clone(), &fake, move |_| order("gepa").with_optimizer(late.clone()));
    let job = yard.submit(contest(0.9, &["gepa"])).wait().unwrap().job;
    is_told.recv_timeout(SECONDS).unwrap();
    yard.shutdown(SECONDS).wait().unwrap();
    drop(yard);
    let calls = fake.calls();
    let yard = open(folder.path(), journal, &fake, order);
    let outcome = yard.finished(job).wait().unwrap();
    let Outcome::Completed { model: Some(_) } = outcome else { panic!("{outcome}") };
    assert_eq!(Made::of(&yard, &outcome).artifact.score, 1.0);
    yard.shutdown(SECONDS).wait().unwrap();
    assert_eq!(fake.calls(), calls, "all of it was paid for");
}
