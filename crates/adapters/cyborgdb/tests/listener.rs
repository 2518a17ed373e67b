//! The service behind a real listener: what it has no answer for is told in the vendor's form, too.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use support::{Bench, with_key};
use trainyard_cyborgdb::Settings;
use trainyard_http::{Mount, Mounts, RunningServer, Server, ServerConfig};

/// Long enough for anything that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(300);

/// The status and the body of what is answered to a request that asks for the connection to be closed.
fn ask(server: &RunningServer, headers: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /v1/indexes/describe HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/json"), "{head}");
    (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
}

#[test]
fn what_it_has_no_answer_for_is_told_in_the_vendors_form() {
    let bench = Bench::new(Settings::new());
    bench.create("a");
    let mount = Mount::new("/v1", Arc::new(bench.service.clone())).unwrap();
    let mounts = Mounts::new().with(mount).unwrap();
    let server = Server::start(ServerConfig::new("127.0.0.1:0".parse().unwrap()), mounts).unwrap();
    let body = with_key("a", "");
    let is = |told: (String, String), status: &str, body: &str| {
        assert_eq!((&*told.0, &*told.1), (status, body));
    };
    const JSON: &str = "content-type: application/json\r\n";
    assert_eq!(ask(&server, JSON, &body).0, "200");
    bench.host.panics.store(true, Ordering::SeqCst);
    is(ask(&server, JSON, &body), "500", r#"{"detail":"Internal Server Error"}"#);
    bench.host.panics.store(false, Ordering::SeqCst);
    let many: String = (0..90).map(|number| format!("x-{number}: 1\r\n")).collect();
    is(ask(&server, &many, ""), "431", r#"{"detail":"Request Header Fields Too Large"}"#);
    assert_eq!(ask(&server, JSON, &body).0, "200", "it goes on");
}
