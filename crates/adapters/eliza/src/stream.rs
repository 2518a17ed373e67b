//! The event stream: a WebSocket that tells what happens.

use std::pin::pin;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use trainyard_core::Switch;
use trainyard_core::port::Handle;
use trainyard_http::{
    Answer, Message, Request, Response, Seat, Seats, Service, StatusCode, WebSocket, WebSocketError,
    WebSocketEvent, WebSocketLimits, blocking, timeout,
};

use crate::door::{self, Caller};
use crate::events::{Watch, Watched};
use crate::fault::Fault;
use crate::host::{Host, Runtime};
use crate::service::{Edge, Eliza};
use crate::settings::Settings;
use crate::wire::requests;

/// The same service, at the path of the event stream.
pub(crate) struct Stream<H: ?Sized, S: ?Sized>(pub(crate) Eliza<H, S>);

/// How many may be connected: those who may watch, and those who have yet to show that they may.
pub(crate) struct StreamSeats {
    watchers: Seats,
    strangers: Seats,
}

impl StreamSeats {
    pub(crate) fn new(settings: &Settings) -> Self {
        let limits = settings.limits();
        Self { watchers: Seats::new(limits.streams), strangers: Seats::new(limits.strangers) }
    }
}

/// What is told first. Nothing of it is an event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Greeting {
    r#type: &'static str,
    state: &'static str,
    runtime_available: bool,
}

/// Who is let in, and from which seat.
enum Entry {
    Watcher(Seat),
    /// Has to say the token first.
    Stranger(Seat),
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Service for Stream<H, S> {
    fn call(&self, request: Request) -> Answer<'_> {
        Box::pin(async move {
            let edge = &self.0.edge;
            let caller = match Caller::of(&request, &edge.settings) {
                Ok(caller) => caller,
                Err(fault) => return fault.into_response(),
            };
            let response = match caller.preflight(request.method()) {
                Some(response) => response,
                None => connect(edge, request).unwrap_or_else(Fault::into_response),
            };
            caller.stamp(response)
        })
    }

    fn fault(&self, status: StatusCode) -> Response {
        Fault::unanswered(status).into_response()
    }
}

fn connect<H: Handle + ?Sized, S: Host + ?Sized>(
    edge: &Arc<Edge<H, S>>,
    request: Request,
) -> Result<Response, Fault> {
    let entry = enter(edge, &request)?;
    if request.path() != Eliza::<H, S>::EVENTS {
        return Err(Fault::not_routed());
    }
    edge.is_going()?;
    let edge = Arc::clone(edge);
    let upgraded = request.upgrade(WebSocketLimits::new(), move |socket| async move {
        serve(&edge, socket, entry).await;
    });
    Ok(upgraded.unwrap_or_else(|error| {
        Fault::unfit(error.status(), "This is an event stream: connect by WebSocket")
            .into_response()
            .with_upgrade()
    }))
}

/// Whoever shows a token must show the right one. A client that can set no header shows none, and has to say it first.
fn enter<H: Handle + ?Sized, S: Host + ?Sized>(edge: &Edge<H, S>, request: &Request) -> Result<Entry, Fault> {
    let seat = |seats: &Seats| seats.try_take().ok_or(Fault::later("Too many event streams are open"));
    let settings = &edge.settings;
    let Some(token) = settings.token() else {
        return Ok(Entry::Watcher(seat(&edge.streams.watchers)?));
    };
    let in_query = match settings.query_token() {
        Switch::On => requests::pair(request.query(), "token"),
        Switch::Off => None,
    };
    let has_shown = door::shown(request.headers()).next().is_some();
    let fits = match &in_query {
        Some(shown) if !has_shown => token.matches(shown.as_bytes()),
        Some(_) | None => door::admit(request, settings).is_ok(),
    };
    if fits {
        return Ok(Entry::Watcher(seat(&edge.streams.watchers)?));
    }
    if has_shown || in_query.is_some() || !request.is_websocket() {
        return Err(Fault::unauthorized());
    }
    Ok(Entry::Stranger(seat(&edge.streams.strangers)?))
}

async fn serve<H: Handle + ?Sized, S: Host + ?Sized>(
    edge: &Arc<Edge<H, S>>,
    mut socket: WebSocket,
    entry: Entry,
) {
    let _seat = match entry {
        Entry::Watcher(seat) => seat,
        Entry::Stranger(stranger) => {
            let said = timeout(edge.limits().auth_time, socket.receive()).await;
            let is_right = match said {
                Some(Some(message)) => says_token(&message, &edge.settings),
                // Gone already.
                Some(None) => return,
                None => false,
            };
            if !is_right {
                return socket.close(POLICY, "Unauthorized").await;
            }
            drop(stranger);
            match edge.streams.watchers.try_take() {
                Some(seat) => seat,
                None => return socket.close(TRY_AGAIN, "Too many event streams are open").await,
            }
        }
    };
    let watch = edge.events.watch();
    // Whoever is gone needs no goodbye.
    if let Ok(Some((code, reason))) = tell(edge, &mut socket, watch).await {
        socket.close(code, reason).await;
    }
}

/// Tells until somebody leaves: the peer, or we, with a reason.
async fn tell<H: Handle + ?Sized, S: Host + ?Sized>(
    edge: &Arc<Edge<H, S>>,
    socket: &mut WebSocket,
    mut watch: Watch,
) -> Result<Option<(u16, &'static str)>, WebSocketError> {
    let host = Arc::clone(&edge.host);
    let runtime = blocking(move || host.runtime()).await;
    socket.send_text(greeting(runtime)).await?;
    loop {
        match socket.receive_or(pin!(watch.next())).await {
            WebSocketEvent::Closed => return Ok(None),
            WebSocketEvent::Other(Watched::Event(text)) => socket.send_text(&*text).await?,
            WebSocketEvent::Other(Watched::Missed(_)) => {
                return Ok(Some((TRY_AGAIN, "Too slow: connect again, and read what there is")));
            }
            WebSocketEvent::Message(message) => {
                if word(&message, "type").is_some_and(|word| word == "ping") {
                    socket.send_text(r#"{"type":"pong"}"#).await?;
                }
            }
        }
    }
}

/// What a client may do about it: show another token.
const POLICY: u16 = 1008;
/// What a client may do about it: connect again.
const TRY_AGAIN: u16 = 1013;

fn greeting(runtime: Runtime) -> String {
    let (state, runtime_available) = match runtime {
        Runtime::Attached => ("running", true),
        Runtime::Absent(_) => ("not_started", false),
    };
    let greeting = Greeting { r#type: "status", state, runtime_available };
    serde_json::to_string(&greeting).expect("words have a JSON form")
}

fn says_token(message: &Message, settings: &Settings) -> bool {
    let is_auth = word(message, "type").is_some_and(|word| word == "auth");
    let said = word(message, "token").filter(|_| is_auth);
    said.zip(settings.token()).is_some_and(|(said, token)| token.matches(said.trim().as_bytes()))
}

/// A text of a message, if it is a JSON object that has it.
fn word(message: &Message, member: &str) -> Option<String> {
    let bytes = match message {
        Message::Text(text) => text.as_bytes(),
        Message::Binary(bytes) => bytes,
    };
    match serde_json::from_slice::<Value>(bytes).ok()?.get_mut(member)?.take() {
        Value::String(word) => Some(word),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
