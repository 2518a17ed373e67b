use std::num::NonZeroUsize;

use parking_lot::Mutex;

/// Where a thread gets its next job.
pub(crate) struct Jobs<'a, I>(&'a Mutex<I>);

impl<I: Iterator> Jobs<'_, I> {
    pub(crate) fn next(&self) -> Option<I::Item> {
        self.0.lock().next()
    }
}

/// Runs `work` on this thread and on `threads − 1` others, until each of them returns. `work` takes jobs
/// until there are none, and keeps its buffers from one job to the next.
pub(crate) fn share<I>(threads: NonZeroUsize, jobs: I, work: impl Fn(&Jobs<'_, I>) + Sync)
where
    I: Iterator + Send,
{
    let jobs = Mutex::new(jobs);
    std::thread::scope(|scope| {
        for _ in 1..threads.get() {
            scope.spawn(|| work(&Jobs(&jobs)));
        }
        work(&Jobs(&jobs));
    });
}
