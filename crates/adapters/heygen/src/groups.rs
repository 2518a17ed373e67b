//! Groups: made, listed, deleted.

use trainyard_core::port::Handle;
use trainyard_http::{Request, Response};

use crate::fault::Fault;
use crate::host::{Group, Host, NewGroup, Refused};
use crate::map;
use crate::service::{Edge, HeyGen, done};
use crate::training::{group_id, standing};
use crate::wire::answers::{AvatarGroup, GroupList, TrainWord};
use crate::wire::requests;

impl<H: Handle + ?Sized, S: Host + ?Sized> HeyGen<H, S> {
    pub(crate) async fn create_group(&self, request: Request) -> Result<Response, Fault> {
        let requests::NewGroup { name, image } = self.json(request).await?;
        self.work(move |edge| {
            edge.is_going()?;
            // So that nothing is made whose link could not be told.
            edge.base()?;
            let at = edge.handle.now();
            let made = edge.host.create_group(NewGroup { name, image, at });
            let look = made.map_err(|refused| match &refused {
                // In the words that clients know.
                Refused::TooMany { max, .. } => map::too_many(*max, "photo avatars"),
                Refused::NoImage(_) | Refused::Full | Refused::Gone | Refused::Busy | Refused::Failed(_) => {
                    map::refused(&refused, |_| "image_key".to_owned())
                }
            })?;
            Ok(done(&edge.shown(look)?))
        })
        .await
    }

    pub(crate) async fn list_groups(&self) -> Result<Response, Fault> {
        self.work(|edge| {
            edge.is_going()?;
            let groups = edge.host.groups().map_err(|error| map::broken(&error))?;
            let subjects: Vec<_> = groups.iter().map(|group| group.id.subject()).collect();
            let mut words = Vec::with_capacity(groups.len());
            edge.handle.read(&mut |yard| {
                words = subjects.iter().map(|subject| standing(yard, subject).status).collect();
            });
            let listed = groups.into_iter().zip(words).map(|(group, word)| edge.listed(group, word));
            let avatar_group_list = listed.collect::<Result<Vec<_>, _>>()?;
            Ok(done(&GroupList { total_count: avatar_group_list.len(), avatar_group_list }))
        })
        .await
    }

    /// Deletes a group, its looks and its models, and takes its training back.
    pub(crate) async fn delete_group(&self, id: &str) -> Result<Response, Fault> {
        let group = group_id(id)?;
        // On its way before anything is waited for: the group is gone, also when the client is.
        let retired = self.work(move |edge| {
            edge.is_going()?;
            let _turn = edge.turn();
            let deleted = edge.host.delete_group(group).map_err(|error| map::broken(&error))?;
            let subject = group.subject();
            let mut known = deleted;
            edge.handle.read(&mut |yard| {
                known |= yard.unfinished(&subject).next().is_some();
                known |= yard.models(&group.registry()).next().is_some();
            });
            // Asked again after the yard could not take it, it is taken up where it was left.
            if known { Ok(edge.handle.retire(subject)) } else { Err(map::no_group()) }
        });
        retired.await?.await.map_err(|error| map::unanswered(group, &error))?;
        Ok(done(&()))
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    fn listed(&self, group: Group, train_status: TrainWord) -> Result<AvatarGroup, Fault> {
        let preview = group.preview.map_or_else(|| self.link_to_nothing(), |image| self.link(image))?;
        Ok(AvatarGroup {
            id: group.id.to_string(),
            name: group.name,
            created_at: map::seconds(group.created_at),
            num_looks: group.looks,
            preview_image: preview.clone(),
            preview_image_url: preview,
            group_type: "PRIVATE",
            train_status,
            default_voice_id: (),
        })
    }
}
