//! The document of this wire: who may read it, and what it says of what the vendor has published.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::json;
use support::{Bench, CONTRACT, fixture};
use trainyard_http::{Method, Request};
use trainyard_mathfi::OPENAPI;
use trainyard_testkit::client::Answer;

#[test]
fn anybody_may_read_it() {
    let bench = Bench::new();
    let told = bench.send(Request::new(Method::GET, "/api/v1/openapi.json"));
    assert_eq!((told.status, told.text()), (200, OPENAPI));
    assert_eq!(told.header("content-type"), Some("application/json"));
    let told = bench.send(Request::new(Method::PUT, "/api/v1/openapi.json"));
    assert_eq!((told.status, told.header("allow")), (405, Some("GET")));
    assert_eq!(bench.send(Request::new(Method::GET, "/api/v1/datasets?offset=0&limit=1")).status, 401);
}

#[test]
fn the_published_example_is_an_answer() {
    let published = fixture("progress_of_the_reference.json");
    let answer = Answer::new(200, "application/json", published);
    assert_eq!(
        CONTRACT.answers("GET", "/api/v1/training/bc9aa412-8d4f-4b00-89af-0e6e3dcf8e57/progress", &answer),
        Ok(())
    );
}

#[test]
fn its_bounds_are_those_of_the_wire() {
    let bench = Bench::new();
    let dataset = bench.ready("ready");
    let training = format!("/api/v1/training/datasets/{dataset}");
    let check = |path: &str, body: serde_json::Value, fits: bool| {
        let body = body.to_string();
        assert_eq!(CONTRACT.takes("POST", path, body.as_bytes()).is_ok(), fits, "{body}");
        let status = bench.post(path, &body).status;
        assert_eq!(status == 201, fits, "{body}: {status}");
    };
    for (factor, target, fits) in [
        (0, 0.0, true),
        (499, 1.0, true),
        (-1, 0.5, false),
        (500, 0.5, false),
        (1, -0.1, false),
        (1, 1.1, false),
    ] {
        check(&training, json!({ "scalingFactor": factor, "performanceThreshold": target }), fits);
    }
    for (chars, buckets, fits) in
        [(3, 4, true), (30, 1_000, true), (2, 20, false), (31, 20, false), (10, 3, false), (11, 1_001, false)]
    {
        let body = json!({ "datasetName": "é".repeat(chars), "numberOfBuckets": buckets });
        check("/api/v1/datasets", body, fits);
    }
}
