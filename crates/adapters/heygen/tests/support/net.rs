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
const PATIENCE: Duration = Duration::from_secs(60);

/// As an embedding service mounts it, beside somebody else who has the rest of `/v1`.
pub fn serve(adapter: &Adapter) -> RunningServer {
    let limits = *adapter.settings().limits();
    let mount = |prefix: &str| Mount::new(prefix, Arc::new(adapter.clone())).unwrap();
    let neighbour = service_fn(async |_: Request| Response::text(StatusCode::OK, "somebody else"));
    let mounts = Mounts::new()
        .with(Mount::new("/v1", Arc::new(neighbour)).unwrap())
        .and_then(|mounts| mounts.with(mount(Adapter::PREFIX).with_body_limit(limits.json_bytes)))
        .and_then(|mounts| {
            let assets = mount(Adapter::ASSETS).with_body_limit(limits.upload_bytes);
            mounts.with(assets.with_body_timeout(limits.upload_time))
        })
        .unwrap();
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

    /// The answer to a request that asked for the connection to be closed.
    pub fn answer(mut self) -> Told {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
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
        Told { status, headers: lines.map(header).collect(), bytes: rest[place + 4..].to_vec() }
    }
}
