//! The jobs of each subject; nearly always one.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use crate::{Order, Subject};

/// A subject as a number, so that looking one up among a million costs no comparison of words. Two subjects may share
/// a number; whoever looks one up compares the subjects themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SubjectKey(u64);

impl SubjectKey {
    pub(super) fn of(subject: &Subject) -> Self {
        // As two strangers may that somebody has searched for.
        #[cfg(test)]
        if subject.as_str().starts_with("same number/") {
            return Self(0);
        }
        let mut hasher = DefaultHasher::new();
        subject.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// Jobs by their subject, in the order of submission. A subject with one job, of which there may be a million, takes two
/// words.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Subjects {
    /// Of those that have one.
    one: Ones,
    /// Of those that have more, all.
    many: BTreeMap<SubjectKey, BTreeSet<Order>>,
}

/// Only looked up in, or put in order after: among a million subjects it is much nearer than a tree.
#[expect(clippy::disallowed_types, reason = "its order is never seen")]
type Ones = std::collections::HashMap<SubjectKey, Order, BuildHasherDefault<KeyHasher>>;

/// The jobs of one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'a> {
    One(Order),
    Many(&'a BTreeSet<Order>),
}

impl Line<'_> {
    pub(super) fn iter(self) -> impl DoubleEndedIterator<Item = Order> {
        let (one, many) = match self {
            Self::One(order) => (Some(order), None),
            Self::Many(orders) => (None, Some(orders.iter().copied())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

impl Subjects {
    /// Nothing when a subject has no job here.
    pub(super) fn get(&self, subject: SubjectKey) -> Option<Line<'_>> {
        let one = self.one.get(&subject).map(|order| Line::One(*order));
        one.or_else(|| self.many.get(&subject).map(Line::Many))
    }

    pub(super) fn insert(&mut self, subject: SubjectKey, order: Order) {
        if let Some(orders) = self.many.get_mut(&subject) {
            orders.insert(order);
            return;
        }
        match self.one.entry(subject) {
            Entry::Vacant(entry) => drop(entry.insert(order)),
            Entry::Occupied(entry) if *entry.get() == order => {}
            Entry::Occupied(entry) => {
                let orders = BTreeSet::from([entry.remove(), order]);
                self.many.insert(subject, orders);
            }
        }
    }

    /// Takes one out; says whether that was the last of its subject.
    pub(super) fn remove(&mut self, subject: SubjectKey, order: Order) -> bool {
        if let Some(only) = self.one.get(&subject) {
            let is_it = *only == order;
            if is_it {
                self.one.remove(&subject);
            }
            return is_it;
        }
        if let Some(orders) = self.many.get_mut(&subject) {
            orders.remove(&order);
            if let (Some(only), 1) = (orders.first().copied(), orders.len()) {
                self.many.remove(&subject);
                self.one.insert(subject, only);
            }
        }
        false
    }

    /// All jobs, in no order that means anything.
    pub(super) fn orders(&self) -> impl Iterator<Item = Order> {
        self.one.values().copied().chain(self.many.values().flatten().copied())
    }
}

/// Subject keys are hashes already.
#[derive(Debug, Clone, Copy, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_subject_has_a_set(changes in prop::collection::vec((any::<bool>(), 0_u64..3, 0_u64..6), 0..80)) {
            let mut subjects = Subjects::default();
            let mut naive: BTreeMap<SubjectKey, BTreeSet<Order>> = BTreeMap::new();
            for (add, key, order) in changes {
                let (key, order) = (SubjectKey(key), Order::new(order));
                let orders = naive.entry(key).or_default();
                if add {
                    subjects.insert(key, order);
                    orders.insert(order);
                } else {
                    let was_last = orders.remove(&order) && orders.is_empty();
                    prop_assert_eq!(subjects.remove(key, order), was_last);
                }
                prop_assert!(subjects.get(key).into_iter().flat_map(Line::iter).eq(orders.iter().copied()));
                prop_assert!(subjects.get(key).into_iter().flat_map(|line| line.iter().rev()).eq(orders.iter().rev().copied()));
                prop_assert_eq!(matches!(subjects.get(key), Some(Line::One(_))), orders.len() == 1);
                prop_assert_eq!(subjects.get(key).is_none(), orders.is_empty());
            }
            let mut all: Vec<Order> = subjects.orders().collect();
            let mut expected: Vec<Order> = naive.into_values().flatten().collect();
            all.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(all, expected);
        }
    }
}
