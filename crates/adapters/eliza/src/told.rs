//! What was told of jobs, and is still so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trainyard_core::{Job, JobId, Model, Yard};
use trainyard_http::Bytes;

use crate::jobs::made;
use crate::marks::Mark;

/// A job in the words of the wire, and everything that these were made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Telling {
    /// The [edition](crate::Host::notes_edition) of what the host has noted.
    pub(crate) notes: u64,
    pub(crate) job: Job,
    pub(crate) model: Option<Arc<Model>>,
    pub(crate) mark: Mark,
    pub(crate) json: Bytes,
}

impl Telling {
    /// What it takes: its text, and what the job brought along, which the yard may have forgotten by then.
    fn bytes(&self) -> usize {
        self.json.len() + self.job.parameters.as_bytes().len()
    }

    /// Whether job and model are in the books, and there as they are here.
    pub(crate) fn is_of(&self, yard: &Yard) -> bool {
        yard.job(self.job.id).is_some_and(|job| *job == self.job && made(yard, job) == self.model.as_ref())
    }
}

/// The tellings of jobs that somebody has asked about, so that not every client that goes on asking has them made anew.
/// Whether one still holds is for whoever finds it to see.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    tellings: BTreeMap<JobId, Entry>,
    /// What the tellings take.
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    telling: Arc<Telling>,
    /// The newest edition of the yard in which job and model are known to be as they are here.
    edition: Option<u64>,
}

/// A kilobyte each, more or less, without a log.
const JOBS_MAX: usize = 1_024;
const BYTES_MAX: usize = 8 << 20;

impl Told {
    /// What was told of a job, and the newest edition of the yard that it is known to hold for.
    pub(crate) fn find(&self, job: JobId) -> Option<(Arc<Telling>, Option<u64>)> {
        let kept = self.lock();
        kept.tellings.get(&job).map(|entry| (Arc::clone(&entry.telling), entry.edition))
    }

    /// It holds for this edition too.
    pub(crate) fn holds(&self, telling: &Arc<Telling>, edition: Option<u64>) {
        let mut kept = self.lock();
        let entry = kept.tellings.get_mut(&telling.job.id);
        if let Some(entry) = entry.filter(|entry| Arc::ptr_eq(&entry.telling, telling)) {
            entry.edition = entry.edition.max(edition);
        }
    }

    /// Takes the place of what was told of the job before. Ids grow with time, so of others the first one is the oldest.
    pub(crate) fn keep(&self, telling: Telling) {
        let (job, bytes) = (telling.job.id, telling.bytes());
        if bytes > BYTES_MAX {
            return;
        }
        let mut kept = self.lock();
        kept.forget(job);
        while kept.tellings.len() >= JOBS_MAX || kept.bytes + bytes > BYTES_MAX {
            let Some(oldest) = kept.tellings.keys().next().copied() else { break };
            kept.forget(oldest);
        }
        kept.bytes += bytes;
        kept.tellings.insert(job, Entry { telling: Arc::new(telling), edition: None });
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget(&mut self, job: JobId) {
        if let Some(entry) = self.tellings.remove(&job) {
            self.bytes -= entry.telling.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use trainyard_core::{
        Attempt, Class, Kind, Order, Parameters, Phase, Priority, QueueName, Subject, Timestamp, Waiting,
    };

    use super::*;

    fn telling(number: u128, bytes: usize) -> Telling {
        let class = Class::new(Kind::new("eliza/cpu").unwrap(), QueueName::new("eliza").unwrap());
        let waiting = Waiting { not_before: Timestamp::from_millis(0), held: None };
        let job = Job {
            id: JobId::from_u128(number),
            order: Order::default(),
            subject: Subject::new("eliza/task/response").unwrap(),
            class: Arc::new(class),
            parameters: Parameters::default(),
            submitted_at: Timestamp::from_millis(0),
            phase: Phase::Waiting(waiting),
            ran: Duration::ZERO,
            attempts: Attempt::default(),
            retries: 0,
            interruptions: 0,
            priority: Priority::default(),
            extras: None,
        };
        Telling { notes: 1, job, model: None, mark: Mark::default(), json: vec![b' '; bytes].into() }
    }

    fn is_kept(told: &Told, number: u128) -> bool {
        let found = told.find(JobId::from_u128(number));
        found.is_some_and(|(found, _)| found.job.id == JobId::from_u128(number))
    }

    /// How many, and how long together.
    fn held(told: &Told) -> (usize, usize) {
        let kept = told.lock();
        (kept.tellings.len(), kept.bytes)
    }

    #[test]
    fn only_so_many_are_kept_and_the_newest_of_them() {
        let told = Told::default();
        let most = JOBS_MAX as u128;
        (0..=most).for_each(|number| told.keep(telling(number, 1)));
        assert_eq!([0, 1, most].map(|number| is_kept(&told, number)), [false, true, true]);
        // Whoever asks about an old one is served too.
        told.keep(telling(0, 1));
        assert_eq!([0, 1, 2].map(|number| is_kept(&told, number)), [true, false, true]);
        assert_eq!(held(&told), (JOBS_MAX, JOBS_MAX));
    }

    #[test]
    fn only_so_many_bytes_are_kept() {
        let told = Told::default();
        (1..=5).for_each(|number| told.keep(telling(number, BYTES_MAX / 4)));
        assert_eq!([1, 2, 5].map(|number| is_kept(&told, number)), [false, true, true]);
        told.keep(telling(5, 7));
        assert_eq!(held(&told), (4, 3 * (BYTES_MAX / 4) + 7));
        told.keep(telling(6, BYTES_MAX + 1));
        assert!(!is_kept(&told, 6) && is_kept(&told, 2), "what is too long moves nobody");
        told.keep(telling(6, BYTES_MAX));
        assert_eq!(held(&told), (1, BYTES_MAX));
    }

    #[test]
    fn an_edition_is_of_the_telling_that_was_looked_at() {
        let told = Told::default();
        told.keep(telling(1, 1));
        let (older, edition) = told.find(JobId::from_u128(1)).unwrap();
        assert_eq!(edition, None);
        told.holds(&older, Some(8));
        told.holds(&older, Some(7));
        assert_eq!(told.find(JobId::from_u128(1)).unwrap().1, Some(8));
        told.keep(telling(1, 2));
        told.holds(&older, Some(9));
        assert_eq!(told.find(JobId::from_u128(1)).unwrap().1, None, "another one took its place");
    }
}
