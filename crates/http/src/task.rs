use std::ops::{Deref, DerefMut};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Runs `work` on a thread where it may block or compute, and gives back its result.
///
/// At most [`blocking_threads`](crate::ServerConfig::with_blocking_threads) run at once; more wait in line.
/// Work that has begun runs to its end even if the caller stops waiting. A panic of `work` continues in the
/// caller, where it becomes the `500` of that request.
///
/// # Panics
///
/// If `work` does, and outside of a server, [`block_on`] or another tokio runtime.
pub async fn blocking<T, F>(work: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // Only a runtime that shuts down refuses work, and then nobody polls this future again.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Runs `work` as [`blocking`] does, and waits for nothing: meant for what a `Drop` has to do. Where there is no pool, it is
/// done at once, here. A server that is stopped with more in line drops `work` undone.
pub fn blocking_later(work: impl FnOnce() + Send + 'static) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(work)),
        Err(_) => work(),
    }
}

/// Something whose end may block, such as a file that is removed: dropped, it is dropped as [`blocking_later`] does work.
///
/// ```
/// use trainyard_http::DropLater;
///
/// let mut words = DropLater::new(vec!["one"]);
/// words.push("two");
/// assert_eq!(words.into_inner(), ["one", "two"]);
/// ```
#[derive(Debug)]
pub struct DropLater<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> DropLater<T> {
    /// Takes it in.
    #[must_use]
    pub const fn new(what: T) -> Self {
        Self(Some(what))
    }

    /// Takes it out again, to be dropped as anything else is.
    #[expect(clippy::missing_panics_doc, reason = "it is there until it is taken out, which ends this")]
    #[must_use]
    pub fn into_inner(mut self) -> T {
        self.0.take().expect(THERE)
    }
}

impl<T: Send + 'static> Deref for DropLater<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect(THERE)
    }
}

impl<T: Send + 'static> DerefMut for DropLater<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect(THERE)
    }
}

impl<T: Send + 'static> Drop for DropLater<T> {
    fn drop(&mut self) {
        if let Some(what) = self.0.take() {
            blocking_later(move || drop(what));
        }
    }
}

const THERE: &str = "it is there until it is taken out";

/// Waits for `future`, but no longer than `limit`; `None` when the time is over.
///
/// # Panics
///
/// Outside of a server, [`block_on`] or another tokio runtime.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(limit, future).await.ok()
}

/// Runs `future` to its end on this thread, with all that a service may use inside a server: timers,
/// [`blocking`]. Meant for tests and small tools.
///
/// # Panics
///
/// If `future` does, if the operating system has no file descriptors left, and when called from inside an
/// async runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("an async runtime needs a few file descriptors")
        .block_on(future)
}

/// So many may do something at once; who comes later waits in line, first come first served. Clones are one.
///
/// ```
/// use trainyard_http::Seats;
///
/// let seats = Seats::new(1);
/// let seat = seats.try_take();
/// assert!(seat.is_some() && seats.try_take().is_none());
/// drop(seat);
/// assert!(seats.try_take().is_some());
/// ```
#[derive(Debug, Clone)]
pub struct Seats(Arc<Semaphore>);

/// A taken seat; dropped, it is free again.
#[derive(Debug)]
#[must_use = "dropped, it is free again"]
pub struct Seat {
    _permit: OwnedSemaphorePermit,
}

impl Seats {
    /// So many seats, 1 to a million.
    #[must_use]
    pub fn new(seats: usize) -> Seats {
        Seats(Arc::new(Semaphore::new(seats.clamp(1, 1_000_000))))
    }

    /// Takes a seat, waiting while there is none.
    #[expect(clippy::missing_panics_doc, reason = "the semaphore is never closed")]
    pub async fn take(&self) -> Seat {
        Seat { _permit: Arc::clone(&self.0).acquire_owned().await.expect("the semaphore is never closed") }
    }

    /// Takes a seat if there is one now and nobody waits for it.
    #[must_use]
    pub fn try_take(&self) -> Option<Seat> {
        Arc::clone(&self.0).try_acquire_owned().ok().map(|permit| Seat { _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocking_gives_the_result_back() {
        assert_eq!(block_on(blocking(|| 6 * 7)), 42);
    }

    #[test]
    #[should_panic(expected = "in the pool")]
    fn a_panic_in_the_pool_continues_in_the_caller() {
        block_on(blocking(|| panic!("in the pool")));
    }

    #[test]
    fn what_nobody_waits_for_is_done_on_another_thread_or_here() {
        let (sender, done) = std::sync::mpsc::channel();
        let (here, note) = (std::thread::current().id(), move || {
            let sender = sender.clone();
            move || sender.send(std::thread::current().id()).unwrap()
        });
        block_on(async { blocking_later(note()) });
        assert_ne!(done.recv().unwrap(), here);
        blocking_later(note());
        assert_eq!(done.recv().unwrap(), here);
    }

    #[test]
    fn what_is_dropped_later_is_dropped_elsewhere_unless_it_was_taken_out() {
        struct Told(std::sync::mpsc::Sender<std::thread::ThreadId>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.send(std::thread::current().id()).unwrap();
            }
        }
        let (sender, dropped) = std::sync::mpsc::channel();
        let here = std::thread::current().id();
        block_on(async { drop(DropLater::new(Told(sender.clone()))) });
        assert_ne!(dropped.recv().unwrap(), here);
        block_on(async { drop(DropLater::new(Told(sender)).into_inner()) });
        assert_eq!(dropped.recv().unwrap(), here);
        assert!(dropped.recv().is_err(), "each is dropped once");
    }

    #[test]
    fn a_timeout_ends_the_wait() {
        assert_eq!(block_on(timeout(Duration::ZERO, std::future::pending::<()>())), None);
        assert_eq!(block_on(timeout(Duration::from_secs(60), async { 1 })), Some(1));
    }

    #[test]
    fn who_comes_later_waits_for_a_seat() {
        let seats = Seats::new(0);
        let seat = block_on(seats.take());
        assert!(block_on(timeout(Duration::ZERO, seats.take())).is_none(), "zero counts as one");
        drop(seat);
        assert!(block_on(timeout(Duration::from_secs(60), seats.take())).is_some());
    }
}
