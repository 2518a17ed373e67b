//! Whatever is sent, the answer has one of the vendor's forms, nothing of it is our fault, and the service goes on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Bench, KEY, Told};
use trainyard_http::{Method, Request};
use trainyard_testkit::hostile;

const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];

fn path() -> impl Strategy<Value = String> {
    let starts = ["/v1/asset", "/v2", "/v2/photo_avatar", "/v2/avatar_group", "/v2/trainyard"];
    let segments = [
        "photo_avatar",
        "avatar_group",
        "avatar_group.list",
        "photo_avatar_group",
        "train",
        "status",
        "create",
        "add",
        "generate",
        "generation",
        "avatars",
        "trainyard",
        "images",
        "original",
        "placeholder.png",
        "00000000000000010000000000000000",
        "00000000000000030000000000000000",
    ];
    hostile::path(&starts, &segments, "[a-zA-Z0-9=&%+._-]{0,90}|token=[a-zA-Z0-9_-]{75}")
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(|float| json!(float)),
        ".{0,40}".prop_map(Into::into),
        "(image/)?[0-9a-f]{32}(/original)?".prop_map(Into::into),
        Just("image/00000000000000010000000000000000/original".into()),
        Just("00000000000000020000000000000000".into()),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| prop::collection::vec(inner, 0..6).prop_map(Into::into))
}

fn json_body() -> impl Strategy<Value = String> {
    let names = vec!["name", "image_key", "image_keys", "group_id", "generation_id", "prompt"];
    let member = (prop::sample::select(names), value());
    prop::collection::vec(member, 0..6).prop_map(|members| {
        Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).to_string()
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![support::PNG, support::JPEG, b"RIFF", b"--XX\r\n", b"{", b"\0"]);
    prop_oneof![
        json_body().prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(words, 0..12).prop_map(|words| words.concat()),
    ]
}

fn header() -> impl Strategy<Value = (&'static str, String)> {
    let names = ["x-api-key", "expect"];
    let values = ["image/png", "multipart/form-data; boundary=XX", "video/mp4", "100-continue"];
    hostile::header(&names, &values)
}

fn check(path: &str, told: &Told) -> Result<(), TestCaseError> {
    prop_assert!((200..500).contains(&told.status), "{}: {}", told.status, told.text());
    prop_assert!(told.body.len() < 20_000, "{} bytes", told.body.len());
    if told.status == 200 {
        // Checked by its schema already.
        return Ok(());
    }
    if told.header("content-type") == Some("text/html; charset=utf-8") {
        told.is_page();
        return Ok(());
    }
    prop_assert_eq!(told.header("content-type"), Some("application/json"));
    let answer = told.json();
    let members: Vec<&String> = answer.as_object().unwrap().keys().collect();
    let error = if path.starts_with("/v1/") {
        prop_assert_eq!(members, ["code", "message"]);
        prop_assert!(answer["code"].is_u64());
        &answer
    } else {
        prop_assert_eq!(members, ["data", "error"]);
        prop_assert_eq!(&answer["data"], &Value::Null);
        prop_assert!(answer["error"]["code"].is_string());
        &answer["error"]
    };
    prop_assert!(!error["message"].as_str().unwrap().is_empty(), "{}", told.text());
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
        let group = bench.ready("Ann");
        bench.train(group);
        for (method, path, headers, body, with_key) in requests {
            let mut request = Request::new(method, &path).with_body(body);
            if with_key {
                request = request.with_header("x-api-key", KEY);
            }
            for (name, value) in headers {
                request = request.with_header(name, &value);
            }
            let told = bench.send(request);
            check(&path, &told)?;
        }
        let told = bench.get(&support::status_path(group));
        prop_assert!(told.status == 200 && told.data()["status"] == "pending" || told.status == 404);
    }

    #[test]
    fn any_json_for_any_call_is_answered(bodies in prop::collection::vec(json_body(), 1..10)) {
        let bench = Bench::new();
        bench.ready("Ann");
        for body in &bodies {
            for path in ["train", "avatar_group/create", "avatar_group/add"] {
                let path = format!("/v2/photo_avatar/{path}");
                check(&path, &bench.ask(Method::POST, &path, body))?;
            }
        }
    }
}
