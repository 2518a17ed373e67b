//! Seeded chance, in streams: who draws more in one of them changes nothing in another.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A row of numbers that look random, and are the same for the same seed for ever.
///
/// ```
/// use trainyard_testkit::simulator::Chance;
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
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.any()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// Whether something that happens at these odds happens now.
    pub fn hits(&mut self, odds: Odds) -> bool {
        odds.0 > 0 && self.below(odds.0.into()) == 0
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "11 bits are shifted out, so 53 are left")]
        let bits = (self.any() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// A time from zero to this, in whole milliseconds.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.below(millis(most).saturating_add(1)))
    }

    /// A time around this one, such as people and machines take: mostly shorter, now and then several times as long.
    /// Its mean is this time, and it is never more than sixteen times as long. In whole milliseconds.
    pub fn around(&mut self, mean: Duration) -> Duration {
        // Exponential, by the leading zeros of a number and a uniform rest: no logarithm, so the same everywhere.
        let drawn = self.any();
        let halvings = u64::from(drawn.leading_zeros().min(22));
        let rest = self.below(1_000);
        let thousandths = (halvings * 1_000 + rest) * 694 / 1_000;
        Duration::from_millis(millis(mean).saturating_mul(thousandths) / 1_041)
    }

    /// One of these, or `None` of none.
    pub fn pick<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        let at = usize::try_from(self.below(things.len() as u64)).ok()?;
        things.get(at)
    }
}

/// How often something happens: one time in so many.
///
/// ```
/// use trainyard_testkit::simulator::{Chance, Odds};
///
/// let mut chance = Chance::new(1, 0);
/// assert!(chance.hits(Odds::ALWAYS) && !chance.hits(Odds::NEVER));
/// let hits = (0..10_000).filter(|_| chance.hits(Odds::one_in(10))).count();
/// assert!((900..1_100).contains(&hits));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Odds(u32);

impl Odds {
    /// Every time.
    pub const ALWAYS: Self = Self(1);
    /// Not once.
    pub const NEVER: Self = Self(0);

    /// One time in so many; of 0 never.
    #[must_use]
    pub const fn one_in(many: u32) -> Self {
        Self(many)
    }
}

/// Whole milliseconds, as virtual time is counted.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_around_a_mean_have_that_mean_and_a_bound() {
        let mut chance = Chance::new(3, 0);
        let mean = Duration::from_secs(10);
        let times: Vec<Duration> = (0..20_000).map(|_| chance.around(mean)).collect();
        let sum: Duration = times.iter().sum();
        let found = sum / 20_000;
        assert!(found > mean * 9 / 10 && found < mean * 11 / 10, "{found:?}");
        assert!(times.iter().all(|time| *time <= mean * 16));
    }

    #[test]
    fn streams_are_told_apart() {
        assert_ne!(Chance::new(1, 0).any(), Chance::new(1, 1).any());
    }
}
