//! The service behind a real listener, and a client that sends what it likes.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use trainyard_http::{Mounts, RunningServer, Server, ServerConfig};

use super::{Adapter, Told};

/// Long enough for anything that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// As an embedding service mounts it.
pub fn serve(adapter: &Adapter) -> RunningServer {
    let mounts = adapter.mounts().into_iter().try_fold(Mounts::new(), Mounts::with).unwrap();
    Server::start(ServerConfig::new("127.0.0.1:0".parse().unwrap()), mounts).unwrap()
}

pub struct Client(TcpStream);

impl Client {
    pub fn connect(server: &RunningServer) -> Self {
        let stream = TcpStream::connect(server.local_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Sends bytes; whether they were taken.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// Everything until the server closes.
    pub fn rest(mut self) -> String {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the server did not close: {error}"),
        }
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// The answer to a request that asked for the connection to be closed.
    pub fn answer(self) -> Told {
        let text = self.rest();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        };
        Told { status, headers: lines.map(header).collect(), body: body.to_owned() }
    }
}
