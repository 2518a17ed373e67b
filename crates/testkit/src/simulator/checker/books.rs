//! What the checker writes down of jobs, queues and nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use trainyard_core::{
    Class, Epoch, IdempotencyKey, JobId, Kind, Lease, ModelId, NodeId, Outcome, Placement, QueueSettings,
    Resources, Timestamp,
};

use super::contest::ContestBook;

#[derive(Debug)]
pub(super) struct JobBook {
    pub(super) class: Arc<Class>,
    pub(super) subject: trainyard_core::Subject,
    pub(super) key: Option<IdempotencyKey>,
    pub(super) watermark: Option<u64>,
    pub(super) submitted_at: Timestamp,
    pub(super) stage: Stage,
    pub(super) ran: Duration,
    pub(super) attempts: u32,
    pub(super) retries: u32,
    pub(super) contest: Option<ContestBook>,
    /// What was registered as its model.
    pub(super) model: Option<ModelId>,
}

#[derive(Debug)]
pub(super) enum Stage {
    Waiting { not_before: Timestamp, held: bool },
    Running(Stint),
    Over { outcome: Outcome, draining: Option<Stint> },
}

/// One attempt at work.
#[derive(Debug, Clone)]
pub(super) struct Stint {
    pub(super) node: NodeId,
    pub(super) epoch: Epoch,
    pub(super) since: Timestamp,
    pub(super) live: Vec<Lease>,
}

#[derive(Debug, Default)]
pub(super) struct SubjectBook {
    /// Who is at work on it, or is over and has yet to stop.
    pub(super) occupied: Option<JobId>,
    pub(super) unfinished: BTreeSet<JobId>,
}

#[derive(Debug, Default)]
pub(super) struct QueueBook {
    pub(super) settings: QueueSettings,
    pub(super) is_paused: bool,
    pub(super) running: u32,
    pub(super) waiting: u32,
}

#[derive(Debug)]
pub(super) struct NodeBook {
    pub(super) epoch: Epoch,
    pub(super) kinds: BTreeMap<Kind, Placement>,
    pub(super) capacity: Resources,
    pub(super) is_alive: bool,
    pub(super) occupants: BTreeSet<JobId>,
}

impl JobBook {
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over { .. })
    }

    /// The attempt that takes room, if there is one.
    pub(super) const fn stint(&self) -> Option<&Stint> {
        match &self.stage {
            Stage::Running(stint) => Some(stint),
            Stage::Over { draining, .. } => draining.as_ref(),
            Stage::Waiting { .. } => None,
        }
    }

    /// Whether this lease gives a right to write now.
    pub(super) fn may_write(&self, lease: Lease) -> bool {
        match &self.stage {
            Stage::Running(stint) => {
                stint.live.contains(&lease)
                    && self.contest.as_ref().is_none_or(|contest| contest.runs_under(lease))
            }
            Stage::Waiting { .. } | Stage::Over { .. } => false,
        }
    }

    /// Whether somebody may still be at work under this lease.
    pub(super) fn is_live(&self, lease: Lease) -> bool {
        self.stint().is_some_and(|stint| stint.live.contains(&lease))
    }

    /// When its time for running is over, as far as its present attempt is concerned.
    pub(super) fn out_of_time_at(&self) -> Option<Timestamp> {
        let left = self.class.limits.time?.saturating_sub(self.ran);
        match &self.stage {
            Stage::Running(stint) => Some(stint.since.after(left)),
            Stage::Waiting { .. } | Stage::Over { .. } => None,
        }
    }
}
