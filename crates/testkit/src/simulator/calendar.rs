//! What is to happen, in the order of virtual time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use trainyard_core::{Run, Timestamp};

/// What is to happen. Of what became of its cause in the meantime it knows nothing: `life` and `token` tell whether it
/// is still meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happening {
    /// Users ask for what they had in mind.
    Wish,
    /// Users ask again for what was never answered.
    Again,
    /// A run has done something.
    Act { node: usize, run: Run, token: u64 },
    /// A node looks whether there is anything to do.
    Wake { node: usize, life: u64 },
    /// A commit is over.
    Told { node: usize, life: u64 },
    /// A node is killed.
    Kill { node: usize, life: u64 },
    /// A node opens the journal.
    Open { node: usize, life: u64 },
    /// An operator clears up.
    Operate,
}

/// Everything that is to happen. What is to happen at one moment happens in the order in which it was put in.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    entries: BinaryHeap<Reverse<Entry>>,
    count: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    at: Timestamp,
    number: u64,
    what: Happening,
}

impl Calendar {
    pub(super) fn put(&mut self, at: Timestamp, what: Happening) {
        self.count += 1;
        self.entries.push(Reverse(Entry { at, number: self.count, what }));
    }

    pub(super) fn next(&mut self) -> Option<(Timestamp, Happening)> {
        self.entries.pop().map(|Reverse(Entry { at, what, .. })| (at, what))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
