//! Tables: from CSV to rows that can be learned from.

mod coding;
mod dataset;
mod encoding;
mod error;
mod file;
mod limits;
pub mod made;
mod measure;
mod prepare;
mod reading;
mod rows;
mod schema;
mod shares;
mod survey;

pub(crate) use coding::Coding;
pub use dataset::Dataset;
pub(crate) use dataset::Origin;
pub use encoding::Encoding;
pub(crate) use error::beginning;
pub use error::{Place, Refusal, TableError};
pub use limits::Limits;
pub use measure::balanced_accuracy;
pub use prepare::{Prepared, prepare};
pub(crate) use reading::{Records, Trouble, io_error};
pub use rows::Rows;
pub use schema::{Feature, Fields, Schema};
pub use shares::Shares;
