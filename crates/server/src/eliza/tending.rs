//! What is seen to while a service is open.

use std::sync::Arc;
use std::time::Duration;

use trainyard_core::port::Change;
use trainyard_core::{Event, Reason, Subject};
use trainyard_eliza::{DatasetId, Task};
use trainyard_runtime::{Subscription, Trainyard};

use super::archive::Archive;
use crate::keeping::stuck;

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
                    Some(Change::Happened { fact, .. }) if is_due(&fact.event) => break,
                    Some(Change::Happened { .. }) => {}
                    Some(Change::Progressed { job, progress }) => self.archive.runs.reported(job, &progress),
                    Some(Change::Missed { .. }) => break,
                    None if self.yard.stopped().is_some() => return,
                    None => break,
                }
            }
        }
    }

    fn tend(&self) {
        // Nobody here would release them: they would wait for ever, and so would what comes after them.
        let is_ours = |subject: &Subject| DatasetId::of(subject).is_some() || Task::of(subject).is_some();
        for job in stuck(&self.yard, is_ours) {
            tracing::warn!(%job, "a training is cancelled: it was cut short too often");
            // When the yard has stopped, that is for the next start.
            drop(self.yard.cancel(job, Reason::new("it was cut short too often")).wait());
        }
        if let Err(error) = self.archive.tend(&self.yard) {
            let error: &dyn std::error::Error = &error;
            tracing::error!(
                error,
                "what the yard has forgotten could not be forgotten here; it is tried again"
            );
        }
    }
}

/// Whether jobs or models may be gone, or stuck.
fn is_due(event: &Event) -> bool {
    matches!(
        event,
        Event::Forgotten { .. } | Event::ModelsForgotten { .. } | Event::Retired { .. } | Event::Held { .. }
    )
}

const EVERY: Duration = Duration::from_secs(60);
