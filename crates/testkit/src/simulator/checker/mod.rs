//! Small books of its own, kept from what is in the journal, in which every fact must fit.

mod audit;
mod books;
mod breach;
mod contest;
mod rules;
mod runs;
mod told;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use trainyard_core::{
    Event, Fact, IdempotencyKey, JobId, Lease, NodeId, Outcome, QueueName, Settings, Subject, Submission,
    Timestamp, Verdict,
};

pub use breach::{Breach, Invariant, Violation};
pub use told::Before;

use books::{JobBook, NodeBook, QueueBook, Stage, SubjectBook};
use contest::ContestBook;
use rules::RuleBook;

/// Checks a history fact by fact, in time that depends on the fact and not on how much there is.
///
/// It shares the vocabulary with the core and none of its code: what it knows, it has from the facts themselves. It
/// can be fed with any journal from its beginning, not only with that of a simulation.
///
/// ```
/// use trainyard_core::{Event, Fact, JobId, Lease, NodeId, Timestamp};
/// use trainyard_testkit::simulator::{Checker, Invariant};
///
/// let mut checker = Checker::new();
/// let at = Timestamp::from_millis(1);
/// let (job, lease, node) = (JobId::from_u128(1), Lease::new(1), NodeId::from_u128(1));
/// let breach = checker.take(&Fact { at, event: Event::Started { job, lease, node } }).unwrap_err();
/// assert_eq!(breach.invariant, Invariant::NoJobIsLost, "nobody has submitted it");
/// ```
#[derive(Debug, Default)]
pub struct Checker {
    now: Timestamp,
    facts: u64,
    last_lease: Lease,
    settings: Settings,
    jobs: BTreeMap<JobId, JobBook>,
    subjects: HashMap<Subject, SubjectBook>,
    keys: HashMap<IdempotencyKey, JobId>,
    queues: BTreeMap<QueueName, QueueBook>,
    nodes: BTreeMap<NodeId, NodeBook>,
    rules: BTreeMap<Subject, RuleBook>,
    /// Jobs that were forgotten lately, and how they had ended.
    forgotten: BTreeMap<JobId, Outcome>,
    /// The rule that has just fired, and the job that it must have.
    fired: Option<(Subject, JobId)>,
}

impl Checker {
    /// Books with nothing in them.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many facts it has taken.
    #[must_use]
    pub const fn facts(&self) -> u64 {
        self.facts
    }

    /// Takes the next fact of the history in.
    ///
    /// # Errors
    /// [`Breach`] when it cannot be the next one. The books are of no use any more then.
    pub fn take(&mut self, fact: &Fact) -> Result<(), Breach> {
        if fact.at < self.now {
            return breach(Invariant::TimeGoesOn, format!("{:?} after {:?}", fact, self.now));
        }
        self.now = fact.at;
        self.facts += 1;
        if let Some((subject, job)) = self.fired.take() {
            self.check_fired(&subject, job, &fact.event)?;
        }
        match &fact.event {
            Event::Ticked
            | Event::RetentionSet { .. }
            | Event::ModelActivated { .. }
            | Event::ModelsForgotten { .. } => Ok(()),
            Event::Configured(settings) => {
                self.settings = *settings;
                Ok(())
            }
            Event::NodeJoined { node, epoch, abilities, until: _ } => {
                let former = self.nodes.get(node);
                if former.is_some_and(|former| *epoch <= former.epoch) {
                    return breach(
                        Invariant::LeasesGrow,
                        format!("node {node} joins in epoch {epoch} again"),
                    );
                }
                let occupants = former.map(|former| former.occupants.clone()).unwrap_or_default();
                let (kinds, capacity) = (abilities.kinds.clone(), abilities.capacity.clone());
                self.nodes
                    .insert(*node, NodeBook { epoch: *epoch, kinds, capacity, is_alive: true, occupants });
                Ok(())
            }
            Event::NodeAlive { node, until: _ } => {
                self.node(*node)?.is_alive = true;
                Ok(())
            }
            Event::NodeLost { node } => self.node_lost(*node),
            Event::QueueConfigured { queue, settings } => {
                self.queue(queue).settings = *settings;
                Ok(())
            }
            Event::QueuePaused { queue, reason: _ } => {
                self.queue(queue).is_paused = true;
                Ok(())
            }
            Event::QueueResumed { queue } => {
                self.queue(queue).is_paused = false;
                Ok(())
            }
            Event::Submitted { submission } => self.submitted(fact.at, submission),
            Event::Updated { job, parameters: _, watermark } => {
                let book = self.job(*job)?;
                if book.attempts > 0 || book.is_over() {
                    return breach(
                        Invariant::OutcomesAreFinal,
                        format!("job {job} is changed when it is tried"),
                    );
                }
                book.watermark = *watermark;
                Ok(())
            }
            Event::Started { job, lease, node } => self.started(fact.at, *job, *lease, *node),
            Event::Reported { job, lease, .. } | Event::Checkpointed { job, lease, .. } => {
                self.wrote(*job, *lease)
            }
            Event::Reached { job, lease, step: _, performance } => {
                self.in_contest(*job, *lease, |contest| contest.reach(*lease, *performance))
            }
            Event::HandedOver { job, lease, .. } => {
                self.in_contest(*job, *lease, |contest| contest.hand_over(*lease))
            }
            Event::CandidateEnded { job, lease, outcome } => {
                self.candidate_ended(fact.at, *job, *lease, outcome)
            }
            Event::Interrupted { job, ran, .. } => self.requeued(*job, fact.at, *ran),
            Event::Retried { job, not_before, ran, reason: _ } => {
                self.retried(fact.at, *job, *not_before, *ran)
            }
            Event::Held { job, reason: _ } => self.set_held(*job, true),
            Event::Unheld { job } => self.set_held(*job, false),
            Event::Recovering { job } => self.recovering(*job),
            Event::Recovered { job } => match self.job(*job)?.stage {
                Stage::Running(_) => Ok(()),
                Stage::Waiting { .. } | Stage::Over { .. } => {
                    breach(Invariant::OldLeasesNeverWrite, format!("job {job} is found and was not at work"))
                }
            },
            Event::Finished { job, outcome, released, deadline: _ } => {
                self.finished(fact.at, *job, outcome, *released)
            }
            Event::Released { job, lease, how: _ } => self.released(*job, *lease),
            Event::RuleSet { subject, rule, template } => {
                let former = self.rules.remove(subject);
                self.rules.insert(subject.clone(), RuleBook::set(former, *rule, template));
                Ok(())
            }
            Event::RuleRemoved { subject } => {
                self.rules.remove(subject);
                Ok(())
            }
            Event::Decided { subject, decision, next_job } => match decision.verdict {
                Verdict::Train(_) => self.fires(fact.at, subject, decision, *next_job),
                Verdict::Wait(_) => Ok(()),
            },
            Event::ModelRegistered { model } => {
                let book = self.job(model.job)?;
                if book.model.replace(model.id).is_some() || !matches!(book.stage, Stage::Running(_)) {
                    return breach(Invariant::OutcomesAreFinal, format!("job {} has two models", model.job));
                }
                Ok(())
            }
            Event::Retired { subject } => {
                self.rules.remove(subject);
                match self.subjects.get(subject).and_then(|book| book.unfinished.first()) {
                    Some(job) => {
                        breach(Invariant::OutcomesAreFinal, format!("{subject} is no more, job {job} is"))
                    }
                    None => Ok(()),
                }
            }
            Event::Forgotten { jobs } => jobs.iter().try_for_each(|job| self.forget(*job)),
            Event::Restored(_) => {
                breach(Invariant::NoJobIsLost, "a history begins at its beginning, not at a snapshot")
            }
        }
    }

    fn submitted(&mut self, at: Timestamp, submission: &Submission) -> Result<(), Breach> {
        let id = submission.job;
        if self.jobs.contains_key(&id) || self.forgotten.contains_key(&id) {
            return breach(Invariant::KeysAreUnique, format!("job {id} is submitted twice"));
        }
        if let Some(key) = &submission.key
            && let Some(other) = self.keys.insert(key.clone(), id)
        {
            return breach(Invariant::KeysAreUnique, format!("{key} has made {other} and {id}"));
        }
        let queue = self.queue(&submission.class.queue);
        queue.waiting += 1;
        if queue.waiting > queue.settings.waiting_max {
            return breach(
                Invariant::QueuesKeepTheirLimits,
                format!("{} wait in {:?}", queue.waiting, queue.settings),
            );
        }
        let subject = self.subjects.entry(submission.subject.clone()).or_default();
        subject.unfinished.insert(id);
        let (unfinished, max) = (subject.unfinished.len(), self.settings.unfinished_max as usize);
        if unfinished > max.max(1) {
            return breach(
                Invariant::QueuesKeepTheirLimits,
                format!("{} has {unfinished} jobs", submission.subject),
            );
        }
        let book = JobBook {
            class: Arc::clone(&submission.class),
            subject: submission.subject.clone(),
            key: submission.key.clone(),
            watermark: submission.watermark,
            submitted_at: at,
            stage: Stage::Waiting {
                not_before: submission.not_before.unwrap_or(Timestamp::MIN),
                held: false,
            },
            ran: std::time::Duration::ZERO,
            attempts: 0,
            retries: 0,
            contest: submission.contest.as_deref().map(ContestBook::new),
            model: None,
        };
        self.jobs.insert(id, book);
        Ok(())
    }

    fn fires(
        &mut self,
        at: Timestamp,
        subject: &Subject,
        decision: &trainyard_core::Decision,
        next_job: JobId,
    ) -> Result<(), Breach> {
        let unfinished = self.subjects.get(subject).map(|book| &book.unfinished);
        let count = unfinished.map_or(0, |jobs| jobs.len());
        let jobs = unfinished.into_iter().flatten().filter_map(|job| self.jobs.get(job));
        let waiting_for = jobs.filter_map(|job| job.watermark).max();
        let fired = match self.rules.get_mut(subject) {
            Some(rule) => rule.fire(at, decision, count, waiting_for),
            None => Err("there is none".into()),
        };
        fired.map_err(|what| {
            Breach::new(Invariant::RulesKeepTheirTerms, format!("rule of {subject}: {what}"))
        })?;
        self.fired = Some((subject.clone(), next_job));
        Ok(())
    }

    /// A rule that has fired is followed by its job.
    fn check_fired(&self, subject: &Subject, job: JobId, event: &Event) -> Result<(), Breach> {
        let is_there = if let Event::Submitted { submission } = event {
            submission.job == job && submission.subject == *subject
        } else if let Event::Updated { job, .. } = event {
            // One that waits already has become the run that was asked for.
            self.jobs.get(job).is_some_and(|book| book.subject == *subject)
        } else {
            // One of the same sort is there, which it has joined.
            self.subjects.get(subject).is_some_and(|book| !book.unfinished.is_empty())
        };
        let what = || format!("the rule of {subject} fires, and then {event:?}");
        if is_there { Ok(()) } else { breach(Invariant::RulesKeepTheirTerms, what()) }
    }

    fn forget(&mut self, job: JobId) -> Result<(), Breach> {
        let Some(book) = self.jobs.remove(&job) else {
            return breach(Invariant::NoJobIsLost, format!("job {job} is forgotten, and was not there"));
        };
        let Stage::Over { outcome, draining: None } = book.stage else {
            return breach(Invariant::NoJobIsLost, format!("job {job} is forgotten before it is over"));
        };
        if let Some(key) = &book.key {
            self.keys.remove(key);
        }
        self.forgotten.insert(job, outcome);
        if self
            .subjects
            .get(&book.subject)
            .is_some_and(|book| book.occupied.is_none() && book.unfinished.is_empty())
        {
            self.subjects.remove(&book.subject);
        }
        Ok(())
    }

    fn job(&mut self, job: JobId) -> Result<&mut JobBook, Breach> {
        let missing = || Breach::new(Invariant::NoJobIsLost, format!("job {job} is not in the books"));
        self.jobs.get_mut(&job).ok_or_else(missing)
    }

    fn node(&mut self, node: NodeId) -> Result<&mut NodeBook, Breach> {
        let missing = || Breach::new(Invariant::OldLeasesNeverWrite, format!("node {node} has never joined"));
        self.nodes.get_mut(&node).ok_or_else(missing)
    }

    fn queue(&mut self, queue: &QueueName) -> &mut QueueBook {
        if !self.queues.contains_key(queue) {
            self.queues.insert(queue.clone(), QueueBook::default());
        }
        self.queues.get_mut(queue).expect("it was put there if it was missing")
    }
}

pub(super) fn breach<T>(invariant: Invariant, what: impl Into<String>) -> Result<T, Breach> {
    Err(Breach::new(invariant, what))
}
