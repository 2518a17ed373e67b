//! Answers. All members are always there, null where there is nothing to say.

use serde::Serialize;

/// Every 200 but that of an upload.
#[derive(Serialize)]
pub(crate) struct Done<'a, T: ?Sized> {
    /// Null.
    pub(crate) error: (),
    pub(crate) data: &'a T,
}

/// The 200 of an upload. Holds a link: no `Debug`.
#[derive(Serialize)]
pub(crate) struct Uploaded {
    /// Always 100.
    pub(crate) code: u8,
    pub(crate) data: UploadedAsset,
    /// Null.
    pub(crate) msg: (),
    /// Null.
    pub(crate) message: (),
}

#[derive(Serialize)]
pub(crate) struct UploadedAsset {
    pub(crate) id: String,
    /// The id again.
    pub(crate) name: String,
    pub(crate) file_type: &'static str,
    /// Empty: there are no folders.
    pub(crate) folder_id: &'static str,
    /// Null.
    pub(crate) meta: (),
    /// Whole seconds.
    pub(crate) created_ts: i64,
    pub(crate) url: String,
    /// Null when it is no image.
    pub(crate) image_key: Option<String>,
}

/// How far a look is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LookStatus {
    Pending,
    Completed,
    Failed,
}

/// One look. Holds a link: no `Debug`.
#[derive(Serialize)]
pub(crate) struct PhotoAvatar {
    pub(crate) id: String,
    pub(crate) image_url: String,
    /// Seconds with a fraction, unlike everywhere else.
    pub(crate) created_at: f64,
    pub(crate) name: String,
    pub(crate) status: LookStatus,
    pub(crate) group_id: String,
    pub(crate) is_motion: bool,
    /// Null.
    pub(crate) motion_preview_url: (),
    pub(crate) business_type: &'static str,
    pub(crate) upscale_availability: Upscale,
    pub(crate) upscaled: bool,
    /// Null.
    pub(crate) background_sound_effect: (),
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Upscale {
    pub(crate) available: bool,
    pub(crate) reason: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct AddedLooks {
    pub(crate) photo_avatar_list: Vec<PhotoAvatar>,
}

#[derive(Serialize)]
pub(crate) struct LookList {
    pub(crate) avatar_list: Vec<PhotoAvatar>,
}

#[derive(Serialize)]
pub(crate) struct GroupList {
    pub(crate) total_count: usize,
    pub(crate) avatar_group_list: Vec<AvatarGroup>,
}

/// One group. Holds a link: no `Debug`.
#[derive(Serialize)]
pub(crate) struct AvatarGroup {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Whole seconds.
    pub(crate) created_at: i64,
    pub(crate) num_looks: u64,
    pub(crate) preview_image: String,
    /// The same: one client calls it so.
    pub(crate) preview_image_url: String,
    pub(crate) group_type: &'static str,
    pub(crate) train_status: TrainWord,
    /// Null.
    pub(crate) default_voice_id: (),
}

#[derive(Debug, Serialize)]
pub(crate) struct Started {
    pub(crate) flow_id: String,
    /// Clients disagree about where it stands.
    pub(crate) data: Flow,
}

#[derive(Debug, Serialize)]
pub(crate) struct Flow {
    pub(crate) flow_id: String,
}

/// Where a training stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TrainWord {
    /// There was none.
    Empty,
    /// The only word for everything before the end.
    Pending,
    Ready,
    Failed,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct TrainStatus {
    pub(crate) status: TrainWord,
    pub(crate) error_msg: Option<String>,
    /// When it was asked for, in whole seconds.
    pub(crate) created_at: i64,
    /// When it ended, in whole seconds; null before.
    pub(crate) updated_at: Option<i64>,
}

impl TrainStatus {
    pub(crate) const EMPTY: Self =
        Self { status: TrainWord::Empty, error_msg: None, created_at: 0, updated_at: None };

    pub(crate) const fn pending(created_at: i64) -> Self {
        Self { status: TrainWord::Pending, error_msg: None, created_at, updated_at: None }
    }

    /// It failed when there is something to complain about.
    pub(crate) const fn ended(created_at: i64, updated_at: i64, error_msg: Option<String>) -> Self {
        let status = if error_msg.is_some() { TrainWord::Failed } else { TrainWord::Ready };
        Self { status, error_msg, created_at, updated_at: Some(updated_at) }
    }
}
