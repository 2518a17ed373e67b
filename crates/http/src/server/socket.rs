use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message as Frame};

use crate::server::answer::{Guarded, panic_text};
use crate::server::link::Link;
use crate::websocket::{Ends, Message, Order, Promise, Running, WebSocket, websocket};

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Carries a WebSocket until both the service and the peer are done with it, or `stopped` is over.
///
/// The service and the wire are two futures that meet in the queues of [`WebSocket`], so a service that is busy with
/// something else keeps no peer from its pong and no server from stopping.
pub(super) async fn converse(link: &Link, promise: Box<Promise>, stopped: impl Future<Output = ()>) {
    let (limits, id) = (promise.limits.clone(), promise.id);
    let Ok(upgraded) = promise.on_upgrade.clone().await else {
        tracing::debug!(request_id = %id, "a connection broke off before it was a websocket");
        return;
    };
    link.begin_socket();
    let io = TokioIo::new(upgraded);
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(limits.protocol())).await;
    let (handle, ends) = websocket(&limits);
    let failed = AtomicBool::new(false);
    let wire = Wire { link, socket, idle: limits.idle(), failed: &failed };

    let mut service = pin!(async {
        if let Err(panic) = guarded(promise.into_run(), handle).await {
            failed.store(true, Relaxed);
            tracing::error!(request_id = %id, panic = panic_text(&*panic), "a websocket panicked");
        }
    });
    let mut wire = pin!(wire.run(ends, stopped));
    tokio::select! {
        () = &mut service => wire.await,
        () = &mut wire => {
            if timeout(limits.idle(), service).await.is_err() {
                tracing::debug!(request_id = %id, "a service did not notice that its websocket was closed");
            }
        }
    }
}

async fn guarded(
    run: impl FnOnce(WebSocket) -> Running + Send,
    handle: WebSocket,
) -> Result<(), Box<dyn Any + Send>> {
    let running = catch_unwind(AssertUnwindSafe(|| run(handle)))?;
    Guarded(running).await
}

/// The connection's side of a WebSocket.
struct Wire<'a> {
    link: &'a Link,
    socket: Socket,
    idle: Duration,
    /// Whether the service panicked. It does so before its end of the queues is gone.
    failed: &'a AtomicBool,
}

/// How a WebSocket ends.
enum End {
    /// The peer is told why.
    Told(CloseCode, String),
    /// The peer closed, and is owed its answer.
    Asked,
    /// There is nobody to tell.
    Gone,
}

impl Wire<'_> {
    async fn run(mut self, ends: Ends, stopped: impl Future<Output = ()>) {
        // The queues are gone when this is over, so the service notices while the peer is told.
        let end = self.talk(ends, stopped).await;
        if timeout(FAREWELL_TIME_MAX, self.part(end)).await.is_err() {
            tracing::debug!(peer = %self.link.peer, "the peer of a websocket did not say goodbye");
        }
    }

    async fn talk(&mut self, ends: Ends, stopped: impl Future<Output = ()>) -> End {
        let Ends { incoming, mut outgoing } = ends;
        let mut stopped = pin!(stopped);
        let mut silence = Silence::new(self.idle);
        let mut timer = pin!(sleep(silence.look_again_after(self.link)));
        // Nothing is read before there is a place for it.
        let mut place: Option<mpsc::Permit<'_, Message>> = None;
        loop {
            tokio::select! {
                () = &mut stopped => return End::told(CloseCode::Away, "the server stops"),
                permit = incoming.reserve(), if place.is_none() && !incoming.is_closed() => {
                    // Until now it was the service that was waited for.
                    silence.broken();
                    place = permit.ok();
                }
                frame = self.socket.next(), if place.is_some() => {
                    let message = match frame {
                        Some(Ok(Frame::Text(text))) => Some(Message::Text(text.as_str().to_owned())),
                        Some(Ok(Frame::Binary(bytes))) => Some(Message::Binary(bytes)),
                        Some(Ok(Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_))) => None,
                        Some(Ok(Frame::Close(_))) => return End::Asked,
                        Some(Err(error)) => return self.broken(&error),
                        None => return End::Gone,
                    };
                    silence.broken();
                    if let Some(message) = message && let Some(place) = place.take() {
                        place.send(message);
                    }
                }
                order = outgoing.recv() => match order {
                    Some(Order::Send(message)) => {
                        if let Err(end) = self.write(frame_of(message)).await {
                            return end;
                        }
                    }
                    Some(Order::Close(code, reason)) => return End::Told(code, reason),
                    None if self.failed.load(Relaxed) => return End::told(CloseCode::Error, "the service failed"),
                    None => return End::told(CloseCode::Normal, ""),
                },
                () = &mut timer => {
                    if self.link.time_left().is_none() {
                        tracing::debug!(peer = %self.link.peer, "the peer of a websocket takes nothing");
                        return End::Gone;
                    }
                    if place.is_none() {
                        silence.broken();
                    }
                    match silence.lasts() {
                        Lasts::Briefly => {}
                        Lasts::Long => {
                            if let Err(end) = self.write(Frame::Ping(Bytes::new())).await {
                                return end;
                            }
                        }
                        Lasts::TooLong => return End::told(CloseCode::Policy, "nothing came for too long"),
                    }
                    timer.as_mut().reset(Instant::now() + silence.look_again_after(self.link));
                }
            }
        }
    }

    /// Writes, as long as the peer takes something now and then.
    async fn write(&mut self, frame: Frame) -> Result<(), End> {
        let mut sending = pin!(self.socket.send(frame));
        let mut time = self.link.look_again_after();
        loop {
            match timeout(time, &mut sending).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) => return Err(End::Gone),
                Err(_) => match self.link.time_left() {
                    Some(left) => time = left,
                    None => {
                        tracing::debug!(peer = %self.link.peer, "the peer of a websocket takes nothing");
                        return Err(End::Gone);
                    }
                },
            }
        }
    }

    fn broken(&self, error: &Error) -> End {
        tracing::debug!(peer = %self.link.peer, %error, "a websocket broke off");
        match error {
            Error::Capacity(_) => End::told(CloseCode::Size, "the message is too large"),
            Error::Utf8(_) => End::told(CloseCode::Invalid, "the text is not UTF-8"),
            Error::Protocol(_) => End::told(CloseCode::Protocol, "the frame is malformed"),
            Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed => End::Gone,
            // None of these comes of reading.
            Error::Tls(_)
            | Error::WriteBufferFull(_)
            | Error::AttackAttempt
            | Error::Url(_)
            | Error::Http(_)
            | Error::HttpFormat(_) => End::Gone,
        }
    }

    /// Says goodbye, and swallows what is still on its way: closing on it would reset the connection before the peer
    /// has seen the goodbye.
    async fn part(&mut self, end: End) {
        let said = match end {
            End::Told(code, reason) => {
                let goodbye = CloseFrame { code, reason: reason.into() };
                self.socket.send(Frame::Close(Some(goodbye))).await
            }
            End::Asked => self.socket.flush().await,
            End::Gone => return,
        };
        let stream = self.socket.get_mut();
        if said.is_err() || stream.shutdown().await.is_err() {
            return;
        }
        let (mut piece, mut drained_bytes) = ([0; 4 * 1024], 0);
        while let Ok(bytes @ 1..) = stream.read(&mut piece).await {
            drained_bytes += bytes;
            if drained_bytes > DRAIN_BYTES_MAX {
                return;
            }
        }
    }
}

/// For a goodbye and its answer.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(2);
/// Enough for a client that sends a whole file before it looks for an answer.
const DRAIN_BYTES_MAX: usize = 16 * 1024 * 1024;

impl End {
    fn told(code: CloseCode, reason: &'static str) -> End {
        End::Told(code, reason.to_owned())
    }
}

fn frame_of(message: Message) -> Frame {
    match message {
        Message::Text(text) => Frame::Text(text.into()),
        Message::Binary(bytes) => Frame::Binary(bytes),
    }
}

/// For how long nothing came from the peer.
struct Silence {
    since: Instant,
    /// When the peer was asked for a sign.
    asked: Option<Instant>,
    bound: Duration,
}

enum Lasts {
    Briefly,
    /// It is time to ask the peer for a sign, once.
    Long,
    TooLong,
}

impl Silence {
    fn new(bound: Duration) -> Silence {
        Silence { since: Instant::now(), asked: None, bound }
    }

    fn broken(&mut self) {
        *self = Silence::new(self.bound);
    }

    /// The peer has half of the time after it was asked, so that a pause of this process is not held against it.
    fn lasts(&mut self) -> Lasts {
        match (self.left().is_zero(), self.asked) {
            (false, _) => Lasts::Briefly,
            (true, None) => {
                self.asked = Some(Instant::now());
                Lasts::Long
            }
            (true, Some(_)) => Lasts::TooLong,
        }
    }

    fn left(&self) -> Duration {
        (self.bound / 2).saturating_sub(self.asked.unwrap_or(self.since).elapsed())
    }

    fn look_again_after(&self, link: &Link) -> Duration {
        self.left().min(link.look_again_after())
    }
}
