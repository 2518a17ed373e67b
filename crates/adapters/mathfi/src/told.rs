//! What was told of contests that are over, and stays so.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use trainyard_core::JobId;
use trainyard_http::Bytes;

use crate::host::DatasetId;

/// The progress of a contest in the words of the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// What it is about: whose that is may read it.
    pub(crate) dataset: DatasetId,
    pub(crate) json: Bytes,
}

/// The progress of the newest contests that somebody asked about when they were over, so that it is not put into words
/// for every client that goes on asking. Whether a contest is in the books is for the yard to say.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<BTreeMap<JobId, Progress>>);

/// A kilobyte each, more or less.
const KEPT_MAX: usize = 1_024;

impl Told {
    pub(crate) fn find(&self, job: JobId) -> Option<Progress> {
        self.lock().get(&job).cloned()
    }

    /// Ids grow with time, so the first one is the oldest.
    pub(crate) fn keep(&self, job: JobId, progress: Progress) {
        let mut kept = self.lock();
        kept.insert(job, progress);
        if kept.len() > KEPT_MAX {
            kept.pop_first();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobId, Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_are_kept_and_the_newest_of_them() {
        let told = Told::default();
        let progress = |number: u128| Progress {
            dataset: DatasetId::new(uuid::Uuid::from_u128(number)),
            json: number.to_string().into(),
        };
        let most = KEPT_MAX as u128;
        for number in 0..=most {
            told.keep(JobId::from_u128(number), progress(number));
        }
        assert_eq!(told.find(JobId::from_u128(0)), None);
        for number in [1, most] {
            assert_eq!(told.find(JobId::from_u128(number)), Some(progress(number)));
        }
    }
}
