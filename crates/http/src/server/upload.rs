use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use hyper::body::{Body as _, Incoming};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::body::{BodyError, next_data};
use crate::room::Share;
use crate::server::config::ServerConfig;
use crate::server::link::Link;

/// The body of a request on a connection of ours, under a clock.
pub(crate) struct Upload {
    /// Present until the end, good or bad.
    incoming: Option<Incoming>,
    link: Arc<Link>,
    deadline: Instant,
    credit: Credit,
    /// The client waits for a `100 Continue`, which hyper sends when the body is first asked for.
    held_back: bool,
}

impl Upload {
    /// The body that follows these headers, if any does; it may take this long.
    pub(super) fn new(
        incoming: Incoming,
        headers: &HeaderMap,
        link: &Arc<Link>,
        time: Duration,
    ) -> Option<Upload> {
        if incoming.is_end_stream() {
            return None;
        }
        Some(Upload {
            incoming: Some(incoming),
            link: Arc::clone(link),
            deadline: Instant::now() + time,
            credit: Credit::new(&link.site.config),
            held_back: headers.contains_key(EXPECT),
        })
    }

    /// Bytes that `content-length` says are still to come; zero if it says nothing.
    pub(crate) fn announced_bytes(&self) -> u64 {
        self.incoming.as_ref().map_or(0, |incoming| incoming.size_hint().lower())
    }

    /// Of the memory for bodies, as yet nothing.
    pub(crate) fn share(&self) -> Share {
        self.link.site.bodies.share()
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        self.held_back = false;
        let incoming = self.incoming.as_mut()?;
        let begun = Instant::now();
        let until = self.deadline.min(begun + self.credit.left());
        let next = timeout_at(until, next_data(incoming)).await;
        // Only what was spent waiting for the client is the client's.
        self.credit.waited(begun.elapsed());
        let error = match next {
            Ok(Some(Ok(piece))) => {
                self.credit.received(piece.len());
                return Some(Ok(piece));
            }
            Ok(None) => {
                self.incoming = None;
                return None;
            }
            Ok(Some(Err(_))) => BodyError::Broken,
            Err(_) => BodyError::TimedOut,
        };
        self.incoming = None;
        self.link.close_after_answer();
        Some(Err(error))
    }
}

/// How long a client may still keep us waiting: waiting uses it up, and bytes give it back.
#[derive(Debug)]
struct Credit {
    left: Duration,
    most: Duration,
    /// Zero gives all of it back for any byte.
    bytes_per_second: u32,
}

impl Credit {
    fn new(config: &ServerConfig) -> Credit {
        let most = config.body_stall_timeout;
        Credit { left: most, most, bytes_per_second: config.body_rate }
    }

    fn left(&self) -> Duration {
        self.left
    }

    fn waited(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }

    fn received(&mut self, bytes: usize) {
        let nanos =
            (bytes as u64).saturating_mul(1_000_000_000).checked_div(u64::from(self.bytes_per_second));
        let earned = nanos.map_or(self.most, Duration::from_nanos);
        self.left = self.left.saturating_add(earned).min(self.most);
    }
}

impl Drop for Upload {
    /// Swallows a rest that nobody read. It would stand between this answer and the next request, and
    /// closing on it would reset the connection before the client has seen the answer.
    fn drop(&mut self) {
        let Some(mut incoming) = self.incoming.take().filter(|incoming| !incoming.is_end_stream()) else {
            return;
        };
        let too_much = incoming.size_hint().lower() > DRAIN_BYTES_MAX;
        if self.held_back || too_much {
            self.link.close_after_answer();
        }
        if self.held_back {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let link = Arc::clone(&self.link);
        runtime.spawn(async move {
            let mut drained_bytes = 0;
            let drain = async {
                while let Some(Ok(piece)) = next_data(&mut incoming).await {
                    drained_bytes += piece.len() as u64;
                    if drained_bytes > DRAIN_BYTES_MAX {
                        return;
                    }
                }
            };
            // However it ends, hyper closes the connection if there is more to come.
            let _ = timeout(DRAIN_TIME_MAX, drain).await;
            link.idle_unless_busy();
        });
    }
}

/// Enough for a client that sends a whole file before it looks for an answer.
const DRAIN_BYTES_MAX: u64 = 16 * 1024 * 1024;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn credit(bytes_per_second: u32) -> Credit {
        let config = ServerConfig::new(([127, 0, 0, 1], 0).into())
            .with_body_stall_timeout(Duration::from_secs(10))
            .with_body_rate(bytes_per_second);
        Credit::new(&config)
    }

    #[test]
    fn dribbling_uses_the_credit_up() {
        let mut credit = credit(1_000);
        for second in (1..=9).rev() {
            credit.waited(Duration::from_secs(1));
            credit.received(1);
            assert_eq!(credit.left().as_secs(), second);
        }
        credit.waited(Duration::from_secs(2));
        assert_eq!(credit.left(), Duration::ZERO);
    }

    #[test]
    fn whoever_keeps_pace_may_go_on_and_saves_nothing_up() {
        let mut credit = credit(1_000);
        for _ in 0..100 {
            credit.waited(Duration::from_secs(9));
            credit.received(9_000);
            assert_eq!(credit.left(), Duration::from_secs(10));
        }
        credit.received(usize::MAX);
        assert_eq!(credit.left(), Duration::from_secs(10));
    }

    #[test]
    fn without_a_rate_any_byte_is_enough() {
        let mut credit = credit(0);
        credit.waited(Duration::from_secs(9));
        credit.received(1);
        assert_eq!(credit.left(), Duration::from_secs(10));
    }
}
