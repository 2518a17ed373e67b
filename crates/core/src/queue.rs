//! Lines that jobs wait in, and who is next.

use std::time::Duration;

use crate::{Reason, Timestamp};

/// How a queue lets its jobs through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct QueueSettings {
    /// How many of its jobs run at once in the whole yard; `None` for no limit. Default: no limit.
    pub running_max: Option<u32>,
    /// How many of its jobs may wait; a submission beyond is refused. Default: 1,000,000.
    pub waiting_max: u32,
    /// What one point of priority is worth, as time waited: a job of priority 1 goes before one of
    /// priority 0 that came up to this much earlier. This is the whole of ageing: since everybody ages alike,
    /// a job's key never changes and nothing is re-sorted. Default: a minute.
    pub priority_step: Duration,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { running_max: None, waiting_max: 1_000_000, priority_step: Duration::from_secs(60) }
    }
}

/// How much of a queue's work is kept in the books. What is not said here is as [`Settings`](crate::Settings) have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Retention {
    /// How many of its finished jobs are kept; the oldest go first, at once when the bound is lowered, though in
    /// batches: up to an eighth more may stay. Default: [`Settings::finished_max`](crate::Settings::finished_max).
    pub finished_max: Option<u32>,
    /// How many models a registry keeps besides the active one when one of its jobs registers another; the oldest go
    /// first, whichever queue they came from. A bound that is lowered takes effect with the next registration in that
    /// registry. Default: [`Settings::models_max`](crate::Settings::models_max).
    pub models_max: Option<u32>,
}

/// How much a job matters beside its fellows, −100 to 100; higher goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct Priority(i8);

impl Priority {
    /// The highest.
    pub const MAX: Self = Self(100);
    /// The lowest.
    pub const MIN: Self = Self(-100);

    /// A priority, cut to its bounds.
    #[must_use]
    pub const fn new(value: i8) -> Self {
        match value {
            -100..=100 => Self(value),
            i8::MIN..=-101 => Self::MIN,
            101..=i8::MAX => Self::MAX,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i8 {
        self.0
    }
}

/// A job's static key in its queue: lowest first, ties by order of submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(i64);

impl Rank {
    /// `submitted_at − priority × step`.
    pub(crate) fn new(submitted_at: Timestamp, priority: Priority, step: Duration) -> Self {
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        Self(submitted_at.as_millis().saturating_sub(step.saturating_mul(i64::from(priority.get()))))
    }
}

/// One line and what goes on in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Queue {
    /// How it lets its jobs through.
    pub settings: QueueSettings,
    /// How much of its work is kept.
    pub retention: Retention,
    /// Why it lets none through, when it is paused.
    pub paused: Option<Reason>,
    /// How many of its jobs run.
    pub running: u32,
    /// How many wait.
    pub waiting: u32,
}

impl Queue {
    /// How many there may be in a yard.
    pub const QUEUES_MAX: usize = 1_024;

    /// Whether it would let one more job run.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.paused.is_none() && self.settings.running_max.is_none_or(|max| self.running < max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_point_of_priority_is_worth_a_step(at in 0_i64..1 << 40, lead in 0_u64..1 << 20, step in 1_u64..1 << 20, points in 1_i8..100) {
            let step = Duration::from_millis(step);
            let plain = Rank::new(Timestamp::from_millis(at), Priority::default(), step);
            let later = Timestamp::from_millis(at).after(Duration::from_millis(lead));
            let urgent = Rank::new(later, Priority::new(points), step);
            let worth = step * u32::from(points.unsigned_abs());
            prop_assert_eq!(urgent < plain, Duration::from_millis(lead) < worth);
        }
    }
}
