//! Every answer, byte for byte: what the documentation shows, and what the real page and clients read besides.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use support::Bench;
use trainyard_core::Progress;
use trainyard_eliza::{Absence, Backend, RunNotes, Runtime};
use trainyard_http::Method;

/// Each member of `shown` is in `told`, of the same type.
#[track_caller]
fn covers(told: &Value, shown: &Value) {
    for (name, value) in shown.as_object().unwrap() {
        let there = told.get(name).unwrap_or_else(|| panic!("{name} is missing in {told}"));
        assert_eq!(std::mem::discriminant(there), std::mem::discriminant(value), "{name} in {told}");
    }
}

#[test]
fn the_status_counts_what_there_is() {
    let bench = Bench::new();
    bench.get("/status").is_golden(200, "status_of_nothing");
    bench.model("native", None);
    bench.start(&json!({}));
    bench.yard.fail("no luck");
    bench.start(&json!({}));
    bench.start(&json!({}));
    bench.start(&json!({}));
    let id = bench.yard.newest().id;
    bench.ask(Method::POST, &format!("/jobs/{id}/cancel"), "").data();
    bench.get("/status").is_golden(200, "status");
}

#[test]
fn trajectories_are_taken_in_listed_and_read() {
    let bench = Bench::new();
    bench.get("/trajectories").is_golden(200, "trajectories_none");
    let body = json!([
        { "id": "550e8400-e29b-41d4-a716-446655440000", "calls": 2 },
        { "id": "still going", "status": "active", "calls": 0 },
    ]);
    bench.post("/trajectories", &body).is_golden(201, "trajectories_taken_in");
    bench.get("/trajectories?limit=100&offset=0").is_golden(200, "trajectories");
    bench.get("/trajectories?limit=1&offset=1").is_golden(200, "trajectories_last_page");
    bench.get("/trajectories/550e8400-e29b-41d4-a716-446655440000").is_golden(200, "trajectory");
    let told = bench.get("/trajectories/still%20going").data();
    assert_eq!(told["trajectory"]["endTime"], Value::Null);
    let steps = bench.get("/trajectories/550e8400-e29b-41d4-a716-446655440000").data();
    let steps = steps["trajectory"]["stepsJson"].as_str().unwrap().to_owned();
    assert!(serde_json::from_str::<Value>(&steps).unwrap().is_array());
    bench.host.detach(Runtime::Absent(Absence::RuntimeNotStarted));
    bench.get("/trajectories?limit=25").is_golden(200, "trajectories_without_a_runtime");
}

#[test]
fn datasets_are_built_and_listed() {
    let bench = Bench::new();
    bench.get("/datasets").is_golden(200, "datasets_none");
    bench.bring(0, 3, "response");
    let body = json!({ "limit": 250, "minLlmCallsPerTrajectory": 1 });
    bench.post("/datasets/build", &body).is_golden(201, "dataset_built");
    bench.yard.pass(Duration::from_secs(1));
    bench.post("/datasets/build", &json!({ "limit": 2, "minLlmCallsPerTrajectory": 3 })).made();
    bench.get("/datasets").is_golden(200, "datasets");
    let shown = json!({ "id": "", "createdAt": 0, "trajectoryCount": 0, "exampleCount": 0 });
    covers(&bench.get("/datasets").data()["datasets"][1], &shown);
}

#[test]
fn a_job_from_its_start_to_its_end() {
    let bench = Bench::new();
    bench.bring(0, 3, "response");
    bench.get("/jobs").is_golden(200, "jobs_none");
    let dataset = bench.build();
    let body = json!({
        "datasetId": dataset, "backend": "mlx", "model": "eliza-1-2b", "iterations": 100, "batchSize": 4,
        "learningRate": 1e-5,
    });
    bench.post("/jobs", &body).is_golden(201, "job_started");
    let id = bench.yard.newest().id;
    bench.post("/jobs", &json!({})).is_golden(201, "job_queued");
    bench.yard.pass(Duration::from_secs(60));
    bench.yard.report(Progress::step(45, 100).with_loss(0.234).unwrap().with_phase("training"));
    let notes = RunNotes {
        log: vec!["training with mlx".to_owned(), "Iter 45: Train loss 0.234".to_owned()],
        phase: Some("training".to_owned()),
        fraction: Some(0.45),
        output_dir: Some(PathBuf::from("/runs/1")),
        log_path: Some(PathBuf::from("/runs/1/train.log")),
        script_path: Some(PathBuf::from("/scripts/train_local.py")),
        ..RunNotes::default()
    };
    bench.host.note(id, notes.clone());
    bench.get(&format!("/jobs/{id}")).is_golden(200, "job_running");
    let model = bench.complete();
    bench.host.know(model, Backend::Mlx, Some("/runs/1/adapter"));
    bench.host.note(id, RunNotes { exit_code: Some(0), ..notes });
    bench.get(&format!("/jobs/{id}")).is_golden(200, "job_completed");
    bench.yard.pass(Duration::from_secs(5));
    bench.yard.fail("the trainer ended with code 2");
    bench.get(&format!("/jobs/{}", bench.yard.newest().id)).is_golden(200, "job_failed");
    bench.get("/jobs").is_golden(200, "jobs");
    let listed = bench.get("/jobs").data()["jobs"].clone();
    for job in listed.as_array().unwrap() {
        let always = json!({
            "id": "", "status": "", "datasetId": "", "backend": "", "createdAt": 0, "completedAt": 0,
            "progress": 0, "currentIteration": 0, "phase": "", "logs": [], "options": {},
        });
        covers(job, &always);
    }
}

#[test]
fn a_job_is_taken_back() {
    let bench = Bench::new();
    bench.build();
    let id = bench.start(&json!({}))["id"].as_str().unwrap().to_owned();
    bench.yard.pass(Duration::from_secs(3));
    bench.ask(Method::POST, &format!("/jobs/{id}/cancel"), "").is_golden(200, "job_cancelled");
    bench.ask(Method::POST, &format!("/jobs/{id}/cancel"), "").is_golden(200, "job_cancelled");
}

#[test]
fn a_model_is_listed_imported_activated_and_measured() {
    let bench = Bench::new();
    bench.get("/models").is_golden(200, "models_none");
    let id = bench.model("mlx", Some("/runs/1/adapter"));
    bench.get("/models").is_golden(200, "models");
    let body = json!({
        "modelName": "eliza-v1", "baseModel": "eliza-1-2b", "ollamaUrl": "http://localhost:11434/",
    });
    bench.post(&format!("/models/{id}/import-ollama"), &body).is_golden(200, "model_imported");
    assert_eq!(bench.host.imports()[0].ollama.as_str(), "http://localhost:11434");
    let body = json!({ "providerModel": "eliza-v1" });
    bench.post(&format!("/models/{id}/activate"), &body).is_golden(200, "model_activated");
    bench.ask(Method::POST, &format!("/models/{id}/benchmark"), "").is_golden(200, "model_benchmarked");
    bench.get("/models").is_golden(200, "models_in_use");
    let kinds = bench.kinds();
    assert_eq!(kinds, ["dataset_built", "model_imported", "model_activated", "model_benchmarked"]);
}

#[test]
fn auto_training_is_read_and_changed() {
    let bench = Bench::new();
    bench.get("/auto/config").is_golden(200, "auto_config");
    let body = json!({ "threshold": 200, "cooldownHours": 24 });
    bench.ask(Method::PUT, "/auto/config", &body.to_string()).is_golden(200, "auto_config_put");
    let body = json!({
        "autoTrain": false, "triggerThreshold": 3, "triggerCooldownHours": 0.5, "backends": ["native"],
        "perTaskOverrides": { "response": { "threshold": 5, "cooldownHours": 1, "backend": "cpu" } },
    });
    bench.post("/auto/config", &body).is_golden(200, "auto_config_posted");
    bench.get("/auto/config").is_golden(200, "auto_config_changed");
}

#[test]
fn auto_training_says_how_it_stands_and_why() {
    let bench = Bench::new();
    let body = json!({ "threshold": 2 });
    bench.ask(Method::PUT, "/auto/config", &body.to_string()).data();
    bench.bring(0, 1, "response");
    bench.bring(1, 2, "should_respond");
    bench.get("/auto/status").is_golden(200, "auto_status");
    bench.get("/auto/decisions").is_golden(200, "auto_decisions");
    bench.get("/jobs").is_golden(200, "jobs_of_a_task");
    bench.get("/auto/runs").is_golden(200, "auto_runs");
    bench.post("/auto/trigger", &json!({ "task": "response" })).is_golden(201, "auto_triggered");
    bench.post("/auto/trigger", &json!({ "dryRun": true })).is_golden(201, "auto_trigger_dry");
    bench.complete();
    let runs = bench.get("/auto/runs?limit=1").data();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1);
    let id = runs["runs"][0]["runId"].as_str().unwrap().to_owned();
    assert_eq!(bench.get(&format!("/auto/runs/{id}")).data()["run"], runs["runs"][0]);
}

#[test]
fn backends_are_those_that_are_here() {
    let bench = Bench::new();
    bench.host.equip(&[Backend::Native, Backend::Cpu]);
    bench.get("/backends").is_golden(200, "backends");
}
