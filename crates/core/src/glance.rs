//! What was made of the committed yard, kept while it stays as it is.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::Yard;
use crate::port::Handle;

/// Keeps what was last made of one yard, for answers that many ask for and that take a look at much of it.
///
/// What is handed out is always of the newest committed state: it is kept under the [edition](Handle::edition) it was
/// made of, and made anew at the first call after a change. A handle that counts no editions is looked at each time.
/// One value belongs to one handle.
pub struct Glance<T>(Mutex<Option<(u64, T)>>);

impl<T: Clone> Glance<T> {
    /// Nothing is kept yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// What `make` makes of the committed yard. It looks at nothing else, least of all at the time, and is quick: see
    /// [`Handle::read`].
    ///
    /// # Panics
    /// When the handle does not look at its yard.
    pub fn of<H: Handle + ?Sized>(&self, handle: &H, make: impl Fn(&Yard) -> T) -> T {
        if let Some(kept) = handle.edition().and_then(|edition| self.kept(edition)) {
            return kept;
        }
        let mut found = None;
        handle.read(&mut |yard| found = Some((handle.edition(), make(yard))));
        let (edition, made) = found.expect("a handle looks at its yard");
        if let Some(edition) = edition {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Somebody else may have looked later, and been quicker.
            if kept.as_ref().is_none_or(|(older, _)| *older < edition) {
                *kept = Some((edition, made.clone()));
            }
        }
        made
    }

    fn kept(&self, edition: u64) -> Option<T> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(of, _)| *of == edition).map(|(_, made)| made.clone())
    }
}

impl<T: Clone> Default for Glance<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Glance<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Glance").finish_non_exhaustive()
    }
}
