//! What a yard is told once.

use std::time::Duration;

/// Bounds and habits of a whole yard. They are facts: every process that shares a journal has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many finished jobs of each queue are kept, unless its [`Retention`](crate::Retention) says otherwise; the
    /// oldest go first, so that many short jobs in one queue leave the records of another alone. Default: 10,000.
    pub finished_max: u32,
    /// How many models a registry keeps besides the active one, unless the [`Retention`](crate::Retention) of the queue
    /// that another one comes from says otherwise; the oldest go first. Default: 16.
    pub models_max: u32,
    /// How many unfinished jobs one subject may have. Default: 10,000.
    pub unfinished_max: u32,
    /// A job that has waited this long for resources keeps later jobs from taking them. Default: 10 minutes.
    pub reserve_after: Duration,
    /// How long a node counts as alive without a word from it; what is below [`Settings::NODE_LEASE_MIN`] counts as
    /// that. Default: a minute.
    pub node_lease: Duration,
}

impl Settings {
    /// The shortest lease of a node.
    pub const NODE_LEASE_MIN: Duration = Duration::from_secs(1);
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            finished_max: 10_000,
            models_max: 16,
            unfinished_max: 10_000,
            reserve_after: Duration::from_secs(600),
            node_lease: Duration::from_secs(60),
        }
    }
}
