//! The log of a panic names the request. On its own: a subscriber is global to its process.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::fmt::{Debug, Write};
use std::sync::mpsc::{Sender, channel};

use support::{Client, PATIENCE, config, serve};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use trainyard_http::{Request, WebSocketLimits};

#[test]
fn a_panic_is_logged_with_its_request_id() {
    let (lines, errors) = channel();
    tracing::subscriber::set_global_default(Errors(lines)).unwrap();
    let server = serve(config(), async |request: Request| {
        if request.is_websocket() {
            return request.upgrade(WebSocketLimits::new(), async |_| panic!("another bug")).unwrap();
        }
        panic!("the bug")
    });
    let mut client = Client::connect(server.local_addr());
    let answer = client.send("GET / HTTP/1.1\r\nx-request-id: job-7\r\n\r\n").receive();
    assert_eq!(answer.status, 500);
    let line = errors.recv_timeout(PATIENCE).unwrap();
    assert!(line.contains("request_id=job-7") && line.contains("the bug"), "{line}");

    let mut client = Client::connect(server.local_addr());
    client.send(
        "GET / HTTP/1.1\r\nx-request-id: job-8\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(client.receive_head().status, 101);
    let line = errors.recv_timeout(PATIENCE).unwrap();
    assert!(line.contains("request_id=job-8") && line.contains("another bug"), "{line}");
}

/// Sends each error on as a line of `name=value`.
struct Errors(Sender<String>);

impl Subscriber for Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let _ = self.0.send(line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}
