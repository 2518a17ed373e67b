//! What trainers say, while somebody else decides on their jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shuttle::thread;
use trainyard_core::port::HandleError;
use trainyard_core::{
    CandidateId, ContestPlan, Entrant, Event, Label, Limits, Outcome, Parameters, Progress, Reason,
    Rejection, Release, Score, TimedOut, Trained,
};
use trainyard_runtime::{Context, JobToTrain, Stop, TrainError};

use crate::rig::{
    DONE, Gate, answer, check, elsewhere, id, kind, limited, obedient, quick, shut_down, submission, submit,
};

fn cancelled() -> Outcome {
    Outcome::Cancelled { reason: Reason::new("x") }
}

#[test]
fn what_is_taken_back_writes_no_more() {
    check(600, |rig| {
        let kept = Arc::new(AtomicU64::new(0));
        let keeps = Arc::clone(&kept);
        let train = move |cx: &mut Context, _: &JobToTrain| {
            for step in 1..=3 {
                cx.report(Progress::step(step, 3).with_performance(0.5)?)?;
                cx.checkpoint(elsewhere("state").as_str(), step)?;
                keeps.store(step, Ordering::Relaxed);
            }
            Ok(Trained::default())
        };
        let yard = rig.start(train);
        submit(&yard, 1).wait().unwrap();
        let taking = {
            let yard = yard.clone();
            thread::spawn(move || yard.cancel(id(1), Reason::new("x")).wait())
        };
        let outcome = yard.finished(id(1)).wait().unwrap();
        match taking.join().unwrap() {
            Ok(()) => assert_eq!(outcome, cancelled()),
            Err(HandleError::Rejected(Rejection::Over { outcome, .. })) => assert_eq!(outcome, DONE),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(yard.progress(id(1)), None);
        let report = shut_down(&yard);
        assert_eq!((report.attempts_interrupted, report.stuck_threads), (0, 0));
        assert_eq!(rig.end(id(1)), Some(outcome.clone()));
        let steps = rig.facts().into_iter().filter_map(|fact| match fact.event {
            Event::Checkpointed { checkpoint, .. } => Some(checkpoint.step),
            _ => None,
        });
        let durable = steps.last().unwrap_or(0);
        let told = kept.load(Ordering::Relaxed);
        assert!(durable == told || durable == told + 1, "told {told}, and {durable} is durable");
        assert!(outcome != DONE || durable == 3);
    });
}

#[test]
fn whoever_does_not_stop_is_fenced_off() {
    check(600, |rig| {
        let (begun, gate) = (Gate::default(), Gate::default());
        let (has_begun, wait) = (begun.clone(), gate.clone());
        let train = move |cx: &mut Context, job: &JobToTrain| {
            if job.id == id(2) {
                return quick(cx, job);
            }
            has_begun.open();
            wait.pass();
            match cx.checkpoint(elsewhere("state").as_str(), 1) {
                Err(TrainError::Stopped(Stop::Cancelled | Stop::FencedOff)) => {}
                kept => panic!("it has no right to write: {kept:?}"),
            }
            Ok(Trained { artifact: Some(elsewhere("model")), ..Trained::default() })
        };
        let yard = rig.start(train);
        let grace = Duration::from_secs(30);
        yard.submit(submission(1, limited(Limits { grace, ..Limits::default() }))).wait().unwrap();
        submit(&yard, 2).wait().unwrap();
        begun.pass();
        yard.cancel(id(1), Reason::new("x")).wait().unwrap();
        // Its grace ends, and it comes back, in whichever order.
        let clock = rig.clock.clone();
        let advancing = thread::spawn(move || clock.advance(grace));
        gate.open();
        assert_eq!(yard.finished(id(2)).wait(), Ok(DONE), "its slot is free");
        advancing.join().unwrap();
        let report = shut_down(&yard);
        assert_eq!((report.attempts_interrupted, report.stuck_threads), (0, 0), "it came back");
        assert_eq!((yard.stuck_threads(), yard.counters().panics), (0, 0));
        assert_eq!(rig.end(id(1)), Some(cancelled()));
        let is_release = |event: &Event| matches!(event, Event::Released { job, .. } if *job == id(1));
        let released: Vec<_> = rig.facts().into_iter().filter(|fact| is_release(&fact.event)).collect();
        assert!(matches!(&released[..], [_]), "{released:?}");
        let Event::Released { how: Release::Stopped | Release::GivenUp, .. } = released[0].event else {
            panic!()
        };
    });
}

#[test]
fn of_those_that_reach_the_target_one_wins() {
    const CANDIDATES: u128 = 3;
    check(400, |rig| {
        let train = |cx: &mut Context, job: &JobToTrain| {
            let me = job.candidate.as_ref().unwrap().label.to_string();
            match cx.report(Progress::step(1, 1).with_performance(0.9)?) {
                Err(Stop::TargetReached) => cx.trained(elsewhere(&me).as_str()),
                told => Err(told.unwrap_err().into()),
            }
        };
        let yard = rig.start(train);
        let entrant = |n: u128| Entrant {
            id: CandidateId::from_u128(n),
            label: Label::new(n.to_string()).unwrap(),
            parameters: Parameters::default(),
        };
        let candidates = (1..=CANDIDATES).map(entrant).collect();
        let plan = ContestPlan { target: Score::new(0.9).unwrap(), candidates, median: None };
        let contest = trainyard_core::Submission {
            contest: Some(Arc::new(plan)),
            ..submission(1, crate::rig::class())
        };
        yard.submit(contest).wait().unwrap();
        submit(&yard, 2).wait().unwrap();
        let Outcome::Completed { model: Some(model) } = yard.finished(id(1)).wait().unwrap() else {
            panic!("one of them has won")
        };
        let champion = yard.model(model).unwrap().artifact.clone();
        assert!((1..=CANDIDATES).any(|n| champion == elsewhere(&n.to_string())), "{champion}");
        // Those that have lost give their slot back as well.
        yard.cancel(id(2), Reason::new("x")).wait().ok();
        yard.finished(id(2)).wait().unwrap();
        shut_down(&yard);
        assert_eq!(yard.counters().runs_started, yard.counters().runs_ended);
        let facts = rig.facts();
        let first = facts.iter().find_map(|fact| match &fact.event {
            Event::Reached { lease, .. } => Some(*lease),
            _ => None,
        });
        let registered =
            facts.iter().filter(|fact| matches!(fact.event, Event::ModelRegistered { .. })).count();
        assert!(first.is_some() && registered == 1, "{registered} models");
    });
}

#[test]
fn a_clock_that_jumps_wakes_the_driver() {
    check(1_000, |rig| {
        let begun = Gate::default();
        let has_begun = begun.clone();
        let train = move |cx: &mut Context, _: &JobToTrain| {
            has_begun.open();
            Err(obedient(cx))
        };
        let yard = rig.start(train);
        let time = Duration::from_secs(600);
        let ticket = yard.submit(submission(1, limited(Limits { time: Some(time), ..Limits::default() })));
        begun.pass();
        // The driver may be anywhere: about to sleep, asleep, or busy with the answer.
        rig.clock.advance(time);
        assert_eq!(answer(1, yard.finished(id(1))), Ok(Outcome::TimedOut(TimedOut::Running)));
        ticket.wait().unwrap();
        shut_down(&yard);
    });
}

#[test]
fn who_waits_in_line_too_long_is_told_by_the_alarm_alone() {
    check(600, |rig| {
        let yard = rig
            .builder()
            .trainer(kind(), |cx: &mut Context, _: &JobToTrain| Err(obedient(cx)))
            .start()
            .unwrap()
            .0;
        submit(&yard, 1).wait().unwrap();
        let clock = rig.clock.clone();
        let advancing = thread::spawn(move || (0..4).for_each(|_| clock.advance(Duration::from_secs(150))));
        let queue_time = Some(Duration::from_secs(600));
        yard.submit(submission(2, limited(Limits { queue_time, ..Limits::default() }))).wait().unwrap();
        let waiting = {
            let yard = yard.clone();
            thread::spawn(move || answer(0, yard.finished(id(2))))
        };
        advancing.join().unwrap();
        // However much of it had passed when the job came.
        rig.clock.advance(Duration::from_secs(600));
        assert_eq!(waiting.join().unwrap(), Ok(Outcome::TimedOut(TimedOut::Waiting)));
        let report = shut_down(&yard);
        assert_eq!(report.attempts_interrupted, 1);
    });
}
