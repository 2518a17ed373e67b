//! Whatever is sent, the answer is JSON with a message, nothing of it is our fault, and the service goes on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Bench, Told};
use trainyard_http::{Method, Request};
use trainyard_testkit::hostile;

const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];

fn path() -> impl Strategy<Value = String> {
    let starts = ["/api/login", "/api/v1/datasets", "/api/v1/training", "/api/v1", "/api"];
    let segments = [
        "api",
        "v1",
        "login",
        "datasets",
        "training",
        "predictions",
        "models",
        "results",
        "uploads",
        "data",
        "progress",
        "cancel",
        "00000000-0000-0000-0000-000100000000",
        "00000000-0000-0000-0000-000000000007",
        "11111111-2222-3333-4444-555555555555",
    ];
    hostile::path(&starts, &segments, "[a-zA-Z0-9=&%+.-]{0,30}")
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(|float| json!(float)),
        (0_u16..1_200).prop_map(Into::into),
        ".{0,40}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Into::into))
}

fn json_body() -> impl Strategy<Value = String> {
    let names = vec![
        "datasetName",
        "description",
        "numberOfBuckets",
        "scalingFactor",
        "performanceThreshold",
        "username",
        "password",
    ];
    let member = (prop::sample::select(names), value());
    prop::collection::vec(member, 0..6).prop_map(|members| {
        Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).to_string()
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "--XX",
        "\r\n",
        "--",
        "content-disposition: form-data; name=\"file\"",
        "\r\n\r\n",
        "a,b\n",
    ]);
    prop_oneof![
        json_body().prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(words, 0..12).prop_map(|words| words.concat().into_bytes()),
    ]
}

fn header() -> impl Strategy<Value = (&'static str, String)> {
    let names = ["x-goog-content-length-range", "expect"];
    let values = [
        "text/csv",
        "multipart/form-data; boundary=XX",
        "multipart/form-data",
        "10,20",
        "0,18446744073709551615",
        "Bearer x",
        "Bearer",
        "100-continue",
    ];
    hostile::header(&names, &values)
}

fn check(told: &Told) -> Result<(), TestCaseError> {
    prop_assert!((200..500).contains(&told.status), "{}: {}", told.status, told.text());
    prop_assert_eq!(told.header("content-type"), Some("application/json"));
    let answer: Value = serde_json::from_str(told.text()).unwrap();
    prop_assert!(answer.is_object());
    if told.status >= 400 {
        prop_assert!(!answer["message"].as_str().unwrap().is_empty(), "{}", told.text());
        prop_assert!(told.text().len() < 2_000, "{} bytes", told.text().len());
    }
    Ok(())
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
        let bench = Bench::new();
        let dataset = bench.ready("ready");
        let job = bench.train(dataset, 0.8);
        for (method, path, headers, body, with_token) in requests {
            let mut request = Request::new(method, &path).with_body(body);
            if with_token {
                request = request.with_header("authorization", &format!("Bearer {}", bench.token));
            }
            for (name, value) in headers {
                request = request.with_header(name, &value);
            }
            check(&bench.send(request))?;
        }
        prop_assert_eq!(&bench.progress(job)["status"], "RUNNING");
    }

    #[test]
    fn any_json_for_any_endpoint_is_answered(bodies in prop::collection::vec(json_body(), 1..10)) {
        let bench = Bench::new();
        let dataset = bench.ready("ready");
        for body in &bodies {
            for path in ["/api/v1/datasets", &format!("/api/v1/training/datasets/{dataset}")] {
                check(&bench.post(path, body))?;
            }
            let login = Request::new(Method::POST, "/api/login").with_header("content-type", "application/json");
            let told = bench.send(login.with_body(body.clone()));
            check(&told)?;
            prop_assert!(told.status >= 400);
        }
    }

    #[test]
    fn any_text_in_a_list_is_answered(query in "[a-zA-Z0-9=&%+._:;,/?!*'()@$~-]{0,60}") {
        check(&Bench::new().get(&format!("/api/v1/datasets?{query}")))?;
    }
}
