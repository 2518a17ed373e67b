//! How often a checkpoint is worth its while.

use std::num::NonZeroU64;
use std::time::Duration;

/// How often a checkpoint is written: whatever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// After so many steps.
    pub steps: Option<NonZeroU64>,
    /// After so long, unless writing takes so long that it would slow the training down; zero for after every step,
    /// whatever it takes.
    pub every: Duration,
}

impl Rhythm {
    /// Whether one is due, so many steps and so long after the last, which took `cost` to write.
    #[must_use]
    pub fn is_due(&self, steps: u64, since: Duration, cost: Duration) -> bool {
        let by_steps = self.steps.is_some_and(|every| steps >= every.get());
        let by_time = self.every.is_zero() || since >= self.every.max(cost.saturating_mul(COST_PART));
        by_steps || steps > 0 && by_time
    }
}

/// Of so many parts of the time one at most is spent on checkpoints.
const COST_PART: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_checkpoint_is_due_by_steps_or_by_time_but_never_costs_much() {
        let rhythm = Rhythm { steps: None, every: 5 * SECOND };
        assert!(!rhythm.is_due(9, 4 * SECOND, Duration::ZERO));
        assert!(rhythm.is_due(1, 5 * SECOND, Duration::ZERO));
        assert!(!rhythm.is_due(0, 5 * SECOND, Duration::ZERO), "nothing new");
        assert!(!rhythm.is_due(1, 19 * SECOND, SECOND));
        assert!(rhythm.is_due(1, 20 * SECOND, SECOND));
        let rhythm = Rhythm { steps: None, every: Duration::ZERO };
        assert!(rhythm.is_due(1, Duration::ZERO, SECOND), "after every step, whatever it costs");
        assert!(!rhythm.is_due(0, SECOND, Duration::ZERO), "nothing new");
        let rhythm = Rhythm { steps: NonZeroU64::new(3), every: Duration::MAX };
        assert!(!rhythm.is_due(2, 100 * SECOND, SECOND));
        assert!(rhythm.is_due(3, Duration::ZERO, SECOND));
    }
}
