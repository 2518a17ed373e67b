//! What the embedding service implements: assets, groups and looks, everything that is not training.

use std::fmt;
use std::io::Read;

use trainyard_core::{Registry, Subject, Timestamp};
use uuid::Uuid;

/// Assets, groups and looks.
///
/// Methods may block and compute: they are called where that is allowed, several at once. What has returned `Ok` is
/// durable. Who may ask is the adapter's business.
pub trait Host: Send + Sync + 'static {
    /// Begins to take a file in.
    ///
    /// # Errors
    /// [`Refused::Busy`] when too many are on their way, [`Refused::Full`], or [`Refused::Failed`].
    fn receive(&self, asset: NewAsset) -> Result<Box<dyn Upload>, Refused>;

    /// Makes a group of one look; the look has the id of the group.
    ///
    /// # Errors
    /// [`Refused::NoImage`] when there is no such asset, or it is no [image](Media::is_image), [`Refused::TooMany`] when
    /// there are as many groups as may be, [`Refused::Full`].
    fn create_group(&self, group: NewGroup) -> Result<Look, Refused>;

    /// Adds a look for each image, in this order: all of them, or none.
    ///
    /// # Errors
    /// [`Refused::Gone`] when there is no such group, [`Refused::NoImage`], [`Refused::TooMany`] when the group would
    /// have more looks than may be, [`Refused::Full`].
    fn add_looks(&self, looks: NewLooks) -> Result<Vec<Look>, Refused>;

    /// All groups, newest first.
    ///
    /// # Errors
    /// [`HostError`] when they cannot be listed.
    fn groups(&self) -> Result<Vec<Group>, HostError>;

    /// A group; `None` when there is none of this id.
    ///
    /// # Errors
    /// [`HostError`] when that cannot be found out.
    fn group(&self, id: GroupId) -> Result<Option<Group>, HostError>;

    /// Whether there is such a group, where that can be said without waiting for anything; `None` where
    /// [`group`](Host::group) has to be asked. Default: `None`.
    fn has_group(&self, id: GroupId) -> Option<bool> {
        let _ = id;
        None
    }

    /// The looks of a group, oldest first; `None` when there is no such group.
    ///
    /// # Errors
    /// [`HostError`] when they cannot be listed.
    fn looks(&self, group: GroupId) -> Result<Option<Vec<Look>>, HostError>;

    /// A look; `None` when there is none of this id.
    ///
    /// # Errors
    /// [`HostError`] when that cannot be found out.
    fn look(&self, id: LookId) -> Result<Option<Look>, HostError>;

    /// Removes a look; whether there was one. The last look of a group goes without the group, and the look that has the
    /// id of its group goes like any other.
    ///
    /// # Errors
    /// [`HostError`] when it cannot be removed.
    fn delete_look(&self, id: LookId) -> Result<bool, HostError>;

    /// Removes a group with its looks; whether there was one. Its trainings are the adapter's business, also when a
    /// crash comes in between: the host tells the yard of groups that are gone when it opens.
    ///
    /// # Errors
    /// [`HostError`] when it cannot be removed.
    fn delete_group(&self, id: GroupId) -> Result<bool, HostError>;

    /// What is behind a signed link, picture or not: the file as it came; `None` when it is not there any more.
    ///
    /// # Errors
    /// [`HostError`] when it cannot be read.
    fn picture(&self, id: AssetId) -> Result<Option<Picture>, HostError>;
}

/// A file on its way in. Dropped before it is finished, it leaves nothing behind; dropping it may block, too.
pub trait Upload: Send {
    /// Takes more of it.
    ///
    /// # Errors
    /// [`Refused::Full`] when there is no room for it, [`Refused::Failed`] when it cannot be kept for another reason.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refused>;

    /// It is whole.
    ///
    /// # Errors
    /// [`Refused::TooMany`] when there are as many as may be, [`Refused::Full`], or [`Refused::Failed`].
    fn finish(self: Box<Self>) -> Result<Asset, Refused>;
}

/// A file that is about to come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewAsset {
    /// What it is.
    pub media: Media,
    /// When it comes.
    pub at: Timestamp,
}

/// What a file is, as its first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Media {
    /// `image/jpeg`.
    Jpeg,
    /// `image/png`.
    Png,
    /// `video/mp4`.
    Mp4,
    /// `video/webm`.
    WebM,
    /// `audio/mpeg`: MP3.
    Mp3,
    /// `audio/wav`.
    Wav,
}

impl Media {
    /// Whether a look can be made of it. Anything else is kept, and shown by its link, and no more.
    #[must_use]
    pub const fn is_image(self) -> bool {
        match self {
            Self::Jpeg | Self::Png => true,
            Self::Mp4 | Self::WebM | Self::Mp3 | Self::Wav => false,
        }
    }
}

/// A file that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Which.
    pub id: AssetId,
    /// What it is.
    pub media: Media,
    /// When it came.
    pub created_at: Timestamp,
}

/// A group to be made, with its first look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroup {
    /// What it and its first look are called.
    pub name: String,
    /// The image of the look.
    pub image: AssetId,
    /// When.
    pub at: Timestamp,
}

/// Looks to be added to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLooks {
    /// Which group.
    pub group: GroupId,
    /// What they are called, each of them.
    pub name: String,
    /// The image of each; at least one.
    pub images: Vec<AssetId>,
    /// When.
    pub at: Timestamp,
}

/// Photos of one person or thing, to be trained together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which.
    pub id: GroupId,
    /// What it is called.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// How many looks it has.
    pub looks: u64,
    /// The image of its oldest look; `None` when it has none any more.
    pub preview: Option<AssetId>,
}

/// One photo of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Which; that of the first look is that of its group.
    pub id: LookId,
    /// Of which group.
    pub group: GroupId,
    /// What it is called.
    pub name: String,
    /// Its image.
    pub image: AssetId,
    /// When it was added.
    pub created_at: Timestamp,
    /// How far it is.
    pub state: LookState,
}

/// How far a look is. Never goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookState {
    /// Its image is yet to be looked at.
    Pending,
    /// Its image can be trained on.
    Completed,
    /// Its image cannot be used.
    Failed {
        /// Why, in words for its owner.
        reason: String,
    },
}

/// A picture to be read, or another file.
pub struct Picture {
    /// What it is.
    pub media: Media,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// What is in it.
    pub content: Box<dyn Read + Send>,
}

/// Why a host did not do as it was asked. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// There is nothing of this id, or no image.
    #[error("there is no image {0}")]
    NoImage(AssetId),
    /// There are as many as may be.
    #[error("there are {max} {what} already, and there may be no more")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: u64,
    },
    /// There is no room for it: the disk is full.
    #[error("there is no room for this")]
    Full,
    /// There is none of this id, or no more.
    #[error("there is no such thing")]
    Gone,
    /// The host is being shut down, or too much is asked at once.
    #[error("the service cannot take this now")]
    Busy,
    /// It is not the request's fault.
    #[error(transparent)]
    Failed(#[from] HostError),
}

/// A failure of the host itself; its cause is for the log and never for a client.
#[derive(Debug, thiserror::Error)]
#[error("the host could not do its work")]
pub struct HostError {
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl HostError {
    /// Takes the cause in.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: cause.into() }
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes an id in. Make a new one for everything.
            #[must_use]
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The id as a UUID.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        /// As on the wire: 32 hexadecimal digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self.0.as_simple(), f)
            }
        }
    };
}

id! {
    /// What an asset is known by.
    AssetId
}
id! {
    /// What a group is known by.
    GroupId
}
id! {
    /// What a look is known by.
    LookId
}

impl GroupId {
    /// What the yard knows the group as: `group/<id>`.
    ///
    /// # Panics
    /// Never: an id is short.
    #[must_use]
    pub fn subject(self) -> Subject {
        Subject::new(format!("{PREFIX}{self}")).expect("an id is short and has no control characters")
    }

    /// The set of its models: that of the subject itself.
    #[must_use]
    pub fn registry(self) -> Registry {
        Registry::from(&self.subject())
    }

    /// The group that the yard knows as this subject; `None` when it is none.
    #[must_use]
    pub fn of(subject: &Subject) -> Option<Self> {
        let id = subject.as_str().strip_prefix(PREFIX)?;
        let group = Self(Uuid::try_parse(id).ok()?);
        // As it is written, and in none of the other ways to write a UUID: each group has one subject.
        (group.to_string() == id).then_some(group)
    }

    /// The look that was made with it.
    #[must_use]
    pub const fn first_look(self) -> LookId {
        LookId(self.0)
    }
}

const PREFIX: &str = "group/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_known_by_its_own_subject_only() {
        let group = GroupId::new(Uuid::from_u128(0xab));
        assert_eq!(GroupId::of(&group.subject()), Some(group));
        let others = [
            format!("group/{}", group.as_uuid()),
            format!("group/{}", group.as_uuid().braced()),
            format!("group/{}", group.as_uuid().urn()),
            format!("group/{}", group.to_string().to_uppercase()),
            format!("group/{group}0"),
            format!("group/ {group}"),
            format!("Group/{group}"),
            "group/".to_owned(),
            group.to_string(),
        ];
        for other in others {
            assert_eq!(GroupId::of(&Subject::new(other.clone()).unwrap()), None, "{other}");
        }
    }
}
