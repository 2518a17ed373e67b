//! Where every running trainer stands, live.

use std::collections::BTreeMap;
use std::task::Waker;

use trainyard_core::{JobId, Lease, Progress, Run};

use crate::hub::Hub;
use crate::sync::{Arc, Mutex};

/// The newest progress of every run. A run that is not on the board cannot say anything any more.
pub(crate) struct Board {
    hub: Arc<Hub>,
    runs: Mutex<BTreeMap<Run, Option<Newest>>>,
}

struct Newest {
    progress: Progress,
    /// Grows with every report, over all runs.
    stamp: u64,
}

impl Board {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, runs: Mutex::default() }
    }

    pub(crate) fn open(&self, run: Run) {
        self.runs.lock().insert(run, None);
    }

    pub(crate) fn close(&self, run: Run) {
        self.runs.lock().remove(&run);
    }

    /// Takes a report in and tells subscribers. The lock is held for both, so that nothing is told of a run once
    /// it has left the board.
    pub(crate) fn report(&self, run: Run, progress: Progress) {
        let mut runs = self.runs.lock();
        let stamp = of_job(&runs, run.job).map(|newest| newest.stamp).max().map_or(0, |stamp| stamp + 1);
        let Some(newest) = runs.get_mut(&run) else { return };
        let wakers = self.hub.progress(run.job, &progress);
        *newest = Some(Newest { progress, stamp });
        drop(runs);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// What was said last of a job, whichever candidate said it.
    pub(crate) fn progress(&self, job: JobId) -> Option<Progress> {
        let runs = self.runs.lock();
        of_job(&runs, job).max_by_key(|newest| newest.stamp).map(|newest| newest.progress.clone())
    }

    /// What one run said last.
    pub(crate) fn progress_of(&self, run: Run) -> Option<Progress> {
        Some(self.runs.lock().get(&run)?.as_ref()?.progress.clone())
    }
}

fn of_job(runs: &BTreeMap<Run, Option<Newest>>, job: JobId) -> impl Iterator<Item = &Newest> {
    let first = Run { job, lease: Lease::new(0) };
    let last = Run { job, lease: Lease::new(u64::MAX) };
    runs.range(first..=last).filter_map(|(_, newest)| newest.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_all_candidates_is_shown_until_they_leave() {
        let board = Board::new(Arc::default());
        let job = JobId::from_u128(1);
        let [a, b] = [1, 2].map(|lease| Run { job, lease: Lease::new(lease) });
        board.open(a);
        board.open(b);
        assert_eq!(board.progress(job), None);
        board.report(b, Progress::step(1, 9));
        board.report(a, Progress::step(5, 9));
        assert_eq!(board.progress(job), Some(Progress::step(5, 9)));
        assert_eq!(board.progress_of(b), Some(Progress::step(1, 9)));
        board.close(a);
        board.report(a, Progress::step(6, 9));
        assert_eq!(board.progress(job), Some(Progress::step(1, 9)));
    }
}
