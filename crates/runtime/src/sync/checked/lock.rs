//! Locks with parking_lot's interface.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::time::Duration;

use shuttle::sync as checked;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::sync::{RwLockReadGuard, RwLockWriteGuard};

use super::patience::{Next, Patience, let_others};

/// A lock that no panic poisons.
#[derive(Default)]
pub(crate) struct Mutex<T> {
    inner: checked::Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { inner: checked::Mutex::new(value) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let held = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        MutexGuard { mutex: self, held: Some(held) }
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// Not there only while a condition variable has it.
    held: Option<checked::MutexGuard<'a, T>>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect(HELD)
    }
}

/// Waiting for what a lock guards to change.
#[derive(Debug, Default)]
pub(crate) struct Condvar {
    inner: checked::Condvar,
}

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self { inner: checked::Condvar::new() }
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.held.take().expect(HELD);
        guard.held = Some(self.inner.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn wait_while_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        condition: impl FnMut(&mut T) -> bool,
        bound: Duration,
    ) {
        self.wait_patiently(guard, condition, &mut Patience::of(bound));
    }

    /// Whether it has ended because what was waited for is there.
    pub(super) fn wait_patiently<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
        patience: &mut Patience,
    ) -> bool {
        while condition(guard) {
            match patience.next() {
                Next::Sleep => self.wait(guard),
                Next::LookAgain => {
                    drop(guard.held.take());
                    let_others();
                    guard.held = guard.mutex.lock().held;
                }
                Next::GiveUp => return false,
            }
        }
        true
    }

    pub(crate) fn notify_one(&self) {
        self.inner.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.inner.notify_all();
    }
}

/// A lock that readers share. Who reads twice at once is found out, since a writer between the two would stop it for
/// ever.
#[derive(Debug, Default)]
pub(crate) struct RwLock<T> {
    inner: checked::RwLock<T>,
}

impl<T> RwLock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { inner: checked::RwLock::new(value) }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is written once. Others may go on before each look at it.
#[derive(Debug, Default)]
pub(crate) struct OnceLock<T> {
    looks: AtomicBool,
    value: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub(crate) const fn new() -> Self {
        Self { looks: AtomicBool::new(false), value: std::sync::OnceLock::new() }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.looks.load(Ordering::SeqCst);
        self.value.get()
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        self.looks.load(Ordering::SeqCst);
        self.value.get_or_init(make)
    }
}

const HELD: &str = "the lock is held while there is a guard";
