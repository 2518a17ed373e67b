//! How long a job may take, and what becomes of it when something breaks.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use proptest::prelude::*;
use support::cases;
use support::desk::{Desk, NODE_LEASE, class, outside, secs, usual};
use trainyard_core::*;

const NODE: NodeId = NodeId::from_u128(1);

fn crash(desk: &mut Desk) -> Epoch {
    desk.join(1, Resources::slots(1))
}

fn leave(desk: &mut Desk) {
    let epoch = desk.yard.node(NODE).unwrap().epoch;
    desk.ok(&Command::LeaveNode { node: NODE, epoch });
}

fn held(desk: &Desk, job: JobId) -> Option<String> {
    match &desk.job(job).phase {
        Phase::Waiting(waiting) => waiting.held.as_ref().map(|reason| reason.as_str().to_owned()),
        Phase::Running(_) | Phase::Finished(_) => None,
    }
}

#[test]
fn a_failure_is_tried_again_after_a_wait_that_doubles() {
    let mut desk = Desk::with_slots(1);
    let retry = RetryPolicy { retries_max: 3, backoff: Backoff::new(secs(10), secs(30)) };
    let job = desk.submit("subject", &class(|class| class.retry = retry));
    for wait in [10, 20, 30] {
        assert_eq!(desk.fail(job, Advice::Retry), None);
        assert_eq!(desk.yard.next_deadline(), Some(desk.now.after(secs(wait))));
        desk.pass(secs(wait - 1));
        assert!(!desk.is_running(job));
        desk.pass(secs(1));
        assert!(desk.is_running(job));
    }
    assert_eq!((desk.job(job).retries, desk.job(job).attempts), (3, Attempt::new(4)));
    let failed = Outcome::Failed { reason: Reason::new("broke") };
    assert_eq!(desk.fail(job, Advice::Retry), Some(failed));
}

#[test]
fn the_trainer_is_heard_about_trying_again() {
    let mut desk = Desk::with_slots(1);
    let retry = RetryPolicy { retries_max: 9, backoff: Backoff::new(secs(10), secs(30)) };
    let job = desk.submit("subject", &class(|class| class.retry = retry));
    desk.fail(job, Advice::RetryAfter(secs(500)));
    desk.pass(secs(499));
    assert!(!desk.is_running(job));
    desk.pass(secs(1));
    assert!(desk.fail(job, Advice::GiveUp).is_some(), "it will never work");
}

#[test]
fn an_interruption_spends_no_retry() {
    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &usual());
    desk.finish(job, RunEnd::Interrupted { reason: Reason::new("preempted") });
    crash(&mut desk);
    assert!(desk.is_running(job));
    assert_eq!((desk.job(job).retries, desk.job(job).attempts), (0, Attempt::new(3)));
}

#[test]
fn waiting_has_a_limit_until_the_first_start() {
    let mut desk = Desk::with_slots(1);
    let limited = class(|class| class.limits.queue_time = Some(secs(60)));
    let first = desk.submit("first", &limited);
    let second = desk.submit("second", &limited);
    desk.pass(secs(59));
    assert!(!desk.job(second).is_finished());
    desk.pass(secs(1));
    assert_eq!(desk.job(second).outcome(), Some(&Outcome::TimedOut(TimedOut::Waiting)));
    assert!(desk.is_running(first), "who runs does not wait");
    leave(&mut desk);
    desk.pass(secs(600));
    assert!(!desk.job(first).is_finished(), "a second wait is not measured");
}

#[test]
fn the_same_checkpoint_again_is_no_progress() {
    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &usual());
    for _ in 1..Job::INTERRUPTIONS_MAX {
        desk.checkpoint(job, 7);
        crash(&mut desk);
        assert!(desk.is_running(job));
    }
    desk.checkpoint(job, 7);
    crash(&mut desk);
    assert!(matches!(&desk.job(job).phase, Phase::Waiting(waiting) if waiting.held.is_some()));
}

#[test]
fn who_finished_in_time_is_not_punished_for_what_came_before() {
    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &class(|class| class.limits.time = Some(secs(30))));
    let run = desk.run(job);
    desk.sleep_through(secs(31));
    let node = NodeId::from_u128(1);
    let epoch = desk.yard.node(node).unwrap().epoch;
    let end = RunEnd::Completed { trained: Trained::default(), model: ModelId::from_u128(9), last: None };
    for command in [Command::RenewNode { node, epoch }, Command::Finish { run, end }] {
        desk.yard.take(desk.now, &command).unwrap();
    }
    while desk.yard.settle_step(desk.now).is_some() {}
    assert_eq!(desk.job(job).outcome(), Some(&Outcome::Completed { model: None }));
}

proptest! {
    #![proptest_config(cases(200))]

    /// What counts is the time at work, over every kind of interruption.
    #[test]
    fn running_time_adds_up(
        limit in 1_u64..300, steps in prop::collection::vec((0_u8..5, 0_u64..50, 0_u64..50), 1..30),
    ) {
        let mut desk = Desk::with_slots(1);
        let limited = class(|class| {
            class.limits.time = Some(secs(limit));
            class.retry = RetryPolicy { retries_max: 99, backoff: Backoff::new(secs(0), secs(0)) };
        });
        let job = desk.submit("subject", &limited);
        let mut ran = 0;
        for (step, (what, works, waits)) in (1..).zip(steps) {
            let left = limit - ran;
            desk.pass(secs(works));
            if works >= left {
                prop_assert_eq!(desk.job(job).outcome(), Some(&Outcome::TimedOut(TimedOut::Running)));
                prop_assert_eq!(desk.job(job).ran, secs(limit), "at the moment itself");
                return Ok(());
            }
            ran += works;
            match what {
                0 => {
                    leave(&mut desk);
                    prop_assert_eq!(desk.job(job).ran, secs(ran));
                    desk.pass(secs(waits));
                    crash(&mut desk);
                }
                1 => {
                    // Nobody knows for how long it ran after the last word from it.
                    desk.checkpoint(job, step);
                    desk.pass(secs(waits.min(limit - ran - 1)));
                    crash(&mut desk);
                }
                2 => drop(desk.fail(job, Advice::Retry)),
                3 => drop(desk.fail(job, Advice::RetryAfter(secs(waits)))),
                _ => {
                    desk.checkpoint(job, step);
                    desk.finish(job, RunEnd::Stopped);
                }
            }
            desk.pass(secs(if what == 3 { waits } else { 0 }));
            prop_assert!(desk.is_running(job));
            prop_assert_eq!(desk.job(job).ran, secs(ran));
            prop_assert_eq!(desk.job(job).time_limit_at(), Some(desk.now.after(secs(limit - ran))));
        }
    }
}

#[test]
fn a_job_that_gains_too_little_stalls() {
    let mut desk = Desk::with_slots(1);
    let stall = StallRule { gain: Gain::Performance(support::score(2)), within: secs(300) };
    let job = desk.submit("subject", &class(|class| class.limits.stall = Some(stall)));
    desk.pass(secs(200));
    desk.report(job, 1, Some(50));
    desk.pass(secs(50));
    desk.report(job, 2, Some(52));
    desk.pass(secs(299));
    desk.report(job, 3, Some(53));
    assert!(desk.is_running(job));
    desk.pass(secs(1));
    assert_eq!(desk.job(job).outcome(), Some(&Outcome::Stalled));
}

#[test]
fn a_job_that_makes_no_steps_stalls_however_often_it_reports() {
    let mut desk = Desk::with_slots(1);
    let stall = StallRule { gain: Gain::Steps(10), within: secs(60) };
    let job = desk.submit("subject", &class(|class| class.limits.stall = Some(stall)));
    for (second, step) in [(0, 0), (50, 10), (100, 20), (150, 29)] {
        desk.pass(secs(if second == 0 { 0 } else { 50 }));
        desk.report(job, step, None);
    }
    desk.pass(secs(9));
    desk.report(job, 29, Some(99));
    desk.pass(secs(1));
    assert_eq!(desk.job(job).outcome(), Some(&Outcome::Stalled), "60 s after step 20");
}

#[test]
fn the_clock_of_a_stall_rests_while_nobody_works_and_the_mark_stays() {
    let mut desk = Desk::with_slots(1);
    let stall = StallRule { gain: Gain::Performance(support::score(2)), within: secs(300) };
    let job = desk.submit("subject", &class(|class| class.limits.stall = Some(stall)));
    desk.report(job, 1, Some(50));
    desk.pass(secs(299));
    leave(&mut desk);
    desk.pass(secs(10_000));
    crash(&mut desk);
    desk.pass(secs(299));
    desk.report(job, 2, Some(51));
    desk.pass(secs(1));
    assert_eq!(desk.job(job).outcome(), Some(&Outcome::Stalled), "51 does not outdo 50 by 2");
}

#[test]
fn three_crashes_in_a_row_hold_a_job_until_somebody_looks() {
    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &usual());
    crash(&mut desk);
    crash(&mut desk);
    assert!(desk.is_running(job));
    crash(&mut desk);
    let reason = "interrupted 3 times without a newer checkpoint: its process ended without a word";
    assert_eq!(held(&desk, job).as_deref(), Some(reason));
    let other = desk.submit("other", &usual());
    assert!(desk.is_running(other), "nobody else is held up");
    desk.complete(other);
    desk.ok(&Command::Unhold { job });
    crash(&mut desk);
    crash(&mut desk);
    assert!(desk.is_running(job), "counted anew");
    crash(&mut desk);
    assert!(held(&desk, job).is_some());
}

#[test]
fn a_checkpoint_is_progress_and_an_orderly_end_does_not_count() {
    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &usual());
    for step in 0..9 {
        crash(&mut desk);
        crash(&mut desk);
        desk.checkpoint(job, step);
    }
    assert!(desk.is_running(job));
    for _ in 0..9 {
        leave(&mut desk);
        crash(&mut desk);
    }
    assert!(desk.is_running(job));
    assert_eq!(desk.job(job).interruptions, 0);
    assert_eq!(desk.job(job).standing().unwrap().checkpoint.as_ref().unwrap().step, 8);
}

#[test]
fn a_trainer_that_always_gives_up_is_held_too() {
    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &usual());
    desk.finish(job, RunEnd::Stopped);
    desk.finish(job, RunEnd::Interrupted { reason: Reason::new("not today") });
    desk.finish(job, RunEnd::Interrupted { reason: Reason::new("not today") });
    let reason = "interrupted 3 times without a newer checkpoint: not today";
    assert_eq!(held(&desk, job).as_deref(), Some(reason));
}

#[test]
fn a_word_of_its_node_counts_as_running_time() {
    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &usual());
    desk.pass(secs(100));
    let epoch = desk.yard.node(NODE).unwrap().epoch;
    desk.ok(&Command::RenewNode { node: NODE, epoch });
    assert_eq!(desk.yard.now(), desk.now);
    assert_eq!(desk.yard.node(NODE).unwrap().seen_at, desk.now);
    desk.pass(NODE_LEASE);
    assert_eq!(desk.job(job).ran, secs(100), "up to the last word of the node, and no further");
}

#[test]
fn a_node_that_is_not_heard_of_is_lost_with_its_work() {
    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &usual());
    desk.pass(secs(100));
    let epoch = desk.yard.node(NODE).unwrap().epoch;
    desk.ok(&Command::RenewNode { node: NODE, epoch });
    desk.report(job, 1, None);
    let old = desk.run(job);
    desk.pass(NODE_LEASE - secs(1));
    assert!(desk.is_running(job));
    desk.pass(secs(1));
    assert_eq!(desk.job(job).interruptions, 1);
    assert_eq!(desk.job(job).ran, secs(100), "up to the last word of it");
    assert!(!desk.yard.node(NODE).unwrap().is_alive());
    let renewed = desk.send(&Command::RenewNode { node: NODE, epoch });
    assert_eq!(renewed, Err(Rejection::NoNode { node: NODE, epoch }));
    let late = desk.send(&Command::Finish { run: old, end: RunEnd::Stopped });
    assert_eq!(late, Err(Rejection::Fenced { job, lease: old.lease }));
    desk.join(2, Resources::slots(1));
    assert_eq!(desk.job(job).running().map(|running| running.node), Some(NodeId::from_u128(2)));
}

#[test]
fn what_runs_outside_survives_its_node_and_is_found_again() {
    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &class(|class| class.kind = outside()));
    let run = desk.run(job);
    let epoch = crash(&mut desk);
    let running = desk.job(job).running().unwrap().clone();
    assert_eq!((running.contact, running.epoch, desk.run(job)), (Contact::Recovering, epoch, run));
    let another = desk.submit("other", &usual());
    assert!(!desk.is_running(another), "its slot is taken in the new life too");
    let before = Epoch::new(epoch.get() - 1);
    assert_eq!(
        desk.send(&Command::Recover { run, epoch: before }),
        Err(Rejection::NoNode { node: NODE, epoch: before })
    );
    desk.ok(&Command::Recover { run, epoch });
    assert_eq!(desk.job(job).running().unwrap().contact, Contact::Held);
    assert_eq!(desk.job(job).interruptions, 0);
    desk.complete(job);
    assert!(desk.job(job).outcome().unwrap().is_completed());

    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &class(|class| class.kind = outside()));
    crash(&mut desk);
    desk.complete(job);
    assert!(desk.job(job).outcome().unwrap().is_completed(), "it had finished in the meantime");
    let gone = desk.submit("subject", &class(|class| class.kind = outside()));
    crash(&mut desk);
    desk.finish(gone, RunEnd::Interrupted { reason: Reason::new("its executor does not know it") });
    assert_eq!(desk.job(gone).attempts, Attempt::new(2), "it runs again");
}

#[test]
fn what_is_being_stopped_occupies_slot_and_subject() {
    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &usual());
    desk.cancel(job);
    let draining = desk.job(job).draining().unwrap().clone();
    assert_eq!(draining.deadline, desk.now.after(secs(30)));
    let same = desk.submit("subject", &usual());
    let other = desk.submit("other", &usual());
    assert!(!desk.is_running(same) && !desk.is_running(other));
    desk.join(2, Resources::slots(1));
    assert!(!desk.is_running(same) && desk.is_running(other), "a slot elsewhere does not free the subject");
    desk.complete(other);
    assert!(!desk.is_running(same));
    desk.finish(job, RunEnd::Stopped);
    assert!(desk.is_running(same));
}

/// An older job waits for a newer one of its subject that is being stopped: a snapshot tells of the one that waits
/// first. Found by `long.rs`.
#[test]
fn what_is_being_stopped_occupies_its_subject_after_a_snapshot_too() {
    let mut desk = Desk::with_slots(2);
    let mut submission = desk.submission("subject", &usual());
    submission.not_before = Some(desk.now.after(secs(1)));
    let (waits, _) = desk.admit(submission).unwrap();
    let newer = desk.submit("subject", &usual());
    desk.cancel(newer);
    desk.pass(secs(1));
    assert!(desk.job(newer).draining().is_some() && !desk.is_running(waits));
    let mut restored = support::rebuilt(&desk.yard.snapshot());
    assert_eq!(restored, desk.yard);
    restored.handle(desk.now, &Command::Tick).unwrap();
    assert_eq!(restored.occupying().count(), 1, "one run of one subject");
}

#[test]
fn what_does_not_stop_is_given_up() {
    let mut desk = Desk::with_slots(1);
    let job = desk.submit("subject", &class(|class| class.limits.grace = secs(5)));
    let run = desk.run(job);
    desk.cancel(job);
    let next = desk.submit("subject", &usual());
    desk.pass(secs(4));
    assert!(!desk.is_running(next));
    desk.pass(secs(1));
    assert!(desk.is_running(next));
    let given_up = Event::Released { job, lease: run.lease, how: Release::GivenUp };
    assert!(desk.log.iter().any(|fact| fact.event == given_up));
    let late = desk.send(&Command::Finish { run, end: RunEnd::Stopped });
    assert_eq!(late, Err(Rejection::Fenced { job, lease: run.lease }));
}

#[test]
fn a_hold_waits_for_its_release_and_a_delay_for_its_moment() {
    let mut desk = Desk::with_slots(1);
    let mut submission = desk.submission("subject", &usual());
    submission.not_before = Some(desk.now.after(secs(60)));
    let (job, _) = desk.admit(submission).unwrap();
    desk.ok(&Command::Hold { job, reason: Reason::new("look first") });
    desk.pass(secs(120));
    assert!(!desk.is_running(job));
    desk.ok(&Command::Unhold { job });
    assert!(desk.is_running(job));
}
