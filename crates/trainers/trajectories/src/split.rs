//! Which rows are kept from learning, to judge by.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use crate::Row;

/// The share of rows that are kept back when nobody says otherwise.
pub const HELD_OUT_SHARE: f64 = 0.2;

/// Whether each row is held out, by nothing but its id: those whose FNV-1a is low, and the same on every machine.
///
/// `share` is how many of them roughly, 0.5 at most; what is no number counts as 0. Of fewer than two rows none is held
/// out, of five or more at least one unless the share is 0, and never more than half of them.
///
/// ```
/// use trainyard_trajectories::{HELD_OUT_SHARE, held_out};
///
/// let ids = ["a", "b", "c", "d", "e", "f"];
/// let held = held_out(&ids, HELD_OUT_SHARE);
/// assert!(held.contains(&true) && held.contains(&false));
/// assert_eq!(held_out(&ids[..1], 0.5), [false]);
/// ```
#[must_use]
pub fn held_out<S: AsRef<str>>(ids: &[S], share: f64) -> Vec<bool> {
    let share = if share.is_nan() { 0.0 } else { share.min(SHARE_MAX) };
    // below 2⁻³² it would hold out nothing by itself
    let bound = share * HASHES;
    let mut held = vec![false; ids.len()];
    if ids.len() < 2 || bound < 1.0 {
        return held;
    }
    let hash = |id: &S| fnv1a(id.as_ref().as_bytes());
    let mut order: Vec<(u32, usize)> = ids.iter().map(hash).zip(0..).collect();
    order.sort_unstable();
    let below = order.partition_point(|(hash, _)| f64::from(*hash) < bound);
    let at_least = usize::from(ids.len() >= ROWS_FOR_ONE);
    for (_, nth) in &order[..below.max(at_least).min(ids.len() / 2)] {
        held[*nth] = true;
    }
    held
}

/// Whether each row is held out; see [`held_out`]. Rows that ask the same are in the same part, since who has learned one
/// of them knows the answer to the others: the first of them decides for them all.
#[must_use]
pub fn held_out_rows<R: Borrow<Row>>(rows: &[R], share: f64) -> Vec<bool> {
    let (mut ids, mut questions, mut asked) = (Vec::new(), BTreeMap::new(), Vec::new());
    for row in rows {
        let row: &Row = row.borrow();
        let question = *questions.entry(row.user.as_str()).or_insert(ids.len());
        if question == ids.len() {
            ids.push(row.id.as_str());
        }
        asked.push(question);
    }
    let held = held_out(&ids, share);
    asked.into_iter().map(|question| held[question]).collect()
}

/// Parts rows into those to learn from and those to judge by, both in their order. See [`held_out_rows`].
///
/// ```
/// use trainyard_trajectories::{HELD_OUT_SHARE, Row, split};
///
/// let row = |n| Row::new(format!("row-{n}"), "", "", format!("question {}", n % 30), "yes");
/// let (train, judge) = split((0..100).map(row).collect(), HELD_OUT_SHARE);
/// assert_eq!(train.len() + judge.len(), 100);
/// assert!(judge.iter().all(|judge| train.iter().all(|row| row.user != judge.user)));
/// ```
#[must_use]
pub fn split(rows: Vec<Row>, share: f64) -> (Vec<Row>, Vec<Row>) {
    let held = held_out_rows(&rows, share);
    let (mut train, mut judge) = (Vec::new(), Vec::new());
    for (row, is_held) in rows.into_iter().zip(held) {
        if is_held { judge.push(row) } else { train.push(row) }
    }
    (train, judge)
}

/// FNV-1a with 32 bits.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

const SHARE_MAX: f64 = 0.5;
/// How many hashes there are: 2³².
const HASHES: f64 = 4_294_967_296.0;
/// Of so many rows or more, one is held out even if no hash is low.
const ROWS_FOR_ONE: usize = 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_hash_is_the_one_of_everybody() {
        // from the list of its authors
        assert_eq!(fnv1a(b""), 0x811c_9dc5);
        assert_eq!(fnv1a(b"a"), 0xe40c_292c);
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn about_a_fifth_is_held_out() {
        let ids: Vec<String> = (0..10_000).map(|n| format!("trajectory-{n}:call-{}", n % 7)).collect();
        let held = held_out(&ids, HELD_OUT_SHARE).into_iter().filter(|held| *held).count();
        assert!((1_900..2_100).contains(&held), "{held}");
        assert!(held_out(&ids, f64::NAN).into_iter().chain(held_out(&ids, -1.0)).all(|held| !held));
    }

    #[test]
    fn rows_that_ask_the_same_are_in_the_same_part() {
        let row = |number: usize, user: &str| Row::new(number.to_string(), "", "", user, "answered");
        let rows: Vec<Row> = (0..200).map(|number| row(number, &format!("asked {}", number % 40))).collect();
        let (train, judge) = split(rows.clone(), HELD_OUT_SHARE);
        assert_eq!((train.len() + judge.len(), judge.len() % 5), (200, 0));
        assert!((1..=100).contains(&judge.len()), "{}", judge.len());
        assert!(judge.iter().all(|held| train.iter().all(|row| row.user != held.user)));
        let same: Vec<Row> = (0..9).map(|number| row(number, "asked")).collect();
        assert_eq!(split(same, HELD_OUT_SHARE).0.len(), 9);
        // Where none asks the same as another, each is on its own.
        let each: Vec<Row> = (0..90).map(|number| row(number, &number.to_string())).collect();
        let ids: Vec<&str> = each.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(held_out_rows(&each, HELD_OUT_SHARE), held_out(&ids, HELD_OUT_SHARE));
    }

    proptest! {
        #[test]
        fn a_split_keeps_to_its_bounds(
            ids in prop::collection::vec("[a-z]{0,4}", 0..40),
            share in prop_oneof![Just(HELD_OUT_SHARE), -1.0..2.0],
        ) {
            let held = held_out(&ids, share);
            let count = held.iter().filter(|held| **held).count();
            prop_assert_eq!(held.len(), ids.len());
            prop_assert!(count <= ids.len() / 2);
            prop_assert!(ids.len() >= 2 || count == 0);
            prop_assert!(ids.len() < 5 || share <= f64::EPSILON || count >= 1);
            prop_assert_eq!(&held_out(&ids, share), &held);
        }

        #[test]
        fn who_is_held_out_stays_so_when_rows_come(count in 60..200_usize, more in 0..200_usize) {
            // as long as neither the one at least nor the half at most has a say
            let ids: Vec<String> = (0..count + more).map(|n| format!("row-{n}")).collect();
            let (few, many) = (held_out(&ids[..count], HELD_OUT_SHARE), held_out(&ids, HELD_OUT_SHARE));
            prop_assert_eq!(&many[..count], &few[..]);
        }
    }
}
