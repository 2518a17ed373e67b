//! A journal that fails when it is told to.
//!
//! ```
//! use trainyard_core::{Event, Fact, Timestamp};
//! use trainyard_journal::{Journal, MemoryJournal};
//! use trainyard_testkit::failing_journal::{FailingJournal, When};
//!
//! let log = MemoryJournal::new();
//! let (mut journal, faults) = FailingJournal::new(log.holder());
//! faults.fail_commit(2, When::AfterEffect);
//!
//! let now = Timestamp::from_millis(0);
//! let mut commit = |journal: &mut FailingJournal<MemoryJournal>| {
//!     let mut turn = journal.begin()?;
//!     turn.append(now, &[Fact { at: now, event: Event::Ticked }])?;
//!     turn.commit()
//! };
//! assert!(commit(&mut journal).is_ok());
//! assert!(commit(&mut journal).is_err(), "the second one fails");
//! assert!(commit(&mut journal).unwrap_err().is_stopped(), "and then it must be reopened");
//! assert_eq!(log.holder().head().get(), 2, "but the second one has taken effect");
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_channel::Receiver;
use parking_lot::Mutex;
use trainyard_core::{Fact, Timestamp};
use trainyard_journal::{Journal, JournalError, Position, Reading, Turn, WriterId};

/// When a commit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing has changed.
    BeforeEffect,
    /// All of it is durable, only nobody says so.
    AfterEffect,
}

/// What fails, and when. Shared by its clones and by every journal that was made with it, so that the count goes
/// on when a journal is reopened.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    begins: u64,
    commits: u64,
    failing_begins: BTreeMap<u64, ()>,
    failing_commits: BTreeMap<u64, When>,
}

impl Faults {
    /// Nothing fails yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the n-th commit fail, counted from 1 over all journals that share these faults.
    pub fn fail_commit(&self, n: u64, when: When) {
        self.0.lock().failing_commits.insert(n, when);
    }

    /// Lets the commit after those that there have been fail.
    pub fn fail_next_commit(&self, when: When) {
        let mut plan = self.0.lock();
        let next = plan.commits + 1;
        plan.failing_commits.insert(next, when);
    }

    /// Lets the n-th turn fail to begin, counted from 1. Nothing has changed then, and the journal goes on.
    pub fn fail_begin(&self, n: u64) {
        self.0.lock().failing_begins.insert(n, ());
    }

    /// How many commits there have been, failed ones included.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.0.lock().commits
    }

    /// How many turns there have been, failed ones included.
    #[must_use]
    pub fn begins(&self) -> u64 {
        self.0.lock().begins
    }

    fn on_begin(&self) -> Result<(), JournalError> {
        let mut plan = self.0.lock();
        plan.begins += 1;
        match plan.failing_begins.get(&plan.begins) {
            Some(()) => Err(JournalError::failed(format!("turn {} fails, as it was told to", plan.begins))),
            None => Ok(()),
        }
    }

    fn on_commit(&self) -> Option<(u64, When)> {
        let mut plan = self.0.lock();
        plan.commits += 1;
        let n = plan.commits;
        plan.failing_commits.get(&n).map(|when| (n, *when))
    }
}

/// A journal that fails when its [`Faults`] say so. After a commit that failed it refuses everything with
/// [`JournalError::is_stopped`], as real ones do, until another one is opened in its place.
#[derive(Debug)]
pub struct FailingJournal<J> {
    inner: J,
    faults: Faults,
    stopped: bool,
}

impl<J: Journal> FailingJournal<J> {
    /// Wraps a journal, and hands out its faults.
    #[must_use]
    pub fn new(inner: J) -> (Self, Faults) {
        let faults = Faults::new();
        (Self::with_faults(inner, faults.clone()), faults)
    }

    /// Wraps a journal with faults that there are already: for one that is reopened.
    #[must_use]
    pub fn with_faults(inner: J, faults: Faults) -> Self {
        Self { inner, faults, stopped: false }
    }

    /// The journal inside.
    #[must_use]
    pub fn into_inner(self) -> J {
        self.inner
    }

    fn check(&self) -> Result<(), JournalError> {
        if self.stopped { Err(JournalError::stopped(NAME)) } else { Ok(()) }
    }
}

impl<J: Journal> Journal for FailingJournal<J> {
    fn begin(&mut self) -> Result<Box<dyn Turn + '_>, JournalError> {
        self.check()?;
        self.faults.on_begin()?;
        let Self { inner, faults, stopped } = self;
        Ok(commit_with(inner.begin()?, |turn| {
            let Some((n, when)) = faults.on_commit() else {
                return turn.commit().inspect_err(|_| *stopped = true);
            };
            *stopped = true;
            match when {
                When::BeforeEffect => drop(turn),
                When::AfterEffect => drop(turn.commit()?),
            }
            Err(JournalError::failed(format!("commit {n} fails, as it was told to")))
        }))
    }

    fn read(&mut self, from: Position) -> Result<Reading<'_>, JournalError> {
        self.check()?;
        self.inner.read(from)
    }

    fn watch(&self) -> Receiver<Position> {
        self.inner.watch()
    }

    fn head(&self) -> Position {
        self.inner.head()
    }

    fn writer(&self) -> WriterId {
        self.inner.writer()
    }
}

/// A turn that is as another, but for its commit.
pub fn commit_with<'a>(
    turn: Box<dyn Turn + 'a>,
    commit: impl FnOnce(Box<dyn Turn + 'a>) -> Result<Position, JournalError> + 'a,
) -> Box<dyn Turn + 'a> {
    Box::new(CommitWith { turn, commit })
}

struct CommitWith<'a, F> {
    turn: Box<dyn Turn + 'a>,
    commit: F,
}

impl<'a, F> Turn for CommitWith<'a, F>
where
    F: FnOnce(Box<dyn Turn + 'a>) -> Result<Position, JournalError>,
{
    fn news(&mut self) -> Result<Reading<'_>, JournalError> {
        self.turn.news()
    }

    fn now(&self) -> Option<Timestamp> {
        self.turn.now()
    }

    fn append(&mut self, at: Timestamp, facts: &[Fact]) -> Result<(), JournalError> {
        self.turn.append(at, facts)
    }

    fn compact(&mut self, snapshot: &[Fact]) -> Result<(), JournalError> {
        self.turn.compact(snapshot)
    }

    fn commit(self: Box<Self>) -> Result<Position, JournalError> {
        let Self { turn, commit } = *self;
        commit(turn)
    }
}

const NAME: &str = "the failing journal";
