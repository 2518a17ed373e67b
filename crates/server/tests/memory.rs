//! The worst bodies, many at once, sent to a server in a process of its own whose memory is looked at.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]
#![cfg(target_os = "linux")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use support::LONG;
use support::serving::{self, Serving};
use trainyard_heygen::Settings;
use trainyard_http::secret::Secret;
use trainyard_server::ServiceConfig;

const KEY: &str = "k3y";

/// Nothing, unless this binary was started as [`Serving`].
#[test]
fn child() {
    let Some(folder) = serving::folder() else { return };
    let secret = || Secret::new(KEY).unwrap();
    let config = ServiceConfig::new(folder).with_listen(SocketAddr::from(([127, 0, 0, 1], 0)));
    let config = config.with_heygen(Settings::new().with_key(secret())).with_mathfi_user("a", secret());
    serving::serve(config, |_| {});
}

/// What is answered: the status and the rest.
fn post(url: &str, path: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nx-api-key: {KEY}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    )
    .unwrap();
    let _ = stream.write_all(body);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

/// So many bytes, about: a piece again and again between a beginning and an end.
fn filled(begin: &str, piece: &str, end: &str, bytes: usize) -> Vec<u8> {
    let mut body = String::with_capacity(bytes + 100);
    body.push_str(begin);
    while body.len() + piece.len() + end.len() < bytes {
        body.push_str(piece);
        body.push(',');
    }
    body.pop();
    body.push_str(end);
    body.into_bytes()
}

/// The worst there is for each way in which a body becomes something larger, of so many bytes.
fn worst(bytes: usize) -> [(&'static str, Vec<u8>); 6] {
    let key = support::INDEX_KEY;
    let open = format!(r#"{{"index_name":"i","index_key":"{key}","#);
    // What elizaOS's wire takes at most.
    let few = bytes.min(16 << 20);
    let call = r#"{"id":"a","status":"completed","llmCalls":[{},{},{},{},{},{}]}"#;
    [
        (
            "/v1/vectors/upsert",
            filled(&format!(r#"{open}"items":[{{"id":"a","vector":["#), "0", "]}]}", bytes),
        ),
        ("/v1/vectors/query", filled(&format!(r#"{open}"query_vectors":["#), "0", "]}", bytes)),
        (
            "/v1/vectors/upsert",
            filled(&format!(r#"{open}"items":["#), r#"{"id":"0123456","vector":[1]}"#, "]}", bytes),
        ),
        ("/v1/vectors/get", filled(&format!(r#"{open}"ids":["#), r#""a234567""#, "]}", bytes)),
        ("/api/training/trajectories", filled("[", call, "]", few)),
        ("/api/training/jobs", filled("[", "[]", "]", bytes.min(1 << 20))),
    ]
}

/// 64 of them at once; the long way each is as large as may be.
#[test]
fn many_of_the_worst_bodies_at_once_have_a_bound_of_memory() {
    const MIB: usize = 1 << 20;
    const CLIENTS: usize = 64;
    let is_long = std::env::var_os("TRAINYARD_LONG").is_some();
    // All bodies together have 1 GiB, one upload of trajectories beside them nine times its 16 MiB, answers 256 MiB. The
    // short way it is all there is, eight threads at seven times a body each.
    let (bytes, grown_max) = if is_long { (127 * MIB, 1_536 * MIB) } else { (MIB / 2, 192 * MIB) };
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path());
    let create = format!(r#"{{"index_name":"i","index_key":"{}","dimension":1}}"#, support::INDEX_KEY);
    assert!(post(&serving.url, "/v1/indexes/create", create.as_bytes()).starts_with("HTTP/1.1 200"));
    let before = serving.memory_kib_max();
    let worst = worst(bytes);
    std::thread::scope(|scope| {
        for (path, body) in worst.iter().cycle().take(CLIENTS) {
            let url = serving.url.as_str();
            scope.spawn(move || {
                let told = post(url, path, body);
                let status = told.get(9..12).unwrap_or_else(|| panic!("{path}: no answer")).to_owned();
                // Whoever finds no room is told to come again.
                let is_fine = matches!(status.as_str(), "200" | "201" | "400" | "413" | "503");
                assert!(is_fine, "{path}: {status}");
            });
        }
    });
    let grown = usize::try_from(serving.memory_kib_max() - before).unwrap() * 1024;
    println!("{} MiB for {CLIENTS} bodies of {} KiB", grown / MIB, bytes >> 10);
    assert!(grown <= grown_max, "{} MiB", grown / MIB);
    assert!(
        post(&serving.url, "/v1/vectors/num_vectors", create.as_bytes()).starts_with("HTTP/1.1 200"),
        "it goes on"
    );
}
