//! How often somebody may try to log in.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};
use sha2::{Digest as _, Sha256};
use trainyard_core::Timestamp;
use trainyard_core::port::Handle;

use crate::settings::{Attempts, Limits};

/// Counts attempts by name, by address and by both, on the clock of a yard.
///
/// The tight bound is that of both: a stranger who guesses at a name is slowed down, and does not keep its owner out.
pub(crate) struct Gate {
    both: Counter<(NameKey, PeerKey)>,
    names: Counter<NameKey>,
    peers: Counter<PeerKey>,
}

/// A digest: names can be long, and nothing is kept of them.
type NameKey = [u8; 32];

/// An address, or the network of an IPv6 address; whoever has no address shares one slate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum PeerKey {
    Unknown,
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl Gate {
    pub(crate) fn new<H: Handle + ?Sized>(handle: &Arc<H>, limits: &Limits) -> Self {
        let clock = YardClock::new(Arc::clone(handle));
        Self {
            both: Counter::new(clock.clone(), limits.attempts_by_name_and_peer, limits.attempts_known),
            names: Counter::new(clock.clone(), limits.attempts_by_name, limits.attempts_known),
            peers: Counter::new(clock, limits.attempts_by_peer, limits.attempts_known),
        }
    }

    /// Notes an attempt.
    ///
    /// # Errors
    /// How long to wait before the next one. What the address is refused is not counted against the name.
    pub(crate) fn enter(&self, name: &str, peer: Option<IpAddr>) -> Result<(), Duration> {
        let (name, peer) = (name_key(name), PeerKey::of(peer));
        self.peers.note(&peer)?;
        self.both.note(&(name, peer))?;
        self.names.note(&name)
    }

    /// It was the right password: the name starts anew there. Elsewhere nothing is forgiven.
    pub(crate) fn succeed(&self, name: &str, peer: Option<IpAddr>) {
        self.both.store.lock().remove(&(name_key(name), PeerKey::of(peer)));
    }
}

impl PeerKey {
    fn of(peer: Option<IpAddr>) -> Self {
        match peer.map(|peer| peer.to_canonical()) {
            None => Self::Unknown,
            Some(IpAddr::V4(address)) => Self::V4(address),
            Some(IpAddr::V6(address)) => Self::network(address),
        }
    }

    /// Whoever has one address of IPv6 has a whole network of them.
    fn network(address: Ipv6Addr) -> Self {
        let [a, b, c, d, ..] = address.segments();
        Self::V6([a, b, c, d])
    }
}

fn name_key(name: &str) -> NameKey {
    Sha256::digest(name).into()
}

struct Counter<K: Ord + Clone> {
    limiter: RateLimiter<K, Store<K>, YardClock, NoOpMiddleware<Moment>>,
    store: Store<K>,
    clock: YardClock,
}

impl<K: Ord + Clone + Hash> Counter<K> {
    fn new(clock: YardClock, attempts: Attempts, known_max: usize) -> Self {
        let count = NonZeroU32::new(attempts.count).unwrap_or(NonZeroU32::MIN);
        let each = (attempts.within / count.get()).max(Duration::from_millis(1));
        let each = each.min(MOMENT_MAX / count.get());
        let quota = Quota::with_period(each).expect("it is not zero").allow_burst(count);
        let store = Store { states: Arc::default(), known_max: known_max.max(1) };
        Self { limiter: RateLimiter::new(quota, store.clone(), clock.clone()), store, clock }
    }

    fn note(&self, key: &K) -> Result<(), Duration> {
        if self.store.lock().len() >= self.store.known_max {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key).map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }
}

/// When each key's slate is clean, and no more keys than there is room for. Clones are one.
#[derive(Clone)]
struct Store<K> {
    states: Arc<Mutex<BTreeMap<K, Nanos>>>,
    known_max: usize,
}

impl<K: Ord> Store<K> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, Nanos>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord + Clone> StateStore for Store<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut states = self.lock();
        let (outcome, state) = measure(states.get(key).copied())?;
        if states.len() >= self.known_max && !states.contains_key(key) {
            // Somebody who is not clean yet is let off early: better than to keep everybody else out.
            let nearest = states.iter().min_by_key(|(_, clean_at)| **clean_at).map(|(key, _)| key.clone());
            nearest.and_then(|key| states.remove(&key));
        }
        states.insert(key.clone(), state);
        Ok(outcome)
    }
}

impl<K: Ord + Clone + Hash> ShrinkableKeyedStateStore<K> for Store<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        self.lock().retain(|_, clean_at| *clean_at >= drop_below);
    }

    fn len(&self) -> usize {
        self.lock().len()
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

/// What time it is for a yard.
#[derive(Clone)]
struct YardClock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl YardClock {
    fn new<H: Handle + ?Sized>(handle: Arc<H>) -> Self {
        Self(Arc::new(move || handle.now()))
    }
}

impl Clock for YardClock {
    type Instant = Moment;

    fn now(&self) -> Moment {
        Moment::of((self.0)())
    }
}

/// Time since 1970. It stands still after [`MOMENT_MAX`], so that no sum of two overflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(Duration);

/// Some 190 years: a third of what 64 bits of nanoseconds can hold.
const MOMENT_MAX: Duration = Duration::from_secs(6_000_000_000);

impl Moment {
    fn of(now: Timestamp) -> Self {
        Self(Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0)).min(MOMENT_MAX))
    }
}

impl Add<Nanos> for Moment {
    type Output = Self;

    fn add(self, nanos: Nanos) -> Self {
        Self(self.0.saturating_add(nanos.into()))
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, nanos: Nanos) -> Self {
        Self(self.0.checked_sub(nanos.into()).unwrap_or(self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use proptest::prelude::*;

    use super::*;

    struct Hands(Arc<AtomicI64>);

    impl Hands {
        fn clock() -> (Self, YardClock) {
            let millis = Arc::new(AtomicI64::new(1_000_000));
            let read = Arc::clone(&millis);
            let clock = YardClock(Arc::new(move || Timestamp::from_millis(read.load(Ordering::SeqCst))));
            (Self(millis), clock)
        }

        fn pass(&self, millis: i64) {
            self.0.fetch_add(millis, Ordering::SeqCst);
        }
    }

    fn attempts(count: u32, seconds: u64) -> Attempts {
        Attempts { count, within: Duration::from_secs(seconds) }
    }

    #[test]
    fn so_many_at_once_and_then_one_after_the_other() {
        let (hands, clock) = Hands::clock();
        let counter = Counter::new(clock, attempts(3, 30), 10);
        for _ in 0..3 {
            assert_eq!(counter.note(&"a"), Ok(()));
        }
        assert_eq!(counter.note(&"a"), Err(Duration::from_secs(10)));
        assert_eq!(counter.note(&"b"), Ok(()), "others are not meant");
        hands.pass(9_999);
        assert_eq!(counter.note(&"a"), Err(Duration::from_millis(1)));
        hands.pass(1);
        assert_eq!(counter.note(&"a"), Ok(()));
        assert!(counter.note(&"a").is_err());
    }

    #[test]
    fn keys_have_a_bound_and_newcomers_get_in() {
        let (hands, clock) = Hands::clock();
        let counter = Counter::new(clock, attempts(2, 20), 100);
        for key in 0..1_000 {
            assert_eq!(counter.note(&key), Ok(()));
            assert!(counter.store.lock().len() <= 100);
        }
        hands.pass(100_000);
        assert_eq!(counter.note(&5_000), Ok(()));
        assert_eq!(counter.store.lock().len(), 1, "whoever is clean again is forgotten");
    }

    #[test]
    fn any_bounds_and_any_time_are_fine() {
        for count in [0, 1, 7, u32::MAX] {
            for within in [Duration::ZERO, Duration::from_secs(1), Duration::MAX] {
                let (hands, clock) = Hands::clock();
                let counter = Counter::new(clock, Attempts { count, within }, 0);
                assert_eq!(counter.note(&"a"), Ok(()), "{count} {within:?}");
                for time in [0, 1, i64::MAX, i64::MIN, -5] {
                    hands.0.store(time, Ordering::SeqCst);
                    // With room for one, the other was just forgotten.
                    assert_eq!(counter.note(&"b"), Ok(()), "{count} {within:?} {time}");
                    assert_eq!(counter.note(&"a"), Ok(()), "{count} {within:?} {time}");
                }
            }
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let key = |text: &str| PeerKey::of(Some(text.parse().unwrap()));
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
    }

    proptest! {
        /// In no span of time do more get in than the burst and what the span brings.
        #[test]
        fn the_rate_holds(waits in prop::collection::vec(0_i64..5_000, 1..200), count in 1_u32..6) {
            let (hands, clock) = Hands::clock();
            let counter = Counter::new(clock, attempts(count, u64::from(count)), 10);
            let mut passed = 0;
            let mut entered = 0;
            for wait in waits {
                hands.pass(wait);
                passed += wait;
                entered += i64::from(counter.note(&"a").is_ok());
                prop_assert!(entered <= i64::from(count) + passed / 1_000);
            }
        }
    }
}
