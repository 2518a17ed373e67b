//! The bodies of answers. The order of members is that of the original.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::host::{Hit, Item};

#[derive(Debug, Serialize)]
pub(crate) struct Health {
    pub(crate) status: &'static str,
    pub(crate) api_version: &'static str,
    pub(crate) version: &'static str,
}

impl Health {
    pub(crate) const OK: Self = Self { status: "healthy", api_version: "v1", version: "0.18.0" };
}

#[derive(Debug, Serialize)]
pub(crate) struct Indexes {
    pub(crate) indexes: Vec<String>,
}

/// Success, or a training that failed: the original answers 200 to both.
#[derive(Debug, Serialize)]
pub(crate) struct Said {
    pub(crate) status: &'static str,
    pub(crate) message: String,
}

impl Said {
    pub(crate) fn success(message: String) -> Self {
        Self { status: "success", message }
    }

    pub(crate) fn error(message: String) -> Self {
        Self { status: "error", message }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Upserted {
    pub(crate) status: &'static str,
    pub(crate) message: String,
    /// Never false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) training_triggered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) training_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) warning: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Described {
    pub(crate) index_name: String,
    pub(crate) is_trained: bool,
    pub(crate) dimension: usize,
    pub(crate) metric: &'static str,
    pub(crate) n_lists: u64,
    pub(crate) metadata_schema: BTreeMap<String, Value>,
    pub(crate) bm25: Option<Value>,
    /// Ours, for the npm client 0.14; the Python clients ignore additions.
    pub(crate) index_type: &'static str,
    /// Ours, for the npm client 0.14.
    pub(crate) index_config: IndexConfig,
}

#[derive(Debug, Serialize)]
pub(crate) struct IndexConfig {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) dimension: usize,
    pub(crate) metric: &'static str,
    pub(crate) n_lists: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct TrainingStatus {
    pub(crate) training_indexes: Vec<String>,
    pub(crate) currently_training: Option<String>,
    pub(crate) queued_indexes: Vec<String>,
    pub(crate) retrain_threshold: u64,
    pub(crate) worker_running: bool,
    pub(crate) worker_pid: u32,
    pub(crate) global_training: BTreeMap<String, Value>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Ids {
    pub(crate) ids: Vec<String>,
    pub(crate) count: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Count {
    pub(crate) result: u64,
}

/// Rows of a query, of a get, or lists of rows.
#[derive(Debug, Serialize)]
pub(crate) struct Results<R> {
    pub(crate) results: Vec<R>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Map<String, Value>>,
}

impl Row {
    /// Carries only what was asked for; metadata is always an object.
    pub(crate) fn new(hit: Hit, distance: bool, metadata: bool) -> Self {
        Self {
            id: hit.id,
            distance: distance.then(|| hit.distance.min(f32::MAX)),
            metadata: metadata.then(|| hit.metadata.unwrap_or_default()),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Got {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contents: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Map<String, Value>>,
}

impl Got {
    /// Carries what was asked for; contents and metadata that an item does not have are empty.
    pub(crate) fn new(item: Item, parts: crate::host::Parts) -> Self {
        Self {
            id: item.id,
            vector: item.vector.filter(|_| parts.vector),
            contents: parts.contents.then(|| item.contents.unwrap_or_default()),
            metadata: parts.metadata.then(|| item.metadata.unwrap_or_default()),
        }
    }
}
