//! What a command would lead to.

use std::sync::Arc;

use crate::Settings;
use crate::fact::Interruption;
use crate::{
    Abilities, Admission, Admitted, Answer, CandidateId, Command, ContestPlan, Decision, Epoch, Event, Fact,
    Job, JobId, Kind, NodeId, Observation, Outcome, Phase, Placement, Queue, QueueName, QueueSettings,
    Reason, Rejection, Release, RetrainRule, Subject, Submission, Template, Timestamp, Verdict, Waiting,
};

use super::timers::finished;
use super::{Rule, Ruling, Yard};

impl Yard {
    /// Says what a command would lead to. Changes nothing, asks no clock, draws no number.
    ///
    /// # Errors
    /// [`Rejection`] when the command makes no sense in this state; the yard is as before.
    pub fn decide(&self, now: Timestamp, command: &Command) -> Result<Ruling, Rejection> {
        let fact = |event| Fact { at: now, event };
        let done = |facts| Ok(Ruling { facts, answer: Answer::Done });
        match command {
            Command::Tick => done(self.decide_next(now).unwrap_or_default()),
            Command::Configure(settings) => done(if self.settings == *settings {
                vec![]
            } else {
                vec![fact(Event::Configured(*settings))]
            }),
            Command::JoinNode { node, abilities } => self.decide_join(now, *node, abilities),
            Command::RenewNode { node, epoch } => {
                self.living(*node, *epoch)?;
                done(vec![fact(Event::NodeAlive { node: *node, until: self.lease_until(now) })])
            }
            Command::LeaveNode { node, epoch } => {
                self.living(*node, *epoch)?;
                let reason = Reason::new("its node has left");
                let mut facts = self.interrupt_node(now, *node, Interruption::Orderly, &reason);
                facts.push(fact(Event::NodeLost { node: *node }));
                done(facts)
            }
            Command::ConfigureQueue { queue, settings } => {
                self.room_for_queue(queue)?;
                let same = self.queues.get(queue).is_some_and(|known| known.settings == *settings);
                let configured =
                    || fact(Event::QueueConfigured { queue: queue.clone(), settings: *settings });
                done(if same { vec![] } else { vec![configured()] })
            }
            Command::SetRetention { queue, retention } => {
                self.room_for_queue(queue)?;
                let same = self.queues.get(queue).is_some_and(|known| known.retention == *retention);
                let set = || fact(Event::RetentionSet { queue: queue.clone(), retention: *retention });
                done(if same { vec![] } else { vec![set()] })
            }
            Command::PauseQueue { queue, reason } => {
                self.room_for_queue(queue)?;
                done(vec![fact(Event::QueuePaused { queue: queue.clone(), reason: reason.clone() })])
            }
            Command::ResumeQueue { queue } => {
                let known = self.queues.get(queue).ok_or_else(|| Rejection::NoQueue(queue.clone()))?;
                known.paused.as_ref().ok_or_else(|| Rejection::NotPaused(queue.clone()))?;
                done(vec![fact(Event::QueueResumed { queue: queue.clone() })])
            }
            Command::Submit(submission) => self.decide_submit(now, submission),
            Command::Cancel { job, reason } => {
                let job = self.job(*job).ok_or(Rejection::NoJob(*job))?;
                not_over(job)?;
                done(vec![finished(now, job, Outcome::Cancelled { reason: reason.clone() })])
            }
            Command::Hold { job, reason } => {
                self.in_line(*job)?;
                done(vec![fact(Event::Held { job: *job, reason: reason.clone() })])
            }
            Command::Unhold { job } => {
                self.in_line(*job)?.held.as_ref().ok_or(Rejection::NotHeld(*job))?;
                done(vec![fact(Event::Unheld { job: *job })])
            }
            Command::Report { run, step, performance } => self.decide_report(now, *run, *step, *performance),
            Command::Checkpoint { run, checkpoint } => self.decide_checkpoint(now, *run, checkpoint),
            Command::Finish { run, end } => self.decide_finish(now, *run, end),
            Command::Recover { run, epoch } => {
                let (job, running) = self.at_work(*run)?;
                self.living(running.node, *epoch)?;
                done(vec![fact(Event::Recovered { job: job.id })])
            }
            Command::SetRule { subject, rule, template } => {
                done(self.decide_rule(now, subject, *rule, template))
            }
            Command::RemoveRule { subject } => {
                self.rules.get(subject).ok_or_else(|| Rejection::NoRule(subject.clone()))?;
                done(vec![fact(Event::RuleRemoved { subject: subject.clone() })])
            }
            Command::Observe { subject, observation, job, repeats } => {
                self.decide_observe(now, subject, *observation, *job, *repeats)
            }
            Command::Activate { model } => {
                let model = self.models.get(model).ok_or(Rejection::NoModel(*model))?;
                let active = self.active_model(&model.registry).is_some_and(|active| active.id == model.id);
                let activated =
                    || fact(Event::ModelActivated { registry: model.registry.clone(), model: model.id });
                done(if active { vec![] } else { vec![activated()] })
            }
            Command::Retire { subject } => {
                let reason = Reason::new("its subject is no more");
                let cancel = |job| finished(now, job, Outcome::Cancelled { reason: reason.clone() });
                let mut facts: Vec<Fact> = self.unfinished(subject).map(cancel).collect();
                let known = self.rules.contains_key(subject)
                    || self.models.values().any(|model| model.subject == *subject);
                if known || !facts.is_empty() {
                    facts.push(fact(Event::Retired { subject: subject.clone() }));
                }
                done(facts)
            }
        }
    }

    fn decide_join(&self, now: Timestamp, node: NodeId, abilities: &Abilities) -> Result<Ruling, Rejection> {
        if abilities.kinds.len() > Abilities::KINDS_MAX {
            return Err(Rejection::TooManyKinds);
        }
        let epoch = self.nodes.get(&node).map_or(Epoch::new(1), |node| node.epoch.next());
        let until = self.lease_until(now);
        let joined = Event::NodeJoined { node, epoch, abilities: abilities.clone(), until };
        let mut facts = vec![Fact { at: now, event: joined }];
        let reason = Reason::new("its process ended without a word");
        facts.extend(self.interrupt_node(now, node, Interruption::Abrupt, &reason));
        Ok(Ruling { facts, answer: Answer::Joined { epoch } })
    }

    /// What becomes of everything that is at work on a node when the node is not there any more: what ran in its
    /// process has died with it, what ran outside may be found again.
    pub(super) fn interrupt_node(
        &self,
        now: Timestamp,
        id: NodeId,
        cause: Interruption,
        reason: &Reason,
    ) -> Vec<Fact> {
        let seen_at = self.nodes.get(&id).map_or(now, |node| node.seen_at);
        let mut facts = Vec::new();
        for job in self.occupying() {
            match &job.phase {
                Phase::Running(running) if running.node == id => match running.placement {
                    Placement::External => {
                        facts.push(Fact { at: now, event: Event::Recovering { job: job.id } })
                    }
                    Placement::InProcess => {
                        let ended = if cause == Interruption::Abrupt { seen_at } else { now };
                        facts.extend(interrupted(now, job, ended, cause, reason));
                    }
                },
                Phase::Finished(finished) => {
                    let live = finished.draining.iter().filter(|draining| draining.node == id);
                    let released = |lease| Event::Released { job: job.id, lease, how: Release::Stopped };
                    facts.extend(
                        live.flat_map(|draining| &draining.live)
                            .map(|lease| Fact { at: now, event: released(*lease) }),
                    );
                }
                Phase::Running(_) | Phase::Waiting(_) => {}
            }
        }
        facts
    }

    fn decide_submit(&self, now: Timestamp, submission: &Arc<Submission>) -> Result<Ruling, Rejection> {
        if let Some(answer) = self.known_already(submission)? {
            return Ok(Ruling { facts: vec![], answer });
        }
        self.check_submission(submission)?;
        let mut how = Admitted::New;
        let newest = self.unfinished(&submission.subject).next_back();
        if let Some(newest) = newest {
            if let Some(ruling) = self.admit(now, submission, newest)? {
                return Ok(ruling);
            }
            let max = self.settings.unfinished_max;
            if self.unfinished(&submission.subject).nth(max.saturating_sub(1) as usize).is_some() {
                return Err(Rejection::SubjectFull { subject: submission.subject.clone(), max });
            }
            if submission.admission == Admission::Trail {
                how = Admitted::Trailing;
            }
        }
        let mut facts =
            vec![Fact { at: now, event: Event::Submitted { submission: Arc::clone(submission) } }];
        if newest.is_none() {
            facts.extend(self.start_at_once(now, submission));
        }
        Ok(Ruling { facts, answer: Answer::Admitted { job: submission.job, how } })
    }

    /// What is done instead of a new job, when the subject has unfinished work and the submission says so.
    fn admit(
        &self,
        now: Timestamp,
        submission: &Submission,
        newest: &Job,
    ) -> Result<Option<Ruling>, Rejection> {
        let admitted = |facts, job, how| Ok(Some(Ruling { facts, answer: Answer::Admitted { job, how } }));
        match submission.admission {
            Admission::Queue => Ok(None),
            // Only work of the same sort can stand for what was asked.
            Admission::Join => {
                let alike = |job: &&Job| job.is_like(&submission.class.kind, submission.contest.is_some());
                match self.unfinished(&submission.subject).rev().find(alike) {
                    Some(job) => admitted(vec![], job.id, Admitted::Joined),
                    None => Ok(None),
                }
            }
            Admission::Refuse => {
                Err(Rejection::SubjectBusy { subject: submission.subject.clone(), job: newest.id })
            }
            Admission::Trail => {
                let (kind, contest) = (&submission.class.kind, submission.contest.is_some());
                let Some(job) = self.trailing(&submission.subject, kind, contest).map(|job| job.id) else {
                    return Ok(None);
                };
                let (parameters, watermark) = (submission.parameters.clone(), submission.watermark);
                let updated = Event::Updated { job, parameters, watermark };
                admitted(vec![Fact { at: now, event: updated }], job, Admitted::Trailing)
            }
        }
    }

    /// The run of a subject that is still to come and that a trailing submission becomes part of. A newer one of
    /// higher priority may have overtaken it.
    fn trailing<'a>(&'a self, subject: &'a Subject, kind: &Kind, contest: bool) -> Option<&'a Job> {
        self.unfinished(subject).rev().find(|job| is_untried(job) && job.is_like(kind, contest))
    }

    fn known_already(&self, submission: &Submission) -> Result<Option<Answer>, Rejection> {
        let Some(order) = submission.key.as_ref().and_then(|key| self.keys.get(key)) else {
            return Ok(None);
        };
        let job = &self.jobs[*order];
        if job.subject != submission.subject || job.class.kind != submission.class.kind {
            return Err(Rejection::KeyReused(job.id));
        }
        Ok(Some(Answer::Admitted { job: job.id, how: Admitted::Repeated }))
    }

    fn check_submission(&self, submission: &Submission) -> Result<(), Rejection> {
        if self.orders.contains_key(&submission.job) {
            return Err(Rejection::JobExists(submission.job));
        }
        if let Some(plan) = &submission.contest {
            let mut ids: Vec<CandidateId> = plan.candidates.iter().map(|entrant| entrant.id).collect();
            ids.sort_unstable();
            ids.dedup();
            let count = plan.candidates.len();
            if ids.len() != count || count == 0 || count > ContestPlan::CANDIDATES_MAX {
                return Err(Rejection::BadCandidates);
            }
        }
        if !self.trains(&submission.class.kind) {
            return Err(Rejection::UnknownKind(submission.class.kind.clone()));
        }
        self.room_for_queue(&submission.class.queue)?;
        let queue = self.queues.get(&submission.class.queue);
        let max = queue.map_or(QueueSettings::default(), |queue| queue.settings).waiting_max;
        if queue.is_some_and(|queue| queue.waiting >= max) || max == 0 {
            return Err(Rejection::QueueFull { queue: submission.class.queue.clone(), max });
        }
        Ok(())
    }

    fn decide_rule(
        &self,
        now: Timestamp,
        subject: &Subject,
        rule: RetrainRule,
        template: &Arc<Template>,
    ) -> Vec<Fact> {
        let same = |known: &Rule| known.rule == rule && known.template == *template;
        if self.rules.get(subject).is_some_and(same) {
            return vec![];
        }
        let event = Event::RuleSet { subject: subject.clone(), rule, template: Arc::clone(template) };
        vec![Fact { at: now, event }]
    }

    fn decide_observe(
        &self,
        now: Timestamp,
        subject: &Subject,
        observation: Observation,
        job: JobId,
        repeats: u64,
    ) -> Result<Ruling, Rejection> {
        let rule = self.rules.get(subject).ok_or_else(|| Rejection::NoRule(subject.clone()))?;
        // With `Trail` one run may follow the present one, so only a run that already waits to do so is in the way;
        // what the present one sees counts as seen, or the same numbers told twice would be trained on twice.
        let mut history = rule.history;
        let in_the_way = match rule.template.admission {
            Admission::Trail => {
                let seen = self.unfinished(subject).filter_map(Job::watermark).max();
                history.watermark = history.watermark.max(seen);
                self.trailing(subject, &rule.template.class.kind, false)
            }
            Admission::Queue | Admission::Join | Admission::Refuse => self.unfinished(subject).next_back(),
        };
        let mut decision = rule.rule.decide(now, &history, observation, in_the_way.map(|job| job.id));
        decision.repeats = repeats;
        // One that would be asked again by itself does not say the same as one that would not.
        let again = |decision: &Decision| decision.reconsider_at().is_some();
        let last = rule.decision.as_ref();
        let same = last.is_some_and(|last| last.says_the_same(&decision) && again(last) == again(&decision));
        let decision = Arc::new(decision);
        let decided = |next_job| {
            let event =
                Event::Decided { subject: subject.clone(), decision: Arc::clone(&decision), next_job };
            Fact { at: now, event }
        };
        let answer = |job| Answer::Decided { decision: Arc::clone(&decision), job };
        match decision.verdict {
            Verdict::Wait(_) if same => Ok(Ruling { facts: vec![], answer: answer(None) }),
            Verdict::Wait(_) => Ok(Ruling { facts: vec![decided(job)], answer: answer(None) }),
            Verdict::Train(_) => {
                let mut facts = vec![decided(job)];
                let submission = rule.template.submission(job, subject.clone(), observation.total);
                let ruling = self.decide_submit(now, &Arc::new(submission))?;
                facts.extend(ruling.facts);
                Ok(Ruling { facts, answer: answer(Some(job)) })
            }
        }
    }

    /// A cooldown or its like is over: the rule is asked again about the numbers that it was last told.
    pub(super) fn reconsider(&self, now: Timestamp, subject: &Subject) -> Vec<Fact> {
        let Some(Rule { decision: Some(last), next_job: Some(job), .. }) = self.rules.get(subject) else {
            return vec![];
        };
        let stored = |decision| {
            let event = Event::Decided { subject: subject.clone(), decision, next_job: *job };
            vec![Fact { at: now, event }]
        };
        // Something is stored in any case, or the same timer would be due for ever.
        match self.decide_observe(now, subject, last.observation, *job, last.repeats) {
            Ok(Ruling { facts, .. }) if !facts.is_empty() => facts,
            Ok(Ruling { answer: Answer::Decided { decision, .. }, .. }) => stored(decision),
            // The job cannot be let in, say because its queue is full: the next observation tries again.
            Ok(_) | Err(_) => {
                stored(Arc::new(Decision { at: now, verdict: Verdict::Wait(vec![]), ..(**last).clone() }))
            }
        }
    }

    /// Finished jobs of a queue beyond the number that is kept, oldest first. Some slack, so that it is done in batches.
    pub(super) fn forget_finished(&self, now: Timestamp) -> Option<Vec<Fact>> {
        // Both are in order, and every queue with finished jobs is among the queues: one way through them will do.
        let mut queues = self.queues.iter();
        let (finished, count) = self.finished.iter().find_map(|(name, finished)| {
            let queue = queues.find(|(known, _)| *known == name);
            let own = queue.and_then(|(_, queue)| queue.retention.finished_max);
            let max = own.unwrap_or(self.settings.finished_max) as usize;
            (finished.len() > max + max / 8).then(|| (finished, finished.len() - max))
        })?;
        let jobs = finished.iter().take(count).map(|order| self.jobs[*order].id).collect();
        Some(vec![Fact { at: now, event: Event::Forgotten { jobs } }])
    }

    /// Never less than [`Settings::NODE_LEASE_MIN`]: a lease that is over when it is given would be given for ever.
    fn lease_until(&self, now: Timestamp) -> Timestamp {
        now.after(self.settings.node_lease.max(Settings::NODE_LEASE_MIN))
    }

    fn living(&self, node: NodeId, epoch: Epoch) -> Result<(), Rejection> {
        let here = self.nodes.get(&node).is_some_and(|known| known.epoch == epoch && known.is_alive());
        if here { Ok(()) } else { Err(Rejection::NoNode { node, epoch }) }
    }

    fn in_line(&self, job: JobId) -> Result<&Waiting, Rejection> {
        match &self.job(job).ok_or(Rejection::NoJob(job))?.phase {
            Phase::Waiting(waiting) => Ok(waiting),
            Phase::Running(_) | Phase::Finished(_) => Err(Rejection::NotWaiting(job)),
        }
    }

    fn room_for_queue(&self, queue: &QueueName) -> Result<(), Rejection> {
        let full = self.queues.len() >= Queue::QUEUES_MAX && !self.queues.contains_key(queue);
        if full { Err(Rejection::TooManyQueues) } else { Ok(()) }
    }
}

impl Template {
    /// What is submitted when a rule fires about a subject with so much to train on.
    fn submission(&self, job: JobId, subject: Subject, total: u64) -> Submission {
        Submission {
            parameters: self.parameters.clone(),
            admission: self.admission,
            watermark: Some(total),
            ..Submission::new(job, subject, Arc::clone(&self.class))
        }
    }
}

impl Rule {
    /// When the last stored decision stops being true by the passing of time alone.
    pub(super) fn reconsider_at(&self) -> Option<Timestamp> {
        self.next_job?;
        let decision = self.decision.as_ref()?;
        decision.reconsider_at()
    }
}

/// An attempt that ended without an outcome; after too many of the abrupt sort the job is held.
pub(super) fn interrupted(
    now: Timestamp,
    job: &Job,
    ended: Timestamp,
    cause: Interruption,
    reason: &Reason,
) -> Vec<Fact> {
    let ran = job.running().map(|running| ended.since(running.started_at)).unwrap_or_default();
    let event = Event::Interrupted { job: job.id, cause, reason: reason.clone(), ran };
    let mut facts = vec![Fact { at: now, event }];
    let count = job.interruptions.saturating_add(1);
    if cause == Interruption::Abrupt && count >= Job::INTERRUPTIONS_MAX {
        let reason = Reason::new(format!("interrupted {count} times without a newer checkpoint: {reason}"));
        facts.push(Fact { at: now, event: Event::Held { job: job.id, reason } });
    }
    facts
}

fn is_untried(job: &Job) -> bool {
    matches!(job.phase, Phase::Waiting(_)) && job.attempts.get() == 0
}

fn not_over(job: &Job) -> Result<(), Rejection> {
    match job.outcome() {
        Some(outcome) => Err(Rejection::Over { job: job.id, outcome: outcome.clone() }),
        None => Ok(()),
    }
}
