//! In which order a request is checked, and what every check says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use support::{Bench, KEY, MemoryHost, OTHER_KEY, Told, post, with_key, yard};
use trainyard_cyborgdb::{Limits, Settings};
use trainyard_http::secret::Secret;
use trainyard_http::{Method, Request};

const GETS: [&str; 2] = ["/v1/indexes/list", "/v1/indexes/training-status"];

/// Every route with a body, and the members it needs besides the index.
const POSTS: [(&str, &str); 13] = [
    ("/v1/indexes/describe", ""),
    ("/v1/indexes/delete", ""),
    ("/v1/indexes/train", ""),
    ("/v1/vectors/upsert", r#""items":[{"id":"a","vector":[1]}]"#),
    ("/v1/vectors/upsert_binary", r#""batch":{"ids":["a"],"vectors_b64":"AAAAAA==","dimension":1}"#),
    ("/v1/vectors/query", r#""query_vectors":[1]"#),
    ("/v1/vectors/query_binary", r#""batch":{"vectors_b64":"AAAAAA==","dimension":1}"#),
    ("/v1/vectors/get", r#""ids":["a"]"#),
    ("/v1/vectors/delete", r#""ids":["a"]"#),
    ("/v1/vectors/list_ids", ""),
    ("/v1/vectors/num_vectors", ""),
    ("/v1/vectors/query_metadata", ""),
    ("/v1/indexes/create", ""),
];

fn with_root_key() -> Settings {
    Settings::new().with_root_key(Secret::new("cdbk_or_not").unwrap())
}

fn ask(bench: &Bench, request: Request, key: Option<&str>) -> Told {
    bench.send(match key {
        Some(key) => request.with_header("x-api-key", key),
        None => request,
    })
}

#[test]
fn the_order_of_checks_is_the_same_on_every_route() {
    let bench = Bench::new(with_root_key());
    for (path, more) in POSTS {
        // Not JSON: before the key is looked at.
        assert_eq!(ask(&bench, post(path, "{nope"), None).status, 422, "{path}");
        assert_eq!(ask(&bench, post(path, "\"\\ud800"), Some("wrong")).status, 422, "{path}");
        // Then the key, also when members are wrong and the index is unknown.
        for body in ["[]", "{}", &with_key("nobody", more)] {
            ask(&bench, post(path, body), None).says(401, "API Key is required");
            ask(&bench, post(path, body), Some("")).says(401, "API Key is required");
            ask(&bench, post(path, body).with_header("authorization", "Bearer cdbk_or_not"), None)
                .says(401, "API Key is required");
            ask(&bench, post(path, body), Some("wrong")).says(401, "Invalid API Key");
            ask(&bench, post(path, body), Some("cdbk_wrong")).says(401, "Invalid user API key");
        }
        // Then the members, then the index.
        assert_eq!(ask(&bench, post(path, "{}"), Some("cdbk_or_not")).status, 422, "{path}");
        let told = ask(&bench, post(path, &with_key("nobody", more)), Some("cdbk_or_not"));
        match path {
            "/v1/indexes/create" => assert_eq!(told.status, 200),
            _ => told.says(404, "No KMS envelope for index 'nobody'"),
        }
    }
    for path in GETS {
        ask(&bench, Request::new(Method::GET, path), None).says(401, "API Key is required");
        assert_eq!(ask(&bench, Request::new(Method::GET, path), Some("cdbk_or_not")).status, 200);
    }
    assert_eq!(bench.get("/v1/health").status, 200, "health is never checked");
}

#[test]
fn without_a_root_key_nobody_is_asked() {
    let bench = Bench::new(Settings::new());
    for key in [None, Some(""), Some("anything"), Some("cdbk_anything")] {
        assert_eq!(ask(&bench, Request::new(Method::GET, GETS[0]), key).status, 200);
    }
}

#[test]
fn the_key_of_an_index_is_asked_for() {
    let bench = Bench::new(Settings::new());
    bench.create("i");
    bench.fill("i", 0, 1);
    for (path, more) in POSTS.iter().filter(|(path, _)| !path.ends_with("create")) {
        let comma = if more.is_empty() { "" } else { "," };
        let with = |key: &str| format!(r#"{{"index_name":"i","index_key":{key}{comma}{more}}}"#);
        let check = |key: &str, status, detail: &str| bench.post(path, &with(key)).says(status, detail);
        check("null", 401, "index 'i' is provider=none; client_kek required");
        check("\"\"", 401, "index 'i' is provider=none; client_kek required");
        check("\"xyz\"", 400, "Invalid hex string for encryption key");
        check("\"abc\"", 400, "Invalid hex string for encryption key");
        check("\"abcd\"", 404, "Index not found: index_key must be exactly 32 bytes");
        check(&format!("\"{OTHER_KEY}\""), 401, "Wrong encryption key for index 'i'");
        let omitted = format!(r#"{{"index_name":"i"{comma}{more}}}"#);
        bench.post(path, &omitted).says(401, "index 'i' is provider=none; client_kek required");
    }
    let upper = format!(r#"{{"index_name":"i","index_key":"{}"}}"#, KEY.to_uppercase());
    assert_eq!(bench.post("/v1/indexes/describe", &upper).status, 200);
    assert_eq!(
        bench.post("/v1/vectors/num_vectors", &with_key("i", "")).text(),
        r#"{"result":1}"#,
        "nothing has changed"
    );
}

#[test]
fn what_is_asked_of_create_is_checked() {
    let bench = Bench::new(Settings::new().with_limits(Limits { name_bytes: 8, ..Limits::default() }));
    bench.create("taken");
    let invalid = |reason: &str| format!("Failed to create index: Invalid input: {reason}");
    let one_key = "exactly one of kms_name or index_key must be supplied";
    let key = format!(r#""index_key":"{KEY}""#);
    for (body, detail) in [
        (r#"{"index_name":"i"}"#.to_owned(), one_key.to_owned()),
        (format!(r#"{{"index_name":"i",{key},"kms_name":"k"}}"#), one_key.to_owned()),
        (r#"{"index_name":"i","kms_name":"k"}"#.to_owned(), "kms_name 'k' is not configured".to_owned()),
        (
            r#"{"index_name":"i","index_key":"zz"}"#.to_owned(),
            "Invalid hex string for encryption key".to_owned(),
        ),
        (
            r#"{"index_name":"i","index_key":"abcd"}"#.to_owned(),
            "index_key must be 32 bytes (hex-encoded); got 2 bytes".to_owned(),
        ),
        (with_key("", ""), "index_name cannot be empty.".to_owned()),
        (with_key("123456789", ""), invalid("index_name cannot be longer than 8 bytes, got 9")),
        (with_key("a\nb", ""), invalid("index_name cannot hold control characters")),
        (with_key("taken", ""), "KMS blob already exists for index 'taken'.".to_owned()),
        (with_key("i", r#""dimension":-1"#), invalid("dimension cannot be negative, got -1")),
        (with_key("i", r#""dimension":65536"#), invalid("dimension cannot be above 65535, got 65536")),
        (with_key("i", r#""metric":"manhattan""#), invalid("Invalid distance metric: manhattan")),
        (
            with_key("i", r#""embedding_model":"m""#),
            invalid("embedding models are not offered by this server"),
        ),
        (
            with_key("i", r#""text_fields":["a"]"#),
            invalid("metadata schemas and text search are not offered by this server"),
        ),
    ] {
        bench.post("/v1/indexes/create", &body).says(400, &detail);
    }
    assert_eq!(bench.get("/v1/indexes/list").text(), r#"{"indexes":["taken"]}"#, "nothing has changed");
    for more in [
        r#""dimension":0"#,
        r#""dimension":65535,"metric":"cosine","storage_precision":"tq4","text_fields":[]"#,
    ] {
        assert_eq!(bench.post("/v1/indexes/create", &with_key("ü /x", more)).status, 200);
        assert_eq!(bench.post("/v1/indexes/delete", &with_key("ü /x", "")).status, 200);
    }
}

#[test]
fn what_is_asked_of_vectors_is_checked() {
    let limits = Limits { top_k: 5, queries: 2, items: 3, ids: 3, neighbours: 8, ..Limits::default() };
    let bench = Bench::new(Settings::new().with_limits(limits));
    bench.create("i");
    bench.fill("i", 0, 3);
    let query = "Failed to query: Invalid input: ";
    let upsert = "Failed to upsert vectors: Invalid input: ";
    for (path, more, detail) in [
        ("query", "", format!("{query}Provide at least one: query_vectors or query_contents.")),
        (
            "query",
            r#""query_vectors":[]"#,
            format!("{query}Provide at least one: query_vectors or query_contents."),
        ),
        (
            "query",
            r#""query_contents":"x""#,
            format!("{query}query_contents needs an embedding model, and the index has none."),
        ),
        ("query", r#""text":"x""#, format!("{query}text search is not offered by this server")),
        (
            "query",
            r#""query_vectors":[1,2,3]"#,
            format!(
                "{query}The dimension of the vectors provided (3) doesn't match the index configuration (2)."
            ),
        ),
        (
            "query",
            r#""query_vectors":[[1,2],[1]]"#,
            format!(
                "{query}The dimension of the vectors provided (1) doesn't match the index configuration (2)."
            ),
        ),
        (
            "query",
            r#""query_vectors":[1,2],"top_k":0"#,
            format!("{query}top_k must be between 1 and 5, got 0"),
        ),
        (
            "query",
            r#""query_vectors":[1,2],"top_k":-1"#,
            format!("{query}top_k must be between 1 and 5, got -1"),
        ),
        (
            "query",
            r#""query_vectors":[1,2],"top_k":1e30"#,
            format!("{query}top_k must be between 1 and 5, got 9223372036854775807"),
        ),
        (
            "query",
            r#""query_vectors":[[1,2],[1,2],[1,2]],"top_k":1"#,
            format!("{query}at most 2 vectors in one request, got 3"),
        ),
        (
            "query",
            r#""query_vectors":[[1,2],[1,2]],"top_k":5"#,
            format!("{query}at most 8 neighbours in one request, got 10"),
        ),
        (
            "query",
            r#""query_vectors":[1,2],"top_k":1,"n_probes":-1"#,
            format!("{query}n_probes cannot be negative, got -1"),
        ),
        (
            "query",
            r#""query_vectors":[1,2],"top_k":1,"filters":{"$x":1}"#,
            format!("{query}unknown operator $x"),
        ),
        (
            "upsert",
            r#""items":[]"#,
            format!("{upsert}Invalid arguments. Expected a list of dicts when passing a single argument."),
        ),
        (
            "upsert",
            r#""items":[{"id":"a","vector":[1]}]"#,
            format!("{upsert}vector has wrong dimension: expected 2, got 1"),
        ),
        (
            "upsert",
            r#""items":[{"id":"a","vector":[1,2]},{"id":"b","vector":[]}]"#,
            format!("{upsert}vector has wrong dimension: expected 2, got 0"),
        ),
        (
            "upsert",
            r#""items":[{"id":"a","contents":"x"}]"#,
            format!("{upsert}item 0 has no vector, and the index has no embedding model"),
        ),
        ("upsert", r#""items":[{"id":"","vector":[1,2]}]"#, format!("{upsert}item 0 has an empty id")),
        (
            "upsert",
            r#""items":[{"id":"a"},{"id":"b"},{"id":"c"},{"id":"d"}]"#,
            format!("{upsert}at most 3 items in one request, got 4"),
        ),
        (
            "get",
            r#""ids":["a","b","c","d"]"#,
            "Failed to retrieve items: Invalid input: at most 3 ids in one request, got 4".to_owned(),
        ),
        (
            "delete",
            r#""ids":["0","1","2","3"]"#,
            "Failed to delete items: Invalid input: at most 3 ids in one request, got 4".to_owned(),
        ),
        (
            "query_metadata",
            "",
            "Failed to query metadata: Invalid input: queries without vectors are not offered by this server"
                .to_owned(),
        ),
    ] {
        bench.post(&format!("/v1/vectors/{path}"), &with_key("i", more)).says(400, &detail);
    }
    assert_eq!(
        bench.post("/v1/vectors/num_vectors", &with_key("i", "")).text(),
        r#"{"result":3}"#,
        "nothing has changed"
    );
}

#[test]
fn many_short_items_reserve_no_room_for_long_ones() {
    let bench = Bench::new(Settings::new());
    bench.post("/v1/indexes/create", &with_key("wide", r#""dimension":65535"#));
    let items = vec![r#"{"id":"a","vector":[1]}"#; 200_000].join(",");
    let told = bench.post("/v1/vectors/upsert", &with_key("wide", &format!(r#""items":[{items}]"#)));
    told.says(
        400,
        "Failed to upsert vectors: Invalid input: vector has wrong dimension: expected 65535, got 1",
    );
}

#[test]
fn bodies_have_bounds() {
    let limits = Limits { body_bytes: 200, body_values: 20, ..Limits::default() };
    let bench = Bench::new(with_root_key().with_limits(limits));
    let large = format!("{{\"index_name\":\"{}\"}}", "x".repeat(200));
    let describe = |body: &[u8]| {
        let request = Request::new(Method::POST, "/v1/indexes/describe")
            .with_header("content-type", "application/json");
        request.with_body(body.to_vec())
    };
    let key = Some("cdbk_or_not");
    ask(&bench, describe(large.as_bytes()), key).says(413, "Request body is larger than 200 bytes");
    ask(&bench, describe(large.as_bytes()), None).says(401, "API Key is required");
    let many = format!("[{}[]]", "[],".repeat(20));
    ask(&bench, describe(many.as_bytes()), key).says(413, "Request body holds more than 20 values");
    ask(&bench, describe("[".repeat(199).as_bytes()), key).says(400, "There was an error parsing the body");
    ask(&bench, describe(b"{\"index_name\":\"\xff\"}"), key).says(400, "There was an error parsing the body");
    // What is not JSON comes before the key, but a stranger's is not read to any length.
    let bench = Bench::new(with_root_key());
    let stranger = |bytes: usize| ask(&bench, describe("[".repeat(bytes).as_bytes()), None).status;
    assert_eq!([64 << 10, (64 << 10) + 1].map(stranger), [400, 401]);
    let told = ask(
        &Bench::new(Settings::new()),
        describe(format!(r#"{{"index_name":"{}"}}"#, "x".repeat(1 << 20)).as_bytes()),
        None,
    );
    assert_eq!(told.status, 404);
    assert!(told.body.len() < 2_000, "a name is not echoed at any length");
}

#[test]
fn what_is_not_there_and_what_is_not_offered() {
    let bench = Bench::new(with_root_key());
    bench.get("/v1/indexes/nothing").says(404, "Not Found");
    bench.get("/v1/embedding-models").says(404, "Not Found");
    let told = bench.send(Request::new(Method::HEAD, "/v1/health"));
    told.says(405, "Method Not Allowed");
    assert_eq!(told.header("allow"), Some("GET"));
    let told = bench.post("/v1/indexes/train/", "{}");
    assert_eq!((told.status, told.text()), (307, ""));
    assert_eq!(told.header("location"), Some("/v1/indexes/train"));
    for (method, path) in [
        (Method::GET, "/v1/indexes/i/users"),
        (Method::POST, "/v1/indexes/i/users"),
        (Method::DELETE, "/v1/indexes/i/users/7"),
    ] {
        ask(&bench, Request::new(method.clone(), path), None).says(401, "API Key is required");
        ask(&bench, Request::new(method, path), Some("cdbk_or_not"))
            .says(403, "Per-user API keys are not offered by this server");
    }
}

#[test]
fn a_failing_host_is_a_500_that_tells_nothing() {
    let host = Arc::new(MemoryHost::default());
    let bench = Bench::over(Settings::new(), Arc::new(yard()), Arc::clone(&host));
    bench.create("i");
    host.broken.store(true, Ordering::SeqCst);
    let mut told: Vec<Told> =
        POSTS.iter().map(|(path, more)| bench.post(path, &with_key("i", more))).collect();
    told.push(bench.get("/v1/indexes/list"));
    for told in told {
        assert_eq!(told.status, 500);
        assert!(told.json()["detail"].as_str().unwrap().contains(": Internal error: "));
        assert!(!told.text().contains("secret"));
    }
    assert_eq!(bench.get("/v1/indexes/training-status").status, 200);
}

#[test]
fn a_host_that_is_shut_down_is_a_503() {
    let bench = Bench::new(Settings::new());
    bench.create("i");
    bench.fill("i", 0, 1);
    bench.host.stopping.store(true, Ordering::SeqCst);
    let mut told: Vec<Told> = (POSTS.iter())
        .filter(|(path, _)| !path.ends_with("query_metadata"))
        .map(|(path, more)| bench.post(path, &with_key("i", more)))
        .collect();
    told.push(bench.get("/v1/indexes/list"));
    for told in told {
        told.says(503, "The server is shutting down");
        assert_eq!(told.header("retry-after"), Some("5"));
    }
    assert_eq!(bench.get("/v1/health").status, 200);
}

#[test]
fn an_answer_has_a_bound() {
    let limits = Limits { answer_bytes: 300, ..Limits::default() };
    let bench = Bench::new(Settings::new().with_limits(limits));
    bench.create("i");
    let long = "x".repeat(200);
    let item = |id: &str| {
        format!(r#"{{"id":"{id}","vector":[0,0],"contents":"{long}","metadata":{{"m":"{long}"}}}}"#)
    };
    let items = ["a", "b"].map(item).join(",");
    bench.post("/v1/vectors/upsert", &with_key("i", &format!(r#""items":[{items}]"#)));

    // The same id many times is one id, and what is asked for is known before the host is.
    let get = |ids: &[&str], include: &str| {
        let ids = serde_json::to_string(ids).unwrap();
        bench.post("/v1/vectors/get", &with_key("i", &format!(r#""ids":{ids},"include":[{include}]"#)))
    };
    let too_long = "Failed to retrieve items: Invalid input: the answer would be longer than 300 bytes, ask for less at once";
    let mut ids = vec!["b"; 100_000];
    ids.push("a");
    assert_eq!(
        get(&ids, r#""vector""#).text(),
        r#"{"results":[{"id":"b","vector":[0.0,0.0]},{"id":"a","vector":[0.0,0.0]}]}"#
    );
    assert_eq!(bench.host.asked_for.swap(0, Ordering::SeqCst), 2);
    let ids: Vec<String> = (0..13).map(|n| n.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
    get(&ids, r#""vector""#).says(400, too_long);
    assert_eq!(bench.host.asked_for.load(Ordering::SeqCst), 0, "the host is not asked");
    assert_eq!(get(&ids, "").status, 200);
    // What is not known before is found out after.
    assert_eq!(get(&["a"], r#""contents""#).status, 200);
    get(&["a", "b"], r#""contents""#).says(400, too_long);

    let query = |more: &str| bench.post("/v1/vectors/query", &with_key("i", more));
    assert_eq!(query(r#""query_vectors":[0,0],"top_k":2"#).status, 200);
    query(r#""query_vectors":[0,0],"top_k":2,"include":["metadata"]"#).says(
        400,
        "Failed to query: Invalid input: the answer would be longer than 300 bytes, ask for less at once",
    );
}

#[test]
fn a_search_has_a_price() {
    let limits = Limits { multiply_adds: 12, ..Limits::default() };
    let bench = Bench::new(Settings::new().with_limits(limits));
    bench.create("i");
    bench.fill("i", 0, 3);
    let query = |more: &str| bench.post("/v1/vectors/query", &with_key("i", more));
    assert_eq!(query(r#""query_vectors":[[0,0],[1,1]]"#).status, 200);
    query(r#""query_vectors":[[0,0],[1,1],[2,2]]"#).says(
        400,
        "Failed to query: Invalid input: 3 vectors of 2 numbers against 3 items are 18 multiply-adds, at most 12 \
         in one request: send fewer vectors, look into fewer lists, or train the index",
    );
    let binary = r#""batch":{"vectors_b64":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","dimension":2}"#;
    assert_eq!(bench.post("/v1/vectors/query_binary", &with_key("i", binary)).status, 400);
}

#[test]
fn nothing_prints_a_key() {
    let bench = Bench::new(with_root_key());
    let printed = format!("{:?} {:?}", bench.service, bench.service.settings());
    assert!(!printed.contains("cdbk_or_not"));
}
