//! Why a trainer is to stop, and the flag that says so.

use crate::sync::{AtomicBool, AtomicU8, Ordering};

/// Why a trainer is to stop, mildest first. Who was told once can only be told something graver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Stop {
    /// This candidate has reached its contest's target: return what was trained, as
    /// [`Trained`](trainyard_core::Trained). It wins if it was the first, or if those before it do not complete.
    #[error("the target is reached")]
    TargetReached,
    /// The process ends. Write a checkpoint and return [`TrainError::interrupted`](crate::TrainError::interrupted);
    /// the job goes on from there.
    #[error("the process ends")]
    ShuttingDown,
    /// Another candidate has won.
    #[error("another candidate has won")]
    Superseded,
    /// Too little was gained in the agreed time.
    #[error("too little was gained in the agreed time")]
    Stalled,
    /// The time for running is over.
    #[error("the time is over")]
    OutOfTime,
    /// Somebody has taken the job back.
    #[error("the job was cancelled")]
    Cancelled,
    /// This run has lost its right to write: it was given up, or its job was given to another.
    #[error("the run was fenced off")]
    FencedOff,
}

impl Stop {
    /// Whether the run may still write checkpoints and hand over a result.
    #[must_use]
    pub const fn may_write(self) -> bool {
        match self {
            Self::TargetReached | Self::ShuttingDown => true,
            Self::Superseded | Self::Stalled | Self::OutOfTime | Self::Cancelled | Self::FencedOff => false,
        }
    }

    const ALL: [Self; 7] = [
        Self::TargetReached,
        Self::ShuttingDown,
        Self::Superseded,
        Self::Stalled,
        Self::OutOfTime,
        Self::Cancelled,
        Self::FencedOff,
    ];
}

/// One atomic that a trainer looks at and the driver writes.
#[derive(Debug, Default)]
pub(crate) struct StopFlag {
    /// 0 to go on, else a reason's place among [`Stop::ALL`], from 1.
    reason: AtomicU8,
    given_up: AtomicBool,
}

impl StopFlag {
    /// Tells the run to stop, unless it was told something graver.
    pub(crate) fn raise(&self, stop: Stop) {
        let place =
            Stop::ALL.iter().position(|known| *known == stop).expect("all reasons are among all reasons");
        let number = u8::try_from(place + 1).expect("there are seven reasons");
        self.reason.fetch_max(number, Ordering::AcqRel);
    }

    /// Why the run is to stop, if it is.
    pub(crate) fn get(&self) -> Option<Stop> {
        let number = self.reason.load(Ordering::Acquire);
        Stop::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.reason.load(Ordering::Acquire) != 0
    }

    /// The run did not stop in time; its thread is not used again. Whether this is news.
    pub(crate) fn give_up(&self) -> bool {
        self.raise(Stop::FencedOff);
        !self.given_up.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_only_grow_graver() {
        for (n, first) in Stop::ALL.iter().enumerate() {
            for (m, second) in Stop::ALL.iter().enumerate() {
                let flag = StopFlag::default();
                assert_eq!(flag.get(), None);
                flag.raise(*first);
                flag.raise(*second);
                assert_eq!(flag.get(), Some(Stop::ALL[n.max(m)]));
            }
        }
        assert!(Stop::ALL.is_sorted());
    }
}
