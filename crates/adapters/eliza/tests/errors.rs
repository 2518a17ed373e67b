//! What is refused, and how it is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use support::{Bench, DATASETS_MAX, NOBODY, Told};
use trainyard_core::{Class, Kind, QueueName, QueueSettings, Resources};
use trainyard_eliza::{Absence, Absent, AutoConfig, Backend, Limits, Origins, Runtime, Settings};
use trainyard_http::secret::Secret;
use trainyard_http::{Method, Request, Service, block_on};
use trainyard_testkit::bare_yard::in_process;

const TOKEN: &str = "the token that clients send along";

/// Every call, about this id.
fn calls(id: &str) -> Vec<(Method, String)> {
    let get = |path: &str| (Method::GET, format!("/api/training{path}"));
    let post = |path: &str| (Method::POST, format!("/api/training{path}"));
    vec![
        get("/status"),
        get("/trajectories"),
        post("/trajectories"),
        get(&format!("/trajectories/{id}")),
        get("/datasets"),
        post("/datasets/build"),
        get("/jobs"),
        post("/jobs"),
        get(&format!("/jobs/{id}")),
        post(&format!("/jobs/{id}/cancel")),
        get("/models"),
        post(&format!("/models/{id}/import-ollama")),
        post(&format!("/models/{id}/activate")),
        post(&format!("/models/{id}/benchmark")),
        get("/backends"),
        get("/auto/config"),
        (Method::PUT, "/api/training/auto/config".to_owned()),
        post("/auto/config"),
        get("/auto/status"),
        get("/auto/decisions"),
        post("/auto/trigger"),
        get("/auto/runs"),
        get(&format!("/auto/runs/{id}")),
    ]
}

fn with_token() -> Settings {
    Settings::new().with_token(Secret::new(TOKEN).unwrap())
}

#[test]
fn the_token_comes_before_anything_else() {
    let bench = Bench::with(with_token());
    let mut all = calls(NOBODY);
    all.extend(calls("%2f..%00"));
    // Not routed, and by a wrong method.
    for path in ["", "/", "/nothing", "/status/", "/jobs/x/y", "/vast/models"] {
        all.push((Method::GET, format!("/api/training{path}")));
        all.push((Method::DELETE, format!("/api/training{path}")));
    }
    let upper = TOKEN.to_uppercase();
    let shown = [None, Some(""), Some("wrong"), Some(&TOKEN[1..]), Some(&upper), Some("null")];
    bench.host.asked();
    let commands = bench.yard.commands();
    for (method, path) in all {
        for shown in shown {
            let mut request = Request::new(method.clone(), &path).with_body("{ no body at all");
            if let Some(shown) = shown {
                request = request.with_header("authorization", &format!("Bearer {shown}"));
            }
            bench.send(request).says(401, "UNAUTHORIZED", "Unauthorized");
        }
        let query = Request::new(method, &format!("{path}?token={}", TOKEN.replace(' ', "%20")));
        bench.send(query).says(401, "UNAUTHORIZED", "Unauthorized");
    }
    assert!(bench.host.asked().is_empty(), "nobody was asked");
    assert_eq!(bench.yard.commands(), commands);
}

#[test]
fn each_of_three_headers_lets_in() {
    let bench = Bench::with(with_token());
    let bearer = format!("bEaReR  {TOKEN} ");
    for (name, value) in [("authorization", &*bearer), ("x-milady-token", TOKEN), ("x-api-key", TOKEN)] {
        let request = Request::new(Method::GET, "/api/training/status").with_header(name, value);
        assert_eq!(bench.send(request).status, 200, "{name}");
        let request = Request::new(Method::GET, "/api/training/nothing").with_header(name, value);
        bench.send(request).says(404, "NOT_FOUND", "Not found");
    }
}

#[test]
fn pages_are_answered_when_they_may_ask() {
    let origins = Origins::LoopbackAnd(["https://agent.example.com".to_owned()].into());
    let bench = Bench::with(with_token().with_origins(origins));
    let from = |method: Method, origin: &str| {
        bench.send(Request::new(method, "/api/training/nothing").with_header("origin", origin))
    };
    for origin in ["http://localhost:5173", "https://agent.example.com"] {
        let told = from(Method::OPTIONS, origin);
        assert_eq!((told.status, told.text()), (204, ""));
        assert_eq!(told.header("access-control-allow-origin"), Some(origin));
        assert_eq!(told.header("vary"), Some("Origin"));
        let allowed = told.header("access-control-allow-headers").unwrap();
        for name in [
            "Content-Type",
            "Authorization",
            "X-Api-Key",
            "X-Milady-Token",
            "X-Milady-Client-Id",
            "X-ElizaOS-Client-Id",
            "X-ElizaOS-UI-Language",
        ] {
            assert!(allowed.split(", ").any(|known| known == name), "{name}");
        }
        assert_eq!(told.header("access-control-allow-methods"), Some("GET, POST, PUT, OPTIONS"));
        let told = from(Method::GET, origin);
        told.says(401, "UNAUTHORIZED", "Unauthorized");
        assert_eq!(told.header("access-control-allow-origin"), Some(origin), "errors are read too");
    }
    for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
        for method in [Method::OPTIONS, Method::GET, Method::POST] {
            let told = from(method, origin);
            told.says(403, "FORBIDDEN", "Origin not allowed");
            assert_eq!(told.header("access-control-allow-origin"), None);
        }
    }
}

#[test]
fn unknown_paths_and_methods_are_404() {
    let bench = Bench::new();
    for (method, path) in calls(NOBODY) {
        let path = path.strip_prefix("/api/training").unwrap();
        bench.get(&format!("{path}/")).says(404, "NOT_FOUND", "Not found");
        for other in [Method::DELETE, Method::PATCH, Method::HEAD] {
            let told = bench.ask(other, path, "{}");
            told.says(404, "NOT_FOUND", "Not found");
        }
        if method == Method::GET && path != "/auto/config" && path != "/trajectories" && path != "/jobs" {
            bench.ask(Method::POST, path, "{}").says(404, "NOT_FOUND", "Not found");
        }
    }
}

#[test]
fn ids_that_are_nobodys_are_404() {
    let bench = Bench::new();
    bench.build();
    let job = bench.start(&json!({}))["id"].as_str().unwrap().to_owned();
    let others = [
        NOBODY.to_owned(),
        "job-002".to_owned(),
        "..".to_owned(),
        "..%2F..%2Fetc%2Fpasswd".to_owned(),
        "%00".to_owned(),
        "%ff".to_owned(),
        "%252e".to_owned(),
        job.replace('-', ""),
        format!("{{{job}}}"),
        format!("{job}0"),
        "x".repeat(3_000),
    ];
    for id in others {
        let id = id.replace('{', "%7B").replace('}', "%7D");
        bench.get(&format!("/jobs/{id}")).says(404, "NOT_FOUND", "Training job not found");
        bench.post(&format!("/jobs/{id}/cancel"), &json!({})).says(
            404,
            "NOT_FOUND",
            "Training job not found",
        );
        bench.get(&format!("/trajectories/{id}")).says(404, "NOT_FOUND", "Trajectory not found");
        bench.get(&format!("/auto/runs/{id}")).says(404, "NOT_FOUND", "Run not found");
        for path in ["import-ollama", "activate", "benchmark"] {
            let told = bench.post(&format!("/models/{id}/{path}"), &json!({}));
            told.says(404, "NOT_FOUND", "Model not found");
        }
    }
    bench.get(&format!("/auto/runs/{job}")).says(404, "NOT_FOUND", "Run not found");
    for id in [json!("dataset-404"), json!("../dataset-1"), json!("task:response"), json!("a b")] {
        bench.post("/jobs", &json!({ "datasetId": id })).says(404, "NOT_FOUND", "Dataset not found");
    }
    assert_eq!(bench.yard.jobs().len(), 1);
}

/// What is wrong with a body, by the member's name; nothing has changed.
#[test]
fn wrong_bodies_are_400_and_change_nothing() {
    let bench = Bench::new();
    let model = bench.model("mlx", Some("/adapter"));
    let facts = bench.yard.facts();
    let (imports, activate) = (format!("/models/{model}/import-ollama"), format!("/models/{model}/activate"));
    let whole = "must be a whole number from 1 to 1000000000";
    let wrong: Vec<(&str, Value, String)> = vec![
        ("/datasets/build", json!({ "limit": 0 }), format!("limit {whole}")),
        ("/datasets/build", json!({ "limit": -1 }), format!("limit {whole}")),
        ("/datasets/build", json!({ "limit": 1.5 }), format!("limit {whole}")),
        ("/datasets/build", json!({ "limit": "100" }), "limit must be a number".to_owned()),
        ("/datasets/build", json!({ "limit": true }), "limit must be a number".to_owned()),
        (
            "/datasets/build",
            json!({ "minLlmCallsPerTrajectory": -1 }),
            "minLlmCallsPerTrajectory must be a whole number from 0 to 1000000000".to_owned(),
        ),
        ("/jobs", json!({ "backend": "tpu" }), "backend must be one of native, mlx, cuda, cpu".to_owned()),
        ("/jobs", json!({ "backend": "" }), "backend must be one of native, mlx, cuda, cpu".to_owned()),
        ("/jobs", json!({ "backend": 1 }), "backend must be one of native, mlx, cuda, cpu".to_owned()),
        ("/jobs", json!({ "datasetId": 7 }), "datasetId must be a string".to_owned()),
        ("/jobs", json!({ "model": {} }), "model must be a string".to_owned()),
        (
            "/jobs",
            json!({ "model": "--output=/etc" }),
            "model must have no control characters, and no hyphen at its beginning".to_owned(),
        ),
        (
            "/jobs",
            json!({ "model": "a\nb" }),
            "model must have no control characters, and no hyphen at its beginning".to_owned(),
        ),
        ("/jobs", json!({ "model": "x".repeat(257) }), "model must have at most 256 characters".to_owned()),
        ("/jobs", json!({ "iterations": 0 }), format!("iterations {whole}")),
        ("/jobs", json!({ "batchSize": -4 }), format!("batchSize {whole}")),
        ("/jobs", json!({ "maxTrajectories": 2.5 }), format!("maxTrajectories {whole}")),
        ("/jobs", json!({ "iterations": 1e300 }), format!("iterations {whole}")),
        ("/jobs", json!({ "learningRate": 0 }), "learningRate must be above 0".to_owned()),
        ("/jobs", json!({ "learningRate": -1e-5 }), "learningRate must be above 0".to_owned()),
        ("/jobs", json!({ "learningRate": "1e-5" }), "learningRate must be a number".to_owned()),
        (&imports, json!({ "modelName": 7 }), "modelName must be a string".to_owned()),
        (
            &imports,
            json!({ "modelName": "a\nFROM /etc/passwd" }),
            "modelName must have no control characters, and no hyphen at its beginning".to_owned(),
        ),
        (
            &imports,
            json!({ "modelName": "a\n" }),
            "modelName must have no control characters, and no hyphen at its beginning".to_owned(),
        ),
        (
            &imports,
            json!({ "baseModel": "\r\na" }),
            "baseModel must have no control characters, and no hyphen at its beginning".to_owned(),
        ),
        (
            &imports,
            json!({ "modelName": "../x" }),
            "modelName must be letters, digits and ._-:/ as Ollama names models".to_owned(),
        ),
        (
            &imports,
            json!({ "baseModel": "a b" }),
            "baseModel must be letters, digits and ._-:/ as Ollama names models".to_owned(),
        ),
        (&activate, json!({ "providerModel": [] }), "providerModel must be a string".to_owned()),
        ("/auto/trigger", json!({ "task": "No Task" }), "task must be 1 to 64 of a-z, 0-9 and _".to_owned()),
        ("/auto/trigger", json!({ "dryRun": "yes" }), "dryRun must be true or false".to_owned()),
    ];
    for (path, body, words) in wrong {
        bench.post(path, &body).says(400, "INVALID_REQUEST", &words);
    }
    for path in ["/datasets/build", "/jobs", &imports, &activate, "/auto/config", "/auto/trigger"] {
        for (body, words) in [
            ("{", "Request body is not valid JSON"),
            ("\u{0}", "Request body is not valid JSON"),
            ("[]", "Request body must be a JSON object"),
            ("null", "Request body must be a JSON object"),
            ("\"x\"", "Request body must be a JSON object"),
        ] {
            bench.ask(Method::POST, path, body).says(400, "INVALID_REQUEST", words);
        }
    }
    assert_eq!(bench.yard.facts(), facts);
    assert_eq!(bench.host.builds().len(), 1);
    assert!(bench.host.imports().is_empty());
}

#[test]
fn a_wrong_configuration_is_400_and_the_old_one_stands() {
    let bench = Bench::new();
    bench.bring(0, 1, "response");
    let facts = bench.yard.facts();
    let numbers = [json!(0), json!(-5), json!(2.5), json!("100"), json!(true), json!([])];
    let hours = [json!(-1), json!("12"), json!(1e9), json!({})];
    let switches = [json!(0), json!("true"), json!([])];
    let mut wrong: Vec<Value> = Vec::new();
    for (names, values) in [
        (["threshold", "triggerThreshold"], &numbers[..]),
        (["cooldownHours", "triggerCooldownHours"], &hours),
        (["enabled", "autoTrain"], &switches),
    ] {
        for name in names {
            wrong.extend(values.iter().map(|value| json!({ (name): value })));
            // A right one beside it does not help.
            wrong.extend(values.iter().map(|value| json!({ "perTaskOverrides": {}, (name): value })));
            wrong.extend(
                values.iter().map(|value| json!({ "backends": ["native"], "config": { (name): value } })),
            );
        }
    }
    wrong.extend([
        json!({ "threshold": 5, "cooldownHours": -1 }),
        json!({ "threshold": 5, "config": [] }),
        json!({ "backends": ["mlx"] }),
        json!({ "backends": "native" }),
        json!({ "perTaskOverrides": [] }),
        json!({ "perTaskOverrides": { "A b": {} } }),
        json!({ "perTaskOverrides": { "response": 7 } }),
        json!({ "perTaskOverrides": { "response": { "threshold": 0 } } }),
        json!({ "perTaskOverrides": { "response": { "cooldownHours": -1 } } }),
        json!({ "perTaskOverrides": { "response": { "backend": "tpu" } } }),
    ]);
    for body in wrong {
        for method in [Method::PUT, Method::POST] {
            let told = bench.ask(method, "/auto/config", &body.to_string());
            assert_eq!((told.status, &told.json()["code"]), (400, &json!("INVALID_REQUEST")), "{body}");
        }
    }
    assert_eq!(bench.host.auto(), AutoConfig::default());
    bench.host.equip(&[Backend::Native]);
    let body = json!({ "threshold": 9, "perTaskOverrides": { "response": { "backend": "cuda" } } });
    let words = "backend cuda is not available here; available: native";
    bench.post("/auto/config", &body).says(400, "INVALID_REQUEST", words);
    assert_eq!(bench.host.auto(), AutoConfig::default());
    assert_eq!(bench.yard.facts(), facts);
}

#[test]
fn a_backend_that_is_gone_keeps_nobody_from_switching_it_off() {
    let bench = Bench::new();
    let cuda = json!({ "perTaskOverrides": { "response": { "backend": "cuda" } } });
    bench.post("/auto/config", &cuda).data();
    bench.host.equip(&[Backend::Native]);
    let told = bench.ask(Method::PUT, "/auto/config", r#"{"enabled":false}"#).data();
    assert_eq!(told["config"]["enabled"], false);
    let mut page = told["config"].clone();
    page["autoTrain"] = json!(true);
    bench.post("/auto/config", &page).data();
    page["perTaskOverrides"]["should_respond"] = json!({ "backend": "cuda" });
    let words = "backend cuda is not available here; available: native";
    bench.post("/auto/config", &page).says(400, "INVALID_REQUEST", words);
}

#[test]
fn a_backend_that_is_not_here_is_400_and_those_that_are_here_are_named() {
    let bench = Bench::new();
    bench.build();
    bench.host.equip(&[Backend::Native, Backend::Cpu]);
    let words = "backend cuda is not available here; available: native, cpu";
    bench.post("/jobs", &json!({ "backend": "cuda" })).says(400, "INVALID_REQUEST", words);
    bench.post("/auto/trigger", &json!({ "backend": "cuda" })).says(400, "INVALID_REQUEST", words);
    bench.host.equip(&[]);
    let words = "backend native is not available here; available: none";
    bench.post("/jobs", &json!({})).says(400, "INVALID_REQUEST", words);
    assert!(bench.yard.jobs().is_empty());
}

#[test]
fn a_training_that_cannot_start_is_500_or_503() {
    let bench = Bench::new();
    bench.build();
    bench.yard.join(in_process(&["eliza/native"], Resources::slots(8)));
    bench.post("/jobs", &json!({})).made();
    bench.yard.configure_queue(
        "eliza",
        QueueSettings { running_max: Some(1), waiting_max: 1, ..QueueSettings::default() },
    );
    bench.post("/jobs", &json!({})).made();
    let told = bench.post("/jobs", &json!({}));
    told.says(503, "SERVICE_UNAVAILABLE", "Too many trainings wait already");

    let bench = Bench::over(
        Settings::new().with_class(
            Backend::Cpu,
            Class::new(Kind::new("eliza/nobody").unwrap(), QueueName::new("eliza").unwrap()),
        ),
        support::yard(1).into(),
        support::MemoryHost::default().into(),
    );
    bench.build();
    let told = bench.post("/jobs", &json!({ "backend": "cpu" }));
    told.says(500, "TRAINING_FAILED", "Nothing here trains eliza/nobody");
}

#[test]
fn too_large_is_413() {
    let limits = Limits { json_bytes: 200, ingest_bytes: 300, ..Limits::default() };
    let bench = Bench::with(Settings::new().with_limits(limits));
    let body = json!({ "model": "x".repeat(200) });
    let words = "The request body is larger than 200 bytes";
    bench.post("/jobs", &body).says(413, "INVALID_REQUEST", words);
    bench.ask(Method::PUT, "/auto/config", &body.to_string()).says(413, "INVALID_REQUEST", words);
    let body = json!({ "id": "x".repeat(220) });
    bench.post("/trajectories", &body).made();
    let body = json!({ "id": "x".repeat(300) });
    let words = "The request body is larger than 300 bytes";
    bench.post("/trajectories", &body).says(413, "INVALID_REQUEST", words);
    let gzip = Request::new(Method::POST, "/api/training/jobs").with_header("content-encoding", "gzip");
    bench.send(gzip).says(400, "INVALID_REQUEST", "Send the request body without a content encoding");
}

#[test]
fn what_the_host_refuses_is_told() {
    let bench = Bench::new();
    let native = bench.model("native", None);
    let weights = bench.model("cpu", Some("/adapter"));
    let words = "This model has no adapter";
    bench.post(&format!("/models/{native}/import-ollama"), &json!({})).says(400, "INVALID_REQUEST", words);
    let words = "Import this model into Ollama first, or say which providerModel to use";
    bench.post(&format!("/models/{weights}/activate"), &json!({})).says(400, "INVALID_REQUEST", words);
    bench.host.fail_imports(Some("Ollama said 400: no such base"));
    let told = bench.post(&format!("/models/{weights}/import-ollama"), &json!({}));
    told.says(500, "INTERNAL_ERROR", "Ollama said 400: no such base");
    assert_eq!(bench.kinds().last().unwrap(), "model_import_failed");
    bench.ask(Method::POST, "/trajectories", "{").says(400, "INVALID_REQUEST", "it is no JSON");
    bench.ask(Method::POST, "/trajectories", "").says(400, "INVALID_REQUEST", "it is no JSON");
    while bench.host.builds().len() < DATASETS_MAX {
        bench.build();
    }
    let told = bench.post("/datasets/build", &json!({}));
    told.says(400, "INVALID_REQUEST", "There are 20 datasets already");
    bench.host.full.store(true, Ordering::SeqCst);
    let told = bench.post("/datasets/build", &json!({}));
    told.says(500, "INTERNAL_ERROR", "The disk is full");
    bench.post("/trajectories", &json!({ "id": "x" })).says(500, "INTERNAL_ERROR", "The disk is full");
}

#[test]
fn a_host_that_fails_tells_nothing_about_it() {
    let bench = Bench::new();
    let model = bench.model("cpu", Some("/adapter"));
    let facts = bench.yard.facts();
    bench.host.broken.store(true, Ordering::SeqCst);
    let job = bench.yard.newest().id.to_string();
    for (method, path) in calls(&job).into_iter().chain(calls(&model)) {
        let body = json!({ "id": "x", "threshold": 5, "providerModel": "x" }).to_string();
        let told = bench.ask(method, path.strip_prefix("/api/training").unwrap(), &body);
        if told.status == 404 || path.ends_with("/backends") || path.ends_with("/runs") {
            continue;
        }
        told.says(500, "INTERNAL_ERROR", "Internal server error");
    }
    assert_eq!(bench.yard.facts(), facts);
}

#[test]
fn too_much_at_once_and_a_stop_are_503() {
    let bench = Bench::new();
    let model = bench.model("native", None);
    let job = bench.start(&json!({}))["id"].as_str().unwrap().to_owned();
    bench.yard.be_busy();
    for told in [
        bench.post("/jobs", &json!({})),
        bench.post(&format!("/jobs/{job}/cancel"), &json!({})),
        bench.post(&format!("/models/{model}/activate"), &json!({})),
        bench.post("/auto/trigger", &json!({ "task": "response" })),
    ] {
        told.says(503, "SERVICE_UNAVAILABLE", "Too many requests at once");
        assert_eq!(told.header("retry-after"), Some("5"));
    }
    bench.bring(0, 1, "response").made();
    assert_eq!(bench.host.totals().len(), 1, "what was taken in is kept, and the yard hears of it later");
    bench.yard.go_on();
    bench.yard.stop("a secret cause");
    let words = "The service is stopping, trainings go on at its next start";
    for (method, path) in calls(&job).into_iter().chain(calls(&model)) {
        let told = bench.ask(method, path.strip_prefix("/api/training").unwrap(), "");
        // What the host alone can say goes on; so do ids of another sort.
        if matches!(told.status, 200 | 201 | 404) {
            let of_the_host = ["/trajectories", "/datasets", "/backends", "/config", "/build"];
            assert!(told.status == 404 || of_the_host.iter().any(|end| path.ends_with(end)), "{path}");
            continue;
        }
        told.says(503, "SERVICE_UNAVAILABLE", words);
    }
}

/// The table of `docs/WIRE.md`: what is answered without a training service, and by one without an agent.
#[test]
fn without_a_service_all_is_503_and_without_an_agent_there_is_nothing_to_read() {
    let absent = Absent::new(with_token());
    let ask = |method: &Method, path: &str, token: bool| {
        let mut request = Request::new(method.clone(), path).with_body("{");
        if token {
            request = request.with_header("x-api-key", TOKEN);
        }
        block_on(async { Told::of(absent.call(request).await).await })
    };
    let bench = Bench::new();
    bench.bring(0, 1, "response");
    let model = bench.model("native", None);
    let mut seen = Vec::new();
    for (method, path) in calls(NOBODY).into_iter().chain([(Method::GET, "/api/training/nothing".to_owned())])
    {
        ask(&method, &path, false).says(401, "UNAUTHORIZED", "Unauthorized");
        ask(&method, &path, true).says(503, "SERVICE_UNAVAILABLE", "Training service is not available");
    }
    let options = Request::new(Method::OPTIONS, "/api/training/status");
    assert_eq!(block_on(async { Told::of(absent.call(options).await).await }).status, 204);
    for (absence, word) in [
        (Absence::RuntimeNotStarted, "runtime_not_started"),
        (Absence::TableMissing, "trajectories_table_missing"),
        (Absence::StoreUnavailable, "trajectory_store_unavailable"),
    ] {
        bench.host.detach(Runtime::Absent(absence));
        assert_eq!(bench.get("/status").data()["runtimeAvailable"], false);
        let told = bench.get("/trajectories").data();
        assert_eq!((&told["available"], &told["reason"]), (&json!(false), &json!(word)));
        assert_eq!((&told["total"], &told["trajectories"]), (&json!(0), &json!([])));
        bench.get("/trajectories/t-0").says(404, "NOT_FOUND", "Trajectory not found");
        assert_eq!(bench.get("/auto/status").data()["runtimeAvailable"], false);
        for path in
            ["/datasets", "/jobs", "/models", "/backends", "/auto/config", "/auto/decisions", "/auto/runs"]
        {
            bench.get(path).data();
        }
        seen.push(bench.post("/datasets/build", &json!({})).status);
        seen.push(bench.post("/jobs", &json!({})).status);
        bench.post(&format!("/models/{model}/activate"), &json!({})).data();
        bench.ask(Method::PUT, "/auto/config", "{}").data();
    }
    assert_eq!(seen, [201; 6], "datasets and trainings go on without an agent");
}
