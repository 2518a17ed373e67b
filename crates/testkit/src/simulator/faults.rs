//! What goes wrong, how often, and by how much.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Odds;

/// What goes wrong in a simulation, and how often. Every figure is public, and each has a default.
///
/// ```
/// use trainyard_testkit::simulator::{Faults, Odds};
///
/// let only_crashes = Faults { crash: Odds::one_in(500), ..Faults::none() };
/// assert_ne!(only_crashes, Faults::none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// Of turns: a commit in it fails before it has any effect. Default: one in 1,000.
    pub fails_before: Odds,
    /// Of turns: a commit in it fails after it has become durable. Default: one in 1,000.
    pub fails_after: Odds,
    /// Of turns: somebody else writes in between. Default: one in 1,000.
    pub conflicts: Odds,
    /// Of turns: the journal is locked by somebody else when it begins, perhaps several times. Default: one in 100.
    pub locked: Odds,
    /// Of turns: the commit takes up to [`Faults::late_max`], so that leases and deadlines may pass. Default: one in 200.
    pub late: Odds,
    /// How long such a commit takes at most. Default: three minutes.
    pub late_max: Duration,
    /// Of events: a node is killed, whatever it is doing. Default: one in 1,000.
    pub crash: Odds,
    /// Of turns: the node dies while it commits; what it wrote is kept, lost, or torn. Default: one in 500.
    pub crash_in_commit: Odds,
    /// Of events: a node leaves politely and comes back. Default: one in 2,000.
    pub leave: Odds,
    /// How long a node is away at most. Default: five minutes.
    pub away_max: Duration,
    /// Of events: a node's clock jumps, forth or back. Default: one in 500.
    pub jump: Odds,
    /// How far at most. Default: two minutes.
    pub jump_max: Duration,
    /// Of openings: a copy of the journal with one flipped bit is opened first, and must be refused. Default: one in 4.
    pub flip: Odds,
    /// Of openings: the disk has lost the last record that it had said is durable. No yard survives that: this is for
    /// seeing that it is noticed. Default: never.
    pub betrays: Odds,
    /// Of answers that were never given: the user asks again, under the same key if there was one. Default: one in 2.
    pub asks_again: Odds,
}

impl Faults {
    /// Nothing goes wrong.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            fails_before: Odds::NEVER,
            fails_after: Odds::NEVER,
            conflicts: Odds::NEVER,
            locked: Odds::NEVER,
            late: Odds::NEVER,
            late_max: Duration::ZERO,
            crash: Odds::NEVER,
            crash_in_commit: Odds::NEVER,
            leave: Odds::NEVER,
            away_max: Duration::ZERO,
            jump: Odds::NEVER,
            jump_max: Duration::ZERO,
            flip: Odds::NEVER,
            betrays: Odds::NEVER,
            asks_again: Odds::NEVER,
        }
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            fails_before: Odds::one_in(1_000),
            fails_after: Odds::one_in(1_000),
            conflicts: Odds::one_in(1_000),
            locked: Odds::one_in(100),
            late: Odds::one_in(200),
            late_max: Duration::from_secs(180),
            crash: Odds::one_in(1_000),
            crash_in_commit: Odds::one_in(500),
            leave: Odds::one_in(2_000),
            away_max: Duration::from_secs(300),
            jump: Odds::one_in(500),
            jump_max: Duration::from_secs(120),
            flip: Odds::one_in(4),
            betrays: Odds::NEVER,
            asks_again: Odds::one_in(2),
        }
    }
}

/// A fault that was injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A commit failed, and nothing had changed.
    FailedBefore,
    /// A commit failed, and all of it was durable.
    FailedAfter,
    /// Somebody else wrote in between.
    Conflict,
    /// A turn could not begin.
    Locked,
    /// A commit took long.
    Late,
    /// A node was killed.
    Crash,
    /// A node was killed while it committed, and what it wrote was kept.
    TailKept,
    /// … and nothing of it was left.
    TailLost,
    /// … and a part of it was left.
    TailTorn,
    /// A node left politely.
    Left,
    /// A clock jumped forth.
    JumpedForth,
    /// A clock jumped back.
    JumpedBack,
    /// A flipped bit was refused.
    FlippedBit,
    /// A trainer panicked.
    Panic,
    /// A trainer hung.
    Hang,
    /// A trainer did not stop when it was told to.
    IgnoredStop,
    /// A trainer took its process with it.
    KilledNode,
    /// A trainer reported what is no number.
    NotANumber,
    /// A trainer said something under a lease that is not its own.
    Lie,
    /// A user asked again for what was never answered.
    AskedAgain,
}

/// How often each fault was injected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Injected(BTreeMap<Fault, u64>);

impl Injected {
    /// How often this one was.
    #[must_use]
    pub fn count(&self, fault: Fault) -> u64 {
        self.0.get(&fault).copied().unwrap_or(0)
    }

    /// Every fault that was, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, u64)> {
        self.0.iter().map(|(fault, count)| (*fault, *count))
    }

    /// How many there were, all together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub(crate) fn add(&mut self, fault: Fault) {
        *self.0.entry(fault).or_default() += 1;
    }
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (fault, count)) in self.iter().enumerate() {
            write!(f, "{}{fault:?} {count}", if n > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}
