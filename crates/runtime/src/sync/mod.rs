//! The one import point for locks, condition variables, atomics, threads and channels, so that a checker can replace
//! them: with the feature `shuttle`, which is for tests alone, the checker decides who goes on at each of them.

#[cfg(feature = "shuttle")]
mod checked;
#[cfg(not(feature = "shuttle"))]
mod plain;

pub(crate) use std::sync::atomic::{Ordering, fence};
pub(crate) use std::sync::{Arc, Weak};

pub(crate) use crossbeam_channel::{RecvError, SendError, TrySendError};

#[cfg(feature = "shuttle")]
pub(crate) use self::checked::{
    AtomicBool, AtomicI64, AtomicU8, AtomicU64, Condvar, Mutex, MutexGuard, OnceLock, Receiver, RwLock,
    Sender, bounded, first_of, never, thread,
};
#[cfg(not(feature = "shuttle"))]
pub(crate) use self::plain::{
    AtomicBool, AtomicI64, AtomicU8, AtomicU64, Condvar, Mutex, MutexGuard, OnceLock, Receiver, RwLock,
    Sender, bounded, first_of, never, thread,
};

/// Notices of a journal. Journals bring their own channels, so these are never a checker's.
pub(crate) type Notices<T> = crossbeam_channel::Receiver<T>;

/// What came first of what the driver waits for. An error says that nothing more can come from there.
pub(crate) enum First<C, N> {
    Call(Result<C, RecvError>),
    Notice(Result<N, RecvError>),
    Alarm(Result<(), RecvError>),
    Timer,
}
