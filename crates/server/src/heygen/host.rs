//! What the adapter asks of assets, groups and looks.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use trainyard_heygen::{
    Asset, AssetId, Group, GroupId, Host, HostError, Look, LookId, LookState, NewAsset, NewGroup, NewLooks,
    Picture, Refused, Upload,
};
use trainyard_runtime::Trainyard;
use uuid::Uuid;

use super::album::Album;
use super::catalog::{LookToAdd, Stored};
use super::work::Check;
use crate::disk::NotKept;
use crate::incoming::Incoming;
use crate::keeping::{Ledger, submit};
use crate::room::Part;

/// The album, with the yard that works on what is in it.
pub(crate) struct PhotoHost {
    album: Arc<Album>,
    yard: Trainyard,
}

impl PhotoHost {
    pub(crate) fn new(album: Arc<Album>, yard: Trainyard) -> Self {
        Self { album, yard }
    }

    fn look_to_add(&self, id: LookId, image: AssetId) -> LookToAdd {
        LookToAdd { id, image, job: self.yard.job_id() }
    }

    /// The record comes first, the job second: after a crash in between it is made at the next start.
    fn check(&self, look: &LookToAdd) {
        submit(&*self.album, &self.yard, Check(look.id), look.job);
    }
}

impl Host for PhotoHost {
    fn receive(&self, asset: NewAsset) -> Result<Box<dyn Upload>, Refused> {
        self.album.sweep(asset.at).map_err(NotKept::from)?;
        let part = self.album.room.begin((), self.album.stored())?;
        let incoming = self.album.inbox.begin().map_err(NotKept::from)?.ok_or(Refused::Busy)?;
        Ok(Box::new(ImageUpload { album: Arc::clone(&self.album), asset, part, incoming }))
    }

    fn create_group(&self, group: NewGroup) -> Result<Look, Refused> {
        let id = GroupId::new(Uuid::new_v4());
        let first = self.look_to_add(id.first_look(), group.image);
        self.album.catalog.add_group(id, &group, first, self.album.groups_max)?;
        self.check(&first);
        let NewGroup { name, image, at } = group;
        Ok(Look { id: first.id, group: id, name, image, created_at: at, state: LookState::Pending })
    }

    fn add_looks(&self, looks: NewLooks) -> Result<Vec<Look>, Refused> {
        let NewLooks { group, name, images, at } = looks;
        let new = |image: &AssetId| self.look_to_add(LookId::new(Uuid::new_v4()), *image);
        let added: Vec<LookToAdd> = images.iter().map(new).collect();
        self.album.catalog.add_looks(group, &name, at, &added, self.album.looks_max)?;
        added.iter().for_each(|look| self.check(look));
        let look = |added: LookToAdd| Look {
            id: added.id,
            group,
            name: name.clone(),
            image: added.image,
            created_at: at,
            state: LookState::Pending,
        };
        Ok(added.into_iter().map(look).collect())
    }

    fn groups(&self) -> Result<Vec<Group>, HostError> {
        self.album.catalog.groups().map_err(HostError::new)
    }

    fn group(&self, id: GroupId) -> Result<Option<Group>, HostError> {
        self.album.catalog.group(id).map_err(HostError::new)
    }

    fn has_group(&self, id: GroupId) -> Option<bool> {
        Some(self.album.catalog.has_group(id))
    }

    fn looks(&self, group: GroupId) -> Result<Option<Vec<Look>>, HostError> {
        self.album.catalog.looks(group).map_err(HostError::new)
    }

    fn look(&self, id: LookId) -> Result<Option<Look>, HostError> {
        self.album.catalog.look(id).map_err(HostError::new)
    }

    /// Its image stays: clients may show it in another look.
    fn delete_look(&self, id: LookId) -> Result<bool, HostError> {
        self.album.catalog.remove_look(id).map_err(HostError::new)
    }

    /// The images of its looks stay.
    fn delete_group(&self, id: GroupId) -> Result<bool, HostError> {
        let is_gone = self.album.catalog.remove_group(id).map_err(HostError::new)?;
        if is_gone {
            // The adapter tells the yard, which may be too busy to hear it.
            self.album.behind().fall();
        }
        Ok(is_gone)
    }

    fn picture(&self, id: AssetId) -> Result<Option<Picture>, HostError> {
        let Some(Asset { id, media, .. }) = self.album.catalog.asset(id).map_err(HostError::new)? else {
            return Ok(None);
        };
        let file = match File::open(self.album.file(Stored { id, media })) {
            Ok(file) => file,
            // It has just made room for another one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(HostError::new(error)),
        };
        let bytes = file.metadata().map_err(HostError::new)?.len();
        Ok(Some(Picture { media, bytes, content: Box::new(file) }))
    }
}

/// An image on its way in.
struct ImageUpload {
    album: Arc<Album>,
    asset: NewAsset,
    part: Part<()>,
    incoming: Incoming,
}

impl Upload for ImageUpload {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        self.part.take(bytes.len() as u64)?;
        self.incoming.write_all(bytes).map_err(|error| NotKept::from(error).into())
    }

    fn finish(self: Box<Self>) -> Result<Asset, Refused> {
        let Self { album, asset: NewAsset { media, at }, part, incoming } = *self;
        let asset = Asset { id: AssetId::new(Uuid::new_v4()), media, created_at: at };
        album.take_in(&asset, incoming, part)?;
        Ok(asset)
    }
}
