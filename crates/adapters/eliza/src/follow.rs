//! What changes in the yard, told as events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use trainyard_core::port::{Change, Handle};
use trainyard_core::{
    Event as Happening, Fact, JobId, ModelId, Outcome, Phase, Progress, Reason, Timestamp, Yard,
};

use crate::events::{Event, EventKind};
use crate::host::{Host, Task};
use crate::map;
use crate::service::{Edge, Eliza};
use crate::wire::answers::JobWord;

impl<H: Handle + ?Sized, S: Host + ?Sized> Eliza<H, S> {
    /// Tells what happens to jobs from now on, until the yard stops: that they start, come further and are over, and
    /// that what one made became the active model by itself. How far a job is, is told at most once a second, and when
    /// its phase is another one: clients look for all of it anew after each event. When a training of a task is over,
    /// the yard is told how the task stands by then, so that what has become due meanwhile is not left until the next
    /// trajectory comes.
    ///
    /// It listens from the moment of the call; the future has to be driven, by a thread of its own
    /// ([`block_on`](trainyard_http::block_on)), since it asks the host where it is polled. One at a time: of two, each
    /// would tell everything. Needs no async runtime.
    pub fn follow(&self) -> impl Future<Output = ()> + Send + use<H, S> {
        let edge = Arc::clone(&self.edge);
        let mut changes = edge.handle.subscribe();
        let mut pace = Pace::default();
        async move {
            while let Some(change) = changes.next().await {
                edge.tell_of(&change, &mut pace);
            }
        }
    }
}

/// Of each job that was told to run and not to be over: when it was last told how far it is, and in which phase.
#[derive(Debug, Default)]
struct Pace(BTreeMap<JobId, Option<(Timestamp, Option<Reason>)>>);

impl Pace {
    /// A trainer may make many steps a second.
    const EVERY: Duration = Duration::from_secs(1);

    /// Whether it is time to tell how far a job is; if so, it counts as told. A clock that went back makes nobody wait.
    fn is_due(&mut self, job: JobId, phase: Option<&Reason>, now: Timestamp) -> bool {
        if let Some(Some((at, told))) = self.0.get(&job)
            && told.as_ref() == phase
            && *at <= now
            && now.since(*at) < Self::EVERY
        {
            return false;
        }
        self.0.insert(job, Some((now, phase.cloned())));
        true
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    fn tell_of(&self, change: &Change, pace: &mut Pace) {
        match change {
            Change::Happened { fact, revision: _ } => self.tell_of_fact(fact, pace),
            Change::Progressed { job, progress } => {
                // One that began to run before anybody listened is known to the yard alone.
                if pace.0.contains_key(job) || self.runs(*job) {
                    self.tell_of_progress(*job, Some(progress), pace);
                }
            }
            // Whoever watches looks for all of it anew after each of these.
            Change::Missed { .. } => {
                *pace = Pace::default();
                for job in self.running() {
                    self.tell_of_progress(job, self.handle.progress(job).as_ref(), pace);
                }
                self.observe_or_log();
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of all that happens, two things are about a job's life here"
    )]
    fn tell_of_fact(&self, fact: &Fact, pace: &mut Pace) {
        match &fact.event {
            Happening::Started { job, .. } if self.is_of_ours(*job) => {
                pace.0.insert(*job, None);
                self.events.publish(Event::new(EventKind::JobStarted, "Training job started").with_job(*job));
            }
            Happening::Finished { job, outcome, .. } if self.is_of_ours(*job) => {
                pace.0.remove(job);
                self.events.publish(ended(*job, outcome));
                if let Outcome::Completed { model: Some(model) } = outcome
                    && let Some(promoted) = self.active_name(*model)
                {
                    self.events.publish(activated(*model, &promoted));
                }
                if self.is_of_a_task(*job) {
                    self.observe_or_log();
                }
            }
            _ => {}
        }
    }

    fn tell_of_progress(&self, job: JobId, live: Option<&Progress>, pace: &mut Pace) {
        let mark = self.marks.raise(job, live);
        if !pace.is_due(job, mark.phase.as_ref(), self.handle.now()) {
            return;
        }
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

    /// Whether a job of ours is at work. What a trainer says while it stops is not told.
    fn runs(&self, job: JobId) -> bool {
        let mut runs = false;
        self.handle.read(&mut |yard| {
            let job = yard.job(job).filter(|job| map::is_ours(&job.subject));
            runs = job.is_some_and(|job| matches!(job.phase, Phase::Running(_)));
        });
        runs
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

pub(crate) fn activated(model: ModelId, name: &str) -> Event {
    Event::new(EventKind::ModelActivated, format!("Activated model {name}")).with_model(model)
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
