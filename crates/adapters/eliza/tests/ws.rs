//! The event stream, with a real client at the other end.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use support::Bench;
use trainyard_core::{Progress, Switch};
use trainyard_eliza::{Event, EventKind, Events, Limits, Settings};
use trainyard_http::secret::Secret;
use trainyard_http::{Mounts, RunningServer, Server, ServerConfig, block_on};
use tungstenite::client::IntoClientRequest;
use tungstenite::{HandshakeError, Message};

/// Long enough for anything that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(60);
const TOKEN: &str = "s3cret";

type Peer = tungstenite::WebSocket<TcpStream>;

fn serve(bench: &Bench) -> RunningServer {
    let mounts = bench.service.mounts().into_iter().try_fold(Mounts::new(), Mounts::with).unwrap();
    Server::start(ServerConfig::new("127.0.0.1:0".parse().unwrap()), mounts).unwrap()
}

/// The open stream, or with which status and code it was refused.
fn try_connect(
    server: &RunningServer,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<Peer, (u16, String)> {
    let stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let url = format!("ws://{}{path}", server.local_addr());
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match tungstenite::client(request, stream) {
        Ok((peer, _)) => Ok(peer),
        Err(HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
            let body: Value = serde_json::from_slice(answer.body().as_deref().unwrap_or_default()).unwrap();
            Err((answer.status().as_u16(), body["code"].as_str().unwrap().to_owned()))
        }
        Err(error) => panic!("{error}"),
    }
}

fn connect(server: &RunningServer) -> Peer {
    try_connect(server, "/ws?clientId=ui-1", &[]).unwrap()
}

/// The next message.
fn read(peer: &mut Peer) -> Value {
    loop {
        match peer.read().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) => {}
            other @ (Message::Binary(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_)) => {
                panic!("{other}")
            }
        }
    }
}

/// With which code and reason the server closes, and how many texts come before that.
fn farewell(peer: &mut Peer) -> (u16, String, usize) {
    let mut texts = 0;
    loop {
        match peer.read().unwrap() {
            Message::Close(frame) => {
                let frame = frame.unwrap();
                return (frame.code.into(), frame.reason.to_string(), texts);
            }
            Message::Text(_) => texts += 1,
            Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
        }
    }
}

fn say(peer: &mut Peer, text: &str) {
    peer.send(Message::text(text)).unwrap();
}

fn with_token() -> Settings {
    Settings::new().with_token(Secret::new(TOKEN).unwrap())
}

#[test]
fn first_comes_the_status_then_what_was_then_what_is() {
    let bench = Bench::new();
    for number in 1..=200 {
        bench.events.publish(Event::new(EventKind::JobLog, format!("line {number}")));
    }
    let server = serve(&bench);
    let mut peer = connect(&server);
    assert_eq!(read(&mut peer), json!({ "type": "status", "state": "running", "runtimeAvailable": true }));
    for number in 81..=200 {
        let told = read(&mut peer);
        assert_eq!(told["eventId"], format!("evt-{number}"), "the last {}", Events::REPLAYED_MAX);
    }
    let mut another = connect(&server);
    bench.build();
    let told = read(&mut peer);
    let expected = json!({
        "type": "training_event", "version": 1, "eventId": "evt-201", "ts": 1_718_000_000_000_i64,
        "payload": {
            "kind": "dataset_built", "ts": 1_718_000_000_000_i64, "datasetId": "dataset-1",
            "message": "Built dataset of 0 trajectories and 0 examples",
        },
    });
    assert_eq!(told, expected);
    say(&mut peer, r#"{"type":"ping"}"#);
    assert_eq!(read(&mut peer), json!({ "type": "pong" }));
    for odd in ["", "{", "[]", "7", r#"{"type":7}"#, r#"{"type":"auth","token":"x"}"#, r#"{"type":"x"}"#] {
        say(&mut peer, odd);
    }
    peer.send(Message::binary(b"\xff\x00".to_vec())).unwrap();
    say(&mut peer, r#"{"type":"ping"}"#);
    assert_eq!(read(&mut peer), json!({ "type": "pong" }), "what makes no sense is passed over");
    assert_eq!(read(&mut another)["type"], "status");
    let kinds: Vec<Value> = (0..120).map(|_| read(&mut another)["eventId"].clone()).collect();
    assert!(kinds.contains(&json!("evt-200")));
}

#[test]
fn a_job_is_followed_over_the_wire() {
    let bench = Bench::new();
    let server = serve(&bench);
    let mut peer = connect(&server);
    assert_eq!(read(&mut peer)["type"], "status");
    let follow = bench.service.follow();
    let following = std::thread::spawn(move || block_on(follow));
    bench.build();
    let id = bench.start(&json!({}))["id"].clone();
    bench.yard.report(Progress::step(45, 100).with_phase("training"));
    bench.complete();
    let kinds: Vec<Value> = (0..4).map(|_| read(&mut peer)["payload"].clone()).collect();
    let words: Vec<&Value> = kinds.iter().map(|payload| &payload["kind"]).collect();
    assert_eq!(words, ["dataset_built", "job_started", "job_progress", "job_completed"]);
    assert!(kinds[1..].iter().all(|payload| payload["jobId"] == id));
    assert_eq!((&kinds[2]["progress"], &kinds[2]["phase"]), (&json!(0.45), &json!("training")));
    bench.yard.stop("a secret cause");
    following.join().unwrap();
}

#[test]
fn who_may_not_watch_is_refused() {
    let bench = Bench::with(with_token());
    let server = serve(&bench);
    let refused =
        |path: &str, headers: &[(&'static str, &str)]| try_connect(&server, path, headers).unwrap_err();
    let unauthorized = (401, "UNAUTHORIZED".to_owned());
    assert_eq!(refused("/ws", &[("authorization", "Bearer wrong")]), unauthorized);
    assert_eq!(refused("/ws", &[("x-api-key", "wrong")]), unauthorized);
    let evil = [("origin", "https://evil.example"), ("x-api-key", TOKEN)];
    assert_eq!(refused("/ws", &evil), (403, "FORBIDDEN".to_owned()));
    assert_eq!(refused("/ws/else", &[("x-api-key", TOKEN)]), (404, "NOT_FOUND".to_owned()));
    for headers in [
        [("authorization", "Bearer s3cret"), ("x-other", "")],
        [("x-milady-token", TOKEN), ("origin", "http://localhost:5173")],
    ] {
        let mut peer = try_connect(&server, "/ws?clientId=1", &headers).unwrap();
        assert_eq!(read(&mut peer)["type"], "status");
    }
}

#[test]
fn the_first_message_may_hold_the_token() {
    let bench = Bench::with(with_token());
    let server = serve(&bench);
    let mut peer = connect(&server);
    bench.events.publish(Event::new(EventKind::DatasetBuilt, "Built dataset"));
    say(&mut peer, r#"{"type":"auth","token":"s3cret"}"#);
    assert_eq!(read(&mut peer)["type"], "status");
    assert_eq!(read(&mut peer)["payload"]["kind"], "dataset_built");
    for wrong in [
        r#"{"type":"auth","token":"wrong"}"#,
        r#"{"type":"auth"}"#,
        r#"{"token":"s3cret"}"#,
        r#"{"type":"ping"}"#,
        "s3cret",
        "",
    ] {
        let mut peer = connect(&server);
        say(&mut peer, wrong);
        assert_eq!(farewell(&mut peer), (1008, "Unauthorized".to_owned(), 0), "{wrong}");
    }
}

#[test]
fn who_says_nothing_is_not_waited_for() {
    let limits = Limits { auth_time: Duration::ZERO, ..Limits::default() };
    let server = serve(&Bench::with(with_token().with_limits(limits)));
    assert_eq!(farewell(&mut connect(&server)), (1008, "Unauthorized".to_owned(), 0));
}

#[test]
fn a_token_in_the_query_is_for_those_who_ask_for_it() {
    let server = serve(&Bench::with(with_token()));
    let mut peer = try_connect(&server, "/ws?token=s3cret", &[]).unwrap();
    say(&mut peer, r#"{"type":"ping"}"#);
    assert_eq!(farewell(&mut peer).0, 1008, "it is not looked at");
    let server = serve(&Bench::with(with_token().with_query_token(Switch::On)));
    let mut peer = try_connect(&server, "/ws?clientId=1&token=s3cret", &[]).unwrap();
    assert_eq!(read(&mut peer)["type"], "status");
    let wrong = try_connect(&server, "/ws?token=wrong", &[]).unwrap_err();
    assert_eq!(wrong, (401, "UNAUTHORIZED".to_owned()));
    let header_first = try_connect(&server, "/ws?token=s3cret", &[("x-api-key", "wrong")]).unwrap_err();
    assert_eq!(header_first, (401, "UNAUTHORIZED".to_owned()), "the header is preferred");
}

#[test]
fn so_many_may_watch() {
    let limits = Limits { streams: 1, strangers: 1, ..Limits::default() };
    let bench = Bench::with(with_token().with_limits(limits));
    let server = serve(&bench);
    let mut first = try_connect(&server, "/ws", &[("x-api-key", TOKEN)]).unwrap();
    assert_eq!(read(&mut first)["type"], "status");
    let full = (503, "SERVICE_UNAVAILABLE".to_owned());
    assert_eq!(try_connect(&server, "/ws", &[("x-api-key", TOKEN)]).unwrap_err(), full);
    let mut stranger = connect(&server);
    assert_eq!(try_connect(&server, "/ws", &[]).unwrap_err(), full);
    say(&mut stranger, r#"{"type":"auth","token":"s3cret"}"#);
    assert_eq!(farewell(&mut stranger), (1013, "Too many event streams are open".to_owned(), 0));
}

/// Sockets and queues hold some; who then still does not read is told to come again.
#[test]
fn who_is_too_slow_is_told_so() {
    let bench = Bench::new();
    let server = serve(&bench);
    let mut peer = connect(&server);
    assert_eq!(read(&mut peer)["type"], "status");
    let line = "x".repeat(Event::MESSAGE_BYTES_MAX);
    for _ in 0..20_000 {
        bench.events.publish(Event::new(EventKind::JobLog, line.clone()));
    }
    let (code, reason, told) = farewell(&mut peer);
    assert_eq!((code, &*reason), (1013, "Too slow: connect again, and read what there is"));
    assert!(told < 20_000);
}

#[test]
fn without_an_agent_the_status_says_so() {
    let bench = Bench::new();
    let absence = trainyard_eliza::Absence::RuntimeNotStarted;
    bench.host.detach(trainyard_eliza::Runtime::Absent(absence));
    let server = serve(&bench);
    let told = read(&mut connect(&server));
    assert_eq!(told, json!({ "type": "status", "state": "not_started", "runtimeAvailable": false }));
}
