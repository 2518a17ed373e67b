//! Whoever asks is answered, whatever happens to the yard.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::{self, JoinHandle};
use trainyard_core::port::{HandleError, Receipt};
use trainyard_core::{Outcome, Resources};
use trainyard_runtime::{Context, JobToTrain, Trainyard};
use trainyard_testkit::failing_journal::{FailingJournal, When};

use crate::rig::{
    DONE, LONG, Rig, answer, check, check_replay, id, is_stopped, kind, quick, shut_down, submit,
};

const ASKING: u128 = 3;

/// What somebody was told about a job: whether it is in the books, and then how it has ended.
type Told = (u128, Result<Receipt, HandleError>, Option<Result<Outcome, HandleError>>);

/// Each submits two jobs, one after the other, and waits for their ends.
fn ask(yard: &Trainyard) -> Vec<JoinHandle<Vec<Told>>> {
    let asking = |way: u128| {
        let yard = yard.clone();
        thread::spawn(move || {
            let jobs = [way, way + ASKING].into_iter();
            jobs.map(|job| {
                let receipt = answer(way, submit(&yard, job));
                let end = receipt.is_ok().then(|| answer(way + 1, yard.finished(id(job))));
                (job, receipt, end)
            })
            .collect()
        })
    };
    (1..=ASKING).map(asking).collect()
}

/// Compares what they were told with the journal: nothing but the truth, or that the yard has stopped. With `orderly`
/// nothing is in doubt.
fn compare(rig: &Rig, told: Vec<Told>, orderly: bool) {
    let yard = rig.replayed();
    for (job, receipt, end) in told {
        let found = yard.job(id(job));
        match receipt {
            Ok(receipt) => assert!(receipt.job == id(job) && found.is_some(), "{job} was acknowledged"),
            Err(HandleError::Stopped { .. }) => assert!(!orderly || found.is_none(), "{job} was refused"),
            Err(error) => panic!("{job}: {error}"),
        }
        match end {
            Some(Ok(outcome)) => assert_eq!(found.and_then(|job| job.outcome()), Some(&outcome)),
            Some(Err(HandleError::Stopped { .. })) | None => {}
            Some(Err(error)) => panic!("{job}: {error}"),
        }
    }
}

#[test]
fn all_are_answered_and_every_job_runs_once() {
    check(600, all_answered);
}

#[test]
fn a_schedule_can_be_replayed() {
    check_replay(100, all_answered);
}

fn all_answered(rig: &Rig) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let train = move |cx: &mut Context, job: &JobToTrain| {
        counted.fetch_add(1, Ordering::Relaxed);
        quick(cx, job)
    };
    let builder = rig.builder().trainer(kind(), train).capacity(Resources::slots(2));
    let yard = builder.start().unwrap().0;
    for told in ask(&yard) {
        for (job, receipt, end) in told.join().unwrap() {
            assert_eq!((receipt.unwrap().job, end), (id(job), Some(Ok(DONE))));
        }
    }
    shut_down(&yard);
    assert_eq!(runs.load(Ordering::Relaxed), 2 * ASKING as usize);
    assert_eq!(rig.replayed().jobs().filter(|job| job.outcome() == Some(&DONE)).count(), 2 * ASKING as usize);
}

#[test]
fn all_are_answered_when_the_yard_is_shut_down_in_between() {
    check(600, |rig| {
        let yard = rig.start(quick);
        let asking = ask(&yard);
        shut_down(&yard);
        assert!(yard.stopped().is_some());
        let told = asking.into_iter().flat_map(|asking| asking.join().unwrap()).collect();
        compare(rig, told, true);
        assert!(is_stopped(&submit(&yard, 99).wait()));
        assert!(is_stopped(&yard.finished(id(1)).wait()));
    });
}

#[test]
fn all_are_answered_when_the_journal_fails_in_the_middle() {
    check(600, |rig| {
        let (journal, faults) = FailingJournal::new(rig.log.holder());
        let when = if thread_rng().gen_bool(0.5) { When::BeforeEffect } else { When::AfterEffect };
        // The first is that of the opening.
        faults.fail_commit(thread_rng().gen_range(2..8), when);
        let yard = rig.builder_of(1, journal).trainer(kind(), quick).start().unwrap().0;
        let asking = ask(&yard);
        let told = asking.into_iter().flat_map(|asking| asking.join().unwrap()).collect();
        let closed = yard.shutdown(LONG).wait();
        assert!(is_stopped(&closed), "there are more commits than that: {closed:?}");
        compare(rig, told, false);
    });
}

#[test]
fn all_are_answered_when_the_last_handle_is_dropped() {
    check(600, |rig| {
        let yard = rig.start(quick);
        let mut changes = yard.subscribe();
        let asking = (1..=ASKING).map(|job| {
            let yard = yard.clone();
            thread::spawn(move || {
                let ticket = submit(&yard, job);
                drop(yard);
                answer(job, ticket)
            })
        });
        let asking: Vec<_> = asking.collect();
        drop(yard);
        for (job, asking) in (1..).zip(asking) {
            assert_eq!(asking.join().unwrap().unwrap().job, id(job), "it was asked while there was a handle");
        }
        while changes.next_blocking().is_some() {}
        let yard = rig.replayed();
        assert_eq!(yard.jobs().count(), ASKING as usize);
        assert!(yard.nodes().all(|(_, node)| !node.is_alive()), "it has left in order");
    });
}

#[test]
fn whoever_finds_the_inbox_full_tries_again() {
    check(300, |rig| {
        let yard = rig.builder().inbox_max(1).trainer(kind(), quick).start().unwrap().0;
        let asking = (1..=ASKING).map(|job| {
            let yard = yard.clone();
            thread::spawn(move || {
                loop {
                    match answer(job, submit(&yard, job)) {
                        Err(HandleError::Busy { max: 1 }) => thread::yield_now(),
                        answered => return answered,
                    }
                }
            })
        });
        let asking: Vec<_> = asking.collect();
        for (job, asking) in (1..).zip(asking) {
            assert_eq!(asking.join().unwrap().unwrap().job, id(job));
            assert_eq!(answer(job, yard.finished(id(job))), Ok(DONE), "nothing of a run is turned away");
        }
        shut_down(&yard);
    });
}
