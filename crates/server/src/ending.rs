//! The end of a service's yard, told to whoever waits for it.

use std::fmt;

use trainyard_core::Reason;
use trainyard_runtime::{Subscription, Trainyard};

/// The end of a service's yard, to be waited for on a thread of its own: see
/// [`Service::ending`](crate::Service::ending).
#[must_use = "it is to be waited for"]
pub struct Ending {
    yard: Trainyard,
    changes: Subscription,
}

impl Ending {
    pub(crate) fn new(yard: &Trainyard) -> Self {
        // What happens meanwhile is of no interest.
        Self { yard: yard.clone(), changes: yard.subscribe_with(1) }
    }

    /// Waits until the yard has stopped, and says why.
    #[must_use]
    pub fn wait(mut self) -> Reason {
        while self.changes.next_blocking().is_some() {}
        self.yard.stopped().unwrap_or_else(|| Reason::new("nobody said why"))
    }
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ending").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use trainyard_core::{QueueName, QueueSettings};
    use trainyard_journal::MemoryJournal;
    use trainyard_testkit::failing_journal::{FailingJournal, When};

    use super::*;

    #[test]
    fn the_end_of_a_yard_whose_journal_fails_is_told_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, faults) = FailingJournal::new(MemoryJournal::new());
        let (yard, _) = Trainyard::builder(folder.path()).journal(journal).start().unwrap();
        let ending = thread::spawn({
            let ending = Ending::new(&yard);
            move || ending.wait()
        });
        let queue = || QueueName::new("queue").unwrap();
        yard.configure_queue(queue(), QueueSettings::default()).wait().unwrap();
        assert!(!ending.is_finished());
        faults.fail_next_commit(When::BeforeEffect);
        let paused = QueueSettings { running_max: Some(1), ..QueueSettings::default() };
        yard.configure_queue(queue(), paused).wait().unwrap_err();
        let reason = ending.join().unwrap();
        assert!(reason.to_string().contains("as it was told to"), "{reason}");
        assert_eq!(yard.stopped(), Some(reason));
        assert!(!Ending::new(&yard).wait().to_string().is_empty(), "also when it is asked for too late");
    }
}
