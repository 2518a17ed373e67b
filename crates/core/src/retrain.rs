//! When a subject is due for training, and what is missing when it is not.

use std::fmt;
use std::time::Duration;

use crate::{Backoff, JobId, Timestamp};

/// The most lists an index is ever divided into automatically.
pub const LISTS_MAX: u64 = 65_536;

/// How many lists suit so many vectors: the square root, rounded to a power of two, from 1 to [`LISTS_MAX`].
///
/// For `n > 0` this is `2^⌊bits(n) / 2⌋`, where `bits` is the binary length. Source: cyborgdb-service 0.18.0.
///
/// ```
/// use trainyard_core::optimal_lists;
///
/// assert_eq!(optimal_lists(10_000), 128);
/// assert_eq!(optimal_lists(40_000), 256);
/// ```
#[must_use]
pub const fn optimal_lists(vectors: u64) -> u64 {
    let bits = u64::BITS - vectors.leading_zeros();
    let lists = 1 << (bits / 2);
    if lists < LISTS_MAX { lists } else { LISTS_MAX }
}

/// A value that looks at a subject's numbers and says train or not, and why.
///
/// All of it is integer arithmetic in `u128`: no overflow, no comparison of floats. Rules take absolute totals,
/// so an observation that is delivered twice is harmless.
///
/// Three laws hold for every rule. It never fires at a total that a run has already seen: growth is needed.
/// After failures it backs off. And [`Unmet::Count`] is exact: one less does not fire, exactly that many does,
/// when nothing else is unmet.
///
/// ```
/// use trainyard_core::{Observation, RetrainRule, Timestamp, Trigger, Verdict, History};
///
/// // CyborgDB as documented: num_vectors > n_lists * retrain_threshold, first training at 10,000 vectors.
/// let rule = RetrainRule::new(Trigger::PerList { threshold: 10_000, first: 10_000 });
/// let now = Timestamp::from_millis(0);
/// let decide = |total, lists| rule.decide(now, &History::default(), Observation { total, lists }, None).verdict;
///
/// assert!(matches!(decide(9_999, None), Verdict::Wait(_)));
/// assert!(matches!(decide(10_000, None), Verdict::Train(_)));
/// assert!(matches!(decide(80_000, Some(8)), Verdict::Wait(_)));
/// assert!(matches!(decide(80_001, Some(8)), Verdict::Train(_)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RetrainRule {
    /// What must have grown.
    pub trigger: Trigger,
    /// The least time between two automatic runs; zero for none. Default: none.
    pub cooldown: Duration,
    /// After this time since the last automatic run any growth at all is enough. Default: never.
    pub max_interval: Option<Duration>,
    /// How long a run that failed keeps the next away. Default: a minute, doubling up to six hours.
    pub backoff: Backoff,
    /// Whether the rule is in force. Default: on.
    pub switch: Switch,
}

/// Whether something is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Switch {
    /// In force.
    On,
    /// Not in force.
    Off,
}

/// What must have grown for a rule to fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Trigger {
    /// `total > lists × threshold`; a first training when the total *reaches* `first`.
    PerList {
        /// Vectors per list.
        threshold: u64,
        /// The total at which a subject is trained first.
        first: u64,
    },
    /// `optimal_lists(total) > lists`; a first training when the total *exceeds* `above`.
    OptimalLists {
        /// The total that a first training must exceed.
        above: u64,
    },
    /// Trains once, when the total exceeds `above`, and never again by itself.
    Floor {
        /// The total to exceed.
        above: u64,
    },
    /// So many new since the last run.
    Fresh {
        /// How many new ones; 0 counts as 1.
        at_least: u64,
    },
}

/// A subject's numbers, as absolute totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Observation {
    /// How much there is to train on.
    pub total: u64,
    /// Into how many lists the present model divides it; `None` while there is no model.
    pub lists: Option<u64>,
}

/// What a rule remembers of a subject's runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct History {
    /// The total that the last successful run saw; growth is measured from it.
    pub watermark: Option<u64>,
    /// When the last automatic run was asked for.
    pub fired_at: Option<Timestamp>,
    /// Failed runs since the last successful one.
    pub failures: u32,
    /// When the last of them failed.
    pub failed_at: Option<Timestamp>,
}

/// An evaluation of a rule: inputs, verdict, and what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Decision {
    /// When it was taken.
    pub at: Timestamp,
    /// The rule that was asked.
    pub rule: RetrainRule,
    /// The numbers it was asked about.
    pub observation: Observation,
    /// What it remembered.
    pub history: History,
    /// What it said.
    pub verdict: Verdict,
    /// How many evaluations before this one gave the verdict that stood until now.
    pub repeats: u64,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Verdict {
    /// Train now.
    Train(Because),
    /// Do not train; every reason is named.
    Wait(Vec<Unmet>),
}

/// Why a rule fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Because {
    /// There is enough for a first training.
    First,
    /// There is enough more than there was.
    Grown,
    /// There is something new, and the last run is long ago.
    Age,
}

/// What keeps a rule from firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Unmet {
    /// The rule is switched off.
    Off,
    /// The total has to grow.
    Count {
        /// By exactly this much, or `None` when no growth will do.
        more: Option<u128>,
    },
    /// The last automatic run is too recent.
    Cooldown {
        /// How long still.
        left: Duration,
    },
    /// The last run failed too recently.
    Backoff {
        /// How long still.
        left: Duration,
        /// After how many failures.
        failures: u32,
    },
    /// A job of this subject is unfinished; a rule never queues a second one beside it.
    Unfinished {
        /// Which job.
        job: JobId,
    },
}

impl RetrainRule {
    /// A rule with this trigger and the defaults for everything else.
    #[must_use]
    pub const fn new(trigger: Trigger) -> Self {
        Self {
            trigger,
            cooldown: Duration::ZERO,
            max_interval: None,
            backoff: Backoff::new(Duration::from_secs(60), Duration::from_secs(6 * 3_600)),
            switch: Switch::On,
        }
    }

    /// With a least time between two automatic runs.
    #[must_use]
    pub const fn with_cooldown(mut self, cooldown: Duration) -> Self {
        self.cooldown = cooldown;
        self
    }

    /// With a time after which any growth is enough.
    #[must_use]
    pub const fn with_max_interval(mut self, interval: Duration) -> Self {
        self.max_interval = Some(interval);
        self
    }

    /// With another wait after failures.
    #[must_use]
    pub const fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Switched on or off.
    #[must_use]
    pub const fn with_switch(mut self, switch: Switch) -> Self {
        self.switch = switch;
        self
    }

    /// Says train or not. `unfinished` is a job of the subject that has not finished, if there is one.
    #[must_use]
    pub fn decide(
        &self,
        now: Timestamp,
        history: &History,
        observation: Observation,
        unfinished: Option<JobId>,
    ) -> Decision {
        let mut unmet = Vec::new();
        if self.switch == Switch::Off {
            unmet.push(Unmet::Off);
        }
        let due = self.due(now, history, observation);
        if let Err(count) = due {
            unmet.push(count);
        }
        if let Some(left) = history.fired_at.and_then(|fired| left(now, fired.after(self.cooldown))) {
            unmet.push(Unmet::Cooldown { left });
        }
        if let Some(left) = self.ready_after_failure(history).and_then(|ready| left(now, ready)) {
            unmet.push(Unmet::Backoff { left, failures: history.failures });
        }
        if let Some(job) = unfinished {
            unmet.push(Unmet::Unfinished { job });
        }
        let verdict = match due {
            Ok(because) if unmet.is_empty() => Verdict::Train(because),
            Ok(_) | Err(_) => Verdict::Wait(unmet),
        };
        Decision { at: now, rule: *self, observation, history: *history, verdict, repeats: 0 }
    }

    /// The least total at which the numbers alone say train, or `None` when none does.
    #[must_use]
    pub fn needed(&self, now: Timestamp, history: &History, lists: Option<u64>) -> Option<u128> {
        let watermark = history.watermark.map_or(0, u128::from);
        let by_trigger = match (self.trigger, lists) {
            (Trigger::PerList { first, .. }, None) => Some(u128::from(first)),
            (Trigger::PerList { threshold, .. }, Some(lists)) => {
                Some(u128::from(lists) * u128::from(threshold) + 1)
            }
            (Trigger::OptimalLists { above } | Trigger::Floor { above }, None) => Some(u128::from(above) + 1),
            (Trigger::OptimalLists { .. }, Some(lists)) => least_total_with_more_lists_than(lists),
            (Trigger::Floor { .. }, Some(_)) => None,
            (Trigger::Fresh { at_least }, _) => Some(watermark + u128::from(at_least.max(1))),
        };
        let grown = history.watermark.map_or(0, |seen| u128::from(seen) + 1);
        let by_age = self.is_old(now, history).then_some(grown.max(1));
        match (by_trigger.map(|total| total.max(grown)), by_age) {
            (Some(trigger), Some(age)) => Some(trigger.min(age)),
            (trigger, age) => trigger.or(age),
        }
    }

    fn due(&self, now: Timestamp, history: &History, observation: Observation) -> Result<Because, Unmet> {
        let total = u128::from(observation.total);
        let Some(needed) = self.needed(now, history, observation.lists) else {
            return Err(Unmet::Count { more: None });
        };
        if total < needed {
            return Err(Unmet::Count { more: Some(needed - total) });
        }
        let without_age = Self { max_interval: None, ..*self };
        Ok(match without_age.needed(now, history, observation.lists) {
            Some(needed) if total >= needed && observation.lists.is_none() => Because::First,
            Some(needed) if total >= needed => Because::Grown,
            Some(_) | None => Because::Age,
        })
    }

    fn is_old(&self, now: Timestamp, history: &History) -> bool {
        match (self.max_interval, history.fired_at) {
            (Some(interval), Some(fired)) => now >= fired.after(interval),
            (Some(_) | None, _) => false,
        }
    }

    fn ready_after_failure(&self, history: &History) -> Option<Timestamp> {
        history.failed_at.map(|failed| failed.after(self.backoff.wait(history.failures)))
    }
}

impl Decision {
    /// Whether this says the same as another: the same verdict for the same reasons, whatever the numbers.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        match (&self.verdict, &other.verdict) {
            (Verdict::Train(mine), Verdict::Train(theirs)) => mine == theirs,
            (Verdict::Wait(mine), Verdict::Wait(theirs)) => {
                mine.len() == theirs.len()
                    && mine
                        .iter()
                        .zip(theirs)
                        .all(|(a, b)| std::mem::discriminant(a) == std::mem::discriminant(b))
            }
            (Verdict::Train(_), Verdict::Wait(_)) | (Verdict::Wait(_), Verdict::Train(_)) => false,
        }
    }
}

impl Decision {
    /// When this stops being true by the passing of time alone, if it does.
    #[must_use]
    pub fn reconsider_at(&self) -> Option<Timestamp> {
        let Verdict::Wait(unmet) = &self.verdict else {
            return None;
        };
        if unmet.contains(&Unmet::Off) {
            return None;
        }
        let ends = unmet.iter().filter_map(|unmet| match unmet {
            Unmet::Cooldown { left } | Unmet::Backoff { left, .. } => Some(self.at.after(*left)),
            Unmet::Count { .. } => self.old_enough_at(),
            Unmet::Off | Unmet::Unfinished { .. } => None,
        });
        ends.filter(|end| *end > self.at).min()
    }

    /// When the age of the last run makes up for the growth that is missing.
    fn old_enough_at(&self) -> Option<Timestamp> {
        let grown = self.observation.total > self.history.watermark.unwrap_or(0);
        let end = self.history.fired_at?.after(self.rule.max_interval?);
        grown.then_some(end)
    }
}

impl fmt::Display for Decision {
    /// The verdict in one line, with its numbers: what an operator wants to read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Train(because) => write!(f, "train ({because})")?,
            Verdict::Wait(unmet) => {
                f.write_str("wait:")?;
                for (n, reason) in unmet.iter().enumerate() {
                    write!(f, "{} {reason}", if n > 0 { "," } else { "" })?;
                }
            }
        }
        let Observation { total, lists } = self.observation;
        match (self.rule.trigger, lists) {
            (Trigger::PerList { first, .. }, None) => write!(f, " [first training at {first}, have {total}]"),
            (Trigger::PerList { threshold, .. }, Some(lists)) => {
                write!(f, " [{total} > {lists} x {threshold}]")
            }
            (Trigger::OptimalLists { .. }, Some(lists)) => {
                write!(f, " [{} lists suit {total}, has {lists}]", optimal_lists(total))
            }
            (Trigger::OptimalLists { above } | Trigger::Floor { above }, _) => {
                write!(f, " [{total} > {above}]")
            }
            (Trigger::Fresh { at_least }, _) => {
                let seen = self.history.watermark.unwrap_or(0);
                write!(f, " [{} new of {at_least}]", total.saturating_sub(seen))
            }
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "enough for a first training",
            Self::Grown => "grown enough",
            Self::Age => "something new, and the last run is long ago",
        })
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("switched off"),
            Self::Count { more: Some(more) } => write!(f, "{more} more needed"),
            Self::Count { more: None } => f.write_str("no growth will do"),
            Self::Cooldown { left } => write!(f, "{left:?} of cooldown left"),
            Self::Backoff { left, failures } => write!(f, "{left:?} of backoff left after {failures} failed"),
            Self::Unfinished { job } => write!(f, "job {job} is unfinished"),
        }
    }
}

fn left(now: Timestamp, ready: Timestamp) -> Option<Duration> {
    (now < ready).then(|| ready.since(now))
}

/// The inverse of [`optimal_lists`]: `2^e` lists need `2e` bits, so at least `2^(2e - 1)`.
fn least_total_with_more_lists_than(lists: u64) -> Option<u128> {
    let exponent = u64::BITS - lists.leading_zeros();
    match exponent {
        0 => Some(0),
        _ if 1_u128 << exponent > u128::from(LISTS_MAX) => None,
        _ => Some(1 << (2 * exponent - 1)),
    }
}

#[cfg(test)]
mod tests;
