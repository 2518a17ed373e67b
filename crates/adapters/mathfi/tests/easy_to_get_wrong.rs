//! Section 10 of the fact sheet, point by point.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Bench, Made, URL, form, login, statuses, with_token};
use trainyard_core::JobId;
use trainyard_http::{Method, Request};
use trainyard_mathfi::{DatasetState, PredictionId, PredictionState};

const HOUR: Duration = Duration::from_secs(3_600);

fn started(target: f64) -> (Bench, JobId) {
    let bench = Bench::new();
    let job = bench.train(bench.ready("abc"), target);
    (bench, job)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Point 1.
#[test]
fn login_has_no_v1_and_speaks_snake_case() {
    let bench = Bench::with(support::settings());
    let told = bench.send(login("ann", "ann's word"));
    let answer = told.json();
    let members: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(members, ["access_token", "expires_in", "token_type", "username"]);
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(3600)));
    bench.send(Request::new(Method::POST, "/api/v1/login").with_body("{}")).is_refused(404);
}

/// Point 2.
#[test]
fn a_threshold_goes_in_and_a_target_comes_out() {
    let (bench, job) = started(0.8125);
    assert_eq!(bench.read(job)["targetPerformance"], 0.8125);
    assert_eq!(bench.progress(job)["targetPerformance"], 0.8125);
    assert!(bench.read(job).get("performanceThreshold").is_none());
    let wrong = r#"{"scalingFactor":19,"targetPerformance":0.8}"#;
    let path = format!("/api/v1/training/datasets/{}", bench.ready("two"));
    bench.post(&path, wrong).says(400, "performanceThreshold is required");
    for end in ["0", "1"] {
        let body = format!(r#"{{"scalingFactor":499,"performanceThreshold":{end}}}"#);
        assert_eq!(bench.post(&path, &body).status, 201, "both ends are allowed");
    }
}

/// Point 3.
#[test]
fn cancel_is_patch_and_only_while_it_is_not_over() {
    let (bench, job) = started(0.8);
    let queued = [bench.train(bench.ready("two"), 0.8), bench.train(bench.ready("three"), 0.8)][1];
    assert_eq!(bench.progress(queued)["status"], "PENDING");
    assert_eq!(statuses(&bench.cancel(queued).json()), ["CANCELLED"; 5]);
    assert_eq!(statuses(&bench.cancel(job).json()), ["CANCELLED"; 5]);
    bench.cancel(job).says(409, "The training job is over");
    bench.ask(Method::POST, &format!("/api/v1/training/{job}/cancel"), "").is_refused(405);

    let (bench, won) = started(0.8);
    bench.measure(won, 0, 0.9).unwrap();
    let before = bench.progress(won);
    bench.cancel(won).says(409, "The training job is over");
    assert_eq!(bench.progress(won), before, "nothing has changed");
}

/// Point 3: cancelled is for good, even if an algorithm reaches the target in the same instant.
#[test]
fn after_a_cancel_nobody_wins() {
    let (bench, job) = started(0.8);
    bench.measure(job, 1, 0.5).unwrap();
    let runs: Vec<_> = (0..4).map(|place| bench.run(job, place).unwrap()).collect();
    let cancelled = bench.cancel(job).json();
    for run in runs {
        let last = Some((9, trainyard_core::Score::new(0.99).unwrap()));
        let trained = trainyard_core::Trained::artifact(trainyard_core::Reference::new("late"));
        let model = trainyard_core::ModelId::from_u128(99);
        let end = trainyard_core::RunEnd::Completed { trained, model, last };
        bench.yard.command(&trainyard_core::Command::Finish { run, end }).unwrap();
    }
    bench.yard.pass(2 * HOUR);
    assert_eq!(bench.progress(job), cancelled);
    assert!(bench.read(job).get("modelKey").is_none());
}

/// Point 4.
#[test]
fn at_most_five_performances_newest_last_and_latest_is_not_best() {
    let (bench, job) = started(0.9);
    let mut shown = Vec::new();
    for value in [0.1, 0.2, 0.3, 0.85, 0.5, 0.6, 0.55] {
        bench.measure(job, 2, value).unwrap();
        shown.push(value);
        let child = bench.progress(job)["jobs"][2].clone();
        let recent = numbers(&child["recentPerformances"]);
        assert_eq!(recent, &shown[shown.len().saturating_sub(5)..]);
        assert_eq!(child["latestPerformance"].as_f64(), recent.last().copied());
    }
    let other = &bench.progress(job)["jobs"][0];
    assert_eq!((&other["recentPerformances"], &other["latestPerformance"]), (&json!([]), &Value::Null));
}

/// Point 4: four decimals on the wire, and none cut off where it is compared.
#[test]
fn what_is_shown_is_rounded_and_what_is_compared_is_not() {
    let (bench, job) = started(0.92);
    bench.measure(job, 3, 0.919_96).unwrap();
    let progress = bench.progress(job);
    assert_eq!(progress["jobs"][3]["latestPerformance"], 0.92);
    assert_eq!(statuses(&progress), ["RUNNING"; 5]);
    bench.measure(job, 3, 0.92).unwrap();
    assert_eq!(bench.progress(job)["status"], "COMPLETED", "at the target is enough");
}

/// Points 5 and 6.
#[test]
fn losers_are_not_completed_under_a_completed_parent() {
    let (bench, job) = started(0.8);
    bench.fail(job, 1);
    bench.measure(job, 0, 0.7).unwrap();
    bench.measure(job, 3, 0.9).unwrap();
    let progress = bench.progress(job);
    assert_eq!(statuses(&progress), ["COMPLETED", "NOT_COMPLETED", "FAILED", "NOT_COMPLETED", "COMPLETED"]);
    assert_eq!(progress["jobs"][0]["recentPerformances"], json!([0.7]), "it keeps what it had");
}

/// Point 6: however it ends.
#[test]
fn a_finished_parent_never_shows_an_unfinished_child() {
    type Way<'a> = (&'a str, &'a str, &'a dyn Fn(&Bench, JobId));
    let ways: [Way<'_>; 5] = [
        ("TIMED_OUT", "TIMED_OUT", &|bench, job| {
            // Everybody gains enough for an hour, and nobody arrives.
            for minute in 0..60 {
                for place in 0..4 {
                    let step = f64::from(minute / 4);
                    bench.measure(job, place, 0.1 + 0.021 * step).unwrap();
                }
                bench.yard.pass(Duration::from_secs(60));
            }
        }),
        ("NOT_COMPLETED", "NOT_COMPLETED", &|bench, _| bench.yard.pass(Duration::from_secs(300))),
        ("CANCELLED", "CANCELLED", &|bench, job| drop(bench.cancel(job))),
        ("FAILED", "FAILED", &|bench, job| (0..4).for_each(|place| bench.fail(job, place))),
        ("NOT_COMPLETED", "NOT_COMPLETED", &|bench, job| {
            bench.fail(job, 0);
            bench.yard.pass(Duration::from_secs(300));
        }),
    ];
    for (whole, part, end) in ways {
        let (bench, job) = started(0.8);
        assert_eq!(statuses(&bench.progress(job)), ["RUNNING"; 5]);
        end(&bench, job);
        let now = statuses(&bench.progress(job));
        assert_eq!((&*now[0], &*now[4]), (whole, part), "{now:?}");
        assert!(now.iter().all(|status| status != "RUNNING" && status != "PENDING"), "{now:?}");
        let read = bench.read(job);
        assert!(read.get("modelKey").is_none() && read["achievedPerformance"].is_null());
    }
}

/// Point 7.
#[test]
fn each_child_has_a_key_of_its_own() {
    let (bench, job) = started(0.8);
    let other = bench.train(bench.ready("two"), 0.8);
    let keys = |job: JobId| -> Vec<String> {
        let progress = bench.progress(job);
        let jobs = progress["jobs"].as_array().unwrap().clone();
        jobs.iter().map(|child| child["trainingJobKey"].as_str().unwrap().to_owned()).collect()
    };
    let all: BTreeSet<String> =
        keys(job).into_iter().chain(keys(other)).chain([job.to_string(), other.to_string()]).collect();
    assert_eq!(all.len(), 10);
    let before = keys(job);
    bench.measure(job, 0, 0.9).unwrap();
    assert_eq!(keys(job), before, "they never change");
}

/// Point 8.
#[test]
fn a_model_only_with_completed_and_figures_absent_rather_than_null() {
    let (bench, job) = started(0.8);
    let figures = ["modelKey", "trainingPerformance", "testPerformance"];
    let running = bench.read(job);
    assert!(figures.iter().all(|name| running.get(name).is_none()), "{running}");
    assert!(running["achievedPerformance"].is_null());
    bench.measure(job, 0, 0.9).unwrap();
    let completed = bench.read(job);
    assert!(figures.iter().all(|name| !completed[name].is_null()), "{completed}");
    assert_eq!(completed["achievedPerformance"], 0.9);
}

/// Point 8: the models that a dataset may keep are few, the job stays what it was.
#[test]
fn a_model_that_is_forgotten_keeps_its_key_and_loses_its_figures() {
    let bench = Bench::new();
    let id = bench.ready("abc");
    let settings = trainyard_core::Settings { models_max: 1, ..trainyard_core::Settings::default() };
    bench.yard.command(&trainyard_core::Command::Configure(settings)).unwrap();
    let jobs: Vec<JobId> = [0.6, 0.9, 0.7, 0.8]
        .map(|value| {
            let job = bench.train(id, 0.5);
            bench.measure(job, 0, value).unwrap();
            bench.yard.pass(Duration::from_secs(60));
            job
        })
        .into();
    let forgotten = bench.read(jobs[0]);
    assert_eq!((&forgotten["status"], &forgotten["achievedPerformance"]), (&json!("COMPLETED"), &json!(0.6)));
    assert!(forgotten.get("testPerformance").is_none());
    let path = format!("/api/v1/predictions/models/{}", forgotten["modelKey"].as_str().unwrap());
    let (content_type, csv) = form("file", "id,x\n1,2\n");
    let request =
        with_token(Method::POST, &path, &bench.token, "").with_header("content-type", &content_type);
    bench.send(request.with_body(csv)).says(404, "Model not found");
    // The champion is the best, not the newest.
    let champion = bench.yard.look(|yard| yard.active_model(&id.registry()).unwrap().id.to_string());
    assert_eq!(bench.read(jobs[1])["modelKey"], champion.as_str());
}

/// Point 9: the contest is about what the learners report as their performance; nothing else is taken for it.
#[test]
fn the_target_is_what_the_contest_compares() {
    let (bench, job) = started(0.8);
    let plan = bench.yard.jobs().remove(0);
    assert_eq!(plan.contest().unwrap().target.get(), 0.8);
    let class = &plan.class;
    assert_eq!(
        class.promotion,
        trainyard_core::Promotion::Best(trainyard_core::Metric::new("performance").unwrap())
    );
    assert_eq!((class.resources.amount("memory_mib"), plan.watermark()), (64, Some(500)));
    assert_eq!(class.registry, None);
    bench.measure(job, 0, 0.799_999).unwrap();
    assert_eq!(bench.progress(job)["status"], "RUNNING");
}

/// Point 10.
#[test]
fn timeout_for_predictions_and_timed_out_for_training() {
    let bench = Bench::with(support::patient().with_stall(None));
    let job = bench.train(bench.ready("abc"), 0.8);
    bench.yard.pass(HOUR - Duration::from_millis(1));
    assert_eq!(statuses(&bench.progress(job)), ["RUNNING"; 5]);
    bench.yard.pass(Duration::from_millis(1));
    assert_eq!(statuses(&bench.progress(job)), ["TIMED_OUT"; 5]);

    let bench = Bench::with(support::settings());
    let (model, _) = bench.model();
    let (content_type, csv) = form("file", "id,x\n1,2\n");
    let path = format!("/api/v1/predictions/models/{model}");
    let request =
        with_token(Method::POST, &path, &bench.token, "").with_header("content-type", &content_type);
    let key = bench.send(request.with_body(csv)).json()["predictionKey"].as_str().unwrap().to_owned();
    let id = PredictionId::new(key.parse().unwrap());
    bench.host.set_prediction(id, PredictionState::TimedOut, None);
    let read = bench.get(&format!("/api/v1/predictions/{key}")).json();
    assert_eq!(read["status"], "TIMEOUT");
    assert!(read.get("predictionUrl").is_none());
}

/// Point 11.
#[test]
fn extra_headers_is_a_string_and_signed_urls_need_no_token() {
    let bench = Bench::new();
    let told = bench.post("/api/v1/datasets", r#"{"datasetName":"abc"}"#).json();
    let info = &told["datasetUploadInfo"];
    let (name, value) = info["extraHeaders"].as_str().unwrap().split_once(':').unwrap();
    assert_eq!((name, value), ("X-Goog-Content-Length-Range", "10,534773760"));
    let path = info["uploadUrl"].as_str().unwrap().strip_prefix(URL).unwrap();
    let put = Request::new(Method::PUT, path).with_header(name, value).with_body("id,x,class\n1,2,0\n");
    assert_eq!(bench.send(put).json()["status"], "PROCESSING");
    let read = bench.get(told["datasetCreationProgressUrl"].as_str().unwrap().strip_prefix(URL).unwrap());
    assert_eq!(read.json()["status"], "PROCESSING", "nothing else has to be called");
}

/// Point 12: the adapter hands files over as they came, first column, last column and all.
#[test]
fn files_are_handed_over_byte_for_byte() {
    let bench = Bench::new();
    let csv = "\u{feff}id,\"a, b\",class\r\n1,,+\r\n2,\"x\"\"y\",-\r\n";
    let Made { id, upload } = bench.create("abc");
    assert_eq!(bench.send(Request::new(Method::PUT, &upload).with_body(csv)).status, 200);
    assert_eq!(bench.host.file(id.as_uuid()).as_deref(), Some(csv.as_bytes()));
    let (content_type, body) = form("file", csv);
    let second = bench.create("two").id;
    let path = format!("/api/v1/datasets/{second}/data");
    let request =
        with_token(Method::POST, &path, &bench.token, "").with_header("content-type", &content_type);
    assert_eq!(bench.send(request.with_body(body)).status, 200);
    assert_eq!(bench.host.file(second.as_uuid()).as_deref(), Some(csv.as_bytes()));
}

/// Point 13.
#[test]
fn urls_in_answers_are_absolute_and_work_as_given() {
    let bench = Bench::new();
    let made = bench.post("/api/v1/datasets", r#"{"datasetName":"abc"}"#).json();
    let follow = |url: &Value| bench.get(url.as_str().unwrap().strip_prefix(URL).unwrap()).status;
    assert_eq!(follow(&made["datasetCreationProgressUrl"]), 200);
    let id = bench.ready("two");
    let body = r#"{"scalingFactor":19,"performanceThreshold":0.8}"#;
    let request = with_token(Method::POST, &format!("/api/v1/training/datasets/{id}"), &bench.token, body);
    let started = bench.send(request.with_header("host", "evil.example")).json();
    assert_eq!(follow(&started["trainingJobProgressUrl"]), 200);
    let (model, _) = bench.model();
    let (content_type, csv) = form("file", "id,x\n1,2\n");
    let path = format!("/api/v1/predictions/models/{model}");
    let request =
        with_token(Method::POST, &path, &bench.token, "").with_header("content-type", &content_type);
    let created = bench.send(request.with_body(csv)).json();
    assert_eq!(follow(&created["predictionCreationProgressUrl"]), 200);
}

/// `withModelOnly` and `state`, and a total that counts all matches.
#[test]
fn a_list_is_filtered_and_counted() {
    let bench = Bench::new();
    let trained = bench.ready("trained");
    let job = bench.train(trained, 0.5);
    bench.measure(job, 0, 0.9).unwrap();
    for number in 0..5 {
        bench.create(&format!("empty {number}"));
    }
    bench.host.set(bench.create("processing").id, DatasetState::Processing);
    let list = |query: &str| bench.get(&format!("/api/v1/datasets?offset=0&limit=3{query}")).json();
    let counts = |list: Value| (list["total"].as_u64().unwrap(), list["datasets"].as_array().unwrap().len());
    assert_eq!(counts(list("")), (7, 3));
    assert_eq!(list("")["datasets"][0]["datasetName"], "processing", "newest first");
    assert_eq!(list("")["nextOffset"], 3);
    assert_eq!(counts(list("&withModelOnly=true")), (1, 1));
    assert_eq!(list("&withModelOnly=true")["datasets"][0]["datasetKey"], trained.to_string());
    assert!(list("&withModelOnly=true").get("nextOffset").is_none());
    assert_eq!(counts(list("&withModelOnly=false")), (7, 3));
    assert_eq!(counts(list("&state=PENDING")), (5, 3));
    assert_eq!(counts(list("&state=PROCESSING")), (1, 1));
    assert_eq!(counts(list("&state=FAILED&withModelOnly=true")), (0, 0));
}
