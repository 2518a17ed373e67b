//! Which rows are kept from learning, to judge by.

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

/// Parts rows into those to learn from and those to judge by, both in their order. See [`held_out`].
///
/// ```
/// use trainyard_trajectories::{HELD_OUT_SHARE, split};
///
/// let (train, judge) = split((0..100).collect(), |n: &i32| n.to_string(), HELD_OUT_SHARE);
/// assert_eq!(train.len() + judge.len(), 100);
/// assert!(train.is_sorted() && judge.is_sorted());
/// ```
#[must_use]
pub fn split<T>(rows: Vec<T>, id: impl Fn(&T) -> String, share: f64) -> (Vec<T>, Vec<T>) {
    let ids: Vec<String> = rows.iter().map(id).collect();
    let held = held_out(&ids, share);
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
