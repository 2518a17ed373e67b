//! Clients and servers in processes of their own, so that only what is asked about counts as its work.
//!
//! A bench starts itself anew for them: its `main` begins with [`role`].

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::{bare_hyper_with, content_length};

/// Says which part of a bench a process plays.
const ROLE: &str = "TRAINYARD_BENCH_ROLE";

/// What this process is here for, when it is not the bench itself.
#[must_use]
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// This program once more, in another role. It ends when its standard input does.
pub struct Helper {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Helper {
    /// Starts it.
    ///
    /// # Errors
    /// When the system has no processes left.
    pub fn start(role: &str) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(std::env::args_os().skip(1)).env(ROLE, role);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().ok_or("it has no output")?);
        Ok(Self { child, stdin, stdout })
    }

    /// Which process it is.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Tells it something.
    ///
    /// # Errors
    /// When it is gone.
    pub fn tell(&mut self, words: &Value) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(stdin, "{words}")
    }

    /// What it says next.
    ///
    /// # Errors
    /// When it is gone.
    pub fn hear(&mut self) -> Result<Value, Box<dyn Error>> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(serde_json::from_str(&line).map_err(|_| format!("a helper said {line:?}"))?)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // It may have ended by itself; then there is nothing to wait for.
        let _ = self.child.wait();
    }
}

/// What clients are to ask.
pub struct Ask<'a> {
    /// Whom.
    pub server: SocketAddr,
    /// Over so many connections.
    pub connections: usize,
    /// So often over each.
    pub requests: usize,
    /// Whole requests, asked in turn; texts.
    pub messages: &'a [Vec<u8>],
}

/// Clients in a process of their own: one thread, one task a connection.
pub struct Clients(Helper);

impl Clients {
    /// The role of their process; see [`be_clients`].
    pub const ROLE: &'static str = "clients";

    /// Starts them.
    ///
    /// # Errors
    /// As for [`Helper::start`].
    pub fn start() -> Result<Self, Box<dyn Error>> {
        Ok(Self(Helper::start(Self::ROLE)?))
    }

    /// Connects, asks once over each connection, and is ready for more.
    ///
    /// # Errors
    /// When the process is gone, or an answer is no 200.
    pub fn prepare(&mut self, ask: &Ask<'_>) -> Result<(), Box<dyn Error>> {
        let messages: Vec<_> = ask.messages.iter().map(|message| String::from_utf8_lossy(message)).collect();
        self.0.tell(&json!({
            "server": ask.server.to_string(), "connections": ask.connections, "requests": ask.requests,
            "messages": messages,
        }))?;
        self.0.hear().map(drop)
    }

    /// Asks all that was prepared; says how long it took.
    ///
    /// # Errors
    /// When the process is gone, or an answer is no 200.
    pub fn run(&mut self) -> Result<Duration, Box<dyn Error>> {
        self.0.tell(&json!("go"))?;
        let seconds = self.0.hear()?.as_f64().ok_or("a helper said no time")?;
        Ok(Duration::from_secs_f64(seconds))
    }
}

/// Is the process of [`Clients`], until its standard input ends.
///
/// # Errors
/// When an answer is no 200.
pub fn be_clients() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut lines = io::stdin().lines();
    while let Some(line) = lines.next() {
        let asked: Value = serde_json::from_str(&line?)?;
        let server: SocketAddr = asked["server"].as_str().ok_or("no server")?.parse()?;
        let number = |name: &str| asked[name].as_u64().and_then(|number| usize::try_from(number).ok());
        let connections = number("connections").ok_or("no connections")?;
        let requests = number("requests").ok_or("no requests")?;
        let messages = asked["messages"].as_array().ok_or("no messages")?.iter().filter_map(Value::as_str);
        let messages: Vec<Vec<u8>> = messages.map(|message| message.as_bytes().to_vec()).collect();
        let messages: &'static [Vec<u8>] = messages.leak();
        let mut open = Vec::new();
        for number in 0..connections {
            let first = number * messages.len() / connections;
            let mut connection =
                runtime.block_on(Connection::open(server, messages.iter().cycle().skip(first)))?;
            runtime.block_on(connection.ask(1))?;
            open.push(connection);
        }
        println!("{}", json!("ready"));
        if lines.next().is_none() {
            break;
        }
        let begun = Instant::now();
        runtime.block_on(async {
            let asking: Vec<_> = open
                .into_iter()
                .map(|mut connection| tokio::spawn(async move { connection.ask(requests).await }))
                .collect();
            for asked in asking {
                asked.await.map_err(io::Error::other)??;
            }
            io::Result::Ok(())
        })?;
        println!("{}", json!(begun.elapsed().as_secs_f64()));
    }
    Ok(())
}

struct Connection<M> {
    stream: TcpStream,
    messages: M,
    buffer: Vec<u8>,
}

impl<M: Iterator<Item = &'static Vec<u8>>> Connection<M> {
    async fn open(server: SocketAddr, messages: M) -> io::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, messages, buffer: vec![0; 16_384] })
    }

    async fn ask(&mut self, requests: usize) -> io::Result<()> {
        for _ in 0..requests {
            let message = self.messages.next().ok_or(io::ErrorKind::InvalidInput)?;
            self.stream.write_all(message).await?;
            self.answer().await?;
        }
        Ok(())
    }

    async fn answer(&mut self) -> io::Result<()> {
        let mut got = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[got..]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            got += read;
            let text = &self.buffer[..got];
            let Some(head) = text.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
            if !text.starts_with(b"HTTP/1.1 200") {
                return Err(io::Error::other(String::from_utf8_lossy(text).into_owned()));
            }
            let length = content_length(&text[..head]).ok_or(io::ErrorKind::InvalidData)?;
            let end = head + 4 + length;
            if end > self.buffer.len() {
                self.buffer.resize(end, 0);
            }
            if got >= end {
                return Ok(());
            }
        }
    }
}

/// A bare hyper server in a process of its own, a listener for each of these answers.
pub struct Bare(Helper);

impl Bare {
    /// The role of its process; see [`be_bare`].
    pub const ROLE: &'static str = "bare";

    /// Starts it.
    ///
    /// # Errors
    /// As for [`Helper::start`].
    pub fn start() -> Result<Self, Box<dyn Error>> {
        Ok(Self(Helper::start(Self::ROLE)?))
    }

    /// Which process it is.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.0.process()
    }

    /// Answers with these headers and this text at an address of its own.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn answer(&mut self, headers: &[(String, String)], text: &str) -> Result<SocketAddr, Box<dyn Error>> {
        self.0.tell(&json!({ "headers": headers, "text": text }))?;
        Ok(self.0.hear()?.as_str().ok_or("a helper said no address")?.parse()?)
    }
}

/// Is the process of [`Bare`], until its standard input ends.
///
/// # Errors
/// When no port or thread is to be had.
pub fn be_bare() -> Result<(), Box<dyn Error>> {
    for line in io::stdin().lines() {
        let told: Value = serde_json::from_str(&line?)?;
        let headers: Vec<(String, String)> = serde_json::from_value(told["headers"].clone())?;
        let text = told["text"].as_str().ok_or("no text")?;
        println!("{}", json!(bare_hyper_with(text.as_bytes().to_vec(), &headers)?.to_string()));
    }
    Ok(())
}
