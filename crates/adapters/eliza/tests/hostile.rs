//! Whatever is sent, the answer has one of the vendor's forms, nothing of it is our fault, and the service goes on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Bench, Told};
use trainyard_eliza::Settings;
use trainyard_http::secret::Secret;
use trainyard_http::{Method, Request};
use trainyard_testkit::hostile;

const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];
const TOKEN: &str = "s3cret";

fn path() -> impl Strategy<Value = String> {
    let starts = ["/api/training"];
    let segments = [
        "status",
        "trajectories",
        "datasets",
        "build",
        "jobs",
        "cancel",
        "models",
        "import-ollama",
        "activate",
        "benchmark",
        "backends",
        "auto",
        "config",
        "decisions",
        "trigger",
        "runs",
        "dataset-1",
        "t-0",
        "00000000-0000-0000-0000-000000000001",
        "00000000-0000-0000-0000-000000000002",
    ];
    hostile::path(&starts, &segments, "[a-zA-Z0-9=&%+._-]{0,60}|(limit|offset)=[0-9eE.+-]{0,12}")
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (0_i64..9).prop_map(Into::into),
        any::<f64>().prop_map(|float| json!(float)),
        ".{0,40}".prop_map(Into::into),
        prop::sample::select(vec!["native", "cpu", "dataset-1", "http://localhost", "response"])
            .prop_map(Into::into),
    ];
    let names = prop::sample::select(vec!["threshold", "cooldownHours", "backend", "response", "id"]);
    leaf.prop_recursive(3, 20, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((names.clone(), inner), 0..4).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

fn json_body() -> impl Strategy<Value = String> {
    let names = vec![
        "limit",
        "minLlmCallsPerTrajectory",
        "datasetId",
        "maxTrajectories",
        "backend",
        "model",
        "iterations",
        "batchSize",
        "learningRate",
        "modelName",
        "baseModel",
        "ollamaUrl",
        "providerModel",
        "threshold",
        "cooldownHours",
        "enabled",
        "triggerThreshold",
        "triggerCooldownHours",
        "autoTrain",
        "backends",
        "perTaskOverrides",
        "config",
        "task",
        "dryRun",
        "id",
    ];
    let member = (prop::sample::select(names), value());
    prop::collection::vec(member, 0..6).prop_map(|members| {
        Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).to_string()
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        json_body().prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..200),
        Just(b"[".repeat(20_000)),
        Just(Vec::new()),
    ]
}

fn header() -> impl Strategy<Value = (&'static str, String)> {
    let names = ["x-api-key", "x-milady-token", "origin", "upgrade"];
    let values = ["https://evil.example", "http://localhost:3000", "websocket", "Bearer s3cret", "s3cret"];
    hostile::header(&names, &values)
}

fn check(told: &Told) -> Result<(), TestCaseError> {
    prop_assert!(told.body.len() < 60_000, "{} bytes", told.body.len());
    if told.status == 204 {
        prop_assert!(told.body.is_empty());
        return Ok(());
    }
    prop_assert_eq!(told.header("content-type"), Some("application/json"));
    let answer = told.json();
    prop_assert!(answer.is_object(), "{}", told.text());
    if matches!(told.status, 200 | 201) {
        prop_assert_eq!(answer.get("error"), None);
        return Ok(());
    }
    prop_assert!((400..500).contains(&told.status), "{}: {}", told.status, told.text());
    let words = answer["error"].as_str().unwrap();
    prop_assert!(!words.is_empty() && words.len() < 300, "{}", told.text());
    prop_assert_eq!(&answer["message"], words);
    let code = match told.status {
        401 => "UNAUTHORIZED",
        403 => "FORBIDDEN",
        404 => "NOT_FOUND",
        _ => "INVALID_REQUEST",
    };
    prop_assert_eq!(&answer["code"], code, "{}", told.text());
    Ok(())
}

fn bench() -> Bench {
    let settings = Settings::new().with_token(Secret::new(TOKEN).unwrap());
    let bench = Bench::with(settings);
    bench.service.ingest(br#"[{"id":"t-0","tasks":["response"]}]"#).unwrap();
    let told = bench.send(request(Method::POST, "/api/training/jobs", "{}"));
    assert_eq!(told.status, 201);
    bench.complete();
    bench
}

fn request(method: Method, path: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::new(method, path).with_header("x-api-key", TOKEN).with_body(body.into())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_is_answered(
        requests in prop::collection::vec(
            (prop::sample::select(METHODS.to_vec()), path(), prop::collection::vec(header(), 0..4), body(), any::<bool>()),
            1..20,
        ),
    ) {
        let bench = bench();
        for (method, path, headers, body, with_token) in requests {
            let mut request = Request::new(method, &path).with_body(body);
            if with_token {
                request = request.with_header("x-api-key", TOKEN);
            }
            for (name, value) in headers {
                request = request.with_header(name, &value);
            }
            check(&bench.send(request))?;
        }
        let told = bench.send(request(Method::GET, "/api/training/status", ""));
        prop_assert_eq!(told.status, 200);
    }

    #[test]
    fn any_json_for_any_call_is_answered(bodies in prop::collection::vec(json_body(), 1..10)) {
        let bench = bench();
        let model = "00000000-0000-0000-0000-000000000002";
        for body in &bodies {
            for (method, path) in [
                (Method::POST, "datasets/build".to_owned()),
                (Method::POST, "jobs".to_owned()),
                (Method::POST, "trajectories".to_owned()),
                (Method::POST, format!("models/{model}/import-ollama")),
                (Method::POST, format!("models/{model}/activate")),
                (Method::POST, format!("models/{model}/benchmark")),
                (Method::PUT, "auto/config".to_owned()),
                (Method::POST, "auto/config".to_owned()),
                (Method::POST, "auto/trigger".to_owned()),
            ] {
                let told = bench.send(request(method, &format!("/api/training/{path}"), body.as_str()));
                check(&told)?;
            }
        }
        // What was taken is what is told.
        let config = bench.send(request(Method::GET, "/api/training/auto/config", "")).json();
        prop_assert!(config["threshold"].as_u64().unwrap() >= 1);
        prop_assert!(config["cooldownHours"].as_f64().unwrap() >= 0.0);
        let jobs = bench.send(request(Method::GET, "/api/training/jobs", "")).json();
        for job in jobs["jobs"].as_array().unwrap() {
            prop_assert!((0.0..=1.0).contains(&job["progress"].as_f64().unwrap()));
            prop_assert!(job["logs"].is_array());
        }
    }
}
