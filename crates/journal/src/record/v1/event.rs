//! Facts: the alphabet.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use trainyard_core as core;

use super::class::Classes;
use super::contest::Checkpoint;
use super::job::{Outcome, Submission};
use super::model::{Model, Trained};
use super::node::{Abilities, QueueSettings, Retention, Settings};
use super::restored::Restored;
use super::retrain::{Decision, RetrainRule, Template};
use super::value::{Bytes, Id, Invalid, Moment, Number, Span, reason};

#[derive(Serialize, Deserialize)]
pub(crate) struct Fact<'a> {
    at: Moment,
    #[serde(borrow)]
    event: Event<'a>,
}

impl<'a> Fact<'a> {
    pub(crate) fn of(fact: &'a core::Fact, classes: &mut Classes<'a>) -> Self {
        let core::Fact { at, event } = fact;
        Self { at: Moment::of(*at), event: Event::of(event, classes) }
    }

    pub(crate) fn restore(self, classes: &[Arc<core::Class>]) -> Result<core::Fact, Invalid> {
        let Self { at, event } = self;
        Ok(core::Fact { at: at.restore(), event: event.restore(classes)? })
    }
}

impl Fact<'_> {
    pub(crate) fn event(&self) -> &impl Serialize {
        &self.event
    }
}

/// New letters come at the end, and nowhere else.
#[derive(Serialize, Deserialize)]
pub(super) enum Event<'a> {
    Ticked {},
    Configured(Settings),
    NodeJoined {
        node: Id,
        epoch: u64,
        #[serde(borrow)]
        abilities: Abilities<'a>,
        until: Moment,
    },
    NodeAlive {
        node: Id,
        until: Moment,
    },
    NodeLost {
        node: Id,
    },
    QueueConfigured {
        queue: &'a str,
        settings: QueueSettings,
    },
    QueuePaused {
        queue: &'a str,
        reason: &'a str,
    },
    QueueResumed {
        queue: &'a str,
    },
    Submitted {
        #[serde(borrow)]
        submission: Box<Submission<'a>>,
    },
    Updated {
        job: Id,
        #[serde(borrow)]
        parameters: Bytes<'a>,
        watermark: Option<u64>,
    },
    Started {
        job: Id,
        lease: u64,
        node: Id,
    },
    Reported {
        job: Id,
        lease: u64,
        step: u64,
        performance: Option<Number>,
    },
    Checkpointed {
        job: Id,
        lease: u64,
        #[serde(borrow)]
        checkpoint: Checkpoint<'a>,
    },
    CandidateEnded {
        job: Id,
        lease: u64,
        #[serde(borrow)]
        outcome: Outcome<'a>,
    },
    Interrupted {
        job: Id,
        cause: Interruption,
        reason: &'a str,
        ran: Span,
    },
    Retried {
        job: Id,
        reason: &'a str,
        not_before: Moment,
        ran: Span,
    },
    Held {
        job: Id,
        reason: &'a str,
    },
    Unheld {
        job: Id,
    },
    Recovering {
        job: Id,
    },
    Recovered {
        job: Id,
    },
    Finished {
        job: Id,
        #[serde(borrow)]
        outcome: Outcome<'a>,
        released: Option<u64>,
        deadline: Moment,
    },
    Released {
        job: Id,
        lease: u64,
        how: Release,
    },
    RuleSet {
        subject: &'a str,
        rule: RetrainRule,
        #[serde(borrow)]
        template: Template<'a>,
    },
    RuleRemoved {
        subject: &'a str,
    },
    Decided {
        subject: &'a str,
        decision: Box<Decision>,
        next_job: Id,
    },
    ModelRegistered {
        #[serde(borrow)]
        model: Box<Model<'a>>,
    },
    ModelActivated {
        registry: &'a str,
        model: Id,
    },
    ModelsForgotten {
        models: Vec<Id>,
    },
    Retired {
        subject: &'a str,
    },
    Forgotten {
        jobs: Vec<Id>,
    },
    Restored(#[serde(borrow)] Box<Restored<'a>>),
    Reached {
        job: Id,
        lease: u64,
        step: u64,
        performance: Number,
    },
    HandedOver {
        job: Id,
        lease: u64,
        model: Id,
        #[serde(borrow)]
        trained: Trained<'a>,
    },
    RetentionSet {
        queue: &'a str,
        retention: Retention,
    },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum Interruption {
    Abrupt,
    Orderly,
}

impl Interruption {
    const fn of(cause: core::Interruption) -> Self {
        match cause {
            core::Interruption::Abrupt => Self::Abrupt,
            core::Interruption::Orderly => Self::Orderly,
        }
    }

    const fn restore(self) -> core::Interruption {
        match self {
            Self::Abrupt => core::Interruption::Abrupt,
            Self::Orderly => core::Interruption::Orderly,
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum Release {
    Stopped,
    GivenUp,
}

impl<'a> Event<'a> {
    fn of(event: &'a core::Event, classes: &mut Classes<'a>) -> Self {
        use core::Event as E;
        match event {
            E::Ticked => Self::Ticked {},
            E::Configured(settings) => Self::Configured(Settings::of(*settings)),
            E::NodeJoined { node, epoch, abilities, until } => Self::NodeJoined {
                node: Id(node.as_uuid()),
                epoch: epoch.get(),
                abilities: Abilities::of(abilities),
                until: Moment::of(*until),
            },
            E::NodeAlive { node, until } => {
                Self::NodeAlive { node: Id(node.as_uuid()), until: Moment::of(*until) }
            }
            E::NodeLost { node } => Self::NodeLost { node: Id(node.as_uuid()) },
            E::QueueConfigured { queue, settings } => {
                Self::QueueConfigured { queue: queue.as_str(), settings: QueueSettings::of(*settings) }
            }
            E::RetentionSet { queue, retention } => {
                Self::RetentionSet { queue: queue.as_str(), retention: Retention::of(*retention) }
            }
            E::QueuePaused { queue, reason } => {
                Self::QueuePaused { queue: queue.as_str(), reason: reason.as_str() }
            }
            E::QueueResumed { queue } => Self::QueueResumed { queue: queue.as_str() },
            E::Submitted { submission } => {
                Self::Submitted { submission: Box::new(Submission::of(submission, classes)) }
            }
            E::Updated { job, parameters, watermark } => Self::Updated {
                job: Id(job.as_uuid()),
                parameters: Bytes::of(parameters),
                watermark: *watermark,
            },
            E::Started { job, lease, node } => {
                Self::Started { job: Id(job.as_uuid()), lease: lease.get(), node: Id(node.as_uuid()) }
            }
            E::Reported { job, lease, step, performance } => Self::Reported {
                job: Id(job.as_uuid()),
                lease: lease.get(),
                step: *step,
                performance: performance.map(Number::of),
            },
            E::Reached { job, lease, step, performance } => Self::Reached {
                job: Id(job.as_uuid()),
                lease: lease.get(),
                step: *step,
                performance: Number::of(*performance),
            },
            E::HandedOver { job, lease, model, trained } => Self::HandedOver {
                job: Id(job.as_uuid()),
                lease: lease.get(),
                model: Id(model.as_uuid()),
                trained: Trained::of(trained),
            },
            E::Checkpointed { job, lease, checkpoint } => Self::Checkpointed {
                job: Id(job.as_uuid()),
                lease: lease.get(),
                checkpoint: Checkpoint::of(checkpoint),
            },
            E::CandidateEnded { job, lease, outcome } => Self::CandidateEnded {
                job: Id(job.as_uuid()),
                lease: lease.get(),
                outcome: Outcome::of(outcome),
            },
            E::Interrupted { job, cause, reason, ran } => Self::Interrupted {
                job: Id(job.as_uuid()),
                cause: Interruption::of(*cause),
                reason: reason.as_str(),
                ran: Span::of(*ran),
            },
            E::Retried { job, reason, not_before, ran } => Self::Retried {
                job: Id(job.as_uuid()),
                reason: reason.as_str(),
                not_before: Moment::of(*not_before),
                ran: Span::of(*ran),
            },
            E::Held { job, reason } => Self::Held { job: Id(job.as_uuid()), reason: reason.as_str() },
            E::Unheld { job } => Self::Unheld { job: Id(job.as_uuid()) },
            E::Recovering { job } => Self::Recovering { job: Id(job.as_uuid()) },
            E::Recovered { job } => Self::Recovered { job: Id(job.as_uuid()) },
            E::Finished { job, outcome, released, deadline } => Self::Finished {
                job: Id(job.as_uuid()),
                outcome: Outcome::of(outcome),
                released: released.map(core::Lease::get),
                deadline: Moment::of(*deadline),
            },
            E::Released { job, lease, how } => {
                Self::Released { job: Id(job.as_uuid()), lease: lease.get(), how: Release::of(*how) }
            }
            E::RuleSet { subject, rule, template } => Self::RuleSet {
                subject: subject.as_str(),
                rule: RetrainRule::of(*rule),
                template: Template::of(template, classes),
            },
            E::RuleRemoved { subject } => Self::RuleRemoved { subject: subject.as_str() },
            E::Decided { subject, decision, next_job } => Self::Decided {
                subject: subject.as_str(),
                decision: Box::new(Decision::of(decision)),
                next_job: Id(next_job.as_uuid()),
            },
            E::ModelRegistered { model } => Self::ModelRegistered { model: Box::new(Model::of(model)) },
            E::ModelActivated { registry, model } => {
                Self::ModelActivated { registry: registry.as_str(), model: Id(model.as_uuid()) }
            }
            E::ModelsForgotten { models } => {
                Self::ModelsForgotten { models: models.iter().map(|model| Id(model.as_uuid())).collect() }
            }
            E::Retired { subject } => Self::Retired { subject: subject.as_str() },
            E::Forgotten { jobs } => {
                Self::Forgotten { jobs: jobs.iter().map(|job| Id(job.as_uuid())).collect() }
            }
            E::Restored(restored) => Self::Restored(Box::new(Restored::of(restored, classes))),
        }
    }

    fn restore(self, classes: &[Arc<core::Class>]) -> Result<core::Event, Invalid> {
        use core::Event as E;
        Ok(match self {
            Self::Ticked {} => E::Ticked,
            Self::Configured(settings) => E::Configured(settings.restore()?),
            Self::NodeJoined { node, epoch, abilities, until } => E::NodeJoined {
                node: core::NodeId::new(node.0),
                epoch: core::Epoch::new(epoch),
                abilities: abilities.restore()?,
                until: until.restore(),
            },
            Self::NodeAlive { node, until } => {
                E::NodeAlive { node: core::NodeId::new(node.0), until: until.restore() }
            }
            Self::NodeLost { node } => E::NodeLost { node: core::NodeId::new(node.0) },
            Self::QueueConfigured { queue, settings } => {
                E::QueueConfigured { queue: core::QueueName::new(queue)?, settings: settings.restore()? }
            }
            Self::RetentionSet { queue, retention } => {
                E::RetentionSet { queue: core::QueueName::new(queue)?, retention: retention.restore() }
            }
            Self::QueuePaused { queue, reason: why } => {
                E::QueuePaused { queue: core::QueueName::new(queue)?, reason: reason(why)? }
            }
            Self::QueueResumed { queue } => E::QueueResumed { queue: core::QueueName::new(queue)? },
            Self::Submitted { submission } => {
                E::Submitted { submission: Arc::new(submission.restore(classes)?) }
            }
            Self::Updated { job, parameters, watermark } => {
                E::Updated { job: core::JobId::new(job.0), parameters: parameters.restore()?, watermark }
            }
            Self::Started { job, lease, node } => E::Started {
                job: core::JobId::new(job.0),
                lease: core::Lease::new(lease),
                node: core::NodeId::new(node.0),
            },
            Self::Reported { job, lease, step, performance } => E::Reported {
                job: core::JobId::new(job.0),
                lease: core::Lease::new(lease),
                step,
                performance: performance.map(Number::restore).transpose()?,
            },
            Self::Reached { job, lease, step, performance } => E::Reached {
                job: core::JobId::new(job.0),
                lease: core::Lease::new(lease),
                step,
                performance: performance.restore()?,
            },
            Self::HandedOver { job, lease, model, trained } => E::HandedOver {
                job: core::JobId::new(job.0),
                lease: core::Lease::new(lease),
                model: core::ModelId::new(model.0),
                trained: trained.restore()?,
            },
            Self::Checkpointed { job, lease, checkpoint } => E::Checkpointed {
                job: core::JobId::new(job.0),
                lease: core::Lease::new(lease),
                checkpoint: checkpoint.restore()?,
            },
            Self::CandidateEnded { job, lease, outcome } => E::CandidateEnded {
                job: core::JobId::new(job.0),
                lease: core::Lease::new(lease),
                outcome: outcome.restore()?,
            },
            Self::Interrupted { job, cause, reason: why, ran } => E::Interrupted {
                job: core::JobId::new(job.0),
                cause: cause.restore(),
                reason: reason(why)?,
                ran: ran.restore()?,
            },
            Self::Retried { job, reason: why, not_before, ran } => E::Retried {
                job: core::JobId::new(job.0),
                reason: reason(why)?,
                not_before: not_before.restore(),
                ran: ran.restore()?,
            },
            Self::Held { job, reason: why } => E::Held { job: core::JobId::new(job.0), reason: reason(why)? },
            Self::Unheld { job } => E::Unheld { job: core::JobId::new(job.0) },
            Self::Recovering { job } => E::Recovering { job: core::JobId::new(job.0) },
            Self::Recovered { job } => E::Recovered { job: core::JobId::new(job.0) },
            Self::Finished { job, outcome, released, deadline } => E::Finished {
                job: core::JobId::new(job.0),
                outcome: outcome.restore()?,
                released: released.map(core::Lease::new),
                deadline: deadline.restore(),
            },
            Self::Released { job, lease, how } => E::Released {
                job: core::JobId::new(job.0),
                lease: core::Lease::new(lease),
                how: how.restore(),
            },
            Self::RuleSet { subject, rule, template } => E::RuleSet {
                subject: core::Subject::new(subject)?,
                rule: rule.restore()?,
                template: Arc::new(template.restore(classes)?),
            },
            Self::RuleRemoved { subject } => E::RuleRemoved { subject: core::Subject::new(subject)? },
            Self::Decided { subject, decision, next_job } => E::Decided {
                subject: core::Subject::new(subject)?,
                decision: Arc::new(decision.restore()?),
                next_job: core::JobId::new(next_job.0),
            },
            Self::ModelRegistered { model } => E::ModelRegistered { model: Arc::new(model.restore()?) },
            Self::ModelActivated { registry, model } => E::ModelActivated {
                registry: core::Registry::new(registry)?,
                model: core::ModelId::new(model.0),
            },
            Self::ModelsForgotten { models } => E::ModelsForgotten {
                models: models.into_iter().map(|model| core::ModelId::new(model.0)).collect(),
            },
            Self::Retired { subject } => E::Retired { subject: core::Subject::new(subject)? },
            Self::Forgotten { jobs } => {
                E::Forgotten { jobs: jobs.into_iter().map(|job| core::JobId::new(job.0)).collect() }
            }
            Self::Restored(restored) => E::Restored(Box::new(restored.restore(classes)?)),
        })
    }
}

impl Release {
    const fn of(release: core::Release) -> Self {
        match release {
            core::Release::Stopped => Self::Stopped,
            core::Release::GivenUp => Self::GivenUp,
        }
    }

    const fn restore(self) -> core::Release {
        match self {
            Self::Stopped => core::Release::Stopped,
            Self::GivenUp => core::Release::GivenUp,
        }
    }
}
