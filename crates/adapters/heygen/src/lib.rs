//! HeyGen's wire format for photo avatars over a trainyard.

mod host;

pub use crate::host::{
    Asset, AssetId, Group, GroupId, Host, HostError, Look, LookId, LookState, Media, NewAsset, NewGroup,
    NewLooks, Picture, Refused, Upload,
};
