//! What a status request costs the server, beside a bare hyper server that answers the same bytes; and whether
//! `train` calls that wait for their answer make others wait.
//!
//! Both are asked in turn by the same clients over keep-alive connections. What counts is time on a core of all
//! threads but the clients'. Ends with a failure when a limit is broken.
//!
//! `cargo bench --bench status_requests`

use std::convert::Infallible;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use trainyard_benches::cpu_seconds_except;
use trainyard_core::{QueueName, Reason};
use trainyard_server::{JournalChoice, Service, ServiceConfig};

const CLIENTS: usize = 8;
const REQUESTS: usize = 500;
const ROUNDS: usize = 41;
const OUTSTANDING: usize = 1_000;
const LIMIT: f64 = 1.33;
const STATUS: &str = "/v1/indexes/training-status";
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("trainyard-status-{}", std::process::id()));
    let config =
        ServiceConfig::new(&folder).with_listen("127.0.0.1:0".parse()?).with_journal(JournalChoice::Memory);
    let (service, _) = Service::open(config)?;
    let ours = service.local_addr();

    let mut client = Client::connect(ours)?;
    let bare = bare_hyper(client.get(STATUS)?)?;
    let (mut theirs, mut mine, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let costs = (cost(bare, STATUS)?, cost(ours, STATUS)?);
        theirs.push(costs.0);
        mine.push(costs.1);
        ratios.push(costs.1 / costs.0);
    }
    let ratio = median(&mut ratios);
    println!(
        "medians: bare hyper {:.2} us, ours {:.2} us",
        median(&mut theirs) * 1e6,
        median(&mut mine) * 1e6
    );
    println!("CPU per status request, ours / bare hyper: {ratio:.3} (limit {LIMIT}, aim 1.1)");

    let [idle, idle_status] = [latency(ours, "/v1/health")?, latency(ours, STATUS)?];
    service.yard().pause_queue(QueueName::new("cyborgdb")?, Reason::new("bench")).wait()?;
    client
        .post("/v1/indexes/create", &format!(r#"{{"index_name":"i","index_key":"{KEY}","dimension":8}}"#))?;
    let body = format!(r#"{{"index_name":"i","index_key":"{KEY}"}}"#);
    let mut waiting = Vec::new();
    for _ in 0..OUTSTANDING {
        let mut client = Client::connect(ours)?;
        client.send("POST", "/v1/indexes/train", &body)?;
        waiting.push(client);
    }
    let outstanding = br#""i""#;
    while client.get(STATUS)?.windows(3).filter(|part| part == outstanding).count() < 2 * OUTSTANDING {}
    let [busy, busy_status] = [latency(ours, "/v1/health")?, latency(ours, STATUS)?];
    println!(
        "median answer of health with no train call waiting {idle:?}, with {OUTSTANDING} waiting {busy:?}"
    );
    let bytes = client.get(STATUS)?.len();
    println!(
        "median status with none waiting {idle_status:?}, with {OUTSTANDING}, in {bytes} bytes, {busy_status:?}"
    );

    drop(waiting);
    service.shutdown(Duration::from_secs(5));
    std::fs::remove_dir_all(folder)?;
    if ratio > LIMIT { Err("the limit is broken".into()) } else { Ok(()) }
}

/// Seconds on a core per request, clients left out.
fn cost(server: SocketAddr, path: &'static str) -> io::Result<f64> {
    let before = cpu_seconds_except("client");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            thread::Builder::new().name(format!("client {n}")).spawn(move || -> io::Result<()> {
                let mut client = Client::connect(server)?;
                (0..REQUESTS).try_for_each(|_| client.get(path).map(drop))
            })
        })
        .collect::<Result<_, _>>()?;
    for client in clients {
        client.join().map_err(|_| io::Error::other("a client broke"))??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    let requests = (CLIENTS * REQUESTS) as f64;
    Ok((cpu_seconds_except("client") - before) / requests)
}

fn latency(server: SocketAddr, path: &str) -> io::Result<Duration> {
    let mut client = Client::connect(server)?;
    let mut times = Vec::new();
    for _ in 0..2_000 {
        let start = Instant::now();
        client.get(path)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The least that answers: one thread, one connection a task, the same bytes every time.
fn bare_hyper(answer: Vec<u8>) -> Result<SocketAddr, Box<dyn Error>> {
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
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    fn connect(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 65_536] })
    }

    fn get(&mut self, path: &str) -> io::Result<Vec<u8>> {
        self.send("GET", path, "")?;
        self.answer()
    }

    fn post(&mut self, path: &str, body: &str) -> io::Result<Vec<u8>> {
        self.send("POST", path, body)?;
        self.answer()
    }

    fn send(&mut self, method: &str, path: &str, body: &str) -> io::Result<()> {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
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
