use std::net::SocketAddr;
use std::time::Duration;

/// What a [`Server`](crate::Server) is told: where to listen, and every bound it keeps.
///
/// A value outside of its bounds is moved to the nearest one. Times run from one millisecond to a year.
///
/// ```
/// use std::time::Duration;
/// use trainyard_http::ServerConfig;
///
/// # fn main() -> Result<(), std::net::AddrParseError> {
/// let config = ServerConfig::new("127.0.0.1:8080".parse()?)
///     .with_body_limit(16 << 20)
///     .with_keep_alive_timeout(Duration::from_secs(20));
/// assert_eq!(config.listen_address().port(), 8080);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ServerConfig {
    pub(super) listen: SocketAddr,
    pub(super) header_bytes_max: usize,
    pub(super) headers_max: usize,
    pub(super) header_timeout: Duration,
    pub(super) keep_alive_timeout: Duration,
    pub(super) write_stall_timeout: Duration,
    pub(super) body_limit_bytes: usize,
    pub(super) body_timeout: Duration,
    pub(super) body_stall_timeout: Duration,
    pub(super) body_rate: u32,
    pub(super) bodies_bytes_max: usize,
    pub(super) answers_bytes_max: usize,
    pub(super) connections_max: usize,
    pub(super) io_threads: usize,
    pub(super) blocking_threads: usize,
}

impl ServerConfig {
    /// Listens on `listen`; port zero lets the system choose.
    #[must_use]
    pub fn new(listen: SocketAddr) -> ServerConfig {
        ServerConfig {
            listen,
            header_bytes_max: 16 * 1024,
            headers_max: 80,
            header_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(60),
            write_stall_timeout: Duration::from_secs(30),
            body_limit_bytes: 1024 * 1024,
            body_timeout: Duration::from_secs(300),
            body_stall_timeout: Duration::from_secs(10),
            body_rate: 1024,
            bodies_bytes_max: 1024 * 1024 * 1024,
            answers_bytes_max: 256 * 1024 * 1024,
            connections_max: 4096,
            io_threads: 1,
            blocking_threads: 8,
        }
    }

    /// Bytes of a request line and its headers together. A larger head is answered with `431`.
    /// Default: 16 KiB; from 8 KiB to 1 MiB.
    #[must_use]
    pub fn with_header_bytes(mut self, bytes: usize) -> ServerConfig {
        self.header_bytes_max = bytes.clamp(8 * 1024, 1024 * 1024);
        self
    }

    /// Headers in a request. More are answered with `431`. Default: 80; from 1 to 1000.
    #[must_use]
    pub fn with_headers(mut self, headers: usize) -> ServerConfig {
        self.headers_max = headers.clamp(1, 1000);
        self
    }

    /// Time from a connection, or the first byte of a later request, to the end of the head. Then the
    /// connection is closed. Default: 10 s.
    #[must_use]
    pub fn with_header_timeout(mut self, time: Duration) -> ServerConfig {
        self.header_timeout = bounded(time);
        self
    }

    /// Time that a connection may wait for its next request. Then it is closed. Default: 60 s.
    #[must_use]
    pub fn with_keep_alive_timeout(mut self, time: Duration) -> ServerConfig {
        self.keep_alive_timeout = bounded(time);
        self
    }

    /// Time in which a client that does not take its answer must take at least something. Then the
    /// connection is closed. Default: 30 s.
    #[must_use]
    pub fn with_write_stall_timeout(mut self, time: Duration) -> ServerConfig {
        self.write_stall_timeout = bounded(time);
        self
    }

    /// Bytes of a body, where a [mount](crate::Mount::with_body_limit) does not say otherwise.
    /// Default: 1 MiB; zero refuses every body.
    #[must_use]
    pub fn with_body_limit(mut self, bytes: usize) -> ServerConfig {
        self.body_limit_bytes = bytes;
        self
    }

    /// Time from the end of the head to the end of the body, for a service that reads it, where a
    /// [mount](crate::Mount::with_body_timeout) does not say otherwise. Default: 300 s.
    #[must_use]
    pub fn with_body_timeout(mut self, time: Duration) -> ServerConfig {
        self.body_timeout = bounded(time);
        self
    }

    /// Time from one piece of a body to the next. Default: 10 s.
    #[must_use]
    pub fn with_body_stall_timeout(mut self, time: Duration) -> ServerConfig {
        self.body_stall_timeout = bounded(time);
        self
    }

    /// Bytes a second that a body must bring in the time that is spent waiting for it, so that nobody holds a place by
    /// dribbling. A body that is behind by more than the [time without a byte](Self::with_body_stall_timeout) is given
    /// up, like one that does not come at all; a fast start buys no more time than that. Default: 1,024; zero for no
    /// bound.
    #[must_use]
    pub fn with_body_rate(mut self, bytes_per_second: u32) -> ServerConfig {
        self.body_rate = bytes_per_second;
        self
    }

    /// Memory for the bodies of all requests together, in bytes: what [`Body::collect`](crate::Body::collect) holds, and
    /// what is made of it where a service [says so](crate::Body::collect_for). A body is counted, as a whole, once it is
    /// larger than 64 KiB. One that finds no room is not read on, and after the
    /// [time without a byte](Self::with_body_stall_timeout) it is refused, a `503`; of those that are half read one waits,
    /// and the others are refused at once. One that needs more than this has all of it to itself. Default: 1 GiB; from
    /// 1 MiB to 1 TiB.
    #[must_use]
    pub fn with_bodies_bytes(mut self, bytes: usize) -> ServerConfig {
        self.bodies_bytes_max = bytes.clamp(ROOM_BYTES_MIN, ROOM_BYTES_MAX);
        self
    }

    /// Memory for the answers that are ready and not yet taken by their clients, of all requests together, in bytes.
    /// Answers of up to 64 KiB, and those that come piece by piece, are not counted. One that finds no room becomes a
    /// `503` with `retry-after`. One of more than this has all of it to itself. Default: 256 MiB; from 1 MiB to 1 TiB.
    #[must_use]
    pub fn with_answers_bytes(mut self, bytes: usize) -> ServerConfig {
        self.answers_bytes_max = bytes.clamp(ROOM_BYTES_MIN, ROOM_BYTES_MAX);
        self
    }

    /// Connections at a time. More wait, not yet accepted, until one closes. Default: 4096; from 1 to a
    /// million.
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> ServerConfig {
        self.connections_max = connections.clamp(1, 1_000_000);
        self
    }

    /// Threads that talk to clients. Default: 1, which leaves the cores to training; one answers tens
    /// of thousands of status requests a second. From 1 to 64.
    #[must_use]
    pub fn with_io_threads(mut self, threads: usize) -> ServerConfig {
        self.io_threads = threads.clamp(1, 64);
        self
    }

    /// Threads for [`blocking`](crate::blocking) work, shared out evenly among the I/O threads, at least one
    /// each. They exist only while there is work. Default: 8; from 1 to 512.
    #[must_use]
    pub fn with_blocking_threads(mut self, threads: usize) -> ServerConfig {
        self.blocking_threads = threads.clamp(1, 512);
        self
    }

    /// The address to listen on.
    #[must_use]
    pub fn listen_address(&self) -> SocketAddr {
        self.listen
    }
}

const ROOM_BYTES_MIN: usize = 1024 * 1024;
const ROOM_BYTES_MAX: usize = 1024 * 1024 * 1024 * 1024;

/// Keeps sums with the present moment from overflowing.
pub(crate) fn bounded(time: Duration) -> Duration {
    time.clamp(Duration::from_millis(1), Duration::from_secs(365 * 24 * 3600))
}
