//! What runs outside of tests.

pub(crate) use std::sync::OnceLock;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64};
pub(crate) use std::thread;
use std::time::Duration;

pub(crate) use crossbeam_channel::{Receiver, Sender, bounded, never};
use crossbeam_channel::{after, select};
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

use super::{First, Notices};

/// Waits for the first of these; without a timer for ever. Of several that are there any may be taken.
pub(crate) fn first_of<C, N>(
    inbox: &Receiver<C>,
    notices: &Notices<N>,
    alarm: &Receiver<()>,
    timer: Option<Duration>,
) -> First<C, N> {
    let timer = timer.map_or_else(never, after);
    select! {
        recv(inbox) -> call => First::Call(call),
        recv(notices) -> notice => First::Notice(notice),
        recv(alarm) -> rung => First::Alarm(rung),
        recv(timer) -> _ => First::Timer,
    }
}
