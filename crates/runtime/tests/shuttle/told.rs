//! Whoever subscribes is told everything, or how much it has missed.

use std::collections::BTreeSet;

use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::{self, JoinHandle};
use trainyard_core::port::{Change, Changes};
use trainyard_core::{Event, Progress, Reason, Resources, Trained};
use trainyard_runtime::{Context, JobToTrain, Subscription, TrainError, Trainyard};

use crate::rig::{DONE, LONG, Rig, check, id, kind, shut_down, submit};

/// Reports twice, and is done.
fn talkative(cx: &mut Context, _: &JobToTrain) -> Result<Trained, TrainError> {
    cx.report(Progress::step(1, 2))?;
    cx.report(Progress::step(2, 2).with_performance(0.5)?)?;
    Ok(Trained::default())
}

/// Listens from some moment on until the yard has stopped.
fn listen(yard: &Trainyard, way: u32, buffer: usize) -> JoinHandle<Vec<Change>> {
    let yard = yard.clone();
    thread::spawn(move || {
        let mut changes = yard.subscribe_with(buffer);
        drop(yard);
        std::iter::from_fn(|| next(way, &mut changes)).collect()
    })
}

fn next(way: u32, changes: &mut Subscription) -> Option<Change> {
    match way {
        0 => changes.next_blocking(),
        1 => block_on(changes.next()),
        // Nothing yet, or nothing any more; the second way knows.
        _ => changes.next_timeout(LONG).or_else(|| changes.next_blocking()),
    }
}

/// Checks what one was told against what has happened.
fn check_told(rig: &Rig, told: Vec<Change>) {
    let facts = rig.facts();
    let mut revision = None;
    let mut over = BTreeSet::new();
    let mut missed_last = false;
    for change in told {
        match change {
            Change::Happened { revision: now, fact } => {
                assert!(revision.is_none_or(|last: u64| last + 1 == now), "{revision:?}, then {now}");
                assert_eq!(facts[usize::try_from(now).unwrap() - 1], *fact);
                revision = Some(now);
                missed_last = false;
                if let Event::Finished { job, .. } = &fact.event {
                    over.insert(*job);
                }
            }
            Change::Missed { changes } => {
                assert!(changes > 0 && !missed_last, "what was missed is told once");
                missed_last = true;
                // Who has heard nothing before it does not know where it stands.
                revision = revision.map(|last| last + changes);
            }
            Change::Progressed { job, .. } => {
                assert!(!over.contains(&job), "{job} is over");
                missed_last = false;
            }
        }
    }
    assert!(revision.is_none_or(|last| last == facts.len() as u64), "{revision:?} of {}", facts.len());
}

#[test]
fn revisions_have_no_gaps_and_nothing_is_told_of_the_dead() {
    check(600, |rig| {
        let yard = rig.builder().trainer(kind(), talkative).capacity(Resources::slots(2)).start().unwrap().0;
        let small = thread_rng().gen_range(1..4);
        let listening = [listen(&yard, 0, small), listen(&yard, 1, 100), listen(&yard, 2, small)];
        for job in 1..=2 {
            submit(&yard, job).wait().unwrap();
        }
        // The second is taken back, before it begins, while it talks, or too late.
        let taken_back = yard.cancel(id(2), Reason::new("x")).wait();
        for job in 1..=2 {
            let is_done = yard.finished(id(job)).wait() == Ok(DONE);
            assert_eq!(is_done, job == 1 || taken_back.is_err());
            assert_eq!(yard.progress(id(job)), None, "it has left the board");
        }
        shut_down(&yard);
        for told in listening {
            check_told(rig, told.join().unwrap());
        }
    });
}
