//! The document of this wire: who may read it, and what it says of what the vendor has published.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use support::{Bench, CONTRACT};
use trainyard_eliza::{OPENAPI, Settings};
use trainyard_http::secret::Secret;
use trainyard_http::{Method, Request};

const PATH: &str = "/api/training/openapi.json";

#[test]
fn anybody_may_read_it() {
    let bench = Bench::with(Settings::new().with_token(Secret::new("s3cret").unwrap()));
    let told = bench.send(Request::new(Method::GET, PATH));
    assert_eq!((told.status, told.text()), (200, OPENAPI));
    assert_eq!(told.header("content-type"), Some("application/json"));
    assert_eq!(bench.send(Request::new(Method::GET, "/api/training/status")).status, 401);
    // Whoever has no token is not told what there is besides.
    assert_eq!(bench.send(Request::new(Method::POST, PATH)).status, 401);
    let with_token = |method| Request::new(method, PATH).with_header("x-api-key", "s3cret");
    bench.send(with_token(Method::POST)).says(404, "NOT_FOUND", "Not found");
}

#[test]
fn pages_may_read_it_as_they_may_read_anything() {
    let bench = Bench::with(Settings::new().with_token(Secret::new("s3cret").unwrap()));
    let from = |origin| bench.send(Request::new(Method::GET, PATH).with_header("origin", origin));
    let told = from("http://localhost:5173");
    assert_eq!((told.status, told.header("vary")), (200, Some("Origin")));
    assert_eq!(told.header("access-control-allow-origin"), Some("http://localhost:5173"));
    from("https://evil.example").says(403, "FORBIDDEN", "Origin not allowed");
}

/// The requests of the documentation that the project was created from.
#[test]
fn the_published_bodies_may_be_sent() {
    let job = json!({
        "datasetId": "dataset-2024-06-10", "backend": "mlx", "model": "eliza-1-2b",
        "iterations": 100, "batchSize": 4, "learningRate": 1e-5,
    });
    let import =
        json!({ "modelName": "eliza-v1", "baseModel": "eliza-1-2b", "ollamaUrl": "http://localhost:11434" });
    let published = [
        ("POST", "datasets/build", json!({ "limit": 100, "minLlmCallsPerTrajectory": 2 })),
        ("POST", "jobs", job),
        ("POST", "models/model-001/import-ollama", import),
        ("POST", "models/model-001/activate", json!({ "providerModel": "eliza-v1" })),
        ("PUT", "auto/config", json!({ "threshold": 200, "cooldownHours": 24 })),
    ];
    for (method, path, body) in published {
        let path = format!("/api/training/{path}");
        assert_eq!(CONTRACT.takes(method, &path, body.to_string().as_bytes()), Ok(()), "{path}");
    }
}

#[test]
fn its_bounds_are_those_of_the_wire() {
    let bench = Bench::new();
    bench.build();
    let check = |body: Value, fits: bool| {
        let sent = body.to_string();
        assert_eq!(CONTRACT.takes("POST", "/api/training/jobs", sent.as_bytes()).is_ok(), fits, "{body}");
        assert_eq!(bench.post("/jobs", &body).status == 201, fits, "{body}");
    };
    for word in ["x", " x", " ", "", "a-b", "é", &"é".repeat(256)] {
        check(json!({ "model": word }), true);
    }
    for word in ["-x", " -x", "a\nb", "\u{85}", &"é".repeat(257)] {
        check(json!({ "optimizer": word }), false);
    }
    for number in [json!(1), json!(1.0), json!(1_000_000_000)] {
        check(json!({ "iterations": number }), true);
    }
    for number in [json!(0), json!(1.5), json!(1_000_000_001), json!("1")] {
        check(json!({ "batchSize": number }), false);
    }
    check(json!({ "learningRate": 1e-9 }), true);
    check(json!({ "learningRate": 0 }), false);
}
