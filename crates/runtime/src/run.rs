//! What the driver and a trainer share about one run.

use trainyard_core::{Run, Score};

use crate::stop::StopFlag;
use crate::sync::{AtomicBool, Mutex, Ordering};

/// One run as both sides see it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) run: Run,
    pub(crate) stop: StopFlag,
    has_folder: AtomicBool,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    /// The newest that is to be made durable and was not handed to the driver yet.
    unsent: Option<Shown>,
    /// With what it has reached its contest's target; it is told of at once, and again with the end.
    reached: Option<(u64, Score)>,
}

/// What a run has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) step: u64,
    pub(crate) performance: Option<Score>,
}

impl Shared {
    pub(crate) fn new(run: Run) -> Self {
        Self { run, stop: StopFlag::default(), has_folder: AtomicBool::new(false), said: Mutex::default() }
    }

    /// Puts something down for the driver, in place of what it has not fetched yet. Whether it must be told.
    pub(crate) fn show(&self, shown: Shown) -> bool {
        let mut said = self.said.lock();
        match &mut said.unsent {
            None => {
                said.unsent = Some(shown);
                true
            }
            Some(unsent) => {
                unsent.step = shown.step;
                unsent.performance = shown.performance.or(unsent.performance);
                false
            }
        }
    }

    /// The target is reached. Whether that is news: of several threads of a trainer the first counts.
    pub(crate) fn reach(&self, step: u64, performance: Score) -> bool {
        let mut said = self.said.lock();
        let is_first = said.reached.is_none();
        said.reached.get_or_insert((step, performance));
        is_first
    }

    /// Notes that the run wants its folder.
    pub(crate) fn need_folder(&self) {
        self.has_folder.store(true, Ordering::Release);
    }

    /// Whether the run may have a folder.
    pub(crate) fn has_folder(&self) -> bool {
        self.has_folder.load(Ordering::Acquire)
    }

    pub(crate) fn take_unsent(&self) -> Option<Shown> {
        self.said.lock().unsent.take()
    }

    pub(crate) fn reached(&self) -> Option<(u64, Score)> {
        self.said.lock().reached
    }
}

#[cfg(test)]
mod tests {
    use trainyard_core::{JobId, Lease};

    use super::*;

    #[test]
    fn the_newest_wins_and_the_driver_is_told_once() {
        let shared = Shared::new(Run { job: JobId::from_u128(1), lease: Lease::new(1) });
        let score = |value| Some(Score::new(value).unwrap());
        assert!(shared.show(Shown { step: 1, performance: score(0.1) }));
        assert!(!shared.show(Shown { step: 2, performance: score(0.2) }));
        assert!(!shared.show(Shown { step: 3, performance: None }));
        assert_eq!(shared.take_unsent(), Some(Shown { step: 3, performance: score(0.2) }));
        assert_eq!(shared.take_unsent(), None);
        assert!(shared.show(Shown { step: 4, performance: None }));
    }

    #[test]
    fn the_first_to_reach_the_target_counts() {
        let shared = Shared::new(Run { job: JobId::from_u128(1), lease: Lease::new(1) });
        let [first, second] = [0.9, 0.95].map(|value| Score::new(value).unwrap());
        assert!(shared.reach(1, first));
        assert!(!shared.reach(2, second));
        assert_eq!(shared.reached(), Some((1, first)));
    }
}
