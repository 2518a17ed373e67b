//! What jobs of the yard do here.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use trainyard_core::{Advice, Failure, Reason, Trained};
use trainyard_portrait::{Source, inspect, train_portrait};
use trainyard_runtime::{Context, JobToTrain, TrainError, Trainer};
use trainyard_trainkit::told;

use super::GroupPhotos;
use super::album::Album;
use super::work::Check;
use crate::records::RecordsError;

/// Trains a model of the group that the job's subject names.
pub(crate) struct PortraitTrainer {
    pub(crate) photos: GroupPhotos,
    pub(crate) album: Arc<Album>,
}

/// Looks at the image of a look.
pub(crate) struct CheckTrainer(pub(crate) Arc<Album>);

/// A trainer of groups, without what is for the log in the words that owners read.
pub(crate) struct Discreet<T>(pub(crate) T);

/// As the owner of the group reads it, when it is not the group's fault. Clients look for the last words.
pub(super) const BROKE_OFF: &str = "it broke off for a reason that is not in the photos, try again";

impl<T: Trainer> Trainer for Discreet<T> {
    /// What is said of data that will never do passes, for that is said to the owner.
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let Self(trainer) = self;
        let broke_off = |advice| TrainError::Failed(Failure { reason: Reason::new(BROKE_OFF), advice });
        match catch_unwind(AssertUnwindSafe(|| trainer.train(cx, job))) {
            Ok(Err(TrainError::Failed(Failure { reason, advice }))) if advice != Advice::GiveUp => {
                tracing::error!(job = %job.id, subject = %job.subject, %reason, "a training broke off");
                Err(broke_off(advice))
            }
            Ok(ended) => ended,
            Err(panic) => {
                let message = said(&*panic);
                tracing::error!(job = %job.id, subject = %job.subject, message, "a training panicked");
                Err(broke_off(Advice::Retry))
            }
        }
    }
}

/// What a panic says.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

impl Trainer for PortraitTrainer {
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let photos = self.photos.of(job)?;
        let source = |photo: super::GroupPhoto| Source::new(photo.path, photo.look.to_string());
        let sources: Vec<Source> = photos.into_iter().map(source).collect();
        let (needed, max) = (self.album.needed_mib(sources.len()), self.album.memory_mib);
        if needed > max {
            let reason = format!("a training on the photos takes {needed} MiB of memory, and may take {max}");
            return Err(TrainError::failed(reason));
        }
        train_portrait(cx, job, &sources, &self.album.order)
    }
}

impl Trainer for CheckTrainer {
    /// The catalogue is told before the yard is.
    fn train(&self, _: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let Self(album) = self;
        let Some(Check(look)) = Check::of(&job.subject) else {
            return Err(TrainError::failed("the subject is no look"));
        };
        let Some(image) = album.catalog.pending_image(look).map_err(not_noted)? else {
            return Ok(Trained::default()); // it is known already, or gone
        };
        match inspect(&album.file(image), &album.limits) {
            Ok(_) => {
                album.catalog.complete_look(look).map_err(not_noted)?;
                Ok(Trained::default())
            }
            Err(error) if error.is_io() => Err(TrainError::retry(told(&error))),
            Err(unfit) => {
                album.catalog.fail_look(look, &unfit.to_string()).map_err(not_noted)?;
                Err(TrainError::failed(unfit.to_string()))
            }
        }
    }
}

fn not_noted(error: RecordsError) -> TrainError {
    TrainError::retry(told(&error))
}
