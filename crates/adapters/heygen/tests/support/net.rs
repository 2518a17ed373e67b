//! The service behind a real listener, and a client that sends what it likes.

use std::sync::Arc;

use trainyard_http::{
    Mount, Mounts, Request, Response, RunningServer, Server, ServerConfig, StatusCode, service_fn,
};
use trainyard_testkit::client;

use super::{Adapter, Told};

pub use trainyard_testkit::client::PATIENCE;

/// As an embedding service mounts it, beside somebody else who has the rest of `/v1`.
pub fn serve(adapter: &Adapter) -> RunningServer {
    let neighbour = service_fn(async |_: Request| Response::text(StatusCode::OK, "somebody else"));
    let rest = Mounts::new().with(Mount::new("/v1", Arc::new(neighbour)).unwrap()).unwrap();
    let mounts = adapter.mounts().into_iter().try_fold(rest, Mounts::with).unwrap();
    Server::start(ServerConfig::new("127.0.0.1:0".parse().unwrap()), mounts).unwrap()
}

/// A connection, for one request.
pub struct Client {
    client: client::Client,
    /// What was sent first: a request line.
    first: Vec<u8>,
}

impl Client {
    pub fn connect(server: &RunningServer) -> Self {
        Self { client: client::Client::connect(server.local_addr()), first: Vec::new() }
    }

    /// Sends bytes; whether they were taken.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let bytes = bytes.as_ref();
        if self.first.is_empty() {
            self.first = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default().to_vec();
        }
        self.client.send(bytes)
    }

    /// The answer to a request that asked for the connection to be closed. A 200 has the form of its schema.
    pub fn answer(self) -> Told {
        let told = Told(self.client.answer());
        let line = String::from_utf8(self.first).unwrap();
        let [method, path, _] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line} is no request line")
        };
        told.check(&method.parse().unwrap(), path);
        told
    }
}
