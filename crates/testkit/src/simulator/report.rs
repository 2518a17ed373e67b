//! What a simulation has shown.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use trainyard_core::{Outcome, Priority};

use super::faults::Injected;

/// What has happened in a simulation in which every invariant held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// How many events there were: wishes of users, deeds of trainers, turns of nodes and their ends, openings.
    pub events: u64,
    /// How much virtual time has passed.
    pub virtual_time: Duration,
    /// How long it took until everything had ended, after faults and wishes had stopped.
    pub drained_in: Duration,
    /// How many turns nodes took, those included that failed.
    pub turns: u64,
    /// How many records were written.
    pub records: u64,
    /// How many facts were in them.
    pub facts: u64,
    /// How many commands were answered.
    pub answers: u64,
    /// How many of them were refused.
    pub refused: u64,
    /// How many attempts were started.
    pub starts: u64,
    /// How many decisions of rules were stored, and how many of them said train.
    pub decisions: u64,
    /// How many rules fired.
    pub fired: u64,
    /// How often nodes opened the journal.
    pub openings: u64,
    /// How often the log was made shorter.
    pub compactions: u64,
    /// How often everything was looked at at once.
    pub audits: u64,
    pub(super) outcomes: Outcomes,
    pub(super) waits: BTreeMap<Priority, Waits>,
    pub(super) faults: Injected,
}

impl Report {
    /// How jobs ended.
    #[must_use]
    pub const fn outcomes(&self) -> Outcomes {
        self.outcomes
    }

    /// Which faults were injected.
    #[must_use]
    pub const fn faults(&self) -> &Injected {
        &self.faults
    }

    /// How long jobs waited for their first start.
    #[must_use]
    pub fn waits(&self) -> Waits {
        let mut all = Waits::default();
        self.waits.values().for_each(|waits| all.merge(waits));
        all
    }

    /// The same for jobs of this priority.
    #[must_use]
    pub fn waits_of(&self, priority: Priority) -> Waits {
        self.waits.get(&priority).cloned().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    /// A few lines for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = self.waits();
        writeln!(
            f,
            "seed {}: {} events in {:?} of virtual time, and it drained in {:?}",
            self.seed, self.events, self.virtual_time, self.drained_in
        )?;
        writeln!(
            f,
            "  {} turns, {} records, {} facts, {} answers ({} refused), {} starts, {} decisions ({} fired)",
            self.turns,
            self.records,
            self.facts,
            self.answers,
            self.refused,
            self.starts,
            self.decisions,
            self.fired
        )?;
        writeln!(f, "  {:?}", self.outcomes)?;
        writeln!(f, "  waits: {} of {:?} (p50), {:?} (p99)", waits.count(), waits.p50(), waits.p99())?;
        writeln!(
            f,
            "  {} openings, {} compactions, {} audits, {} faults: {}",
            self.openings,
            self.compactions,
            self.audits,
            self.faults.total(),
            self.faults
        )
    }
}

/// How many jobs ended in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes {
    /// They did what they were asked to.
    pub completed: u64,
    /// They took too long.
    pub timed_out: u64,
    /// They gained too little.
    pub stalled: u64,
    /// Somebody took them back.
    pub cancelled: u64,
    /// They broke.
    pub failed: u64,
}

impl Outcomes {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.completed + self.timed_out + self.stalled + self.cancelled + self.failed
    }

    pub(super) const fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Completed { .. } | Outcome::Superseded => self.completed += 1,
            Outcome::TimedOut(_) => self.timed_out += 1,
            Outcome::Stalled => self.stalled += 1,
            Outcome::Cancelled { .. } => self.cancelled += 1,
            Outcome::Failed { .. } => self.failed += 1,
        }
    }
}

/// How long jobs waited. Times are kept to three digits, rounded up, so that a million of them take no more room
/// than a thousand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waits {
    counts: BTreeMap<u64, u64>,
    count: u64,
}

impl Waits {
    /// How many.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Half of them waited no longer.
    #[must_use]
    pub fn p50(&self) -> Duration {
        self.quantile(500)
    }

    /// 99 of 100 waited no longer.
    #[must_use]
    pub fn p99(&self) -> Duration {
        self.quantile(990)
    }

    /// Nobody waited longer.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.quantile(1_000)
    }

    /// So many in a thousand waited no longer; zero when nobody waited.
    #[must_use]
    pub fn quantile(&self, thousandths: u64) -> Duration {
        let rank = (self.count * thousandths.min(1_000)).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (millis, count) in &self.counts {
            seen += count;
            if seen >= rank {
                return Duration::from_millis(*millis);
            }
        }
        Duration::ZERO
    }

    pub(super) fn add(&mut self, wait: Duration) {
        let mut millis = super::chance::millis(wait);
        let mut unit = 1;
        while millis / unit >= 1_000 {
            unit *= 10;
        }
        millis = millis.div_ceil(unit).saturating_mul(unit);
        *self.counts.entry(millis).or_default() += 1;
        self.count += 1;
    }

    fn merge(&mut self, other: &Self) {
        for (millis, count) in &other.counts {
            *self.counts.entry(*millis).or_default() += count;
        }
        self.count += other.count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_ranked() {
        let mut waits = Waits::default();
        assert_eq!(waits.p99(), Duration::ZERO);
        (1..=100).for_each(|seconds| waits.add(Duration::from_secs(seconds)));
        assert_eq!(waits.p50(), Duration::from_secs(50));
        assert_eq!(waits.p99(), Duration::from_secs(99));
        assert_eq!(waits.longest(), Duration::from_secs(100));
        waits.add(Duration::from_millis(123_456));
        assert_eq!(waits.longest(), Duration::from_secs(124), "three digits, rounded up");
    }
}
