//! Work that may take long, done once for all who ask for it meanwhile.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use trainyard_http::{Seat, Seats, blocking_later, timeout};

use crate::fault::Fault;

/// Errands that are under way, by what they are about. Clones are one.
#[derive(Clone)]
pub(crate) struct Errands<K> {
    under_way: Arc<Mutex<BTreeMap<K, Arc<Errand>>>>,
    seats: Seats,
}

/// What came of waiting for an errand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Waited {
    /// It is over.
    Over(Result<(), Fault>),
    /// It goes on.
    GoesOn,
    /// Too many others are under way; it was not begun.
    NoRoom,
}

#[derive(Default)]
struct Errand {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    end: Option<Result<(), Fault>>,
    wakers: Vec<Waker>,
}

impl<K: Ord + Copy + Send + 'static> Errands<K> {
    /// So many may take a seat at once.
    pub(crate) fn new(seats: &Seats) -> Self {
        Self { under_way: Arc::default(), seats: seats.clone() }
    }

    /// Begins an errand, unless one about the same is under way, and waits for its end, but not for ever. It goes on
    /// whether or not anybody waits.
    pub(crate) async fn run(
        &self,
        key: K,
        patience: Duration,
        work: impl FnOnce() -> Result<(), Fault> + Send + 'static,
    ) -> Waited {
        let Some((errand, begun)) = self.join(key) else {
            return Waited::NoRoom;
        };
        if let Some(ending) = begun {
            blocking_later(move || ending.end(work()));
        }
        let end = poll_fn(|cx| {
            let mut state = lock(&errand.state);
            match &state.end {
                Some(end) => Poll::Ready(end.clone()),
                None => {
                    state.wakers.retain(|waker| !waker.will_wake(cx.waker()));
                    state.wakers.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        });
        timeout(patience, end).await.map_or(Waited::GoesOn, Waited::Over)
    }

    fn join(&self, key: K) -> Option<(Arc<Errand>, Option<Ending<K>>)> {
        let mut under_way = lock(&self.under_way);
        if let Some(errand) = under_way.get(&key) {
            return Some((Arc::clone(errand), None));
        }
        let seat = self.seats.try_take()?;
        let errand = Arc::new(Errand::default());
        under_way.insert(key, Arc::clone(&errand));
        let ending = Ending {
            under_way: Arc::clone(&self.under_way),
            key,
            errand: Arc::clone(&errand),
            end: Err(Fault::internal()),
            _seat: seat,
        };
        Some((errand, Some(ending)))
    }
}

/// Tells those who wait how it ended, whatever happens to the work.
struct Ending<K: Ord> {
    under_way: Arc<Mutex<BTreeMap<K, Arc<Errand>>>>,
    key: K,
    errand: Arc<Errand>,
    end: Result<(), Fault>,
    _seat: Seat,
}

impl<K: Ord> Ending<K> {
    fn end(mut self, end: Result<(), Fault>) {
        self.end = end;
    }
}

impl<K: Ord> Drop for Ending<K> {
    fn drop(&mut self) {
        lock(&self.under_way).remove(&self.key);
        let mut state = lock(&self.errand.state);
        state.end = Some(std::mem::replace(&mut self.end, Ok(())));
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use trainyard_http::block_on;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn who_comes_while_it_is_done_joins() {
        let errands = Errands::new(&Seats::new(1));
        let (open, gate) = mpsc::channel::<()>();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        block_on(async {
            let work = move || {
                counted.fetch_add(1, Ordering::SeqCst);
                gate.recv().map_err(|_| Fault::internal())
            };
            assert_eq!(errands.run(7, Duration::ZERO, work).await, Waited::GoesOn);
            let never = || unreachable!("it is under way");
            assert_eq!(errands.run(7, Duration::ZERO, never).await, Waited::GoesOn);
            assert_eq!(errands.run(8, Duration::ZERO, || Ok(())).await, Waited::NoRoom);
            open.send(()).unwrap();
            assert_eq!(errands.run(7, PATIENCE, || Ok(())).await, Waited::Over(Ok(())));
        });
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert!(lock(&errands.under_way).is_empty());
    }

    #[test]
    fn an_end_is_told_to_all_and_a_panic_is_one() {
        let errands = Errands::new(&Seats::new(2));
        block_on(async {
            let bad = Fault::bad("no");
            let told = bad.clone();
            let waited = errands.run(1, PATIENCE, move || Err(told)).await;
            assert_eq!(waited, Waited::Over(Err(bad)));
            let waited = errands.run(1, PATIENCE, || panic!("a bug")).await;
            assert_eq!(waited, Waited::Over(Err(Fault::internal())));
            assert_eq!(errands.run(1, PATIENCE, || Ok(())).await, Waited::Over(Ok(())));
        });
    }
}
