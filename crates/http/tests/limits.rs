//! What happens to a client that sends too much, too little or too slowly.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{Client, PATIENCE, config, serve};
use trainyard_http::{
    BodyError, Mount, Mounts, Request, Response, RunningServer, Server, ServerConfig, StatusCode, service_fn,
};

/// Short for a bound that a test waits out.
const SHORT: Duration = Duration::from_millis(200);

async fn read(mut request: Request) -> Response {
    match request.take_body().collect(usize::MAX).await {
        Ok(body) => Response::text(StatusCode::OK, body.len().to_string()),
        Err(BodyError::TooLarge { limit_bytes }) => {
            Response::text(StatusCode::PAYLOAD_TOO_LARGE, limit_bytes.to_string())
        }
        Err(BodyError::TimedOut) => Response::empty(StatusCode::REQUEST_TIMEOUT),
        Err(_) => Response::empty(StatusCode::BAD_REQUEST),
    }
}

fn reader(config: ServerConfig) -> RunningServer {
    serve(config, read)
}

#[test]
fn a_body_is_counted_as_it_streams() {
    let server = reader(config().with_body_limit(10));
    let mut client = Client::connect(server.local_addr());
    let start = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    let fits = client.send(format!("{start}5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n")).receive();
    assert_eq!((fits.status, &*fits.body), (200, "10"));
    let exceeds = client.send(format!("{start}5\r\n01234\r\n6\r\n56789x\r\n0\r\n\r\n")).receive();
    assert_eq!((exceeds.status, &*exceeds.body), (413, "10"));
    assert_eq!(client.get("/").status, 200, "the small rest was swallowed");
}

#[test]
fn a_content_length_above_the_limit_is_refused_at_once() {
    let server = reader(config().with_body_limit(10));
    let mut client = Client::connect(server.local_addr());
    let answer = client.send("POST / HTTP/1.1\r\ncontent-length: 11\r\n\r\n").receive();
    assert_eq!((answer.status, &*answer.body), (413, "10"));
    let mut client = Client::connect(server.local_addr());
    let answer = client.send("POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n").receive();
    assert_eq!((answer.status, &*answer.headers["connection"]), (413, "close"));
}

#[test]
fn a_content_length_that_says_too_little_makes_two_requests_of_one() {
    let server = reader(config().with_body_limit(10));
    let mut client = Client::connect(server.local_addr());
    client.send(format!("POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\n{}\r\n\r\n", "x".repeat(100)));
    assert_eq!(client.receive().body, "3");
    assert_eq!(client.receive().status, 400, "the rest is no request");
    assert_eq!(client.rest(), "");
}

#[test]
fn a_body_that_dribbles_is_given_up() {
    // A byte in time, again and again: never silent for long, and yet slower than may be.
    let check = |stall: Duration, rate: u32, expected: u16| {
        let server = reader(config().with_body_stall_timeout(stall).with_body_rate(rate));
        let mut client = Client::connect(server.local_addr());
        client.send("POST / HTTP/1.1\r\ncontent-length: 30\r\n\r\n");
        for _ in 0..30 {
            // Whoever is given up may be told so before the end.
            if !client.try_send("x") || !client.has_nothing_within(stall / 20) {
                break;
            }
        }
        assert_eq!(client.receive().status, expected, "{rate} bytes a second");
    };
    check(Duration::from_secs(1), 1_000, 408);
    // No byte may be later than that, however slow this machine is.
    check(Duration::from_secs(5), 0, 200);
}

#[test]
fn two_lengths_are_refused() {
    let server = reader(config());
    for lengths in [
        "content-length: 3\r\ncontent-length: 4\r\n",
        "content-length: x\r\n",
        "content-length: 99999999999999999999\r\n",
    ] {
        let mut client = Client::connect(server.local_addr());
        let answer = client.send(format!("POST / HTTP/1.1\r\n{lengths}\r\nabc")).receive();
        assert_eq!(answer.status, 400, "{lengths}");
    }
}

#[test]
fn each_mount_has_its_own_body_limit() {
    let mount = |prefix: &str| Mount::new(prefix, Arc::new(service_fn(read))).unwrap();
    let mounts = Mounts::new()
        .with(mount("/small").with_body_limit(2))
        .and_then(|mounts| mounts.with(mount("/none").with_body_limit(0)))
        .and_then(|mounts| mounts.with(mount("/default")))
        .unwrap();
    let server = Server::start(config().with_body_limit(4), mounts).unwrap();
    let mut client = Client::connect(server.local_addr());
    let mut check = |path: &str, body: &str, status: u16| {
        let length = body.len();
        client.send(format!("POST {path} HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}"));
        assert_eq!(client.receive().status, status, "{path} {body}");
    };
    check("/small", "ab", 200);
    check("/small", "abc", 413);
    check("/none", "", 200);
    check("/none", "a", 413);
    check("/default", "abcd", 200);
    check("/default", "abcde", 413);
}

#[test]
fn a_client_that_sends_first_and_looks_later_sees_the_refusal() {
    let server = reader(config().with_body_limit(10));
    let mut client = Client::connect(server.local_addr());
    client.send("POST / HTTP/1.1\r\ncontent-length: 4000000\r\n\r\n").send(vec![b'x'; 4_000_000]);
    assert_eq!(client.receive().status, 413);
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_body_without_end_is_cut_off() {
    let server = reader(config().with_body_limit(10));
    let mut client = Client::connect(server.local_addr());
    client.send("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(0x10_0000));
    let taken = (0..1000).take_while(|_| client.try_send(&chunk)).count();
    assert!(taken < 100, "{taken} MiB were swallowed");
}

#[test]
fn too_many_headers_are_a_431() {
    for (config, allowed) in
        [(config(), 80), (config().with_headers(3), 3), (config().with_headers(200), 200)]
    {
        let server = reader(config);
        let with = |count: usize| {
            let headers: String = (0..count).map(|number| format!("h{number}: x\r\n")).collect();
            Client::connect(server.local_addr()).send(format!("GET / HTTP/1.1\r\n{headers}\r\n")).receive()
        };
        assert_eq!(with(allowed).status, 200);
        assert_eq!(with(allowed + 1).status, 431);
    }
}

#[test]
fn too_large_a_head_is_a_431() {
    let server = reader(config().with_header_bytes(8192));
    let with = |bytes: usize| {
        let value = "x".repeat(bytes);
        Client::connect(server.local_addr()).send(format!("GET / HTTP/1.1\r\nh: {value}\r\n\r\n")).receive()
    };
    assert_eq!(with(8000).status, 200);
    assert_eq!(with(8300).status, 431);
    let mut client = Client::connect(server.local_addr());
    let path = "x".repeat(9000);
    assert_eq!(client.send(format!("GET /{path} HTTP/1.1\r\n\r\n")).receive().status, 431);
    assert_eq!(client.rest(), "");
}

/// Runs `conversation` and checks that the server ended it after `time`, and not an hour later.
fn ends_after(time: Duration, config: ServerConfig, conversation: impl FnOnce(&mut Client)) {
    let server = reader(config);
    let begin = Instant::now();
    let mut client = Client::connect(server.local_addr());
    conversation(&mut client);
    let rest = client.rest();
    let took = begin.elapsed();
    assert_eq!(rest, "");
    assert!(took >= time * 9 / 10, "closed after {took:?}");
}

#[test]
fn a_silent_connection_is_closed() {
    ends_after(SHORT, config().with_header_timeout(SHORT), |_| {});
}

#[test]
fn half_a_head_is_closed() {
    ends_after(SHORT, config().with_header_timeout(SHORT), |client| {
        // It may be too late for that already.
        client.try_send("GET / HTTP/1.1\r\nhalf: ");
    });
}

#[test]
fn half_a_head_after_a_request_is_closed() {
    // The first head has to be there in time.
    let time = SHORT * 15;
    ends_after(time, config().with_header_timeout(time), |client| {
        assert_eq!(client.get("/").status, 200);
        client.send("GET / HTTP/1.1\r\nhalf: ");
    });
}

#[test]
fn a_head_that_drips_is_closed() {
    let server = reader(config().with_header_timeout(SHORT));
    let mut client = Client::connect(server.local_addr());
    client.try_send("GET / HTTP/1.1\r\nh: ");
    let begin = Instant::now();
    while client.has_nothing_within(Duration::from_millis(20)) {
        client.try_send("x");
        assert!(begin.elapsed() < PATIENCE, "it is never closed");
    }
    assert_eq!(client.rest(), "");
}

#[test]
fn an_idle_connection_is_closed() {
    ends_after(SHORT, config().with_keep_alive_timeout(SHORT), |client| {
        assert_eq!(client.get("/").status, 200);
    });
}

#[test]
fn a_stalled_body_is_a_408() {
    for config in [config().with_body_stall_timeout(SHORT), config().with_body_timeout(SHORT)] {
        ends_after(SHORT, config, |client| {
            let answer = client.send("POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nabc").receive();
            assert_eq!((answer.status, &*answer.headers["connection"]), (408, "close"));
        });
    }
}

#[test]
fn each_mount_has_its_own_time_for_a_body() {
    let mount = |prefix: &str| Mount::new(prefix, Arc::new(service_fn(read))).unwrap();
    let mounts = Mounts::new()
        .with(mount("/short").with_body_timeout(SHORT))
        .and_then(|mounts| mounts.with(mount("/default")))
        .unwrap();
    let begin = "HTTP/1.1\r\ncontent-length: 4\r\n\r\nab";
    // What the mount says counts, whether the server says more or less.
    let server = Server::start(config().with_body_timeout(PATIENCE), mounts).unwrap();
    let mut short = Client::connect(server.local_addr());
    let mut long = Client::connect(server.local_addr());
    long.send(format!("POST /default {begin}"));
    assert_eq!(short.send(format!("POST /short {begin}")).receive().status, 408);
    assert_eq!(long.send("cd").receive().body, "4");

    let mounts = Mounts::new().with(mount("/long").with_body_timeout(PATIENCE));
    let mounts = mounts.and_then(|mounts| mounts.with(mount("/default"))).unwrap();
    let server = Server::start(config().with_body_timeout(SHORT), mounts).unwrap();
    let mut short = Client::connect(server.local_addr());
    let mut long = Client::connect(server.local_addr());
    long.send(format!("POST /long {begin}"));
    assert_eq!(short.send(format!("POST /default {begin}")).receive().status, 408);
    assert_eq!(long.send("cd").receive().body, "4");
}

#[test]
fn a_body_that_drips_is_a_408() {
    let server = reader(config().with_body_timeout(SHORT));
    let mut client = Client::connect(server.local_addr());
    client.send("POST / HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n");
    let begin = Instant::now();
    while client.has_nothing_within(Duration::from_millis(20)) {
        // It may have been told just now.
        client.try_send("x");
        assert!(begin.elapsed() < PATIENCE, "it is never told");
    }
    assert_eq!(client.receive().status, 408);
}

#[test]
fn an_answer_that_nobody_takes_is_cut() {
    let server = serve(config().with_write_stall_timeout(SHORT), async |_| {
        Response::text(StatusCode::OK, "x".repeat(64 << 20))
    });
    let mut client = Client::connect(server.local_addr());
    client.send("GET / HTTP/1.1\r\n\r\n");
    let begin = Instant::now();
    // It ends because the stalled connection is cut, not because of the deadline.
    let report = server.shutdown(PATIENCE);
    assert!(report.is_clean() && begin.elapsed() < PATIENCE / 2, "{report:?} {:?}", begin.elapsed());
    assert!(client.rest().len() < 64 << 20);
}

#[test]
fn a_slow_reader_that_goes_on_reading_gets_it_all() {
    // Much more than the system takes on its way.
    let bytes = 64 << 20;
    let server = serve(
        config().with_write_stall_timeout(SHORT * 15).with_keep_alive_timeout(SHORT),
        move |_| async move { Response::text(StatusCode::OK, "x".repeat(bytes)) },
    );
    let mut client = Client::connect(server.local_addr());
    client.send("GET / HTTP/1.1\r\n\r\n");
    let length = client.receive_head().headers["content-length"].parse::<usize>().unwrap();
    assert_eq!(length, bytes);
    // All of it takes longer than nothing may be taken.
    assert_eq!(client.read_slowly(length, 20, SHORT), bytes);
}
