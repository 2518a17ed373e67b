//! What the targets share: a bound on memory, requests as text, a file to read from.

use std::alloc::System;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Once};
use std::time::Duration;

use cap::Cap;
use http::uri::PathAndQuery;
use serde_json::Value;
use trainyard_http::{HeaderName, HeaderValue, Method, Request, Response, Service, block_on, timeout};

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// Does something that may have at most so many bytes of memory beside what there is already. Whoever takes more is ended,
/// which libFuzzer reports as it does a panic.
pub fn within<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    // What a panic says takes memory, too.
    static UNBOUND: Once = Once::new();
    UNBOUND.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            let _ = MEMORY.set_limit(usize::MAX);
            before(what);
        }));
    });
    MEMORY.set_limit(MEMORY.allocated().saturating_add(bytes)).expect("more than there is");
    let done = work();
    MEMORY.set_limit(usize::MAX).expect("more than there is");
    done
}

/// A request as a text: a line `POST /path?query`, lines of headers, an empty line, and the body as it is. `None` when a
/// server would have refused it before it was one.
pub fn request(text: &[u8]) -> Option<Request> {
    let (first, mut rest) = line(text)?;
    let (method, path) = first.split_once(' ')?;
    let path = path.parse::<PathAndQuery>().ok().filter(|path| path.as_str().starts_with('/'))?;
    let mut request = Request::new(Method::from_bytes(method.as_bytes()).ok()?, path.as_str());
    for _ in 0..80 {
        let Some((header, after)) = line(rest) else { break };
        rest = after;
        let Some((name, value)) = header.split_once(": ") else { break };
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        HeaderValue::from_str(value).ok()?;
        request = request.with_header(name.as_str(), value);
    }
    Some(request.with_body(rest.to_vec()))
}

fn line(text: &[u8]) -> Option<(&str, &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    Some((std::str::from_utf8(&text[..end]).ok()?, &text[end + 1..]))
}

/// What came back.
#[derive(Debug, PartialEq)]
pub struct Told {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Sends a request, whose answer is never the server's fault, and JSON when it says so.
pub fn ask(service: &dyn Service, request: Request) -> Told {
    let path = request.path().to_owned();
    let response = block_on(service.call(request));
    told(&path, response)
}

/// The same for one that may be answered only when something else has happened; `None` when it is not, in a moment.
pub fn try_ask(service: &dyn Service, request: Request) -> Option<Told> {
    let path = request.path().to_owned();
    let response = block_on(async { timeout(Duration::from_millis(20), service.call(request)).await })?;
    Some(told(&path, response))
}

fn told(path: &str, response: Response) -> Told {
    let status = response.status().as_u16();
    let is_json = response.headers().get("content-type").is_some_and(|kind| kind == "application/json");
    let body = block_on(response.into_bytes()).to_vec();
    assert!((200..500).contains(&status), "{path}: {status} {}", String::from_utf8_lossy(&body));
    let is_empty = status == 204 || body.is_empty();
    assert!(!is_json || is_empty || serde_json::from_slice::<Value>(&body).is_ok(), "{path}: no JSON");
    Told { status, body }
}

/// A folder of this process's alone.
pub fn folder() -> &'static Path {
    static FOLDER: LazyLock<tempfile::TempDir> =
        LazyLock::new(|| tempfile::tempdir().expect("there is room"));
    FOLDER.path()
}

/// A file in it that holds these bytes.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    fs::write(&path, bytes).expect("there is room");
    path
}
