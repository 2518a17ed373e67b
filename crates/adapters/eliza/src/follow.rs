//! What changes in the yard, told as events.

use std::sync::Arc;

use trainyard_core::port::{Change, Handle};
use trainyard_core::{Event as Happening, Fact, JobId, Outcome, Phase, Progress, Reason, Yard};

use crate::events::{Event, EventKind};
use crate::host::{Host, Task};
use crate::map;
use crate::service::{Edge, Eliza};
use crate::wire::answers::JobWord;

impl<H: Handle + ?Sized, S: Host + ?Sized> Eliza<H, S> {
    /// Tells what happens to jobs from now on, until the yard stops: that they start, come further and are over. When
    /// a training of a task is over, the yard is told how the task stands by then, so that what has become due
    /// meanwhile is not left until the next trajectory comes.
    ///
    /// It listens from the moment of the call; the future has to be driven, by a thread of its own
    /// ([`block_on`](trainyard_http::block_on)), since it asks the host where it is polled. One at a time: of two, each
    /// would tell everything. Needs no async runtime.
    pub fn follow(&self) -> impl Future<Output = ()> + Send + use<H, S> {
        let edge = Arc::clone(&self.edge);
        let mut changes = edge.handle.subscribe();
        async move {
            while let Some(change) = changes.next().await {
                edge.tell_of(&change);
            }
        }
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    fn tell_of(&self, change: &Change) {
        match change {
            Change::Happened { fact, revision: _ } => self.tell_of_fact(fact),
            Change::Progressed { job, progress } => {
                if self.is_of_ours(*job) {
                    self.tell_of_progress(*job, Some(progress));
                }
            }
            // Whoever watches looks for all of it anew after each of these.
            Change::Missed { .. } => {
                for job in self.running() {
                    self.tell_of_progress(job, self.handle.progress(job).as_ref());
                }
                self.observe_or_log();
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of all that happens, two things are about a job's life here"
    )]
    fn tell_of_fact(&self, fact: &Fact) {
        match &fact.event {
            Happening::Started { job, .. } if self.is_of_ours(*job) => {
                self.events.publish(Event::new(EventKind::JobStarted, "Training job started").with_job(*job));
            }
            Happening::Finished { job, outcome, .. } if self.is_of_ours(*job) => {
                self.events.publish(ended(*job, outcome));
                if self.is_of_a_task(*job) {
                    self.observe_or_log();
                }
            }
            _ => {}
        }
    }

    fn tell_of_progress(&self, job: JobId, live: Option<&Progress>) {
        let mark = self.marks.raise(job, live);
        let message = live.and_then(|live| live.message.as_ref()).map(Reason::as_str);
        let phase = mark.phase.map(|phase| phase.as_str().to_owned());
        let message = message.or(phase.as_deref()).unwrap_or("Training goes on").to_owned();
        let event = Event::new(EventKind::JobProgress, message).with_job(job);
        self.events.publish(Event { progress: Some(mark.fraction), phase, ..event });
    }

    fn is_of_ours(&self, job: JobId) -> bool {
        let mut is_ours = false;
        self.handle.read(&mut |yard| is_ours = yard.job(job).is_some_and(|job| map::is_ours(&job.subject)));
        is_ours
    }

    fn is_of_a_task(&self, job: JobId) -> bool {
        let mut is_of_a_task = false;
        self.handle.read(&mut |yard| {
            is_of_a_task = yard.job(job).is_some_and(|job| Task::of(&job.subject).is_some());
        });
        is_of_a_task
    }

    fn observe_or_log(&self) {
        if let Err(error) = self.observe() {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "the yard was not told how the tasks stand");
        }
    }

    fn running(&self) -> Vec<JobId> {
        let mut running = Vec::new();
        self.handle.read(&mut |yard: &Yard| {
            let at_work = yard.occupying().filter(|job| matches!(job.phase, Phase::Running(_)));
            running = at_work.filter(|job| map::is_ours(&job.subject)).map(|job| job.id).collect();
        });
        running
    }
}

fn ended(job: JobId, outcome: &Outcome) -> Event {
    let word = map::outcome_word(outcome);
    let (kind, message, progress) = match word {
        JobWord::Completed => (EventKind::JobCompleted, "Training job completed".to_owned(), Some(1.0)),
        JobWord::Cancelled => (EventKind::JobCancelled, "Training job cancelled".to_owned(), None),
        JobWord::Failed | JobWord::Queued | JobWord::Running => (
            EventKind::JobFailed,
            map::error(outcome).unwrap_or_else(|| "Training job failed".to_owned()),
            None,
        ),
    };
    let phase = Some(word.as_str().to_owned());
    Event { progress, phase, ..Event::new(kind, message).with_job(job) }
}
