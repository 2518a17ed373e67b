//! Why a job waits, with numbers.

use std::fmt;
use std::time::Duration;

use crate::{JobId, Kind, NodeId, QueueName, Reason, Resource, Subject, Timestamp};

/// One thing that holds a job back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Blocker {
    /// It was asked not to start earlier, or waits out a failure.
    NotYet {
        /// When it may start.
        not_before: Timestamp,
        /// How long that still is.
        left: Duration,
    },
    /// Somebody has to release it.
    Held {
        /// Why it is held.
        reason: Reason,
    },
    /// Its queue lets nobody through.
    QueuePaused {
        /// Which queue.
        queue: QueueName,
        /// Why.
        reason: Reason,
    },
    /// As many of its queue run as may.
    QueueLimit {
        /// Which queue.
        queue: QueueName,
        /// How many run.
        running: u32,
        /// How many may.
        max: u32,
    },
    /// Its subject is being trained.
    SubjectBusy {
        /// Which subject.
        subject: Subject,
        /// By which job.
        job: JobId,
        /// Whether that job is over and its trainer has yet to stop.
        draining: bool,
    },
    /// Another job of its subject goes first.
    SubjectBehind {
        /// Which job.
        job: JobId,
    },
    /// No living node trains its kind.
    NoNode {
        /// Which kind.
        kind: Kind,
    },
    /// No living node that trains its kind has enough left. Told of the node that comes closest.
    NoCapacity {
        /// Which node.
        node: NodeId,
        /// What is lacking.
        resource: Resource,
        /// How much it needs.
        needed: u64,
        /// How much is left.
        free: u64,
        /// How much there is in all; less than needed means that it can never start there.
        total: u64,
    },
    /// What it needs is kept for a job that has waited too long already.
    Reserved {
        /// For which job.
        job: JobId,
    },
    /// So many jobs of its queue go first.
    Behind {
        /// How many.
        jobs: u64,
    },
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet { left, .. } => write!(f, "not to be started for another {left:?}"),
            Self::Held { reason } => write!(f, "held: {reason}"),
            Self::QueuePaused { queue, reason } => write!(f, "queue {queue} is paused: {reason}"),
            Self::QueueLimit { queue, running, max } => write!(f, "queue {queue} runs {running} of {max}"),
            Self::SubjectBusy { subject, job, draining: false } => {
                write!(f, "{subject} is being trained by {job}")
            }
            Self::SubjectBusy { subject, job, draining: true } => {
                write!(f, "{subject} is still occupied by {job}, which is being stopped")
            }
            Self::SubjectBehind { job } => write!(f, "job {job} of the same subject goes first"),
            Self::NoNode { kind } => write!(f, "no living node trains {kind}"),
            Self::NoCapacity { node, resource, needed, free, total } => {
                write!(f, "needs {needed} {resource}, node {node} has {free} of {total} left")
            }
            Self::Reserved { job } => {
                write!(f, "what it needs is kept for job {job}, which has waited longer")
            }
            Self::Behind { jobs } => write!(f, "{jobs} jobs go first"),
        }
    }
}
