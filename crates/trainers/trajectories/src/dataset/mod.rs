//! Datasets: folders of what can be learned from.

mod build;
mod error;
mod open;
mod order;

pub use self::build::build;
pub use self::error::{BuildError, OpenError};
pub use self::open::{Opened, open, remove};
pub use self::order::{BadDatasetId, DatasetId, Layout, Order, Record};

/// What the folder of a dataset is called while it is not whole, or not whole any more: its name between those two.
const HIDDEN: (&str, &str) = (".", ".building");
