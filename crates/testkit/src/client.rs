//! A connection over which bytes go as they are, also such as no well-kept HTTP client would send.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpListener;
//! use trainyard_testkit::client::Client;
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let mut client = Client::connect(listener.local_addr()?);
//! let (mut server, _) = listener.accept()?;
//! assert!(client.send("GET / HTTP/1.1\r\n"));
//! server.read_exact(&mut [0; 16])?;
//! server.write_all(b"HTTP/1.1 400 Bad Request\r\nretry-after: 5\r\n\r\nno host")?;
//! drop(server);
//!
//! let answer = client.answer();
//! assert_eq!((answer.status, answer.text()), (400, "no host"));
//! assert_eq!(answer.header("retry-after"), Some("5"));
//! # Ok::<(), std::io::Error>(())
//! ```

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Long enough for anything that is going to happen at all.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What an answer may have at most, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// A connection, for one answer.
#[derive(Debug)]
pub struct Client(TcpStream);

/// An answer, read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, in order.
    pub headers: Vec<(String, String)>,
    /// Whatever came after them, chunks and all.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer with this content type, and no other header.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self { status, headers, body: body.into() }
    }

    /// The first header of this name, which is in small letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// The body, where it is text; else the word `bytes`.
    #[must_use]
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap_or("bytes")
    }
}

impl Client {
    /// Connects. What the server does not say within [`PATIENCE`] is not waited for.
    ///
    /// # Panics
    /// When nobody listens there.
    #[must_use]
    pub fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).expect("somebody listens there");
        stream.set_read_timeout(Some(PATIENCE)).expect("there is a socket");
        stream.set_nodelay(true).expect("there is a socket");
        Self(stream)
    }

    /// Sends bytes; whether they were taken.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// The answer to a request that asked for the connection to be closed.
    ///
    /// # Panics
    /// When the server does not close, or what it said is no answer, or more than 64 MiB.
    #[must_use]
    pub fn answer(self) -> Answer {
        let mut told = Vec::new();
        match (&self.0).take(ANSWER_BYTES_MAX).read_to_end(&mut told) {
            Ok(read) => assert!((read as u64) < ANSWER_BYTES_MAX, "the answer has no end"),
            // What was on its way to a server that had said all it had to say.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the server did not close: {error}"),
        }
        let end = told.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(&told)));
        let head = str::from_utf8(&told[..end]).expect("a head is text");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok());
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").expect("a header has a name and a value");
            (name.to_owned(), value.to_owned())
        };
        Answer {
            status: status.expect("an answer has a status"),
            headers: lines.map(header).collect(),
            body: told[end + 4..].to_vec(),
        }
    }
}
