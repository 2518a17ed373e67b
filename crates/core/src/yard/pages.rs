//! Things by their place in the order of submission.

use std::collections::BTreeMap;
use std::ops::Index;

use crate::Order;

/// A map from orders that holds little besides its things: orders are given out one after the other, so those of a page are
/// a number of 64 bits, and each thing is found by counting.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pages<T> {
    /// By what their orders have in common. None is empty.
    pages: BTreeMap<u64, Page<T>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Page<T> {
    /// One bit for each thing that is there, the lowest for the first.
    present: u64,
    /// The things, in order.
    things: Vec<T>,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: BTreeMap::new() }
    }
}

impl<T> Pages<T> {
    /// Puts a thing in; what was there comes back.
    pub(super) fn insert(&mut self, order: Order, thing: T) -> Option<T> {
        let (page, bit) = place(order);
        let page = self.pages.entry(page).or_insert_with(|| Page { present: 0, things: Vec::new() });
        if let Some(known) = page.get_mut(bit) {
            return Some(std::mem::replace(known, thing));
        }
        page.things.insert(page.ahead_of(bit), thing);
        page.present |= bit;
        None
    }

    /// Takes a thing out.
    pub(super) fn remove(&mut self, order: Order) -> Option<T> {
        let (number, bit) = place(order);
        let page = self.pages.get_mut(&number).filter(|page| page.present & bit != 0)?;
        let thing = page.things.remove(page.ahead_of(bit));
        page.present &= !bit;
        match page.things.len() {
            0 => drop(self.pages.remove(&number)),
            left if left.is_power_of_two() => page.things.shrink_to_fit(),
            _ => {}
        }
        Some(thing)
    }

    pub(super) fn get(&self, order: Order) -> Option<&T> {
        let (page, bit) = place(order);
        let page = self.pages.get(&page).filter(|page| page.present & bit != 0)?;
        page.things.get(page.ahead_of(bit))
    }

    pub(super) fn get_mut(&mut self, order: Order) -> Option<&mut T> {
        let (page, bit) = place(order);
        self.pages.get_mut(&page)?.get_mut(bit)
    }

    /// All things, in order.
    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.pages.values().flat_map(|page| &page.things)
    }
}

impl<T> Index<Order> for Pages<T> {
    type Output = T;

    fn index(&self, order: Order) -> &T {
        self.get(order).expect("only what is there is asked for in this way")
    }
}

impl<T> Page<T> {
    fn get_mut(&mut self, bit: u64) -> Option<&mut T> {
        let place = self.ahead_of(bit);
        if self.present & bit == 0 { None } else { self.things.get_mut(place) }
    }

    /// How many things come before that of a bit.
    const fn ahead_of(&self, bit: u64) -> usize {
        (self.present & (bit - 1)).count_ones() as usize
    }
}

/// The page of an order, and its bit there.
const fn place(order: Order) -> (u64, u64) {
    (order.get() / 64, 1 << (order.get() % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_map(from in prop::sample::select(vec![0, 60, u64::MAX - 300]), changes in prop::collection::vec((0_u8..3, 0_u64..300), 0..600)) {
            let (mut pages, mut naive) = (Pages::default(), BTreeMap::new());
            for (value, (change, number)) in (0_u32..).zip(changes) {
                let order = Order::new(from + number);
                match change {
                    0 | 1 => prop_assert_eq!(pages.insert(order, value), naive.insert(order, value)),
                    _ => prop_assert_eq!(pages.remove(order), naive.remove(&order)),
                }
                let other = Order::new(from + number / 2);
                prop_assert_eq!(pages.get(other), naive.get(&other));
                prop_assert_eq!(pages.get_mut(other), naive.get_mut(&other));
                prop_assert!(pages.values().eq(naive.values()));
                for page in pages.pages.values() {
                    prop_assert!(!page.things.is_empty());
                    prop_assert!(page.things.capacity() <= (2 * page.things.len()).max(4));
                }
            }
            prop_assert!(pages.values().rev().eq(naive.values().rev()));
            let again = naive.iter().rev().fold(Pages::default(), |mut again, (order, value)| {
                again.insert(*order, *value);
                again
            });
            prop_assert_eq!(&pages, &again);
        }
    }
}
