//! How many jobs of ours there are in the books, and how far they are.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use trainyard_core::{Job, JobId, Order, Yard};

use crate::map;
use crate::wire::answers::{JobWord, Status};

/// Remembers which jobs are ours, while they are few: then only they are looked at, and those that have come since, for
/// every other change of the books is somebody else's.
#[derive(Debug, Default)]
pub(crate) struct Roll(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The edition of the yard that was looked at.
    edition: u64,
    /// The newest job in the books by then, whosever it was.
    newest: Option<Order>,
    /// Those of ours, unless they were many.
    ours: Option<BTreeSet<JobId>>,
}

/// To look one up takes as long as to pass several by.
const FEW: usize = 256;

impl Roll {
    /// Counts what there is in this edition of the yard; `None` when nobody counts them.
    pub(crate) fn count(&self, yard: &Yard, edition: Option<u64>) -> Status {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have looked later, and been quicker.
        let Some(edition) = edition.filter(|edition| *edition >= known.edition) else {
            return count_all(yard);
        };
        let Known { newest, ours, .. } = &mut *known;
        let counted = match ours {
            Some(ours) => {
                let is_new = |job: &&Job| newest.is_none_or(|newest| job.order > newest);
                let fresh = yard.jobs().rev().take_while(is_new);
                ours.extend(fresh.filter(is_ours).map(|job| job.id));
                let mut counted = Status::default();
                // The id of one that is forgotten may be another's by now.
                ours.retain(|id| {
                    let there = yard.job(*id).filter(is_ours);
                    there.inspect(|job| counted.add(job)).is_some()
                });
                counted
            }
            None => {
                let (mut counted, mut few) = (Status::default(), BTreeSet::new());
                for job in yard.jobs().filter(is_ours) {
                    counted.add(job);
                    if few.len() <= FEW {
                        few.insert(job.id);
                    }
                }
                *ours = Some(few);
                counted
            }
        };
        ours.take_if(|ours| ours.len() > FEW);
        *newest = yard.jobs().next_back().map(|job| job.order).max(*newest);
        known.edition = edition;
        counted
    }
}

fn is_ours(job: &&Job) -> bool {
    map::is_ours(&job.subject)
}

fn count_all(yard: &Yard) -> Status {
    let mut counted = Status::default();
    yard.jobs().filter(is_ours).for_each(|job| counted.add(job));
    counted
}

impl Status {
    fn add(&mut self, job: &Job) {
        match map::job_word(&job.phase) {
            JobWord::Queued => self.queued_jobs += 1,
            JobWord::Running => self.running_jobs += 1,
            JobWord::Completed => self.completed_jobs += 1,
            JobWord::Failed => self.failed_jobs += 1,
            // The vendor counts them nowhere.
            JobWord::Cancelled => {}
        }
    }
}
