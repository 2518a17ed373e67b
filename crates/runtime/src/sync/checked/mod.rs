//! The same for tests in which shuttle decides at each of these who goes on.
//!
//! The interface is parking_lot's, the locks are shuttle's: unlike those of its own wrapper of parking_lot they are not
//! handed on in the order of arrival, which nobody promises here either, and whoever takes one twice is found out.
//! Nothing of this works outside of a test that shuttle runs.

mod channel;
mod lock;
mod patience;

pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64};
pub(crate) use shuttle::thread;

pub(crate) use self::channel::{Receiver, Sender, bounded, first_of, never};
pub(crate) use self::lock::{Condvar, Mutex, MutexGuard, OnceLock, RwLock};
