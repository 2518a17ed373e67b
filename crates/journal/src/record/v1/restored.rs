//! Pieces of a snapshot.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use trainyard_core as core;

use super::class::Classes;
use super::job::Job;
use super::model::Model;
use super::node::{Node, Queue};
use super::retrain::Rule;
use super::value::{Id, Invalid};

/// New pieces come at the end, and nowhere else.
#[derive(Serialize, Deserialize)]
pub(super) enum Restored<'a> {
    Counters {
        order: u64,
        lease: u64,
    },
    Queue {
        name: &'a str,
        #[serde(borrow)]
        queue: Queue<'a>,
    },
    Node {
        id: Id,
        #[serde(borrow)]
        node: Node<'a>,
    },
    Job(#[serde(borrow)] Job<'a>),
    Rule {
        subject: &'a str,
        #[serde(borrow)]
        rule: Rule<'a>,
    },
    Model {
        #[serde(borrow)]
        model: Model<'a>,
        active: bool,
    },
    Reached {
        job: Id,
        candidate: Id,
        lease: u64,
    },
    Shown {
        job: Id,
        candidate: Option<Id>,
        shown: Shown,
    },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum Shown {
    Now(u64),
    Before(u64),
}

impl Shown {
    const fn of(shown: core::Shown) -> Self {
        match shown {
            core::Shown::Now(step) => Self::Now(step),
            core::Shown::Before(step) => Self::Before(step),
        }
    }

    const fn restore(self) -> core::Shown {
        match self {
            Self::Now(step) => core::Shown::Now(step),
            Self::Before(step) => core::Shown::Before(step),
        }
    }
}

impl<'a> Restored<'a> {
    pub(super) fn of(restored: &'a core::Restored, classes: &mut Classes<'a>) -> Self {
        use core::Restored as R;
        match restored {
            R::Counters { order, lease } => Self::Counters { order: order.get(), lease: lease.get() },
            R::Queue { name, queue } => Self::Queue { name: name.as_str(), queue: Queue::of(queue) },
            R::Node { id, node } => Self::Node { id: Id(id.as_uuid()), node: Node::of(node) },
            R::Job(job) => Self::Job(Job::of(job, classes)),
            R::Rule { subject, rule } => {
                Self::Rule { subject: subject.as_str(), rule: Rule::of(rule, classes) }
            }
            R::Model { model, active } => Self::Model { model: Model::of(model), active: *active },
            R::Reached { job, holder: core::Holder { candidate, lease } } => Self::Reached {
                job: Id(job.as_uuid()),
                candidate: Id(candidate.as_uuid()),
                lease: lease.get(),
            },
            R::Shown { job, candidate, shown } => Self::Shown {
                job: Id(job.as_uuid()),
                candidate: candidate.map(|candidate| Id(candidate.as_uuid())),
                shown: Shown::of(*shown),
            },
        }
    }

    pub(super) fn restore(self, classes: &[Arc<core::Class>]) -> Result<core::Restored, Invalid> {
        use core::Restored as R;
        Ok(match self {
            Self::Counters { order, lease } => {
                R::Counters { order: core::Order::new(order), lease: core::Lease::new(lease) }
            }
            Self::Queue { name, queue } => {
                R::Queue { name: core::QueueName::new(name)?, queue: queue.restore()? }
            }
            Self::Node { id, node } => R::Node { id: core::NodeId::new(id.0), node: node.restore()? },
            Self::Job(job) => R::Job(job.restore(classes)?),
            Self::Rule { subject, rule } => {
                R::Rule { subject: core::Subject::new(subject)?, rule: rule.restore(classes)? }
            }
            Self::Model { model, active } => R::Model { model: Arc::new(model.restore()?), active },
            Self::Reached { job, candidate, lease } => {
                let (candidate, lease) = (core::CandidateId::new(candidate.0), core::Lease::new(lease));
                R::Reached { job: core::JobId::new(job.0), holder: core::Holder { candidate, lease } }
            }
            Self::Shown { job, candidate, shown } => R::Shown {
                job: core::JobId::new(job.0),
                candidate: candidate.map(|candidate| core::CandidateId::new(candidate.0)),
                shown: shown.restore(),
            },
        })
    }
}
