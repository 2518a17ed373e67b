//! The bodies of the fact sheet, byte for byte.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::json;
use support::{Bench, READY, URL, form, login};
use trainyard_http::{Method, Request};
use trainyard_mathfi::{DatasetState, PredictionId, PredictionState, Shape};

/// A signature differs from run to run of the yard's ids only, so these are the same every time.
#[test]
fn a_login() {
    let bench = Bench::with(support::settings());
    let told = bench.send(login("ann", "ann's word"));
    assert_eq!(told.status, 200);
    let token = told.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        told.text(),
        format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":3600,"username":"ann"}}"#)
    );
    assert!(token.len() > 60 && !token.contains(['+', '/', '=', '.']), "{token}");
}

#[test]
fn a_dataset_is_made_listed_and_read() {
    let bench = Bench::new();
    let body = r#"{"datasetName":"Credit cards","description":"Approved or not","numberOfBuckets":50}"#;
    let made = bench.post("/api/v1/datasets", body);
    let url = made.json()["datasetUploadInfo"]["uploadUrl"].as_str().unwrap().to_owned();
    let key = "00000000-0000-0000-0000-000100000000";
    let (place, signature) = url.split_once("?token=").unwrap();
    assert_eq!(place, format!("{URL}/api/v1/uploads/{key}"));
    let shown = made.without(signature);
    shown.is(201, "dataset_created.json");

    bench.yard.pass(std::time::Duration::from_millis(1_999));
    bench.create("plain");
    bench.get("/api/v1/datasets?offset=0&limit=10").is(200, "datasets.json");
    bench.get("/api/v1/datasets?offset=0&limit=1").is(200, "datasets_first_page.json");
    bench.get("/api/v1/datasets?offset=1&limit=1").is(200, "datasets_last_page.json");
    bench.get("/api/v1/datasets?offset=9&limit=1").is(200, "datasets_beyond.json");
    for path in [format!("/api/v1/datasets/{key}"), format!("/api/v1/datasets/{key}/progress")] {
        let read = bench.get(&path);
        let url = read.json()["datasetUploadInfo"]["uploadUrl"].as_str().unwrap().to_owned();
        let (place, signature) = url.split_once("?token=").unwrap();
        assert_eq!(place, format!("{URL}/api/v1/uploads/{key}"));
        let shown = read.without(signature);
        shown.is(200, "dataset_pending.json");
    }
    let id = trainyard_mathfi::DatasetId::new(key.parse().unwrap());
    bench.host.set(id, DatasetState::Failed { reason: "line 3 has 4 cells instead of 5".to_owned() });
    bench.get(&format!("/api/v1/datasets/{key}")).is(200, "dataset_failed.json");
}

#[test]
fn data_is_taken() {
    let bench = Bench::new();
    let made = bench.create("abc");
    let (content_type, body) = form("file", "id,x,class\n1,2,0\n");
    let request =
        support::with_token(Method::POST, &format!("/api/v1/datasets/{}/data", made.id), &bench.token, "")
            .with_header("content-type", &content_type)
            .with_body(body);
    bench.send(request).is(200, "data_taken.json");
}

#[test]
fn a_training_from_its_start_to_its_champion() {
    let bench = Bench::new();
    let id = bench.ready("abc");
    let body = r#"{"scalingFactor":19,"performanceThreshold":0.8}"#;
    bench.post(&format!("/api/v1/training/datasets/{id}"), body).is(201, "training_started.json");
    let job = bench.yard.jobs()[0].id;
    bench.get(&format!("/api/v1/training/{job}")).is(200, "training_running.json");
    bench.get(&format!("/api/v1/training/{job}/progress")).is(200, "progress_at_the_start.json");

    for (place, value) in [(0, 0.61991), (1, 0.77135), (1, 0.77136), (2, 0.7), (2, 0.69999)] {
        bench.measure(job, place, value).unwrap();
    }
    for value in [0.1, 0.2, 0.3, 0.4, 0.5, 0.79995] {
        bench.measure(job, 3, value).unwrap();
    }
    bench.get(&format!("/api/v1/training/{job}/progress")).is(200, "progress_running.json");
    bench.measure(job, 3, 0.91999).unwrap();
    bench.get(&format!("/api/v1/training/{job}/progress")).is(200, "progress_completed.json");
    bench.get(&format!("/api/v1/training/{job}")).is(200, "training_completed.json");
}

#[test]
fn a_training_that_is_cancelled() {
    let bench = Bench::new();
    let job = bench.train(bench.ready("abc"), 0.8);
    bench.measure(job, 0, 0.5).unwrap();
    bench.fail(job, 1);
    bench.cancel(job).is(200, "progress_cancelled.json");
    bench.get(&format!("/api/v1/training/{job}")).is(200, "training_cancelled.json");
}

#[test]
fn more_than_two_classes_have_algorithms_of_their_own() {
    let bench = Bench::new();
    let id = bench.create("abc").id;
    bench.host.set(id, DatasetState::Completed(Shape { classes: 3, ..READY }));
    let job = bench.train(id, 0.8);
    let algorithms: Vec<_> =
        bench.progress(job)["jobs"].as_array().unwrap().iter().map(|job| job["algorithm"].clone()).collect();
    assert_eq!(json!(algorithms), json!(["MSEV01", "MFIF01", "MSIX01", "MSEV02"]));
}

#[test]
fn a_prediction_and_its_result() {
    let bench = Bench::new();
    let (model, _) = bench.model();
    let (content_type, body) = form("file", "id,x\n1,2\n");
    let path = format!("/api/v1/predictions/models/{model}");
    let request = support::with_token(Method::POST, &path, &bench.token, "");
    let created = bench.send(request.with_header("content-type", &content_type).with_body(body));
    created.is(201, "prediction_created.json");
    let key = created.json()["predictionKey"].as_str().unwrap().to_owned();
    let id = PredictionId::new(key.parse().unwrap());
    assert_eq!(bench.host.file(id.as_uuid()).as_deref(), Some(&b"id,x\n1,2\n"[..]));

    let read = || bench.get(&format!("/api/v1/predictions/{key}"));
    read().is(200, "prediction_pending.json");
    bench.host.set_prediction(id, PredictionState::Running, None);
    read().is(200, "prediction_running.json");
    bench.host.set_prediction(id, PredictionState::TimedOut, None);
    read().is(200, "prediction_timeout.json");
    bench.host.set_prediction(id, PredictionState::Failed { reason: "column x is missing".to_owned() }, None);
    read().is(200, "prediction_failed.json");

    let result = b"id,x,prediction,probability\n1,2,+,0.75\n";
    bench.host.set_prediction(id, PredictionState::Completed, Some(result));
    let completed = read();
    let url = completed.json()["predictionUrl"].as_str().unwrap().to_owned();
    let (place, signature) = url.split_once("?token=").unwrap();
    assert_eq!(place, format!("{URL}/api/v1/results/{key}"));
    let shown = completed.without(signature);
    shown.is(200, "prediction_completed.json");

    let told = bench.send(Request::new(Method::GET, url.strip_prefix(URL).unwrap()));
    assert_eq!((told.status, &*told.body), (200, &result[..]));
    assert_eq!(told.header("content-type"), Some("text/csv"));
    let disposition = format!("attachment; filename=\"prediction-{key}.csv\"");
    assert_eq!(told.header("content-disposition"), Some(&*disposition));
}
