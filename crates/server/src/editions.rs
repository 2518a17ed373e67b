//! Finding out cheaply whether something has changed.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the changes of something. Whoever finds one edition before and after they have read it has read that edition,
/// and whoever finds the same one later need not read it again.
#[derive(Debug, Default)]
pub(crate) struct Editions {
    begun: AtomicU64,
    over: AtomicU64,
}

impl Editions {
    /// Something is changed from now on until what is given back is dropped. Changes may be made at once, and within
    /// each other.
    pub(crate) fn change(&self) -> Changing<'_> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Changing(self)
    }

    /// The edition that there is; `None` while something is changed.
    pub(crate) fn now(&self) -> Option<u64> {
        // In this order: when as many were over as have begun a moment later, none was being made.
        let over = self.over.load(Ordering::SeqCst);
        let begun = self.begun.load(Ordering::SeqCst);
        (begun == over).then_some(begun)
    }
}

/// A change that is being made.
#[must_use = "the change is over when it is dropped"]
#[derive(Debug)]
pub(crate) struct Changing<'a>(&'a Editions);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.over.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_edition_while_something_is_changed_and_another_one_afterwards() {
        let editions = Editions::default();
        let first = editions.now();
        assert_eq!((first, editions.now()), (Some(0), first), "a look is no change");
        let (one, other) = (editions.change(), editions.change());
        assert_eq!(editions.now(), None);
        drop(one);
        assert_eq!(editions.now(), None, "the other one is still being made");
        drop(other);
        let second = editions.now();
        assert!(second.is_some() && second != first);
        drop(editions.change());
        assert!(editions.now().is_some_and(|now| Some(now) != second && Some(now) != first));
    }
}
