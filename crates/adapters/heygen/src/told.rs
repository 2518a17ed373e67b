//! What was told of the trainings of groups, and is so while the yard is as it was.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use trainyard_http::Bytes;

use crate::host::GroupId;

/// Where the trainings of groups stand in the words of the wire, with the edition of the yard that it was read of, so that
/// not every client that asks has it looked for and put into words anew. Whether there is such a group is not said here.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<BTreeMap<GroupId, (u64, Bytes)>>);

/// A hundred bytes each, more or less.
const KEPT_MAX: usize = 1_024;

impl Told {
    /// What is to be told of a group in this edition, if that is known.
    pub(crate) fn find(&self, group: GroupId, edition: u64) -> Option<Bytes> {
        let kept = self.lock();
        kept.get(&group).filter(|(of, _)| *of == edition).map(|(_, json)| json.clone())
    }

    /// Of one group the newest is kept; of groups any, but this one among them.
    pub(crate) fn keep(&self, group: GroupId, edition: u64, json: Bytes) {
        let mut kept = self.lock();
        // Somebody else may have looked later, and been quicker.
        if kept.get(&group).is_some_and(|(newer, _)| *newer > edition) {
            return;
        }
        if kept.len() >= KEPT_MAX && !kept.contains_key(&group) {
            kept.pop_first();
        }
        kept.insert(group, (edition, json));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<GroupId, (u64, Bytes)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn group(number: u128) -> GroupId {
        GroupId::new(Uuid::from_u128(number))
    }

    #[test]
    fn it_is_told_of_its_group_and_its_edition_alone() {
        let told = Told::default();
        told.keep(group(1), 7, "one".into());
        told.keep(group(2), 7, "two".into());
        assert_eq!(told.find(group(1), 7), Some("one".into()));
        assert_eq!(told.find(group(2), 7), Some("two".into()));
        assert_eq!(
            [told.find(group(3), 7), told.find(group(1), 6), told.find(group(1), 8)],
            [None, None, None]
        );
        told.keep(group(1), 9, "newer".into());
        told.keep(group(1), 8, "late".into());
        assert_eq!((told.find(group(1), 9), told.find(group(1), 8)), (Some("newer".into()), None));
    }

    #[test]
    fn only_so_many_are_kept_and_the_last_one_among_them() {
        let told = Told::default();
        let most = KEPT_MAX as u128;
        for number in (1..=most + 1).chain([0]) {
            told.keep(group(number), 7, number.to_string().into());
            assert_eq!(told.find(group(number), 7), Some(number.to_string().into()));
        }
        assert_eq!(told.lock().len(), KEPT_MAX);
        told.keep(group(most), 8, "anew".into());
        assert_eq!(told.lock().len(), KEPT_MAX);
        assert_eq!(told.find(group(0), 7), Some("0".into()), "one that is there makes no room");
    }
}
