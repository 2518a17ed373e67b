//! What jobs of the yard do here.

use std::sync::Arc;

use trainyard_core::Trained;
use trainyard_portrait::{Order, Source, inspect, train_portrait};
use trainyard_runtime::{Context, JobToTrain, TrainError, Trainer};
use trainyard_trainkit::told;

use super::GroupPhotos;
use super::album::Album;
use super::work::Check;
use crate::records::RecordsError;

/// Trains a model of the group that the job's subject names.
pub(crate) struct PortraitTrainer {
    pub(crate) photos: GroupPhotos,
    pub(crate) order: Order,
}

/// Looks at the image of a look.
pub(crate) struct CheckTrainer(pub(crate) Arc<Album>);

impl Trainer for PortraitTrainer {
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let photos = self.photos.of(job)?;
        let source = |photo: super::GroupPhoto| Source::new(photo.path, photo.look.to_string());
        let sources: Vec<Source> = photos.into_iter().map(source).collect();
        train_portrait(cx, job, &sources, &self.order)
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
