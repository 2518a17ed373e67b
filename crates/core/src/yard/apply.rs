//! The only way a yard changes.

use std::sync::Arc;
use std::time::Duration;

use crate::fact::Interruption;
use crate::{
    Attempt, Contact, Contest, Draining, Event, Extras, Fact, Finished, Job, JobId, Lease, Leaving, ModelId,
    Node, NodeId, Outcome, Phase, Queue, Reason, Resources, Restored, Running, Subject, Submission,
    Timestamp, Verdict, Waiting,
};

use super::{ClassKey, Rule, Yard};

/// A fact that cannot have happened in the state it is applied to: the log it comes from contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the log contradicts itself: {what}")]
pub struct Impossible {
    what: String,
}

impl Impossible {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

impl Yard {
    /// Takes one durable fact in. Live running and replay after a crash both come through here.
    ///
    /// # Errors
    /// [`Impossible`] when the fact cannot have happened. The yard may then be half changed and must be dropped.
    pub fn apply(&mut self, fact: &Fact) -> Result<(), Impossible> {
        let at = fact.at;
        self.now = self.now.max(at);
        self.wake();
        match &fact.event {
            Event::Ticked => {}
            Event::Configured(settings) => self.settings = *settings,
            Event::NodeJoined { node, epoch, abilities, until } => {
                let used = Resources::slots(0);
                let joined = Node {
                    epoch: *epoch,
                    abilities: abilities.clone(),
                    used,
                    alive_until: Some(*until),
                    seen_at: at,
                };
                self.set_node(*node, joined);
            }
            Event::NodeAlive { node, until } => {
                let known = self.nodes.get(node).ok_or_else(|| no_node(*node))?.clone();
                self.set_node(*node, Node { alive_until: Some(*until), seen_at: at, ..known });
            }
            Event::NodeLost { node } => {
                let known = self.nodes.get(node).ok_or_else(|| no_node(*node))?.clone();
                self.set_node(*node, Node { alive_until: None, ..known });
            }
            Event::QueueConfigured { queue, settings } => {
                self.queue_mut(queue).settings = *settings;
                self.line_up_again(queue);
            }
            Event::RetentionSet { queue, retention } => self.queue_mut(queue).retention = *retention,
            Event::QueuePaused { queue, reason } => self.queue_mut(queue).paused = Some(reason.clone()),
            Event::QueueResumed { queue } => self.queue_mut(queue).paused = None,
            Event::Submitted { submission } => self.apply_submitted(at, submission)?,
            Event::Updated { job, parameters, watermark } => {
                let job = self.job_mut(*job).ok_or_else(|| no_job(*job))?;
                job.parameters = parameters.clone();
                if job.watermark() != *watermark {
                    job.extras_mut().watermark = *watermark;
                }
            }
            Event::Started { job, lease, node } => self.apply_started(at, *job, *lease, *node)?,
            Event::Reported { job, lease, step, performance } => {
                self.hear(at, *job);
                self.change(*job, |job| {
                    let stall = job.class.limits.stall;
                    let extras = job.extras_mut();
                    // What is about an older step was heard, and changes nothing else.
                    let _taken = match &mut extras.contest {
                        Some(contest) => contest.report(*lease, stall.as_ref(), at, *step, *performance),
                        None => extras.standing.report(stall.as_ref(), at, *step, *performance),
                    };
                    Ok(())
                })?;
            }
            Event::Reached { job, lease, step, performance } => {
                self.hear(at, *job);
                self.change(*job, |job| {
                    let stall = job.class.limits.stall;
                    let is_there = contest_of(job)?.reach(*lease, stall.as_ref(), at, *step, *performance);
                    somebody(is_there, "reaches the target")
                })?;
            }
            Event::HandedOver { job, lease, model, trained } => {
                self.hear(at, *job);
                self.change(*job, |job| {
                    let is_there = contest_of(job)?.hand_over(*lease, *model, trained.clone());
                    somebody(is_there, "hands over")
                })?;
            }
            Event::Checkpointed { job, lease, checkpoint } => {
                self.hear(at, *job);
                let job = self.job_mut(*job).ok_or_else(|| no_job(*job))?;
                let extras = job.extras_mut();
                let standing = match &mut extras.contest {
                    Some(contest) => contest.by_lease_mut(*lease).map(|candidate| &mut candidate.standing),
                    None => Some(&mut extras.standing),
                };
                let standing = standing.ok_or_else(|| Impossible::new("a checkpoint of nobody"))?;
                let last = standing.checkpoint.replace(checkpoint.clone());
                // Whoever writes the same checkpoint again has got no further.
                if last.is_none_or(|last| checkpoint.step > last.step) {
                    job.interruptions = 0;
                }
            }
            Event::CandidateEnded { job, lease, outcome } => {
                self.change(*job, |job| {
                    let contest = contest_of(job)?;
                    let candidate = contest.by_lease(*lease).map(|candidate| candidate.id);
                    contest.end(*lease, outcome.clone(), at);
                    if let (Some(candidate), Phase::Running(running)) = (candidate, &mut job.phase)
                        && running.live.contains(lease)
                    {
                        running.leaving.push(Leaving { lease: *lease, candidate, since: at });
                    }
                    Ok(())
                })?;
            }
            Event::Interrupted { job, cause, ran, reason: _ } => {
                self.requeue(*job, at, *ran, |job| match cause {
                    Interruption::Abrupt => job.interruptions = job.interruptions.saturating_add(1),
                    Interruption::Orderly => {}
                })?
            }
            Event::Retried { job, not_before, ran, reason: _ } => {
                self.requeue(*job, *not_before, *ran, |job| {
                    job.retries = job.retries.saturating_add(1);
                    if let Some(extras) = &mut job.extras {
                        extras.standing.retry();
                    }
                })?
            }
            Event::Held { job, reason } => self.set_hold(*job, Some(reason.clone()))?,
            Event::Unheld { job } => self.set_hold(*job, None)?,
            Event::Recovering { job } => {
                let node = self.running(*job)?.node;
                let epoch = self.nodes.get(&node).ok_or_else(|| no_node(node))?.epoch;
                self.change_running(*job, |running| {
                    running.contact = Contact::Recovering;
                    running.epoch = epoch;
                })?;
            }
            Event::Recovered { job } => {
                self.change_running(*job, |running| running.contact = Contact::Held)?
            }
            Event::Finished { job, outcome, released, deadline } => {
                self.apply_finished(at, *job, outcome, *released, *deadline)?;
            }
            Event::Released { job, lease, how: _ } => self.apply_released(*job, *lease)?,
            Event::RuleSet { subject, rule, template } => {
                let history = self.rules.get(subject).map(|rule| rule.history).unwrap_or_default();
                let template = Arc::clone(template);
                self.set_rule(
                    subject,
                    Some(Rule { rule: *rule, template, history, decision: None, next_job: None }),
                );
            }
            Event::RuleRemoved { subject } => self.set_rule(subject, None),
            Event::Decided { subject, decision, next_job } => {
                let mut rule = self
                    .rules
                    .get(subject)
                    .ok_or_else(|| Impossible::new(format!("{subject} has no rule")))?
                    .clone();
                if let Verdict::Train(_) = decision.verdict {
                    rule.history.fired_at = Some(at);
                }
                rule.decision = Some(Arc::clone(decision));
                rule.next_job = Some(*next_job);
                self.set_rule(subject, Some(rule));
            }
            Event::ModelRegistered { model } => {
                self.registries.entry(model.registry.clone()).or_default().models.push(model.id);
                self.models.insert(model.id, Arc::clone(model));
            }
            Event::ModelActivated { registry, model } => {
                self.registries.entry(registry.clone()).or_default().active = Some(*model);
            }
            Event::ModelsForgotten { models } => models.iter().for_each(|model| self.forget_model(*model)),
            Event::Retired { subject } => self.apply_retired(subject),
            Event::Forgotten { jobs } => {
                for job in jobs {
                    self.forget_job(*job)?;
                }
            }
            Event::Restored(restored) => self.apply_restored(restored)?,
        }
        Ok(())
    }

    fn apply_submitted(&mut self, at: Timestamp, submission: &Submission) -> Result<(), Impossible> {
        if self.orders.contains_key(&submission.job) {
            return Err(Impossible::new(format!("job {} is submitted twice", submission.job)));
        }
        let order = self.next_order;
        self.next_order = order.next();
        // One copy of each class is kept: that of the first job that waits with it.
        let known = self.ready.get_key_value(&ClassKey(Arc::clone(&submission.class)));
        let class = known.map_or(&submission.class, |(ClassKey(class), _)| class);
        let rare = submission.key.is_some() || submission.watermark.is_some() || submission.contest.is_some();
        let extras = rare.then(|| {
            Box::new(Extras {
                key: submission.key.clone(),
                watermark: submission.watermark,
                contest: submission.contest.as_deref().map(Contest::new),
                ..Extras::default()
            })
        });
        let not_before = submission.not_before.unwrap_or(Timestamp::MIN);
        self.insert(Job {
            id: submission.job,
            order,
            subject: submission.subject.clone(),
            class: Arc::clone(class),
            parameters: submission.parameters.clone(),
            submitted_at: at,
            phase: Phase::Waiting(Waiting { not_before, held: None }),
            ran: Duration::ZERO,
            attempts: Attempt::default(),
            retries: 0,
            interruptions: 0,
            priority: submission.priority,
            extras,
        });
        Ok(())
    }

    fn apply_started(
        &mut self,
        at: Timestamp,
        job: JobId,
        lease: Lease,
        id: NodeId,
    ) -> Result<(), Impossible> {
        let kind = self.job(job).ok_or_else(|| no_job(job))?.class.kind.clone();
        let node = self.nodes.get_mut(&id).ok_or_else(|| no_node(id))?;
        node.seen_at = node.seen_at.max(at);
        let placement =
            *node.abilities.kinds.get(&kind).ok_or_else(|| Impossible::new(format!("no {kind} there")))?;
        let epoch = node.epoch;
        let mut last = lease;
        self.change(job, |job| {
            let stall = job.class.limits.stall;
            let live = match job.extras.as_deref_mut() {
                Some(Extras { contest: Some(contest), .. }) => contest.start(stall.as_ref(), at, lease),
                extras => {
                    if let Some(extras) = extras {
                        extras.standing.start(stall.as_ref(), at);
                    } else if stall.is_some() {
                        job.extras_mut().standing.start(stall.as_ref(), at);
                    }
                    vec![lease]
                }
            };
            last = live.last().copied().unwrap_or(lease);
            job.attempts = job.attempts.next();
            let contact = Contact::Held;
            job.phase = Phase::Running(Box::new(Running {
                started_at: at,
                lease,
                node: id,
                epoch,
                placement,
                contact,
                live,
                leaving: Vec::new(),
            }));
            Ok(())
        })?;
        self.last_lease = self.last_lease.max(last);
        Ok(())
    }

    fn apply_finished(
        &mut self,
        at: Timestamp,
        job: JobId,
        outcome: &Outcome,
        released: Option<Lease>,
        deadline: Timestamp,
    ) -> Result<(), Impossible> {
        self.change(job, |job| {
            let ran = job.ran_until(at);
            let draining = match &job.phase {
                Phase::Finished(_) => return Err(Impossible::new(format!("job {} ends twice", job.id))),
                Phase::Waiting(_) => None,
                Phase::Running(running) => {
                    let live: Vec<Lease> =
                        running.live.iter().copied().filter(|lease| Some(*lease) != released).collect();
                    let Running { node, epoch, .. } = **running;
                    (!live.is_empty()).then_some(Draining { node, epoch, live, deadline })
                }
            };
            job.ran = ran;
            if let Some(Extras { contest, standing, .. }) = job.extras.as_deref_mut() {
                standing.close();
                if let Some(contest) = contest {
                    contest.finish(outcome, at);
                }
            }
            job.phase = Phase::Finished(Box::new(Finished { outcome: outcome.clone(), at, draining }));
            Ok(())
        })?;
        self.remember_run(at, job);
        Ok(())
    }

    /// What a rule remembers of a run of its subject.
    fn remember_run(&mut self, at: Timestamp, job: JobId) {
        if self.rules.is_empty() {
            return;
        }
        let Some(job) = self.job(job) else { return };
        let (Some(rule), Some(outcome)) = (self.rules.get(&job.subject), job.outcome()) else {
            return;
        };
        let (mut rule, subject) = (rule.clone(), job.subject.clone());
        match outcome {
            Outcome::Completed { .. } | Outcome::Superseded => {
                rule.history.watermark = rule.history.watermark.max(job.watermark());
                rule.history.failures = 0;
                rule.history.failed_at = None;
            }
            Outcome::TimedOut(_) | Outcome::Stalled | Outcome::Cancelled { .. } | Outcome::Failed { .. } => {
                rule.history.failures = rule.history.failures.saturating_add(1);
                rule.history.failed_at = Some(at);
            }
        }
        self.set_rule(&subject, Some(rule));
    }

    fn apply_released(&mut self, job: JobId, lease: Lease) -> Result<(), Impossible> {
        self.change(job, |job| {
            if let Some(Extras { contest: Some(contest), .. }) = job.extras.as_deref_mut() {
                contest.interrupt(Some(lease));
            }
            match &mut job.phase {
                Phase::Waiting(_) => return Err(Impossible::new(format!("job {} is not at work", job.id))),
                Phase::Running(running) => {
                    running.live.retain(|live| *live != lease);
                    running.leaving.retain(|leaving| leaving.lease != lease);
                }
                Phase::Finished(finished) => {
                    if let Some(draining) = &mut finished.draining {
                        draining.live.retain(|live| *live != lease);
                    }
                    finished.draining.take_if(|draining| draining.live.is_empty());
                }
            }
            Ok(())
        })
    }

    fn apply_retired(&mut self, subject: &Subject) {
        self.set_rule(subject, None);
        let models: Vec<ModelId> =
            self.models.values().filter(|model| model.subject == *subject).map(|model| model.id).collect();
        models.into_iter().for_each(|model| self.forget_model(model));
    }

    fn apply_restored(&mut self, restored: &Restored) -> Result<(), Impossible> {
        match restored {
            Restored::Counters { order, lease } => {
                self.next_order = *order;
                self.last_lease = *lease;
            }
            Restored::Queue { name, queue } => {
                self.queues.insert(name.clone(), Queue { running: 0, waiting: 0, ..queue.clone() });
            }
            Restored::Node { id, node } => {
                self.set_node(*id, Node { used: Resources::slots(0), ..node.clone() })
            }
            Restored::Rule { subject, rule } => self.set_rule(subject, Some(rule.clone())),
            Restored::Model { model, active } => {
                let registry = self.registries.entry(model.registry.clone()).or_default();
                registry.models.push(model.id);
                if *active {
                    registry.active = Some(model.id);
                }
                self.models.insert(model.id, Arc::clone(model));
            }
            Restored::Job(job) if self.orders.contains_key(&job.id) => {
                return Err(Impossible::new(format!("job {} is restored twice", job.id)));
            }
            Restored::Job(job) => self.insert(job.clone()),
            Restored::Reached { job, holder } => self.change(*job, |job| {
                contest_of(job)?.holders.push(*holder);
                Ok(())
            })?,
            Restored::Shown { job, candidate, shown } => self.change(*job, |job| {
                let standing = match candidate {
                    None => Some(&mut job.extras_mut().standing),
                    Some(candidate) => {
                        let candidates = &mut contest_of(job)?.candidates;
                        candidates.iter_mut().find(|one| one.id == *candidate).map(|one| &mut one.standing)
                    }
                };
                let is_there = standing.map(|standing| standing.shown = Some(*shown)).is_some();
                somebody(is_there, "has shown something")
            })?,
        }
        Ok(())
    }

    /// Back into line, to be started not before a moment.
    fn requeue(
        &mut self,
        job: JobId,
        not_before: Timestamp,
        ran: Duration,
        count: impl FnOnce(&mut Job),
    ) -> Result<(), Impossible> {
        self.running(job)?;
        self.change(job, |job| {
            count(job);
            job.ran = job.ran.saturating_add(ran);
            if let Some(Extras { contest: Some(contest), .. }) = job.extras.as_deref_mut() {
                contest.interrupt(None);
            }
            job.phase = Phase::Waiting(Waiting { not_before, held: None });
            Ok(())
        })
    }

    fn set_hold(&mut self, job: JobId, hold: Option<Reason>) -> Result<(), Impossible> {
        self.change(job, |job| match &mut job.phase {
            Phase::Waiting(waiting) => {
                waiting.held = hold;
                job.interruptions = 0;
                Ok(())
            }
            Phase::Running(_) | Phase::Finished(_) => {
                Err(Impossible::new(format!("job {} is not in line", job.id)))
            }
        })
    }

    fn running(&self, job: JobId) -> Result<&Running, Impossible> {
        self.job(job).and_then(Job::running).ok_or_else(|| Impossible::new(format!("job {job} does not run")))
    }

    fn change_running(&mut self, job: JobId, change: impl FnOnce(&mut Running)) -> Result<(), Impossible> {
        self.running(job)?;
        self.change(job, |job| {
            if let Phase::Running(running) = &mut job.phase {
                change(running);
            }
            Ok(())
        })
    }

    /// Whoever writes for a job is alive.
    fn hear(&mut self, at: Timestamp, job: JobId) {
        if let Some(node) = self.job(job).and_then(Job::running).map(|running| running.node)
            && let Some(node) = self.nodes.get_mut(&node)
        {
            node.seen_at = node.seen_at.max(at);
        }
    }
}

fn contest_of(job: &mut Job) -> Result<&mut Contest, Impossible> {
    let id = job.id;
    job.extras
        .as_deref_mut()
        .and_then(|extras| extras.contest.as_mut())
        .ok_or_else(|| Impossible::new(format!("job {id} is no contest")))
}

/// A contest's facts are about candidates that it has.
fn somebody(is_there: bool, does: &str) -> Result<(), Impossible> {
    if is_there { Ok(()) } else { Err(Impossible::new(format!("nobody {does}"))) }
}

pub(super) fn no_job(job: JobId) -> Impossible {
    Impossible::new(format!("there is no job {job}"))
}

fn no_node(node: NodeId) -> Impossible {
    Impossible::new(format!("there is no node {node}"))
}
