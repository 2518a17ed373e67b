//! Settings, queues and nodes.

use serde::{Deserialize, Serialize};
use trainyard_core as core;

use super::class::Resources;
use super::value::{Invalid, List, Moment, Span, reason};

/// Far more than the core takes.
const KINDS_MAX: usize = 65_536;

#[derive(Serialize, Deserialize)]
pub(super) struct Settings {
    finished_max: u32,
    models_max: u32,
    unfinished_max: u32,
    reserve_after: Span,
    node_lease: Span,
}

impl Settings {
    pub(super) fn of(settings: core::Settings) -> Self {
        let core::Settings { finished_max, models_max, unfinished_max, reserve_after, node_lease } = settings;
        Self {
            finished_max,
            models_max,
            unfinished_max,
            reserve_after: Span::of(reserve_after),
            node_lease: Span::of(node_lease),
        }
    }

    pub(super) fn restore(self) -> Result<core::Settings, Invalid> {
        let Self { finished_max, models_max, unfinished_max, reserve_after, node_lease } = self;
        Ok(core::Settings {
            finished_max,
            models_max,
            unfinished_max,
            reserve_after: reserve_after.restore()?,
            node_lease: node_lease.restore()?,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct QueueSettings {
    running_max: Option<u32>,
    waiting_max: u32,
    priority_step: Span,
}

impl QueueSettings {
    pub(super) fn of(settings: core::QueueSettings) -> Self {
        let core::QueueSettings { running_max, waiting_max, priority_step } = settings;
        Self { running_max, waiting_max, priority_step: Span::of(priority_step) }
    }

    pub(super) fn restore(self) -> Result<core::QueueSettings, Invalid> {
        let Self { running_max, waiting_max, priority_step } = self;
        Ok(core::QueueSettings { running_max, waiting_max, priority_step: priority_step.restore()? })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Retention {
    finished_max: Option<u32>,
    models_max: Option<u32>,
}

impl Retention {
    pub(super) const fn of(retention: core::Retention) -> Self {
        let core::Retention { finished_max, models_max } = retention;
        Self { finished_max, models_max }
    }

    pub(super) const fn restore(self) -> core::Retention {
        let Self { finished_max, models_max } = self;
        core::Retention { finished_max, models_max }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Queue<'a> {
    settings: QueueSettings,
    #[serde(borrow)]
    paused: Option<&'a str>,
    running: u32,
    waiting: u32,
}

impl<'a> Queue<'a> {
    pub(super) fn of(queue: &'a core::Queue) -> Self {
        // What is kept of it is told by an event of its own.
        let core::Queue { settings, retention: _, paused, running, waiting } = queue;
        Self {
            settings: QueueSettings::of(*settings),
            paused: paused.as_ref().map(core::Reason::as_str),
            running: *running,
            waiting: *waiting,
        }
    }

    pub(super) fn restore(self) -> Result<core::Queue, Invalid> {
        let Self { settings, paused, running, waiting } = self;
        Ok(core::Queue {
            settings: settings.restore()?,
            retention: core::Retention::default(),
            paused: paused.map(reason).transpose()?,
            running,
            waiting,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Abilities<'a> {
    #[serde(borrow)]
    kinds: List<(&'a str, Placement), KINDS_MAX>,
    #[serde(borrow)]
    capacity: Resources<'a>,
}

impl<'a> Abilities<'a> {
    pub(super) fn of(abilities: &'a core::Abilities) -> Self {
        let core::Abilities { kinds, capacity } = abilities;
        let kinds = kinds.iter().map(|(kind, placement)| (kind.as_str(), Placement::of(*placement)));
        Self { kinds: List(kinds.collect()), capacity: Resources::of(capacity) }
    }

    pub(super) fn restore(self) -> Result<core::Abilities, Invalid> {
        let Self { kinds: List(kinds), capacity } = self;
        let kinds =
            kinds.into_iter().map(|(kind, placement)| Ok((core::Kind::new(kind)?, placement.restore())));
        Ok(core::Abilities { kinds: kinds.collect::<Result<_, Invalid>>()?, capacity: capacity.restore()? })
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum Placement {
    InProcess,
    External,
}

impl Placement {
    pub(super) const fn of(placement: core::Placement) -> Self {
        match placement {
            core::Placement::InProcess => Self::InProcess,
            core::Placement::External => Self::External,
        }
    }

    pub(super) const fn restore(self) -> core::Placement {
        match self {
            Self::InProcess => core::Placement::InProcess,
            Self::External => core::Placement::External,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Node<'a> {
    epoch: u64,
    #[serde(borrow)]
    abilities: Abilities<'a>,
    #[serde(borrow)]
    used: Resources<'a>,
    alive_until: Option<Moment>,
    seen_at: Moment,
}

impl<'a> Node<'a> {
    pub(super) fn of(node: &'a core::Node) -> Self {
        let core::Node { epoch, abilities, used, alive_until, seen_at } = node;
        Self {
            epoch: epoch.get(),
            abilities: Abilities::of(abilities),
            used: Resources::of(used),
            alive_until: alive_until.map(Moment::of),
            seen_at: Moment::of(*seen_at),
        }
    }

    pub(super) fn restore(self) -> Result<core::Node, Invalid> {
        let Self { epoch, abilities, used, alive_until, seen_at } = self;
        Ok(core::Node {
            epoch: core::Epoch::new(epoch),
            abilities: abilities.restore()?,
            used: used.restore()?,
            alive_until: alive_until.map(Moment::restore),
            seen_at: seen_at.restore(),
        })
    }
}
