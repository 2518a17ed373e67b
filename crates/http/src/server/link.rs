use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::server::site::{Site, millis};
use crate::websocket::Promise;

/// What is known about one connection: whose turn it is, and since when.
///
/// The socket, the request and the answer note here what happens; the connection's one timer looks at it
/// now and then. That bounds a silent client, half a head, an idle connection and an unread answer
/// without a timer per request.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) site: Arc<Site>,
    pub(super) peer: SocketAddr,
    phase: AtomicU8,
    since_ms: AtomicU64,
    /// Zero while the socket takes what it is given.
    write_blocked_since_ms: AtomicU64,
    closing: AtomicBool,
    /// What the connection is to become after the present answer.
    promise: Mutex<Option<Box<Promise>>>,
}

/// The client owes a request head.
const HEAD: u8 = 0;
/// The service owes an answer, or the connection is a WebSocket, which has a clock of its own.
const BUSY: u8 = 1;
/// Nobody owes anything.
const IDLE: u8 = 2;

impl Link {
    pub(super) fn new(site: Arc<Site>, peer: SocketAddr) -> Link {
        let now_ms = site.now_ms();
        Link {
            site,
            peer,
            phase: AtomicU8::new(HEAD),
            since_ms: AtomicU64::new(now_ms),
            write_blocked_since_ms: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            promise: Mutex::new(None),
        }
    }

    /// Bytes came in.
    pub(super) fn received(&self) {
        if self.phase.load(Relaxed) == IDLE {
            self.enter(HEAD);
        }
    }

    /// A whole head came in.
    pub(super) fn begin_request(&self) {
        self.phase.store(BUSY, Relaxed);
    }

    /// The answer has been handed over, though perhaps not taken by the client yet.
    pub(super) fn end_request(&self) {
        self.enter(IDLE);
    }

    /// What lay between the last answer and the next request is over: an unwanted body, a blocked write.
    pub(super) fn idle_unless_busy(&self) {
        if self.phase.load(Relaxed) != BUSY {
            self.enter(IDLE);
        }
    }

    /// The socket takes nothing at present.
    pub(super) fn write_blocked(&self) {
        if self.write_blocked_since_ms.load(Relaxed) == 0 {
            self.write_blocked_since_ms.store(self.site.now_ms(), Relaxed);
        }
    }

    /// The socket took something.
    pub(super) fn written(&self) {
        if self.write_blocked_since_ms.load(Relaxed) != 0 {
            self.write_blocked_since_ms.store(0, Relaxed);
            self.idle_unless_busy();
        }
    }

    /// The connection becomes a WebSocket after the present answer.
    pub(super) fn keep(&self, promise: Box<Promise>) {
        *self.promise.lock().unwrap_or_else(PoisonError::into_inner) = Some(promise);
    }

    pub(super) fn take_promise(&self) -> Option<Box<Promise>> {
        self.promise.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// HTTP is over. Only a blocked write is still looked at here.
    pub(super) fn begin_socket(&self) {
        self.phase.store(BUSY, Relaxed);
    }

    /// The connection is of no use after the present answer.
    pub(super) fn close_after_answer(&self) {
        self.closing.store(true, Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// Whether at most a part of a head is here, so that nothing is lost by closing.
    pub(super) fn owes_nothing(&self) -> bool {
        self.phase.load(Relaxed) == HEAD && self.write_blocked_since_ms.load(Relaxed) == 0
    }

    /// For how long the connection may stay as it is; `None` when its time is over.
    ///
    /// Never longer than the shortest bound, so a phase that begins right after this look is looked at again
    /// before it is over.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let config = &self.site.config;
        let blocked_since_ms = self.write_blocked_since_ms.load(Relaxed);
        let (since_ms, bound) = if blocked_since_ms != 0 {
            (blocked_since_ms, config.write_stall_timeout)
        } else {
            let since_ms = self.since_ms.load(Relaxed);
            match self.phase.load(Relaxed) {
                HEAD => (since_ms, config.header_timeout),
                IDLE => (since_ms, config.keep_alive_timeout),
                _ => return Some(self.look_again_after()),
            }
        };
        let left_ms = (since_ms + millis(bound)).saturating_sub(self.site.now_ms());
        (left_ms > 0).then(|| Duration::from_millis(left_ms).min(self.look_again_after()))
    }

    pub(super) fn look_again_after(&self) -> Duration {
        let config = &self.site.config;
        config.header_timeout.min(config.keep_alive_timeout).min(config.write_stall_timeout)
    }

    fn enter(&self, phase: u8) {
        self.since_ms.store(self.site.now_ms(), Relaxed);
        self.phase.store(phase, Relaxed);
    }
}
