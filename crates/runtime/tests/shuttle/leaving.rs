//! However a yard is left, nobody waits for ever, and nothing is left behind.

use std::time::Duration;

use shuttle::thread;
use trainyard_core::port::HandleError;
use trainyard_core::{Phase, Trained};
use trainyard_runtime::{Context, JobToTrain, ShutdownReport, Trainyard};

use crate::rig::{
    DONE, Gate, LONG, Rig, answer, check, elsewhere, id, is_stopped, obedient, shut_down, submit,
};

const DEADLINE: Duration = Duration::from_secs(5);

/// A yard with one trainer at work that hears nothing until the gate is open.
fn with_a_deaf_trainer(rig: &Rig) -> (Trainyard, Gate) {
    let (begun, gate) = (Gate::default(), Gate::default());
    let (has_begun, wait) = (begun.clone(), gate.clone());
    let yard = rig.start(move |_: &mut Context, _: &JobToTrain| {
        has_begun.open();
        wait.pass();
        Ok(Trained::default())
    });
    submit(&yard, 1).wait().unwrap();
    begun.pass();
    (yard, gate)
}

#[test]
fn a_trainer_that_does_not_return_holds_nobody_up() {
    check(800, |rig| {
        let (yard, gate) = with_a_deaf_trainer(rig);
        let leaving = yard.shutdown(DEADLINE);
        let clock = rig.clock.clone();
        let advancing = thread::spawn(move || clock.advance(DEADLINE));
        let opening = thread::spawn(move || gate.open());
        let report = leaving.wait().unwrap();
        let job = rig.replayed().job(id(1)).cloned().unwrap();
        match (report.attempts_interrupted, report.stuck_threads) {
            (0, 0) => assert_eq!(job.outcome(), Some(&DONE), "it has returned in time"),
            (1, 1) => assert!(matches!(job.phase, Phase::Waiting(_)), "it goes on at the next open"),
            _ => panic!("{report}"),
        }
        advancing.join().unwrap();
        opening.join().unwrap();
    });
}

#[test]
fn of_several_who_shut_down_one_has_the_report() {
    check(800, |rig| {
        let begun = Gate::default();
        let has_begun = begun.clone();
        let yard = rig.start(move |cx: &mut Context, _: &JobToTrain| {
            has_begun.open();
            let stop = obedient(cx);
            cx.checkpoint(elsewhere("state").as_str(), 7)?;
            Err(stop)
        });
        submit(&yard, 1).wait().unwrap();
        begun.pass();
        let leave = |way| {
            let yard = yard.clone();
            thread::spawn(move || answer(way, yard.shutdown(LONG)))
        };
        let leaving: Vec<_> = (0..3).map(leave).collect();
        let answers: Vec<_> = leaving.into_iter().map(|leaving| leaving.join().unwrap()).collect();
        let refused = |answer: &&Result<ShutdownReport, HandleError>| is_stopped(*answer);
        assert_eq!(answers.iter().filter(refused).count(), 2, "{answers:?}");
        let report = answers.iter().find_map(|answer| answer.as_ref().ok()).unwrap();
        assert_eq!((report.attempts_interrupted, report.stuck_threads), (1, 0));
        let job = rig.replayed().job(id(1)).cloned().unwrap();
        assert_eq!(
            job.standing().and_then(|standing| standing.checkpoint.as_ref()).map(|at| at.step),
            Some(7)
        );
    });
}

#[test]
fn the_last_handle_may_go_while_the_yard_is_left() {
    check(800, |rig| {
        let (yard, gate) = with_a_deaf_trainer(rig);
        let mut changes = yard.subscribe();
        let leaving = yard.shutdown(LONG);
        let opening = thread::spawn(move || gate.open());
        drop(yard);
        let report = leaving.wait().unwrap();
        assert_eq!(
            (report.attempts_interrupted, report.stuck_threads),
            (0, 0),
            "it is waited for as it was told"
        );
        while changes.next_blocking().is_some() {}
        opening.join().unwrap();
        assert_eq!(rig.end(id(1)), Some(DONE));
    });
}

#[test]
fn the_last_handle_leaves_whoever_is_at_work_behind() {
    check(600, |rig| {
        let (yard, gate) = with_a_deaf_trainer(rig);
        let mut changes = yard.subscribe();
        let waiting = yard.finished(id(1));
        let opening = thread::spawn(move || gate.open());
        drop(yard);
        let told = waiting.wait();
        assert!(is_stopped(&told) || told == Ok(DONE));
        while changes.next_blocking().is_some() {}
        opening.join().unwrap();
        assert!(told != Ok(DONE) || rig.end(id(1)) == Some(DONE));
    });
}

#[test]
fn no_folder_is_left_behind() {
    check(300, |rig| {
        let yard = rig.start(|cx: &mut Context, _: &JobToTrain| {
            cx.dir()?;
            Ok(Trained::default())
        });
        for job in 1..=2 {
            submit(&yard, job).wait().unwrap();
        }
        for job in 1..=2 {
            assert_eq!(yard.finished(id(job)).wait(), Ok(DONE));
        }
        shut_down(&yard);
        // The yard waits for the broom, but not for ever.
        while yard.counters().folders_removed < 2 {
            thread::yield_now();
        }
        assert_eq!(rig.attempts(), 0);
    });
}
