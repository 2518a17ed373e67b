//! Section 9 of the fact sheet, row by row.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::atomic::Ordering;

use serde_json::json;
use support::{Bench, KEY, MEMORY_MIB, READY, form, login, settings, with_token};
use trainyard_core::{Command, JobId, Kind, QueueName, QueueSettings, Retention, RunEnd, Submission};
use trainyard_http::secret::Secret;
use trainyard_http::{Method, Request};
use trainyard_mathfi::{DatasetState, Limits, Settings, Shape};
use uuid::Uuid;

const NOBODY: &str = "11111111-2222-3333-4444-555555555555";

/// Every endpoint that wants a token, about this key.
fn endpoints(key: &str) -> Vec<(Method, String)> {
    let get = |path: String| (Method::GET, path);
    let post = |path: String| (Method::POST, path);
    vec![
        get("/api/v1/datasets?offset=0&limit=1".to_owned()),
        post("/api/v1/datasets".to_owned()),
        get(format!("/api/v1/datasets/{key}")),
        get(format!("/api/v1/datasets/{key}/progress")),
        post(format!("/api/v1/datasets/{key}/data")),
        post(format!("/api/v1/training/datasets/{key}")),
        get(format!("/api/v1/training/{key}")),
        get(format!("/api/v1/training/{key}/progress")),
        (Method::PATCH, format!("/api/v1/training/{key}/cancel")),
        post(format!("/api/v1/predictions/models/{key}")),
        get(format!("/api/v1/predictions/{key}")),
    ]
}

/// A request that is right in everything but its key.
fn proper(method: &Method, path: &str, token: &str) -> Request {
    let request = with_token(method.clone(), path, token, "");
    let (content_type, csv) = form("file", "id,x,class\n1,2,0\n");
    match path {
        _ if path.ends_with("/data") || path.contains("/models/") => {
            request.with_header("content-type", &content_type).with_body(csv)
        }
        _ if path.contains("/training/datasets/") => request
            .with_header("content-type", "application/json")
            .with_body(r#"{"scalingFactor":19,"performanceThreshold":0.8}"#),
        _ => request,
    }
}

#[test]
fn malformed_json_and_wrong_members_are_400() {
    let bench = Bench::new();
    let dataset = bench.ready("ready");
    let training = format!("/api/v1/training/datasets/{dataset}");
    for body in ["", "{", "[]", "null", "7", "{}", "\u{0}", r#"{"datasetName":7}"#, r#"{"datasetName":"ab"}"#]
    {
        bench.send(raw("/api/v1/datasets", &bench.token, body)).is_refused(400);
        bench.send(raw(&training, &bench.token, body)).is_refused(400);
    }
    for body in [
        r#"{"scalingFactor":19}"#,
        r#"{"scalingFactor":19.5,"performanceThreshold":0.8}"#,
        r#"{"scalingFactor":500,"performanceThreshold":0.8}"#,
        r#"{"scalingFactor":-1,"performanceThreshold":0.8}"#,
        r#"{"scalingFactor":19,"performanceThreshold":1.01}"#,
        r#"{"scalingFactor":"19","performanceThreshold":0.8}"#,
    ] {
        bench.send(raw(&training, &bench.token, body)).is_refused(400);
    }
    assert_eq!(bench.yard.jobs().len(), 0, "what is refused changes nothing");
    for query in
        ["", "?offset=0", "?limit=1", "?offset=-1&limit=1", "?offset=0&limit=0", "?offset=0&limit=1&state=X"]
    {
        bench.get(&format!("/api/v1/datasets{query}")).is_refused(400);
    }
}

fn raw(path: &str, token: &str, body: &str) -> Request {
    with_token(Method::POST, path, token, "")
        .with_header("content-type", "application/json")
        .with_body(body.to_owned())
}

#[test]
fn a_malformed_key_is_400_and_an_unknown_one_404() {
    let bench = Bench::new();
    let malformed = [
        "x",
        "11111111222233334444555555555555",
        "{11111111-2222-3333-4444-555555555555}",
        "%00",
        "11111111-2222-3333-4444-55555555555g",
    ];
    for key in malformed {
        for (method, path) in endpoints(key).into_iter().skip(2) {
            bench.send(proper(&method, &path, &bench.token)).says(400, "The key in the path is not a UUID");
        }
    }
    for (method, path) in endpoints(NOBODY).into_iter().skip(2) {
        bench.send(proper(&method, &path, &bench.token)).is_refused(404);
    }
    let key = bench.create("upper").id.to_string().to_uppercase();
    assert_eq!(bench.get(&format!("/api/v1/datasets/{key}")).status, 200, "case does not matter");
}

#[test]
fn credentials_and_tokens_are_401() {
    let bench = Bench::new();
    for told in [
        bench.send(login("ann", "wrong")),
        bench.send(login("nobody", "ann's word")),
        bench.send(login("", "")),
    ] {
        told.says(401, "Wrong username or password");
        assert_eq!(told.header("www-authenticate"), Some("Bearer"));
    }
    let good = &bench.token;
    let altered = format!("{}A", &good[..good.len() - 1]);
    let headers = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some("Bearer x".to_owned()),
        Some(format!("Basic {good}")),
        Some(good.clone()),
        Some(format!("Bearer {altered}")),
        Some(format!("Bearer {good}{good}")),
    ];
    // The token is looked at before the key: whatever stands there.
    for key in [NOBODY, "malformed"] {
        for (method, path) in endpoints(key) {
            for header in &headers {
                let mut request = Request::new(method.clone(), &path);
                if let Some(header) = header {
                    request = request.with_header("authorization", header);
                }
                let told = bench.send(request);
                told.is_refused(401);
                assert_eq!(told.header("www-authenticate"), Some("Bearer"));
            }
        }
    }
    let lower = Request::new(Method::GET, "/api/v1/datasets?offset=0&limit=1")
        .with_header("authorization", &format!("bearer {good}"));
    assert_eq!(bench.send(lower).status, 200, "a scheme is a word without case");
}

#[test]
fn what_is_anothers_is_not_there() {
    let bench = Bench::new();
    let (model, job) = bench.model();
    let dataset = bench.create("not bob's").id;
    let (content_type, csv) = form("file", "id,x\n1,2\n");
    let path = format!("/api/v1/predictions/models/{model}");
    let request =
        with_token(Method::POST, &path, &bench.token, "").with_header("content-type", &content_type);
    let prediction = bench.send(request.with_body(csv)).json()["predictionKey"].as_str().unwrap().to_owned();
    let bob = bench.log_in("bob");
    for (method, path) in [
        (Method::GET, format!("/api/v1/datasets/{dataset}")),
        (Method::GET, format!("/api/v1/datasets/{dataset}/progress")),
        (Method::POST, format!("/api/v1/datasets/{dataset}/data")),
        (Method::POST, format!("/api/v1/training/datasets/{dataset}")),
        (Method::GET, format!("/api/v1/training/{job}")),
        (Method::GET, format!("/api/v1/training/{job}/progress")),
        (Method::PATCH, format!("/api/v1/training/{job}/cancel")),
        (Method::POST, path),
        (Method::GET, format!("/api/v1/predictions/{prediction}")),
    ] {
        bench.send(proper(&method, &path, &bob)).is_refused(404);
        assert_ne!(bench.send(proper(&method, &path, &bench.token)).status, 404, "{path} is ann's");
    }
    let list = bench.send(with_token(Method::GET, "/api/v1/datasets?offset=0&limit=9", &bob, ""));
    assert_eq!(list.json()["total"], 0);
    let same = json!({ "datasetName": "not bob's" }).to_string();
    assert_eq!(bench.send(with_token(Method::POST, "/api/v1/datasets", &bob, &same)).status, 201);
}

#[test]
fn the_progress_of_a_contest_that_is_over_stays_its_owners_and_goes_with_it() {
    let bench = Bench::new();
    let (_, job) = bench.model();
    let path = format!("/api/v1/training/{job}/progress");
    let draining = bench.progress(job);
    while bench.yard.run().is_some() {
        bench.yard.end(RunEnd::Stopped);
    }
    assert_eq!((bench.progress(job), bench.progress(job)), (draining.clone(), draining));
    let bob = bench.log_in("bob");
    bench.send(with_token(Method::GET, &path, &bob, "")).says(404, "Training job not found");
    let queue = bench.service.settings().class().queue.clone();
    let retention = Retention { finished_max: Some(0), models_max: None };
    bench.yard.command(&Command::SetRetention { queue, retention }).unwrap();
    bench.get(&path).says(404, "Training job not found");
}

#[test]
fn only_contests_about_datasets_are_training_jobs() {
    let bench = Bench::new();
    let dataset = bench.ready("ready");
    let contest = bench.train(dataset, 0.8);
    let mut class = bench.service.settings().class().clone();
    class.queue = QueueName::new("elsewhere").unwrap();
    let same_kind = Submission::new(JobId::from_u128(77), dataset.subject(), class.clone().into());
    class.kind = Kind::new("other").unwrap();
    let mut other_kind = Submission::new(JobId::from_u128(78), dataset.subject(), class.into());
    other_kind.contest = Some(std::sync::Arc::new(trainyard_core::ContestPlan {
        target: trainyard_core::Score::new(0.5).unwrap(),
        candidates: vec![trainyard_core::Entrant {
            id: trainyard_core::CandidateId::from_u128(1),
            label: trainyard_core::Label::new("x").unwrap(),
            parameters: trainyard_core::Parameters::default(),
        }],
        median: None,
    }));
    for submission in [same_kind, other_kind] {
        let job = submission.job;
        bench.yard.command(&Command::Submit(submission.into())).unwrap();
        bench.get(&format!("/api/v1/training/{job}")).says(404, "Training job not found");
        bench.cancel(job).says(404, "Training job not found");
        assert!(bench.yard.look(|yard| yard.job(job).unwrap().outcome().is_none()), "nothing was cancelled");
    }
    let child = bench.progress(contest)["jobs"][0]["trainingJobKey"].as_str().unwrap().to_owned();
    bench.get(&format!("/api/v1/training/{child}")).is_refused(404);
}

#[test]
fn unknown_paths_are_404_and_wrong_methods_405() {
    let bench = Bench::new();
    for path in ["/api/v1/models", "/api/v1", "/api/v1/login", "/api/v1/datasets/", "/api/v1/datasets/a/b/c"]
    {
        bench.get(path).is_refused(404);
        bench.send(Request::new(Method::GET, path)).is_refused(404);
    }
    for (path, methods, allow) in [
        ("/api/login", vec![Method::GET, Method::PUT], "POST"),
        ("/api/v1/datasets", vec![Method::PUT, Method::DELETE, Method::OPTIONS, Method::HEAD], "GET, POST"),
        ("/api/v1/datasets/x", vec![Method::POST, Method::DELETE], "GET"),
        ("/api/v1/datasets/x/data", vec![Method::GET, Method::PUT], "POST"),
        ("/api/v1/uploads/x", vec![Method::GET, Method::POST], "PUT"),
        ("/api/v1/training/datasets/x", vec![Method::GET, Method::PATCH], "POST"),
        ("/api/v1/training/x", vec![Method::POST, Method::DELETE], "GET"),
        ("/api/v1/training/x/progress", vec![Method::POST], "GET"),
        ("/api/v1/training/x/cancel", vec![Method::POST, Method::GET, Method::PUT, Method::DELETE], "PATCH"),
        ("/api/v1/predictions/models/x", vec![Method::GET], "POST"),
        ("/api/v1/predictions/x", vec![Method::POST], "GET"),
        ("/api/v1/results/x", vec![Method::POST, Method::HEAD], "GET"),
    ] {
        for method in methods {
            let told = bench.ask(method, path, "");
            told.says(405, "Method not allowed");
            assert_eq!(told.header("allow"), Some(allow));
        }
    }
}

#[test]
fn a_wrong_state_and_a_taken_name_are_409() {
    let bench = Bench::new();
    let id = bench.create("taken").id;
    bench
        .post("/api/v1/datasets", r#"{"datasetName":"taken"}"#)
        .says(409, "There is a dataset of this name already");
    let start = || {
        let body = r#"{"scalingFactor":19,"performanceThreshold":0.8}"#;
        bench.post(&format!("/api/v1/training/datasets/{id}"), body)
    };
    start().says(409, "The dataset has no data yet");
    bench.host.set(id, DatasetState::Processing);
    start().says(409, "The dataset is being prepared");
    let data = proper(&Method::POST, &format!("/api/v1/datasets/{id}/data"), &bench.token);
    bench.send(data).says(409, "The dataset has its data already");
    bench.host.set(id, DatasetState::Failed { reason: "no rows".to_owned() });
    start().says(409, "The data of the dataset cannot be used");
    bench.host.set(id, DatasetState::Completed(support::READY));
    assert_eq!(start().status, 201);
    assert_eq!(start().status, 201, "also while another job runs on it");
    for number in 0..39 {
        bench.create(&format!("number {number}"));
    }
    let many = bench.post("/api/v1/datasets", r#"{"datasetName":"one more"}"#);
    many.says(409, "There are 40 datasets already, and there may be no more");
}

#[test]
fn too_large_is_413() {
    let limits =
        Limits { json_bytes: 200, api_upload_bytes: 100, signed_upload_bytes: 150, ..Limits::default() };
    let bench = Bench::with(settings().with_limits(limits));
    let long = json!({ "datasetName": "abc", "description": "x".repeat(300) }).to_string();
    bench.post("/api/v1/datasets", &long).is_refused(413);
    bench.send(login("ann", &"x".repeat(300))).is_refused(413);

    let made = bench.create("abc");
    let send = |content_type: &str, body: String| {
        let path = format!("/api/v1/datasets/{}/data", made.id);
        let request =
            with_token(Method::POST, &path, &bench.token, "").with_header("content-type", content_type);
        bench.send(request.with_body(body))
    };
    send("text/csv", "x".repeat(101)).is_refused(413);
    let (content_type, body) = form("file", &"x".repeat(101));
    send(&content_type, body).is_refused(413);
    let (content_type, body) = form("another", &"x".repeat(101));
    send(&content_type, body).is_refused(413);
    send("text/csv", "x".repeat(9)).says(400, "The file is smaller than 10 bytes");
    assert_eq!(bench.host.dataset_state(made.id), DatasetState::Pending);
    assert_eq!(bench.host.open(), 0, "nothing is left behind");
    let (content_type, body) = form("file", &"x".repeat(100));
    assert_eq!(send(&content_type, body).status, 200, "exactly as many as may be");

    let put = |name: &str, bytes: usize| {
        let made = bench.create(name);
        (made.id, bench.send(Request::new(Method::PUT, &made.upload).with_body("x".repeat(bytes))))
    };
    for (name, bytes, status) in [("one", 151, 413), ("two", 9, 400), ("three", 0, 400)] {
        let (id, told) = put(name, bytes);
        told.is_refused(status);
        assert_eq!(bench.host.dataset_state(id), DatasetState::Pending);
    }
    assert_eq!(put("four", 150).1.status, 200);
    assert_eq!(put("five", 10).1.status, 200);
}

#[test]
fn another_media_type_is_415() {
    let bench = Bench::new();
    let dataset = bench.create("abc").id;
    let data = format!("/api/v1/datasets/{dataset}/data");
    let (model, _) = bench.model();
    let rows = format!("/api/v1/predictions/models/{model}");
    let send = |path: &str, headers: &[(&str, &str)]| {
        let request = with_token(Method::POST, path, &bench.token, "");
        let request = headers.iter().fold(request, |request, (name, value)| request.with_header(name, value));
        bench.send(request.with_body("id,x,class\n1,2,0\n"))
    };
    for content_type in ["application/json", "text/plain", "multipart/mixed; boundary=x", "text/csvx", ""] {
        send(&data, &[("content-type", content_type)]).is_refused(415);
        send(&rows, &[("content-type", content_type)]).is_refused(415);
    }
    send(&data, &[]).is_refused(415);
    send(&rows, &[("content-type", "text/csv")]).is_refused(415);
    for encoding in ["gzip", "br", "identity, gzip", "x"] {
        send(&data, &[("content-type", "text/csv"), ("content-encoding", encoding)]).is_refused(415);
        let made = bench.create(&format!("encoded {encoding}"));
        let put = Request::new(Method::PUT, &made.upload).with_header("content-encoding", encoding);
        bench.send(put.with_body("id,x,class\n1,2,0\n")).is_refused(415);
        send("/api/v1/datasets", &[("content-encoding", encoding)]).is_refused(415);
    }
    for path in ["/api/v1/datasets", &format!("/api/v1/training/datasets/{dataset}")] {
        send(path, &[("content-type", "application/x-www-form-urlencoded")]).is_refused(415);
        send(path, &[("content-type", "application/vnd.api+json; charset=utf-8")]).is_refused(400);
        send(path, &[]).is_refused(400);
    }
    assert_eq!(bench.host.dataset_state(dataset), DatasetState::Pending);
    let told = send(&data, &[("content-type", "text/csv; charset=utf-8"), ("content-encoding", "identity")]);
    assert_eq!(told.status, 200);
}

#[test]
fn forms_without_a_file_are_400() {
    let bench = Bench::new();
    let id = bench.create("abc").id;
    let send = |content_type: &str, body: &str| {
        let path = format!("/api/v1/datasets/{id}/data");
        let request =
            with_token(Method::POST, &path, &bench.token, "").with_header("content-type", content_type);
        bench.send(request.with_body(body.to_owned()))
    };
    let (content_type, other) = form("data", "id,x,class\n1,2,0\n");
    send(&content_type, &other).says(400, "The form has no part called file");
    let (_, one) = form("file", "id,x,class\n1,2,0\n");
    let twice = format!("{}{one}", one.strip_suffix("--XX--\r\n").unwrap());
    send(&content_type, &twice).says(400, "The form has more than one part called file");
    send(&content_type, one.strip_suffix("--XX--\r\n").unwrap()).is_refused(400);
    send(&content_type, &one[..one.len() / 2]).is_refused(400);
    send(&content_type, "").is_refused(400);
    send("multipart/form-data", &one).is_refused(400);
    let (_, unusable) = form("file", "unusable,x,class\n");
    send(&content_type, &unusable).says(400, "the first line is unusable");
    assert_eq!(bench.host.dataset_state(id), DatasetState::Pending);
    assert_eq!(bench.host.open(), 0);
    let (_, named) = form("file", "id,x,class\n1,2,0\n");
    let after = format!("--XX\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nhello\r\n{named}");
    assert_eq!(send(&content_type, &after).status, 200, "other parts do not matter");
    assert_eq!(bench.host.file(id.as_uuid()).as_deref(), Some(&b"id,x,class\n1,2,0\n"[..]));
}

#[test]
fn failures_of_ours_tell_nothing() {
    let bench = Bench::new();
    let job = bench.train(bench.ready("ready"), 0.8);
    bench.host.broken.store(true, Ordering::SeqCst);
    for (method, path) in [
        (Method::GET, "/api/v1/datasets?offset=0&limit=1".to_owned()),
        (Method::GET, format!("/api/v1/datasets/{NOBODY}")),
        (Method::GET, format!("/api/v1/predictions/{NOBODY}")),
    ] {
        bench.ask(method, &path, "").says(500, "Internal server error");
    }
    bench.send(login("ann", "ann's word")).says(500, "Internal server error");
    bench.host.broken.store(false, Ordering::SeqCst);

    let start = format!("/api/v1/training/datasets/{}", bench.ready("two"));
    let body = r#"{"scalingFactor":19,"performanceThreshold":0.8}"#;
    bench.yard.be_busy();
    for told in [bench.cancel(job), bench.post(&start, body)] {
        told.says(503, "Too many requests at once, try again");
        assert!(told.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    }
    bench.yard.go_on();
    bench.yard.stop("a secret cause");
    for told in
        [bench.cancel(job), bench.post(&start, body), bench.get(&format!("/api/v1/training/{job}/progress"))]
    {
        told.says(503, "The service is stopping, training jobs go on at its next start");
        assert!(told.header("retry-after").is_some());
    }
}

#[test]
fn what_is_too_large_for_this_service_is_told_before_it_waits_for_ever() {
    let bench = Bench::new();
    let start = |memory_mib: u64, name: &str| {
        let id = bench.create(name).id;
        bench.host.set(id, DatasetState::Completed(Shape { memory_mib, ..READY }));
        let body = r#"{"scalingFactor":19,"performanceThreshold":0.8}"#;
        bench.post(&format!("/api/v1/training/datasets/{id}"), body)
    };
    let told = start(MEMORY_MIB + 1, "too large");
    told.says(409, "The dataset needs 1001 MiB of memory for a training, and this service has 1000 MiB");
    assert_eq!(bench.yard.jobs().len(), 0);
    assert_eq!(start(MEMORY_MIB, "just fits").status, 201);
}

#[test]
fn a_full_queue_is_a_503() {
    let bench = Bench::new();
    let queue = QueueName::new("mathfi").unwrap();
    let settings = QueueSettings { running_max: Some(1), waiting_max: 1, ..QueueSettings::default() };
    bench.yard.command(&Command::ConfigureQueue { queue, settings }).unwrap();
    bench.train(bench.ready("one"), 0.8);
    bench.train(bench.ready("two"), 0.8);
    let path = format!("/api/v1/training/datasets/{}", bench.ready("three"));
    let told = bench.post(&path, r#"{"scalingFactor":19,"performanceThreshold":0.8}"#);
    told.says(503, "Too many training jobs wait already, try again");
    assert!(told.header("retry-after").is_some());
    assert_eq!(bench.yard.jobs().len(), 2);
}

#[test]
fn without_a_key_nobody_gets_in_and_without_a_url_none_is_told() {
    let yard = std::sync::Arc::new(support::yard(1));
    let host = std::sync::Arc::new(support::MemoryHost::with_users(&["ann"]));
    let over = |settings: Settings| trainyard_mathfi::MathFi::new(yard.clone(), host.clone(), settings);
    let send = |service: &support::Adapter, request: Request| {
        trainyard_http::block_on(async {
            support::Told::of(trainyard_http::Service::call(service, request).await).await
        })
    };
    let keyless = over(Settings::new());
    let told = send(&keyless, login("ann", "ann's word"));
    told.is_refused(503);
    let get = Request::new(Method::GET, "/api/v1/datasets?offset=0&limit=1");
    send(&keyless, get.with_header("authorization", "Bearer x")).is_refused(401);

    let service = over(Settings::new().with_key(Secret::new(KEY).unwrap()).unwrap());
    let token =
        send(&service, login("ann", "ann's word")).json()["access_token"].as_str().unwrap().to_owned();
    let create = || with_token(Method::POST, "/api/v1/datasets", &token, r#"{"datasetName":"abc"}"#);
    send(&service, create()).says(503, "The service is starting, try again");
    service.listen_at("http://127.0.0.1:8000/");
    service.listen_at("http://elsewhere");
    let made = send(&service, create());
    let url = made.json()["datasetCreationProgressUrl"].as_str().unwrap().to_owned();
    assert!(url.starts_with("http://127.0.0.1:8000/api/v1/datasets/"), "{url}");
    assert!(Uuid::try_parse(url.rsplit('/').next().unwrap()).is_ok());
}
