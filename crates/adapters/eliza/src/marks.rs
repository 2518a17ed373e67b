//! How far each job was seen to be: what is shown never falls, also while a job is tried again, and stays after the end.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use trainyard_core::{JobId, Progress, Reason, Score};

/// The furthest that running trainers have said. Bounded; the host's notes say the same after a restart.
#[derive(Debug, Default)]
pub(crate) struct Marks(Mutex<BTreeMap<JobId, Mark>>);

/// How far one job was seen to be.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Mark {
    /// 0 to 1; never falls.
    pub(crate) fraction: f64,
    /// What the rest says, newest first.
    pub(crate) iteration: Option<u64>,
    pub(crate) iterations: Option<u64>,
    pub(crate) loss: Option<Score>,
    pub(crate) phase: Option<Reason>,
}

/// Of so many jobs it is known. Job ids grow with time where a runtime makes them, so the oldest go first.
const JOBS_MAX: usize = 1_024;

impl Marks {
    /// Takes in where a job's trainer stands, if it runs and has said; gives back how far the job is.
    pub(crate) fn raise(&self, job: JobId, live: Option<&Progress>) -> Mark {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(live) = live else {
            return marks.get(&job).cloned().unwrap_or_default();
        };
        if marks.len() >= JOBS_MAX && !marks.contains_key(&job) {
            marks.pop_first();
        }
        let mark = marks.entry(job).or_default();
        mark.fraction = mark.fraction.max(live.fraction().unwrap_or(0.0));
        mark.iteration = Some(live.step);
        mark.iterations = Some(live.total).filter(|total| *total > 0).or(mark.iterations);
        mark.loss = live.loss.or(mark.loss);
        mark.phase = live.phase.clone().or(mark.phase.take());
        mark.clone()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_fraction_never_falls(steps in prop::collection::vec((0_u64..200, 0_u64..100), 1..50)) {
            let marks = Marks::default();
            let job = JobId::from_u128(1);
            let mut last = 0.0;
            for (step, total) in steps {
                let mark = marks.raise(job, Some(&Progress::step(step, total)));
                prop_assert!(mark.fraction >= last && mark.fraction <= 1.0);
                prop_assert_eq!(mark.iteration, Some(step));
                last = mark.fraction;
                prop_assert_eq!(marks.raise(job, None), mark);
            }
        }
    }

    #[test]
    fn they_are_bounded() {
        let marks = Marks::default();
        for job in 0..2_000 {
            marks.raise(JobId::from_u128(job), Some(&Progress::step(1, 2)));
        }
        assert_eq!(marks.0.lock().unwrap().len(), JOBS_MAX);
        assert_eq!(marks.raise(JobId::from_u128(1_999), None).iteration, Some(1));
        assert_eq!(marks.raise(JobId::from_u128(0), None), Mark::default());
    }
}
