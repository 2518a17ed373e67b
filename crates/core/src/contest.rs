//! Several algorithms, one target, one champion.

use crate::{
    CandidateId, Label, Lease, ModelId, Outcome, Parameters, Reason, Score, StallRule, Standing, TimedOut,
    Timestamp, Trained,
};

/// What a contest is about, fixed when it is submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContestPlan {
    /// Who reaches this first, and completes, has won.
    pub target: Score,
    /// Who competes, in the order in which they are shown. 1 to [`ContestPlan::CANDIDATES_MAX`].
    pub candidates: Vec<Entrant>,
    /// Whether candidates that fall behind the others are stopped. Default: none is.
    pub median: Option<MedianRule>,
}

impl ContestPlan {
    /// How many may compete.
    pub const CANDIDATES_MAX: usize = 64;
}

/// One algorithm that takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrant {
    /// The id of its part in this contest.
    pub id: CandidateId,
    /// What it is called.
    pub label: Label,
    /// What its trainer is told.
    pub parameters: Parameters,
}

/// The contest as it stands.
///
/// Candidates are started together, each under a lease of its own. The first that reaches the target *holds the win*:
/// neither its stall rule, the median rule nor the time limit puts it out while it hands over what it has trained. When
/// it completes, it has won, and in the same step everybody else who was still in is superseded. Until then the others
/// go on, for they may be needed: when the holder ends otherwise, the next in the order of reaching holds the win, and
/// has won at once if it has handed over already. Whoever reaches later and hands over sooner waits for that. An
/// interruption takes nothing from a holder, but a run that ends without having reached the target itself does not win.
/// A holder that is not done when the time limit is past by the grace of the class is out.
///
/// A contest that nobody wins takes its outcome from its candidates by a total rule, see [`Contest::verdict`].
///
/// A candidate that is put out while others go on (it has stalled, or fallen behind) may not write any more, but its
/// thread may still be at work. It has the grace of its class to stop, and is then given up; see
/// [`Running::leaving`](crate::Running::leaving). When no other is at work by then, whoever is still to run starts
/// again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contest {
    /// Who reaches this first, and completes, has won.
    pub target: Score,
    /// Whether candidates that fall behind are stopped.
    pub median: Option<MedianRule>,
    /// Who competes, in order.
    pub candidates: Vec<Candidate>,
    /// Who has reached the target and is not out, in the order of reaching. The first holds the win.
    pub holders: Vec<Holder>,
}

/// A candidate that has reached the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Which one.
    pub candidate: CandidateId,
    /// The newest of its runs that has.
    pub lease: Lease,
}

/// One algorithm's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id, which never changes.
    pub id: CandidateId,
    /// What it is called.
    pub label: Label,
    /// What its trainer is told.
    pub parameters: Parameters,
    /// Where it stands.
    pub phase: CandidatePhase,
    /// What it has shown.
    pub standing: Standing,
    /// The mean of all its performances after each of its reports that was taken, for the median rule; empty without
    /// one.
    pub means: Vec<Score>,
}

/// Where a candidate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CandidatePhase {
    /// Not started, or interrupted.
    Pending,
    /// At work.
    Running {
        /// Its right to write.
        lease: Lease,
    },
    /// It has reached the target and handed over what it has trained, and somebody else holds the win.
    HandedOver {
        /// The lease it ran under.
        lease: Lease,
        /// The id of the model, should it win.
        model: ModelId,
        /// What it has trained.
        trained: Trained,
    },
    /// Out, one way or the other.
    Ended {
        /// How.
        outcome: Outcome,
        /// When.
        at: Timestamp,
    },
}

/// Stops a candidate whose best is below the median of the others' running means at the same report.
///
/// The rule is that of Golovin et al., "Google Vizier" (KDD 2017), section 3.2.1, for a figure where higher is
/// better, counted in reports.
///
/// ```
/// use trainyard_core::{MedianRule, Score};
///
/// let rule = MedianRule { reports_min: 1, others_min: 3 };
/// let score = |value| Score::new(value).unwrap();
/// let others = [score(0.5), score(0.6), score(0.7)];
/// assert!(rule.stops(3, score(0.55), &others));
/// assert!(!rule.stops(3, score(0.6), &others), "not below the median");
/// assert!(!rule.stops(3, score(0.1), &others[..2]), "too few to compare with");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MedianRule {
    /// A candidate with fewer reports is left alone.
    pub reports_min: u32,
    /// With fewer others to compare with, nobody is stopped.
    pub others_min: u32,
}

impl MedianRule {
    /// How many reports are looked at; later ones compare with the mean at this one.
    pub const REPORTS_MAX: usize = 1_024;

    /// Whether a candidate with this best is stopped beside these means. Of an even number of means the lower
    /// middle one counts, so that the rule errs on the side of going on.
    #[must_use]
    pub fn stops(&self, reports: u64, best: Score, others: &[Score]) -> bool {
        if reports < u64::from(self.reports_min) || others.len() < self.others_min.max(1) as usize {
            return false;
        }
        let mut sorted = others.to_vec();
        sorted.sort_unstable();
        best < sorted[(sorted.len() - 1) / 2]
    }
}

impl Contest {
    /// Everybody at the start line.
    #[must_use]
    pub fn new(plan: &ContestPlan) -> Self {
        let candidates = plan.candidates.iter().map(|entrant| Candidate {
            id: entrant.id,
            label: entrant.label.clone(),
            parameters: entrant.parameters.clone(),
            phase: CandidatePhase::Pending,
            standing: Standing::default(),
            means: Vec::new(),
        });
        let (target, median, holders) = (plan.target, plan.median, Vec::new());
        Self { target, median, candidates: candidates.collect(), holders }
    }

    /// Starts everybody who is not out and has not handed over, under the leases after `attempt`, and says which.
    pub fn start(&mut self, stall: Option<&StallRule>, now: Timestamp, attempt: Lease) -> Vec<Lease> {
        let mut lease = attempt;
        let mut live = Vec::new();
        let to_run = |candidate: &&mut Candidate| !candidate.is_out() && !candidate.has_handed_over();
        for candidate in self.candidates.iter_mut().filter(to_run) {
            lease = lease.next();
            live.push(lease);
            candidate.phase = CandidatePhase::Running { lease };
            candidate.standing.start(stall, now);
        }
        live
    }

    /// Takes a performance in, or a step without one; says whether it was taken. What is about an older step than the
    /// newest, or repeats what an earlier run has shown, is not: the candidate goes on from a checkpoint. Nor is what a
    /// candidate says that does not run. Whoever has reached the target says so by [`Contest::reach`].
    pub fn report(
        &mut self,
        lease: Lease,
        stall: Option<&StallRule>,
        at: Timestamp,
        step: u64,
        performance: Option<Score>,
    ) -> bool {
        let median = self.median.is_some();
        let Some(candidate) = self.by_lease_mut(lease) else {
            return false;
        };
        if !candidate.standing.report(stall, at, step, performance) {
            return false;
        }
        if let Some(performance) = performance.filter(|_| median) {
            candidate.count(performance);
        }
        true
    }

    /// A candidate that runs has reached the target: it is a holder from now on, behind those who are already. What it
    /// has reached with is taken in once. Whether there is such a candidate.
    pub fn reach(
        &mut self,
        lease: Lease,
        stall: Option<&StallRule>,
        at: Timestamp,
        step: u64,
        performance: Score,
    ) -> bool {
        let median = self.median.is_some();
        let Some(candidate) = self.by_lease_mut(lease) else {
            return false;
        };
        if candidate.standing.reach(stall, at, step, performance) && median {
            candidate.count(performance);
        }
        let candidate = candidate.id;
        match self.holders.iter_mut().find(|holder| holder.candidate == candidate) {
            Some(holder) => holder.lease = lease,
            None => self.holders.push(Holder { candidate, lease }),
        }
        true
    }

    /// A candidate that runs has handed over, and waits for what becomes of those who have reached before. Whether
    /// there is such a candidate.
    pub fn hand_over(&mut self, lease: Lease, model: ModelId, trained: Trained) -> bool {
        let candidate = self.by_lease_mut(lease);
        let is_there = candidate.is_some();
        if let Some(candidate) = candidate {
            candidate.phase = CandidatePhase::HandedOver { lease, model, trained };
        }
        is_there
    }

    /// Puts one candidate out; who is out already stays as it is.
    pub fn end(&mut self, lease: Lease, outcome: Outcome, at: Timestamp) {
        if let Some(candidate) = self.candidates.iter_mut().find(|one| one.last_lease() == Some(lease)) {
            let id = candidate.id;
            candidate.end(outcome, at);
            self.holders.retain(|holder| holder.candidate != id);
        }
    }

    /// Back to the start line with one candidate, or with everybody who is not out. What they have shown and
    /// their checkpoints stay.
    pub fn interrupt(&mut self, lease: Option<Lease>) {
        for candidate in &mut self.candidates {
            match candidate.phase {
                CandidatePhase::Running { lease: mine } if lease.is_none_or(|only| only == mine) => {
                    candidate.phase = CandidatePhase::Pending;
                }
                CandidatePhase::Running { .. }
                | CandidatePhase::Pending
                | CandidatePhase::HandedOver { .. }
                | CandidatePhase::Ended { .. } => {}
            }
        }
    }

    /// Ends the contest: whoever is not out yet gets what `outcome` of the whole means for a part.
    pub fn finish(&mut self, outcome: &Outcome, at: Timestamp) {
        let part = match outcome {
            Outcome::Completed { .. } | Outcome::Superseded => Outcome::Superseded,
            Outcome::TimedOut(_) | Outcome::Stalled | Outcome::Cancelled { .. } | Outcome::Failed { .. } => {
                outcome.clone()
            }
        };
        for candidate in self.candidates.iter_mut().filter(|candidate| !candidate.is_out()) {
            candidate.end(part.clone(), at);
        }
        self.holders.clear();
    }

    /// The outcome of the whole, once everybody is out.
    ///
    /// Completed if one completed; else timed out if any did; else stalled if any did; else cancelled if any
    /// was; else failed. `None` while somebody is in.
    #[must_use]
    pub fn verdict(&self) -> Option<Outcome> {
        let outcomes: Option<Vec<&Outcome>> = self.candidates.iter().map(Candidate::outcome).collect();
        let outcomes = outcomes?;
        let first =
            |wanted: fn(&Outcome) -> bool| outcomes.iter().find(|outcome| wanted(outcome)).copied().cloned();
        Some(
            first(Outcome::is_completed)
                .or_else(|| first(|outcome| matches!(outcome, Outcome::TimedOut(_))))
                .or_else(|| first(|outcome| matches!(outcome, Outcome::Stalled)))
                .or_else(|| first(|outcome| matches!(outcome, Outcome::Cancelled { .. })))
                .unwrap_or_else(|| Outcome::Failed { reason: self.causes() }),
        )
    }

    /// The winner, if there is one.
    #[must_use]
    pub fn champion(&self) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.outcome().is_some_and(Outcome::is_completed))
    }

    /// Who wins by completing: the first to have reached the target, of those who are not out.
    #[must_use]
    pub fn holder(&self) -> Option<&Candidate> {
        let first = self.holders.first()?.candidate;
        self.candidates.iter().find(|candidate| candidate.id == first)
    }

    /// Whether this candidate has reached the target and is not out.
    #[must_use]
    pub fn holds(&self, candidate: CandidateId) -> bool {
        self.holders.iter().any(|holder| holder.candidate == candidate)
    }

    /// Whether the run under this lease has reached the target.
    #[must_use]
    pub fn has_reached(&self, lease: Lease) -> bool {
        self.holders.iter().any(|holder| holder.lease == lease)
    }

    /// Whether the median rule puts this candidate out. Never one that has reached the target.
    #[must_use]
    pub fn falls_behind(&self, lease: Lease) -> bool {
        let (Some(rule), Some(candidate)) = (self.median, self.by_lease(lease)) else {
            return false;
        };
        if self.holds(candidate.id) {
            return false;
        }
        let (Some(at), Some(best)) = (candidate.means.len().checked_sub(1), candidate.standing.window.best())
        else {
            return false;
        };
        let others: Vec<Score> = self
            .candidates
            .iter()
            .filter(|other| other.id != candidate.id)
            .filter_map(|other| other.means.get(at).copied())
            .collect();
        rule.stops(candidate.standing.window.reports(), best, &others)
    }

    /// The candidate that writes under this lease.
    #[must_use]
    pub fn by_lease(&self, lease: Lease) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.lease() == Some(lease))
    }

    /// When the first candidate stalls if nobody gains, and whose lease it is. Whoever has reached the target does not.
    #[must_use]
    pub fn next_stall(&self, rule: &StallRule) -> Option<(Timestamp, Lease)> {
        self.candidates
            .iter()
            .filter(|candidate| !self.holds(candidate.id))
            .filter_map(|candidate| Some((rule.deadline(candidate.standing.mark?), candidate.lease()?)))
            .min()
    }

    /// When the last of those who are out was put out.
    pub(crate) fn last_end(&self) -> Option<Timestamp> {
        let ends = self.candidates.iter().filter_map(|candidate| match candidate.phase {
            CandidatePhase::Ended { at, .. } => Some(at),
            CandidatePhase::Pending | CandidatePhase::Running { .. } | CandidatePhase::HandedOver { .. } => {
                None
            }
        });
        ends.max()
    }

    /// The leases of those who run and have not reached the target.
    pub(crate) fn without_the_target(&self) -> impl Iterator<Item = Lease> {
        self.candidates.iter().filter(|one| !self.holds(one.id)).filter_map(Candidate::lease)
    }

    /// The first in the order of reaching who has handed over.
    pub(crate) fn first_handed_over(&self) -> Option<&Candidate> {
        self.holders
            .iter()
            .filter_map(|holder| self.candidates.iter().find(|candidate| candidate.id == holder.candidate))
            .find(|candidate| candidate.has_handed_over())
    }

    pub(crate) fn by_lease_mut(&mut self, lease: Lease) -> Option<&mut Candidate> {
        self.candidates.iter_mut().find(|candidate| candidate.lease() == Some(lease))
    }

    fn causes(&self) -> Reason {
        let causes: Vec<String> = self
            .candidates
            .iter()
            .filter_map(|candidate| Some(format!("{}: {}", candidate.label, candidate.outcome()?)))
            .collect();
        Reason::new(causes.join("; "))
    }
}

impl Candidate {
    /// Its lease, while it runs.
    #[must_use]
    pub const fn lease(&self) -> Option<Lease> {
        match self.phase {
            CandidatePhase::Running { lease } => Some(lease),
            CandidatePhase::Pending | CandidatePhase::HandedOver { .. } | CandidatePhase::Ended { .. } => {
                None
            }
        }
    }

    /// How it ended, if it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            CandidatePhase::Ended { outcome, .. } => Some(outcome),
            CandidatePhase::Pending | CandidatePhase::Running { .. } | CandidatePhase::HandedOver { .. } => {
                None
            }
        }
    }

    /// Whether it is out.
    #[must_use]
    pub const fn is_out(&self) -> bool {
        self.outcome().is_some()
    }

    /// Whether it has handed over and waits.
    #[must_use]
    pub const fn has_handed_over(&self) -> bool {
        matches!(self.phase, CandidatePhase::HandedOver { .. })
    }

    /// The lease it runs under, or ran under when it handed over.
    const fn last_lease(&self) -> Option<Lease> {
        match self.phase {
            CandidatePhase::Running { lease } | CandidatePhase::HandedOver { lease, .. } => Some(lease),
            CandidatePhase::Pending | CandidatePhase::Ended { .. } => None,
        }
    }

    fn end(&mut self, outcome: Outcome, at: Timestamp) {
        self.phase = CandidatePhase::Ended { outcome, at };
        self.standing.close();
    }

    /// Takes a performance in for the median rule.
    fn count(&mut self, performance: Score) {
        if self.means.len() < MedianRule::REPORTS_MAX {
            self.means.push(running_mean(&self.means, performance));
        }
    }
}

/// The outcome of a candidate that stopped by itself below the target: it has nothing more to show.
pub(crate) const fn exhausted() -> Outcome {
    Outcome::Stalled
}

/// The outcome of whoever runs when the time of the whole is over.
pub(crate) const fn out_of_time() -> Outcome {
    Outcome::TimedOut(TimedOut::Running)
}

#[expect(clippy::cast_precision_loss, reason = "at most a thousand values are averaged")]
fn running_mean(means: &[Score], newest: Score) -> Score {
    let count = means.len() as f64;
    let before = means.last().map_or(0.0, |mean| mean.get());
    let mean = before + (newest.get() - before) / (count + 1.0);
    Score::new(mean).unwrap_or(newest)
}

#[cfg(test)]
mod tests;
