//! What is told of what happens, without a wire.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Bench, Following, drain};
use trainyard_core::{JobId, ModelId, Progress, Promotion, Timestamp};
use trainyard_eliza::{Backend, DatasetId, Event, EventKind, Events, Settings, Watched};
use trainyard_http::{Method, block_on};

fn event(number: usize) -> Event {
    Event::new(EventKind::JobLog, format!("line {number}"))
}

fn id_of(text: &str) -> usize {
    let told: Value = serde_json::from_str(text).unwrap();
    told["eventId"].as_str().unwrap().strip_prefix("evt-").unwrap().parse().unwrap()
}

#[test]
fn an_event_has_the_form_that_the_page_takes() {
    let events = Events::with_clock(|| Timestamp::from_millis(1_718_000_000_000));
    events.publish(Event {
        kind: EventKind::JobProgress,
        message: "Iter 45".to_owned(),
        job: Some(JobId::from_u128(1)),
        model: Some(ModelId::from_u128(2)),
        dataset: DatasetId::new("dataset-1"),
        progress: Some(0.45),
        phase: Some("training".to_owned()),
    });
    let text = r#"{"type":"training_event","version":1,"eventId":"evt-1","ts":1718000000000,"payload":{"kind":"job_progress","ts":1718000000000,"message":"Iter 45","jobId":"00000000-0000-0000-0000-000000000001","modelId":"00000000-0000-0000-0000-000000000002","datasetId":"dataset-1","progress":0.45,"phase":"training"}}"#;
    assert_eq!(&*events.kept()[0], text);
    events.publish(Event { progress: Some(f64::NAN), ..event(2) });
    let text = r#"{"type":"training_event","version":1,"eventId":"evt-2","ts":1718000000000,"payload":{"kind":"job_log","ts":1718000000000,"message":"line 2"}}"#;
    assert_eq!(&*events.kept()[1], text);
}

#[test]
fn every_kind_has_its_word() {
    let events = Events::new();
    let kinds = [
        (EventKind::JobStarted, "job_started"),
        (EventKind::JobProgress, "job_progress"),
        (EventKind::JobLog, "job_log"),
        (EventKind::JobCompleted, "job_completed"),
        (EventKind::JobFailed, "job_failed"),
        (EventKind::JobCancelled, "job_cancelled"),
        (EventKind::DatasetBuilt, "dataset_built"),
        (EventKind::ModelActivated, "model_activated"),
        (EventKind::ModelImported, "model_imported"),
        (EventKind::ModelImportFailed, "model_import_failed"),
        (EventKind::ModelBenchmarked, "model_benchmarked"),
    ];
    for (kind, _) in kinds {
        events.publish(Event::new(kind, "x"));
    }
    for (text, (_, word)) in events.kept().iter().zip(kinds) {
        let told: Value = serde_json::from_str(text).unwrap();
        assert_eq!(told["payload"]["kind"], word);
        assert!(told["payload"]["ts"].is_i64() && told["payload"]["message"].is_string());
    }
}

#[test]
fn the_newest_are_kept_and_fewer_told_again() {
    let events = Events::new();
    for number in 0..2_000 {
        events.publish(event(number));
    }
    assert_eq!(events.kept().len(), 1_500);
    assert_eq!(id_of(&events.kept()[0]), 501);
    let mut watch = events.watch();
    for id in 1_881..=2_000 {
        let Some(Watched::Event(text)) = watch.try_next() else { panic!("{id} is missing") };
        assert_eq!(id_of(&text), id);
    }
    assert_eq!(watch.try_next(), None);
}

#[test]
fn time_never_goes_back() {
    let millis = Arc::new(AtomicI64::new(500));
    let clock = Arc::clone(&millis);
    let events = Events::with_clock(move || Timestamp::from_millis(clock.load(Ordering::SeqCst)));
    for (now, told) in [(500, 500), (400, 500), (600, 600), (i64::MIN, 600)] {
        millis.store(now, Ordering::SeqCst);
        events.publish(event(0));
        let text: Value = serde_json::from_str(events.kept().last().unwrap()).unwrap();
        assert_eq!(text["ts"], told);
    }
}

#[test]
fn long_words_are_cut_at_a_character() {
    let events = Events::new();
    let long = format!("{}é", "x".repeat(Event::MESSAGE_BYTES_MAX - 1));
    events.publish(Event { phase: Some(long.clone()), ..Event::new(EventKind::JobLog, long) });
    let told: Value = serde_json::from_str(&events.kept()[0]).unwrap();
    for member in ["message", "phase"] {
        assert_eq!(told["payload"][member].as_str().unwrap().len(), Event::MESSAGE_BYTES_MAX - 1);
    }
}

#[test]
fn who_waits_is_woken_from_another_thread() {
    let events = Events::new();
    let mut watch = events.watch();
    let (ready, start) = mpsc::channel();
    let publisher = events.clone();
    let publishing = std::thread::spawn(move || {
        start.recv().unwrap();
        for number in 0..1_000 {
            publisher.publish(event(number));
        }
    });
    ready.send(()).unwrap();
    block_on(async {
        for id in 1..=1_000 {
            let Watched::Event(text) = watch.next().await else { panic!("nothing was missed") };
            assert_eq!(id_of(&text), id);
        }
    });
    publishing.join().unwrap();
}

#[test]
fn a_job_is_told_from_its_start_to_its_end() {
    let bench = Bench::new();
    let mut follow: Following = Box::pin(bench.service.follow());
    bench.build();
    let first = bench.start(&json!({}))["id"].clone();
    bench.yard.report(Progress::step(50, 100).with_message("half of it").with_phase("training"));
    // It is tried anew, and what is shown does not fall.
    drain(&mut follow);
    bench.yard.pass(Duration::from_secs(1));
    bench.yard.report(Progress::step(10, 100));
    bench.complete();
    let second = bench.start(&json!({}))["id"].clone();
    bench.yard.fail("exit code 2");
    let third = bench.start(&json!({}))["id"].clone();
    bench.yard.report(Progress::step(1, 4));
    bench.yard.miss();
    bench.ask(Method::POST, &format!("/jobs/{}/cancel", third.as_str().unwrap()), "").data();
    // What its trainer says while it stops.
    bench.yard.report(Progress::step(2, 4));
    bench.yard.stop("a secret cause");
    block_on(follow);
    let told: Vec<Value> = bench.payloads().into_iter().skip(1).collect();
    let short = |payload: &Value| {
        let part = |name: &str| payload[name].clone();
        json!([part("kind"), part("jobId"), part("message"), part("progress"), part("phase")])
    };
    let expected = json!([
        ["job_started", first, "Training job started", null, null],
        ["job_progress", first, "half of it", 0.5, "training"],
        ["job_progress", first, "training", 0.5, "training"],
        ["job_completed", first, "Training job completed", 1.0, "completed"],
        ["job_started", second, "Training job started", null, null],
        ["job_failed", second, "exit code 2", null, "failed"],
        ["job_started", third, "Training job started", null, null],
        ["job_progress", third, "Training goes on", 0.25, null],
        ["job_cancelled", third, "Training job cancelled", null, "cancelled"],
    ]);
    assert_eq!(Value::Array(told.iter().map(short).collect()), expected);
}

/// A trainer may make a thousand steps a second, and pages look for everything anew after each event.
#[test]
fn how_far_a_job_is_is_told_once_a_second_and_when_its_phase_changes() {
    let bench = Bench::new();
    let follow = bench.service.follow();
    bench.build();
    let id = bench.start(&json!({}))["id"].clone();
    for step in 1..=1_000 {
        bench.yard.report(Progress::step(step, 2_000).with_phase("training"));
    }
    bench.yard.report(Progress::step(1_001, 2_000).with_phase("validating"));
    bench.yard.stop("a secret cause");
    block_on(follow);
    let told = bench.payloads();
    let progress: Vec<(&Value, &Value)> = told
        .iter()
        .filter(|payload| payload["kind"] == "job_progress")
        .map(|payload| (&payload["phase"], &payload["progress"]))
        .collect();
    assert_eq!(progress, [(&json!("training"), &json!(0.0005)), (&json!("validating"), &json!(0.5005))]);
    bench.yard.go_on();
    assert_eq!(bench.job(&id)["progress"], 0.5005, "whoever asks is told how far it is");
}

#[test]
fn a_model_that_becomes_the_active_one_by_itself_is_told() {
    let settings = Settings::new();
    let class = settings.class(Backend::Native).clone();
    let class = trainyard_core::Class { promotion: Promotion::Newest, ..class };
    let bench = Bench::with(settings.with_class(Backend::Native, class));
    let follow = bench.service.follow();
    bench.build();
    bench.start(&json!({}));
    let model = bench.complete();
    bench.yard.stop("a secret cause");
    block_on(follow);
    assert_eq!(bench.kinds(), ["dataset_built", "job_started", "job_completed", "model_activated"]);
    assert_eq!(bench.payloads()[3]["modelId"], model.to_string());
}

#[test]
fn what_was_missed_makes_watchers_look_again() {
    let bench = Bench::new();
    bench.build();
    let job = bench.start(&json!({}))["id"].clone();
    bench.yard.report(Progress::step(1, 2));
    let follow = bench.service.follow();
    bench.yard.miss();
    bench.yard.stop("a secret cause");
    block_on(follow);
    let told = bench.payloads().pop().unwrap();
    assert_eq!(
        (&told["kind"], &told["jobId"], &told["progress"]),
        (&json!("job_progress"), &job, &json!(0.5))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 32, ..ProptestConfig::default() })]

    /// Whoever watches hears of everything in order, or is told how much it missed.
    #[test]
    fn nothing_is_lost_without_a_word(steps in prop::collection::vec((0_usize..1_500, 0_usize..800), 1..8)) {
        let events = Events::new();
        let (mut watch, mut published, mut heard) = (events.watch(), 0, 0);
        for (publish, take) in steps {
            for _ in 0..publish {
                published += 1;
                events.publish(event(published));
            }
            for _ in 0..take {
                match watch.try_next() {
                    Some(Watched::Event(text)) => {
                        heard += 1;
                        prop_assert_eq!(id_of(&text), heard);
                    }
                    Some(Watched::Missed(missed)) => heard += usize::try_from(missed).unwrap(),
                    None => prop_assert_eq!(heard, published),
                }
            }
        }
    }
}
