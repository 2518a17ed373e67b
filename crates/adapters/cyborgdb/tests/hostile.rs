//! Whatever is sent, the answer is in the vendor's form, and the service goes on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Bench, KEY, Told};
use trainyard_cyborgdb::{Limits, Settings};
use trainyard_http::{Method, Request};

const PATHS: [&str; 16] = [
    "/v1/indexes/create",
    "/v1/indexes/describe",
    "/v1/indexes/delete",
    "/v1/vectors/upsert",
    "/v1/vectors/upsert_binary",
    "/v1/vectors/query",
    "/v1/vectors/query_binary",
    "/v1/vectors/get",
    "/v1/vectors/delete",
    "/v1/vectors/list_ids",
    "/v1/vectors/num_vectors",
    "/v1/vectors/query_metadata",
    "/v1/indexes/list",
    "/v1/indexes/x/users",
    "/v1/nothing",
    "/v1/indexes/describe/",
];

const MEMBERS: [&str; 24] = [
    "index_name",
    "index_key",
    "kms_name",
    "dimension",
    "embedding_model",
    "metric",
    "storage_precision",
    "metadata_schema",
    "items",
    "batch",
    "ids",
    "vectors_b64",
    "metadata",
    "contents",
    "id",
    "vector",
    "query_vectors",
    "query_contents",
    "top_k",
    "n_probes",
    "filters",
    "include",
    "n_lists",
    "tolerance",
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-3_i64..4).prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(|float| json!(float)),
        prop::sample::select(vec![
            "i", "", KEY, "cosine", "float16", "distance", "AAAAAA==", "nan", "1e-3", "4"
        ])
        .prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 60, 6, |inner| {
        let member = prop_oneof![prop::sample::select(MEMBERS.to_vec()).prop_map(str::to_owned), ".{0,4}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((member, inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A body that comes further: the right index and key, and members of the right names.
fn body() -> impl Strategy<Value = Value> {
    let member = (prop::sample::select(MEMBERS.to_vec()), value());
    (any::<bool>(), prop::collection::vec(member, 0..6)).prop_map(|(ours, members)| {
        let mut body: serde_json::Map<String, Value> =
            members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        if ours {
            body.insert("index_name".to_owned(), "i".into());
            body.insert("index_key".to_owned(), KEY.into());
        }
        Value::Object(body)
    })
}

fn check(told: &Told) -> Result<(), TestCaseError> {
    match told.status {
        200 | 307 => {}
        400..500 => {
            let detail = &told.json()["detail"];
            prop_assert!(detail.is_string() || detail.is_array(), "{}", told.text());
            prop_assert_eq!(detail.is_array(), told.status == 422);
            for finding in detail.as_array().into_iter().flatten() {
                prop_assert!(finding["type"].is_string() && finding["msg"].is_string());
                prop_assert_eq!(&finding["loc"][0], "body");
                prop_assert!(finding.get("input").is_some());
            }
        }
        other => prop_assert!(false, "{other}: {}", told.text()),
    }
    Ok(())
}

fn bench() -> Bench {
    let bench = Bench::new(Settings::new().with_limits(Limits { body_bytes: 4_096, ..Limits::default() }));
    bench.create("i");
    bench.fill("i", 0, 2);
    bench
}

/// Pieces whose form in memory, or in an answer, is larger than their text.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[]",
        "{}",
        "null",
        "[[[]]]",
        r#"{"":[]}"#,
        r#""\u0001""#,
        r#""\u007f\u0000é""#,
        r#""""#,
        "-0.1",
        "1e300",
        "1E-7",
        "7",
        r#"{"id":1}"#,
        r#"{"vector":[[]]}"#,
    ]);
    let count = prop_oneof![1_usize..200, 1_usize..40_000];
    (piece, count, any::<bool>()).prop_map(|(piece, count, texts)| match piece.strip_prefix('"') {
        // One long text instead of many short ones.
        Some(inside) if texts => format!("\"{}\"", inside.trim_end_matches('"').repeat(count)),
        _ => format!("[{}]", vec![piece; count].join(",")),
    })
}

/// A hundred errors with 64 KiB of input each, and what stands around them.
const WRONG_ANSWER_BYTES_MAX: usize = 100 * ((64 << 10) + 512);

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_answered(bodies in prop::collection::vec(prop_oneof![value(), body()], 1..12)) {
        let bench = bench();
        for body in &bodies {
            for path in PATHS {
                check(&bench.post(path, &body.to_string()))?;
            }
        }
        prop_assert_eq!(bench.get("/v1/health").status, 200);
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200), path in 0..PATHS.len()) {
        let bench = bench();
        for content_type in ["application/json", "text/plain"] {
            let request = Request::new(Method::POST, PATHS[path]).with_header("content-type", content_type);
            check(&bench.send(request.with_body(bytes.clone())))?;
        }
    }

    #[test]
    fn what_is_said_about_a_wrong_body_has_a_bound(
        pieces in pieces(),
        member in prop::sample::select(MEMBERS.to_vec()),
        path in 0..12_usize,
        copies in 1_usize..4,
    ) {
        let bench = Bench::new(Settings::new());
        bench.create("i");
        let list = vec![&*pieces; copies].join(",");
        for body in [
            pieces.clone(),
            format!("[{list}]"),
            format!(r#"{{"{member}":{pieces}}}"#),
            format!(r#"{{"index_name":"i","index_key":"{KEY}","{member}":[{list}]}}"#),
        ] {
            let told = bench.post(PATHS[path], &body);
            check(&told)?;
            prop_assert!(told.text().len() <= WRONG_ANSWER_BYTES_MAX, "{} bytes", told.text().len());
            for finding in told.json()["detail"].as_array().into_iter().flatten() {
                // As text in the answer: what needs no escape there is as it was sent.
                prop_assert!(finding["input"].to_string().len() <= 64 << 10);
            }
        }
    }

    #[test]
    fn any_train_that_is_refused_queues_nothing(body in body()) {
        let bench = bench();
        // Without the key nothing comes as far as the queue, where a train would wait for its turn.
        let mut body = body;
        body["index_key"] = Value::Null;
        check(&bench.post("/v1/indexes/train", &body.to_string()))?;
        prop_assert_eq!(bench.jobs(), 0);
    }
}
