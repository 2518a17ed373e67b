//! What is kept of a yard is always of its newest state.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use trainyard_core::port::Handle;
use trainyard_core::{
    Class, Glance, JobId, Kind, QueueName, Reason, Resources, Subject, Submission, Timestamp, Trained,
};
use trainyard_testkit::bare_yard::{BareYard, in_process};

fn submit(yard: &BareYard, subject: &str) -> JobId {
    let class = Class::new(Kind::new("demo").unwrap(), QueueName::new("demo").unwrap());
    let job = yard.job_id();
    drop(yard.submit(Submission::new(job, Subject::new(subject).unwrap(), Arc::new(class))));
    job
}

#[test]
fn it_is_made_anew_after_every_change_and_only_then() {
    let yard = BareYard::new(Timestamp::from_millis(1), in_process(&["demo"], Resources::slots(1)));
    let (glance, looks) = (Glance::new(), Cell::new(0));
    let seen = || {
        let seen = glance.of(&yard, |yard| {
            looks.set(looks.get() + 1);
            (yard.jobs().count(), yard.occupying().count(), yard.now())
        });
        assert_eq!(seen, yard.look(|yard| (yard.jobs().count(), yard.occupying().count(), yard.now())));
        seen
    };
    assert_eq!((seen(), seen(), looks.get()), (seen(), seen(), 1), "nothing has changed");
    let first = submit(&yard, "a");
    assert_eq!((seen().0, looks.get()), (1, 2));
    let second = submit(&yard, "b");
    assert_eq!((seen().0, seen().1, looks.get()), (2, 1, 3));
    drop(yard.cancel(second, Reason::new("enough")));
    seen();
    yard.pass(Duration::from_secs(1));
    seen();
    yard.complete(Trained::default());
    assert_eq!((seen().1, yard.look(|yard| yard.job(first).unwrap().is_finished())), (0, true));
    yard.restart();
    let before = looks.get();
    seen();
    assert_eq!(looks.get(), before + 1, "another process is another yard");
}
