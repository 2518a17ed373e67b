use std::num::NonZeroU32;

use thiserror::Error;

/// Below this many vectors an index is searched exactly and needs no lists: the usual `min_vectors`.
pub const MIN_VECTORS: u64 = 10_000;

/// What a training of an index would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plan {
    /// Train, with this many lists.
    Train {
        /// As asked for, or [`automatic_lists`].
        n_lists: NonZeroU32,
    },
    /// Leave the index as it is; that is a success too.
    Nothing {
        /// The reason.
        why: Unneeded,
    },
}

/// Why there is nothing to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unneeded {
    /// The index is empty.
    #[error("the index is empty")]
    Empty,
    /// Too few vectors for lists to pay.
    #[error("the index has {have} vectors, trained is from {need} on")]
    TooFew {
        /// How many there are.
        have: u64,
        /// How many there would have to be.
        need: u64,
    },
    /// Fewer than two vectors per list.
    #[error("{n_lists} lists are too many for {have} vectors, at least two per list are needed")]
    TooManyLists {
        /// How many lists were asked for.
        n_lists: NonZeroU32,
        /// How many vectors there are.
        have: u64,
    },
}

/// Decides what a training would do. `requested: None` means as many lists as suit the number of vectors.
///
/// ```
/// use trainyard_ivf::{MIN_VECTORS, Plan, plan};
///
/// assert_eq!(plan(10_000, None, MIN_VECTORS), Plan::Train { n_lists: 128.try_into()? });
/// assert!(matches!(plan(9_999, None, MIN_VECTORS), Plan::Nothing { .. }));
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
#[must_use]
pub fn plan(n_vectors: u64, requested: Option<NonZeroU32>, min_vectors: u64) -> Plan {
    let Some(automatic) = automatic_lists(n_vectors) else {
        return Plan::Nothing { why: Unneeded::Empty };
    };
    let n_lists = requested.unwrap_or(automatic);
    if n_vectors < min_vectors {
        Plan::Nothing { why: Unneeded::TooFew { have: n_vectors, need: min_vectors } }
    } else if 2 * u64::from(n_lists.get()) > n_vectors {
        Plan::Nothing { why: Unneeded::TooManyLists { n_lists, have: n_vectors } }
    } else {
        Plan::Train { n_lists }
    }
}

/// How many lists suit this many vectors: the square root rounded to a power of two, `2^⌊bits/2⌋`, at most
/// 65,536. `None` for an empty index.
///
/// ```
/// use trainyard_ivf::automatic_lists;
///
/// assert_eq!(automatic_lists(40_000).map(|lists| lists.get()), Some(256));
/// assert_eq!(automatic_lists(0), None);
/// ```
#[must_use]
pub fn automatic_lists(n_vectors: u64) -> Option<NonZeroU32> {
    let bits = u64::BITS - n_vectors.leading_zeros();
    NonZeroU32::new(if n_vectors == 0 { 0 } else { 1 << (bits / 2).min(16) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_lists_as_seen_on_the_wire() {
        let table = [
            (1, 1),
            (2, 2),
            (3, 2),
            (4, 2),
            (8_191, 64),
            (8_192, 128),
            (10_000, 128),
            (32_767, 128),
            (32_768, 256),
            (40_000, 256),
            (131_071, 256),
            (131_072, 512),
            (524_288, 1_024),
            (1 << 32, 65_536),
            (u64::MAX, 65_536),
        ];
        for (vectors, lists) in table {
            assert_eq!(automatic_lists(vectors), NonZeroU32::new(lists), "{vectors}");
        }
    }

    #[test]
    fn plans() {
        let lists = |n| NonZeroU32::new(n);
        let train = |n| Plan::Train { n_lists: lists(n).unwrap() };
        let nothing = |why| Plan::Nothing { why };
        let too_few = |have| nothing(Unneeded::TooFew { have, need: 10_000 });
        let table = [
            (0, None, nothing(Unneeded::Empty)),
            (9_999, None, too_few(9_999)),
            (9_999, lists(64), too_few(9_999)),
            (10_000, None, train(128)),
            (10_000, lists(1), train(1)),
            (10_000, lists(5_000), train(5_000)),
            (
                10_000,
                lists(5_001),
                nothing(Unneeded::TooManyLists { n_lists: lists(5_001).unwrap(), have: 10_000 }),
            ),
        ];
        for (vectors, requested, expected) in table {
            assert_eq!(plan(vectors, requested, MIN_VECTORS), expected, "{vectors} {requested:?}");
        }
        assert!(matches!(plan(1, None, 0), Plan::Nothing { why: Unneeded::TooManyLists { .. } }));
    }
}
