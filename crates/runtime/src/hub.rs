//! Tells everybody who wants to know what has happened.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use trainyard_core::port::{Change, Changes};
use trainyard_core::{Fact, JobId, Progress};

use crate::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};

/// How many changes wait for a subscriber before it counts as slow.
pub(crate) const BUFFER: usize = 4_096;

/// The place where changes are published.
#[derive(Default)]
pub(crate) struct Hub {
    subscribers: Mutex<Subscribers>,
}

#[derive(Default)]
struct Subscribers {
    mailboxes: Vec<Weak<Mailbox>>,
    closed: bool,
}

impl Hub {
    /// Every change from now on.
    pub(crate) fn subscribe(&self, buffer: usize) -> Subscription {
        let mut subscribers = self.subscribers.lock();
        let mail = Mail { closed: subscribers.closed, ..Mail::default() };
        let mailbox =
            Arc::new(Mailbox { buffer: buffer.max(1), mail: Mutex::new(mail), arrived: Condvar::new() });
        subscribers.mailboxes.push(Arc::downgrade(&mailbox));
        Subscription { mailbox }
    }

    /// Tells facts, of which the first has this revision.
    pub(crate) fn publish(&self, first: u64, facts: Vec<Fact>) {
        let mailboxes = self.mailboxes();
        if mailboxes.is_empty() {
            return;
        }
        let facts: Vec<Arc<Fact>> = facts.into_iter().map(Arc::new).collect();
        for mailbox in mailboxes {
            let changes = (first..).zip(&facts);
            mailbox
                .put(changes.map(|(revision, fact)| Change::Happened { revision, fact: Arc::clone(fact) }));
        }
    }

    /// So many facts are not known one by one.
    pub(crate) fn skip(&self, facts: u64) {
        for mailbox in self.mailboxes() {
            mailbox.skip(facts);
        }
    }

    /// Tells where a trainer stands. Whoever waits is to be woken by the caller, once it holds no lock.
    pub(crate) fn progress(&self, job: JobId, progress: &Progress) -> Vec<Waker> {
        self.mailboxes()
            .into_iter()
            .filter_map(|mailbox| mailbox.put_progress(job, progress.clone()))
            .collect()
    }

    /// There is nothing more to tell.
    pub(crate) fn close(&self) {
        self.subscribers.lock().closed = true;
        for mailbox in self.mailboxes() {
            mailbox.close();
        }
    }

    fn mailboxes(&self) -> Vec<Arc<Mailbox>> {
        let mut subscribers = self.subscribers.lock();
        let mailboxes: Vec<_> = subscribers.mailboxes.iter().filter_map(Weak::upgrade).collect();
        if mailboxes.len() < subscribers.mailboxes.len() {
            subscribers.mailboxes.retain(|mailbox| mailbox.strong_count() > 0);
        }
        mailboxes
    }
}

/// Changes of a yard, in order, from the moment of subscribing.
///
/// At most so many wait in its buffer. A subscriber that falls behind further gets what is in the buffer, then
/// [`Change::Missed`] with the number of facts it was not told, then what happens from there on. Progress is
/// not counted: of each job only the newest is kept.
///
/// Works on a thread ([`Subscription::next_blocking`], or `for change in subscription`) and as a future
/// ([`Changes::next`]).
pub struct Subscription {
    mailbox: Arc<Mailbox>,
}

impl Subscription {
    /// Waits for the next change; `None` once the yard has stopped and everything was told.
    pub fn next_blocking(&mut self) -> Option<Change> {
        let mut mail = self.mailbox.mail.lock();
        loop {
            match mail.take() {
                Poll::Ready(change) => return change,
                Poll::Pending => self.mailbox.arrived.wait(&mut mail),
            }
        }
    }

    /// Waits for the next change, but not longer than this.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Change> {
        let mut mail = self.mailbox.mail.lock();
        self.mailbox.arrived.wait_while_for(&mut mail, |mail| mail.is_empty(), timeout);
        match mail.take() {
            Poll::Ready(change) => change,
            Poll::Pending => None,
        }
    }

    fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Change>> {
        let mut mail = self.mailbox.mail.lock();
        let change = mail.take();
        if change.is_pending() {
            mail.waker = Some(cx.waker().clone());
        }
        change
    }
}

impl Changes for Subscription {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Change>> + Send + '_>> {
        Box::pin(poll_fn(|cx| self.poll_next(cx)))
    }

    fn try_next(&mut self) -> Option<Change> {
        match self.mailbox.mail.lock().take() {
            Poll::Ready(change) => change,
            Poll::Pending => None,
        }
    }
}

impl IntoIterator for Subscription {
    type Item = Change;
    type IntoIter = IntoChanges;

    fn into_iter(self) -> IntoChanges {
        IntoChanges { subscription: self }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// Changes one by one; the thread waits for each. Ends once the yard has stopped.
#[derive(Debug)]
pub struct IntoChanges {
    subscription: Subscription,
}

impl Iterator for IntoChanges {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        self.subscription.next_blocking()
    }
}

struct Mailbox {
    buffer: usize,
    mail: Mutex<Mail>,
    arrived: Condvar,
}

#[derive(Default)]
struct Mail {
    queue: VecDeque<Letter>,
    /// The newest of each job that has a letter in the queue.
    progress: BTreeMap<JobId, Progress>,
    /// Facts that were not told since the buffer was full. Until the reader has seen everything else, nothing
    /// more is taken in, so that it is told once instead of with every other change.
    missed: u64,
    waker: Option<Waker>,
    closed: bool,
}

enum Letter {
    Change(Change),
    Progress(JobId),
}

impl Mailbox {
    fn put(&self, changes: impl Iterator<Item = Change>) {
        let mut mail = self.mail.lock();
        for change in changes {
            if mail.missed > 0 || mail.queue.len() >= self.buffer {
                mail.missed += 1;
            } else {
                mail.queue.push_back(Letter::Change(change));
            }
        }
        self.wake(mail);
    }

    fn skip(&self, facts: u64) {
        let mut mail = self.mail.lock();
        mail.missed += facts;
        self.wake(mail);
    }

    fn put_progress(&self, job: JobId, progress: Progress) -> Option<Waker> {
        let mut mail = self.mail.lock();
        if let Some(newest) = mail.progress.get_mut(&job) {
            *newest = progress;
            return None;
        }
        if mail.missed > 0 || mail.queue.len() >= self.buffer {
            return None;
        }
        mail.progress.insert(job, progress);
        mail.queue.push_back(Letter::Progress(job));
        self.arrived.notify_all();
        mail.waker.take()
    }

    fn close(&self) {
        let mut mail = self.mail.lock();
        mail.closed = true;
        self.wake(mail);
    }

    /// Wakes the reader once the lock is gone: a task may be polled right where it is woken.
    fn wake(&self, mut mail: MutexGuard<'_, Mail>) {
        let waker = mail.waker.take();
        drop(mail);
        self.arrived.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Mail {
    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.missed == 0 && !self.closed
    }

    fn take(&mut self) -> Poll<Option<Change>> {
        match self.queue.pop_front() {
            Some(Letter::Change(change)) => Poll::Ready(Some(change)),
            Some(Letter::Progress(job)) => {
                let progress = self.progress.remove(&job).expect("a letter about progress has it");
                Poll::Ready(Some(Change::Progressed { job, progress }))
            }
            None if self.missed > 0 => {
                let changes = std::mem::take(&mut self.missed);
                Poll::Ready(Some(Change::Missed { changes }))
            }
            None if self.closed => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use trainyard_core::{Event, Timestamp};

    use super::*;

    fn facts(count: usize) -> Vec<Fact> {
        vec![Fact { at: Timestamp::from_millis(0), event: Event::Ticked }; count]
    }

    fn revision(change: Option<Change>) -> Option<u64> {
        match change? {
            Change::Happened { revision, .. } => Some(revision),
            Change::Progressed { .. } | Change::Missed { .. } => None,
        }
    }

    #[test]
    fn revisions_grow_by_one() {
        let hub = Hub::default();
        let mut all = hub.subscribe(BUFFER);
        hub.publish(5, facts(2));
        hub.publish(7, facts(1));
        hub.close();
        let told: Vec<_> = std::iter::from_fn(|| revision(all.next_blocking())).collect();
        assert_eq!(told, [5, 6, 7]);
        assert_eq!(all.next_blocking(), None);
        assert_eq!(hub.subscribe(BUFFER).next_blocking(), None, "nothing comes after the end");
    }

    #[test]
    fn a_slow_one_is_told_once_how_much_it_missed() {
        let hub = Hub::default();
        let mut slow = hub.subscribe(2);
        hub.publish(1, facts(4));
        assert_eq!(revision(slow.try_next()), Some(1));
        hub.publish(5, facts(1));
        assert_eq!(revision(slow.try_next()), Some(2));
        assert_eq!(slow.try_next(), Some(Change::Missed { changes: 3 }));
        hub.publish(6, facts(1));
        assert_eq!(revision(slow.try_next()), Some(6));
        assert_eq!(slow.try_next(), None);
    }

    #[test]
    fn of_each_job_the_newest_progress_is_told() {
        let hub = Hub::default();
        let mut all = hub.subscribe(BUFFER);
        let (a, b) = (JobId::from_u128(1), JobId::from_u128(2));
        hub.progress(a, &Progress::step(1, 9));
        hub.progress(b, &Progress::step(1, 9));
        hub.progress(a, &Progress::step(2, 9));
        assert_eq!(all.try_next(), Some(Change::Progressed { job: a, progress: Progress::step(2, 9) }));
        assert_eq!(all.try_next(), Some(Change::Progressed { job: b, progress: Progress::step(1, 9) }));
        assert_eq!(all.try_next(), None);
    }

    #[test]
    fn who_has_left_costs_nothing() {
        let hub = Hub::default();
        drop(hub.subscribe(BUFFER));
        hub.publish(1, facts(1));
        assert!(hub.subscribers.lock().mailboxes.is_empty());
    }
}
