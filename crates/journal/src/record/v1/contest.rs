//! Contests, and what a run has shown.

use serde::{Deserialize, Serialize};
use trainyard_core as core;

use super::job::Outcome;
use super::model::Trained;
use super::value::{Bytes, Id, Invalid, List, Moment, Number, reason};

/// Far more than the core lets compete.
const CANDIDATES_MAX: usize = 65_536;
/// Far more than the core keeps.
const SCORES_MAX: usize = 65_536;

#[derive(Serialize, Deserialize)]
pub(super) struct ContestPlan<'a> {
    target: Number,
    #[serde(borrow)]
    candidates: List<Entrant<'a>, CANDIDATES_MAX>,
    median: Option<MedianRule>,
}

impl<'a> ContestPlan<'a> {
    pub(super) fn of(plan: &'a core::ContestPlan) -> Self {
        let core::ContestPlan { target, candidates, median } = plan;
        Self {
            target: Number::of(*target),
            candidates: List(candidates.iter().map(Entrant::of).collect()),
            median: median.map(MedianRule::of),
        }
    }

    pub(super) fn restore(self) -> Result<core::ContestPlan, Invalid> {
        let Self { target, candidates: List(candidates), median } = self;
        Ok(core::ContestPlan {
            target: target.restore()?,
            candidates: candidates.into_iter().map(Entrant::restore).collect::<Result<_, _>>()?,
            median: median.map(MedianRule::restore),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Entrant<'a> {
    id: Id,
    label: &'a str,
    #[serde(borrow)]
    parameters: Bytes<'a>,
}

impl<'a> Entrant<'a> {
    fn of(entrant: &'a core::Entrant) -> Self {
        let core::Entrant { id, label, parameters } = entrant;
        Self { id: Id(id.as_uuid()), label: label.as_str(), parameters: Bytes::of(parameters) }
    }

    fn restore(self) -> Result<core::Entrant, Invalid> {
        let Self { id, label, parameters } = self;
        Ok(core::Entrant {
            id: core::CandidateId::new(id.0),
            label: core::Label::new(label)?,
            parameters: parameters.restore()?,
        })
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct MedianRule {
    reports_min: u32,
    others_min: u32,
}

impl MedianRule {
    fn of(rule: core::MedianRule) -> Self {
        let core::MedianRule { reports_min, others_min } = rule;
        Self { reports_min, others_min }
    }

    fn restore(self) -> core::MedianRule {
        let Self { reports_min, others_min } = self;
        core::MedianRule { reports_min, others_min }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Contest<'a> {
    target: Number,
    median: Option<MedianRule>,
    #[serde(borrow)]
    candidates: List<Candidate<'a>, CANDIDATES_MAX>,
}

impl<'a> Contest<'a> {
    pub(super) fn of(contest: &'a core::Contest) -> Self {
        // Who has reached the target is told of by pieces that follow the job.
        let core::Contest { target, median, candidates, holders: _ } = contest;
        Self {
            target: Number::of(*target),
            median: median.map(MedianRule::of),
            candidates: List(candidates.iter().map(Candidate::of).collect()),
        }
    }

    pub(super) fn restore(self) -> Result<core::Contest, Invalid> {
        let Self { target, median, candidates: List(candidates) } = self;
        Ok(core::Contest {
            target: target.restore()?,
            median: median.map(MedianRule::restore),
            candidates: candidates.into_iter().map(Candidate::restore).collect::<Result<_, _>>()?,
            holders: Vec::new(),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Candidate<'a> {
    id: Id,
    label: &'a str,
    #[serde(borrow)]
    parameters: Bytes<'a>,
    #[serde(borrow)]
    phase: CandidatePhase<'a>,
    #[serde(borrow)]
    standing: Standing<'a>,
    means: List<Number, SCORES_MAX>,
}

impl<'a> Candidate<'a> {
    fn of(candidate: &'a core::Candidate) -> Self {
        let core::Candidate { id, label, parameters, phase, standing, means } = candidate;
        Self {
            id: Id(id.as_uuid()),
            label: label.as_str(),
            parameters: Bytes::of(parameters),
            phase: CandidatePhase::of(phase),
            standing: Standing::of(standing),
            means: List(means.iter().copied().map(Number::of).collect()),
        }
    }

    fn restore(self) -> Result<core::Candidate, Invalid> {
        let Self { id, label, parameters, phase, standing, means: List(means) } = self;
        Ok(core::Candidate {
            id: core::CandidateId::new(id.0),
            label: core::Label::new(label)?,
            parameters: parameters.restore()?,
            phase: phase.restore()?,
            standing: standing.restore()?,
            means: means.into_iter().map(Number::restore).collect::<Result<_, _>>()?,
        })
    }
}

/// New phases come at the end, and nowhere else.
#[derive(Serialize, Deserialize)]
enum CandidatePhase<'a> {
    Pending {},
    Running {
        lease: u64,
    },
    Ended {
        #[serde(borrow)]
        outcome: Outcome<'a>,
        at: Moment,
    },
    HandedOver {
        lease: u64,
        model: Id,
        #[serde(borrow)]
        trained: Trained<'a>,
    },
}

impl<'a> CandidatePhase<'a> {
    fn of(phase: &'a core::CandidatePhase) -> Self {
        match phase {
            core::CandidatePhase::Pending => Self::Pending {},
            core::CandidatePhase::Running { lease } => Self::Running { lease: lease.get() },
            core::CandidatePhase::Ended { outcome, at } => {
                Self::Ended { outcome: Outcome::of(outcome), at: Moment::of(*at) }
            }
            core::CandidatePhase::HandedOver { lease, model, trained } => Self::HandedOver {
                lease: lease.get(),
                model: Id(model.as_uuid()),
                trained: Trained::of(trained),
            },
        }
    }

    fn restore(self) -> Result<core::CandidatePhase, Invalid> {
        Ok(match self {
            Self::Pending {} => core::CandidatePhase::Pending,
            Self::Running { lease } => core::CandidatePhase::Running { lease: core::Lease::new(lease) },
            Self::Ended { outcome, at } => {
                core::CandidatePhase::Ended { outcome: outcome.restore()?, at: at.restore() }
            }
            Self::HandedOver { lease, model, trained } => core::CandidatePhase::HandedOver {
                lease: core::Lease::new(lease),
                model: core::ModelId::new(model.0),
                trained: trained.restore()?,
            },
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Standing<'a> {
    step: u64,
    recent: List<Number, { core::PerformanceWindow::SIZE }>,
    reports: u64,
    best: Option<Number>,
    mark: Option<Mark>,
    #[serde(borrow)]
    checkpoint: Option<Checkpoint<'a>>,
}

impl<'a> Standing<'a> {
    pub(super) fn of(standing: &'a core::Standing) -> Self {
        // At which step something was shown is told by pieces that follow the job.
        let core::Standing { step, window, shown: _, mark, checkpoint } = standing;
        Self {
            step: *step,
            recent: List(window.recent().iter().copied().map(Number::of).collect()),
            reports: window.reports(),
            best: window.best().map(Number::of),
            mark: mark.map(Mark::of),
            checkpoint: checkpoint.as_ref().map(Checkpoint::of),
        }
    }

    pub(super) fn restore(self) -> Result<core::Standing, Invalid> {
        let Self { step, recent: List(recent), reports, best, mark, checkpoint } = self;
        let recent = recent.into_iter().map(Number::restore).collect::<Result<_, _>>()?;
        Ok(core::Standing {
            step,
            window: core::PerformanceWindow::restore(recent, reports, best.map(Number::restore).transpose()?),
            shown: None,
            mark: mark.map(Mark::restore).transpose()?,
            checkpoint: checkpoint.map(Checkpoint::restore).transpose()?,
        })
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Mark {
    since: Moment,
    performance: Option<Number>,
    step: Option<u64>,
}

impl Mark {
    fn of(mark: core::Mark) -> Self {
        let core::Mark { since, performance, step } = mark;
        Self { since: Moment::of(since), performance: performance.map(Number::of), step }
    }

    fn restore(self) -> Result<core::Mark, Invalid> {
        let Self { since, performance, step } = self;
        Ok(core::Mark {
            since: since.restore(),
            performance: performance.map(Number::restore).transpose()?,
            step,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Checkpoint<'a> {
    reference: &'a str,
    step: u64,
}

impl<'a> Checkpoint<'a> {
    pub(super) fn of(checkpoint: &'a core::Checkpoint) -> Self {
        let core::Checkpoint { reference, step } = checkpoint;
        Self { reference: reference.as_str(), step: *step }
    }

    pub(super) fn restore(self) -> Result<core::Checkpoint, Invalid> {
        let Self { reference, step } = self;
        Ok(core::Checkpoint { reference: reason(reference)?, step })
    }
}
