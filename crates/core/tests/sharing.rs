//! Two yards that hold their jobs in line together.

mod support;

use support::desk::{Desk, usual};
use trainyard_core::*;

/// Whether both have the very same copy.
fn share(one: &Yard, other: &Yard, job: JobId) -> bool {
    one.job(job).zip(other.job(job)).is_some_and(|(one, other)| std::ptr::eq(one, other))
}

#[test]
fn yards_hold_together_what_waits_and_is_the_same_and_nothing_else() {
    let mut desk = Desk::with_slots(1);
    let [running, waiting, cancelled] =
        ["running", "waiting", "cancelled"].map(|subject| desk.submit(subject, &usual()));
    let mut reader = support::rebuilt(&desk.log);
    desk.cancel(cancelled);
    assert!(!share(&reader, &desk.yard, waiting));
    reader.share_waiting(&desk.yard, [running, waiting, cancelled, JobId::from_u128(99)]);
    assert!(share(&reader, &desk.yard, waiting));
    assert!(!share(&reader, &desk.yard, running), "what runs is soon changed");
    assert!(!share(&reader, &desk.yard, cancelled), "one is cancelled, the other is not yet");
    assert_eq!(reader.job(cancelled).and_then(Job::outcome), None);
    desk.cancel(waiting);
    assert!(!share(&reader, &desk.yard, waiting), "a change of one stays its own");
    assert_eq!(reader.job(waiting).and_then(Job::outcome), None);
}
