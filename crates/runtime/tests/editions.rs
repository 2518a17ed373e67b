//! Editions of the committed yard, which tell a reader whether to look again.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use support::{Rig, SAFETY, class, outcome, shut_down, submit};
use trainyard_core::Trained;
use trainyard_runtime::{Context, JobToTrain};

#[test]
fn one_edition_is_one_state_and_whoever_was_acknowledged_sees_a_later_one() {
    let rig = Rig::new();
    let yard = rig.start(|_: &mut Context, _: &JobToTrain| Ok(Trained::default()));
    let is_over = AtomicBool::new(false);
    let (looked, looks) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut states, mut last) = (BTreeMap::new(), 0);
            while !is_over.load(Ordering::SeqCst) {
                let (edition, state) = yard.read(|state| {
                    let over = state.jobs().filter(|job| job.is_finished()).count();
                    (yard.edition(), (state.jobs().count(), state.occupying().count(), over))
                });
                assert!(edition >= last, "it never goes back");
                last = edition;
                assert_eq!(*states.entry(edition).or_insert(state), state, "edition {edition}");
                let _enough = looked.send(());
            }
            states.len()
        });
        looks.recv_timeout(SAFETY).expect("it looks before there is anything");
        for n in 0..100 {
            let before = yard.edition();
            let id = submit(&yard, &format!("subject {n}"), class());
            assert!(yard.edition() > before, "a job has come");
            outcome(&yard, id);
        }
        looks.try_iter().take(1_000_000).for_each(drop);
        // What is told next may have been seen long ago; what is told after it is seen now.
        (0..2).for_each(|_| looks.recv_timeout(SAFETY).expect("it looks at all of it"));
        is_over.store(true, Ordering::SeqCst);
        assert!(reader.join().unwrap() > 1);
    });
    let before = yard.edition();
    assert_eq!((yard.read(|yard| yard.jobs().count()), yard.edition()), (100, before), "a look is no change");
    shut_down(&yard);
}
