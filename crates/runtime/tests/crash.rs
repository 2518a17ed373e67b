//! Journals that fail, processes that end without a word.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use support::{Rig, SAFETY, class, job, kind, obedient, outcome, puppet, shut_down, subject, submit, wait};
use trainyard_core::port::HandleError;
use trainyard_core::{
    CandidateId, ContestPlan, Entrant, Label, Outcome, Parameters, Phase, Reason, Score, Submission, Trained,
};
use trainyard_journal::{Journal, JournalError, MemoryJournal, Position, Reading, Turn, WriterId};
use trainyard_runtime::{Context, JobToTrain, Stop, TrainError};
use trainyard_testkit::failing_journal::{FailingJournal, When};

#[test]
fn an_attempt_goes_on_from_its_checkpoint_after_a_crash() {
    let rig = Rig::new();
    let (kept, keeps) = bounded(1);
    let train = move |cx: &mut Context, job: &JobToTrain| match cx.resume() {
        None => {
            std::fs::write(cx.dir()?.join("state"), "seven")?;
            cx.checkpoint("state", 7)?;
            kept.send(cx.seed()).unwrap();
            Err(obedient(cx))
        }
        Some(checkpoint) => {
            assert_eq!((checkpoint.step, job.attempt.get()), (7, 2));
            assert_eq!(std::fs::read_to_string(cx.resume_path().unwrap())?, "seven");
            cx.measure("seed_low", f64::from(u16::try_from(cx.seed() % 10_000).unwrap()))?;
            std::fs::write(cx.dir()?.join("model"), "done")?;
            cx.trained("model")
        }
    };
    let (journal, faults) = FailingJournal::new(rig.log.holder());
    let (crashing, _) = rig.builder_on(journal).trainer(kind(), train.clone()).start().unwrap();
    let id = submit(&crashing, "a", class());
    let seed = keeps.recv_timeout(SAFETY).unwrap();
    // From here on nothing reaches the log: for whoever opens it next, the process died here.
    faults.fail_next_commit(When::BeforeEffect);
    wait(crashing.hold(id, Reason::new("x"))).unwrap_err();
    let _ = wait(crashing.cancel(id, Reason::new("never heard")));
    assert!(crashing.stopped().is_some());

    let (yard, report) = rig.builder().trainer(kind(), train).start().unwrap();
    assert_eq!(report.to_string(), "1 attempt interrupted and requeued, 0 contests resumed, 0 jobs in line");
    let Outcome::Completed { model: Some(model) } = outcome(&yard, id) else { panic!("it completes") };
    let model = yard.read(|yard| yard.model(model).cloned()).unwrap();
    let measured = model.metrics.values().next().unwrap().get();
    assert_eq!(
        measured,
        f64::from(u16::try_from(seed % 10_000).unwrap()),
        "the seed is the same in every attempt"
    );
    shut_down(&yard);
}

#[test]
fn a_failing_journal_stops_the_yard_and_loses_nothing() {
    for when in [When::BeforeEffect, When::AfterEffect] {
        let rig = Rig::new();
        let (journal, faults) = FailingJournal::new(rig.log.holder());
        let (told, tells) = bounded(1);
        let train = move |cx: &mut Context, _: &JobToTrain| {
            let error = obedient(cx);
            told.send(cx.stop_reason()).unwrap();
            Err(error)
        };
        let (yard, _) = rig.builder_on(journal).trainer(kind(), train).start().unwrap();
        let running = submit(&yard, "a", class());
        let waiting = submit(&yard, "b", class());
        let outstanding = yard.finished(waiting);
        let mut changes = yard.subscribe();

        faults.fail_next_commit(when);
        let lost = wait(yard.cancel(waiting, Reason::new("x"))).unwrap_err();
        let HandleError::Stopped { reason } = &lost else { panic!("the yard stops, {lost}") };
        assert_eq!(wait(outstanding), Err(lost.clone()), "whoever waits is told");
        assert_eq!(yard.stopped().as_ref(), Some(reason));
        assert_eq!(tells.recv_timeout(SAFETY), Ok(Some(Stop::ShuttingDown)), "trainers are told to stop");
        assert_eq!(wait(yard.cancel(running, Reason::new("y"))), Err(lost.clone()));
        assert!(matches!(job(&yard, waiting).phase, Phase::Waiting(_)), "what is not durable is not shown");
        assert_eq!(changes.next_timeout(SAFETY), None, "nothing was told, and nothing will be");

        let (again, report) = rig.builder().trainer(kind(), puppet().0).start().unwrap();
        assert_eq!(report.attempts_interrupted, 1);
        assert_eq!(job(&again, running).attempts.get(), 2, "what was acknowledged is there");
        let is_over = job(&again, waiting).is_finished();
        assert_eq!(is_over, when == When::AfterEffect, "what was under way is there or not");
    }
}

#[test]
fn a_journal_that_cannot_be_begun_stops_the_yard_too() {
    let rig = Rig::new();
    let (journal, faults) = FailingJournal::new(rig.log.holder());
    faults.fail_begin(2);
    let train = |_: &mut Context, _: &JobToTrain| Ok(Trained::default());
    let (yard, _) = rig.builder_on(journal).trainer(kind(), train).start().unwrap();
    assert!(matches!(
        wait(yard.activate(trainyard_core::ModelId::from_u128(1))),
        Err(HandleError::Stopped { .. })
    ));
}

/// A journal that somebody else has for some turns, counted from the first.
struct Shared {
    log: MemoryJournal,
    begins: u32,
    locked: std::ops::Range<u32>,
}

impl Journal for Shared {
    fn begin(&mut self) -> Result<Box<dyn Turn + '_>, JournalError> {
        self.begins += 1;
        if self.locked.contains(&self.begins) {
            return Err(JournalError::locked("journal", "a shell"));
        }
        self.log.begin()
    }

    fn read(&mut self, from: Position) -> Result<Reading<'_>, JournalError> {
        self.log.read(from)
    }

    fn watch(&self) -> Receiver<Position> {
        self.log.watch()
    }

    fn head(&self) -> Position {
        self.log.head()
    }

    fn writer(&self) -> WriterId {
        self.log.writer()
    }
}

#[test]
fn a_journal_that_somebody_else_has_for_a_while_stops_nothing() {
    for (locked, stops) in [(2..5, false), (2..u32::MAX, true)] {
        let rig = Rig::new();
        let journal = Shared { log: rig.log.holder(), begins: 0, locked };
        let train = |_: &mut Context, _: &JobToTrain| Ok(Trained::default());
        let (yard, _) = rig.builder_on(journal).trainer(kind(), train).start().unwrap();
        let submission = Submission::new(yard.job_id(), subject("a"), Arc::new(class()));
        let answer = wait(yard.submit(submission));
        assert_eq!(matches!(answer, Err(HandleError::Stopped { .. })), stops, "{answer:?}");
        assert_eq!(yard.stopped().is_some(), stops);
    }
}

#[test]
fn a_checkpoint_that_was_not_written_is_no_checkpoint() {
    let rig = Rig::new();
    let (journal, faults) = FailingJournal::new(rig.log.holder());
    let (answer, answers) = bounded(1);
    let (go, goes) = bounded::<()>(0);
    let train = move |cx: &mut Context, _: &JobToTrain| {
        goes.recv().unwrap();
        std::fs::write(cx.dir()?.join("state"), "x")?;
        answer.send(cx.checkpoint("state", 1)).unwrap();
        Err(TrainError::failed("over"))
    };
    let (yard, _) = rig.builder_on(journal).trainer(kind(), train).start().unwrap();
    submit(&yard, "a", class());
    faults.fail_next_commit(When::BeforeEffect);
    go.send_timeout((), SAFETY).unwrap();
    assert_eq!(answers.recv_timeout(SAFETY).unwrap(), Err(TrainError::Stopped(Stop::ShuttingDown)));
    assert!(yard.stopped().is_some());
}

#[test]
fn two_processes_cannot_be_one_node() {
    let rig = Rig::new();
    let (first, _) = rig.builder().trainer(kind(), puppet().0).start().unwrap();
    let (second, _) = rig.builder().trainer(kind(), puppet().0).start().unwrap();
    // The first learns of it from the journal's notice, without being asked anything.
    let mut changes = first.subscribe();
    assert_eq!(changes.next_timeout(SAFETY), None);
    assert!(first.stopped().unwrap().as_str().contains("another process has joined as node"));
    assert!(second.stopped().is_none());
    wait(second.shutdown(Duration::ZERO)).unwrap();
}

#[test]
fn a_contest_goes_on_too() {
    let rig = Rig::new();
    let (journal, faults) = FailingJournal::new(rig.log.holder());
    let (puppet, strings) = puppet();
    let (crashing, _) = rig.builder_on(journal).trainer(kind(), puppet).start().unwrap();
    let entrant = |n: u128| Entrant {
        id: CandidateId::from_u128(n),
        label: Label::new(format!("c{n}")).unwrap(),
        parameters: Parameters::default(),
    };
    let plan = ContestPlan {
        target: Score::new(0.5).unwrap(),
        candidates: [1, 2].map(entrant).into(),
        median: None,
    };
    let mut submission = Submission::new(crashing.job_id(), subject("a"), Arc::new(class()));
    submission.contest = Some(Arc::new(plan));
    let id = wait(crashing.submit(submission)).unwrap().job;
    strings.begun();
    strings.begun();
    faults.fail_next_commit(When::BeforeEffect);
    let _ = wait(crashing.cancel(id, Reason::new("never heard")));

    let (puppet, strings) = support::puppet();
    let (yard, report) = rig.builder().trainer(kind(), puppet).start().unwrap();
    assert_eq!(report.to_string(), "0 attempts interrupted and requeued, 1 contest resumed, 0 jobs in line");
    let labels = [strings.begun(), strings.begun()].map(|job| job.candidate.unwrap().label.to_string());
    assert!(labels == ["c1", "c2"] || labels == ["c2", "c1"], "both candidates run again");
    assert_eq!(yard.job(id).unwrap().attempts.get(), 2);
}
