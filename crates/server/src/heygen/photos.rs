//! Where the photos of a group lie, for whoever trains on them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use trainyard_heygen::{GroupId, LookId, TrainParameters};
use trainyard_runtime::{JobToTrain, TrainError};
use trainyard_trainkit::told;

use super::album::Album;

/// Knows where the photos of groups lie. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct GroupPhotos(Arc<Album>);

/// A photo to be trained on: it was decoded once, from its first byte to its last.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupPhoto {
    /// The look that it shows.
    pub look: LookId,
    /// What the look is called. Names need not differ.
    pub name: String,
    /// The file as it came: a PNG or a JPEG. It is to be read only.
    pub path: PathBuf,
}

impl GroupPhotos {
    pub(crate) fn new(album: Arc<Album>) -> Self {
        Self(album)
    }

    /// The photos that a training is to learn from, oldest first, at least one: those that were there when it was asked
    /// for, as far as they are still there.
    ///
    /// # Errors
    /// [`TrainError`] in words for the owner of the group, when there are none any more, or the job is no training of a
    /// group; one to retry when the catalogue cannot be read.
    pub fn of(&self, job: &JobToTrain) -> Result<Vec<GroupPhoto>, TrainError> {
        let Self(album) = self;
        let id = GroupId::of(&job.subject).ok_or_else(|| TrainError::failed("the subject is no group"))?;
        let parameters = TrainParameters::from_bytes(job.parameters.as_bytes());
        let parameters = parameters.map_err(|error| TrainError::failed(error.to_string()))?;
        let there = album.catalog.usable(id).map_err(|error| TrainError::retry(told(&error)))?;
        let asked_for = there.into_iter().filter(|(look, _, _)| parameters.looks().contains(look));
        let photo = |(look, name, stored)| GroupPhoto { look, name, path: album.file(stored) };
        let photos: Vec<GroupPhoto> = asked_for.map(photo).collect();
        if photos.is_empty() {
            return Err(TrainError::failed("no photo of the group is left to be trained on"));
        }
        Ok(photos)
    }
}

impl fmt::Debug for GroupPhotos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupPhotos(..)")
    }
}
