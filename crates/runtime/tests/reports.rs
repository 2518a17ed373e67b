//! What trainers show while they train: reports, contests, stall rules.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, unbounded};
use support::{Rig, SAFETY, class, job, limited, obedient, outcome, subject, submit, until, wait};
use trainyard_core::{
    CandidateId, ContestPlan, Entrant, Event, Gain, Label, Limits, Outcome, Parameters, Progress, Score,
    StallRule, Submission, Trained,
};
use trainyard_runtime::{Context, JobToTrain, Stop, TrainError, Trainyard};

fn score(value: f64) -> Score {
    Score::new(value).unwrap()
}

/// A trainer that reports what it is sent, until the sender is gone.
fn reporter(
    reports: Receiver<Progress>,
) -> impl Fn(&mut Context, &JobToTrain) -> Result<Trained, TrainError> {
    move |cx, _| {
        for progress in &reports {
            cx.report(progress)?;
        }
        Ok(Trained::default())
    }
}

fn window(yard: &Trainyard, id: trainyard_core::JobId) -> Vec<f64> {
    let job = job(yard, id);
    let standing = job.standing().cloned().unwrap_or_default();
    standing.window.recent().iter().map(|score| score.get()).collect()
}

#[test]
fn of_many_performances_in_a_moment_the_newest_is_kept() {
    let rig = Rig::new();
    let (report, reports) = bounded(0);
    let yard = rig.start(reporter(reports));
    let id = submit(&yard, "a", class());
    let mut changes = yard.subscribe();
    let send = |step, value: f64| {
        let progress = Progress::step(step, 9).with_performance(value).unwrap();
        report.send_timeout(progress, SAFETY).unwrap();
    };
    let reported = |event: &Event| matches!(event, Event::Reported { .. });
    send(1, 0.1);
    until(&mut changes, reported);
    send(2, 0.2);
    send(3, 0.3);
    send(4, 0.4);
    // Taken by the trainer only when it has reported the one before.
    report.send_timeout(Progress::step(5, 9), SAFETY).unwrap();
    rig.clock.advance(Duration::from_millis(100));
    until(&mut changes, reported);
    assert_eq!(window(&yard, id), [0.1, 0.4]);

    send(6, 0.6);
    drop(report);
    assert_eq!(outcome(&yard, id), Outcome::Completed { model: None });
    assert_eq!(window(&yard, id), [0.1, 0.4, 0.6], "the last comes with the end");
    assert_eq!(job(&yard, id).standing().unwrap().step, 6);
}

#[test]
fn progress_is_live_and_not_durable() {
    let rig = Rig::new();
    let (report, reports) = bounded(0);
    let yard = rig.start(reporter(reports));
    let id = submit(&yard, "a", class());
    let mut changes = yard.subscribe();
    let facts = yard.counters().facts;
    let progress = Progress::step(45, 100).with_phase("assign").with_loss(0.2).unwrap();
    report.send_timeout(progress.clone(), SAFETY).unwrap();
    let told = changes.next_timeout(SAFETY).unwrap();
    assert_eq!(told, trainyard_core::port::Change::Progressed { job: id, progress: progress.clone() });
    assert_eq!(yard.progress(id), Some(progress));
    assert_eq!(yard.counters().facts, facts);
    drop(report);
    outcome(&yard, id);
    assert_eq!(yard.progress(id), None);
}

#[test]
fn numbers_that_are_none_are_refused_and_counted() {
    let rig = Rig::new();
    let yard = rig.start(|cx: &mut Context, _: &JobToTrain| {
        assert_eq!(cx.score(f64::NAN), None);
        cx.measure("loss", f64::INFINITY)?;
        Ok(Trained::default())
    });
    let id = submit(&yard, "a", class());
    assert!(matches!(outcome(&yard, id), Outcome::Failed { .. }));
    assert_eq!(yard.counters().refused_scores, 2);
}

#[test]
fn steps_count_when_the_stall_rule_looks_at_them() {
    let rig = Rig::new();
    let (report, reports) = bounded(0);
    let yard = rig.start(move |cx: &mut Context, _: &JobToTrain| {
        for progress in &reports {
            cx.report(progress)?;
        }
        Err(obedient(cx))
    });
    let stall = StallRule { gain: Gain::Steps(5), within: Duration::from_secs(60) };
    let mut changes = yard.subscribe();
    let id = submit(&yard, "a", limited(Limits { stall: Some(stall), ..Limits::default() }));
    for step in [1, 6] {
        rig.clock.advance(Duration::from_secs(25));
        report.send_timeout(Progress::step(step, 0), SAFETY).unwrap();
        until(&mut changes, |event| matches!(event, Event::Reported { .. }));
    }
    drop(report);
    rig.clock.advance(Duration::from_secs(59));
    assert!(!job(&yard, id).is_finished());
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(outcome(&yard, id), Outcome::Stalled);
}

fn contest(yard: &Trainyard, labels: &[&str]) -> Submission {
    let entrant = |(n, label): (usize, &&str)| Entrant {
        id: CandidateId::from_u128(n as u128),
        label: Label::new(*label).unwrap(),
        parameters: Parameters::default(),
    };
    let candidates = labels.iter().enumerate().map(entrant).collect();
    let plan = ContestPlan { target: score(0.9), candidates, median: None };
    Submission {
        contest: Some(Arc::new(plan)),
        ..Submission::new(yard.job_id(), subject("a"), Arc::new(class()))
    }
}

#[test]
fn the_first_candidate_at_the_target_wins_and_the_others_stop() {
    let rig = Rig::new();
    let (told, tells) = unbounded();
    let (go, goes) = bounded::<()>(3);
    let trainer = move |cx: &mut Context, job: &JobToTrain| {
        let candidate = job.candidate.as_ref().expect("it is a contest");
        let label = candidate.label.to_string();
        // Nobody goes before everybody is there.
        goes.recv().unwrap();
        for tenths in 1..=9 {
            let most = if label == "fast" { 10 } else { 5 };
            let value = f64::from(tenths.min(most)) / 10.0;
            match cx.report(Progress::step(tenths as u64, 10).with_performance(value)?) {
                Ok(()) => {}
                Err(Stop::TargetReached) => {
                    std::fs::write(cx.dir()?.join("model"), &label)?;
                    return cx.trained("model");
                }
                Err(_) => break,
            }
        }
        let error = obedient(cx);
        told.send((error.clone(), cx.threads().get())).unwrap();
        Err(error)
    };
    let threads = std::num::NonZeroUsize::new(6).unwrap();
    let (yard, _) = rig.builder().threads(threads).trainer(support::kind(), trainer).start().unwrap();
    let id = wait(yard.submit(contest(&yard, &["slow", "fast", "slower"]))).unwrap().job;
    (0..3).for_each(|_| go.send(()).unwrap());
    let Outcome::Completed { model: Some(model) } = outcome(&yard, id) else { panic!("somebody wins") };

    let job = job(&yard, id);
    let outcomes: Vec<_> =
        job.contest().unwrap().candidates.iter().map(|c| c.outcome().cloned().unwrap()).collect();
    assert_eq!(
        outcomes,
        [Outcome::Superseded, Outcome::Completed { model: Some(model) }, Outcome::Superseded]
    );
    let champion = job.contest().unwrap().champion().unwrap();
    assert_eq!(
        champion.standing.window.latest(),
        Some(score(0.9)),
        "what reached the target is not swallowed"
    );
    let model = yard.read(|yard| yard.model(model).cloned()).unwrap();
    assert_eq!(std::fs::read_to_string(yard.artifact_path(&model).unwrap()).unwrap(), "fast");
    for _ in 0..2 {
        let (error, threads) = tells.recv_timeout(SAFETY).unwrap();
        assert_eq!(error, TrainError::Stopped(Stop::Superseded));
        assert_eq!(threads, 2, "six threads, three candidates");
    }
}

#[test]
fn who_reaches_the_target_must_hand_something_over() {
    let rig = Rig::new();
    let yard = rig.start(|cx: &mut Context, _: &JobToTrain| {
        cx.report(Progress::step(1, 1).with_performance(1.0)?)?;
        Ok(Trained::default())
    });
    let id = wait(yard.submit(contest(&yard, &["only"]))).unwrap().job;
    let Outcome::Failed { reason } = outcome(&yard, id) else { panic!("it fails") };
    assert!(reason.as_str().contains("handed nothing over"), "{reason}");
}
