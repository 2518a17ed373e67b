//! Sees to it that the catalogue and the yard agree.

use std::sync::Arc;
use std::time::Duration;

use trainyard_core::port::{Change, HandleError};
use trainyard_core::{Event, Job, JobId, Kind, Parameters, Phase, Reason, Rejection};
use trainyard_mathfi::PredictionId;
use trainyard_runtime::{Subscription, Trainyard};

use super::books::Books;
use super::catalog::CatalogError;
use super::work::Work;
use crate::incoming;

/// Whatever the catalogue says is at work has an unfinished job of the yard, or gets one: also after a crash between
/// the two, and when the yard has lost its jobs. And whatever has a job that is over, and does not know it, ends with
/// it: after a panic, or when the time was over.
pub(crate) struct Keeper {
    books: Arc<Books>,
    yard: Trainyard,
    changes: Subscription,
}

/// What did not agree when a service was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Healed {
    /// How much work has got its job again.
    pub(crate) submitted: usize,
    /// How much has ended with a job that was over.
    pub(crate) ended: usize,
}

impl Keeper {
    /// Makes them agree for the first time.
    pub(crate) fn open(books: Arc<Books>, yard: Trainyard) -> Result<(Self, Healed), CatalogError> {
        let changes = yard.subscribe();
        let keeper = Self { books, yard, changes };
        let healed = keeper.heal()?;
        Ok((keeper, healed))
    }

    /// Keeps them so until the yard has stopped.
    pub(crate) fn run(mut self) {
        loop {
            match self.changes.next_timeout(EVERY) {
                Some(Change::Happened { fact, .. }) => self.hear(&fact.event),
                Some(Change::Progressed { .. }) => {}
                Some(Change::Missed { .. }) => self.books.fall_behind(),
                None if self.yard.stopped().is_some() => return,
                None => {}
            }
            if self.books.was_behind()
                && let Err(error) = self.heal()
            {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "the catalogue cannot be read; it is tried again");
                self.books.fall_behind();
            }
        }
    }

    /// Contests that wait for more memory than they may ever have, since there was more of it once: each is cancelled.
    /// Says how many those are.
    pub(crate) fn turn_away(&self, kind: &Kind) -> usize {
        let max = self.books.memory_mib;
        let waits = |job: &Job| job.class.kind == *kind && matches!(job.phase, Phase::Waiting(_));
        let too_large: Vec<(JobId, u64)> = self.yard.read(|yard| {
            let waiting = yard.jobs().filter(|job| waits(job));
            let needed = waiting.map(|job| (job.id, job.class.resources.amount(MEMORY_MIB)));
            needed.filter(|(_, needed)| *needed > max).collect()
        });
        for (job, needed) in &too_large {
            let reason = format!("it needs {needed} MiB of memory, and the service has {max} MiB for it now");
            tracing::warn!(%job, needed, max, "a training is cancelled: it does not fit into the memory any more");
            // When the yard has stopped, that is for the next start.
            drop(self.yard.cancel(*job, Reason::new(&reason)).wait());
        }
        too_large.len()
    }

    fn hear(&self, event: &Event) {
        if let Event::Finished { job, outcome, .. } = event {
            match self.yard.read(|yard| yard.job(*job).map(|job| Work::of(&job.subject))) {
                Some(Some(work)) => self.books.settle(work, outcome),
                Some(None) => {}
                // It is not in the books any more: whose it was, the catalogue knows.
                None => self.books.fall_behind(),
            }
        }
        if let Event::Held { job, .. } = event
            && let Some(job) = self.yard.job(*job)
            && Work::of(&job.subject).is_some()
        {
            self.take_back(job.id);
        }
    }

    fn heal(&self) -> Result<Healed, CatalogError> {
        let mut healed = Healed::default();
        let datasets = self.books.catalog.datasets_at_work()?.into_iter();
        self.heal_line(datasets.map(|(id, job)| (Work::Prepare(id), job)), &mut healed);
        let predictions = self.books.catalog.predictions_at_work()?.into_iter();
        self.heal_line(predictions.map(|(id, job)| (Work::Predict(id), job)), &mut healed);
        Ok(healed)
    }

    /// All work of one line, until it is full.
    fn heal_line(&self, line: impl Iterator<Item = (Work, JobId)>, healed: &mut Healed) {
        let mut put_off = 0_usize;
        for (work, job) in line {
            match self.yard.job(job) {
                None if put_off > 0 => put_off += 1,
                None => match submit(&self.books, &self.yard, work, job) {
                    Asked::Full => put_off = 1,
                    Asked::Answered | Asked::Later => healed.submitted += 1,
                },
                Some(job) => healed.ended += usize::from(self.look_after(work, &job)),
            }
        }
        if put_off > 0 {
            tracing::warn!(put_off, "the line is full: they are asked for again in a moment");
        }
    }

    /// Whether it has ended.
    fn look_after(&self, work: Work, job: &Job) -> bool {
        match &job.phase {
            Phase::Finished(finished) => {
                self.books.settle(work, &finished.outcome);
                true
            }
            Phase::Waiting(waiting) if waiting.held.is_some() => {
                self.take_back(job.id);
                false
            }
            Phase::Waiting(_) | Phase::Running(_) => false,
        }
    }

    /// Nobody here releases a job that is held: it is over, and so is what it was for.
    fn take_back(&self, job: JobId) {
        // When the yard has stopped, that is for the next start.
        drop(self.yard.cancel(job, Reason::new("it was held, and nobody would release it")));
    }
}

/// What became of a piece of work that the yard was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// It has its job, or has ended, or the yard has stopped.
    Answered,
    /// The line is full. It is tried again.
    Full,
    /// It is tried again.
    Later,
}

/// Has a piece of work done. When the yard does not take it now, it is tried again.
pub(super) fn submit(books: &Books, yard: &Trainyard, work: Work, job: JobId) -> Asked {
    let parameters = match work {
        Work::Prepare(_) => Parameters::default(),
        Work::Predict(id) => match model_of(books, yard, id) {
            Ok(Some(parameters)) => parameters,
            Ok(None) => {
                lose(books, id);
                return Asked::Answered;
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(prediction = %id, error, "it could not be looked up; it is tried again");
                books.fall_behind();
                return Asked::Later;
            }
        },
    };
    match yard.submit(books.classes.submission(work, job, parameters)).wait() {
        Ok(_) | Err(HandleError::Rejected(Rejection::JobExists(_)) | HandleError::Stopped { .. }) => {
            Asked::Answered
        }
        Err(HandleError::Rejected(Rejection::QueueFull { .. })) => {
            books.fall_behind();
            Asked::Full
        }
        Err(error) => {
            tracing::warn!(?work, %error, "it is asked for again in a moment");
            books.fall_behind();
            Asked::Later
        }
    }
}

/// Where the model of a prediction lies; `None` when there is none of them any more.
fn model_of(books: &Books, yard: &Trainyard, id: PredictionId) -> Result<Option<Parameters>, CatalogError> {
    let Some(prediction) = books.catalog.prediction(id)? else { return Ok(None) };
    let reference = yard.model(prediction.model).map(|model| model.artifact.to_string());
    Ok(reference.and_then(|reference| Parameters::new(reference.into_bytes()).ok()))
}

fn lose(books: &Books, id: PredictionId) {
    match books.catalog.fail_prediction(id, "its model is not there any more") {
        Ok(_) => incoming::remove(&books.files.rows(id)),
        Err(_) => books.fall_behind(),
    }
}

/// As contests call it.
const MEMORY_MIB: &str = "memory_mib";

/// How often it is looked whether something must be tried again.
const EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod restarts;
#[cfg(test)]
mod tests;
