//! An ordered map that is little more than its entries.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::ops::Bound;

/// How many entries share a piece.
const PIECE_MAX: usize = 64;

/// An ordered map whose entries lie side by side in pieces of up to 64.
///
/// What grows at its end, as ids and places in line do, fills every piece to the last place: an entry then costs its own
/// size and about a byte. A `BTreeMap` that grows so leaves its nodes half empty, and among a million jobs in line that is
/// what counts. Whoever comes out of order may have a full piece halved; neither half keeps the room that it lost. Pieces
/// that were emptied in part give back what they no longer need.
#[derive(Clone)]
pub(super) struct Packed<K, V> {
    /// Each under a key that is not after its first entry, and after all entries of the piece before. None is empty.
    pieces: BTreeMap<K, Vec<(K, V)>>,
}

impl<K, V> Default for Packed<K, V> {
    fn default() -> Self {
        Self { pieces: BTreeMap::new() }
    }
}

impl<K: Ord + Copy, V> Packed<K, V> {
    /// Puts an entry in; what was there under its key comes back.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let Some((&lowest, piece)) = self.pieces.range_mut(..=key).next_back() else {
            self.insert_first(key, value);
            return None;
        };
        let place = match find(piece, &key) {
            Ok(place) => return Some(mem::replace(&mut piece[place].1, value)),
            Err(place) => place,
        };
        if piece.len() < PIECE_MAX {
            put(piece, place, (key, value));
        } else if place == PIECE_MAX {
            self.pieces.insert(key, vec![(key, value)]);
        } else {
            self.split(lowest);
            self.insert(key, value);
        }
        None
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (&lowest, piece) = self.pieces.range_mut(..=*key).next_back()?;
        let (_, value) = piece.remove(find(piece, key).ok()?);
        match piece.len() {
            0 => drop(self.pieces.remove(&lowest)),
            left if left <= PIECE_MAX / 2 && left.is_power_of_two() => self.close_up(lowest),
            _ => {}
        }
        Some(value)
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let (_, piece) = self.pieces.range(..=*key).next_back()?;
        find(piece, key).ok().map(|place| &piece[place].1)
    }

    pub(super) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn first(&self) -> Option<&K> {
        let (_, piece) = self.pieces.first_key_value()?;
        piece.first().map(|(key, _)| key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How many keys are before this one.
    pub(super) fn count_before(&self, key: &K) -> usize {
        let before = |piece: &Vec<(K, V)>| piece.partition_point(|(other, _)| other < key);
        self.pieces.range(..*key).map(|(_, piece)| before(piece)).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.pieces.values().flatten().map(|(key, value)| (key, value))
    }

    /// Puts an entry before all others.
    fn insert_first(&mut self, key: K, value: V) {
        match self.pieces.pop_first() {
            Some((_, mut piece)) if piece.len() < PIECE_MAX => {
                put(&mut piece, 0, (key, value));
                self.pieces.insert(key, piece);
            }
            full => {
                self.pieces.extend(full);
                self.pieces.insert(key, vec![(key, value)]);
            }
        }
    }

    /// Makes two pieces of one that is full.
    fn split(&mut self, lowest: K) {
        let Some(piece) = self.pieces.get_mut(&lowest) else { return };
        let upper = piece.split_off(PIECE_MAX / 2);
        piece.shrink_to_fit();
        if let Some((first, _)) = upper.first() {
            self.pieces.insert(*first, upper);
        }
    }

    /// Joins a piece that has become small with a neighbour, if together they leave room for more, or else gives back what
    /// it has too much.
    fn close_up(&mut self, lowest: K) {
        let Some(piece) = self.pieces.get(&lowest) else { return };
        let room = (PIECE_MAX * 3 / 4).saturating_sub(piece.len());
        let fits = |(key, other): (&K, &Vec<(K, V)>)| (other.len() <= room).then_some(*key);
        let next = self.pieces.range((Bound::Excluded(lowest), Bound::Unbounded)).next().and_then(fits);
        let pair = match next {
            Some(next) => Some((lowest, next)),
            None => self.pieces.range(..lowest).next_back().and_then(fits).map(|before| (before, lowest)),
        };
        let gone = pair.and_then(|(_, gone)| self.pieces.remove(&gone));
        let kept = pair.map_or(lowest, |(kept, _)| kept);
        let Some(kept) = self.pieces.get_mut(&kept) else { return };
        match gone {
            Some(gone) => {
                kept.reserve_exact(PIECE_MAX - kept.len());
                kept.extend(gone);
            }
            None => kept.shrink_to_fit(),
        }
    }
}

/// Puts an entry in a piece that is not full, and takes room for twice as many when it has none, but for no more than a
/// piece has.
fn put<E>(piece: &mut Vec<E>, place: usize, entry: E) {
    if piece.len() == piece.capacity() {
        piece.reserve_exact(piece.len().clamp(4, PIECE_MAX / 2).min(PIECE_MAX - piece.len()));
    }
    piece.insert(place, entry);
}

fn find<K: Ord, V>(piece: &[(K, V)], key: &K) -> Result<usize, usize> {
    piece.binary_search_by(|(other, _)| other.cmp(key))
}

/// How the entries are divided into pieces makes no difference.
impl<K: Ord + Copy, V: PartialEq> PartialEq for Packed<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<K: Ord + Copy + fmt::Debug, V: fmt::Debug> fmt::Debug for Packed<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether it keeps what it says of its pieces, and none has far more room than entries.
    fn check(packed: &Packed<u32, u32>) {
        let mut before = None;
        for (lowest, piece) in &packed.pieces {
            assert!(!piece.is_empty() && piece.len() <= PIECE_MAX && piece.capacity() <= PIECE_MAX);
            assert!(
                piece.capacity() <= (2 * piece.len()).max(PIECE_MAX / 2) + 4 || piece.len() > PIECE_MAX / 4
            );
            assert!(*lowest <= piece[0].0 && before < Some(*lowest));
            assert!(piece.is_sorted_by(|one, next| one.0 < next.0));
            before = piece.last().map(|(key, _)| *key);
        }
    }

    proptest! {
        #[test]
        fn it_is_a_map(changes in prop::collection::vec((0_u8..5, 0_u32..400), 0..900)) {
            let (mut packed, mut naive, mut end) = (Packed::default(), BTreeMap::new(), 400);
            for (value, (change, key)) in (0_u32..).zip(changes) {
                match change {
                    0 => prop_assert_eq!(packed.insert(key, value), naive.insert(key, value)),
                    1 | 2 => {
                        end += 1;
                        prop_assert_eq!(packed.insert(end, value), naive.insert(end, value));
                    }
                    3 => prop_assert_eq!(packed.remove(&key), naive.remove(&key)),
                    _ => {
                        let first = naive.pop_first();
                        prop_assert_eq!(packed.first().copied(), first.map(|(key, _)| key));
                        prop_assert_eq!(first.and_then(|(key, _)| packed.remove(&key)), first.map(|(_, value)| value));
                    }
                }
                check(&packed);
                prop_assert_eq!(packed.get(&key), naive.get(&key));
                prop_assert_eq!(packed.contains_key(&key), naive.contains_key(&key));
                prop_assert_eq!(packed.is_empty(), naive.is_empty());
                prop_assert_eq!(packed.first(), naive.first_key_value().map(|(key, _)| key));
                prop_assert_eq!(packed.count_before(&key), naive.range(..key).count());
            }
            prop_assert!(packed.iter().eq(naive.iter()));
            let again = naive.iter().rev().fold(Packed::default(), |mut again, (key, value)| {
                again.insert(*key, *value);
                again
            });
            check(&again);
            prop_assert_eq!(&packed, &again);
            prop_assert!(naive.is_empty() || packed != Packed::default());
        }
    }

    #[test]
    fn what_grows_at_its_end_leaves_no_room_and_what_shrinks_gives_it_back() {
        let filled = |keys: &mut dyn Iterator<Item = u32>| {
            let mut packed = Packed::default();
            for key in keys {
                packed.insert(key, key);
            }
            packed
        };
        let room = |packed: &Packed<u32, u32>| packed.pieces.values().map(Vec::capacity).sum::<usize>();
        // Of every five the last comes first.
        let late = filled(&mut (0..6_400).map(|key| key / 5 * 5 + (key + 4) % 5));
        check(&late);
        assert!(room(&late) <= 6_400 * 11 / 10, "{}", room(&late));
        assert!(late.pieces.len() <= 210, "{} pieces", late.pieces.len());
        let mut packed = filled(&mut (0..6_400));
        assert_eq!((packed.pieces.len(), room(&packed)), (100, 6_400));
        for key in (0..6_400).filter(|key| key % 32 != 0) {
            packed.remove(&key);
        }
        check(&packed);
        assert!(room(&packed) <= 2 * 200, "room for {} where 200 are", room(&packed));
    }
}
