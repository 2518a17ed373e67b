//! Crowds of connections from another process, and everybody else.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![cfg(target_os = "linux")]

mod support;

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use support::apart::{Apart, open_files_max, role, say, told};
use support::{Client, PATIENCE, config, serve};
use trainyard_http::{Request, Response, StatusCode};

/// How long a head may take. The crowds here are there for it.
const HEAD: Duration = Duration::from_secs(2);
const BODY: Duration = Duration::from_secs(4);

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

/// Sends a head, and a body after it, a byte at a time.
struct Drip {
    stream: TcpStream,
    head: Vec<u8>,
    /// Whether its whole head is out at once, so that it drips a body.
    is_body: bool,
}

impl Drip {
    fn begin(address: SocketAddr, is_body: bool) -> Drip {
        let mut head = b"POST / HTTP/1.1\r\ncontent-length: 100000\r\n\r\n".to_vec();
        let mut stream = connect(address);
        if is_body {
            stream.write_all(&std::mem::take(&mut head)).unwrap();
        }
        stream.set_nonblocking(true).unwrap();
        Drip { stream, head, is_body }
    }

    /// The next byte; whether it was still taken.
    fn goes_on(&mut self) -> bool {
        let byte = if self.head.is_empty() { b'x' } else { self.head.remove(0) };
        let is_open = match self.stream.read(&mut [0; 1_024]) {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        is_open && self.stream.write_all(&[byte]).is_ok()
    }
}

/// Drips on so many connections, half of them heads and half of them bodies. For each that is closed it makes another,
/// until it is told to make no more; says when it has begun, and when the last is closed on it.
fn drip(address: SocketAddr, connections: usize) {
    let mut drips: Vec<Drip> = (0..connections).map(|number| Drip::begin(address, number % 2 == 1)).collect();
    say("all drip");
    let questions = questions();
    let mut is_enough = false;
    while !drips.is_empty() {
        is_enough |= questions.try_recv() != Err(TryRecvError::Empty);
        drips.retain_mut(|drip| {
            let stays = drip.goes_on();
            if !stays && !is_enough {
                *drip = Drip::begin(address, drip.is_body);
            }
            stays || !is_enough
        });
        // So slowly that no head is out in time.
        thread::sleep(HEAD / 20);
    }
    say("all are closed");
}

/// What the test tells this process, as it comes; it ends with the test.
fn questions() -> Receiver<String> {
    let (ask, questions) = channel();
    thread::spawn(move || {
        let told = std::iter::repeat_with(told).take_while(|line| !line.is_empty());
        told.for_each(|line| drop(ask.send(line)));
    });
    questions
}

/// Always has so many connections that say nothing: for each that is closed it makes another. Says on demand how many were
/// closed so far, and how many were made.
fn come_again(address: SocketAddr, connections: usize) {
    let come = || {
        let stream = connect(address);
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        stream
    };
    let mut held: VecDeque<TcpStream> = (0..connections).map(|_| come()).collect();
    say("all are there");
    let questions = questions();
    let mut closed = 0;
    loop {
        let question = questions.try_recv();
        if question == Err(TryRecvError::Disconnected) {
            return;
        }
        // Nothing ever comes but the end.
        while !held[0].read(&mut [0]).is_err_and(|error| is_too_early(&error)) {
            closed += 1;
            held.pop_front();
            held.push_back(come());
        }
        if question.is_ok() {
            say(format!("{closed} {}", closed + connections));
        }
    }
}

fn is_too_early(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
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
    let mut honest = Client::connect(server.local_addr());
    let mut ask = || {
        assert_eq!(honest.get("/").status, 200);
        assert_eq!(Client::connect(server.local_addr()).get("/").status, 200);
    };
    // As many drip as ever.
    (0..50).for_each(|_| ask());
    crowd.tell("no more");
    let over = thread::spawn(move || crowd.hear());
    let begin = Instant::now();
    while !over.is_finished() {
        assert!(begin.elapsed() < PATIENCE, "they still drip");
        ask();
    }
    assert_eq!(over.join().unwrap(), "all are closed");
}

#[test]
fn a_crowd_beyond_the_limit_waits_and_an_honest_client_has_its_turn() {
    const SEATS: usize = 50;
    const CROWD: usize = 300;
    // One thread: as long as it is held, the server does nothing else.
    let config = config().with_connections(SEATS).with_header_timeout(HEAD / 10).with_io_threads(1);
    let (enter, entered) = channel();
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let server = serve(config, move |_| {
        enter.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
        async { Response::text(StatusCode::OK, "here") }
    });
    let mut crowd = Apart::start(format!("return {} {CROWD}", server.local_addr()));
    assert_eq!(crowd.hear(), "all are there");
    let mut closed_and_made = || -> (usize, usize) {
        crowd.tell("how many?");
        let said = crowd.hear();
        let (closed, made) = said.split_once(' ').unwrap();
        (closed.parse().unwrap(), made.parse().unwrap())
    };
    for _ in 0..3 {
        let mut honest = Client::connect(server.local_addr());
        honest.send("GET / HTTP/1.1\r\n\r\n");
        // Whoever of the crowd is made after this comes behind it.
        let (_, ahead) = closed_and_made();
        entered.recv_timeout(PATIENCE).unwrap();
        let (closed, _) = closed_and_made();
        release.send(()).unwrap();
        assert_eq!(honest.receive().status, 200);
        // Those that were there before, and at most those that sit beside it.
        assert!(closed <= ahead + SEATS, "{closed} had their turn before, and {ahead} were there");
    }
}
