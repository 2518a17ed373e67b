//! HeyGen's wire format for photo avatars over a trainyard.
//!
//! [`HeyGen`] is a [`Service`](trainyard_http::Service): mounted at `/v1/asset` and `/v2`, it answers as HeyGen's
//! photo-avatar API does. Clients upload photos, make groups of them, and have a group trained. Trainings go through a
//! yard ([`Handle`](trainyard_core::port::Handle)), which keeps them over restarts. Everything else (files, groups,
//! looks) is asked of a [`Host`], which the embedding service implements.
//!
//! What is the vendor's and what is ours is written down in `docs/WIRE.md`.
//!
//! # What the embedding service does
//!
//! 1. It hands the API key over with [`Settings::with_key`], and a key for links with [`Settings::with_link_key`].
//! 2. It registers a trainer for the class's kind, which reads [`TrainParameters`] and finds its group by
//!    [`GroupId::of`] the job's subject. Nothing but trainings of a group is submitted under its
//!    [subject](GroupId::subject): the newest job there is what the train status is about. The reason of a failure is
//!    told to the group's owner as it is.
//! 3. It mounts the service by its [`mounts`](HeyGen::mounts), and says with [`HeyGen::listen_at`] where it listens, unless
//!    there is a [public URL](Settings::with_public_url).
//! 4. When it opens, it retires the subjects of groups that are gone.
//!
//! # What the key protects
//!
//! Everything but the links to pictures: whoever has a link may see its picture until the link's time is over. There
//! is one key, and whoever has it sees and may delete everything.

mod fault;
mod groups;
mod host;
mod links;
mod looks;
mod map;
mod parameters;
mod routes;
mod service;
mod settings;
mod sort;
mod told;
mod training;
mod uploads;
mod wire;

pub use crate::host::{
    Asset, AssetId, Group, GroupId, Host, HostError, Look, LookId, LookState, Media, NewAsset, NewGroup,
    NewLooks, Picture, Refused, Upload,
};
pub use crate::map::CUT_SHORT;
pub use crate::parameters::{ParametersError, TrainParameters};
pub use crate::routes::OPENAPI;
pub use crate::service::HeyGen;
pub use crate::settings::{Limits, Settings};
