//! What many jobs have in common, written once per record.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use trainyard_core as core;

use super::value::{Invalid, List, Number, Span};

/// The classes of one record. Facts refer to them by number, in the order in which they came up.
#[derive(Default)]
pub(crate) struct Classes<'a> {
    known: BTreeMap<&'a core::Class, u32>,
    order: Vec<&'a core::Class>,
    last: Option<(&'a Arc<core::Class>, u32)>,
    shown: Shown,
}

/// What of a class people are shown where a fact refers to it.
#[derive(Clone, Copy, Default)]
pub(crate) enum Shown {
    /// All of it.
    #[default]
    Whole,
    /// Its kind and queue.
    Brief,
}

impl<'a> Classes<'a> {
    pub(crate) fn shown(shown: Shown) -> Self {
        Self { shown, ..Self::default() }
    }

    /// In the order of their numbers.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Class<'a>> {
        self.order.iter().map(|class| Class::of(class))
    }

    pub(super) fn refer(&mut self, class: &'a Arc<core::Class>) -> ClassRef<'a> {
        let number = match self.last {
            Some((last, number)) if Arc::ptr_eq(last, class) => number,
            Some(_) | None => {
                let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
                let number = *self.known.entry(class).or_insert_with(|| {
                    self.order.push(class);
                    next
                });
                self.last = Some((class, number));
                number
            }
        };
        ClassRef { number, class: Some((class, self.shown)) }
    }
}

/// The number of a class in its record; for people, the class itself.
#[derive(Clone, Deserialize)]
pub(super) struct ClassRef<'a> {
    number: u32,
    #[serde(skip)]
    class: Option<(&'a core::Class, Shown)>,
}

impl ClassRef<'_> {
    pub(super) fn restore(self, classes: &[Arc<core::Class>]) -> Result<Arc<core::Class>, Invalid> {
        let Self { number, class: _ } = self;
        let class = usize::try_from(number).ok().and_then(|number| classes.get(number));
        class.cloned().ok_or(Invalid::Other("a job is of a class that the record does not hold"))
    }
}

impl Serialize for ClassRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.class.filter(|_| serializer.is_human_readable()) {
            Some((class, Shown::Whole)) => Class::of(class).serialize(serializer),
            Some((class, Shown::Brief)) => {
                let mut brief = serializer.serialize_struct("Class", 2)?;
                brief.serialize_field("kind", class.kind.as_str())?;
                brief.serialize_field("queue", class.queue.as_str())?;
                brief.end()
            }
            None => serializer.serialize_u32(self.number),
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Class<'a> {
    kind: &'a str,
    queue: &'a str,
    #[serde(borrow)]
    resources: Resources<'a>,
    limits: Limits,
    retry: RetryPolicy,
    #[serde(borrow)]
    registry: Option<&'a str>,
    #[serde(borrow)]
    promotion: Promotion<'a>,
}

impl<'a> Class<'a> {
    fn of(class: &'a core::Class) -> Self {
        let core::Class { kind, queue, resources, limits, retry, registry, promotion } = class;
        Self {
            kind: kind.as_str(),
            queue: queue.as_str(),
            resources: Resources::of(resources),
            limits: Limits::of(*limits),
            retry: RetryPolicy::of(*retry),
            registry: registry.as_ref().map(core::Registry::as_str),
            promotion: Promotion::of(promotion),
        }
    }

    pub(crate) fn restore(self) -> Result<core::Class, Invalid> {
        let Self { kind, queue, resources, limits, retry, registry, promotion } = self;
        Ok(core::Class {
            kind: core::Kind::new(kind)?,
            queue: core::QueueName::new(queue)?,
            resources: resources.restore()?,
            limits: limits.restore()?,
            retry: retry.restore()?,
            registry: registry.map(core::Registry::new).transpose()?,
            promotion: promotion.restore()?,
        })
    }
}

/// Every name with its amount; at most the names there may be, and `slot`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Resources<'a>(#[serde(borrow)] List<(&'a str, u64), { core::Resources::NAMES_MAX + 1 }>);

impl<'a> Resources<'a> {
    pub(super) fn of(resources: &'a core::Resources) -> Self {
        Self(List(resources.iter().collect()))
    }

    pub(super) fn restore(self) -> Result<core::Resources, Invalid> {
        let Self(List(amounts)) = self;
        amounts.into_iter().try_fold(core::Resources::slots(0), |all, (name, amount)| {
            Ok(all.with(core::Resource::new(name)?, amount))
        })
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Limits {
    time: Option<Span>,
    queue_time: Option<Span>,
    stall: Option<StallRule>,
    grace: Span,
}

impl Limits {
    fn of(limits: core::Limits) -> Self {
        let core::Limits { time, queue_time, stall, grace } = limits;
        Self {
            time: time.map(Span::of),
            queue_time: queue_time.map(Span::of),
            stall: stall.map(StallRule::of),
            grace: Span::of(grace),
        }
    }

    fn restore(self) -> Result<core::Limits, Invalid> {
        let Self { time, queue_time, stall, grace } = self;
        Ok(core::Limits {
            time: time.map(Span::restore).transpose()?,
            queue_time: queue_time.map(Span::restore).transpose()?,
            stall: stall.map(StallRule::restore).transpose()?,
            grace: grace.restore()?,
        })
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct StallRule {
    gain: Gain,
    within: Span,
}

impl StallRule {
    fn of(rule: core::StallRule) -> Self {
        let core::StallRule { gain, within } = rule;
        let gain = match gain {
            core::Gain::Performance(gain) => Gain::Performance(Number::of(gain)),
            core::Gain::Steps(steps) => Gain::Steps(steps),
        };
        Self { gain, within: Span::of(within) }
    }

    fn restore(self) -> Result<core::StallRule, Invalid> {
        let Self { gain, within } = self;
        let gain = match gain {
            Gain::Performance(gain) => core::Gain::Performance(gain.restore()?),
            Gain::Steps(steps) => core::Gain::Steps(steps),
        };
        Ok(core::StallRule { gain, within: within.restore()? })
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Gain {
    Performance(Number),
    Steps(u64),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct RetryPolicy {
    retries_max: u32,
    backoff: Backoff,
}

impl RetryPolicy {
    fn of(policy: core::RetryPolicy) -> Self {
        let core::RetryPolicy { retries_max, backoff } = policy;
        Self { retries_max, backoff: Backoff::of(backoff) }
    }

    fn restore(self) -> Result<core::RetryPolicy, Invalid> {
        let Self { retries_max, backoff } = self;
        Ok(core::RetryPolicy { retries_max, backoff: backoff.restore()? })
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Backoff {
    first: Span,
    cap: Span,
}

impl Backoff {
    pub(super) fn of(backoff: core::Backoff) -> Self {
        Self { first: Span::of(backoff.first()), cap: Span::of(backoff.cap()) }
    }

    pub(super) fn restore(self) -> Result<core::Backoff, Invalid> {
        let Self { first, cap } = self;
        Ok(core::Backoff::new(first.restore()?, cap.restore()?))
    }
}

#[derive(Clone, Serialize, Deserialize)]
enum Promotion<'a> {
    Newest,
    Manual,
    Best(&'a str),
    AtLeast(&'a str, Number),
}

impl<'a> Promotion<'a> {
    fn of(promotion: &'a core::Promotion) -> Self {
        match promotion {
            core::Promotion::Newest => Self::Newest,
            core::Promotion::Manual => Self::Manual,
            core::Promotion::Best(metric) => Self::Best(metric.as_str()),
            core::Promotion::AtLeast(metric, least) => Self::AtLeast(metric.as_str(), Number::of(*least)),
        }
    }

    fn restore(self) -> Result<core::Promotion, Invalid> {
        Ok(match self {
            Self::Newest => core::Promotion::Newest,
            Self::Manual => core::Promotion::Manual,
            Self::Best(metric) => core::Promotion::Best(core::Metric::new(metric)?),
            Self::AtLeast(metric, least) => {
                core::Promotion::AtLeast(core::Metric::new(metric)?, least.restore()?)
            }
        })
    }
}
