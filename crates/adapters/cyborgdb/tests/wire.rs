//! The bodies of the fact sheet, byte for byte.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use support::{Bench, KEY, fixture, post, with_key};
use trainyard_cyborgdb::{Rule, Settings};
use trainyard_http::{Method, Request};

/// Two little-endian `f32`s: 0 and 0.
const ORIGIN: &str = "AAAAAAAAAAA=";

fn with_two_items() -> Bench {
    let bench = Bench::new(Settings::new());
    bench.create("i");
    let items = r#""items":[{"id":"x","vector":[1,0.5],"contents":"aGk=","metadata":{"tag":"a"}},{"id":"y","vector":[0,0.0]}]"#;
    let told = bench.post("/v1/vectors/upsert", &with_key("i", items));
    assert_eq!(told.text(), r#"{"status":"success","message":"Upserted 2 vectors"}"#);
    bench
}

#[test]
fn health_and_list() {
    let bench = Bench::new(Settings::new());
    bench.get("/v1/health").is(200, "health.json");
    bench.create("b");
    bench.create("a");
    bench.get("/v1/indexes/list").is(200, "list.json");
}

#[test]
fn the_clients_create_describe_and_delete() {
    for client in ["create_client_0.18.json", "create_client_0.17.json"] {
        let bench = Bench::new(Settings::new());
        bench.post("/v1/indexes/create", &fixture(&format!("requests/{client}"))).is(200, "created.json");
        let described = bench.post("/v1/indexes/describe", &with_key("i", ""));
        described.is(200, "described_untrained.json");
        let seven = r#"{"index_name":"i","is_trained":false,"dimension":32,"metric":"euclidean","n_lists":1,"metadata_schema":{},"bm25":null"#;
        assert!(described.text().starts_with(seven), "what is ours comes after what is the vendor's");
        bench.post("/v1/indexes/delete", &with_key("i", "")).is(200, "index_deleted.json");
        bench.post("/v1/indexes/delete", &with_key("i", "")).says(404, "No KMS envelope for index 'i'");
    }
    let bench = Bench::new(Settings::new());
    bench.post("/v1/indexes/create", &fixture("requests/create_npm_0.14.json")).is(200, "created.json");
    assert_eq!(bench.describe("i")["dimension"], 0, "the dimension comes with the first vectors");
}

#[test]
fn items_in_and_out() {
    let bench = with_two_items();
    bench.post("/v1/vectors/get", &with_key("i", r#""ids":["x","nobody","y"]"#)).is(200, "got.json");
    let contents = r#""ids":["x"],"include":["contents","distance"]"#;
    bench.post("/v1/vectors/get", &with_key("i", contents)).is(200, "got_contents.json");
    bench.post("/v1/vectors/list_ids", &with_key("i", "")).is(200, "ids.json");
    bench.post("/v1/vectors/num_vectors", &with_key("i", "")).is(200, "count.json");
    bench.post("/v1/vectors/delete", &with_key("i", r#""ids":["x","y","z"]"#)).is(200, "items_deleted.json");
    let again = r#""items":[{"id":"x","vector":[1,0.5]}]"#;
    bench.post("/v1/vectors/upsert", &with_key("i", again)).is(200, "upserted.json");
}

#[test]
fn queries_in_all_forms() {
    let bench = with_two_items();
    let ask = |more: &str| bench.post("/v1/vectors/query", &with_key("i", more));
    ask(r#""query_vectors":[0,0]"#).is(200, "query_ids.json");
    ask(r#""query_vectors":[0,0],"include":[]"#).is(200, "query_ids.json");
    ask(r#""query_vectors":[[0,0]]"#).is(200, "query_ids.json");
    ask(r#""query_vectors":[1,-0.5],"top_k":2,"include":["distance"]"#);
    let full = r#""query_vectors":[0,0],"include":["distance","metadata","vector","contents","?"]"#;
    let told = ask(full).json();
    assert_eq!(told["results"][1]["metadata"]["tag"], "a");
    assert!(told["results"][0].get("vector").is_none());
    ask(r#""query_vectors":[[0,0],[1,0.5]],"top_k":"1""#).is(200, "query_batch.json");
    ask(r#""query_vectors":[0,0],"filters":{"tag":"b"}"#).is(200, "query_empty.json");
    let binary = |bytes: &str, more: &str| {
        let batch = format!(r#""batch":{{"vectors_b64":"{bytes}","dimension":2}}{more}"#);
        bench.post("/v1/vectors/query_binary", &with_key("i", &batch))
    };
    binary(ORIGIN, "").is(200, "query_binary_one.json");
    binary("AAAAAAAAAAAAAIA/AAAAPw==", r#","top_k":1"#).is(200, "query_batch.json");
    binary("AAAAAAAAAAAAAIA/AAAAPw==", r#","filters":{"tag":"b"}"#).is(200, "query_binary_empty.json");
}

#[test]
fn rows_carry_distance_and_metadata() {
    let bench = Bench::new(Settings::new());
    bench.create("i");
    let items = r#""items":[{"id":"x","vector":[1,0],"metadata":{"tag":"a"}},{"id":"y","vector":[0,0]}]"#;
    bench.post("/v1/vectors/upsert", &with_key("i", items));
    let full = r#""query_vectors":[0,0],"include":["distance","metadata"]"#;
    bench.post("/v1/vectors/query", &with_key("i", full)).is(200, "query_full.json");
}

#[test]
fn an_index_without_vectors_is_searched() {
    let bench = Bench::new(Settings::new());
    bench.create("i");
    bench.post("/v1/vectors/query", &with_key("i", r#""query_vectors":[1]"#)).says(
        400,
        "Failed to query: Invalid input: Index dimension is not set. Please upsert vectors first to auto-detect dimension.",
    );
    bench.post("/v1/indexes/create", &with_key("j", r#""dimension":2"#));
    bench.post("/v1/vectors/query", &with_key("j", r#""query_vectors":[1,2]"#)).is(200, "query_empty.json");
}

#[test]
fn vectors_travel_in_base64() {
    let bench = Bench::new(Settings::new());
    bench.create("i");
    let upsert =
        |batch: &str| bench.post("/v1/vectors/upsert_binary", &with_key("i", &format!(r#""batch":{batch}"#)));
    // Three ids, two vectors: the surplus is dropped.
    let told = upsert(
        r#"{"ids":["x","y","z"],"vectors_b64":"AACAPwAAAD8AAAAAAAAAAA==","dimension":2,"metadata":[{"tag":"a"},null],"contents":["aGk="]}"#,
    );
    assert_eq!(told.text(), r#"{"status":"success","message":"Upserted 2 vectors"}"#);
    bench.post("/v1/vectors/get", &with_key("i", r#""ids":["x","y","z"]"#)).is(200, "got.json");
    let told = upsert(r#"{"ids":["y"],"vectors_b64":"AAAAAAAAAAAAAAAAAAAAAA==","dimension":2}"#);
    assert_eq!(told.text(), r#"{"status":"success","message":"Upserted 1 vectors"}"#);
    for (batch, reason) in [
        (
            r#"{"ids":["x"],"vectors_b64":"AAAA","dimension":2}"#,
            "vectors_b64 holds 3 bytes, which are no vectors of 2 float32",
        ),
        (r#"{"ids":["x"],"vectors_b64":"?","dimension":2}"#, "vectors_b64 is not valid base64"),
        (r#"{"ids":["x"],"vectors_b64":"","dimension":0}"#, "dimension must be between 1 and 65535, got 0"),
        (
            r#"{"ids":["x"],"vectors_b64":"","dimension":1e30}"#,
            "dimension must be between 1 and 65535, got 9223372036854775807",
        ),
        (
            r#"{"ids":["x"],"vectors_b64":"AADAfw==","dimension":1}"#,
            "vector 0 holds a number that is not finite",
        ),
        (r#"{"ids":[""],"vectors_b64":"AAAAAAAAAAA=","dimension":2}"#, "item 0 has an empty id"),
        (
            r#"{"ids":["x"],"vectors_b64":"AAAAAA==","dimension":1}"#,
            "vector has wrong dimension: expected 2, got 1",
        ),
        (
            r#"{"ids":[],"vectors_b64":"","dimension":1}"#,
            "Invalid arguments. Expected at least one id and its vector.",
        ),
    ] {
        upsert(batch).says(400, &format!("Failed to upsert vectors (binary): Invalid input: {reason}"));
    }
    let query = r#""batch":{"vectors_b64":"AAAAAAAAAAAAAAAA","dimension":3}"#;
    bench.post("/v1/vectors/query_binary", &with_key("i", query)).says(
        400,
        "Failed to query (binary): Invalid input: The dimension of the vectors provided (3) doesn't match the index configuration (2).",
    );
}

#[test]
fn what_is_wrong_with_a_body_is_told_as_pydantic_tells_it() {
    let bench = Bench::new(Settings::new());
    for (path, body, fixture) in [
        ("describe", &*format!(r#"{{"index_key":"{KEY}","also":[1, 2.5]}}"#), "422_missing.json"),
        ("describe", "", "422_no_body.json"),
        ("describe", "null", "422_null.json"),
        ("describe", r#"{"index_name":nope}"#, "422_not_json.json"),
        ("describe", "[]", "422_list.json"),
        ("describe", "\"x\"", "422_string.json"),
        ("train", r#"{"index_name":"i","n_lists":"many"}"#, "422_int_parsing.json"),
        ("train", r#"{"index_name":"i","n_lists":1.5}"#, "422_int_from_float.json"),
        ("train", r#"{"index_name":"i","tolerance":"x"}"#, "422_float_parsing.json"),
        ("train", r#"{"index_name":"i","index_key":5}"#, "422_string_type.json"),
        ("train", r#"{"max_iters":"b","n_lists":"a","index_key":1}"#, "422_all_in_order.json"),
        ("create", r#"{"index_name":"i","storage_precision":"int8"}"#, "422_literal.json"),
        ("../vectors/upsert", r#"{"index_name":"i","items":[{"vector":[1]}]}"#, "422_item_without_id.json"),
        ("../vectors/query", r#"{"index_name":"i","query_vectors":"x"}"#, "422_query.json"),
    ] {
        let path = format!("/v1/indexes/{path}").replace("indexes/../", "");
        bench.post(&path, body).is(422, fixture);
    }
    let untyped = |request: Request| bench.send(request.with_body(r#"{"index_name":"i"}"#));
    let request = || Request::new(Method::POST, "/v1/indexes/describe");
    untyped(request()).is(422, "422_other_type.json");
    untyped(request().with_header("content-type", "text/plain")).is(422, "422_other_type.json");
    for json in ["application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"] {
        assert_eq!(untyped(request().with_header("content-type", json)).status, 404);
    }
    bench.send(request()).is(422, "422_no_body.json");
}

/// What FastAPI and pydantic 2 say about 400 wrong bodies; `fixtures/wrong_bodies.py` asks them.
#[test]
fn wrong_bodies_are_told_as_pydantic_tells_them() {
    let bench = Bench::new(Settings::new());
    for line in fixture("wrong_bodies.jsonl").lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let [path, body, answer] = ["path", "body", "answer"].map(|member| case[member].as_str().unwrap());
        let told = bench.post(path, body);
        assert_eq!((told.status, told.text()), (422, answer), "{path} {body}");
    }
}

#[test]
fn either_form_of_a_query_is_told_what_it_lacks() {
    let bench = Bench::new(Settings::new());
    let told = bench.post("/v1/vectors/query", "{}").json();
    let locs: Vec<String> = told["detail"].as_array().unwrap().iter().map(|e| e["loc"].to_string()).collect();
    assert_eq!(
        locs,
        [
            r#"["body","QueryRequest","index_name"]"#,
            r#"["body","BatchQueryRequest","index_name"]"#,
            r#"["body","BatchQueryRequest","query_vectors"]"#
        ]
    );
    bench.post("/v1/vectors/query", "").is(422, "422_no_body.json");
}

#[test]
fn the_training_status_in_its_order() {
    let bench = Bench::new(Settings::new());
    bench.get("/v1/indexes/training-status").is(200, "training_status_idle.json");
    let settings = Settings::new().with_rule(Rule::Service { floor: 65_536 });
    let bench = Bench::new(settings);
    for name in ["A", "B"] {
        bench.create(name);
        let mut train =
            trainyard_http::Service::call(&bench.service, post("/v1/indexes/train", &with_key(name, "")));
        let before = bench.jobs();
        trainyard_http::block_on(async {
            while bench.jobs() == before {
                let waits = trainyard_http::timeout(std::time::Duration::from_millis(1), &mut train).await;
                assert!(waits.is_none(), "it waits for its job");
            }
        });
    }
    bench.get("/v1/indexes/training-status").is(200, "training_status.json");
}
