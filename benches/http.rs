//! Asking servers over keep-alive connections, and the least that answers.

use std::convert::Infallible;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use crate::cpu_seconds_except;

const CLIENTS: usize = 8;
const REQUESTS: usize = 500;

/// Seconds on a core per request, clients left out: eight clients ask for these paths in turn, 500 times each, and
/// send this header with each request, if it is not empty.
///
/// # Errors
/// When a connection breaks.
pub fn cost(server: SocketAddr, paths: &[String], header: &str) -> io::Result<f64> {
    let before = cpu_seconds_except("client");
    thread::scope(|scope| {
        let client = |n: usize| {
            let work = move || -> io::Result<()> {
                let mut client = Client::connect(server)?.with_header(header);
                let mut paths = paths.iter().cycle().skip(n * paths.len() / CLIENTS);
                (0..REQUESTS).try_for_each(|_| match paths.next() {
                    Some(path) => client.get(path).map(drop),
                    None => Err(io::Error::other("nothing is asked for")),
                })
            };
            thread::Builder::new().name(format!("client {n}")).spawn_scoped(scope, work)
        };
        let clients = (0..CLIENTS).map(client).collect::<Result<Vec<_>, _>>()?;
        clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| io::Error::other("a client broke"))?)
    })?;
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    let requests = (CLIENTS * REQUESTS) as f64;
    Ok((cpu_seconds_except("client") - before) / requests)
}

/// The least that answers: one thread, one connection a task, the same bytes every time.
///
/// # Errors
/// When no port or thread is to be had.
pub fn bare_hyper(answer: Vec<u8>) -> Result<SocketAddr, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = Bytes::from(answer);
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let answer = answer.clone();
            let service = hyper::service::service_fn(move |_: Request<Incoming>| {
                let mut response = Response::new(Full::new(answer.clone()));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response.headers_mut().insert("x-request-id", HeaderValue::from_static("0123456789ab-1234"));
                async { Ok::<_, Infallible>(response) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    };
    thread::Builder::new()
        .name("bare hyper".into())
        .spawn(move || -> io::Result<()> { runtime.block_on(serve) })?;
    Ok(address)
}

/// One keep-alive connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    header: String,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 65_536], header: String::new() })
    }

    /// Sends a header with each request, such as `authorization: Bearer 7`.
    #[must_use]
    pub fn with_header(mut self, header: &str) -> Self {
        self.header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
        self
    }

    /// Asks for something, and waits for the body of the answer.
    ///
    /// # Errors
    /// When the connection breaks, or the answer does not say how long it is.
    pub fn get(&mut self, path: &str) -> io::Result<Vec<u8>> {
        self.send("GET", path, "")?;
        self.answer()
    }

    /// Sends JSON, and waits for the body of the answer.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub fn post(&mut self, path: &str, body: &str) -> io::Result<Vec<u8>> {
        self.send("POST", path, body)?;
        self.answer()
    }

    /// Sends a request, and waits for nothing.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn send(&mut self, method: &str, path: &str, body: &str) -> io::Result<()> {
        self.send_as("application/json", method, path, body)
    }

    /// Sends a file as a form, and waits for the body of the answer.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub fn upload(&mut self, path: &str, file: &str) -> io::Result<Vec<u8>> {
        let form = format!(
            "--xX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\
             content-type: text/csv\r\n\r\n{file}\r\n--xX--\r\n"
        );
        self.send_as("multipart/form-data; boundary=xX", "POST", path, &form)?;
        self.answer()
    }

    fn send_as(&mut self, media: &str, method: &str, path: &str, body: &str) -> io::Result<()> {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n{}\
             content-type: {media}\r\ncontent-length: {length}\r\n\r\n{body}",
            self.header
        );
        self.stream.write_all(head.as_bytes())
    }

    /// The body of the next answer.
    fn answer(&mut self) -> io::Result<Vec<u8>> {
        let mut got = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[got..])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            got += read;
            let text = &self.buffer[..got];
            let Some(head) = text.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
            let length = content_length(&text[..head]).ok_or(io::ErrorKind::InvalidData)?;
            let end = head + 4 + length;
            if end > self.buffer.len() {
                self.buffer.resize(end, 0);
            }
            if got >= end {
                return Ok(self.buffer[head + 4..end].to_vec());
            }
        }
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let (_, value) = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    value.trim().parse().ok()
}
