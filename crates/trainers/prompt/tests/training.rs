//! Optimisations as runs of a yard, against a scripted model that does better under a better prompt.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::channel;
use std::time::Duration;

use support::run::{Held, Made, ROWS, SECONDS, alone, open, order, outcome, submission};
use support::{BASELINE, Fake, Reply, examples, model};
use trainyard_core::port::Change;
use trainyard_core::{Kind, Outcome, Reason, Score};
use trainyard_journal::MemoryJournal;
use trainyard_prompt::{Api, Endpoint, HttpModel, Order, Patience, optimizer, train_prompt};
use trainyard_runtime::{Context, JobToTrain, Trainyard};

const NAMES: [&str; 4] = ["gepa", "mipro", "instruction-search", "bootstrap-fewshot"];

#[test]
fn every_optimizer_finds_the_better_prompt() {
    for name in NAMES {
        let fake = Fake::start(model);
        let made = alone(&fake, order(name));
        let artifact = &made.artifact;
        assert_eq!((artifact.optimizer.as_str(), artifact.task.as_str()), (name, "should_respond"));
        assert_eq!((artifact.dataset_id.as_str(), artifact.dataset_size), ("dataset-1", ROWS as u64));
        assert_eq!((artifact.baseline.as_str(), artifact.generated_at), (BASELINE, 1_718_000_000_000));
        assert!(artifact.baseline_score < 0.7, "{name}: {artifact:#?}");
        assert!(artifact.score > artifact.baseline_score, "{name}: {artifact:#?}");
        let is_few_shot = name == "bootstrap-fewshot";
        assert!(artifact.score == 1.0 || is_few_shot, "{name}: {artifact:#?}");
        assert_eq!(artifact.few_shot_examples.is_empty(), name != "mipro" && !is_few_shot, "{name}");
        assert!(artifact.gate.promoted && artifact.ended.is_none());
        let baseline = &artifact.lineage[0];
        assert_eq!((baseline.round, baseline.note.as_str()), (0, "baseline"));
        let best = artifact.lineage.iter().map(|ancestor| ancestor.score).fold(0.0, f64::max);
        assert_eq!(best, artifact.score);
        assert_eq!(made.figure("score"), artifact.score);
        assert_eq!(made.figure("loss"), 1.0 - artifact.score);
        assert_eq!((made.figure("baseline"), made.figure("promoted")), (artifact.baseline_score, 1.0));
        assert_eq!(made.figure("candidates"), artifact.lineage.len() as f64);
        assert_eq!(
            made.figure("tokens"),
            15.0 * fake.calls() as f64,
            "each call takes 15, none is made twice"
        );
        println!("{name}: {} -> {} in {} calls", artifact.baseline_score, artifact.score, fake.calls());
    }
}

/// The scripted model writes shorter prompts when asked to.
#[test]
fn gepa_finds_the_shortest_of_the_best() {
    let made = alone(&Fake::start(model), order("gepa"));
    let prompt = &made.artifact.prompt;
    assert!(prompt.contains("STOP") && prompt.contains("IGNORE") && !prompt.contains("care"), "{prompt}");
}

#[test]
fn each_candidate_is_an_iteration_and_its_loss_is_told() {
    let fake = Fake::start(model);
    let folder = tempfile::tempdir().unwrap();
    let (held, _is_told) = Held::new(&fake, 0);
    let order = order("instruction-search");
    let yard = open(folder.path(), MemoryJournal::new(), &held, examples(ROWS), order);
    let changes = yard.subscribe();
    let watched = std::thread::spawn(move || {
        let progress = |change| match change {
            Change::Progressed { progress, .. } => Some(progress),
            Change::Happened { .. } | Change::Missed { .. } => None,
        };
        changes.into_iter().filter_map(progress).collect::<Vec<_>>()
    });
    let job = yard.submit(submission()).wait().unwrap().job;
    let made = Made::of(&yard, &yard.finished(job).wait().unwrap());
    yard.shutdown(SECONDS).wait().unwrap();
    // Of what was not read yet only the newest is kept; so it is some of them, in order.
    let told = watched.join().unwrap();
    assert_eq!((told[0].step, told[0].loss), (0, None), "the prompt in use is measured first");
    let told = &told[1..];
    assert!(told.windows(2).all(|two| two[0].step <= two[1].step && two[0].loss >= two[1].loss), "{told:#?}");
    let last = told.last().unwrap();
    assert_eq!(last.step, made.artifact.lineage.len() as u64);
    assert_eq!(last.loss.map(Score::get), Some(0.0));
    assert!(told.iter().all(|progress| progress.total <= 25), "{told:#?}");
}

#[test]
fn the_same_seed_means_the_same_result_for_any_number_of_calls_at_once() {
    for name in NAMES {
        let one = alone(&Fake::start(model), order(name));
        let many = alone(&Fake::start(model), order(name).with_calls_at_once(8.try_into().unwrap()));
        assert_eq!(one, many, "{name}");
    }
}

/// Cut short at any call and resumed, it comes to the same result, and pays for no answer twice.
#[test]
fn what_was_cut_short_goes_on_and_pays_for_nothing_twice() {
    for (name, step, at_once) in [("gepa", 53, 1), ("mipro", 79, 3), ("instruction-search", 47, 1)] {
        let fake = Fake::start(model);
        let order = order(name).with_calls_at_once(at_once.try_into().unwrap());
        let expected = alone(&fake, order.clone());
        let calls = fake.calls();
        for at in (1..=calls).step_by(step) {
            let fake = Fake::start(model);
            let (home, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new());
            let (held, is_told) = Held::new(&fake, at);
            let yard = open(home.path(), journal.clone(), &held, examples(ROWS), order.clone());
            let job = yard.submit(submission()).wait().unwrap().job;
            is_told.recv_timeout(SECONDS).unwrap();
            yard.shutdown(SECONDS).wait().unwrap();
            drop(yard);
            let wave = 4 * at_once;
            assert!(fake.calls() < at + wave, "{name}: told to stop in call {at}, it made {}", fake.calls());
            let (free, _is_told) = Held::new(&fake, 0);
            let yard = open(home.path(), journal, &free, examples(ROWS), order.clone());
            let made = Made::of(&yard, &yard.finished(job).wait().unwrap());
            assert_eq!(yard.job(job).unwrap().attempts.get(), 2);
            yard.shutdown(SECONDS).wait().unwrap();
            assert_eq!(made, expected, "{name}, cut short in call {at}");
            assert_eq!(fake.calls(), calls, "{name}, cut short in call {at}");
            let different: BTreeSet<String> =
                fake.asked().iter().map(|asked| asked.body.to_string()).collect();
            assert_eq!(different.len(), calls, "{name}, cut short in call {at}");
        }
    }
}

#[test]
fn answers_that_are_damaged_are_asked_for_again() {
    let fake = Fake::start(model);
    let expected = alone(&fake, order("mipro"));
    let calls = fake.calls();
    type Spoil = fn(&Path);
    let ways: [Spoil; 3] = [
        |path| std::fs::write(path, "spoilt").unwrap(),
        |path| std::fs::remove_file(path).unwrap(),
        |path| {
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        },
    ];
    for (number, spoil) in ways.into_iter().enumerate() {
        let fake = Fake::start(model);
        let (home, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new());
        let (held, is_told) = Held::new(&fake, calls);
        let yard = open(home.path(), journal.clone(), &held, examples(ROWS), order("mipro"));
        let job = yard.submit(submission()).wait().unwrap().job;
        is_told.recv_timeout(SECONDS).unwrap();
        yard.shutdown(SECONDS).wait().unwrap();
        let checkpoint = yard.job(job).unwrap().standing().unwrap().checkpoint.clone().unwrap();
        assert!(checkpoint.step > 10, "{checkpoint:?}");
        drop(yard);
        spoil(&home.path().join(checkpoint.reference.as_str()));
        let (free, _is_told) = Held::new(&fake, 0);
        let yard = open(home.path(), journal, &free, examples(ROWS), order("mipro"));
        let made = Made::of(&yard, &yard.finished(job).wait().unwrap());
        yard.shutdown(SECONDS).wait().unwrap();
        assert_eq!(made, expected, "way {number}");
        let again = fake.calls() - calls;
        assert!(
            if number == 2 { (1..calls).contains(&again) } else { again == calls },
            "way {number}: {again}"
        );
    }
}

#[test]
fn a_cancelled_optimisation_makes_no_further_call() {
    let fake = Fake::start(model);
    alone(&fake, order("gepa"));
    let calls = fake.calls();
    for at in [1, 2, calls / 3, calls / 2, calls] {
        let fake = Fake::start(model);
        let home = tempfile::tempdir().unwrap();
        let (held, is_told) = Held::new(&fake, at);
        let yard = open(home.path(), MemoryJournal::new(), &held, examples(ROWS), order("gepa"));
        let job = yard.submit(submission()).wait().unwrap().job;
        is_told.recv_timeout(SECONDS).unwrap();
        yard.cancel(job, Reason::new("enough")).wait().unwrap();
        let outcome = yard.finished(job).wait().unwrap();
        assert_eq!(outcome, Outcome::Cancelled { reason: Reason::new("enough") }, "call {at}");
        yard.shutdown(SECONDS).wait().unwrap();
        assert_eq!(fake.calls(), at, "the call that was in flight is the last");
    }
}

/// The call would take an hour, and the grace is a day: it is the call that ends.
#[test]
fn a_cancel_and_a_shutdown_cut_off_the_calls_that_are_in_flight() {
    for is_cancelled in [true, false] {
        let (tell, told) = channel();
        let fake = Fake::start(move |_| Reply::Stall(b"HTTP/1.1 200 OK\r\n".to_vec(), tell.clone()));
        let endpoint = Endpoint::new(Api::OpenAi, &fake.url(), "tiny").unwrap();
        let model = HttpModel::new(endpoint.with_call_timeout(Duration::from_secs(3_600)));
        let order = order("gepa").with_calls_at_once(3.try_into().unwrap());
        let trainer =
            move |cx: &mut Context, job: &JobToTrain| train_prompt(cx, job, &examples(ROWS), &model, &order);
        let folder = tempfile::tempdir().unwrap();
        let builder = Trainyard::builder(folder.path()).journal(MemoryJournal::new());
        let (yard, _) = builder.trainer(Kind::new("prompt").unwrap(), trainer).start().unwrap();
        let mut submission = submission();
        Arc::get_mut(&mut submission.class).unwrap().limits.grace = Duration::from_secs(24 * 3_600);
        let job = yard.submit(submission).wait().unwrap().job;
        let hear = || (0..3).for_each(|_| told.recv_timeout(SECONDS).expect("the server tells"));
        hear();
        if is_cancelled {
            yard.cancel(job, Reason::new("enough")).wait().unwrap();
            hear();
            assert_eq!(
                yard.finished(job).wait().unwrap(),
                Outcome::Cancelled { reason: Reason::new("enough") }
            );
        }
        let report = yard.shutdown(SECONDS).wait().unwrap();
        assert_eq!((report.attempts_interrupted, report.stuck_threads), (usize::from(!is_cancelled), 0));
        assert_eq!(fake.calls(), 3);
    }
}

#[test]
fn a_spent_budget_ends_it_with_the_best_so_far() {
    let fake = Fake::start(model);
    let whole = alone(&fake, order("gepa")).artifact;
    let half = alone(&fake, order("gepa").with_tokens((whole.tokens_spent / 2).try_into().unwrap())).artifact;
    let words = format!("the budget of {} tokens is spent", whole.tokens_spent / 2);
    assert_eq!(half.ended.as_deref(), Some(words.as_str()));
    assert!(
        (whole.tokens_spent / 2..whole.tokens_spent / 2 + 4 * 15).contains(&half.tokens_spent),
        "{half:?}"
    );
    assert!(half.lineage.len() > 1 && half.lineage.len() < whole.lineage.len());
    assert_eq!(half.lineage, whole.lineage[..half.lineage.len()]);
    let fake = Fake::start(model);
    let reason =
        outcome(&fake, examples(ROWS), order("gepa").with_tokens(1.try_into().unwrap())).unwrap_err();
    assert_eq!(reason, "the budget of 1 tokens is spent, and the prompt to begin with is not yet scored");
    assert_eq!(fake.calls(), 4, "one wave");
}

#[test]
fn no_more_candidates_are_scored_than_were_ordered() {
    let made = alone(&Fake::start(model), order("gepa").with_candidates(5.try_into().unwrap()));
    assert_eq!((made.artifact.lineage.len(), made.artifact.ended), (5, None));
}

#[test]
fn a_model_that_does_not_answer_fails_it_in_words() {
    let address = support::NOBODY;
    let patience = Patience::default().with_first_wait(Duration::ZERO).with_tries(3.try_into().unwrap());
    let down = Endpoint::new(Api::OpenAi, &format!("http://{address}"), "tiny").unwrap();
    let held = |endpoint: Endpoint| {
        let model = HttpModel::new(endpoint.with_patience(patience));
        Arc::new(Held { model, at: 0, calls: AtomicUsize::new(0), told: Mutex::new(channel().0) })
    };
    let garbage = Fake::start(|_| Reply::status("200 OK", "", "<html>"));
    let endpoint = Endpoint::new(Api::OpenAi, &garbage.url(), "tiny").unwrap();
    let url = garbage.url();
    for (model, words) in [
        (
            held(down),
            format!("the model server at http://{address} could not be reached, or broke off (3 tries): "),
        ),
        (held(endpoint), format!("the model server at {url} answered something that is no json (3 tries)")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let yard = open(folder.path(), MemoryJournal::new(), &model, examples(ROWS), order("gepa"));
        let job = yard.submit(submission()).wait().unwrap().job;
        let outcome = yard.finished(job).wait().unwrap();
        yard.shutdown(SECONDS).wait().unwrap();
        let Outcome::Failed { reason } = outcome else { panic!("{outcome}") };
        let expected = format!("a question stays without an answer: {words}");
        assert!(reason.as_str().starts_with(&expected), "{reason}");
    }
}

#[test]
fn a_prompt_that_is_too_long_to_begin_with_is_refused() {
    let fake = Fake::start(model);
    let long = "x".repeat((64 << 10) + 1);
    for (order, what) in [
        (order("gepa").with_baseline(&long), "to begin with"),
        (order("gepa").with_incumbent(&long), "in use"),
    ] {
        let reason = outcome(&fake, examples(ROWS), order).unwrap_err();
        assert_eq!(reason, format!("the prompt {what} has more than 65536 bytes"));
    }
    assert_eq!(fake.calls(), 0);
}

#[test]
fn without_an_example_that_can_be_used_no_model_is_asked() {
    let mut empty = examples(2);
    empty[0].user = " ".into();
    empty[1].expected = "\n".into();
    for unusable in [Vec::new(), empty] {
        let fake = Fake::start(model);
        let folder = tempfile::tempdir().unwrap();
        let (held, _is_told) = Held::new(&fake, 0);
        let yard = open(folder.path(), MemoryJournal::new(), &held, unusable, order("gepa"));
        let job = yard.submit(submission()).wait().unwrap().job;
        assert_eq!(yard.finished(job).wait().unwrap(), Outcome::Completed { model: None });
        yard.shutdown(SECONDS).wait().unwrap();
        assert_eq!(fake.calls(), 0);
    }
}

#[test]
fn only_what_beats_the_prompt_in_use_on_what_was_held_back_is_promoted() {
    let fake = Fake::start(model);
    let good = "Answer IGNORE or STOP where it fits.";
    let made = alone(&fake, order("gepa").with_incumbent(good));
    assert_eq!((made.artifact.score, made.artifact.gate.incumbent), (1.0, 1.0));
    assert_eq!((made.artifact.gate.promoted, made.figure("promoted")), (false, 0.0));
    // One that cannot be held back is learned from, and then nothing speaks for a promotion.
    let one = examples(3).split_off(2);
    let made = outcome(&fake, one, order("bootstrap-fewshot")).unwrap();
    assert_eq!((made.artifact.baseline_score, made.artifact.score), (0.0, 1.0));
    assert_eq!((made.artifact.held_out_size, made.figure("promoted")), (0, 0.0));
}

#[test]
fn a_baseline_that_nobody_gave_is_that_of_most_examples() {
    let fake = Fake::start(model);
    let mut known = examples(9);
    for (number, example) in known.iter_mut().enumerate() {
        example.system = if number < 2 { "The old one." } else { BASELINE }.to_owned();
    }
    let bare =
        |_| Order::new("should_respond").with_optimizer(Arc::from(optimizer("bootstrap-fewshot").unwrap()));
    assert_eq!(outcome(&fake, known, bare(())).unwrap().artifact.baseline, BASELINE);
    let sentence = outcome(&fake, examples(9), bare(())).unwrap().artifact.baseline;
    assert_eq!(sentence, "Do the task \"should_respond\": answer the input as the agent would.");
}
