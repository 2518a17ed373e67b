//! A task meets a thread that is about to go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::thread;

use super::check;
use crate::pool::{Afterwards, Pool};

#[test]
fn every_task_runs_once_and_every_thread_ends() {
    const TASKS: usize = 3;
    const GIVERS: usize = 2;
    check(4_000, || {
        let pool = Arc::new(Pool::new());
        let done = Arc::new([const { AtomicUsize::new(0) }; GIVERS * TASKS]);
        let give = |giver: usize| {
            let (pool, done) = (Arc::clone(&pool), Arc::clone(&done));
            thread::spawn(move || {
                for task in 0..TASKS {
                    let done = Arc::clone(&done);
                    let run = move || {
                        done[giver * TASKS + task].fetch_add(1, Ordering::Relaxed);
                        if task == 1 { Afterwards::End } else { Afterwards::Reuse }
                    };
                    pool.run(Box::new(run)).unwrap();
                }
            })
        };
        let givers: Vec<_> = (0..GIVERS).map(give).collect();
        givers.into_iter().for_each(|giver| giver.join().unwrap());
        drop(pool);
        while done.iter().any(|done| done.load(Ordering::Relaxed) == 0) {
            thread::yield_now();
        }
        assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1));
    });
}

/// Tasks that end only once all of them have begun: each needs a thread of its own, whichever threads are free.
#[test]
fn whoever_takes_for_ever_keeps_nobody_waiting() {
    const TASKS: usize = 3;
    check(4_000, || {
        let pool = Pool::new();
        for threads in [1, TASKS] {
            let begun = Arc::new(AtomicUsize::new(0));
            for _ in 0..threads {
                let begun = Arc::clone(&begun);
                let run = move || {
                    begun.fetch_add(1, Ordering::Relaxed);
                    while begun.load(Ordering::Relaxed) < threads {
                        thread::yield_now();
                    }
                    Afterwards::Reuse
                };
                pool.run(Box::new(run)).unwrap();
            }
            while begun.load(Ordering::Relaxed) < threads {
                thread::yield_now();
            }
        }
    });
}
