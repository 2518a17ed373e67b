//! Channels that mean what crossbeam's do, made of checked locks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[cfg(test)]
use crossbeam_channel::RecvTimeoutError;
use crossbeam_channel::{RecvError, SendError, TryRecvError, TrySendError};
use shuttle::rand::{Rng, thread_rng};

use super::lock::{Condvar, Mutex, MutexGuard};
use super::patience::Patience;
use crate::sync::{First, Notices};

/// A channel that holds so many; without a buffer whoever sends meets whoever receives.
pub(crate) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel {
        capacity,
        // Counted without the checker: a handle may be cloned and dropped where nobody may stop.
        senders: AtomicUsize::new(1),
        receivers: AtomicUsize::new(1),
        state: Mutex::new(State { queue: VecDeque::new(), next: 0, waiting: 0, bells: Vec::new() }),
        changed: Condvar::new(),
    });
    (Sender { channel: Arc::clone(&channel) }, Receiver { channel })
}

/// Where nothing ever arrives.
pub(crate) fn never<T>() -> Receiver<T> {
    let (sender, receiver) = bounded(1);
    // So that there is always one left.
    std::mem::forget(sender);
    receiver
}

struct Channel<T> {
    capacity: usize,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// What was sent and not yet received, each with a number of its own. Without a buffer: what was handed to one who
    /// waits, or is offered by one who waits.
    queue: VecDeque<(u64, T)>,
    next: u64,
    /// How many wait to receive.
    waiting: usize,
    /// Rung when something arrives, or nothing more can.
    bells: Vec<Arc<Bell>>,
}

impl<T> Channel<T> {
    /// Wakes everybody who waits for a change, once the lock is gone.
    fn tell(&self, state: MutexGuard<'_, State<T>>) {
        let bells = state.bells.clone();
        drop(state);
        self.changed.notify_all();
        bells.iter().for_each(|bell| bell.ring());
    }

    fn is_without_senders(&self) -> bool {
        self.senders.load(Ordering::SeqCst) == 0
    }

    fn is_without_receivers(&self) -> bool {
        self.receivers.load(Ordering::SeqCst) == 0
    }

    /// Whether something can be put in without waiting.
    fn has_room(&self, state: &State<T>) -> bool {
        let room = if self.capacity == 0 { state.waiting } else { self.capacity };
        state.queue.len() < room
    }

    fn take(&self, mut state: MutexGuard<'_, State<T>>) -> Result<T, TryRecvError> {
        match state.queue.pop_front() {
            Some((_, value)) => {
                self.tell(state);
                Ok(value)
            }
            None if self.is_without_senders() => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }
}

impl<T> State<T> {
    /// Puts something in, and gives its number.
    fn put(&mut self, value: T) -> u64 {
        let number = self.next;
        self.next += 1;
        self.queue.push_back((number, value));
        number
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.queue.iter().position(|(queued, _)| *queued == number)
    }
}

pub(crate) struct Sender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Sender<T> {
    pub(crate) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let channel = &*self.channel;
        let mut state = channel.state.lock();
        if channel.is_without_receivers() {
            return Err(TrySendError::Disconnected(value));
        }
        if !channel.has_room(&state) {
            return Err(TrySendError::Full(value));
        }
        state.put(value);
        channel.tell(state);
        Ok(())
    }

    pub(crate) fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_patiently(value, &mut Patience::endless()).map_err(|error| SendError(error.into_inner()))
    }

    #[cfg(test)]
    pub(crate) fn send_timeout(&self, value: T, bound: Duration) -> Result<(), TrySendError<T>> {
        self.send_patiently(value, &mut Patience::of(bound))
    }

    /// What is given up for want of time is full.
    fn send_patiently(&self, value: T, patience: &mut Patience) -> Result<(), TrySendError<T>> {
        let channel = &*self.channel;
        let mut state = channel.state.lock();
        if channel.capacity > 0 {
            let is_full = |state: &mut State<T>| !channel.is_without_receivers() && !channel.has_room(state);
            let has_room = channel.changed.wait_patiently(&mut state, is_full, patience);
            if channel.is_without_receivers() {
                return Err(TrySendError::Disconnected(value));
            }
            if !has_room {
                return Err(TrySendError::Full(value));
            }
            state.put(value);
            channel.tell(state);
            return Ok(());
        }
        // Offered until somebody takes it.
        let number = state.put(value);
        channel.tell(state);
        let mut state = channel.state.lock();
        let is_offered =
            |state: &mut State<T>| !channel.is_without_receivers() && state.place(number).is_some();
        channel.changed.wait_patiently(&mut state, is_offered, patience);
        let Some((_, value)) = state.place(number).and_then(|place| state.queue.remove(place)) else {
            return Ok(());
        };
        Err(match channel.is_without_receivers() {
            true => TrySendError::Disconnected(value),
            false => TrySendError::Full(value),
        })
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.senders.fetch_add(1, Ordering::SeqCst);
        Self { channel: Arc::clone(&self.channel) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.channel.senders.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.channel.tell(self.channel.state.lock());
        }
    }
}

pub(crate) struct Receiver<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Receiver<T> {
    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        self.channel.take(self.channel.state.lock())
    }

    #[cfg(test)]
    pub(crate) fn recv_timeout(&self, bound: Duration) -> Result<T, RecvTimeoutError> {
        let channel = &*self.channel;
        let mut state = channel.state.lock();
        state.waiting += 1;
        let is_empty = |state: &mut State<T>| state.queue.is_empty() && !channel.is_without_senders();
        channel.changed.wait_patiently(&mut state, is_empty, &mut Patience::of(bound));
        state.waiting -= 1;
        channel.take(state).map_err(|error| match error {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
        })
    }

    /// Everything that is there, without waiting.
    pub(crate) fn try_iter(&self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.try_recv().ok())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.channel.capacity == 0 || self.channel.state.lock().queue.is_empty()
    }

    fn watch(&self, bell: &Arc<Bell>) -> Watch<'_, T> {
        self.channel.state.lock().bells.push(Arc::clone(bell));
        Watch { channel: &self.channel, bell: Arc::clone(bell) }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.channel.receivers.fetch_add(1, Ordering::SeqCst);
        Self { channel: Arc::clone(&self.channel) }
    }
}

impl<T> Drop for Receiver<T> {
    /// What nobody has received stays until the senders are gone, too.
    fn drop(&mut self) {
        // Others may go on before.
        let state = self.channel.state.lock();
        if self.channel.receivers.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.channel.tell(state);
        }
    }
}

/// Wakes one who waits for several channels at once.
#[derive(Default)]
struct Bell {
    is_rung: Mutex<bool>,
    rung: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.is_rung.lock() = true;
        self.rung.notify_all();
    }

    /// Whether it was rung before the time was over.
    fn wait(&self, patience: &mut Patience) -> bool {
        let mut is_rung = self.is_rung.lock();
        self.rung.wait_patiently(&mut is_rung, |is_rung| !*is_rung, patience) && std::mem::take(&mut *is_rung)
    }
}

/// While it is there, a channel rings a bell.
struct Watch<'a, T> {
    channel: &'a Channel<T>,
    bell: Arc<Bell>,
}

impl<T> Drop for Watch<'_, T> {
    fn drop(&mut self) {
        self.channel.state.lock().bells.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
    }
}

/// Waits for the first of these; without a timer for ever. Of several that are there any may be taken.
///
/// Notices are looked at, but they wake nobody: a test with several holders of a journal rings the others' alarms.
pub(crate) fn first_of<C, N>(
    inbox: &Receiver<C>,
    notices: &Notices<N>,
    alarm: &Receiver<()>,
    timer: Option<Duration>,
) -> First<C, N> {
    let bell = Arc::new(Bell::default());
    let _inbox = inbox.watch(&bell);
    let _alarm = alarm.watch(&bell);
    let mut patience = timer.map_or_else(Patience::endless, Patience::of);
    loop {
        let first = thread_rng().gen_range(0..3);
        for place in 0..3 {
            let found = match (first + place) % 3 {
                0 => found(inbox.try_recv()).map(First::Call),
                1 => found(notices.try_recv()).map(First::Notice),
                _ => found(alarm.try_recv()).map(First::Alarm),
            };
            if let Some(found) = found {
                return found;
            }
        }
        if !bell.wait(&mut patience) {
            return First::Timer;
        }
    }
}

fn found<T>(received: Result<T, TryRecvError>) -> Option<Result<T, RecvError>> {
    match received {
        Ok(value) => Some(Ok(value)),
        Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
        Err(TryRecvError::Empty) => None,
    }
}
