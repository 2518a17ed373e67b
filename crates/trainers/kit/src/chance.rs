//! Seeded chance. ChaCha8 is fixed for ever, and the draws below are our own arithmetic, so a seed means the same
//! numbers with every version of every dependency.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A row of numbers that look random, and are the same for the same seed for ever.
///
/// ```
/// use trainyard_trainkit::Chance;
///
/// let mut chance = Chance::new(7, 0);
/// let throw = chance.below(6) + 1;
/// assert!((1..=6).contains(&throw));
/// assert_eq!(Chance::new(7, 0).below(6) + 1, throw);
/// ```
#[derive(Debug)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The numbers for one use of a seed; another stream has others.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// Any number at all.
    pub fn any(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `0..bound`, off by at most `bound / 2^64`; 0 when there is nothing to choose from.
    ///
    /// # Panics
    /// Never: what is found is less than a `usize`.
    pub fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.any()) * (bound as u128);
        usize::try_from(product >> 64).expect("it is less than a usize")
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "11 bits are shifted out, so 53 are left")]
        let bits = (self.any() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// Puts things into any order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_numbers_for_ever() {
        let mut chance = Chance::new(7, 1);
        let first = [chance.any(), chance.any()];
        let mut again = Chance::new(7, 1);
        assert_eq!([again.any(), again.any()], first);
        assert_ne!(Chance::new(7, 2).any(), first[0]);
        assert_ne!(Chance::new(8, 1).any(), first[0]);
    }

    #[test]
    fn draws_keep_within_their_bounds_and_reach_them() {
        let mut chance = Chance::new(1, 0);
        let mut seen = [0_u32; 5];
        for _ in 0..1_000 {
            seen[chance.below(5)] += 1;
            assert!((0.0..1.0).contains(&chance.unit()));
        }
        assert!(seen.iter().all(|&count| count > 120), "{seen:?}");
        assert_eq!(chance.below(0), 0);
    }

    #[test]
    fn shuffling_loses_nothing() {
        let mut things: Vec<u8> = (0..50).collect();
        Chance::new(3, 3).shuffle(&mut things);
        assert!(!things.is_sorted());
        things.sort_unstable();
        assert_eq!(things, (0..50).collect::<Vec<_>>());
    }
}
