//! Asking servers over keep-alive connections, and the least that answers.

use std::convert::Infallible;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
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
    let headers = [("content-type", "application/json"), ("x-request-id", "0123456789ab-1234")];
    bare_hyper_with(answer, &headers.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

/// The same with these headers, besides those that hyper sets itself.
///
/// # Errors
/// When no port or thread is to be had, or a header is none.
pub fn bare_hyper_with(answer: Vec<u8>, headers: &[(String, String)]) -> Result<SocketAddr, Box<dyn Error>> {
    let headers: Vec<(HeaderName, HeaderValue)> = headers
        .iter()
        .map(|(name, value)| Ok((name.parse()?, value.parse()?)))
        .collect::<Result<_, Box<dyn Error>>>()?;
    let headers: Arc<[_]> = headers.into();
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
            let (answer, headers) = (answer.clone(), Arc::clone(&headers));
            let service = hyper::service::service_fn(move |_: Request<Incoming>| {
                let mut response = Response::new(Full::new(answer.clone()));
                let there = response.headers_mut();
                headers.iter().for_each(|(name, value)| drop(there.insert(name, value.clone())));
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

    /// Sends bytes of this sort, and waits for the body of the answer.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub fn post_bytes(&mut self, media: &str, path: &str, body: &[u8]) -> io::Result<Vec<u8>> {
        self.send_bytes(media, "POST", path, body)?;
        self.answer()
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
        self.send_bytes(media, method, path, body.as_bytes())
    }

    fn send_bytes(&mut self, media: &str, method: &str, path: &str, body: &[u8]) -> io::Result<()> {
        self.stream.write_all(&message(method, path, &self.header, media, body))
    }

    /// The status of what was answered last, and its headers in lower case.
    #[must_use]
    pub fn head(&self) -> (u16, Vec<(String, String)>) {
        let head = self.buffer.split(|byte| *byte == b'\r').take(64).take_while(|line| line.len() > 1);
        let mut lines = head.map(|line| String::from_utf8_lossy(line).trim().to_owned());
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_ascii_lowercase(), value.to_owned()))
        });
        (status, headers.collect())
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

/// A request as it goes over the wire; `headers` are whole lines.
#[must_use]
pub fn message(method: &str, path: &str, headers: &str, media: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n{headers}\
         content-type: {media}\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

pub(crate) fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let (_, value) = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    value.trim().parse().ok()
}
