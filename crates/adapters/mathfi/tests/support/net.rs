//! The service behind a real listener, and a client that sends what it likes.

use trainyard_http::{Mounts, RunningServer, Server, ServerConfig};
use trainyard_testkit::client;

use super::{Adapter, Told};

/// As an embedding service mounts it.
pub fn serve(adapter: &Adapter) -> RunningServer {
    let mounts = adapter.mounts().into_iter().try_fold(Mounts::new(), Mounts::with).unwrap();
    Server::start(ServerConfig::new("127.0.0.1:0".parse().unwrap()), mounts).unwrap()
}

/// A connection, for one request.
pub struct Client(client::Client);

impl Client {
    pub fn connect(server: &RunningServer) -> Self {
        Self(client::Client::connect(server.local_addr()))
    }

    /// Sends bytes; whether they were taken.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.send(bytes)
    }

    /// The answer to a request that asked for the connection to be closed.
    pub fn answer(self) -> Told {
        Told(self.0.answer())
    }
}
