//! The unfinished jobs of one subject; nearly always one.

use std::collections::BTreeSet;

use crate::Order;

/// Jobs in the order of submission, without a set of its own while there is only one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    One(Order),
    #[expect(
        clippy::box_collection,
        reason = "a subject with one job, of which there may be a million, stays at two words"
    )]
    Many(Box<BTreeSet<Order>>),
}

impl Line {
    pub(super) fn insert(&mut self, order: Order) {
        match self {
            Self::One(first) if *first == order => {}
            Self::One(first) => *self = Self::Many(Box::new(BTreeSet::from([*first, order]))),
            Self::Many(orders) => drop(orders.insert(order)),
        }
    }

    /// Takes one out; says whether that was the last.
    pub(super) fn remove(&mut self, order: Order) -> bool {
        match self {
            Self::One(only) => *only == order,
            Self::Many(orders) => {
                orders.remove(&order);
                if let (Some(only), 1) = (orders.first().copied(), orders.len()) {
                    *self = Self::One(only);
                }
                false
            }
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Order> {
        let (one, many) = match self {
            Self::One(order) => (Some(*order), None),
            Self::Many(orders) => (None, Some(orders.iter().copied())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_line_is_a_set(first in 0_u64..6, changes in prop::collection::vec((any::<bool>(), 0_u64..6), 0..40)) {
            let mut line = Line::One(Order::new(first));
            let mut naive = BTreeSet::from([Order::new(first)]);
            for (add, order) in changes {
                let order = Order::new(order);
                if add {
                    line.insert(order);
                    naive.insert(order);
                } else {
                    naive.remove(&order);
                    let emptied = line.remove(order);
                    prop_assert_eq!(emptied, naive.is_empty());
                    if emptied {
                        break;
                    }
                }
                prop_assert!(line.iter().eq(naive.iter().copied()));
                prop_assert_eq!(matches!(line, Line::One(_)), naive.len() == 1);
            }
        }
    }
}
