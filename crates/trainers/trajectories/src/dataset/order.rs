//! What is to be built, and what was.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::HIDDEN;
use crate::{Redactions, Task};

/// The id of a dataset, which is the name of its folder: 1 to 64 lower-case letters, digits and hyphens.
///
/// ```
/// use trainyard_trajectories::DatasetId;
///
/// assert!("dataset-1718000000000-1a2b3c4d".parse::<DatasetId>().is_ok());
/// assert!("../x".parse::<DatasetId>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatasetId(String);

impl DatasetId {
    /// The text of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatasetId {
    type Err = BadDatasetId;

    fn from_str(text: &str) -> Result<Self, BadDatasetId> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(is_plain);
        if fits { Ok(Self(text.to_owned())) } else { Err(BadDatasetId) }
    }
}

impl TryFrom<String> for DatasetId {
    type Error = BadDatasetId;

    fn try_from(text: String) -> Result<Self, BadDatasetId> {
        text.parse()
    }
}

impl From<DatasetId> for String {
    fn from(id: DatasetId) -> Self {
        id.0
    }
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// No dataset is called so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id of a dataset has 1 to 64 lower-case letters, digits and hyphens")]
pub struct BadDatasetId;

/// What is to be built.
///
/// ```
/// use trainyard_trajectories::Order;
///
/// let order = Order::new("dataset-1".parse()?, 1_718_000_000_000).with_limit(100_000).with_min_calls(2);
/// assert_eq!((order.limit(), order.min_calls()), (5_000, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Order {
    id: DatasetId,
    created_ms: u64,
    limit: u32,
    min_calls: u32,
    bytes_max: u64,
}

impl Order {
    /// A dataset of that name, made at that time in milliseconds since 1970.
    #[must_use]
    pub const fn new(id: DatasetId, created_ms: u64) -> Self {
        Self { id, created_ms, limit: 250, min_calls: 1, bytes_max: 1 << 30 }
    }

    /// How many trajectories are looked at, before any of them is dropped. From 1 to 5,000, and what is beyond is as if
    /// it were that. Default: 250.
    #[must_use]
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = limit.clamp(1, LIMIT_MAX);
        self
    }

    /// How many calls that can be learned from a trajectory needs; 0 is as if it were 1. Default: 1.
    #[must_use]
    pub fn with_min_calls(mut self, calls: u32) -> Self {
        self.min_calls = calls.max(1);
        self
    }

    /// How large all files together may become, in bytes. Default: 1 GiB.
    #[must_use]
    pub const fn with_bytes_max(mut self, bytes: u64) -> Self {
        self.bytes_max = bytes;
        self
    }

    /// What it is called.
    #[must_use]
    pub const fn id(&self) -> &DatasetId {
        &self.id
    }

    /// When it is made, in milliseconds since 1970.
    #[must_use]
    pub const fn created_ms(&self) -> u64 {
        self.created_ms
    }

    /// See [`Order::with_limit`].
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// See [`Order::with_min_calls`].
    #[must_use]
    pub const fn min_calls(&self) -> u32 {
        self.min_calls
    }

    /// See [`Order::with_bytes_max`].
    #[must_use]
    pub const fn bytes_max(&self) -> u64 {
        self.bytes_max
    }
}

const LIMIT_MAX: u32 = 5_000;

/// What was built. It lies in the folder as `metadata.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Record {
    /// The format of the folder.
    pub version: u32,
    /// What it is called.
    pub id: DatasetId,
    /// When it was made, in milliseconds since 1970.
    pub created_at: u64,
    /// How many trajectories were looked at, at most.
    pub limit: u32,
    /// How many calls each had to have.
    pub min_llm_calls_per_trajectory: u32,
    /// The trajectories that are in it.
    pub trajectory_count: u64,
    /// The examples that are in it: the calls of those trajectories that can be learned from.
    pub example_count: u64,
    /// The trajectories that were dropped since they are private.
    pub dropped_private: u64,
    /// The trajectories that were dropped since they have too few calls.
    pub dropped_short: u64,
    /// What was taken out of the texts of those that are in it.
    pub redactions: Redactions,
    /// How many examples there are of each task; none of a task that is missing.
    pub tasks: BTreeMap<String, u64>,
    /// What the files with the examples and the trajectories take together, in bytes.
    pub bytes: u64,
}

impl Record {
    /// The one format there is.
    pub(super) const VERSION: u32 = 1;
}

/// Where the files of a dataset are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout(PathBuf);

impl Layout {
    /// Of the dataset with that id, below the folder of all datasets.
    #[must_use]
    pub fn new(root: &Path, id: &DatasetId) -> Self {
        Self(root.join(id.as_str()))
    }

    /// Of the same dataset while it is not whole.
    pub(super) fn hidden(root: &Path, id: &DatasetId) -> Self {
        Self(root.join(format!("{}{id}{}", HIDDEN.0, HIDDEN.1)))
    }

    /// The folder of it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// All examples, as [`training_line`](crate::training_line) writes them.
    #[must_use]
    pub fn examples(&self) -> PathBuf {
        self.0.join("trajectories.jsonl")
    }

    /// The folder with a file for each trajectory.
    #[must_use]
    pub fn trajectories(&self) -> PathBuf {
        self.0.join("trajectories")
    }

    /// The folder with a file for each task.
    #[must_use]
    pub fn tasks(&self) -> PathBuf {
        self.0.join("native")
    }

    /// The examples of a task, as [`native_line`](crate::native_line) writes them; not there when there are none.
    #[must_use]
    pub fn task(&self, task: Task) -> PathBuf {
        self.tasks().join(format!("{task}_trajectories.jsonl"))
    }

    /// The [`Record`].
    #[must_use]
    pub fn record(&self) -> PathBuf {
        self.0.join("metadata.json")
    }
}
