//! What is no request, and what pretends to be one or two.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::{Client, PATIENCE, config, serve};
use trainyard_http::{BodyError, Request, Response, RunningServer, ServerConfig, StatusCode};

/// Answers each request with its path and the length of its body.
fn counting(config: ServerConfig) -> RunningServer {
    serve(config, async |mut request: Request| {
        let path = request.path().to_owned();
        match request.take_body().collect(usize::MAX).await {
            Ok(body) => Response::text(StatusCode::OK, format!("{path} {}", body.len())),
            Err(BodyError::TimedOut) => Response::empty(StatusCode::REQUEST_TIMEOUT),
            Err(_) => Response::empty(StatusCode::BAD_REQUEST),
        }
    })
}

/// So that a conversation is soon over.
fn brief() -> ServerConfig {
    config().with_keep_alive_timeout(Duration::from_millis(300))
}

/// All that comes back for these bytes, up to the end of the connection.
fn told(server: &RunningServer, bytes: impl AsRef<[u8]>) -> String {
    let mut client = Client::connect(server.local_addr());
    client.try_send(bytes);
    client.rest()
}

fn statuses(told: &str) -> Vec<&str> {
    told.match_indices("HTTP/1.").map(|(at, _)| &told[at + 9..at + 12]).collect()
}

#[test]
fn what_is_no_request_is_refused_and_the_connection_closed() {
    let server = counting(brief());
    let heads: [&[u8]; 22] = [
        b"\0\0\0\0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\r\n\r\n",
        b"GET / HTTP/0.9\r\n\r\n",
        b"GET / HTTP/1.2\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
        b"G\0T / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\na: b\0c\r\n\r\n",
        b"GET / HTTP/1.1\r\na: b\rc: d\r\n\r\n",
        b"GET / HTTP/1.1\r\na\xff: b\r\n\r\n",
        b"GET / HTTP/1.1\r\na : b\r\n\r\n",
        b"GET / HTTP/1.1\r\n: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\na: b\r\n folded\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 3, 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\ncontent-length: +3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\ncontent-length: 0x3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\ncontent-length: \r\n\r\nabc",
    ];
    let chunks: [&[u8]; 6] = [
        b"xyz\r\n",
        b"-1\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"3\nabc\n0\n\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nabc",
    ];
    let chunked = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    let bodies = chunks.map(|chunk| [chunked, chunk].concat());
    for bytes in heads.iter().copied().chain(bodies.iter().map(Vec::as_slice)) {
        let told = told(&server, bytes);
        assert_eq!(statuses(&told), ["400"], "{}: {told}", bytes.escape_ascii());
        assert!(told.contains("connection: close\r\n"), "{}: {told}", bytes.escape_ascii());
    }
    assert_eq!(told(&server, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "", "another protocol altogether");
}

#[test]
fn what_is_old_or_odd_and_yet_clear_is_answered() {
    let server = counting(brief());
    let check = |bytes: &[u8], answers: &[&str]| {
        let told = told(&server, bytes);
        assert_eq!(statuses(&told), vec!["200"; answers.len()], "{}: {told}", bytes.escape_ascii());
        answers.iter().for_each(|answer| assert!(told.contains(answer), "{}: {told}", bytes.escape_ascii()));
    };
    check(b"GET / HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", &["/ 0"]);
    check(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", &["/ 0", "/2 0"]);
    check(b"POST / HTTP/1.0\r\ncontent-length: 3\r\n\r\nabc", &["/ 3"]);
    check(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", &["/ 0"]);
    check(b"GET / HTTP/1.1\na: b\n\n", &["/ 0"]);
    check(b"GET / HTTP/1.1\r\na: \xff\xfe\r\n\r\n", &["/ 0"]);
    check(b"GET http://evil.example/x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", &["/x 0"]);
    check(b"GET //evil.example/../x HTTP/1.1\r\n\r\n", &["//evil.example/../x 0"]);
    check(b"POST / HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc", &["/ 3"]);
    check(
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\na: b\r\n\r\n",
        &["/ 3"],
    );
}

#[test]
fn no_second_request_is_smuggled_in_a_first() {
    let server = counting(brief());
    for headers in [
        "content-length: 3\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 3",
        "content-length: 3\r\ncontent-length: 4",
        "transfer-encoding: xchunked",
        "transfer-encoding: identity\r\ncontent-length: 3",
        "transfer-encoding: chunked, identity",
        "transfer-encoding : chunked",
    ] {
        let first = format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n0\r\n\r\n");
        let told = told(&server, format!("{first}GET /smuggled HTTP/1.1\r\n\r\n"));
        assert_eq!(statuses(&told).len(), 1, "{headers}: {told}");
        assert!(told.contains("connection: close\r\n") && !told.contains("smuggled"), "{headers}: {told}");
    }
    let old = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.0\r\n\r\n";
    assert_eq!(statuses(&told(&server, old)), ["400"], "what HTTP/1.0 does not know");
}

#[test]
fn garbage_behind_requests_is_refused_after_their_answers() {
    let server = counting(config());
    let mut client = Client::connect(server.local_addr());
    let requests: String = (0..1_000).map(|n| format!("GET /{n} HTTP/1.1\r\n\r\n")).collect();
    client.send(requests + "\0\0\0 nothing of this sort\r\n\r\n");
    for n in 0..1_000 {
        assert_eq!(client.receive().body, format!("/{n} 0"));
    }
    assert_eq!(client.receive().status, 400);
    assert_eq!(client.rest(), "");
}

#[test]
fn whoever_asks_and_asks_and_takes_no_answer_is_cut() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let server = serve(config().with_write_stall_timeout(Duration::from_millis(200)), move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Response::text(StatusCode::OK, "x".repeat(60_000)) }
    });
    let mut client = Client::connect(server.local_addr());
    // The system takes some megabytes in either direction, and the server nothing more.
    let many = "GET / HTTP/1.1\r\n\r\n".repeat(1_000);
    let taken = (0..10_000).take_while(|_| client.try_send(&many)).count();
    assert!(taken < 10_000, "all was taken");
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked < 1_000, "{asked} answers were made for nobody");
    assert_eq!(Client::connect(server.local_addr()).get("/").status, 200);
}

#[test]
fn an_announced_body_that_never_comes_is_given_up() {
    let server = counting(config().with_body_stall_timeout(Duration::from_millis(200)));
    let mut client = Client::connect(server.local_addr());
    client.send("POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n");
    assert_eq!(client.receive_head().status, 100);
    assert_eq!(client.receive().status, 408);
    assert_eq!(client.rest(), "");
}

#[test]
fn half_a_request_and_a_close_leave_nothing() {
    let server = counting(config());
    let whole = "POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for end in 0..whole.len() {
        // Whoever sends nothing more counts as gone, and need not be answered.
        let told = Client::connect(server.local_addr()).send(&whole[..end]).end().rest();
        assert!(told.is_empty() || statuses(&told) == ["400"], "{:?}: {told}", &whole[..end]);
        // Another one closes without listening.
        Client::connect(server.local_addr()).send(&whole[..end]);
    }
    assert_eq!(Client::connect(server.local_addr()).get("/").status, 200);
    assert!(server.shutdown(PATIENCE).is_clean());
}
