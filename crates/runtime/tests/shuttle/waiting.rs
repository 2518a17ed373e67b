//! Whoever waits for the end of a job is told of it, however close the two are.

use shuttle::thread::{self, JoinHandle};
use trainyard_core::port::HandleError;
use trainyard_core::{Outcome, Reason};
use trainyard_runtime::{Context, JobToTrain, Trainyard};
use trainyard_testkit::failing_journal::{FailingJournal, When};

use crate::rig::{DONE, Gate, answer, check, id, is_stopped, kind, obedient, quick, shut_down, submit};

/// One waits on a thread, one as a future, and one again and again.
fn wait(yard: &Trainyard, job: u128) -> Vec<JoinHandle<Result<Outcome, HandleError>>> {
    let waiting = |way| {
        let yard = yard.clone();
        thread::spawn(move || answer(way, yard.finished(id(job))))
    };
    (0..3).map(waiting).collect()
}

#[test]
fn all_are_told_of_the_end() {
    check(1_500, |rig| {
        let yard = rig.start(quick);
        submit(&yard, 1).wait().unwrap();
        for waiting in wait(&yard, 1) {
            assert_eq!(waiting.join().unwrap(), Ok(DONE));
        }
        shut_down(&yard);
    });
}

#[test]
fn all_are_told_the_same_of_a_job_that_is_taken_back() {
    check(1_000, |rig| {
        let yard = rig.start(quick);
        submit(&yard, 1).wait().unwrap();
        let waiting = wait(&yard, 1);
        let taken_back = yard.cancel(id(1), Reason::new("x")).wait();
        let outcomes: Vec<_> = waiting.into_iter().map(|waiting| waiting.join().unwrap().unwrap()).collect();
        let cancelled = Outcome::Cancelled { reason: Reason::new("x") };
        let end = if taken_back.is_ok() { cancelled } else { DONE };
        assert!(outcomes.iter().all(|outcome| *outcome == end), "{taken_back:?}: {outcomes:?}");
        // The slot is free again, whoever was first.
        submit(&yard, 2).wait().unwrap();
        assert_eq!(yard.finished(id(2)).wait(), Ok(DONE));
        shut_down(&yard);
        assert_eq!(rig.end(id(1)), Some(end));
    });
}

#[test]
fn all_are_told_that_the_yard_has_stopped() {
    check(1_000, |rig| {
        let (journal, faults) = FailingJournal::new(rig.log.holder());
        let begun = Gate::default();
        let has_begun = begun.clone();
        let train = move |cx: &mut Context, _: &JobToTrain| {
            has_begun.open();
            Err(obedient(cx))
        };
        let yard = rig.builder_of(1, journal).trainer(kind(), train).start().unwrap().0;
        submit(&yard, 1).wait().unwrap();
        begun.pass();
        let waiting = wait(&yard, 1);
        faults.fail_next_commit(When::BeforeEffect);
        assert!(is_stopped(&submit(&yard, 2).wait()));
        for waiting in waiting {
            assert!(is_stopped(&waiting.join().unwrap()));
        }
        assert_eq!(rig.end(id(1)), None, "it goes on at the next open");
    });
}
