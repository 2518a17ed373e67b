//! The service behind a real listener, and a client that sends what it likes.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use trainyard_http::{
    Mount, Mounts, Request, Response, RunningServer, Server, ServerConfig, StatusCode, service_fn,
};

use super::{Adapter, Told};

/// Long enough for anything that is going to happen at all.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// As an embedding service mounts it, beside somebody else who has the rest of `/v1`.
pub fn serve(adapter: &Adapter) -> RunningServer {
    let neighbour = service_fn(async |_: Request| Response::text(StatusCode::OK, "somebody else"));
    let rest = Mounts::new().with(Mount::new("/v1", Arc::new(neighbour)).unwrap()).unwrap();
    let mounts = adapter.mounts().into_iter().try_fold(rest, Mounts::with).unwrap();
    Server::start(ServerConfig::new("127.0.0.1:0".parse().unwrap()), mounts).unwrap()
}

/// A connection, for one request.
pub struct Client {
    stream: TcpStream,
    /// What was sent first: a request line.
    first: Vec<u8>,
}

impl Client {
    pub fn connect(server: &RunningServer) -> Self {
        let stream = TcpStream::connect(server.local_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, first: Vec::new() }
    }

    /// Sends bytes; whether they were taken.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let bytes = bytes.as_ref();
        if self.first.is_empty() {
            self.first = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default().to_vec();
        }
        self.stream.write_all(bytes).is_ok()
    }

    /// The answer to a request that asked for the connection to be closed. A 200 has the form of its schema.
    pub fn answer(mut self) -> Told {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the server did not close: {error}"),
        }
        let place = rest.windows(4).position(|window| window == b"\r\n\r\n").expect("there is a head");
        let head = String::from_utf8(rest[..place].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        };
        let told = Told { status, headers: lines.map(header).collect(), bytes: rest[place + 4..].to_vec() };
        let line = String::from_utf8(self.first).unwrap();
        let [method, path, _] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line} is no request line")
        };
        told.check(&method.parse().unwrap(), path);
        told
    }
}
