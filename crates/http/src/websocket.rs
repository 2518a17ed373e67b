use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::request_id::RequestId;
use crate::server::bounded;

pub(crate) mod handshake;

/// One open WebSocket, as a service holds it; begun by [`Request::upgrade`](crate::Request::upgrade).
///
/// The server reads and writes by itself: it answers pings, finds out about a peer that is gone, and closes when it
/// stops. Messages wait in two short queues in between, so whoever does not [`receive`](Self::receive) makes the peer
/// wait, and a peer that does not read makes [`send`](Self::send) wait.
///
/// Dropped, it is closed with the code 1000, after what was sent before.
///
/// ```
/// use trainyard_http::{Message, Request, Response, WebSocketLimits};
///
/// /// Says everything twice.
/// async fn answer(request: Request) -> Response {
///     let upgraded = request.upgrade(WebSocketLimits::new(), async |mut socket| {
///         while let Some(Message::Text(words)) = socket.receive().await {
///             if socket.send_text(format!("{words} {words}")).await.is_err() {
///                 return;
///             }
///         }
///     });
///     upgraded.unwrap_or_else(|error| Response::text(error.status(), error.to_string()))
/// }
/// ```
#[derive(Debug)]
pub struct WebSocket {
    incoming: mpsc::Receiver<Message>,
    outgoing: mpsc::Sender<Order>,
    message_bytes: usize,
}

/// What a WebSocket carries, in either direction. Pings, pongs and the words of a close are the server's alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text in UTF-8.
    Text(String),
    /// Any bytes.
    Binary(Bytes),
}

impl Message {
    /// Bytes of what it carries.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) => bytes.len(),
        }
    }
}

/// What [`WebSocket::receive_or`] waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebSocketEvent<T> {
    /// A message of the peer.
    Message(Message),
    /// The peer is gone, or the server stops.
    Closed,
    /// The other thing.
    Other(T),
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebSocketError {
    /// The peer is gone, or the server stops.
    #[error("the websocket is closed")]
    Closed,
    /// It is larger than [allowed](WebSocketLimits::with_message_bytes). The WebSocket is as before.
    #[error("the message is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit it broke.
        limit_bytes: usize,
    },
}

impl WebSocket {
    /// Sends `message`, waiting while the peer is slow. Messages arrive whole and in order, or not at all; this does
    /// not tell which. A peer that takes nothing for the server's
    /// [time](crate::ServerConfig::with_write_stall_timeout) is cut.
    ///
    /// # Errors
    ///
    /// [`WebSocketError`], and the message is lost.
    pub async fn send(&mut self, message: Message) -> Result<(), WebSocketError> {
        if message.bytes() > self.message_bytes {
            return Err(WebSocketError::TooLarge { limit_bytes: self.message_bytes });
        }
        self.outgoing.send(Order::Send(message)).await.map_err(|_| WebSocketError::Closed)
    }

    /// Sends a text, as [`send`](Self::send) does.
    ///
    /// # Errors
    ///
    /// [`WebSocketError`], and the text is lost.
    pub async fn send_text(&mut self, text: impl Into<String>) -> Result<(), WebSocketError> {
        self.send(Message::Text(text.into())).await
    }

    /// The next message; `None` when the peer is gone or the server stops, from then on always.
    ///
    /// Dropping the future loses nothing.
    pub async fn receive(&mut self) -> Option<Message> {
        self.incoming.recv().await
    }

    /// Waits for a message or for `other`, whichever comes first. When both are there, either may be given back; what
    /// is not, is there the next time.
    pub async fn receive_or<T>(
        &mut self,
        other: Pin<&mut (impl Future<Output = T> + Send)>,
    ) -> WebSocketEvent<T> {
        tokio::select! {
            message = self.incoming.recv() => message.map_or(WebSocketEvent::Closed, WebSocketEvent::Message),
            other = other => WebSocketEvent::Other(other),
        }
    }

    /// Closes, after what was sent before, with a code and a reason that the peer is told.
    ///
    /// A code that may not be sent (RFC 6455, section 7.4) becomes 1000; of the reason, the first 123 bytes are sent.
    /// Waits only while the peer is slow to take what was sent, not for its answer.
    pub async fn close(self, code: u16, reason: &str) {
        let code = Some(CloseCode::from(code)).filter(|code| code.is_allowed()).unwrap_or(CloseCode::Normal);
        let reason = reason[..reason.floor_char_boundary(REASON_BYTES_MAX)].to_owned();
        // Whoever is gone needs no goodbye.
        let _ = self.outgoing.send(Order::Close(code, reason)).await;
    }
}

/// A control frame holds 125 bytes, and the code takes two.
const REASON_BYTES_MAX: usize = 123;

/// The bounds of one WebSocket.
///
/// A value outside of its bounds is moved to the nearest one. A connection holds at most its queues and one message
/// more in each direction.
///
/// ```
/// use std::time::Duration;
/// use trainyard_http::WebSocketLimits;
///
/// let limits = WebSocketLimits::new().with_message_bytes(4096).with_idle(Duration::from_secs(30));
/// assert_ne!(format!("{limits:?}"), format!("{:?}", WebSocketLimits::new()));
/// ```
#[derive(Debug, Clone)]
pub struct WebSocketLimits {
    message_bytes: usize,
    idle: Duration,
    incoming_messages: usize,
    outgoing_messages: usize,
}

impl WebSocketLimits {
    /// The defaults.
    #[must_use]
    pub fn new() -> WebSocketLimits {
        WebSocketLimits {
            message_bytes: 64 * 1024,
            idle: Duration::from_secs(60),
            incoming_messages: 4,
            outgoing_messages: 16,
        }
    }

    /// Bytes of a message in either direction, whole or in fragments. A peer that sends more is closed with 1009.
    /// Default: 64 KiB; from 125 bytes to 64 MiB.
    #[must_use]
    pub fn with_message_bytes(mut self, bytes: usize) -> WebSocketLimits {
        self.message_bytes = bytes.clamp(125, 64 * 1024 * 1024);
        self
    }

    /// Time in which a whole message, a ping or a pong must come from the peer. It is sent a ping after half of that,
    /// and closed with 1008 half of that later; so a message must arrive in this time, too. The clock stands still
    /// while the service leaves so many messages lying that no more are read. A service that does not notice that its
    /// peer is gone is dropped, at its next `await`, after this time as well.
    /// Default: 60 s; from one millisecond to a year.
    #[must_use]
    pub fn with_idle(mut self, time: Duration) -> WebSocketLimits {
        self.idle = bounded(time);
        self
    }

    /// Messages that wait for the service. Then no more are read. Default: 4; from 1 to 1024.
    #[must_use]
    pub fn with_incoming_messages(mut self, messages: usize) -> WebSocketLimits {
        self.incoming_messages = messages.clamp(1, 1024);
        self
    }

    /// Messages that wait for the peer. Then [`send`](WebSocket::send) waits. Default: 16; from 1 to 1024.
    #[must_use]
    pub fn with_outgoing_messages(mut self, messages: usize) -> WebSocketLimits {
        self.outgoing_messages = messages.clamp(1, 1024);
        self
    }

    pub(crate) fn idle(&self) -> Duration {
        self.idle
    }

    pub(crate) fn protocol(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(self.message_bytes + CONTROL_BYTES_MAX)
            .max_message_size(Some(self.message_bytes))
            .max_frame_size(Some(self.message_bytes))
            .accept_unmasked_frames(false)
    }
}

/// Set aside for every connection, so no more than most messages need.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Pongs and frame headers that may wait beside a message for a peer that does not read.
const CONTROL_BYTES_MAX: usize = 4 * 1024;

impl Default for WebSocketLimits {
    fn default() -> Self {
        WebSocketLimits::new()
    }
}

/// What the connection is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    Send(Message),
    Close(CloseCode, String),
}

/// The other ends of a [`WebSocket`], which the connection holds.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) incoming: mpsc::Sender<Message>,
    pub(crate) outgoing: mpsc::Receiver<Order>,
}

pub(crate) fn websocket(limits: &WebSocketLimits) -> (WebSocket, Ends) {
    let (incoming, receiver) = mpsc::channel(limits.incoming_messages);
    let (sender, outgoing) = mpsc::channel(limits.outgoing_messages);
    let socket = WebSocket { incoming: receiver, outgoing: sender, message_bytes: limits.message_bytes };
    (socket, Ends { incoming, outgoing })
}

/// A WebSocket that was promised to a client: what becomes of the connection after the `101`.
pub(crate) struct Promise {
    pub(crate) on_upgrade: OnUpgrade,
    pub(crate) limits: WebSocketLimits,
    pub(crate) id: RequestId,
    /// In a lock that is never locked: it makes any function `Sync`.
    run: Mutex<Run>,
}

type Run = Box<dyn FnOnce(WebSocket) -> Running + Send>;
pub(crate) type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Promise {
    pub(crate) fn new<F, Fut>(
        on_upgrade: OnUpgrade,
        limits: WebSocketLimits,
        id: RequestId,
        run: F,
    ) -> Promise
    where
        F: FnOnce(WebSocket) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let run: Run = Box::new(move |socket| Box::pin(run(socket)));
        Promise { on_upgrade, limits, id, run: Mutex::new(run) }
    }

    pub(crate) fn into_run(self) -> impl FnOnce(WebSocket) -> Running + Send {
        self.run.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").field("id", &self.id).field("limits", &self.limits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;

    use super::*;
    use crate::block_on;

    fn text(words: &str) -> Message {
        Message::Text(words.to_owned())
    }

    #[test]
    fn what_does_not_come_first_is_there_the_next_time() {
        let (mut socket, ends) = websocket(&WebSocketLimits::new());
        ends.incoming.try_send(text("one")).unwrap();
        block_on(async {
            let mut never = pin!(pending::<u8>());
            assert_eq!(socket.receive_or(never.as_mut()).await, WebSocketEvent::Message(text("one")));
            assert_eq!(socket.receive_or(pin!(ready(7))).await, WebSocketEvent::Other(7));

            ends.incoming.try_send(text("two")).unwrap();
            let mut other = pin!(ready(8));
            match socket.receive_or(other.as_mut()).await {
                WebSocketEvent::Message(message) => {
                    assert_eq!((message, other.await), (text("two"), 8));
                }
                WebSocketEvent::Other(number) => {
                    assert_eq!((socket.receive().await, number), (Some(text("two")), 8));
                }
                WebSocketEvent::Closed => panic!("closed"),
            }

            drop(ends);
            assert_eq!(socket.receive_or(never).await, WebSocketEvent::Closed);
            assert_eq!(socket.receive().await, None);
            assert_eq!(socket.send(text("three")).await, Err(WebSocketError::Closed));
        });
    }

    #[test]
    fn what_is_too_large_is_not_sent() {
        let (mut socket, mut ends) = websocket(&WebSocketLimits::new().with_message_bytes(0));
        block_on(async {
            let too_large = Err(WebSocketError::TooLarge { limit_bytes: 125 });
            assert_eq!(socket.send_text("x".repeat(126)).await, too_large);
            assert_eq!(socket.send(Message::Binary(vec![0; 126].into())).await, too_large);
            assert_eq!(socket.send_text("x".repeat(125)).await, Ok(()));
        });
        assert!(matches!(ends.outgoing.try_recv(), Ok(Order::Send(message)) if message.bytes() == 125));
        assert!(ends.outgoing.try_recv().is_err());
    }

    #[test]
    fn a_code_or_a_reason_that_may_not_be_sent_is_made_one_that_may() {
        let check = |code: u16, reason: &str, expected: (u16, &str)| {
            let (socket, mut ends) = websocket(&WebSocketLimits::new());
            block_on(socket.close(code, reason));
            let Ok(Order::Close(code, reason)) = ends.outgoing.try_recv() else {
                panic!("no close for {code}");
            };
            assert_eq!((u16::from(code), &*reason), expected);
        };
        check(1001, "later", (1001, "later"));
        check(4001, "", (4001, ""));
        for code in [0, 999, 1005, 1006, 1015, 5000, u16::MAX] {
            check(code, "", (1000, ""));
        }
        check(1000, &"é".repeat(100), (1000, &"é".repeat(61)));
    }
}
