//! Runs that are at work outside of the process, and outlive it.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

mod support;

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use support::{
    Rig, SAFETY, class, job, kind, limited, obedient, outcome, puppet, shut_down, submit, until, wait,
};
use trainyard_core::{Contact, Event, Limits, Outcome, Phase, Reason, Run, TimedOut};
use trainyard_runtime::{Context, JobToTrain, Stop, TrainError, Trainer, Trainyard};
use trainyard_testkit::failing_journal::{FailingJournal, When};

/// What a trainer was started for.
#[derive(Debug, PartialEq, Eq)]
struct Begun {
    run: Run,
    is_recovering: bool,
    told: Option<Stop>,
}

/// Leaves its work alone until it is told to stop, after a checkpoint.
fn leaves(begun: &Sender<Begun>) -> impl Trainer {
    let begun = begun.clone();
    move |cx: &mut Context, job: &JobToTrain| {
        begun.send(said(cx, job)).unwrap();
        std::fs::write(cx.dir()?.join("state"), "half")?;
        if cx.stop_reason().is_none() {
            cx.checkpoint("state", 5)?;
        }
        Err(obedient(cx))
    }
}

/// Finds what was left, and ends as it is told to.
fn finds(begun: &Sender<Begun>, ends: &Receiver<Result<&'static str, TrainError>>) -> impl Trainer {
    let (begun, ends) = (begun.clone(), ends.clone());
    move |cx: &mut Context, job: &JobToTrain| {
        if cx.is_recovering() {
            assert_eq!(
                std::fs::read_to_string(cx.dir()?.join("state"))?,
                "half",
                "its folder is still there"
            );
        }
        begun.send(said(cx, job)).unwrap();
        let name = ends.recv_timeout(SAFETY).expect("it is told how to end")?;
        cx.recovered()?;
        std::fs::write(cx.dir()?.join(name), cx.resume_from().to_string())?;
        cx.trained(name)
    }
}

fn said(cx: &Context, job: &JobToTrain) -> Begun {
    Begun { run: job.run, is_recovering: cx.is_recovering(), told: cx.stop_reason() }
}

/// A yard that has left a run outside, which has written a checkpoint at step 5.
fn left(rig: &Rig) -> (trainyard_core::JobId, Run) {
    let (begun, begins) = unbounded();
    let (yard, _) = rig.builder().external_trainer(kind(), leaves(&begun)).start().unwrap();
    let mut changes = yard.subscribe();
    let id =
        submit(&yard, "a", limited(Limits { time: Some(Duration::from_secs(100)), ..Limits::default() }));
    let Begun { run, is_recovering, .. } = begins.recv_timeout(SAFETY).unwrap();
    assert!(!is_recovering);
    until(&mut changes, |event| matches!(event, Event::Checkpointed { .. }));
    let report = shut_down(&yard);
    assert_eq!((report.attempts_interrupted, report.attempts_left, report.stuck_threads), (0, 1, 0));
    (id, run)
}

fn contact(yard: &Trainyard, id: trainyard_core::JobId) -> Contact {
    job(yard, id).running().expect("it runs").contact
}

#[test]
fn it_survives_a_shutdown_with_its_lease_and_its_folder() {
    let rig = Rig::new();
    let (id, run) = left(&rig);
    let (begun, begins) = unbounded();
    let (end, ends) = unbounded();
    let trainer = finds(&begun, &ends);
    let (yard, report) = rig.builder().external_trainer(kind(), trainer).start().unwrap();
    assert_eq!((report.attempts_interrupted, report.recovering), (0, 1));
    let found = begins.recv_timeout(SAFETY).unwrap();
    assert_eq!(found, Begun { run, is_recovering: true, told: None });
    assert_eq!(contact(&yard, id), Contact::Recovering);
    let mut changes = yard.subscribe();
    end.send(Ok("model")).unwrap();
    until(&mut changes, |event| matches!(event, Event::Recovered { .. }));
    let Outcome::Completed { model: Some(model) } = outcome(&yard, id) else { panic!("it completes") };
    let artifact = yard.model(model).unwrap().artifact.to_string();
    assert_eq!(artifact, format!("work/{id}/{}/model", run.lease));
    let job = job(&yard, id);
    assert_eq!((job.attempts.get(), job.interruptions), (1, 0));
    shut_down(&yard);
}

#[test]
fn it_survives_a_crash_too() {
    let rig = Rig::new();
    let (begun, begins) = unbounded();
    let (journal, faults) = FailingJournal::new(rig.log.holder());
    let (crashing, _) = rig.builder_on(journal).external_trainer(kind(), leaves(&begun)).start().unwrap();
    let mut changes = crashing.subscribe();
    let id = submit(&crashing, "a", class());
    let run = begins.recv_timeout(SAFETY).unwrap().run;
    until(&mut changes, |event| matches!(event, Event::Checkpointed { .. }));
    faults.fail_next_commit(When::BeforeEffect);
    wait(crashing.cancel(id, Reason::new("never heard"))).unwrap_err();

    let (end, ends) = unbounded();
    let (yard, _) = rig.builder().external_trainer(kind(), finds(&begun, &ends)).start().unwrap();
    assert_eq!(begins.recv_timeout(SAFETY).unwrap(), Begun { run, is_recovering: true, told: None });
    end.send(Ok("model")).unwrap();
    assert!(outcome(&yard, id).is_completed());
    shut_down(&yard);
}

#[test]
fn one_that_is_lost_goes_on_from_its_checkpoint_under_a_new_lease() {
    let rig = Rig::new();
    let (id, run) = left(&rig);
    let (begun, begins) = unbounded();
    let (end, ends) = unbounded();
    let (yard, _) = rig.builder().external_trainer(kind(), finds(&begun, &ends)).start().unwrap();
    assert!(begins.recv_timeout(SAFETY).unwrap().is_recovering);
    end.send(Err(TrainError::interrupted("it is lost"))).unwrap();
    let again = begins.recv_timeout(SAFETY).unwrap();
    assert!(again.run.lease > run.lease && !again.is_recovering, "{again:?}");
    end.send(Ok("model")).unwrap();
    let Outcome::Completed { model: Some(model) } = outcome(&yard, id) else { panic!("it completes") };
    let path = yard.artifact_path(&yard.model(model).unwrap()).unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "5", "from there it has gone on");
    assert_eq!((job(&yard, id).attempts.get(), job(&yard, id).interruptions), (2, 1));
    shut_down(&yard);
}

#[test]
fn it_can_be_cancelled_while_it_is_looked_for() {
    let rig = Rig::new();
    let (id, _) = left(&rig);
    let (begun, begins) = bounded(0);
    let (said, says) = unbounded();
    let train = move |cx: &mut Context, _: &JobToTrain| {
        begun.send(cx.is_recovering()).unwrap();
        let error = obedient(cx);
        said.send((cx.stop_reason(), cx.recovered())).unwrap();
        Err(error)
    };
    let (yard, _) = rig.builder().external_trainer(kind(), train).start().unwrap();
    assert!(begins.recv_timeout(SAFETY).unwrap());
    let mut changes = yard.subscribe();
    wait(yard.cancel(id, Reason::new("nobody wants it"))).unwrap();
    let told = (Some(Stop::Cancelled), Err(TrainError::Stopped(Stop::Cancelled)));
    assert_eq!(says.recv_timeout(SAFETY).unwrap(), told);
    until(&mut changes, |event| matches!(event, Event::Released { .. }));
    assert!(job(&yard, id).draining().is_none());
    shut_down(&yard);
}

#[test]
fn one_that_was_cancelled_before_is_released_at_the_next_open() {
    let rig = Rig::new();
    let (puppet, strings) = puppet();
    let (yard, _) = rig.builder().external_trainer(kind(), puppet).start().unwrap();
    let id = submit(&yard, "a", class());
    strings.begun();
    wait(yard.cancel(id, Reason::new("nobody wants it"))).unwrap();
    assert!(job(&yard, id).draining().is_some());
    wait(yard.shutdown(Duration::ZERO)).unwrap();
    drop(strings);

    let (begun, begins) = unbounded();
    let (yard, report) = rig.builder().external_trainer(kind(), leaves(&begun)).start().unwrap();
    assert_eq!(report.recovering, 0);
    assert!(job(&yard, id).draining().is_none() && begins.is_empty());
    let next = submit(&yard, "a", class());
    assert!(matches!(job(&yard, next).phase, Phase::Running(_)), "slot and subject are free");
    assert!(!begins.recv_timeout(SAFETY).unwrap().is_recovering);
    shut_down(&yard);
}

#[test]
fn one_whose_time_was_over_in_between_is_found_to_be_stopped() {
    let rig = Rig::new();
    let (id, run) = left(&rig);
    rig.clock.advance(Duration::from_secs(200));
    let (begun, begins) = unbounded();
    let (yard, _) = rig.builder().external_trainer(kind(), leaves(&begun)).start().unwrap();
    let told = Some(Stop::OutOfTime);
    assert_eq!(begins.recv_timeout(SAFETY).unwrap(), Begun { run, is_recovering: true, told });
    assert_eq!(outcome(&yard, id), Outcome::TimedOut(TimedOut::Running));
    shut_down(&yard);
}

#[test]
fn a_kind_that_is_trained_inside_now_is_begun_anew() {
    let rig = Rig::new();
    let (_, run) = left(&rig);
    let (begun, begins) = unbounded();
    let (yard, _) = rig.builder().trainer(kind(), leaves(&begun)).start().unwrap();
    let again = begins.recv_timeout(SAFETY).unwrap();
    assert!(again.run.lease > run.lease && !again.is_recovering, "{again:?}");
    shut_down(&yard);
}
