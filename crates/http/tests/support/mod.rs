//! A client over plain sockets, a gate that holds handlers back, and other processes.
#![allow(dead_code, reason = "each test crate uses its own part")]

#[cfg(unix)]
pub(crate) mod apart;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use trainyard_http::{Mount, Mounts, Request, Response, RunningServer, Server, ServerConfig, service_fn};

/// Longer than any test takes, on a slow machine too; a test that runs into it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Where nobody is ever too slow, longer than [`PATIENCE`]: what a test bounds beside it is what it sees.
pub(crate) fn config() -> ServerConfig {
    let hour = Duration::from_secs(3_600);
    let config = ServerConfig::new("127.0.0.1:0".parse().unwrap());
    let config =
        config.with_header_timeout(hour).with_keep_alive_timeout(hour).with_write_stall_timeout(hour);
    config.with_body_timeout(hour).with_body_stall_timeout(hour)
}

/// A server with one service at the root.
pub(crate) fn serve<F, Fut>(config: ServerConfig, function: F) -> RunningServer
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    let mount = Mount::new("/", Arc::new(service_fn(function))).unwrap();
    Server::start(config, Mounts::new().with(mount).unwrap()).unwrap()
}

pub(crate) struct Client(BufReader<TcpStream>);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(BufReader::new(stream))
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends as long as the server takes it.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    /// Sends nothing more, and still listens.
    pub(crate) fn end(&mut self) -> &mut Client {
        self.0.get_mut().shutdown(Shutdown::Write).unwrap();
        self
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\n\r\n")).receive()
    }

    pub(crate) fn receive(&mut self) -> Answer {
        let mut answer = self.receive_head();
        let mut body = Vec::new();
        if let Some(length) = answer.headers.get("content-length") {
            body.resize(length.parse().unwrap(), 0);
            self.0.read_exact(&mut body).unwrap();
        } else if answer.headers.get("transfer-encoding").is_some_and(|value| value == "chunked") {
            loop {
                let size = usize::from_str_radix(&self.line(), 16).unwrap();
                let start = body.len();
                body.resize(start + size, 0);
                self.0.read_exact(&mut body[start..]).unwrap();
                assert_eq!(self.line(), "");
                if size == 0 {
                    break;
                }
            }
        }
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    pub(crate) fn receive_head(&mut self) -> Answer {
        let status = self.line();
        let status = status.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).expect(&status);
        let mut answer =
            Answer { status: status.parse().unwrap(), headers: BTreeMap::new(), body: String::new() };
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else {
                return answer;
            };
            answer.headers.insert(name.to_owned(), value.to_owned());
        }
    }

    pub(crate) fn read_exactly(&mut self, bytes: usize) -> Vec<u8> {
        let mut taken = vec![0; bytes];
        self.0.read_exact(&mut taken).unwrap();
        taken
    }

    /// Waits for the server to close, and gives back what came before.
    pub(crate) fn rest(&mut self) -> String {
        String::from_utf8_lossy(&self.rest_bytes()).into_owned()
    }

    pub(crate) fn rest_bytes(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the server did not close: {error}"),
        }
        rest
    }

    /// Whether nothing has come yet.
    pub(crate) fn has_nothing(&mut self) -> bool {
        self.has_nothing_within(Duration::from_millis(50))
    }

    /// Whether nothing comes for a while, not even the end.
    pub(crate) fn has_nothing_within(&mut self, time: Duration) -> bool {
        self.0.get_ref().set_read_timeout(Some(time)).unwrap();
        let nothing = match self.0.fill_buf() {
            Ok(_) => false,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        self.0.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        nothing
    }

    /// Reads a body in `steps`, with such a rest before each. How much of it came?
    pub(crate) fn read_slowly(&mut self, length: usize, steps: usize, rest: Duration) -> usize {
        let mut piece = vec![0; length.div_ceil(steps)];
        let mut taken = 0;
        while taken < length {
            std::thread::sleep(rest);
            let wanted = piece.len().min(length - taken);
            match self.0.read_exact(&mut piece[..wanted]) {
                Ok(()) => taken += wanted,
                Err(_) => break,
            }
        }
        taken
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.strip_suffix("\r\n").expect("the server closed in the middle of an answer").to_owned()
    }
}

/// Holds futures back until it is opened, and knows how many there are.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    open: bool,
    arrived: usize,
    wakers: Vec<Waker>,
}

impl Gate {
    pub(crate) fn new() -> Arc<Gate> {
        Arc::default()
    }

    pub(crate) async fn pass(&self) {
        self.state.lock().unwrap().arrived += 1;
        self.changed.notify_all();
        poll_fn(|cx| {
            let mut state = self.state.lock().unwrap();
            if state.open {
                return Poll::Ready(());
            }
            state.wakers.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Blocks the test until that many have arrived in all.
    pub(crate) fn wait_for(&self, arrived: usize) {
        let state = self.state.lock().unwrap();
        let (_state, timeout) =
            self.changed.wait_timeout_while(state, PATIENCE, |state| state.arrived < arrived).unwrap();
        assert!(!timeout.timed_out(), "fewer than {arrived} arrived");
    }

    pub(crate) fn open(&self) {
        let mut state = self.state.lock().unwrap();
        state.open = true;
        state.wakers.drain(..).for_each(Waker::wake);
    }
}
