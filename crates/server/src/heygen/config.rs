//! What the service is told of HeyGen.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use trainyard_core::{Backoff, RetryPolicy};
use trainyard_heygen::Settings;
use trainyard_portrait::{Limits, Order};
use trainyard_runtime::Trainer;

use super::GroupPhotos;

/// What the service is told of HeyGen; see the setters of [`ServiceConfig`](crate::ServiceConfig).
#[derive(Debug, Clone)]
pub(crate) struct HeyGenConfig {
    pub(crate) settings: Settings,
    pub(crate) running_max: u32,
    pub(crate) order: Order,
    pub(crate) photos: Limits,
    pub(crate) trainer: Option<MakeTrainer>,
    pub(crate) groups_max: u64,
    pub(crate) looks_max: u64,
    pub(crate) assets_max: u64,
    /// What images may take, in bytes.
    pub(crate) bytes_max: u64,
    /// When the disk or the catalogue fails while a look is looked at.
    pub(crate) retry: RetryPolicy,
}

/// Makes a trainer that knows where photos lie.
#[derive(Clone)]
pub(crate) struct MakeTrainer(pub(crate) Arc<dyn Fn(GroupPhotos) -> Arc<dyn Trainer> + Send + Sync>);

impl HeyGenConfig {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::new(),
            running_max: 1,
            order: Order::new(),
            photos: Limits::default(),
            trainer: None,
            groups_max: 1_000,
            looks_max: 100,
            assets_max: 10_000,
            bytes_max: 20 << 30,
            retry: RetryPolicy {
                retries_max: 5,
                backoff: Backoff::new(Duration::from_secs(10), Duration::from_secs(600)),
            },
        }
    }
}

impl fmt::Debug for MakeTrainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MakeTrainer(..)")
    }
}
