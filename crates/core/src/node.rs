//! Processes that run trainers.

use std::collections::BTreeMap;

use crate::{Epoch, Kind, Resources, Timestamp};

/// Where a trainer of some kind runs, seen from its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Placement {
    /// In the node's own process: it dies with it.
    InProcess,
    /// Outside, under a key made of job and attempt: it may outlive the process that started it.
    External,
}

/// What a process can train, and how much at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Abilities {
    /// The kinds it has trainers for, and where those run. At most [`Abilities::KINDS_MAX`].
    pub kinds: BTreeMap<Kind, Placement>,
    /// What its jobs share.
    pub capacity: Resources,
}

impl Abilities {
    /// How many kinds one node may have.
    pub const KINDS_MAX: usize = 256;
}

/// A process that has opened the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// How often it has.
    pub epoch: Epoch,
    /// What it can train.
    pub abilities: Abilities,
    /// What its jobs take of its capacity.
    pub used: Resources,
    /// Until when it counts as alive without a word from it; `None` when it is gone.
    pub alive_until: Option<Timestamp>,
    /// When it was last heard of.
    pub seen_at: Timestamp,
}

impl Node {
    /// What is left of its capacity.
    #[must_use]
    pub fn free(&self) -> Resources {
        self.abilities.capacity.minus(&self.used)
    }

    /// Whether a job of this kind that needs so much could run there if nothing else did.
    #[must_use]
    pub fn suits(&self, kind: &Kind, demand: &Resources) -> bool {
        self.is_alive() && self.abilities.kinds.contains_key(kind) && self.abilities.capacity.covers(demand)
    }

    /// Whether work may be given to it.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        self.alive_until.is_some()
    }
}
