//! Answers that come later, for threads and for futures alike.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use trainyard_core::Reason;
use trainyard_core::port::HandleError;

use crate::sync::{Arc, Condvar, Mutex};

/// The right to an answer that comes once it is durable.
///
/// Wait for it on a thread with [`Ticket::wait`], or await it as a future: the driver wakes the task, no async
/// runtime is needed. Dropping a ticket takes nothing back; what was asked for is still done.
#[must_use = "a ticket that nobody waits on tells nobody when something was refused"]
pub struct Ticket<T> {
    slot: Arc<Slot<T>>,
}

impl<T> Ticket<T> {
    /// A ticket and the promise that answers it.
    pub(crate) fn new() -> (Self, Promise<T>) {
        let slot = Arc::new(Slot { state: Mutex::new(State::Waiting(None)), answered: Condvar::new() });
        (Self { slot: Arc::clone(&slot) }, Promise { slot: Some(slot) })
    }

    /// A ticket that is answered already.
    pub(crate) fn answered(answer: Result<T, HandleError>) -> Self {
        Self { slot: Arc::new(Slot { state: Mutex::new(State::Answered(answer)), answered: Condvar::new() }) }
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// [`HandleError`] when the yard did not do as it was asked.
    pub fn wait(self) -> Result<T, HandleError> {
        let mut state = self.slot.state.lock();
        loop {
            match state.take() {
                Some(answer) => return answer,
                None => self.slot.answered.wait(&mut state),
            }
        }
    }

    /// Waits for the answer, but not longer than this; without an answer the ticket comes back.
    ///
    /// # Errors
    /// The ticket itself when there is no answer yet.
    pub fn wait_timeout(self, timeout: Duration) -> Result<Result<T, HandleError>, Self> {
        let answer = {
            let mut state = self.slot.state.lock();
            self.slot.answered.wait_while_for(
                &mut state,
                |state| matches!(state, State::Waiting(_)),
                timeout,
            );
            state.take()
        };
        answer.ok_or(self)
    }
}

impl<T> Future for Ticket<T> {
    type Output = Result<T, HandleError>;

    /// # Panics
    /// When it is polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.slot.state.lock();
        match state.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                *state = State::Waiting(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

/// The duty to answer a ticket. Dropped without an answer it says that the yard has stopped, so that nobody
/// waits for ever.
pub(crate) struct Promise<T> {
    slot: Option<Arc<Slot<T>>>,
}

impl<T> Promise<T> {
    pub(crate) fn answer(mut self, answer: Result<T, HandleError>) {
        self.put(answer);
    }

    /// Whether the ticket still exists.
    pub(crate) fn is_awaited(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| Arc::strong_count(slot) > 1)
    }

    fn put(&mut self, answer: Result<T, HandleError>) {
        let Some(slot) = self.slot.take() else { return };
        let before = std::mem::replace(&mut *slot.state.lock(), State::Answered(answer));
        slot.answered.notify_all();
        if let State::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.put(Err(HandleError::Stopped { reason: Reason::new("nobody is left to answer") }));
    }
}

struct Slot<T> {
    state: Mutex<State<T>>,
    answered: Condvar,
}

enum State<T> {
    Waiting(Option<Waker>),
    Answered(Result<T, HandleError>),
    Taken,
}

impl<T> State<T> {
    fn take(&mut self) -> Option<Result<T, HandleError>> {
        match std::mem::replace(self, Self::Taken) {
            Self::Answered(answer) => Some(answer),
            Self::Waiting(waker) => {
                *self = Self::Waiting(waker);
                None
            }
            Self::Taken => panic!("a ticket was polled after it was answered"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_answer_wakes_the_task_once() {
        let (mut ticket, promise) = Ticket::new();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        assert!(Pin::new(&mut ticket).poll(&mut cx).is_pending());
        promise.answer(Ok(7));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(Pin::new(&mut ticket).poll(&mut cx), Poll::Ready(Ok(7)));
    }

    #[test]
    fn a_dropped_promise_leaves_nobody_waiting() {
        let (ticket, promise) = Ticket::<()>::new();
        let waiting = std::thread::spawn(|| ticket.wait());
        drop(promise);
        assert!(matches!(waiting.join().unwrap(), Err(HandleError::Stopped { .. })));
    }

    #[test]
    fn a_ticket_outlives_a_wait_that_was_too_short() {
        let (ticket, promise) = Ticket::new();
        let ticket = ticket.wait_timeout(Duration::ZERO).unwrap_err();
        assert!(promise.is_awaited());
        promise.answer(Ok("there"));
        assert_eq!(ticket.wait_timeout(Duration::ZERO).unwrap(), Ok("there"));
    }

    #[test]
    fn a_promise_knows_when_nobody_waits() {
        let (ticket, promise) = Ticket::<()>::new();
        drop(ticket);
        assert!(!promise.is_awaited());
    }
}
