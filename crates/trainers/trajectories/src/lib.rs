//! What agents did, as data to learn from: trajectories, tasks, a privacy filter, datasets.

mod error;
mod id;
mod limits;
mod parse;
mod split;
mod stream;
mod tasks;
mod trajectory;
mod usable;
mod write;

pub use crate::error::{Problem, ReadError, Refusal};
pub use crate::id::Id;
pub use crate::limits::Limits;
pub use crate::split::{HELD_OUT_SHARE, held_out, split};
pub use crate::stream::Trajectories;
pub use crate::tasks::{Task, UnknownTask};
pub use crate::trajectory::{LlmCall, ProviderAccess, Status, Step, Trajectory};
