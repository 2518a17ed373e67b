//! What must hold, and what does not.

use std::fmt;

use trainyard_core::Timestamp;

/// Something that holds in every yard, whatever happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Invariant {
    /// A job that was acknowledged is in the books until it is over, and then until it is forgotten.
    NoJobIsLost,
    /// Of a job and of a subject at most one attempt is at work.
    OneAtATime,
    /// Every attempt has a higher lease than all before.
    LeasesGrow,
    /// A job ends once, and its outcome never changes.
    OutcomesAreFinal,
    /// A rule fires when its numbers, its cooldown and its backoff say so, and not otherwise.
    RulesKeepTheirTerms,
    /// What runs on a node fits into it.
    NodesAreNotOversubscribed,
    /// Of a queue no more wait or run than may, and nobody is started out of a paused one.
    QueuesKeepTheirLimits,
    /// Nobody is started who is held, over, or not to be started yet.
    StartsAreDue,
    /// Whoever writes has a lease that is in force, and whoever has one may write.
    OldLeasesNeverWrite,
    /// The first to reach the target wins, and no other.
    TheFirstToReachWins,
    /// Whatever keeps a waiting job waiting has a name.
    WaitingIsExplained,
    /// What is answered or started is in the journal.
    OnlyDurableIsShown,
    /// A request that is sent twice under one key is one job.
    KeysAreUnique,
    /// The time of facts, and of turns, does not go back.
    TimeGoesOn,
    /// Nothing that the yard says is due is left undone, no limit on waiting or running is enforced too early, and nobody
    /// stalls who has no limit on that.
    LimitsAreKept,
    /// The journal, read anew from its bytes, leads to the same yard.
    ReplayIsTheSame,
    /// So does a snapshot of it.
    SnapshotsAreTheSame,
    /// Whoever has taken in all of the journal has the same yard.
    ReplicasAgree,
    /// The yard counts as the checker does.
    TheBooksAgree,
    /// What is synced stays, and damage to it is refused.
    TheDiskIsRead,
    /// Nothing fails without a fault.
    NothingFailsByItself,
    /// Once the faults have stopped, everything ends.
    EverythingEnds,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoJobIsLost => "a job is lost",
            Self::OneAtATime => "two are at work at once",
            Self::LeasesGrow => "a lease does not grow",
            Self::OutcomesAreFinal => "an outcome is not final",
            Self::RulesKeepTheirTerms => "a rule fires too early",
            Self::NodesAreNotOversubscribed => "a node is oversubscribed",
            Self::QueuesKeepTheirLimits => "a queue's limit is overstepped",
            Self::StartsAreDue => "a job is started that must not be",
            Self::OldLeasesNeverWrite => "a lease is not heeded",
            Self::TheFirstToReachWins => "a contest has the wrong end",
            Self::WaitingIsExplained => "a job waits for no reason",
            Self::OnlyDurableIsShown => "something is shown that is not durable",
            Self::KeysAreUnique => "a key makes two jobs",
            Self::TimeGoesOn => "time goes back",
            Self::LimitsAreKept => "a limit is not kept",
            Self::ReplayIsTheSame => "the journal leads to another yard",
            Self::SnapshotsAreTheSame => "a snapshot leads to another yard",
            Self::ReplicasAgree => "two replicas differ",
            Self::TheBooksAgree => "the yard miscounts",
            Self::TheDiskIsRead => "the disk is read wrongly",
            Self::NothingFailsByItself => "something fails without a fault",
            Self::EverythingEnds => "something never ends",
        })
    }
}

/// An invariant that does not hold, and what shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {what}")]
pub struct Breach {
    /// Which one.
    pub invariant: Invariant,
    /// What shows it.
    pub what: String,
}

impl Breach {
    pub(crate) fn new(invariant: Invariant, what: impl Into<String>) -> Self {
        Self { invariant, what: what.into() }
    }
}

/// A [`Breach`] in a simulation, with all that is needed to see it again: the same seed and the same settings lead
/// there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}, event {event}, at {at:?}: {breach} (run it again with TRAINYARD_SEED={seed})")]
pub struct Violation {
    /// The seed of the simulation.
    pub seed: u64,
    /// How many events there had been.
    pub event: u64,
    /// What time it was.
    pub at: Timestamp,
    /// What does not hold.
    pub breach: Breach,
}
