//! What all requests may have together.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::{Client, Gate, PATIENCE, config, serve};
use trainyard_http::{BodyError, Request, Response, StatusCode};

const MIB: usize = 1 << 20;

fn post(path: &str, bytes: usize) -> String {
    format!("POST {path} HTTP/1.1\r\ncontent-length: {bytes}\r\n\r\n{}", "x".repeat(bytes))
}

#[test]
fn a_body_that_finds_no_room_is_refused_and_nobody_else_is() {
    let gate = Gate::new();
    let behind = Arc::clone(&gate);
    // For so long a body waits for room, and the server for what was announced: no piece may be later than that.
    let stall = Duration::from_secs(4);
    let config = config().with_body_limit(8 * MIB).with_bodies_bytes(2 * MIB).with_body_stall_timeout(stall);
    let server = serve(config, move |mut request: Request| {
        let gate = Arc::clone(&behind);
        async move {
            let is_held = request.path() == "/held";
            let collected = match request.path() {
                // As if its work took three times as much.
                "/work" => request.take_body().collect_for(usize::MAX, 3).await.map(|(bytes, _)| bytes),
                _ => request.take_body().collect(usize::MAX).await,
            };
            match collected {
                Ok(bytes) => {
                    if is_held {
                        gate.pass().await;
                    }
                    Response::text(StatusCode::OK, bytes.len().to_string())
                }
                Err(BodyError::NoRoom) => Response::empty(StatusCode::SERVICE_UNAVAILABLE),
                Err(_) => Response::empty(StatusCode::BAD_REQUEST),
            }
        }
    });
    let ask = |path: &str, bytes: usize| {
        Client::connect(server.local_addr()).send(post(path, bytes)).receive().status
    };
    assert_eq!(ask("/", 8 * MIB), 200, "whatever is alone");
    assert_eq!(ask("/work", MIB), 200, "whatever is alone");

    let mut holder = Client::connect(server.local_addr());
    holder.send(post("/held", MIB + 512 * 1024));
    gate.wait_for(1);
    assert_eq!(ask("/", 512 * 1024), 200);
    assert_eq!(ask("/work", 512 * 1024), 503, "three times that is not free");
    assert_eq!(ask("/", MIB), 503);
    for _ in 0..100 {
        assert_eq!(ask("/", 64 * 1024), 200, "what is small is never refused");
    }
    gate.open();
    assert_eq!(holder.receive().body, (MIB + 512 * 1024).to_string());
    assert_eq!(ask("/", 2 * MIB), 200, "it is free again");
}

#[test]
fn a_body_that_waits_for_room_gets_it() {
    let gate = Gate::new();
    let behind = Arc::clone(&gate);
    let config = config().with_body_limit(8 * MIB).with_bodies_bytes(2 * MIB);
    let server = serve(config, move |mut request: Request| {
        let gate = Arc::clone(&behind);
        async move {
            let bytes = request.take_body().collect(usize::MAX).await.unwrap();
            gate.pass().await;
            Response::text(StatusCode::OK, bytes.len().to_string())
        }
    });
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(server.local_addr())).collect();
    clients[0].send(post("/", 2 * MIB));
    gate.wait_for(1);
    for client in &mut clients[1..] {
        client.send(post("/", MIB));
        assert!(client.has_nothing());
    }
    gate.open();
    for (client, bytes) in clients.iter_mut().zip([2 * MIB, MIB, MIB]) {
        assert_eq!(client.receive().body, bytes.to_string());
    }
}

#[test]
fn an_answer_that_finds_no_room_becomes_a_503() {
    // More than the system takes off the server's hands.
    let bytes = 40 * MIB;
    let server = serve(config().with_answers_bytes(64 * MIB), move |request: Request| async move {
        let bytes = if request.path() == "/large" { bytes } else { 64 * 1024 };
        Response::text(StatusCode::OK, "x".repeat(bytes))
    });
    let mut slow = Client::connect(server.local_addr());
    slow.send("GET /large HTTP/1.1\r\n\r\n");
    assert_eq!(slow.receive_head().status, 200);
    let mut other = Client::connect(server.local_addr());
    let refused = other.get("/large");
    assert_eq!((refused.status, &*refused.headers["retry-after"]), (503, "1"));
    assert_eq!(other.get("/small").status, 200, "on the same connection");
    assert_eq!(slow.read_exactly(bytes).len(), bytes);
    // It may have yet to notice that all of it is gone.
    let begin = Instant::now();
    while other.get("/large").status != 200 {
        assert!(begin.elapsed() < PATIENCE, "it is never free again");
    }
}

/// What the other process does: serves until it is killed.
#[cfg(target_os = "linux")]
#[test]
fn apart() {
    let Some(bytes) = support::apart::role() else { return };
    let config = config().with_body_limit(8 * MIB).with_body_stall_timeout(Duration::from_secs(5));
    let server = serve(config.with_bodies_bytes(bytes.parse().unwrap()), async |mut request: Request| {
        match request.take_body().collect(usize::MAX).await {
            Ok(bytes) => Response::text(StatusCode::OK, bytes.len().to_string()),
            Err(BodyError::NoRoom) => Response::empty(StatusCode::SERVICE_UNAVAILABLE),
            Err(_) => Response::empty(StatusCode::REQUEST_TIMEOUT),
        }
    });
    support::apart::say(server.local_addr());
    support::apart::told();
}

#[cfg(target_os = "linux")]
#[test]
fn however_many_bodies_come_at_once_memory_has_its_bound() {
    // 64 bodies of 4 MiB that grow side by side.
    const ROOM: usize = 32 * MIB;
    const CLIENTS: usize = 64;
    const BODY: usize = 4 * MIB;
    let mut server = support::apart::Apart::start(ROOM);
    let address = server.hear().parse().unwrap();
    assert_eq!(Client::connect(address).get("/").status, 200);
    let before_kib = server.memory_kib("VmHWM");
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        client.send(format!("POST / HTTP/1.1\r\nconnection: close\r\ncontent-length: {BODY}\r\n\r\n"));
    }
    let taken = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let send = |client: &mut Client| {
            // Whoever is refused need not be heard to the end.
            let _ = (0..BODY / 65_536).all(|_| client.try_send([b'x'; 65_536]));
            // Who still sends when the connection is closed may miss what was answered.
            let said = client.rest();
            let is_fine =
                said.starts_with("HTTP/1.1 200") || said.starts_with("HTTP/1.1 503") || said.is_empty();
            assert!(is_fine, "{said}");
            taken.fetch_add(usize::from(said.starts_with("HTTP/1.1 200")), Ordering::Relaxed);
        };
        clients.iter_mut().for_each(|client| drop(scope.spawn(move || send(client))));
    });
    let taken = taken.into_inner();
    assert!(taken > 0, "not even one was taken");
    let grown = usize::try_from(server.memory_kib("VmHWM") - before_kib).unwrap() * 1024;
    println!(
        "{} MiB for {} MiB of bodies at once, {taken} of {CLIENTS} taken",
        grown / MIB,
        CLIENTS * BODY / MIB
    );
    // What is not counted: the first 64 KiB of each, a piece on its way in, and what the allocator keeps.
    assert!(grown <= ROOM + CLIENTS * 256 * 1024 + 8 * MIB, "{grown} bytes");
    assert!(grown >= ROOM / 4, "it was never tried: {grown} bytes");
    assert_eq!(Client::connect(address).send(post("/", BODY)).receive().status, 200, "it goes on");
}
