//! What becomes of trainings that nobody would go on with.

use std::collections::BTreeSet;

use trainyard_core::port::HandleError;
use trainyard_core::{Reason, Subject};
use trainyard_heygen::{CUT_SHORT, GroupId};
use trainyard_runtime::Trainyard;

use super::album::Album;
use crate::keeping::{Ledger, stuck};
use crate::records::RecordsError;

/// Groups whose end the yard has not heard of, because a crash came in between, or it was too busy to hear.
pub(super) fn retire_gone(album: &Album, yard: &Trainyard) -> Result<(), RecordsError> {
    // First what the yard knows: a group is there before it is trained.
    let known: BTreeSet<Subject> = yard.read(|yard| {
        let jobs = yard.jobs().filter(|job| job.outcome().is_none()).map(|job| &job.subject);
        let models = yard.registries().flat_map(|registry| yard.models(registry)).map(|model| &model.subject);
        jobs.chain(models).filter(|subject| GroupId::of(subject).is_some()).cloned().collect()
    });
    let there: BTreeSet<GroupId> = album.catalog.groups()?.into_iter().map(|group| group.id).collect();
    let is_gone = |subject: &Subject| GroupId::of(subject).is_some_and(|id| !there.contains(&id));
    for subject in known.into_iter().filter(is_gone) {
        tracing::info!(%subject, "its group is gone: it is retired");
        noted(album, yard.retire(subject).wait());
    }
    Ok(())
}

/// Trainings that were cut short so often that the yard holds them, and nobody would release them: they would wait for
/// ever, and their groups could not be trained again. What somebody else holds stays held.
pub(super) fn take_back_held(album: &Album, yard: &Trainyard) {
    for job in stuck(yard, |subject| GroupId::of(subject).is_some()) {
        tracing::warn!(%job, "a training is cancelled: it was cut short too often");
        noted(album, yard.cancel(job, Reason::new(CUT_SHORT)).wait());
    }
}

/// What the yard could not take now, it is asked again.
fn noted<T>(album: &Album, answer: Result<T, HandleError>) {
    match answer {
        // When it has stopped, that is for the next start.
        Ok(_) | Err(HandleError::Stopped { .. }) => {}
        Err(error @ HandleError::Busy { .. }) => {
            tracing::warn!(%error, "that is tried again in a moment");
            album.behind().fall();
        }
        Err(error) => tracing::warn!(%error, "that is tried again at the next start"),
    }
}
