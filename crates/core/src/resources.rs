//! What nodes have and jobs need.

use std::fmt;

use crate::Resource;

/// Amounts of named resources: what a node has, or what a job needs of it.
///
/// A demand is all or nothing. The resource `slot` counts how many jobs run at once; a demand that names
/// nothing else takes one. At most [`Resources::NAMES_MAX`] names; a name with amount 0 is left out.
///
/// ```
/// use trainyard_core::{Resource, Resources};
///
/// let node = Resources::slots(4).with(Resource::new("gpu")?, 2);
/// let job = Resources::slots(1).with(Resource::new("gpu")?, 1);
/// assert!(node.covers(&job));
/// assert_eq!(node.minus(&job).amount("gpu"), 1);
/// # Ok::<(), trainyard_core::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resources {
    slots: u64,
    others: Vec<(Resource, u64)>,
}

impl Resources {
    /// How many names besides `slot` there may be.
    pub const NAMES_MAX: usize = 16;
    /// The name under which slots are counted.
    pub const SLOT: &'static str = "slot";

    /// So many slots and nothing else.
    #[must_use]
    pub const fn slots(slots: u64) -> Self {
        Self { slots, others: Vec::new() }
    }

    /// With this amount of a resource in place of what was there. Beyond [`Resources::NAMES_MAX`] names a
    /// new one is left out.
    #[must_use]
    pub fn with(mut self, resource: Resource, amount: u64) -> Self {
        if resource.as_str() == Self::SLOT {
            self.slots = amount;
            return self;
        }
        match self.others.binary_search_by(|(name, _)| name.cmp(&resource)) {
            Ok(at) if amount == 0 => drop(self.others.remove(at)),
            Ok(at) => self.others[at].1 = amount,
            Err(at) if amount > 0 && self.others.len() < Self::NAMES_MAX => {
                self.others.insert(at, (resource, amount));
            }
            Err(_) => {}
        }
        self
    }

    /// How much there is of a resource; 0 when it is not named.
    #[must_use]
    pub fn amount(&self, resource: &str) -> u64 {
        if resource == Self::SLOT {
            return self.slots;
        }
        self.others.iter().find(|(name, _)| name.as_str() == resource).map_or(0, |(_, amount)| *amount)
    }

    /// Every name with its amount, `slot` first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        std::iter::once((Self::SLOT, self.slots))
            .chain(self.others.iter().map(|(name, amount)| (name.as_str(), *amount)))
    }

    /// Whether a demand fits in.
    #[must_use]
    pub fn covers(&self, demand: &Self) -> bool {
        self.slots >= demand.slots
            && demand.others.iter().all(|(name, need)| self.amount(name.as_str()) >= *need)
    }

    /// What is left when `taken` is gone; never below zero.
    #[must_use]
    pub fn minus(&self, taken: &Self) -> Self {
        let mut left = self.clone();
        left.slots = left.slots.saturating_sub(taken.slots);
        for (name, amount) in &mut left.others {
            *amount = amount.saturating_sub(taken.amount(name.as_str()));
        }
        left.others.retain(|(_, amount)| *amount > 0);
        left
    }

    /// What there is when `more` is added.
    #[must_use]
    pub fn plus(&self, more: &Self) -> Self {
        let mut sum = self.clone();
        sum.slots = sum.slots.saturating_add(more.slots);
        for (name, amount) in &more.others {
            match sum.others.iter_mut().find(|(known, _)| known == name) {
                Some((_, there)) => *there = there.saturating_add(*amount),
                None => sum = sum.with(name.clone(), *amount),
            }
        }
        sum
    }

    /// The names a demand needs more of than there is.
    pub fn lacks<'a>(&'a self, demand: &'a Self) -> impl Iterator<Item = &'a str> {
        demand.iter().filter(|(name, need)| self.amount(name) < *need).map(|(name, _)| name)
    }
}

impl Default for Resources {
    /// One slot.
    fn default() -> Self {
        Self::slots(1)
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resources() -> impl Strategy<Value = Resources> {
        (0_u64..5, prop::collection::vec((0_usize..3, 0_u64..5), 0..4)).prop_map(|(slots, others)| {
            others.into_iter().fold(Resources::slots(slots), |sum, (name, amount)| {
                sum.with(Resource::new(["gpu", "memory_mib", "disk"][name]).unwrap(), amount)
            })
        })
    }

    proptest! {
        #[test]
        fn what_is_taken_and_given_back_is_there_again(node in resources(), demand in resources()) {
            if node.covers(&demand) {
                let again = node.minus(&demand).plus(&demand);
                for (name, amount) in node.iter() {
                    prop_assert_eq!(again.amount(name), amount);
                }
                prop_assert_eq!(node.lacks(&demand).count(), 0);
            } else {
                prop_assert!(node.lacks(&demand).count() > 0);
            }
        }
    }
}
