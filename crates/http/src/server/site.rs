use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::mounts::Mounts;
use crate::request_id::RequestIds;
use crate::room::Room;
use crate::server::config::ServerConfig;

/// What all connections of one server share.
pub(super) struct Site {
    pub(super) config: ServerConfig,
    pub(super) mounts: Mounts,
    pub(super) ids: RequestIds,
    /// For bodies that are collected.
    pub(super) bodies: Room,
    /// For answers that are whole.
    pub(super) answers: Room,
    seats: Arc<Semaphore>,
    opened: Instant,
}

impl Site {
    pub(super) fn new(config: ServerConfig, mounts: Mounts) -> Site {
        let seats = Arc::new(Semaphore::new(config.connections_max));
        let bodies = Room::new(config.bodies_bytes_max, config.body_stall_timeout);
        let answers = Room::new(config.answers_bytes_max, Duration::ZERO);
        Site { config, mounts, ids: RequestIds::new(), bodies, answers, seats, opened: Instant::now() }
    }

    /// Waits until one more connection may be open.
    pub(super) async fn seat(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.seats).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Waits until no connection is open. Callers take turns: nobody gets a seat meanwhile.
    pub(super) async fn all_gone(&self) {
        let all = u32::try_from(self.config.connections_max).expect("the bound is a million");
        let _seats = self.seats.acquire_many(all).await;
    }

    pub(super) fn connections_open(&self) -> usize {
        self.config.connections_max - self.seats.available_permits()
    }

    /// Milliseconds since the server began, never zero.
    pub(super) fn now_ms(&self) -> u64 {
        1 + millis(self.opened.elapsed())
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("config", &self.config)
            .field("mounts", &self.mounts)
            .finish_non_exhaustive()
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
