//! HTTP behind one door: bounded bodies, mounts, secrets, and a server that stops cleanly.
//!
//! An edge is written as a [`Service`]: a [`Request`] goes in, a [`Response`] comes out. Services are
//! hung under path prefixes in [`Mounts`], and a [`Server`] answers them from threads of its own, so the
//! embedding program needs no async runtime. Inside a service, [`Routes`] finds the endpoint, a
//! [`Body`] is read under a byte limit and a clock, [`Multipart`] takes a form apart while it arrives, [`secret`] compares what a caller presents,
//! [`signed`] hands out texts that carry their own authority, and [`blocking`] takes heavy work off the I/O threads.
//! [`Request::upgrade`] makes a connection a [`WebSocket`], over which either side speaks when it has something to say.
//!
//! Bounded are header bytes and count, each body, connections, and the time a peer may take to send a
//! header, send a body, read an answer or sit idle; of a WebSocket its messages, queues and silence. All bodies together
//! have a bound, and all answers that wait for their clients; the rest is bounded by the number of connections. The `Host`
//! header is never looked at.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::sync::Arc;
//! use std::time::Duration;
//! use trainyard_http::{Mount, Mounts, Request, Response, Server, ServerConfig, StatusCode, service_fn};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hello = service_fn(async |request: Request| Response::text(StatusCode::OK, request.path()));
//! let mounts = Mounts::new().with(Mount::new("/hello", Arc::new(hello))?)?;
//! let server = Server::start(ServerConfig::new("127.0.0.1:0".parse()?), mounts)?;
//!
//! let mut client = std::net::TcpStream::connect(server.local_addr())?;
//! client.write_all(b"GET /hello/you HTTP/1.1\r\nconnection: close\r\n\r\n")?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//! assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
//! assert!(answer.ends_with("/hello/you"));
//!
//! assert_eq!(server.shutdown(Duration::from_secs(5)).connections_cut(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! - `tower`: `Tower` wraps a [`Service`] as a `tower_service::Service`, so it mounts in tower and axum.

mod body;
mod mounts;
mod multipart;
mod public_url;
mod reading;
mod request;
mod request_id;
mod response;
mod room;
mod routes;
pub mod secret;
mod server;
mod service;
pub mod signed;
mod stream;
mod task;
#[cfg(feature = "tower")]
mod tower;
mod websocket;

pub use bytes::Bytes;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

pub use crate::body::{Body, BodyError};
pub use crate::mounts::{Mount, MountError, Mounts};
pub use crate::multipart::{Multipart, MultipartError, MultipartLimits, Part};
pub use crate::public_url::{BadPublicUrl, PublicUrl};
pub use crate::request::Request;
pub use crate::request_id::RequestId;
pub use crate::response::Response;
pub use crate::room::Share;
pub use crate::routes::{Found, Params, RouteError, Routes};
pub use crate::server::{RunningServer, Server, ServerConfig, Shutdown, StartError};
pub use crate::service::{Answer, Service, ServiceFn, service_fn};
pub use crate::stream::{ByteSender, SendError};
pub use crate::task::{DropLater, Seat, Seats, block_on, blocking, blocking_later, timeout};
#[cfg(feature = "tower")]
pub use crate::tower::{Tower, TowerBody};
pub use crate::websocket::handshake::UpgradeError;
pub use crate::websocket::{Message, WebSocket, WebSocketError, WebSocketEvent, WebSocketLimits};
