//! Looks: added, read, deleted.

use trainyard_core::port::Handle;
use trainyard_http::{Request, Response};

use crate::fault::Fault;
use crate::host::{AssetId, Host, Look, LookId, NewLooks};
use crate::map;
use crate::service::{Edge, HeyGen, done};
use crate::training::group_id;
use crate::wire::answers::{AddedLooks, LookList, PhotoAvatar};
use crate::wire::{hex, requests};

impl<H: Handle + ?Sized, S: Host + ?Sized> HeyGen<H, S> {
    pub(crate) async fn add_looks(&self, request: Request) -> Result<Response, Fault> {
        let requests::NewLooks { group, name, images } = self.json(request).await?;
        let group = group.ok_or_else(map::no_group)?;
        self.work(move |edge| {
            edge.is_going()?;
            edge.base()?;
            let at = edge.handle.now();
            let called = |id: AssetId| {
                let place = images.iter().position(|image| *image == id);
                place.map_or_else(|| "image_keys".to_owned(), requests::key_at)
            };
            let new = NewLooks { group, name, images: images.clone(), at };
            let looks = edge.host.add_looks(new).map_err(|refused| map::refused(&refused, called))?;
            Ok(done(&AddedLooks { photo_avatar_list: edge.all_shown(looks)? }))
        })
        .await
    }

    pub(crate) async fn read_look(&self, id: &str) -> Result<Response, Fault> {
        let id = look_id(id)?;
        self.work(move |edge| {
            let found = edge.host.look(id).map_err(|error| map::broken(&error))?;
            Ok(done(&edge.shown(found.ok_or_else(map::no_look)?)?))
        })
        .await
    }

    pub(crate) async fn list_looks(&self, id: &str) -> Result<Response, Fault> {
        let group = group_id(id)?;
        self.work(move |edge| {
            let found = edge.host.looks(group).map_err(|error| map::broken(&error))?;
            Ok(done(&LookList { avatar_list: edge.all_shown(found.ok_or_else(map::no_group)?)? }))
        })
        .await
    }

    pub(crate) async fn delete_look(&self, id: &str) -> Result<Response, Fault> {
        let id = look_id(id)?;
        self.work(move |edge| {
            let deleted = edge.host.delete_look(id).map_err(|error| map::broken(&error))?;
            if deleted { Ok(done(&())) } else { Err(map::no_look()) }
        })
        .await
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    fn all_shown(&self, looks: Vec<Look>) -> Result<Vec<PhotoAvatar>, Fault> {
        looks.into_iter().map(|look| self.shown(look)).collect()
    }

    pub(crate) fn shown(&self, look: Look) -> Result<PhotoAvatar, Fault> {
        Ok(PhotoAvatar {
            id: look.id.to_string(),
            image_url: self.link(look.image)?,
            created_at: map::fractional(look.created_at),
            name: look.name,
            status: map::look_status(&look.state),
            group_id: look.group.to_string(),
            is_motion: false,
            motion_preview_url: (),
            business_type: "uploaded",
            upscale_availability: map::upscale(&look.state),
            upscaled: false,
            background_sound_effect: (),
        })
    }
}

fn look_id(id: &str) -> Result<LookId, Fault> {
    hex(id).map(LookId::new).ok_or_else(map::no_look)
}
