//! CyborgDB's indexes: which there are, where their vectors lie, and how they are trained.

mod catalog;
mod host;
mod serve;
mod shelf;
mod trainer;
mod translate;

pub(crate) use self::serve::serve;
pub(crate) use self::shelf::{Shelf, ShelfError};
pub(crate) use self::trainer::IndexTrainer;
