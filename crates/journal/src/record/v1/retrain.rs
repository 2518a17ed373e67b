//! Retrain rules and what they said.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use trainyard_core as core;

use super::class::{Backoff, ClassRef, Classes};
use super::job::Admission;
use super::value::{Bytes, Id, Invalid, List, Moment, Span};

/// More reasons than there are.
const UNMET_MAX: usize = 16;

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct RetrainRule {
    trigger: Trigger,
    cooldown: Span,
    max_interval: Option<Span>,
    backoff: Backoff,
    switch: Switch,
}

impl RetrainRule {
    pub(super) fn of(rule: core::RetrainRule) -> Self {
        let core::RetrainRule { trigger, cooldown, max_interval, backoff, switch } = rule;
        Self {
            trigger: Trigger::of(trigger),
            cooldown: Span::of(cooldown),
            max_interval: max_interval.map(Span::of),
            backoff: Backoff::of(backoff),
            switch: Switch::of(switch),
        }
    }

    pub(super) fn restore(self) -> Result<core::RetrainRule, Invalid> {
        let Self { trigger, cooldown, max_interval, backoff, switch } = self;
        Ok(core::RetrainRule {
            trigger: trigger.restore(),
            cooldown: cooldown.restore()?,
            max_interval: max_interval.map(Span::restore).transpose()?,
            backoff: backoff.restore()?,
            switch: switch.restore(),
        })
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Trigger {
    PerList { threshold: u64, first: u64 },
    OptimalLists { above: u64 },
    Floor { above: u64 },
    Fresh { at_least: u64 },
}

impl Trigger {
    const fn of(trigger: core::Trigger) -> Self {
        match trigger {
            core::Trigger::PerList { threshold, first } => Self::PerList { threshold, first },
            core::Trigger::OptimalLists { above } => Self::OptimalLists { above },
            core::Trigger::Floor { above } => Self::Floor { above },
            core::Trigger::Fresh { at_least } => Self::Fresh { at_least },
        }
    }

    const fn restore(self) -> core::Trigger {
        match self {
            Self::PerList { threshold, first } => core::Trigger::PerList { threshold, first },
            Self::OptimalLists { above } => core::Trigger::OptimalLists { above },
            Self::Floor { above } => core::Trigger::Floor { above },
            Self::Fresh { at_least } => core::Trigger::Fresh { at_least },
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Switch {
    On,
    Off,
}

impl Switch {
    const fn of(switch: core::Switch) -> Self {
        match switch {
            core::Switch::On => Self::On,
            core::Switch::Off => Self::Off,
        }
    }

    const fn restore(self) -> core::Switch {
        match self {
            Self::On => core::Switch::On,
            Self::Off => core::Switch::Off,
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Observation {
    total: u64,
    lists: Option<u64>,
}

impl Observation {
    const fn of(observation: core::Observation) -> Self {
        let core::Observation { total, lists } = observation;
        Self { total, lists }
    }

    const fn restore(self) -> core::Observation {
        let Self { total, lists } = self;
        core::Observation { total, lists }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct History {
    watermark: Option<u64>,
    fired_at: Option<Moment>,
    failures: u32,
    failed_at: Option<Moment>,
}

impl History {
    fn of(history: core::History) -> Self {
        let core::History { watermark, fired_at, failures, failed_at } = history;
        Self { watermark, fired_at: fired_at.map(Moment::of), failures, failed_at: failed_at.map(Moment::of) }
    }

    fn restore(self) -> core::History {
        let Self { watermark, fired_at, failures, failed_at } = self;
        core::History {
            watermark,
            fired_at: fired_at.map(Moment::restore),
            failures,
            failed_at: failed_at.map(Moment::restore),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Decision {
    at: Moment,
    rule: RetrainRule,
    observation: Observation,
    history: History,
    verdict: Verdict,
    repeats: u64,
}

impl Decision {
    pub(super) fn of(decision: &core::Decision) -> Self {
        let core::Decision { at, rule, observation, history, verdict, repeats } = decision;
        let verdict = match verdict {
            core::Verdict::Train(because) => Verdict::Train(Because::of(*because)),
            core::Verdict::Wait(unmet) => Verdict::Wait(List(unmet.iter().copied().map(Unmet::of).collect())),
        };
        Self {
            at: Moment::of(*at),
            rule: RetrainRule::of(*rule),
            observation: Observation::of(*observation),
            history: History::of(*history),
            verdict,
            repeats: *repeats,
        }
    }

    pub(super) fn restore(self) -> Result<core::Decision, Invalid> {
        let Self { at, rule, observation, history, verdict, repeats } = self;
        let verdict = match verdict {
            Verdict::Train(because) => core::Verdict::Train(because.restore()),
            Verdict::Wait(List(unmet)) => {
                core::Verdict::Wait(unmet.into_iter().map(Unmet::restore).collect::<Result<_, _>>()?)
            }
        };
        Ok(core::Decision {
            at: at.restore(),
            rule: rule.restore()?,
            observation: observation.restore(),
            history: history.restore(),
            verdict,
            repeats,
        })
    }
}

#[derive(Serialize, Deserialize)]
enum Verdict {
    Train(Because),
    Wait(List<Unmet, UNMET_MAX>),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Because {
    First,
    Grown,
    Age,
}

impl Because {
    const fn of(because: core::Because) -> Self {
        match because {
            core::Because::First => Self::First,
            core::Because::Grown => Self::Grown,
            core::Because::Age => Self::Age,
        }
    }

    const fn restore(self) -> core::Because {
        match self {
            Self::First => core::Because::First,
            Self::Grown => core::Because::Grown,
            Self::Age => core::Because::Age,
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Unmet {
    Off {},
    Count { more: Option<u128> },
    Cooldown { left: Span },
    Backoff { left: Span, failures: u32 },
    Unfinished { job: Id },
}

impl Unmet {
    fn of(unmet: core::Unmet) -> Self {
        match unmet {
            core::Unmet::Off => Self::Off {},
            core::Unmet::Count { more } => Self::Count { more },
            core::Unmet::Cooldown { left } => Self::Cooldown { left: Span::of(left) },
            core::Unmet::Backoff { left, failures } => Self::Backoff { left: Span::of(left), failures },
            core::Unmet::Unfinished { job } => Self::Unfinished { job: Id(job.as_uuid()) },
        }
    }

    fn restore(self) -> Result<core::Unmet, Invalid> {
        Ok(match self {
            Self::Off {} => core::Unmet::Off,
            Self::Count { more } => core::Unmet::Count { more },
            Self::Cooldown { left } => core::Unmet::Cooldown { left: left.restore()? },
            Self::Backoff { left, failures } => core::Unmet::Backoff { left: left.restore()?, failures },
            Self::Unfinished { job } => core::Unmet::Unfinished { job: core::JobId::new(job.0) },
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Template<'a> {
    #[serde(borrow)]
    class: ClassRef<'a>,
    #[serde(borrow)]
    parameters: Bytes<'a>,
    admission: Admission,
}

impl<'a> Template<'a> {
    pub(super) fn of(template: &'a core::Template, classes: &mut Classes<'a>) -> Self {
        let core::Template { class, parameters, admission } = template;
        Self {
            class: classes.refer(class),
            parameters: Bytes::of(parameters),
            admission: Admission::of(*admission),
        }
    }

    pub(super) fn restore(self, classes: &[Arc<core::Class>]) -> Result<core::Template, Invalid> {
        let Self { class, parameters, admission } = self;
        Ok(core::Template {
            class: class.restore(classes)?,
            parameters: parameters.restore()?,
            admission: admission.restore(),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Rule<'a> {
    rule: RetrainRule,
    #[serde(borrow)]
    template: Template<'a>,
    history: History,
    decision: Option<Decision>,
    next_job: Option<Id>,
}

impl<'a> Rule<'a> {
    pub(super) fn of(rule: &'a core::Rule, classes: &mut Classes<'a>) -> Self {
        let core::Rule { rule, template, history, decision, next_job } = rule;
        Self {
            rule: RetrainRule::of(*rule),
            template: Template::of(template, classes),
            history: History::of(*history),
            decision: decision.as_deref().map(Decision::of),
            next_job: next_job.map(|job| Id(job.as_uuid())),
        }
    }

    pub(super) fn restore(self, classes: &[Arc<core::Class>]) -> Result<core::Rule, Invalid> {
        let Self { rule, template, history, decision, next_job } = self;
        Ok(core::Rule {
            rule: rule.restore()?,
            template: Arc::new(template.restore(classes)?),
            history: history.restore(),
            decision: decision.map(Decision::restore).transpose()?.map(Arc::new),
            next_job: next_job.map(|job| core::JobId::new(job.0)),
        })
    }
}
