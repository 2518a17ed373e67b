//! CyborgDB's indexes: which there are, where their vectors lie, and how they are trained.

mod catalog;
mod host;
mod shelf;
mod trainer;
mod translate;

pub(crate) use self::host::VectorHost;
pub(crate) use self::shelf::{Shelf, ShelfError};
pub(crate) use self::trainer::IndexTrainer;
