//! A contest as a patient person with a pencil would keep it: who has reached the target, in which order.

use trainyard_core::{CandidateId, ContestPlan, Lease, Outcome, Score, TimedOut, Timestamp};

#[derive(Debug)]
pub(super) struct ContestBook {
    target: Score,
    parts: Vec<Part>,
    /// Who has reached the target and is not out, in that order.
    order: Vec<CandidateId>,
    champion: Option<CandidateId>,
}

#[derive(Debug)]
struct Part {
    id: CandidateId,
    at: At,
}

#[derive(Debug)]
enum At {
    Start,
    Track(Lease),
    /// It has handed over and waits for those who have reached the target before it.
    Home(Lease),
    Out(Outcome),
}

impl ContestBook {
    pub(super) fn new(plan: &ContestPlan) -> Self {
        let parts = plan.candidates.iter().map(|entrant| Part { id: entrant.id, at: At::Start }).collect();
        Self { target: plan.target, parts, order: Vec::new(), champion: None }
    }

    /// Everybody who is not out and has not handed over starts, under the leases after this one.
    pub(super) fn start(&mut self, attempt: Lease) -> Vec<Lease> {
        let mut lease = attempt;
        let mut leases = Vec::new();
        for part in &mut self.parts {
            if matches!(part.at, At::Start | At::Track(_)) {
                lease = lease.next();
                part.at = At::Track(lease);
                leases.push(lease);
            }
        }
        leases
    }

    pub(super) fn runs_under(&self, lease: Lease) -> bool {
        self.parts.iter().any(|part| matches!(part.at, At::Track(mine) if mine == lease))
    }

    pub(super) const fn target(&self) -> Score {
        self.target
    }

    /// Whether whoever runs under this lease has reached the target, now or in an earlier run.
    pub(super) fn has_reached(&self, lease: Lease) -> bool {
        let part = self.parts.iter().find(|part| matches!(part.at, At::Track(mine) if mine == lease));
        part.is_some_and(|part| self.order.contains(&part.id))
    }

    pub(super) fn reach(&mut self, lease: Lease, performance: Score) -> Result<(), String> {
        if performance < self.target {
            return Err(format!("lease {lease} reaches the target with {performance}"));
        }
        let Some(part) = self.parts.iter().find(|part| matches!(part.at, At::Track(mine) if mine == lease))
        else {
            return Err(format!("lease {lease} reaches the target and does not run"));
        };
        if !self.order.contains(&part.id) {
            self.order.push(part.id);
        }
        Ok(())
    }

    pub(super) fn hand_over(&mut self, lease: Lease) -> Result<(), String> {
        let first = self.order.first().copied();
        let Some(part) =
            self.parts.iter_mut().find(|part| matches!(part.at, At::Track(mine) if mine == lease))
        else {
            return Err(format!("lease {lease} hands over and does not run"));
        };
        if first.is_none() || first == Some(part.id) || !self.order.contains(&part.id) {
            return Err(format!("lease {lease} hands over, and nobody is before it"));
        }
        part.at = At::Home(lease);
        Ok(())
    }

    /// Somebody is out. `out_of_time_at`: when whoever holds the win is out of time.
    pub(super) fn end(
        &mut self,
        lease: Lease,
        outcome: &Outcome,
        now: Timestamp,
        out_of_time_at: Option<Timestamp>,
    ) -> Result<(), String> {
        let mine = |part: &Part| matches!(part.at, At::Track(mine) | At::Home(mine) if mine == lease);
        let Some(place) = self.parts.iter().position(mine) else {
            return Err(format!("lease {lease} ends and is not in"));
        };
        let id = self.parts[place].id;
        if outcome.is_completed() {
            self.crown(id, now, out_of_time_at)?;
        }
        self.parts[place].at = At::Out(outcome.clone());
        self.order.retain(|other| *other != id);
        Ok(())
    }

    /// The first in the order of reaching wins. When all who have reached the target are out of time, the first of them
    /// who has handed over does.
    fn crown(
        &mut self,
        id: CandidateId,
        now: Timestamp,
        out_of_time_at: Option<Timestamp>,
    ) -> Result<(), String> {
        if let Some(other) = self.champion.replace(id) {
            return Err(format!("{other} has won, and then {id}"));
        }
        if self.order.first() == Some(&id) {
            return Ok(());
        }
        let home = |id: &&CandidateId| {
            self.parts.iter().any(|part| part.id == **id && matches!(part.at, At::Home(_)))
        };
        let is_late = out_of_time_at.is_some_and(|at| at <= now);
        match (is_late, self.order.iter().find(home)) {
            (true, Some(first)) if *first == id => Ok(()),
            (_, _) => Err(format!("{id} wins; the order of reaching is {:?}", self.order)),
        }
    }

    /// The run under this lease is no longer at work; without an outcome it is at the start line again.
    pub(super) fn stop(&mut self, lease: Option<Lease>) {
        for part in &mut self.parts {
            if let At::Track(mine) = part.at
                && lease.is_none_or(|only| only == mine)
            {
                part.at = At::Start;
            }
        }
    }

    /// The whole is over.
    pub(super) fn finish(&mut self, outcome: &Outcome) -> Result<(), String> {
        if outcome.is_completed() != self.champion.is_some() {
            return Err(format!("it is {outcome}, and its champion is {:?}", self.champion));
        }
        let ends: Option<Vec<&Outcome>> = self
            .parts
            .iter()
            .map(|part| match &part.at {
                At::Out(outcome) => Some(outcome),
                At::Start | At::Track(_) | At::Home(_) => None,
            })
            .collect();
        match ends {
            Some(ends) if self.champion.is_none() && !matches!(outcome, Outcome::Cancelled { .. }) => {
                verdict(&ends, outcome)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Without a winner: timed out if anybody was, else stalled if anybody has, else failed.
fn verdict(ends: &[&Outcome], outcome: &Outcome) -> Result<(), String> {
    let any = |wanted: fn(&Outcome) -> bool| ends.iter().any(|end| wanted(end));
    let fits = if any(|end| matches!(end, Outcome::TimedOut(_))) {
        *outcome == Outcome::TimedOut(TimedOut::Running)
    } else if any(|end| matches!(end, Outcome::Stalled)) {
        *outcome == Outcome::Stalled
    } else {
        matches!(outcome, Outcome::Failed { .. })
    };
    if fits { Ok(()) } else { Err(format!("it is {outcome}, and its candidates {ends:?}")) }
}
