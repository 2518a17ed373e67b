//! MathFi's users, datasets and predictions: which there are, where their files lie, and how they are trained.

mod books;
mod catalog;
mod config;
mod contestants;
mod files;
mod host;
mod passwords;
mod serve;
mod tables;
mod trainers;
mod uploads;
mod users;
mod work;

#[cfg(test)]
mod tests;

pub(crate) use self::books::Books;
pub(crate) use self::config::MathFiConfig;
pub(crate) use self::serve::{BESIDE_MAX, Serving, queues, retentions, serve, trainers};
pub(crate) use self::work::Work;

pub use self::contestants::{Contestants, UnknownAlgorithm};
pub use self::users::FirstUser;
