//! What the service is told of MathFi.

use std::collections::BTreeMap;
use std::time::Duration;

use trainyard_core::{Backoff, RetryPolicy};
use trainyard_http::secret::Secret;
use trainyard_mathfi::Settings;

use super::Contestants;

/// What the service is told of MathFi; see the setters of [`ServiceConfig`](crate::ServiceConfig).
#[derive(Debug, Clone)]
pub(crate) struct MathFiConfig {
    pub(crate) settings: Settings,
    pub(crate) users: BTreeMap<String, Secret>,
    pub(crate) contestants: Contestants,
    pub(crate) running_max: u32,
    pub(crate) datasets_max: u64,
    pub(crate) predictions_max: u64,
    pub(crate) prepare_time: Duration,
    pub(crate) predict_time: Duration,
    pub(crate) checkpoint_every: Duration,
    /// What the files of each user may take, in bytes.
    pub(crate) bytes_max: u64,
    /// When the disk or the catalogue fails.
    pub(crate) retry: RetryPolicy,
}

impl MathFiConfig {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::new(),
            users: BTreeMap::new(),
            contestants: Contestants::standard(),
            running_max: 2,
            datasets_max: 1_000,
            predictions_max: 1_000,
            prepare_time: Duration::from_secs(1_800),
            predict_time: Duration::from_secs(1_800),
            checkpoint_every: Duration::from_secs(5),
            bytes_max: 20 << 30,
            retry: RetryPolicy {
                retries_max: 5,
                backoff: Backoff::new(Duration::from_secs(10), Duration::from_secs(600)),
            },
        }
    }
}
