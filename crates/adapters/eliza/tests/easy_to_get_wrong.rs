//! What a reader of the documentation alone would get wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Bench, MemoryHost, Told, yard};
use trainyard_core::port::Handle;
use trainyard_core::{Class, Command, Kind, Progress, QueueName, Subject, Submission, Switch};
use trainyard_eliza::{Backend, Build, DatasetId, Limits, RunNotes, Settings, Source, TrainParameters};
use trainyard_http::{Method, Mounts, Request, Server, ServerConfig, Service, block_on};

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_content_type_without_a_body_is_fine_and_so_is_a_body_without_a_content_type() {
    let bench = Bench::new();
    let model = bench.model("native", None);
    // With the content type, as the real clients send it.
    bench.ask(Method::POST, "/datasets/build", "").made();
    bench.ask(Method::POST, "/jobs", "").made();
    bench.ask(Method::POST, &format!("/models/{model}/activate"), "").data();
    bench.ask(Method::POST, &format!("/models/{model}/benchmark"), "").data();
    bench.ask(Method::POST, "/auto/config", "").data();
    bench.ask(Method::PUT, "/auto/config", "").data();
    bench.ask(Method::GET, "/status", "{ not looked at").data();
    let job = bench.yard.newest().id;
    bench.ask(Method::POST, &format!("/jobs/{job}/cancel"), "{ not looked at").data();
    for content_type in [None, Some("text/plain"), Some("application/json; charset=utf-8")] {
        let mut request = Request::new(Method::POST, "/api/training/datasets/build");
        if let Some(content_type) = content_type {
            request = request.with_header("content-type", content_type);
        }
        bench.send(request.with_body(r#"{"limit":7}"#)).made();
        assert_eq!(bench.host.builds().last().unwrap().limit, 7);
    }
}

#[test]
fn without_a_dataset_the_newest_is_trained_on_and_without_any_one_is_built() {
    let bench = Bench::new();
    bench.bring(0, 3, "response").made();
    let job = bench.start(&json!({ "maxTrajectories": 2 }));
    assert_eq!(job["datasetId"], "dataset-1");
    let build = Build { limit: 2, llm_calls_min: 1, at: support::START };
    assert_eq!(bench.host.builds(), [build]);
    assert_eq!(bench.kinds(), ["dataset_built"]);
    bench.build();
    assert_eq!(bench.start(&json!({ "datasetId": null }))["datasetId"], "dataset-2");
    assert_eq!(bench.start(&json!({ "datasetId": "" }))["datasetId"], "dataset-2");
    assert_eq!(bench.start(&json!({ "datasetId": "dataset-1" }))["datasetId"], "dataset-1");
    assert_eq!(bench.host.builds().len(), 2);

    let bench = Bench::new();
    bench.start(&json!({}));
    assert_eq!(bench.host.builds()[0].limit, 250);
    let bench = Bench::new();
    bench.start(&json!({ "maxTrajectories": 1_000_000 }));
    assert_eq!(bench.host.builds()[0].limit, 5_000);
}

#[test]
fn every_backend_is_told_what_was_asked_for() {
    let bench = Bench::new();
    let dataset = bench.build();
    bench.build();
    for (number, backend) in Backend::ALL.into_iter().enumerate() {
        let body = json!({
            "datasetId": dataset, "maxTrajectories": 2, "backend": backend.as_str(), "model": "eliza-1-2b",
            "iterations": 3, "batchSize": 4, "learningRate": 0.5,
        });
        let told = bench.start(&body);
        assert_eq!(told["status"], if number == 0 { "running" } else { "queued" }, "{backend}");
        assert_eq!(told["options"], body);
        let job = bench.yard.newest();
        assert_eq!(job.class.kind.as_str(), format!("eliza/{backend}"));
        let source = Source::Dataset(DatasetId::new(&*dataset).unwrap());
        // Also of a dataset that was named, no more is used than was asked for.
        let expected = TrainParameters {
            model: Some("eliza-1-2b".to_owned()),
            trajectories_max: Some(2),
            iterations: Some(3),
            batch_size: Some(4),
            learning_rate: Some(0.5),
            ..TrainParameters::new(source, backend)
        };
        assert_eq!(TrainParameters::from_bytes(job.parameters.as_bytes()).unwrap(), expected);
    }
    for job in bench.yard.jobs() {
        let told = bench.post(&format!("/jobs/{}/cancel", job.id), &json!({})).data();
        assert_eq!(told["job"]["status"], "cancelled");
    }
}

#[test]
fn a_second_start_waits_for_the_first() {
    let bench = Bench::new();
    bench.build();
    let first = bench.start(&json!({}));
    let second = bench.start(&json!({ "backend": "cpu" }));
    assert_eq!((&first["status"], &second["status"]), (&json!("running"), &json!("queued")));
    assert_eq!(second["waitingFor"].as_array().unwrap().len(), 2);
    bench.complete();
    assert_eq!(bench.job(&second["id"])["status"], "running");
    assert_eq!(bench.job(&second["id"])["waitingFor"], json!([]));
}

#[test]
fn lists_begin_with_the_newest() {
    let bench = Bench::new();
    bench.bring(0, 3, "response").made();
    assert_eq!(ids(&bench.get("/trajectories").data()["trajectories"]), ["t-2", "t-1", "t-0"]);
    let models: Vec<String> = (0..3)
        .map(|_| {
            bench.yard.pass(Duration::from_millis(5));
            bench.model("native", None)
        })
        .collect();
    let reversed: Vec<String> = models.iter().rev().cloned().collect();
    assert_eq!(ids(&bench.get("/models").data()["models"]), reversed);
    assert_eq!(ids(&bench.get("/datasets").data()["datasets"])[0], "dataset-3");
    let jobs = bench.yard.jobs();
    let newest_first: Vec<String> = jobs.iter().rev().map(|job| job.id.to_string()).collect();
    assert_eq!(ids(&bench.get("/jobs").data()["jobs"]), newest_first);
}

#[test]
fn lists_are_bounded() {
    let limits =
        Limits { jobs_listed: 3, models_listed: 2, log_lines: 4, log_lines_listed: 6, ..Limits::default() };
    let bench = Bench::with(Settings::new().with_limits(limits));
    for _ in 0..5 {
        bench.model("native", None);
        let log = (1..=10).map(|line| format!("line {line}")).collect();
        bench.host.note(bench.yard.newest().id, RunNotes { log, ..RunNotes::default() });
    }
    bench.host.lines_wanted();
    assert_eq!(bench.get("/models").data()["models"].as_array().unwrap().len(), 2);
    assert_eq!(bench.host.lines_wanted(), [0, 0], "no log is read for a list of models");
    let jobs = bench.get("/jobs").data()["jobs"].clone();
    let logs: Vec<&Value> = jobs.as_array().unwrap().iter().map(|job| &job["logs"]).collect();
    let newest = json!(["line 7", "line 8", "line 9", "line 10"]);
    assert_eq!(logs, [&newest, &json!(["line 9", "line 10"]), &json!([])]);
    assert_eq!(bench.host.lines_wanted(), [4, 2, 0], "no more is read than is shown");
    assert_eq!(bench.job(&jobs[2]["id"])["logs"], newest, "one alone has all that is shown");
    assert_eq!(bench.get("/status").data()["completedJobs"], 5);
}

/// Each takes a count of those ahead.
#[test]
fn a_list_explains_the_newest_waiting_jobs() {
    let bench = Bench::new();
    bench.build();
    let first = bench.start(&json!({}));
    for _ in 0..60 {
        bench.start(&json!({}));
    }
    let jobs = bench.get("/jobs").data()["jobs"].clone();
    let jobs = jobs.as_array().unwrap();
    let is_explained = |job: &&Value| !job["waitingFor"].as_array().unwrap().is_empty();
    assert_eq!(jobs.iter().take(50).filter(is_explained).count(), 50);
    assert_eq!(jobs.iter().filter(is_explained).count(), 50);
    let oldest = &jobs[59];
    assert_eq!((&oldest["status"], &jobs[60]["id"]), (&json!("queued"), &first["id"]));
    assert!(is_explained(&&bench.job(&oldest["id"])), "one alone is");
}

#[test]
fn a_line_of_a_log_is_bounded_too() {
    let bench = Bench::new();
    bench.build();
    let id = bench.start(&json!({}))["id"].clone();
    let log = vec!["é".repeat(10_000); 700];
    bench.host.note(bench.yard.newest().id, RunNotes { log, ..RunNotes::default() });
    let logs = bench.job(&id)["logs"].clone();
    assert_eq!(logs.as_array().unwrap().len(), 600);
    assert_eq!(logs[0].as_str().unwrap(), format!("{}…", "é".repeat(2_048)));
}

#[test]
fn progress_never_falls_and_stays_after_the_end() {
    let bench = Bench::new();
    bench.build();
    let id = bench.start(&json!({}))["id"].clone();
    let progress = |bench: &Bench| bench.job(&id)["progress"].as_f64().unwrap();
    assert_eq!(progress(&bench), 0.0);
    bench.yard.report(Progress::step(6, 10));
    assert_eq!(progress(&bench), 0.6);
    // The process dies, and the job begins anew.
    bench.yard.restart();
    assert_eq!((progress(&bench), bench.job(&id)["status"].clone()), (0.6, json!("running")));
    bench.yard.report(Progress::step(1, 10));
    let job = bench.job(&id);
    assert_eq!((progress(&bench), &job["currentIteration"]), (0.6, &json!(1)));
    let (at_work, fraction) = (bench.yard.newest().id, Some(0.7));
    bench
        .host
        .note(at_work, RunNotes { fraction, iteration: Some(7), loss: Some(0.5), ..RunNotes::default() });
    assert_eq!(progress(&bench), 0.7, "the host's notes count as well");
    bench.yard.fail("no luck");
    assert_eq!(progress(&bench), 0.7);
    // Another process knows the notes alone.
    let other = Bench::over(Settings::new(), Arc::clone(&bench.yard), Arc::clone(&bench.host));
    let job = other.job(&id);
    assert_eq!((progress(&other), &job["currentIteration"], &job["loss"]), (0.7, &json!(7), &json!(0.5)));
    assert_eq!(job["status"], "failed");
}

#[test]
fn notes_that_make_no_sense_are_brought_into_their_range() {
    let bench = Bench::new();
    bench.build();
    let id = bench.start(&json!({}))["id"].clone();
    for (fraction, shown) in [(f64::NAN, 0.0), (f64::INFINITY, 0.0), (7.0, 1.0), (-1.0, 0.0)] {
        let notes = RunNotes { fraction: Some(fraction), loss: Some(f64::NAN), ..RunNotes::default() };
        bench.host.note(bench.yard.newest().id, notes);
        let job = bench.job(&id);
        assert_eq!((&job["progress"], &job["loss"]), (&json!(shown), &Value::Null));
    }
}

#[test]
fn a_job_that_is_over_is_not_cancelled_again() {
    let bench = Bench::new();
    bench.build();
    let first = bench.start(&json!({}))["id"].clone();
    let second = bench.start(&json!({}))["id"].clone();
    let cancel = |id: &Value| {
        bench.post(&format!("/jobs/{}/cancel", id.as_str().unwrap()), &json!({})).data()["job"].clone()
    };
    let told = cancel(&second);
    assert_eq!((&told["status"], &told["startedAt"]), (&json!("cancelled"), &Value::Null));
    bench.complete();
    let before = bench.job(&first);
    bench.yard.pass(Duration::from_secs(9));
    assert_eq!(cancel(&first), before);
    assert_eq!(before["status"], "completed");
    assert_eq!(cancel(&second)["completedAt"], told["completedAt"]);
}

#[test]
fn a_cancelled_job_is_told_so_while_its_trainer_still_stops() {
    let bench = Bench::new();
    bench.build();
    let first = bench.start(&json!({}))["id"].clone();
    let second = bench.start(&json!({}))["id"].clone();
    let told = bench.post(&format!("/jobs/{}/cancel", first.as_str().unwrap()), &json!({})).data();
    assert_eq!(told["job"]["status"], "cancelled");
    assert_eq!(bench.job(&second)["status"], "queued", "its place is not free yet");
    bench.yard.end(trainyard_core::RunEnd::Stopped);
    assert_eq!(bench.job(&second)["status"], "running");
}

#[test]
fn a_job_whose_process_died_is_not_running_for_ever() {
    let bench = Bench::new();
    bench.build();
    let id = bench.start(&json!({}))["id"].clone();
    for _ in 0..2 {
        bench.yard.restart();
        assert_eq!(bench.job(&id)["status"], "running", "it goes on");
    }
    bench.yard.restart();
    let job = bench.job(&id);
    assert_eq!(job["status"], "queued");
    assert!(job["waitingFor"][0].as_str().unwrap().starts_with("held: "), "{job}");
}

#[test]
fn jobs_and_models_of_others_are_not_there() {
    let bench = Bench::new();
    let class = Class::new(Kind::new("eliza/native").unwrap(), QueueName::new("eliza").unwrap());
    let subject = Subject::new("group/1").unwrap();
    let submission = Submission::new(bench.yard.job_id(), subject, class.into());
    bench.yard.command(&Command::Submit(submission.into())).unwrap();
    let (job, model) = (bench.yard.newest().id, bench.complete());
    assert_eq!(bench.get("/jobs").data()["jobs"], json!([]));
    assert_eq!(bench.get("/models").data()["models"], json!([]));
    assert_eq!(bench.get("/status").data()["completedJobs"], 0);
    bench.get(&format!("/jobs/{job}")).says(404, "NOT_FOUND", "Training job not found");
    let told = bench.post(&format!("/models/{model}/activate"), &json!({}));
    told.says(404, "NOT_FOUND", "Model not found");
    let told = bench.post(&format!("/jobs/{job}/cancel"), &json!({}));
    told.says(404, "NOT_FOUND", "Training job not found");
}

#[test]
fn an_id_is_decoded_once() {
    let bench = Bench::new();
    for id in ["a%2Fb", "a/b", "ü?#", "..", "%"] {
        bench.post("/trajectories", &json!({ "id": id })).made();
    }
    for (path, id) in
        [("a%252Fb", "a%2Fb"), ("a%2Fb", "a/b"), ("%C3%BC%3F%23", "ü?#"), ("%2E%2E", ".."), ("%25", "%")]
    {
        assert_eq!(bench.get(&format!("/trajectories/{path}")).data()["trajectory"]["id"], id);
    }
}

#[test]
fn a_model_goes_by_the_name_that_is_known() {
    let bench = Bench::new();
    let native = bench.model("native", None);
    let weights = bench.model("cpu", Some("/adapter"));
    let activate = |id: &str, body: Value| bench.post(&format!("/models/{id}/activate"), &body).data();
    let active = || {
        let models = bench.get("/models").data()["models"].clone();
        let active: Vec<Value> =
            models.as_array().unwrap().iter().filter(|model| model["active"] == true).cloned().collect();
        ids(&active.into())
    };
    assert!(active().is_empty(), "somebody activates a model");
    assert_eq!(activate(&native, json!({}))["activeModel"], "eliza-1-2b-v1");
    assert_eq!(active(), std::slice::from_ref(&native));
    let told =
        bench.post(&format!("/models/{weights}/import-ollama"), &json!({ "modelName": "mine:v1" })).data();
    assert_eq!(
        (&told["model"]["ollamaModel"], &told["model"]["ollamaName"]),
        (&json!("mine:v1"), &json!("mine:v1"))
    );
    let told = activate(&weights, json!({ "providerModel": " " }));
    assert_eq!(
        (&told["activeModel"], &told["providerModel"]),
        (&json!("ollama/mine:v1"), &json!("ollama/mine:v1"))
    );
    assert_eq!(active(), std::slice::from_ref(&weights), "one at a time");
    assert_eq!(activate(&weights, json!({ "providerModel": "openai/x" }))["activeModel"], "openai/x");
    assert_eq!(activate(&native, json!({}))["needsRestart"], true);
    assert_eq!(active(), [native]);
    let quiet = Bench::over(
        Settings::new().with_restart(Switch::Off),
        Arc::clone(&bench.yard),
        Arc::clone(&bench.host),
    );
    assert_eq!(quiet.post(&format!("/models/{weights}/activate"), &json!({})).data()["needsRestart"], false);
}

#[test]
fn a_benchmark_that_is_not_passed_is_an_answer() {
    let bench = Bench::new();
    let model = bench.model("cpu", Some("/adapter"));
    bench.host.pass_benchmarks(false);
    let told = bench.post(&format!("/models/{model}/benchmark"), &json!({})).data();
    assert_eq!((&told["status"], &told["scores"]), (&json!("failed"), &Value::Null));
    let listed = bench.get("/models").data()["models"][0]["benchmark"].clone();
    assert_eq!(listed["status"], "failed");
}

/// Clients give up after ten seconds: what takes longer goes on, and who asks again joins.
#[test]
fn what_takes_long_is_answered_with_202_and_goes_on() {
    let bench = Bench::with(Settings::new().with_patience(Duration::ZERO));
    let model = bench.model("cpu", Some("/adapter"));
    let path = format!("/api/training/models/{model}/import-ollama");
    let import = |name: &str| {
        let body = json!({ "modelName": name }).to_string();
        Request::new(Method::POST, &path).with_body(body)
    };
    bench.host.workshop.hold(true);
    block_on(async {
        let call = async |request: Request| Told::of(bench.service.call(request).await).await;
        for name in ["first", "second"] {
            let told = call(import(name)).await;
            assert_eq!(told.status, 202, "{}", told.text());
            let told = told.json();
            assert_eq!((&told["pending"], &told["model"]["ollamaModel"]), (&json!(true), &Value::Null));
        }
        let benchmark = || Request::new(Method::POST, &format!("/api/training/models/{model}/benchmark"));
        let told = call(benchmark()).await;
        assert_eq!(told.status, 202, "{}", told.text());
        assert_eq!((&told.json()["pending"], &told.json()["status"]), (&json!(true), &json!("not_run")));
        bench.host.workshop.wait_for(2);
        bench.host.workshop.hold(false);
    });
    // The pool has been waited for.
    assert_eq!(bench.host.workshop.visits(), 2, "who came second joined");
    assert_eq!(bench.host.imports().len(), 1);
    assert_eq!(bench.host.imports()[0].name, "first");
    let listed = bench.get("/models").data()["models"][0].clone();
    assert_eq!((&listed["ollamaModel"], &listed["benchmark"]["status"]), (&json!("first"), &json!("passed")));
    let mut kinds = bench.kinds()[1..].to_vec();
    kinds.sort();
    assert_eq!(kinds, ["model_benchmarked", "model_imported"]);
}

#[test]
fn so_many_imports_and_benchmarks_are_done_at_once() {
    let limits = Limits { errands: 1, ..Limits::default() };
    let bench = Bench::with(Settings::new().with_patience(Duration::ZERO).with_limits(limits));
    let model = bench.model("cpu", Some("/adapter"));
    bench.host.workshop.hold(true);
    block_on(async {
        let call = async |what: &str| {
            let request = Request::new(Method::POST, &format!("/api/training/models/{model}/{what}"));
            Told::of(bench.service.call(request).await).await
        };
        assert_eq!(call("benchmark").await.status, 202);
        let words = "Too many imports and benchmarks at once";
        call("import-ollama").await.says(503, "SERVICE_UNAVAILABLE", words);
        bench.host.workshop.hold(false);
    });
}

/// Bodies with trajectories are large: so many are here at once, one is taken in at a time, and nobody else waits for it.
#[test]
fn so_many_bring_trajectories_at_once() {
    let limits = Limits { ingests: 2, ..Limits::default() };
    let bench = Arc::new(Bench::with(Settings::new().with_limits(limits)));
    bench.host.gate.hold(true);
    let bring = |id: &'static str| {
        let bench = Arc::clone(&bench);
        std::thread::spawn(move || bench.post("/trajectories", &json!({ "id": id })).status)
    };
    let first = bring("first");
    bench.host.gate.wait_for(1);
    block_on(async {
        let call = async |id: &str| {
            let body = json!({ "id": id }).to_string();
            let request = Request::new(Method::POST, "/api/training/trajectories").with_body(body);
            Told::of(bench.service.call(request).await).await
        };
        let mut second = std::pin::pin!(call("second"));
        let waits = trainyard_http::timeout(Duration::ZERO, second.as_mut()).await;
        assert!(waits.is_none(), "it has its seat, and no turn yet");
        call("third").await.says(503, "SERVICE_UNAVAILABLE", "Too many trajectories come in at once");
        assert_eq!(bench.host.gate.visits(), 1, "one at a time");
        bench.host.gate.hold(false);
        assert_eq!(second.await.status, 201);
        assert_eq!(call("third").await.status, 201);
    });
    assert_eq!(first.join().unwrap(), 201);
    assert_eq!(bench.host.gate.visits(), 3);
}

/// A build may take long: many at once must not take the threads that others need.
#[test]
fn one_dataset_is_built_at_a_time() {
    let bench = Arc::new(Bench::new());
    bench.host.site.hold(true);
    let first = std::thread::spawn({
        let bench = Arc::clone(&bench);
        move || bench.post("/datasets/build", &json!({})).status
    });
    bench.host.site.wait_for(1);
    block_on(async {
        let request = Request::new(Method::POST, "/api/training/datasets/build").with_body("{}");
        let mut second = std::pin::pin!(async { bench.service.call(request).await });
        let waits = trainyard_http::timeout(Duration::ZERO, second.as_mut()).await;
        assert!(waits.is_none(), "it has no turn yet");
        assert_eq!(bench.host.site.visits(), 1);
        bench.host.site.hold(false);
        assert_eq!(Told::of(second.await).await.status, 201);
    });
    assert_eq!(first.join().unwrap(), 201);
    assert_eq!(bench.host.builds().len(), 2);
}

#[test]
fn names_of_both_generations_change_the_configuration() {
    let bench = Bench::new();
    let ask = |method: Method, body: Value| {
        let told = bench.ask(method, "/auto/config", &body.to_string()).data();
        assert_eq!(told["ok"], true);
        told["config"].clone()
    };
    assert_eq!(ask(Method::PUT, json!({ "threshold": 7, "unknown": [] }))["triggerThreshold"], 7);
    assert_eq!(ask(Method::POST, json!({ "threshold": 8 }))["threshold"], 8);
    assert_eq!(ask(Method::PUT, json!({ "autoTrain": false }))["enabled"], false);
    assert_eq!(ask(Method::POST, json!({ "triggerCooldownHours": 0.25 }))["cooldownHours"], 0.25);
    // The settings page posts back what it has read, with one member turned over.
    let mut page = bench.get("/auto/config").data()["config"].clone();
    page["autoTrain"] = json!(true);
    assert_eq!(ask(Method::POST, page)["enabled"], true);
    let both = json!({ "enabled": false, "autoTrain": true });
    assert_eq!(ask(Method::PUT, both.clone())["enabled"], false, "PUT has its own names first");
    assert_eq!(ask(Method::POST, both)["enabled"], true);
}

#[test]
fn a_bug_is_a_500_in_the_form_of_all_others() {
    let bench = Bench::new();
    let mounts = bench.service.mounts().into_iter().try_fold(Mounts::new(), Mounts::with).unwrap();
    let server = Server::start(ServerConfig::new("127.0.0.1:0".parse().unwrap()), mounts).unwrap();
    bench.host.panics.store(true, std::sync::atomic::Ordering::SeqCst);
    let told =
        raw(&server, "GET /api/training/datasets HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert!(told.starts_with("HTTP/1.1 500"), "{told}");
    assert!(told.ends_with(
        r#"{"error":"Internal server error","code":"INTERNAL_ERROR","message":"Internal server error"}"#
    ));
    bench.host.panics.store(false, std::sync::atomic::Ordering::SeqCst);
    // Each mount has its own bound.
    let head = |path: &str, bytes: usize| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {bytes}\r\n\r\n"
        )
    };
    let told = raw(&server, &head("/api/training/datasets/build", (1 << 20) + 1));
    assert!(told.starts_with("HTTP/1.1 413") && told.contains("INVALID_REQUEST"), "{told}");
    let body = format!(r#"{{"id":"a","text":"{}"}}"#, "x".repeat(2 << 20));
    let told = raw(&server, &format!("{}{body}", head("/api/training/trajectories", body.len())));
    assert!(told.starts_with("HTTP/1.1 201"), "{}", &told[..200]);
    let told = raw(&server, &head("/api/training/trajectories", (16 << 20) + 1));
    assert!(told.starts_with("HTTP/1.1 413"), "{told}");
}

fn raw(server: &trainyard_http::RunningServer, text: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut told = Vec::new();
    stream.read_to_end(&mut told).unwrap();
    String::from_utf8(told).unwrap()
}

#[test]
fn the_yard_and_the_host_may_be_shared_by_clones() {
    let bench = Bench::over(Settings::new(), yard(1).into(), MemoryHost::default().into());
    let clone = bench.service.clone();
    bench.build();
    let told = block_on(async {
        let request = Request::new(Method::GET, "/api/training/datasets");
        Told::of(clone.call(request).await).await
    });
    assert_eq!(told.data()["datasets"].as_array().unwrap().len(), 1);
    assert!(format!("{clone:?}").starts_with("Eliza { settings: "));
}
