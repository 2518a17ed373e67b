//! Sees to it that a catalogue of work and the yard agree.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use trainyard_core::port::{Change, HandleError};
use trainyard_core::{Event, Job, JobId, Outcome, Phase, QueueName, Reason, Rejection, Subject, Submission};
use trainyard_runtime::{Subscription, Trainyard};

/// Says how far each piece of work is. The yard says only whether somebody does it.
pub(crate) trait Ledger: Send + Sync + 'static {
    /// One piece of work.
    type Work: Copy + fmt::Debug;
    /// Why it cannot be read or written.
    type Error: std::error::Error + 'static;

    /// The work that the yard knows as this subject; `None` when it is none of these.
    fn work_of(&self, subject: &Subject) -> Option<Self::Work>;
    /// What has not ended, oldest first, each with the job that is noted for it.
    fn at_work(&self) -> Result<Vec<(Self::Work, JobId)>, Self::Error>;
    /// The line that its job waits in.
    fn line(&self, work: Self::Work) -> &QueueName;
    /// A request for it under this id: made twice it is one job. `None` when it cannot be done any more, which has ended
    /// it.
    fn submission(
        &self,
        yard: &Trainyard,
        work: Self::Work,
        job: JobId,
    ) -> Result<Option<Submission>, Self::Error>;
    /// Its job is over, so it must not be left at work. What was noted before stays.
    fn settle(&self, work: Self::Work, outcome: &Outcome) -> Result<(), Self::Error>;
    /// Whether it and the yard may not agree.
    fn behind(&self) -> &Behind;
    /// What else must agree, each time that they are made to. Also called when a job was held that is none of this work.
    fn tend(&self, _: &Trainyard) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Whether a ledger and the yard may not agree any more.
#[derive(Debug, Default)]
pub(crate) struct Behind(AtomicBool);

/// Whatever the ledger says is at work has an unfinished job of the yard, or gets one: also after a crash between the
/// two, and when the yard has lost its jobs. And whatever has a job that is over, and does not know it, ends with it:
/// after a panic, or when the time was over.
pub(crate) struct Keeper<L> {
    ledger: Arc<L>,
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

impl Behind {
    /// They may not.
    pub(crate) fn fall(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether they may not; asked once.
    pub(crate) fn was(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

impl<L: Ledger> Keeper<L> {
    /// Makes them agree for the first time.
    pub(crate) fn open(ledger: Arc<L>, yard: Trainyard) -> Result<(Self, Healed), L::Error> {
        let changes = yard.subscribe();
        let keeper = Self { ledger, yard, changes };
        let healed = keeper.heal()?;
        Ok((keeper, healed))
    }

    /// Keeps them so until the yard has stopped.
    pub(crate) fn run(mut self) {
        loop {
            match self.changes.next_timeout(EVERY) {
                Some(Change::Happened { fact, .. }) => self.hear(&fact.event),
                Some(Change::Progressed { .. }) => {}
                Some(Change::Missed { .. }) => self.ledger.behind().fall(),
                None if self.yard.stopped().is_some() => return,
                None => {}
            }
            if self.ledger.behind().was()
                && let Err(error) = self.heal()
            {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "the catalogue cannot be read; it is tried again");
                self.ledger.behind().fall();
            }
        }
    }

    fn hear(&self, event: &Event) {
        if let Event::Finished { job, outcome, .. } = event {
            match self.yard.read(|yard| yard.job(*job).map(|job| self.ledger.work_of(&job.subject))) {
                Some(Some(work)) => self.settle(work, outcome),
                Some(None) => {}
                // It is not in the books any more: whose it was, the ledger knows.
                None => self.ledger.behind().fall(),
            }
        }
        if let Event::Held { job, .. } = event
            && let Some(job) = self.yard.job(*job)
        {
            match self.ledger.work_of(&job.subject) {
                Some(_) => self.take_back(job.id),
                None => self.ledger.behind().fall(),
            }
        }
    }

    /// Makes them agree.
    pub(crate) fn heal(&self) -> Result<Healed, L::Error> {
        self.ledger.tend(&self.yard)?;
        let mut healed = Healed::default();
        // Once a line is full, nobody else is put into it.
        let mut put_off = BTreeMap::<&QueueName, usize>::new();
        for (work, job) in self.ledger.at_work()? {
            let line = self.ledger.line(work);
            match (self.yard.job(job), put_off.get_mut(line)) {
                (Some(job), _) => healed.ended += usize::from(self.look_after(work, &job)),
                (None, Some(more)) => *more += 1,
                (None, None) => match submit(&*self.ledger, &self.yard, work, job) {
                    Asked::Full => drop(put_off.insert(line, 1)),
                    Asked::Answered | Asked::Later => healed.submitted += 1,
                },
            }
        }
        for (line, put_off) in put_off {
            tracing::warn!(%line, put_off, "the line is full: they are asked for again in a moment");
        }
        Ok(healed)
    }

    /// Whether it has ended.
    fn look_after(&self, work: L::Work, job: &Job) -> bool {
        match &job.phase {
            Phase::Finished(finished) => {
                self.settle(work, &finished.outcome);
                true
            }
            Phase::Waiting(waiting) if waiting.held.is_some() => {
                self.take_back(job.id);
                false
            }
            Phase::Waiting(_) | Phase::Running(_) => false,
        }
    }

    fn settle(&self, work: L::Work, outcome: &Outcome) {
        if let Err(error) = self.ledger.settle(work, outcome) {
            let error: &dyn std::error::Error = &error;
            tracing::error!(?work, error, "its end could not be noted; it is tried again");
            self.ledger.behind().fall();
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
pub(crate) enum Asked {
    /// It has its job, or has ended, or the yard has stopped.
    Answered,
    /// The line is full. It is tried again.
    Full,
    /// It is tried again.
    Later,
}

/// Has a piece of work done. When the yard does not take it now, it is tried again.
pub(crate) fn submit<L: Ledger>(ledger: &L, yard: &Trainyard, work: L::Work, job: JobId) -> Asked {
    let submission = match ledger.submission(yard, work, job) {
        Ok(Some(submission)) => submission,
        Ok(None) => return Asked::Answered,
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::error!(?work, error, "it could not be looked up; it is tried again");
            ledger.behind().fall();
            return Asked::Later;
        }
    };
    match yard.submit(submission).wait() {
        Ok(_) | Err(HandleError::Rejected(Rejection::JobExists(_)) | HandleError::Stopped { .. }) => {
            Asked::Answered
        }
        Err(HandleError::Rejected(Rejection::QueueFull { .. })) => {
            ledger.behind().fall();
            Asked::Full
        }
        Err(error) => {
            tracing::warn!(?work, %error, "it is asked for again in a moment");
            ledger.behind().fall();
            Asked::Later
        }
    }
}

/// Jobs of these subjects that were cut short so often that the yard holds them. What somebody else holds is none of them.
pub(crate) fn stuck(yard: &Trainyard, is_ours: impl Fn(&Subject) -> bool) -> Vec<JobId> {
    let is_stuck = |job: &Job| match &job.phase {
        Phase::Waiting(waiting) => {
            let is_cut_short = |held: &Reason| held.as_str().starts_with(CORE_WORDS);
            waiting.held.as_ref().is_some_and(is_cut_short) && is_ours(&job.subject)
        }
        Phase::Running(_) | Phase::Finished(_) => false,
    };
    yard.read(|yard| yard.jobs().filter(|job| is_stuck(job)).map(|job| job.id).collect())
}

/// How the yard begins to say why it holds such a job. It says it nowhere else.
const CORE_WORDS: &str = "interrupted ";

/// How often it is looked whether something must be tried again.
const EVERY: Duration = Duration::from_secs(2);
