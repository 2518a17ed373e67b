//! How a server starts and stops.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{Client, Gate, PATIENCE, config, serve};
use trainyard_http::{Mounts, Request, Response, RunningServer, Server, ServerConfig, StatusCode};

fn held_back(gate: &Arc<Gate>, config: ServerConfig) -> RunningServer {
    let gate = Arc::clone(gate);
    serve(config, move |request: Request| {
        let gate = Arc::clone(&gate);
        async move {
            if request.path() == "/wait" {
                gate.pass().await;
            }
            Response::text(StatusCode::OK, "done")
        }
    })
}

#[test]
fn a_graceful_shutdown_lets_a_request_finish() {
    let gate = Gate::new();
    let server = held_back(&gate, config());
    let address = server.local_addr();
    let mut busy = Client::connect(address);
    busy.send("GET /wait HTTP/1.1\r\n\r\n");
    let mut idle = Client::connect(address);
    assert_eq!(idle.get("/").status, 200);
    let mut silent = Client::connect(address);
    let mut half = Client::connect(address);
    half.send("GET / HT");
    gate.wait_for(1);

    let stopping = std::thread::spawn(move || server.shutdown(PATIENCE));
    assert_eq!(idle.rest(), "", "idle connections close at once");
    assert_eq!(silent.rest(), "");
    assert_eq!(half.rest(), "");
    let begin = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(begin.elapsed() < PATIENCE, "new connections are not refused");
    }
    gate.open();
    let answer = busy.receive();
    assert_eq!((&*answer.body, &*answer.headers["connection"]), ("done", "close"));
    let report = stopping.join().unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert!(report.connections_finished() >= 2, "{report:?}");
}

#[test]
fn what_is_not_done_at_the_deadline_is_cut() {
    for io_threads in [1, 2] {
        let gate = Gate::new();
        let server = held_back(&gate, config().with_io_threads(io_threads));
        let mut clients: Vec<_> = (0..3).map(|_| Client::connect(server.local_addr())).collect();
        for client in &mut clients {
            client.send("GET /wait HTTP/1.1\r\n\r\n");
        }
        gate.wait_for(3);
        let begin = Instant::now();
        let report = server.shutdown(Duration::from_millis(100));
        assert!(begin.elapsed() < PATIENCE);
        assert_eq!((report.connections_cut(), report.threads_stuck()), (3, 0));
        for client in &mut clients {
            assert_eq!(client.rest(), "");
        }
    }
}

#[test]
fn dropping_a_server_stops_it_without_waiting() {
    let gate = Gate::new();
    let server = held_back(&gate, config());
    let mut client = Client::connect(server.local_addr());
    client.send("GET /wait HTTP/1.1\r\n\r\n");
    gate.wait_for(1);
    drop(server);
    assert_eq!(client.rest(), "");
}

#[test]
fn a_service_that_blocks_its_thread_does_not_block_the_shutdown() {
    let gate = Gate::new();
    let (entered, has_entered) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let server = serve(config(), move |_| {
        entered.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
        async { Response::empty(StatusCode::OK) }
    });
    let mut client = Client::connect(server.local_addr());
    client.send("GET / HTTP/1.1\r\n\r\n");
    has_entered.recv_timeout(PATIENCE).unwrap();
    let report = server.shutdown(Duration::from_millis(10));
    assert_eq!(report.threads_stuck(), 1);
    assert!(!report.is_clean());
    drop((release, gate));
}

#[test]
fn an_address_in_use_is_named() {
    let server = Server::start(config(), Mounts::new()).unwrap();
    let address = server.local_addr();
    let error = Server::start(ServerConfig::new(address), Mounts::new()).unwrap_err();
    assert_eq!(error.to_string(), format!("could not listen on {address}"));
    assert!(error.is_address_in_use());
    assert_eq!(error.address(), address);
}

#[test]
fn an_address_is_free_again_after_a_shutdown() {
    let server = held_back(&Gate::new(), config());
    let address = server.local_addr();
    assert_eq!(Client::connect(address).get("/").status, 200);
    assert!(server.shutdown(PATIENCE).is_clean());
    let server = held_back(&Gate::new(), ServerConfig::new(address));
    assert_eq!(Client::connect(address).get("/").status, 200);
    drop(server);
}
