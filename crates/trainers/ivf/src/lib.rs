//! Inverted-file vector indexes: k-means training, search, and durable storage.
//!
//! An [`Index`] keeps vectors with their ids, contents and metadata in a file and answers nearest-neighbour
//! queries, exactly as long as it is not trained. [`KMeans`] trains a [`Model`] on a sample of an index (or on
//! any [`TrainingSet`]) while the index goes on being used, tells an [`Observer`] about every iteration, stops
//! when asked, and goes on from any [`KMeansState`]. [`Index::install`] then makes queries look only through
//! the lists nearest to them.
//!
//! ```
//! use std::sync::Arc;
//! use trainyard_ivf::{Index, Item, KMeans, Model, Plan, Search, Settings, plan};
//!
//! let folder = tempfile::tempdir()?;
//! let index = Index::create(&folder.path().join("index"), Settings::default())?;
//! let items: Vec<Item> =
//!     (0..100_u8).map(|i| Item::new(format!("{i}"), vec![f32::from(i), f32::from(i % 10)])).collect();
//! index.upsert(&items)?;
//!
//! let Plan::Train { n_lists } = plan(index.len() as u64, None, 100) else { panic!("enough vectors") };
//! let params = KMeans::new(n_lists).with_seed(1);
//! let set = index.training_set(&params)?;
//! let model = params.train(&set, &())?;
//!
//! let file = folder.path().join("model");
//! model.save(&file)?;
//! index.install(&Arc::new(Model::load(&file)?), 1.try_into()?, &|| false)?;
//! let hits = index.query(&[[42.0, 2.1]], &Search::new(3.try_into()?), &|| false)?;
//! assert_eq!(&*hits[0][0].id, "42");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`train_index`] is the same for a [`Trainer`](trainyard_runtime::Trainer): it trains as a job of a yard, with
//! progress, checkpoints and an artifact.
//!
//! What it keeps to:
//!
//! - A change is durable when its call returns, and whole or not at all.
//! - Nothing a query does waits for a change, a training or an installation, and nothing of those for a query.
//! - A seed gives the same model for any number of threads and any size of blocks, and a query the same answer.
//!   The products come from a kernel chosen by the vector instructions of the machine; between machines with
//!   different ones the last bits differ.
//! - A vector whose components are beyond about 10¹⁸ is kept and found exactly, but lists for such are poor:
//!   their squares are beyond `f32`.

mod artifact;
mod auto;
mod codebook;
mod error;
mod filter;
mod index;
mod install;
mod item;
mod kmeans;
mod lloyd;
mod memory;
mod metric;
mod model;
mod numeric;
mod observer;
mod search;
mod seeding;
mod set;
mod share;
mod store;
mod sums;
mod trainer;

pub use auto::{MIN_VECTORS, Plan, Unneeded, automatic_lists, plan};
pub use error::{IndexError, InstallError, Refusal, StorageError, TrainError};
pub use filter::{Filter, FilterError};
pub use index::{Index, Settings, Upserted};
pub use install::Installed;
pub use item::Item;
pub use kmeans::{KMeans, Tolerance};
pub use metric::Metric;
pub use model::{KMeansState, Model, ModelTag};
pub use observer::{Iteration, Observer};
pub use search::{Hit, Search, default_probes};
pub use set::TrainingSet;
pub use trainer::{TrainOrder, train_index};

/// The largest dimension of a vector.
pub const DIMENSION_MAX: usize = 65_535;
/// The longest id, in bytes of UTF-8; the shortest has one byte.
pub const ID_BYTES_MAX: usize = 1_024;
/// The longest contents of an item, in bytes of UTF-8: 16 MiB.
pub const CONTENTS_BYTES_MAX: usize = 16 << 20;
/// The longest metadata of an item, in bytes of JSON without spaces: 1 MiB.
pub const METADATA_BYTES_MAX: usize = 1 << 20;
/// How deeply metadata may be nested; `{"a": 1}` is 1 deep.
pub const METADATA_DEPTH_MAX: usize = 64;
/// How deeply a filter may be nested.
pub const FILTER_DEPTH_MAX: usize = 64;
/// How many conditions a filter may have: every test of a path is one, every filter within a filter, and every
/// array or object among the operands of `$in` and `$nin`.
pub const FILTER_CONDITIONS_MAX: usize = 1_000;
/// How many operands all `$in` and `$nin` of a filter may have together.
pub const FILTER_OPERANDS_MAX: usize = 100_000;
/// How many `$regex` a filter may have.
pub const FILTER_REGEXES_MAX: usize = 16;
/// The longest pattern of a `$regex`, in bytes of UTF-8.
pub const FILTER_REGEX_BYTES_MAX: usize = 1_024;
/// The largest compiled `$regex`, in bytes: 256 KiB.
pub const FILTER_REGEX_COMPILED_BYTES_MAX: usize = 256 << 10;
/// How many vectors an index can hold.
pub const VECTORS_MAX: usize = u32::MAX as usize;
