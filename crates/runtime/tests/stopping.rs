//! Trainers that are told to stop: those that do, and those that do not.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

mod support;

use std::time::Duration;

use crossbeam_channel::bounded;
use support::{
    Rig, SAFETY, class, job, kind, limited, obedient, outcome, puppet, shut_down, submit, until, wait,
};
use trainyard_core::port::HandleError;
use trainyard_core::{Event, Limits, Outcome, Phase, Progress, Reason, Release, TimedOut, Trained};
use trainyard_journal::MemoryJournal;
use trainyard_runtime::{Context, JobToTrain, Stop, TrainError, Trainyard};

#[test]
fn a_cancelled_trainer_is_told_at_its_next_report() {
    let rig = Rig::new();
    let (told, tells) = bounded(1);
    let (begun, begins) = bounded(1);
    let yard = rig.start(move |cx: &mut Context, _: &JobToTrain| {
        begun.send(()).unwrap();
        for step in 0.. {
            if let Err(stop) = cx.report(Progress::step(step, 0)) {
                told.send((stop, cx.should_stop())).unwrap();
                return Err(stop.into());
            }
            std::thread::yield_now();
        }
        Ok(Trained::default())
    });
    let mut changes = yard.subscribe();
    let id = submit(&yard, "a", class());
    begins.recv_timeout(SAFETY).unwrap();
    wait(yard.cancel(id, Reason::new("changed my mind"))).unwrap();
    assert_eq!(outcome(&yard, id), Outcome::Cancelled { reason: Reason::new("changed my mind") });
    assert_eq!(tells.recv_timeout(SAFETY), Ok((Stop::Cancelled, true)));
    let released = until(&mut changes, |event| matches!(event, Event::Released { .. }));
    assert!(matches!(released, Event::Released { how: Release::Stopped, .. }));
    assert_eq!(yard.progress(id), None, "it does not run any more");
    assert_eq!(yard.stuck_threads(), 0);
}

#[test]
fn a_trainer_that_does_not_stop_loses_its_slot() {
    let rig = Rig::new();
    let (puppet, strings) = puppet();
    let yard = rig.start(puppet);
    let mut changes = yard.subscribe();
    let deaf = submit(&yard, "a", limited(Limits { grace: Duration::from_secs(30), ..Limits::default() }));
    let next = submit(&yard, "b", class());
    strings.begun();
    wait(yard.cancel(deaf, Reason::new("enough"))).unwrap();
    assert!(job(&yard, deaf).draining().is_some(), "over, but its slot is still taken");

    rig.clock.advance(Duration::from_secs(30));
    let released = until(&mut changes, |event| matches!(event, Event::Released { .. }));
    assert!(matches!(released, Event::Released { how: Release::GivenUp, .. }));
    assert_eq!(strings.begun().id, next, "the slot is free");
    assert_eq!(yard.stuck_threads(), 1);

    // Both threads are let go; what the one that was given up says does not count any more.
    strings.end(Ok(Trained::default()));
    strings.end(Ok(Trained::default()));
    assert_eq!(outcome(&yard, next), Outcome::Completed { model: None });
    assert!(matches!(outcome(&yard, deaf), Outcome::Cancelled { .. }));
    shut_down(&yard);
    assert_eq!(yard.stuck_threads(), 0, "it came back after all");
}

#[test]
fn a_job_has_only_so_much_time() {
    let rig = Rig::new();
    let (told, tells) = bounded(1);
    let yard = rig.start(move |cx: &mut Context, _: &JobToTrain| {
        let error = obedient(cx);
        told.send(error.clone()).unwrap();
        Err(error)
    });
    let id =
        submit(&yard, "a", limited(Limits { time: Some(Duration::from_secs(600)), ..Limits::default() }));
    rig.clock.advance(Duration::from_secs(599));
    wait(yard.hold(id, Reason::new("x"))).unwrap_err();
    assert!(matches!(job(&yard, id).phase, Phase::Running(_)));
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(outcome(&yard, id), Outcome::TimedOut(TimedOut::Running));
    assert_eq!(tells.recv_timeout(SAFETY), Ok(TrainError::Stopped(Stop::OutOfTime)));
}

#[test]
fn shutting_down_lets_trainers_write_a_checkpoint() {
    let rig = Rig::new();
    let (begun, begins) = bounded(1);
    let train = move |cx: &mut Context, _: &JobToTrain| {
        if cx.resume_from() == 40 {
            let path = cx.resume_path().expect("there is a checkpoint");
            return Err(TrainError::failed(format!("found {}", std::fs::read_to_string(path)?)));
        }
        begun.send(()).unwrap();
        let stop = obedient(cx);
        std::fs::write(cx.dir()?.join("state"), "forty")?;
        cx.checkpoint("state", 40)?;
        Err(stop)
    };
    let yard = rig.start(train.clone());
    let id = submit(&yard, "a", class());
    let next = submit(&yard, "b", class());
    begins.recv_timeout(SAFETY).unwrap();
    let report = shut_down(&yard);
    assert_eq!(report.to_string(), "1 attempt interrupted");
    assert_eq!(job(&yard, next).attempts.get(), 0, "nothing is started while it shuts down");
    assert!(matches!(wait(yard.cancel(next, Reason::new("x"))), Err(HandleError::Stopped { .. })));
    assert!(matches!(wait(yard.finished(next)), Err(HandleError::Stopped { .. })));
    assert!(matches!(wait(yard.shutdown(SAFETY)), Err(HandleError::Stopped { .. })));

    let (again, report) = rig.builder().trainer(kind(), train).start().unwrap();
    assert_eq!(report.attempts_interrupted, 0, "it was an orderly end");
    assert_eq!(outcome(&again, id), Outcome::Failed { reason: Reason::new("found forty") });
    assert_eq!(job(&again, id).attempts.get(), 2);
}

#[test]
fn shutting_down_does_not_wait_for_ever() {
    let rig = Rig::new();
    let (puppet, strings) = puppet();
    let yard = rig.start(puppet);
    let id = submit(&yard, "a", class());
    strings.begun();
    let leaving = yard.shutdown(Duration::from_secs(5));
    rig.clock.advance(Duration::from_secs(5));
    let report = wait(leaving).unwrap();
    assert_eq!((report.attempts_interrupted, report.stuck_threads), (1, 1));
    assert!(matches!(job(&yard, id).phase, Phase::Waiting(_)), "it goes on at the next open");
}

#[test]
fn who_drops_the_last_handle_leaves_the_yard_in_order() {
    let rig = Rig::new();
    let (puppet, strings) = puppet();
    let yard = rig.start(puppet);
    submit(&yard, "a", class());
    strings.begun();
    let mut changes = yard.subscribe();
    drop(yard);
    until(&mut changes, |event| matches!(event, Event::NodeLost { .. }));
    assert_eq!(changes.next_timeout(SAFETY), None, "it has stopped by itself");
}

#[test]
fn who_only_says_that_it_was_told_to_stop_has_failed() {
    let rig = Rig::new();
    let yard = rig.start(|_: &mut Context, _: &JobToTrain| Err(TrainError::stopped(Stop::Cancelled)));
    let id = submit(&yard, "a", class());
    assert!(matches!(outcome(&yard, id), Outcome::Failed { .. }));
}

#[test]
fn the_clock_of_the_machine_moves_things_too() {
    let dir = support::TempDir::new();
    let (yard, _) = Trainyard::builder(dir.path())
        .journal(MemoryJournal::new())
        .trainer(kind(), |cx: &mut Context, _: &JobToTrain| Err(obedient(cx)))
        .start()
        .unwrap();
    let time = Some(Duration::from_millis(20));
    let id = submit(&yard, "a", limited(Limits { time, ..Limits::default() }));
    assert_eq!(outcome(&yard, id), Outcome::TimedOut(TimedOut::Running));
    shut_down(&yard);
}
