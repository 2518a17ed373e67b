//! Crowds of connections from another process, and everybody else.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![cfg(target_os = "linux")]

mod support;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use support::apart::{Apart, open_files_max, role, say, told};
use support::{Client, PATIENCE, config, serve};
use trainyard_http::{Request, Response, ServerConfig, StatusCode};

/// How long a head may take. The crowds here are there for it.
const HEAD: Duration = Duration::from_secs(1);
const BODY: Duration = Duration::from_secs(2);

/// What the other process does.
#[test]
fn apart() {
    let Some(role) = role() else { return };
    let mut words = role.split(' ');
    let (what, address) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
    let connections: usize = words.next().unwrap().parse().unwrap();
    open_files_max();
    match what {
        "serve" => answer(connections),
        "idle" => hold_still(address, connections),
        "drip" => drip(address, connections),
        "return" => come_again(address, connections),
        other => panic!("{other}"),
    }
}

/// Serves until it is killed. For so many connections, which may be idle for ever.
fn answer(connections: usize) {
    let forever = Duration::from_secs(3600);
    let config = config().with_connections(connections).with_header_timeout(forever);
    let server = serve(config.with_keep_alive_timeout(forever), whatever);
    say(server.local_addr());
    told();
}

async fn whatever(mut request: Request) -> Response {
    match request.take_body().collect(usize::MAX).await {
        Ok(_) => Response::text(StatusCode::OK, "here"),
        Err(_) => Response::empty(StatusCode::REQUEST_TIMEOUT),
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Half of the connections never say anything; the others have been answered once, and then nothing more.
fn hold_still(address: SocketAddr, connections: usize) {
    let mut held = Vec::with_capacity(connections);
    for number in 0..connections {
        let mut stream = connect(address);
        if number % 2 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            assert!(stream.read(&mut [0; 1_024]).unwrap() > 0);
        }
        held.push(stream);
    }
    say("all are there");
    told();
}

/// Sends heads, and after them bodies, a byte at a time to each, in turn, until none is left. Says when it has begun, and
/// in the end how many were closed on it.
fn drip(address: SocketAddr, connections: usize) {
    let mut drips: Vec<(TcpStream, Vec<u8>)> = (0..connections)
        .map(|number| {
            let head = b"POST / HTTP/1.1\r\ncontent-length: 100000\r\n\r\n".to_vec();
            let mut stream = connect(address);
            // Half of them have their whole head out, and drip a body.
            let rest = if number % 2 == 0 { head } else { Vec::new() };
            if rest.is_empty() {
                stream.write_all(&head_of_a_body()).unwrap();
            }
            stream.set_nonblocking(true).unwrap();
            (stream, rest)
        })
        .collect();
    say("all drip");
    while !drips.is_empty() {
        drips.retain_mut(|(stream, rest)| {
            let byte = if rest.is_empty() { b'x' } else { rest.remove(0) };
            let is_open = match stream.read(&mut [0; 1_024]) {
                Ok(0) => false,
                Ok(_) => true,
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            };
            is_open && stream.write_all(&[byte]).is_ok()
        });
        // So slowly that no head is out in time.
        thread::sleep(HEAD / 20);
    }
    say("all are closed");
}

fn head_of_a_body() -> Vec<u8> {
    b"POST / HTTP/1.1\r\ncontent-length: 100000\r\n\r\n".to_vec()
}

/// Always has so many connections that say nothing: for each that is closed it makes another. Says on demand how many were
/// closed so far.
fn come_again(address: SocketAddr, connections: usize) {
    let mut held: VecDeque<TcpStream> = (0..connections).map(|_| connect(address)).collect();
    say("all are there");
    let (mut closed, questions) = (0, std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let asked = std::sync::Arc::clone(&questions);
    thread::spawn(move || {
        loop {
            told();
            asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    });
    let mut answered = 0;
    loop {
        let mut oldest = held.pop_front().unwrap();
        // Nothing ever comes but the end.
        let _ = oldest.read(&mut [0]);
        closed += 1;
        held.push_back(connect(address));
        while answered < questions.load(std::sync::atomic::Ordering::SeqCst) {
            answered += 1;
            say(closed);
        }
    }
}

#[test]
fn ten_thousand_idle_connections_cost_little_and_hold_nobody_up() {
    // Some files are needed beside them.
    let connections = 10_000.min(open_files_max() - 100);
    assert!(connections >= 900, "only {connections} connections can be tried: raise `ulimit -n`");
    let mut server = Apart::start(format!("serve 127.0.0.1:0 {}", connections + 10));
    let address: SocketAddr = server.hear().parse().unwrap();
    let mut honest = Client::connect(address);
    assert_eq!(honest.get("/").status, 200);
    let before_kib = server.memory_kib("VmRSS");

    let mut crowd = Apart::start(format!("idle {address} {connections}"));
    assert_eq!(crowd.hear(), "all are there");
    // Who is among them is served at once, and so is who comes.
    for _ in 0..1_000 {
        assert_eq!(honest.get("/").status, 200);
    }
    assert_eq!(Client::connect(address).get("/").status, 200);
    let bytes = (server.memory_kib("VmRSS") - before_kib) * 1024 / connections as u64;
    println!("{connections} idle connections of {bytes} bytes each");
    assert!(bytes <= IDLE_BYTES_MAX, "an idle connection takes {bytes} bytes");
}

/// What the server has for a connection on which nothing happens.
const IDLE_BYTES_MAX: u64 = 16 * 1024;

#[test]
fn whoever_drips_is_cut_and_everybody_else_is_served_meanwhile() {
    let timeouts = config().with_header_timeout(HEAD).with_body_timeout(BODY).with_body_stall_timeout(BODY);
    let server = serve(timeouts, whatever);
    let mut crowd = Apart::start(format!("drip {} 500", server.local_addr()));
    assert_eq!(crowd.hear(), "all drip");
    let over = thread::spawn(move || crowd.hear());
    let mut honest = Client::connect(server.local_addr());
    let mut answered = 0;
    while !over.is_finished() {
        assert_eq!(honest.get("/").status, 200);
        assert_eq!(Client::connect(server.local_addr()).get("/").status, 200);
        answered += 2;
    }
    assert_eq!(over.join().unwrap(), "all are closed");
    println!("{answered} requests were answered meanwhile");
    assert!(answered >= 100, "only {answered} requests were answered meanwhile");
}

#[test]
fn a_crowd_beyond_the_limit_waits_and_an_honest_client_has_its_turn() {
    const SEATS: usize = 50;
    const CROWD: usize = 300;
    let config: ServerConfig = config().with_connections(SEATS).with_header_timeout(HEAD / 5);
    let server = serve(config, whatever);
    let mut crowd = Apart::start(format!("return {} {CROWD}", server.local_addr()));
    assert_eq!(crowd.hear(), "all are there");
    let mut closed = || -> usize {
        crowd.tell("how many?");
        crowd.hear().parse().unwrap()
    };
    for _ in 0..3 {
        let before = closed();
        assert_eq!(Client::connect(server.local_addr()).get("/").status, 200);
        let ahead = closed() - before;
        // All who were there before, and those at the seats once more.
        assert!(ahead <= CROWD + 2 * SEATS, "{ahead} had their turn before");
    }
}
