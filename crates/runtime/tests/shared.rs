//! A journal that other processes write to as well. They are played by drivers without threads.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::unbounded;
use support::{Rig, SAFETY, class, job, obedient, outcome, puppet, subject, submit};
use trainyard_core::port::Change;
use trainyard_core::{
    Abilities, Command, Contact, Event, JobId, NodeId, Outcome, Placement, Reason, Resources, Submission,
    Trained,
};
use trainyard_runtime::{Clock, Context, Driver, JobToTrain, Stop, Trainyard};

/// Another process that has joined the yard and trains nothing.
fn other(rig: &Rig, compact_min: usize) -> Driver {
    let mut driver = Driver::open(rig.log.holder()).unwrap().with_compact_min(compact_min);
    let abilities =
        Abilities { kinds: [(support::kind(), Placement::InProcess)].into(), capacity: Resources::slots(0) };
    driver.turn(rig.clock.now(), &[Command::JoinNode { node: NodeId::from_u128(1), abilities }]).unwrap();
    driver
}

#[test]
fn what_another_process_submits_is_trained_here() {
    let rig = Rig::new();
    let (puppet, strings) = puppet();
    let yard = rig.start(puppet);
    let mut other = other(&rig, usize::MAX);
    let id = JobId::from_u128(7);
    let submission = Arc::new(Submission::new(id, subject("a"), Arc::new(class())));
    other.turn(rig.clock.now(), &[Command::Submit(submission)]).unwrap();
    assert_eq!(strings.begun().id, id, "a notice has woken this process");
    strings.end(Ok(Trained::default()));
    assert_eq!(outcome(&yard, id), Outcome::Completed { model: None });
    other.turn(rig.clock.now(), &[]).unwrap();
    assert_eq!(other.yard().job(id).unwrap().outcome(), Some(&Outcome::Completed { model: None }));
    assert!(yard.counters().news >= 3);
}

fn start_obedient(rig: &Rig) -> (Trainyard, crossbeam_channel::Receiver<(u32, Option<Stop>)>) {
    let (told, tells) = unbounded();
    let yard = rig.start(move |cx: &mut Context, job: &JobToTrain| {
        told.send((job.attempt.get(), None)).unwrap();
        let error = obedient(cx);
        told.send((job.attempt.get(), cx.stop_reason())).unwrap();
        Err(error)
    });
    (yard, tells)
}

#[test]
fn a_node_that_was_given_up_is_fenced_off_and_joins_anew() {
    let rig = Rig::new();
    let (yard, tells) = start_obedient(&rig);
    let mut other = other(&rig, usize::MAX);
    let id = submit(&yard, "a", class());
    assert_eq!(tells.recv_timeout(SAFETY), Ok((1, None)));
    // The other's clock says that this node was not heard of for an hour.
    let later = rig.clock.now().after(Duration::from_secs(3_600));
    other.turn(later, &[]).unwrap();
    let next = || tells.recv_timeout(SAFETY).unwrap();
    let mut told = [next(), next()];
    told.sort();
    assert_eq!(told, [(1, Some(Stop::FencedOff)), (2, None)], "the old run stops, a new one has begun");
    assert_eq!(job(&yard, id).attempts.get(), 2);
    assert_eq!(yard.read(|yard| yard.nodes().filter(|(_, node)| node.is_alive()).count()), 1);
}

#[test]
fn what_is_at_work_outside_of_a_node_that_was_given_up_need_not_be_found() {
    let rig = Rig::new();
    let (puppet, strings) = puppet();
    let (yard, _) = rig.builder().external_trainer(support::kind(), puppet).start().unwrap();
    let mut other = other(&rig, usize::MAX);
    let mut changes = yard.subscribe();
    let id = submit(&yard, "a", class());
    let run = strings.begun().run;
    // The other's clock says that this node was not heard of for an hour.
    other.turn(rig.clock.now().after(Duration::from_secs(3_600)), &[]).unwrap();
    support::until(&mut changes, |event| matches!(event, Event::Recovered { .. }));
    let running = job(&yard, id).running().cloned().unwrap();
    assert_eq!((running.contact, running.lease), (Contact::Held, run.lease));
    strings.end(Ok(Trained::default()));
    assert_eq!(outcome(&yard, id), Outcome::Completed { model: None });
    assert!(strings.begun.is_empty(), "it was begun once");
}

#[test]
fn what_was_compacted_by_others_is_not_missed() {
    let rig = Rig::new();
    let (yard, tells) = start_obedient(&rig);
    let mut other = other(&rig, 1);
    let id = submit(&yard, "a", class());
    assert_eq!(tells.recv_timeout(SAFETY), Ok((1, None)));
    let finished = yard.finished(id);
    let mut changes = yard.subscribe();
    // Enough of them that a snapshot is shorter.
    let renew = Command::RenewNode { node: NodeId::from_u128(1), epoch: trainyard_core::Epoch::new(1) };
    let mut commands = vec![renew; 40];
    commands.push(Command::Cancel { job: id, reason: Reason::new("elsewhere") });
    assert!(other.turn(rig.clock.now(), &commands).unwrap().compacted);
    assert_eq!(support::wait(finished), Ok(Outcome::Cancelled { reason: Reason::new("elsewhere") }));
    assert_eq!(tells.recv_timeout(SAFETY), Ok((1, Some(Stop::Cancelled))));
    assert!(matches!(changes.next_timeout(SAFETY), Some(Change::Missed { .. })));
    submit(&yard, "b", class());
    assert_eq!(tells.recv_timeout(SAFETY), Ok((1, None)), "the slot is free again");
}
