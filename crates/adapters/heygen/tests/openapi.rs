//! The document of this wire: who may read it, and what it says of what the vendor has published.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::json;
use support::schema::definition;
use support::{Bench, CONTRACT, with_key};
use trainyard_heygen::OPENAPI;
use trainyard_http::{Method, Request};
use trainyard_testkit::client::Answer;

#[test]
fn anybody_may_read_it() {
    let bench = Bench::new();
    let told = bench.send(Request::new(Method::GET, "/v2/openapi.json"));
    assert_eq!((told.status, told.text()), (200, OPENAPI));
    assert_eq!(told.header("content-type"), Some("application/json"));
    let told = bench.send(with_key(Method::POST, "/v2/openapi.json", ""));
    told.says(405, "method_not_allowed", "Method not allowed");
    assert_eq!(told.header("allow"), Some("GET"));
    // Whoever has no key is not told what there is besides.
    assert_eq!(bench.send(Request::new(Method::POST, "/v2/openapi.json")).status, 401);
    assert_eq!(bench.send(Request::new(Method::GET, "/v2/openapi.json/")).status, 401);
}

#[test]
fn the_published_examples_are_answers() {
    let published = definition();
    let examples = published["examples"].as_object().unwrap();
    assert_eq!(examples.len(), 2);
    for (name, example) in examples {
        let body = example["value"].to_string();
        let answer = Answer::new(200, "application/json", body);
        assert_eq!(CONTRACT.answers("GET", "/v2/photo_avatar/train/status/7", &answer), Ok(()), "{name}");
    }
}

#[test]
fn its_bounds_are_those_of_the_wire() {
    let check = |name: &str, fits: bool| {
        // There are not many groups in one.
        let bench = Bench::new();
        let body = json!({ "name": name, "image_key": bench.upload() });
        let path = "/v2/photo_avatar/avatar_group/create";
        assert_eq!(CONTRACT.takes("POST", path, body.to_string().as_bytes()).is_ok(), fits, "{body}");
        assert_eq!(bench.post(path, &body).status == 200, fits, "{body}");
    };
    for name in ["a", " a ", "é", &"é".repeat(255)] {
        check(name, true);
    }
    for name in ["", " ", "\u{3000}", "a\n", "\u{85}b", "\u{7f}", &"é".repeat(256)] {
        check(name, false);
    }
}
