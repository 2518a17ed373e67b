//! WebSockets, with a real client at the other end.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use support::{Client, Gate, PATIENCE, config, serve};
use trainyard_http::{
    Bytes, Message, Request, Response, RunningServer, ServerConfig, StatusCode, WebSocket, WebSocketError,
    WebSocketEvent, WebSocketLimits,
};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Error, Message as Said};

/// Short for a bound that a test waits out.
const SHORT: Duration = Duration::from_millis(200);

/// For who speaks in bytes afterwards.
const UPGRADE: &str = "GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A server that upgrades whoever asks for it.
fn upgrading<F, Fut>(config: ServerConfig, limits: WebSocketLimits, run: F) -> RunningServer
where
    F: Fn(WebSocket) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    serve(config, move |request: Request| {
        let (run, limits) = (run.clone(), limits.clone());
        async move {
            if !request.is_websocket() {
                return Response::text(StatusCode::OK, "plain");
            }
            request
                .upgrade(limits, run)
                .unwrap_or_else(|error| Response::text(error.status(), error.to_string()).with_upgrade())
        }
    })
}

async fn echo(mut socket: WebSocket) {
    while let Some(message) = socket.receive().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

fn echoing() -> RunningServer {
    upgrading(config(), WebSocketLimits::new(), echo)
}

/// A server whose service does nothing with its socket until the gate is opened, and then drops it.
fn deaf() -> (RunningServer, Arc<Gate>) {
    let gate = Gate::new();
    let held = Arc::clone(&gate);
    let server = upgrading(config(), WebSocketLimits::new(), move |socket| {
        let held = Arc::clone(&held);
        async move {
            held.pass().await;
            drop(socket);
        }
    });
    (server, gate)
}

type Peer = tungstenite::WebSocket<TcpStream>;

fn connect(address: SocketAddr) -> Peer {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let (peer, answer) = tungstenite::client(format!("ws://{address}/ws"), stream).unwrap();
    assert!(answer.headers().contains_key("x-request-id"));
    peer
}

/// What the server says last, and that it closes the connection after it.
fn farewell(peer: &mut Peer) -> (u16, String) {
    let said = loop {
        match peer.read().unwrap() {
            Said::Close(frame) => break frame.unwrap(),
            Said::Ping(_) => {}
            other @ (Said::Text(_) | Said::Binary(_) | Said::Pong(_) | Said::Frame(_)) => {
                panic!("{other} instead of a close")
            }
        }
    };
    assert!(matches!(peer.read(), Err(Error::ConnectionClosed)));
    (said.code.into(), said.reason.to_string())
}

/// Bytes of a frame with the mask of zeros.
fn frame(opcode: u8, length: usize, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![opcode, 0x80 | 126];
    bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

#[test]
fn text_and_bytes_come_back_as_they_were() {
    let server = echoing();
    let mut peer = connect(server.local_addr());
    let large = "é".repeat(32 * 1024);
    for said in [Said::text("hello"), Said::text(""), Said::text(large), Said::binary(vec![0, 255, 128])] {
        peer.send(said.clone()).unwrap();
        assert_eq!(peer.read().unwrap(), said);
    }
    peer.close(None).unwrap();
    assert!(matches!(peer.read(), Ok(Said::Close(None))));
    assert!(matches!(peer.read(), Err(Error::ConnectionClosed)));
    assert!(server.shutdown(PATIENCE).is_clean());
}

#[test]
fn fragments_are_one_message() {
    let server = echoing();
    let mut peer = connect(server.local_addr());
    let piece =
        |text: &'static str, opcode, last| Said::Frame(Frame::message(text, OpCode::Data(opcode), last));
    peer.write(piece("one ", Data::Text, false)).unwrap();
    peer.write(Said::Ping("between".into())).unwrap();
    peer.write(piece("two ", Data::Continue, false)).unwrap();
    peer.send(piece("three", Data::Continue, true)).unwrap();
    assert_eq!(peer.read().unwrap(), Said::Pong("between".into()));
    assert_eq!(peer.read().unwrap(), Said::text("one two three"));
}

#[test]
fn a_ping_is_answered_even_if_the_service_does_not_listen() {
    let (server, gate) = deaf();
    let mut peer = connect(server.local_addr());
    peer.send(Said::Ping("are you there".into())).unwrap();
    assert_eq!(peer.read().unwrap(), Said::Pong("are you there".into()));
    gate.open();
    assert_eq!(farewell(&mut peer), (1000, String::new()));
}

#[test]
fn what_is_malformed_is_closed_with_the_reason() {
    let server = upgrading(config(), WebSocketLimits::new().with_message_bytes(1000), echo);
    let check = |bytes: &[u8], expected: u16| {
        let mut peer = connect(server.local_addr());
        peer.send(Said::text("fine")).unwrap();
        assert_eq!(peer.read().unwrap(), Said::text("fine"));
        peer.get_mut().write_all(bytes).unwrap();
        assert_eq!(farewell(&mut peer).0, expected, "{:x?}", &bytes[..bytes.len().min(20)]);
    };
    // Too large: claimed, sent, sent in fragments, sent and more behind.
    check(&frame(0x82, 1001, b""), 1009);
    check(&[0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], 1009);
    check(&[frame(0x02, 600, &[0; 600]), frame(0x80, 600, &[0; 600])].concat(), 1009);
    check(&frame(0x82, 60_000, &vec![0; 4_000_000]), 1009);
    // Unmasked.
    check(&[0x81, 0x02, b'h', b'i'], 1002);
    // Reserved bits and operations; a compressed frame.
    check(&frame(0xc1, 0, b""), 1002);
    check(&frame(0x83, 0, b""), 1002);
    check(&frame(0x8b, 0, b""), 1002);
    // A continuation of nothing, a message within another, a long ping, a ping in fragments.
    check(&frame(0x80, 0, b""), 1002);
    check(&[frame(0x01, 1, b"x"), frame(0x81, 1, b"x")].concat(), 1002);
    check(&frame(0x89, 126, &[0; 126]), 1002);
    check(&frame(0x09, 1, b"x"), 1002);
    // No UTF-8: whole, and cut by the end of a message.
    check(&frame(0x81, 2, &[0xc3, 0x28]), 1007);
    check(&[frame(0x01, 1, &[0xc3]), frame(0x80, 0, b"")].concat(), 1007);
}

#[test]
fn utf_8_may_be_cut_between_fragments() {
    let server = echoing();
    let mut peer = connect(server.local_addr());
    peer.get_mut().write_all(&[frame(0x01, 1, &[0xc3]), frame(0x80, 1, &[0xa9])].concat()).unwrap();
    assert_eq!(peer.read().unwrap(), Said::text("é"));
}

/// A server whose service sends `true` when its socket is open and `false` when it noticed the end.
fn telling(config: ServerConfig, limits: WebSocketLimits) -> (RunningServer, Receiver<bool>) {
    let (sender, told): (Sender<bool>, _) = channel();
    let server = upgrading(config, limits, move |mut socket| {
        let sender = sender.clone();
        async move {
            sender.send(true).unwrap();
            while socket.receive().await.is_some() {}
            assert_eq!(socket.send_text("too late").await, Err(WebSocketError::Closed));
            sender.send(false).unwrap();
        }
    });
    (server, told)
}

#[test]
fn a_client_that_vanishes_is_noticed() {
    let (server, told) = telling(config(), WebSocketLimits::new().with_idle(Duration::from_secs(3_600)));
    for bytes in [&b""[..], &frame(0x81, 10, b"half")] {
        let mut peer = connect(server.local_addr());
        assert_eq!(told.recv_timeout(PATIENCE), Ok(true));
        peer.get_mut().write_all(bytes).unwrap();
        drop(peer);
        assert_eq!(told.recv_timeout(PATIENCE), Ok(false));
    }
}

#[test]
fn silence_is_asked_after_and_then_ended() {
    let (server, told) = telling(config(), WebSocketLimits::new().with_idle(SHORT));
    for bytes in [&b""[..], &frame(0x81, 10, b"half")] {
        let begin = Instant::now();
        let mut client = Client::connect(server.local_addr());
        assert_eq!(client.send(UPGRADE).receive_head().status, 101);
        client.try_send(bytes);
        // Read as bytes, so that no pong is sent: a ping, and then the close.
        let said = client.rest_bytes();
        assert_eq!(said[..2], [0x89, 0], "{said:x?}");
        assert_eq!((said[2], &said[4..6]), (0x88, &1008_u16.to_be_bytes()[..]), "{said:x?}");
        assert!(begin.elapsed() >= SHORT * 9 / 10);
        assert_eq!([told.recv_timeout(PATIENCE), told.recv_timeout(PATIENCE)], [Ok(true), Ok(false)]);
    }
}

#[test]
fn a_quiet_client_that_answers_pings_may_stay() {
    // Longer than the client takes to ask, and shorter than it stays.
    let short = config().with_header_timeout(SHORT * 10).with_keep_alive_timeout(SHORT * 10);
    let server = upgrading(short, WebSocketLimits::new().with_idle(SHORT * 25), echo);
    let mut peer = connect(server.local_addr());
    for _ in 0..2 {
        // The client answers by itself, when it is asked for the next.
        assert_eq!(peer.read().unwrap(), Said::Ping(Bytes::new()));
    }
    peer.send(Said::text("still here")).unwrap();
    let next = peer.read().unwrap();
    let next = if next.is_ping() { peer.read().unwrap() } else { next };
    assert_eq!(next, Said::text("still here"));
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    let (sender, told) = channel();
    let server =
        upgrading(config().with_write_stall_timeout(SHORT), WebSocketLimits::new(), move |mut socket| {
            let sender = sender.clone();
            async move {
                let mut sent = 0_u32;
                while socket.send(Message::Binary(vec![0; 64 * 1024].into())).await.is_ok() {
                    sent += 1;
                }
                sender.send(sent).unwrap();
            }
        });
    let peer = connect(server.local_addr());
    let sent = told.recv_timeout(PATIENCE).unwrap();
    assert!((16..10_000).contains(&sent), "{sent} messages were taken in");
    drop(peer);
    assert!(server.shutdown(PATIENCE).is_clean());
}

#[test]
fn a_client_that_pings_and_does_not_read_is_cut() {
    let (server, told) = telling(config().with_write_stall_timeout(SHORT), WebSocketLimits::new());
    let mut peer = connect(server.local_addr());
    let ping = frame(0x89, 125, &[0; 125]).repeat(1000);
    while peer.get_mut().write_all(&ping).is_ok() {}
    assert_eq!([told.recv_timeout(PATIENCE), told.recv_timeout(PATIENCE)], [Ok(true), Ok(false)]);
}

#[test]
fn a_service_that_does_not_listen_makes_the_client_wait() {
    let gate = Gate::new();
    let held = Arc::clone(&gate);
    let limits = WebSocketLimits::new().with_idle(SHORT * 5).with_incoming_messages(1);
    let server = upgrading(config(), limits, move |socket| {
        let held = Arc::clone(&held);
        async move {
            held.pass().await;
            echo(socket).await;
        }
    });
    let mut peer = connect(server.local_addr());
    for number in 0..3 {
        peer.send(Said::text(number.to_string())).unwrap();
    }
    // Longer than a silence may be; but it is the service that is waited for.
    peer.get_mut().set_read_timeout(Some(SHORT * 8)).unwrap();
    // It may have been asked after before it has said the first.
    let quiet =
        std::iter::repeat_with(|| peer.read()).take(3).find(|said| !matches!(said, Ok(Said::Ping(_))));
    assert!(matches!(quiet, Some(Err(Error::Io(_)))), "{quiet:?}");
    peer.get_mut().set_read_timeout(Some(PATIENCE)).unwrap();
    gate.open();
    for number in 0..3 {
        assert_eq!(peer.read().unwrap(), Said::text(number.to_string()));
    }
}

#[test]
fn either_side_speaks_when_it_has_something_to_say() {
    let (gate, news) = (Gate::new(), Gate::new());
    let (held, arrived) = (Arc::clone(&news), Arc::clone(&gate));
    let server = upgrading(config(), WebSocketLimits::new(), move |mut socket| {
        let (held, arrived) = (Arc::clone(&held), Arc::clone(&arrived));
        async move {
            let mut news = pin!(held.pass());
            loop {
                match socket.receive_or(news.as_mut()).await {
                    WebSocketEvent::Message(message) => socket.send(message).await.unwrap(),
                    WebSocketEvent::Other(()) => break,
                    WebSocketEvent::Closed => return,
                }
            }
            arrived.pass().await;
            socket.send_text("news").await.unwrap();
            socket.close(4000, "that was all").await;
        }
    });
    let mut peer = connect(server.local_addr());
    for words in ["one", "two"] {
        peer.send(Said::text(words)).unwrap();
        assert_eq!(peer.read().unwrap(), Said::text(words));
    }
    news.open();
    gate.wait_for(1);
    gate.open();
    assert_eq!(peer.read().unwrap(), Said::text("news"));
    assert_eq!(farewell(&mut peer), (4000, "that was all".to_owned()));
}

#[test]
fn a_panic_closes_and_hurts_nobody_else() {
    let server = upgrading(config(), WebSocketLimits::new(), async |mut socket: WebSocket| {
        while let Some(Message::Text(text)) = socket.receive().await {
            assert_ne!(text, "the bug");
            socket.send_text(text).await.unwrap();
        }
    });
    let mut other = connect(server.local_addr());
    let mut peer = connect(server.local_addr());
    peer.send(Said::text("the bug")).unwrap();
    assert_eq!(farewell(&mut peer), (1011, "the service failed".to_owned()));
    other.send(Said::text("fine")).unwrap();
    assert_eq!(other.read().unwrap(), Said::text("fine"));
}

#[test]
fn a_shutdown_says_goodbye_to_all() {
    for io_threads in [1, 2] {
        let (server, told) = telling(config().with_io_threads(io_threads), WebSocketLimits::new());
        let mut peers: Vec<Peer> = (0..3).map(|_| connect(server.local_addr())).collect();
        for _ in 0..3 {
            assert_eq!(told.recv_timeout(PATIENCE), Ok(true));
        }
        let stopping = std::thread::spawn(move || server.shutdown(PATIENCE));
        for peer in &mut peers {
            assert_eq!(farewell(peer), (1001, "the server stops".to_owned()));
        }
        drop(peers);
        for _ in 0..3 {
            assert_eq!(told.recv_timeout(PATIENCE), Ok(false));
        }
        let report = stopping.join().unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert!(report.connections_finished() >= 3, "{report:?}");
    }
}

#[test]
fn a_client_without_a_goodbye_does_not_hold_a_shutdown_up() {
    let (server, told) = telling(config(), WebSocketLimits::new());
    let peer = connect(server.local_addr());
    assert_eq!(told.recv_timeout(PATIENCE), Ok(true));
    let begin = Instant::now();
    assert!(server.shutdown(PATIENCE).is_clean());
    assert!(begin.elapsed() < PATIENCE / 2);
    drop(peer);
}

#[test]
fn a_service_that_does_not_notice_is_cut_at_the_deadline() {
    let (server, gate) = deaf();
    let mut peer = connect(server.local_addr());
    gate.wait_for(1);
    let stopping = std::thread::spawn(move || server.shutdown(SHORT * 5));
    assert_eq!(farewell(&mut peer).0, 1001);
    assert_eq!(stopping.join().unwrap().connections_cut(), 1);
}

#[test]
fn a_service_that_does_not_notice_that_its_client_is_gone_is_dropped() {
    struct Told(Sender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (sender, dropped) = channel();
    let server = upgrading(config(), WebSocketLimits::new().with_idle(SHORT), move |socket| {
        let told = Told(sender.clone());
        async move {
            std::future::pending::<()>().await;
            drop((socket, told));
        }
    });
    drop(connect(server.local_addr()));
    assert_eq!(dropped.recv_timeout(PATIENCE), Ok(()));
}

#[test]
fn a_socket_keeps_its_place_among_the_connections() {
    let server = upgrading(config().with_connections(1), WebSocketLimits::new(), echo);
    let mut peer = connect(server.local_addr());
    let mut next = Client::connect(server.local_addr());
    next.send("GET / HTTP/1.1\r\n\r\n");
    assert!(next.has_nothing());
    peer.close(None).unwrap();
    while peer.read().is_ok() {}
    drop(peer);
    assert_eq!(next.receive().body, "plain");
}

#[test]
fn a_hundred_sockets_are_open_at_once() {
    let server = echoing();
    let mut peers: Vec<Peer> = (0..100).map(|_| connect(server.local_addr())).collect();
    for (number, peer) in peers.iter_mut().enumerate() {
        peer.send(Said::text(number.to_string())).unwrap();
    }
    for (number, peer) in peers.iter_mut().enumerate() {
        assert_eq!(peer.read().unwrap(), Said::text(number.to_string()));
    }
}

#[test]
fn what_is_said_before_the_answer_is_not_lost() {
    let server = echoing();
    let mut client = Client::connect(server.local_addr());
    client.send([UPGRADE.as_bytes(), &frame(0x81, 5, b"early")].concat());
    let answer = client.receive_head();
    assert_eq!(answer.status, 101);
    assert_eq!(answer.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert!(!answer.headers.contains_key("sec-websocket-extensions"), "{answer:?}");
    assert_eq!(client.read_exactly(7), b"\x81\x05early");
    client.send(frame(0x88, 2, &1000_u16.to_be_bytes()));
    assert_eq!(client.read_exactly(4), b"\x88\x02\x03\xe8");
    assert_eq!(client.rest(), "");
}

#[test]
fn whoever_asks_wrongly_is_told_and_may_go_on() {
    let server = echoing();
    let check = |line: &str, headers: &str, body: &str, expected: u16| {
        let mut client = Client::connect(server.local_addr());
        let answer = client.send(format!("{line}\r\nupgrade: websocket\r\n{headers}\r\n{body}")).receive();
        assert_eq!(answer.status, expected, "{line} {headers} {answer:?}");
        assert_eq!(answer.headers["sec-websocket-version"], "13");
        assert_eq!(client.get("/").body, "plain", "{line} {headers}");
    };
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let (asks, version) = ("connection: upgrade\r\n", "sec-websocket-version: 13\r\n");
    let get = "GET / HTTP/1.1";
    check(get, &format!("{version}{key}"), "", 426);
    check(get, &format!("{asks}sec-websocket-version: 8\r\n{key}"), "", 426);
    check(get, &format!("{asks}{version}"), "", 400);
    check(get, &format!("{asks}{version}{key}content-length: 3\r\n"), "abc", 400);
    check(get, &format!("{asks}{version}{key}transfer-encoding: chunked\r\n"), "3\r\nabc\r\n0\r\n\r\n", 400);
    check("POST / HTTP/1.1", &format!("{asks}{version}{key}"), "", 400);
}

#[test]
fn http_1_0_has_no_websockets() {
    let server = echoing();
    let mut client = Client::connect(server.local_addr());
    client.send(
        "GET / HTTP/1.0\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let answer = client.rest();
    assert!(answer.starts_with("HTTP/1.0 400 "), "{answer}");
    assert!(answer.ends_with("the connection cannot become a websocket"), "{answer}");
}

#[test]
fn a_request_without_a_server_cannot_be_upgraded() {
    let request = Request::new(trainyard_http::Method::GET, "/ws");
    assert!(!request.is_websocket());
    let request = request
        .with_header("connection", "Upgrade")
        .with_header("upgrade", "websocket")
        .with_header("sec-websocket-version", "13")
        .with_header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert!(request.is_websocket());
    let error = request.upgrade(WebSocketLimits::new(), echo).unwrap_err();
    assert_eq!(error, trainyard_http::UpgradeError::NoConnection);
}
