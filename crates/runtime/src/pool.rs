//! Threads that run trainers: made when needed, used again, gone after a while without work.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use crate::sync::{Arc, Condvar, Mutex, thread};

/// Work for a thread. What it returns says whether the thread may be used again.
pub(crate) type Task = Box<dyn FnOnce() -> Afterwards + Send>;

/// What becomes of a thread once its work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// It waits for more.
    Reuse,
    /// It ends: what it ran was given up, and may have left anything behind.
    End,
}

/// A set of threads. Dropping it ends those that wait for work.
///
/// A task may take for ever, so each has a thread of its own: there are never more tasks in line than threads without
/// one. A thread that has just ended a task takes the next without being woken.
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    line: Mutex<Line>,
    work: Condvar,
}

#[derive(Default)]
struct Line {
    tasks: VecDeque<Task>,
    /// Threads without a task: they wait, or are about to look.
    free: usize,
    made: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self { shared: Arc::default() }
    }

    /// Runs a task on a thread that has none, or on a new one.
    ///
    /// # Errors
    /// When the operating system has no more threads. The task is lost.
    pub(crate) fn run(&self, task: Task) -> io::Result<()> {
        let mut line = self.shared.line.lock();
        if line.tasks.len() < line.free {
            line.tasks.push_back(task);
            drop(line);
            self.shared.work.notify_one();
            return Ok(());
        }
        line.made += 1;
        let name = format!("trainyard-{}", line.made);
        drop(line);
        let shared = Arc::clone(&self.shared);
        thread::Builder::new().name(name).spawn(move || shared.serve(task)).map(drop)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.line.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    /// What a thread does from its first task on.
    fn serve(&self, first: Task) {
        let mut next = Some(first);
        while let Some(task) = next {
            next = match task() {
                Afterwards::Reuse => self.next(),
                Afterwards::End => None,
            };
        }
    }

    /// The next task; `None` when there was none for a while, or nobody is left to hand one over.
    fn next(&self) -> Option<Task> {
        let mut line = self.line.lock();
        line.free += 1;
        self.work.wait_while_for(&mut line, |line| line.tasks.is_empty() && !line.closed, IDLE_MAX);
        line.free -= 1;
        line.tasks.pop_front()
    }
}

/// How long a thread waits for more work.
const IDLE_MAX: Duration = Duration::from_secs(10);

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use std::collections::BTreeSet;

    use crossbeam_channel::{Sender, bounded};

    use super::*;

    /// A task that says on which thread it runs.
    fn tell(done: &Sender<Option<String>>, afterwards: Afterwards) -> Task {
        let done = done.clone();
        Box::new(move || {
            let _ = done.send(std::thread::current().name().map(str::to_owned));
            afterwards
        })
    }

    fn until_free(pool: &Pool, threads: usize) {
        while pool.shared.line.lock().free != threads {
            std::thread::yield_now();
        }
    }

    #[test]
    fn threads_are_used_again_unless_they_were_given_up() {
        let pool = Pool::new();
        let (done, names) = bounded(1);
        pool.run(tell(&done, Afterwards::Reuse)).unwrap();
        let first = names.recv().unwrap();
        until_free(&pool, 1);
        pool.run(tell(&done, Afterwards::End)).unwrap();
        assert_eq!(names.recv().unwrap(), first);
        until_free(&pool, 0);
        pool.run(tell(&done, Afterwards::Reuse)).unwrap();
        assert_ne!(names.recv().unwrap(), first);
        assert_eq!(pool.shared.line.lock().made, 2);
    }

    #[test]
    fn whoever_takes_for_ever_keeps_nobody_waiting() {
        let pool = Pool::new();
        let (done, names) = bounded(64);
        let (open, gate) = bounded::<()>(0);
        // Eight threads, all of them free.
        for _ in 0..8 {
            let gate = gate.clone();
            pool.run(Box::new(move || {
                let _ = gate.recv();
                Afterwards::Reuse
            }))
            .unwrap();
        }
        drop(open);
        until_free(&pool, 8);
        // Sixteen tasks that each wait for all the others: every one must have a thread of its own.
        let all = Arc::new(std::sync::Barrier::new(16));
        for _ in 0..16 {
            let (all, done) = (Arc::clone(&all), done.clone());
            pool.run(Box::new(move || {
                all.wait();
                let _ = done.send(std::thread::current().name().map(str::to_owned));
                Afterwards::Reuse
            }))
            .unwrap();
        }
        let told: BTreeSet<_> = (0..16).map(|_| names.recv().unwrap()).collect();
        assert_eq!(told.len(), 16);
        assert_eq!(pool.shared.line.lock().made, 16);
    }

    #[test]
    fn a_dropped_pool_leaves_no_thread_behind() {
        let pool = Pool::new();
        let (done, names) = bounded(1);
        pool.run(tell(&done, Afterwards::Reuse)).unwrap();
        names.recv().unwrap();
        until_free(&pool, 1);
        let shared = Arc::downgrade(&pool.shared);
        drop(pool);
        while shared.strong_count() > 0 {
            std::thread::yield_now();
        }
    }
}
