//! Threads that run trainers: made when needed, used again, gone after a while without work.

use std::io;
use std::time::Duration;

use crate::sync::{Arc, AtomicUsize, Ordering, Receiver, Sender, TrySendError, bounded, thread};

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
pub(crate) struct Pool {
    /// Without a buffer: a task goes in exactly if a thread waits for one.
    tasks: Sender<Task>,
    idle: Receiver<Task>,
    made: Arc<AtomicUsize>,
}

impl Pool {
    pub(crate) fn new() -> Self {
        let (tasks, idle) = bounded(0);
        Self { tasks, idle, made: Arc::default() }
    }

    /// Runs a task on a thread that waits, or on a new one.
    ///
    /// # Errors
    /// When the operating system has no more threads. The task is lost.
    pub(crate) fn run(&self, task: Task) -> io::Result<()> {
        let task = match self.tasks.try_send(task) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(task) | TrySendError::Disconnected(task)) => task,
        };
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let idle = self.idle.clone();
        thread::Builder::new().name(format!("trainyard-{number}")).spawn(move || work(task, &idle)).map(drop)
    }
}

fn work(first: Task, idle: &Receiver<Task>) {
    let mut next = Some(first);
    while let Some(task) = next {
        next = match task() {
            Afterwards::Reuse => idle.recv_timeout(IDLE_MAX).ok(),
            Afterwards::End => None,
        };
    }
}

/// How long a thread waits for more work.
const IDLE_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_used_again_unless_they_were_given_up() {
        let pool = Pool::new();
        let (done, names) = bounded(1);
        let run = |afterwards| {
            let done = done.clone();
            // A thread that has said its name may not wait for work yet; the wait without a buffer bridges that.
            let task: Task = Box::new(move || {
                let _ = done.send(thread::current().name().map(str::to_owned));
                afterwards
            });
            if pool.made.load(Ordering::Relaxed) == 1 {
                pool.tasks.send_timeout(task, Duration::from_secs(5)).expect("the first thread comes back");
            } else {
                pool.run(task).unwrap();
            }
            names.recv_timeout(Duration::from_secs(5)).unwrap()
        };
        let first = run(Afterwards::Reuse);
        assert_eq!(run(Afterwards::End), first);
        pool.run(Box::new(|| Afterwards::Reuse)).unwrap();
        assert_eq!(pool.made.load(Ordering::Relaxed), 2);
    }
}
