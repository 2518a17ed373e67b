//! What is seen to while a service is open.

use std::sync::Arc;
use std::time::Duration;

use trainyard_core::Event;
use trainyard_core::port::Change;
use trainyard_runtime::{Subscription, Trainyard};

use super::archive::Archive;

/// Forgets what the yard forgets, and looks now and then at what the machine has.
pub(super) struct Tending {
    archive: Arc<Archive>,
    yard: Trainyard,
    changes: Subscription,
}

impl Tending {
    pub(super) fn new(archive: Arc<Archive>, yard: Trainyard) -> Self {
        let changes = yard.subscribe();
        Self { archive, yard, changes }
    }

    /// Goes on until the yard has stopped.
    pub(super) fn run(mut self) {
        loop {
            self.tend();
            loop {
                match self.changes.next_timeout(EVERY) {
                    Some(Change::Happened { fact, .. }) if is_end(&fact.event) => break,
                    Some(Change::Happened { .. } | Change::Progressed { .. }) => {}
                    Some(Change::Missed { .. }) => break,
                    None if self.yard.stopped().is_some() => return,
                    None => break,
                }
            }
        }
    }

    fn tend(&self) {
        if let Err(error) = self.archive.tend(&self.yard) {
            let error: &dyn std::error::Error = &error;
            tracing::error!(
                error,
                "what the yard has forgotten could not be forgotten here; it is tried again"
            );
        }
    }
}

/// Whether jobs or models may be gone.
fn is_end(event: &Event) -> bool {
    matches!(event, Event::Forgotten { .. } | Event::ModelsForgotten { .. } | Event::Retired { .. })
}

const EVERY: Duration = Duration::from_secs(60);
