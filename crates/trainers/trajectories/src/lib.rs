//! What agents did, as data to learn from: trajectories, tasks, a privacy filter, datasets.
//!
//! [`Trajectories`] reads what agents send, [`Task`] says what their calls to models are for, [`PrivacyFilter`] takes out
//! what nobody else may read, [`build`] writes the rest as a dataset, [`Rows`] reads that again, and [`held_out`] says
//! which rows are kept from learning.
//!
//! ```
//! use std::fs::File;
//! use std::io::BufReader;
//!
//! use trainyard_trajectories::{
//!     HELD_OUT_SHARE, Layout, Limits, Order, PrivacyFilter, RowLimits, Rows, Task, Trajectories, build, open, split,
//! };
//!
//! let sent = r#"[{"id": "t1", "source": "chat", "status": "completed", "llmCalls": [{
//!     "purpose": "should_respond",
//!     "systemPrompt": "Say whether to answer.",
//!     "userPrompt": "ana@example.org: is anybody there?",
//!     "response": "{\"action\": \"RESPOND\"}"
//! }]}]"#;
//! let root = tempfile::tempdir()?;
//! let trajectories = Trajectories::new(sent.as_bytes(), Limits::default());
//! let order = Order::new("dataset-1".parse()?, 1_718_000_000_000);
//! let record = build(root.path(), &order, &PrivacyFilter::new("a salt"), trajectories)?;
//! assert_eq!((record.trajectory_count, record.example_count, record.redactions.emails), (1, 1, 1));
//!
//! let datasets = open(root.path())?.datasets;
//! let file = Layout::new(root.path(), &datasets[0].id).task(Task::ShouldRespond);
//! let rows: Vec<_> = Rows::new(BufReader::new(File::open(file)?), RowLimits::default()).collect::<Result<_, _>>()?;
//! assert_eq!(rows[0].user, "[REDACTED_EMAIL]: is anybody there?");
//! let (train, judge) = split(rows, HELD_OUT_SHARE);
//! assert_eq!((train.len(), judge.len()), (1, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it keeps to:
//!
//! - Whatever is read is bounded, in bytes, in number and in depth, and what is wrong is told with its place and without
//!   what stands there.
//! - Nothing is written before it was filtered, nor under the name of an id that an agent gave.
//! - A dataset is whole and durable, or it is not listed.
//! - The same trajectories, filter and order make the same files, byte for byte.

mod dataset;
mod error;
mod id;
mod limits;
mod parse;
mod privacy;
mod rows;
mod split;
mod stream;
mod tasks;
mod trajectory;
mod usable;
mod write;

pub use crate::dataset::{
    BadDatasetId, BuildError, DatasetId, Layout, OpenError, Opened, Order, Record, build, open, remove,
};
pub use crate::error::{Problem, ReadError, Refusal};
pub use crate::id::Id;
pub use crate::limits::Limits;
pub use crate::privacy::{PrivacyFilter, Redactions, pseudonym};
pub use crate::rows::{Row, RowError, RowLimits, RowProblem, Rows, native_line, training_line};
pub use crate::split::{HELD_OUT_SHARE, held_out, held_out_rows, split};
pub use crate::stream::Trajectories;
pub use crate::tasks::{Task, UnknownTask};
pub use crate::trajectory::{LlmCall, ProviderAccess, Status, Step, Trajectory};
