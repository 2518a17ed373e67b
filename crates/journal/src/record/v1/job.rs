//! Submissions, and what became of them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use trainyard_core as core;

use super::class::{ClassRef, Classes};
use super::contest::{Contest, ContestPlan, Standing};
use super::node::Placement;
use super::value::{Bytes, Id, Invalid, List, Moment, Span, reason};

/// Far more leases than the core hands out for one attempt.
const LEASES_MAX: usize = 65_536;

#[derive(Serialize, Deserialize)]
pub(super) struct Submission<'a> {
    job: Id,
    subject: &'a str,
    #[serde(borrow)]
    class: ClassRef<'a>,
    #[serde(borrow)]
    parameters: Bytes<'a>,
    priority: i8,
    admission: Admission,
    not_before: Option<Moment>,
    #[serde(borrow)]
    key: Option<&'a str>,
    watermark: Option<u64>,
    #[serde(borrow)]
    contest: Option<ContestPlan<'a>>,
}

impl<'a> Submission<'a> {
    pub(super) fn of(submission: &'a core::Submission, classes: &mut Classes<'a>) -> Self {
        let core::Submission {
            job,
            subject,
            class,
            parameters,
            priority,
            admission,
            not_before,
            key,
            watermark,
            contest,
        } = submission;
        Self {
            job: Id(job.as_uuid()),
            subject: subject.as_str(),
            class: classes.refer(class),
            parameters: Bytes::of(parameters),
            priority: priority.get(),
            admission: Admission::of(*admission),
            not_before: not_before.map(Moment::of),
            key: key.as_ref().map(core::IdempotencyKey::as_str),
            watermark: *watermark,
            contest: contest.as_deref().map(ContestPlan::of),
        }
    }

    pub(super) fn restore(self, classes: &[Arc<core::Class>]) -> Result<core::Submission, Invalid> {
        let Self {
            job,
            subject,
            class,
            parameters,
            priority: urgency,
            admission,
            not_before,
            key,
            watermark,
            contest,
        } = self;
        Ok(core::Submission {
            job: core::JobId::new(job.0),
            subject: core::Subject::new(subject)?,
            class: class.restore(classes)?,
            parameters: parameters.restore()?,
            priority: priority(urgency)?,
            admission: admission.restore(),
            not_before: not_before.map(Moment::restore),
            key: key.map(core::IdempotencyKey::new).transpose()?,
            watermark,
            contest: contest.map(ContestPlan::restore).transpose()?.map(Arc::new),
        })
    }
}

fn priority(stored: i8) -> Result<core::Priority, Invalid> {
    let priority = core::Priority::new(stored);
    if priority.get() == stored {
        Ok(priority)
    } else {
        Err(Invalid::Other("a priority is out of its bounds"))
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum Admission {
    Queue,
    Join,
    Trail,
    Refuse,
}

impl Admission {
    pub(super) const fn of(admission: core::Admission) -> Self {
        match admission {
            core::Admission::Queue => Self::Queue,
            core::Admission::Join => Self::Join,
            core::Admission::Trail => Self::Trail,
            core::Admission::Refuse => Self::Refuse,
        }
    }

    pub(super) const fn restore(self) -> core::Admission {
        match self {
            Self::Queue => core::Admission::Queue,
            Self::Join => core::Admission::Join,
            Self::Trail => core::Admission::Trail,
            Self::Refuse => core::Admission::Refuse,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) enum Outcome<'a> {
    Completed { model: Option<Id> },
    TimedOut(TimedOut),
    Stalled {},
    Cancelled { reason: &'a str },
    Failed { reason: &'a str },
    Superseded {},
}

impl<'a> Outcome<'a> {
    pub(super) fn of(outcome: &'a core::Outcome) -> Self {
        match outcome {
            core::Outcome::Completed { model } => {
                Self::Completed { model: model.map(|model| Id(model.as_uuid())) }
            }
            core::Outcome::TimedOut(core::TimedOut::Running) => Self::TimedOut(TimedOut::Running),
            core::Outcome::TimedOut(core::TimedOut::Waiting) => Self::TimedOut(TimedOut::Waiting),
            core::Outcome::Stalled => Self::Stalled {},
            core::Outcome::Cancelled { reason } => Self::Cancelled { reason: reason.as_str() },
            core::Outcome::Failed { reason } => Self::Failed { reason: reason.as_str() },
            core::Outcome::Superseded => Self::Superseded {},
        }
    }

    pub(super) fn restore(self) -> Result<core::Outcome, Invalid> {
        Ok(match self {
            Self::Completed { model } => {
                core::Outcome::Completed { model: model.map(|model| core::ModelId::new(model.0)) }
            }
            Self::TimedOut(TimedOut::Running) => core::Outcome::TimedOut(core::TimedOut::Running),
            Self::TimedOut(TimedOut::Waiting) => core::Outcome::TimedOut(core::TimedOut::Waiting),
            Self::Stalled {} => core::Outcome::Stalled,
            Self::Cancelled { reason: why } => core::Outcome::Cancelled { reason: reason(why)? },
            Self::Failed { reason: why } => core::Outcome::Failed { reason: reason(why)? },
            Self::Superseded {} => core::Outcome::Superseded,
        })
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum TimedOut {
    Running,
    Waiting,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Job<'a> {
    id: Id,
    order: u64,
    subject: &'a str,
    #[serde(borrow)]
    class: ClassRef<'a>,
    #[serde(borrow)]
    parameters: Bytes<'a>,
    submitted_at: Moment,
    #[serde(borrow)]
    phase: Phase<'a>,
    ran: Span,
    attempts: u32,
    retries: u32,
    interruptions: u8,
    priority: i8,
    #[serde(borrow)]
    extras: Option<Extras<'a>>,
}

impl<'a> Job<'a> {
    pub(super) fn of(job: &'a core::Job, classes: &mut Classes<'a>) -> Self {
        let core::Job {
            id,
            order,
            subject,
            class,
            parameters,
            submitted_at,
            phase,
            ran,
            attempts,
            retries,
            interruptions,
            priority,
            extras,
        } = job;
        Self {
            id: Id(id.as_uuid()),
            order: order.get(),
            subject: subject.as_str(),
            class: classes.refer(class),
            parameters: Bytes::of(parameters),
            submitted_at: Moment::of(*submitted_at),
            phase: Phase::of(phase),
            ran: Span::of(*ran),
            attempts: attempts.get(),
            retries: *retries,
            interruptions: *interruptions,
            priority: priority.get(),
            extras: extras.as_deref().map(Extras::of),
        }
    }

    pub(super) fn restore(self, classes: &[Arc<core::Class>]) -> Result<core::Job, Invalid> {
        let Self {
            id,
            order,
            subject,
            class,
            parameters,
            submitted_at,
            phase,
            ran,
            attempts,
            retries,
            interruptions,
            priority: urgency,
            extras,
        } = self;
        Ok(core::Job {
            id: core::JobId::new(id.0),
            order: core::Order::new(order),
            subject: core::Subject::new(subject)?,
            class: class.restore(classes)?,
            parameters: parameters.restore()?,
            submitted_at: submitted_at.restore(),
            phase: phase.restore()?,
            ran: ran.restore()?,
            attempts: core::Attempt::new(attempts),
            retries,
            interruptions,
            priority: priority(urgency)?,
            extras: extras.map(Extras::restore).transpose()?.map(Box::new),
        })
    }
}

#[derive(Serialize, Deserialize)]
enum Phase<'a> {
    Waiting {
        not_before: Moment,
        #[serde(borrow)]
        held: Option<&'a str>,
    },
    Running {
        started_at: Moment,
        lease: u64,
        node: Id,
        epoch: u64,
        placement: Placement,
        contact: Contact,
        live: List<u64, LEASES_MAX>,
    },
    Finished {
        #[serde(borrow)]
        outcome: Outcome<'a>,
        at: Moment,
        draining: Option<Draining>,
    },
}

impl<'a> Phase<'a> {
    fn of(phase: &'a core::Phase) -> Self {
        match phase {
            core::Phase::Waiting(waiting) => {
                let core::Waiting { not_before, held } = waiting;
                Self::Waiting {
                    not_before: Moment::of(*not_before),
                    held: held.as_ref().map(core::Reason::as_str),
                }
            }
            core::Phase::Running(running) => {
                // Whoever is leaving is told of by facts that follow the job.
                let core::Running { started_at, lease, node, epoch, placement, contact, live, leaving: _ } =
                    &**running;
                Self::Running {
                    started_at: Moment::of(*started_at),
                    lease: lease.get(),
                    node: Id(node.as_uuid()),
                    epoch: epoch.get(),
                    placement: Placement::of(*placement),
                    contact: Contact::of(*contact),
                    live: leases(live),
                }
            }
            core::Phase::Finished(finished) => {
                let core::Finished { outcome, at, draining } = &**finished;
                Self::Finished {
                    outcome: Outcome::of(outcome),
                    at: Moment::of(*at),
                    draining: draining.as_ref().map(Draining::of),
                }
            }
        }
    }

    fn restore(self) -> Result<core::Phase, Invalid> {
        Ok(match self {
            Self::Waiting { not_before, held } => core::Phase::Waiting(core::Waiting {
                not_before: not_before.restore(),
                held: held.map(reason).transpose()?,
            }),
            Self::Running { started_at, lease, node, epoch, placement, contact, live } => {
                core::Phase::Running(Box::new(core::Running {
                    started_at: started_at.restore(),
                    lease: core::Lease::new(lease),
                    node: core::NodeId::new(node.0),
                    epoch: core::Epoch::new(epoch),
                    placement: placement.restore(),
                    contact: contact.restore(),
                    live: restore_leases(live),
                    leaving: Vec::new(),
                }))
            }
            Self::Finished { outcome, at, draining } => core::Phase::Finished(Box::new(core::Finished {
                outcome: outcome.restore()?,
                at: at.restore(),
                draining: draining.map(Draining::restore),
            })),
        })
    }
}

fn leases(live: &[core::Lease]) -> List<u64, LEASES_MAX> {
    List(live.iter().map(|lease| lease.get()).collect())
}

fn restore_leases(List(live): List<u64, LEASES_MAX>) -> Vec<core::Lease> {
    live.into_iter().map(core::Lease::new).collect()
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Contact {
    Held,
    Recovering,
}

impl Contact {
    const fn of(contact: core::Contact) -> Self {
        match contact {
            core::Contact::Held => Self::Held,
            core::Contact::Recovering => Self::Recovering,
        }
    }

    const fn restore(self) -> core::Contact {
        match self {
            Self::Held => core::Contact::Held,
            Self::Recovering => core::Contact::Recovering,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Draining {
    node: Id,
    epoch: u64,
    live: List<u64, LEASES_MAX>,
    deadline: Moment,
}

impl Draining {
    fn of(draining: &core::Draining) -> Self {
        let core::Draining { node, epoch, live, deadline } = draining;
        Self {
            node: Id(node.as_uuid()),
            epoch: epoch.get(),
            live: leases(live),
            deadline: Moment::of(*deadline),
        }
    }

    fn restore(self) -> core::Draining {
        let Self { node, epoch, live, deadline } = self;
        core::Draining {
            node: core::NodeId::new(node.0),
            epoch: core::Epoch::new(epoch),
            live: restore_leases(live),
            deadline: deadline.restore(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Extras<'a> {
    #[serde(borrow)]
    key: Option<&'a str>,
    watermark: Option<u64>,
    #[serde(borrow)]
    standing: Standing<'a>,
    #[serde(borrow)]
    contest: Option<Contest<'a>>,
}

impl<'a> Extras<'a> {
    fn of(extras: &'a core::Extras) -> Self {
        let core::Extras { key, watermark, standing, contest } = extras;
        Self {
            key: key.as_ref().map(core::IdempotencyKey::as_str),
            watermark: *watermark,
            standing: Standing::of(standing),
            contest: contest.as_ref().map(Contest::of),
        }
    }

    fn restore(self) -> Result<core::Extras, Invalid> {
        let Self { key, watermark, standing, contest } = self;
        Ok(core::Extras {
            key: key.map(core::IdempotencyKey::new).transpose()?,
            watermark,
            standing: standing.restore()?,
            contest: contest.map(Contest::restore).transpose()?,
        })
    }
}
