//! An answer that is kept is never older than what is asked of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Bench, Told};
use trainyard_core::port::Handle;
use trainyard_core::{Class, Command, Kind, Progress, QueueName, Retention, Subject, Submission, Yard};
use trainyard_eliza::{Backend, RunNotes, Settings};
use trainyard_http::secret::Secret;
use trainyard_http::{Method, Request};

/// Asks twice, and says whether the host was asked for the second answer, which is like the first one.
fn is_kept(bench: &Bench, id: &Value) -> (Value, bool) {
    let first = bench.job(id);
    bench.host.asked();
    assert_eq!(bench.job(id), first);
    (first, bench.host.asked().is_empty())
}

/// Of the jobs that are over only so many stay in the books.
fn forget(bench: &Bench, finished_max: u32) {
    let retention = Retention { finished_max: Some(finished_max), models_max: None };
    let queue = QueueName::new("eliza").unwrap();
    bench.yard.command(&Command::SetRetention { queue, retention }).unwrap();
}

fn notes(line: &str) -> RunNotes {
    RunNotes { log: vec![line.to_owned()], ..RunNotes::default() }
}

#[test]
fn a_job_is_put_into_words_once_and_anew_after_each_change() {
    let bench = Bench::new();
    bench.build();
    let id = bench.start(&json!({ "backend": "cpu" }))["id"].clone();
    let job = bench.yard.newest().id;
    let told = |what: &str| {
        let (told, kept) = is_kept(&bench, &id);
        assert!(kept, "{what}");
        told
    };
    assert_eq!(told("it runs")["status"], "running");
    // The trainer says something.
    bench.yard.report(Progress::step(1, 4));
    assert_eq!(told("it has come further")["progress"], 0.25);
    bench.yard.report(Progress::step(2, 4).with_message("half of it"));
    assert_eq!(told("it has come further again")["currentIteration"], 2);
    // The host notes something.
    bench.host.note(job, notes("one"));
    assert_eq!(told("it has a log")["logs"], json!(["one"]));
    bench.host.note(job, notes("two"));
    assert_eq!(told("it has another one")["logs"], json!(["two"]));
    // It ends, and its model gets to be known.
    let model = bench.complete();
    let over = told("it is over");
    assert_eq!((&over["status"], &over["modelId"]), (&json!("completed"), &json!(model.to_string())));
    assert_eq!(over["adapterPath"], Value::Null);
    bench.host.know(model, Backend::Cpu, Some("/models/1/adapter"));
    assert_eq!(told("its model is known")["adapterPath"], "/models/1/adapter");
    // Its model goes, and then the job.
    bench.yard.command(&Command::Retire { subject: bench.yard.newest().subject }).unwrap();
    assert_eq!(told("its model is gone")["modelPath"], Value::Null);
    forget(&bench, 0);
    bench.get(&format!("/jobs/{job}")).says(404, "NOT_FOUND", "Training job not found");
}

#[test]
fn what_the_yard_does_with_others_is_no_change_and_nobody_is_told_of_another_job() {
    let bench = Bench::new();
    bench.build();
    let [one, other] = ["one", "other"].map(|line| {
        let id = bench.start(&json!({ "backend": "cpu", "model": line }))["id"].clone();
        bench.host.note(bench.yard.newest().id, notes(line));
        bench.complete();
        id
    });
    let expected = [(&one, "one"), (&other, "other")];
    for (id, line) in expected {
        is_kept(&bench, id);
        assert_eq!(bench.job(id)["logs"], json!([line]));
    }
    // The yard is another one, in which these are as they were.
    let edition = bench.yard.edition();
    bench.start(&json!({ "backend": "cpu" }));
    assert_ne!(bench.yard.edition(), edition);
    bench.host.asked();
    for (id, line) in expected {
        let told = bench.job(id);
        assert_eq!((&told["id"], &told["model"], &told["logs"]), (id, &json!(line), &json!([line])));
    }
    assert!(bench.host.asked().is_empty(), "both are as they were");
}

#[test]
fn one_that_waits_is_explained_each_time() {
    let bench = Bench::new();
    bench.build();
    bench.start(&json!({ "backend": "cpu" }));
    let id = bench.start(&json!({ "backend": "cpu" }))["id"].clone();
    let (told, kept) = is_kept(&bench, &id);
    assert_eq!((&told["status"], kept), (&json!("queued"), false));
}

#[test]
fn without_editions_the_host_is_asked_each_time() {
    let bench = Bench::new();
    bench.build();
    let id = bench.start(&json!({ "backend": "cpu" }))["id"].clone();
    assert!(is_kept(&bench, &id).1);
    bench.host.uncounted.store(true, Ordering::SeqCst);
    assert!(!is_kept(&bench, &id).1);
}

#[test]
fn who_may_not_ask_is_not_told_what_is_kept_and_a_yard_that_has_stopped_tells_nothing() {
    let bench = Bench::with(Settings::new().with_token(Secret::new("token").unwrap()));
    let ask = |method: Method, path: &str, token: &str, body: &Value| -> Told {
        let request = Request::new(method, &format!("/api/training{path}")).with_header("x-api-key", token);
        bench.send(request.with_body(body.to_string()))
    };
    ask(Method::POST, "/datasets/build", "token", &json!({})).made();
    let started = ask(Method::POST, "/jobs", "token", &json!({ "backend": "cpu" })).made();
    let path = format!("/jobs/{}", started["job"]["id"].as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(ask(Method::GET, &path, "token", &json!({})).data(), started);
    }
    ask(Method::GET, &path, "tokem", &json!({})).says(401, "UNAUTHORIZED", "Unauthorized");
    bench.yard.stop("the disk is gone");
    assert_eq!(ask(Method::GET, &path, "token", &json!({})).status, 503);
}

#[test]
fn the_status_counts_anew_after_each_change() {
    let bench = Bench::new();
    let told = || {
        let told = bench.get("/status").data();
        let counts =
            ["runningJobs", "queuedJobs", "completedJobs", "failedJobs", "modelCount", "datasetCount"];
        counts.map(|count| told[count].as_u64().unwrap())
    };
    assert_eq!(told(), [0; 6]);
    bench.build();
    assert_eq!(told(), [0, 0, 0, 0, 0, 1]);
    bench.start(&json!({}));
    let first = bench.yard.newest();
    assert_eq!(told(), [1, 0, 0, 0, 0, 1]);
    bench.start(&json!({}));
    assert_eq!(told(), [1, 1, 0, 0, 0, 1]);
    bench.complete();
    assert_eq!(told(), [1, 0, 1, 0, 1, 1]);
    bench.yard.fail("no");
    bench.yard.pass(Duration::from_secs(1));
    assert_eq!(told(), [0, 0, 1, 1, 1, 1]);
    // One is forgotten, and its id comes again, for somebody else, before anybody asks.
    forget(&bench, 1);
    let mut again = trainyard_core::Submission::new(first.id, Subject::new("group/1").unwrap(), first.class);
    again.parameters = first.parameters;
    bench.yard.command(&Command::Submit(again.into())).unwrap();
    assert_eq!(told(), [0, 0, 0, 1, 1, 1]);
}

/// Few of ours are looked up, many are counted with all others.
#[test]
fn the_status_is_what_is_in_the_books_however_many_are_ours() {
    let bench = Bench::new();
    bench.build();
    let ours = |yard: &Yard| yard.jobs().filter(|job| job.subject.as_str().starts_with("eliza/")).count();
    let check = |expected: usize| {
        let told = bench.get("/status").data();
        let counts = ["runningJobs", "queuedJobs", "completedJobs", "failedJobs"];
        let told: u64 = counts.iter().map(|count| told[count].as_u64().unwrap()).sum();
        assert_eq!((told, bench.yard.look(ours)), (expected as u64, expected));
    };
    let submit = |subject: &str, number: usize| {
        let class = Class::new(Kind::new("eliza/cpu").unwrap(), QueueName::new("eliza").unwrap());
        let subject = Subject::new(format!("{subject}{number}")).unwrap();
        let submission = Submission::new(bench.yard.job_id(), subject, class.into());
        bench.yard.command(&Command::Submit(submission.into())).unwrap();
    };
    for number in 0..300 {
        submit("eliza/dataset/", number);
        check(number + 1);
        submit("group/", number);
        check(number + 1);
        bench.complete();
    }
    // Half of what is over goes, and ours are few again.
    forget(&bench, 100);
    let left = bench.yard.look(ours);
    assert!(left < 256, "{left}");
    for number in 0..300 {
        check(left + number);
        submit("eliza/task/t", number);
    }
    check(left + 300);
}

/// Whoever asks after something was noted is told of it, or of what came later, whoever else asks meanwhile.
#[test]
fn what_was_noted_before_somebody_asks_is_told_while_others_ask_too() {
    const NOTES: u64 = 300;
    let bench = Bench::new();
    bench.build();
    let id = bench.start(&json!({ "backend": "cpu" }))["id"].clone();
    let job = bench.yard.newest().id;
    bench.host.note(job, notes("0"));
    let noted = AtomicU64::new(0);
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        for tell in [tell.clone(), tell] {
            scope.spawn(|| {
                let (tell, mut last) = (tell, 0);
                while last < NOTES {
                    let before = noted.load(Ordering::SeqCst);
                    let told: u64 = bench.job(&id)["logs"][0].as_str().unwrap().parse().unwrap();
                    assert!(told >= before.max(last), "{told} is told after {before} and {last}");
                    last = told;
                    tell.send(()).unwrap();
                }
            });
        }
        for number in 1..=NOTES {
            bench.host.note(job, notes(&number.to_string()));
            noted.store(number, Ordering::SeqCst);
            // Not before somebody has been told of one, unless nobody asks any more.
            if told.recv().is_err() {
                break;
            }
        }
    });
}
