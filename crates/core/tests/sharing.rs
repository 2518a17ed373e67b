//! Two yards that hold their jobs together, and which job a fact is about.

mod support;

use proptest::prelude::*;
use support::desk::{Desk, usual};
use support::{World, cases, steps};
use trainyard_core::*;

/// Whether both have the very same copy.
fn share(one: &Yard, other: &Yard, job: JobId) -> bool {
    one.job(job).zip(other.job(job)).is_some_and(|(one, other)| std::ptr::eq(one, other))
}

#[test]
fn yards_hold_together_what_is_the_same_and_nothing_else() {
    let mut desk = Desk::with_slots(1);
    let [running, waiting] = ["running", "waiting"].map(|subject| desk.submit(subject, &usual()));
    let mut reader = support::rebuilt(&desk.log);
    desk.cancel(waiting);
    assert!(!share(&reader, &desk.yard, running));
    reader.share_jobs(&desk.yard, [running, waiting, JobId::from_u128(99)]);
    assert!(share(&reader, &desk.yard, running));
    assert!(!share(&reader, &desk.yard, waiting), "one is cancelled, the other is not yet");
    assert_eq!(reader.job(waiting).and_then(Job::outcome), None);
    desk.report(running, 1, Some(50));
    assert!(!share(&reader, &desk.yard, running), "a change of one stays its own");
    assert_eq!(reader.job(running).and_then(Job::standing).map(|standing| standing.step), None);
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn a_fact_changes_the_job_that_it_is_about_and_no_other(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        let mut yard = Yard::default();
        for fact in &world.log {
            let before = yard.clone();
            yard.apply(fact).unwrap();
            let changed = yard.jobs().filter(|job| before.job(job.id) != Some(*job)).map(|job| job.id);
            for job in changed {
                prop_assert_eq!(fact.event.job(), Some(job), "{:?}", fact);
            }
        }
    }
}
