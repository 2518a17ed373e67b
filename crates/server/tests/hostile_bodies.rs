//! Bodies that nobody sends in good faith, to every wire of a real server: it refuses them, and goes on.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use support::mathfi::Caller;
use support::{Client, INDEX_KEY, LONG};
use trainyard_heygen::Settings;
use trainyard_http::secret::Secret;
use trainyard_server::{Service, ServiceConfig};

const KEY: &str = "k3y";

/// The status of what is answered.
fn post(address: SocketAddr, path: &str, token: &str, body: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nx-api-key: {KEY}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // It may answer before it has seen all of it.
    let _ = stream.write_all(body);
    let mut said = Vec::new();
    // Who still sends when the connection is closed has the answer, and no end of it.
    let _ = stream.read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said);
    said.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("{path}: {said}"))[..3].parse().unwrap()
}

#[test]
fn what_nobody_means_is_refused_on_every_wire_and_the_server_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let secret = |text: &str| Secret::new(text).unwrap();
    let config = ServiceConfig::new(folder.path()).with_listen(SocketAddr::from(([127, 0, 0, 1], 0)));
    let config = config.with_mathfi_user("a", secret("s3cret"));
    let config = config.with_heygen(Settings::new().with_key(secret(KEY)));
    let (service, _) = Service::open(config).unwrap();
    let address = service.local_addr();
    let token = Caller::log_in(service.url(), "a", "s3cret").token().to_owned();
    Client::new(service.url()).create("i");

    let deep = 1_000_000;
    let keys: Vec<String> = (0..1_000_000).map(|n| format!("\"{n:x}\":0")).collect();
    let bodies: [(&str, Vec<u8>); 10] = [
        ("deep lists", b"[".repeat(deep)),
        ("deep lists to the end", [b"[".repeat(deep), b"]".repeat(deep)].concat()),
        ("deep objects", br#"{"a":"#.repeat(deep)),
        ("a deep member", [&br#"{"items":"#[..], &b"[".repeat(deep)].concat()),
        ("a million keys", format!("{{{}}}", keys.join(",")).into_bytes()),
        ("a million times one key", format!("{{{}0\"a\":0}}", "\"a\":0,".repeat(deep)).into_bytes()),
        ("a million members", format!("[{}0]", "0,".repeat(deep)).into_bytes()),
        ("no UTF-8", b"{\"index_name\":\"\xff\xfe\"}".to_vec()),
        ("half a surrogate", br#"{"index_name":"\ud800"}"#.to_vec()),
        ("NUL", b"{\"index_name\":\"i\0\"}".to_vec()),
    ];
    let paths = [
        "/v1/indexes/create",
        "/v1/indexes/train",
        "/v1/vectors/upsert",
        "/v1/vectors/query",
        "/v1/vectors/upsert_binary",
        "/api/login",
        "/api/v1/datasets",
        "/v2/photo_avatar/avatar_group/create",
        "/v2/photo_avatar/train",
        "/api/training/jobs",
        "/api/training/datasets/build",
        "/api/training/auto/config",
        "/api/training/trajectories",
    ];
    for path in paths {
        for (what, body) in &bodies {
            let status = post(address, path, &token, body);
            // HeyGen and elizaOS pass over members that they do not know, and one of theirs may be among them.
            let passed_over =
                matches!(status, 200 | 201) && body.starts_with(b"{") && !path.starts_with("/v1/");
            assert!((400..500).contains(&status) || passed_over, "{path} with {what}: {status}");
        }
    }
    // The last of two counts, as with the vendors; or it is refused. Neither is our fault.
    let twice = format!(
        r#"{{"index_name":"x","index_name":"i","index_key":"{INDEX_KEY}","index_key":"{INDEX_KEY}"}}"#
    );
    let status = post(address, "/v1/indexes/describe", &token, twice.as_bytes());
    assert!((200..500).contains(&status), "{status}");
    let client = Client::new(service.url());
    assert_eq!(client.get("/v1/health").0, 200);
    assert_eq!(client.count("i"), 0);
    service.shutdown(LONG);
}
