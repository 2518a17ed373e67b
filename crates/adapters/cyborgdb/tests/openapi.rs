//! The document of this wire: who may read it, and what it says of the bodies that clients really send.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use support::{Bench, CONTRACT, fixture};
use trainyard_cyborgdb::{OPENAPI, Settings};
use trainyard_http::secret::Secret;
use trainyard_http::{Method, Request};
use trainyard_testkit::client::Answer;

#[test]
fn anybody_may_read_it() {
    let bench = Bench::new(Settings::new().with_root_key(Secret::new("s3cret").unwrap()));
    let told = bench.get("/v1/openapi.json");
    assert_eq!((told.status, told.text()), (200, OPENAPI));
    assert_eq!(told.header("content-type"), Some("application/json"));
    let told = bench.send(Request::new(Method::POST, "/v1/openapi.json"));
    told.says(405, "Method Not Allowed");
    assert_eq!(told.header("allow"), Some("GET"));
    assert_eq!(bench.get("/v1/indexes/list").status, 401);
}

#[test]
fn the_bodies_of_real_clients_are_in_it() {
    let check = |path: &str, name: &str| {
        let sent = fixture(&format!("requests/{name}"));
        assert_eq!(CONTRACT.takes("POST", path, sent.as_bytes()), Ok(()), "{name}");
    };
    for name in ["create_client_0.17.json", "create_client_0.18.json", "create_npm_0.14.json"] {
        check("/v1/indexes/create", name);
    }
    for name in ["train_client_0.17.json", "train_client_0.18.json"] {
        check("/v1/indexes/train", name);
    }
}

#[test]
fn the_published_example_is_an_answer() {
    let published = br#"{
        "training_indexes": ["my_index", "semantic_index"],
        "retrain_threshold": 10000,
        "currently_training": "my_index",
        "queued_indexes": ["semantic_index"],
        "worker_running": true,
        "worker_pid": 0,
        "global_training": {}
    }"#;
    let answer = Answer::new(200, "application/json", published);
    assert_eq!(CONTRACT.answers("GET", "/v1/indexes/training-status", &answer), Ok(()));
}
