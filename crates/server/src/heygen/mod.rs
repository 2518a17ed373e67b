//! HeyGen's assets, groups and looks: which there are, where their files lie, and how they are trained.

mod album;
mod catalog;
mod config;
mod host;
mod photos;
mod serve;
mod tending;
mod trainers;
mod work;

pub(crate) use self::album::{Album, MADE_KEY};
pub(crate) use self::config::{HeyGenConfig, MakeTrainer};
pub(crate) use self::serve::{BESIDE_MAX, Serving, queues, retention, serve, trainers};
pub(crate) use self::work::Check;

pub use self::photos::{GroupPhoto, GroupPhotos};

#[cfg(test)]
mod tests;
