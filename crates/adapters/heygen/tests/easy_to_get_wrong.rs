//! What the fact sheet says about training, where a careless adapter would do otherwise.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Bench, settings, status_path};
use trainyard_core::port::Handle as _;
use trainyard_core::{
    Admission, Class, Command, Gain, Reason, RetryPolicy, Settings as YardSettings, StallRule,
};
use trainyard_heygen::{GroupId, LookId, LookState, TrainParameters};
use trainyard_http::{Method, Request, Service as _, block_on, blocking};

fn class() -> Class {
    settings().class().clone()
}

/// Section 2: one word for everything before the end, and a start that stays put.
#[test]
fn only_pending_until_the_end() {
    let again = RetryPolicy { retries_max: 3, ..RetryPolicy::default() };
    let bench = Bench::with(settings().with_class(Class { retry: again, ..class() }));
    let (first, group) = (bench.ready("First"), bench.ready("Ann"));
    bench.train(first);
    bench.yard.pass(Duration::from_secs(3));
    bench.train(group);
    let pending =
        json!({ "status": "pending", "error_msg": null, "created_at": 1_770_000_003, "updated_at": null });
    let check = |what: &str| assert_eq!(bench.status(group), pending, "{what}");
    assert!(bench.run().is_none());
    check("queued");
    bench.yard.pass(Duration::from_secs(60));
    let job = bench.yard.newest().id;
    bench.yard.command(&Command::Hold { job, reason: Reason::new("later") }).unwrap();
    check("held");
    bench.yard.command(&Command::Unhold { job }).unwrap();
    bench.delete(&format!("/v2/photo_avatar_group/{first}"));
    bench.yard.pass(Duration::from_secs(60));
    assert!(bench.run().is_some());
    check("running");
    bench.stumble();
    assert!(bench.run().is_none());
    check("retrying");
    bench.yard.pass(Duration::from_secs(600));
    assert!(bench.run().is_some());
    check("running again");
    bench.yard.restart();
    check("interrupted");
    bench.complete();
    assert_eq!(bench.status(group)["status"], "ready");
    assert_eq!(bench.status(group)["created_at"], 1_770_000_003);
}

#[test]
fn every_bad_end_is_failed_and_says_why() {
    let slow = Class {
        limits: trainyard_core::Limits { queue_time: Some(Duration::from_secs(60)), ..class().limits },
        ..class()
    };
    let rule = StallRule { gain: Gain::Steps(1), within: Duration::from_secs(30) };
    let stalling =
        Class { limits: trainyard_core::Limits { stall: Some(rule), ..class().limits }, ..class() };
    let check = |class: Class, end: fn(&Bench), words: &str, again: bool| {
        let bench = Bench::with(settings().with_class(class));
        let group = bench.ready("Ann");
        bench.train(group);
        end(&bench);
        let told = bench.status(group);
        assert_eq!((&told["status"], &told["error_msg"]), (&json!("failed"), &json!(words)));
        assert!(told["updated_at"].as_i64().unwrap() >= told["created_at"].as_i64().unwrap());
        let lower = words.to_lowercase();
        assert_eq!(lower.contains("try again") || lower.contains("transient"), again);
        assert_eq!(bench.groups()[0]["train_status"], "failed");
        assert_eq!(bench.train(group).status, 200, "it may be trained again");
        assert_eq!(bench.status(group)["status"], "pending");
    };
    check(class(), |bench| bench.fail("no face in any photo"), "no face in any photo", false);
    check(class(), |bench| bench.fail(""), "The training failed", false);
    check(class(), |bench| bench.yard.pass(Duration::from_secs(1_800)), "The training took too long", false);
    check(
        class(),
        |bench| {
            let (job, reason) = (bench.yard.newest().id, Reason::new("an operator's words"));
            bench.yard.command(&Command::Cancel { job, reason }).unwrap();
        },
        "The training was cancelled",
        false,
    );
    check(
        stalling,
        |bench| bench.yard.pass(Duration::from_secs(30)),
        "The training made too little progress",
        false,
    );

    let bench = Bench::with(settings().with_class(slow));
    let (first, group) = (bench.ready("First"), bench.ready("Ann"));
    bench.train(first);
    bench.train(group);
    bench.yard.pass(Duration::from_secs(60));
    let words = "The training waited too long for its turn, try again";
    assert_eq!(bench.status(group)["error_msg"], words);
}

#[test]
fn a_read_is_cheap_and_changes_nothing() {
    let bench = Bench::new();
    let group = bench.ready("Ann");
    bench.train(group);
    bench.complete();
    let (told, commands) = (bench.status(group), bench.yard.commands());
    let before = bench.yard.look(Clone::clone);
    bench.host.asked();
    for _ in 0..50 {
        assert_eq!(bench.status(group), told);
    }
    assert_eq!(bench.host.asked(), ["group"; 50], "one look each, and at no file");
    assert_eq!(bench.yard.commands(), commands);
    assert!(bench.yard.look(|yard| *yard == before));
}

/// Jobs are forgotten earlier than models.
#[test]
fn what_was_trained_stays_ready_when_its_job_is_forgotten() {
    let bench = Bench::new();
    let group = bench.ready("Ann");
    bench.train(group);
    bench.yard.pass(Duration::from_secs(9));
    bench.complete();
    let settings = YardSettings { finished_max: 0, ..YardSettings::default() };
    bench.yard.command(&Command::Configure(settings)).unwrap();
    bench.yard.pass(Duration::from_secs(1));
    assert!(bench.yard.jobs().is_empty(), "it is forgotten");
    let told = json!({ "status": "ready", "error_msg": null, "created_at": 1_770_000_009, "updated_at": 1_770_000_009 });
    assert_eq!(bench.status(group), told);
    assert_eq!(bench.groups()[0]["train_status"], "ready");
}

#[test]
fn a_group_that_was_never_trained_is_empty() {
    let bench = Bench::new();
    let group = bench.create("Ann");
    let told = json!({ "status": "empty", "error_msg": null, "created_at": 0, "updated_at": null });
    assert_eq!(bench.status(group), told);
    assert_eq!(bench.groups()[0]["train_status"], "empty");
}

#[test]
fn the_list_repeats_the_word_of_each_group() {
    let bench = Bench::new();
    let groups = [bench.ready("Ready"), bench.ready("Failed"), bench.ready("Pending")];
    bench.train(groups[0]);
    bench.complete();
    bench.train(groups[1]);
    bench.fail("no face");
    bench.train(groups[2]);
    let words: Vec<Value> = bench.groups().into_iter().map(|group| group["train_status"].clone()).collect();
    assert_eq!(words, ["pending", "failed", "ready"]);
}

#[test]
fn trained_again_it_is_pending_anew_whatever_came_of_the_first() {
    let bench = Bench::new();
    let group = bench.ready("Ann");
    let mut earlier = Vec::new();
    for round in 0..3 {
        let told = bench.train(group).data();
        assert_eq!(told["flow_id"], told["data"]["flow_id"]);
        assert!(!earlier.contains(&told["flow_id"]));
        earlier.push(told["flow_id"].clone());
        let status = bench.status(group);
        assert_eq!((&status["status"], &status["updated_at"]), (&json!("pending"), &Value::Null));
        assert_eq!(status["created_at"], 1_770_000_000 + round * 10);
        if round == 0 {
            bench.complete()
        } else {
            bench.fail("no face")
        }
        bench.yard.pass(Duration::from_secs(10));
    }
}

#[test]
fn a_training_is_of_the_looks_that_were_completed_when_it_was_asked_for() {
    let bench = Bench::new();
    let group = bench.ready("Ann");
    let added = bench.add(group, &[bench.upload(), bench.upload(), bench.upload()]).data();
    let ids: Vec<LookId> =
        added["photo_avatar_list"].as_array().unwrap().iter().map(support::look_id).collect();
    bench.host.set(ids[1], LookState::Completed);
    bench.host.set(ids[2], LookState::Failed { reason: "no face".to_owned() });
    bench.train(group);
    let job = bench.yard.newest();
    let parameters = TrainParameters::from_bytes(job.parameters.as_bytes()).unwrap();
    assert_eq!(parameters.looks(), [group.first_look(), ids[1]]);
    assert_eq!(job.watermark(), Some(2));
    assert_eq!((job.subject.clone(), job.registry()), (group.subject(), group.registry()));
    assert_eq!(GroupId::of(&job.subject), Some(group));
    assert_eq!(*job.class, class());
}

#[test]
fn numbers_have_the_type_that_clients_check() {
    let bench = Bench::new();
    bench.yard.pass(Duration::from_millis(877));
    let group = bench.ready("Ann");
    let read = bench.get(&format!("/v2/photo_avatar/{}", group.first_look()));
    assert!(read.text().contains(r#""created_at":1770000001.0,"#), "a fraction, also at a full second");
    let list = bench.get("/v2/avatar_group.list");
    assert!(list.text().contains(r#""created_at":1770000001,"#), "none here");
    bench.train(group);
    bench.yard.pass(Duration::from_millis(1_999));
    bench.complete();
    let status = bench.get(&status_path(group));
    assert!(
        status.text().contains(r#""created_at":1770000001,"updated_at":1770000002}"#),
        "{}",
        status.text()
    );
}

#[test]
fn a_group_may_be_deleted_while_it_trains() {
    let bench = Bench::new();
    let group = bench.ready("Ann");
    bench.train(group);
    bench.complete();
    bench.train(group);
    bench.delete(&format!("/v2/photo_avatar_group/{group}")).is(200, r#"{"error":null,"data":null}"#);
    let job = bench.yard.newest();
    assert!(matches!(job.outcome(), Some(trainyard_core::Outcome::Cancelled { .. })), "{:?}", job.outcome());
    assert!(bench.yard.look(|yard| yard.models(&group.registry()).next().is_none()), "its models go too");
    bench.get(&status_path(group)).says(404, "not_found", "Avatar group not found");
    bench.train(group).says(404, "not_found", "Avatar group not found");
    assert!(bench.groups().is_empty());
}

/// A yard that could not take it: the group is gone already, and asked again its training goes too.
#[test]
fn a_deletion_that_got_stuck_is_taken_up_again() {
    let bench = Bench::new();
    let group = bench.ready("Ann");
    bench.train(group);
    bench.yard.be_busy();
    let delete = || bench.delete(&format!("/v2/photo_avatar_group/{group}"));
    delete().says(429, "rate_limit_exceeded", "Too many requests at once");
    bench.yard.go_on();
    assert!(bench.run().is_some());
    assert_eq!(delete().status, 200);
    assert!(bench.yard.newest().is_finished());
    delete().says(404, "not_found", "Avatar group not found");
}

#[test]
fn a_refusal_is_asked_of_the_yard_and_not_guessed() {
    let bench = Bench::new();
    let group = bench.ready("Ann");
    // Somebody else has submitted meanwhile.
    let mut submission =
        trainyard_core::Submission::new(bench.yard.job_id(), group.subject(), class().into());
    submission.admission = Admission::Queue;
    bench.yard.command(&Command::Submit(submission.into())).unwrap();
    let words = format!("No valid image for training found in group {group}");
    bench.train(group).says(400, "invalid_parameter", &words);
    assert_eq!(bench.yard.jobs().len(), 1);
}

/// Two at once are one training, and one refusal.
#[test]
fn of_two_that_ask_at_once_one_is_told_no() {
    let bench = Bench::new();
    let group = bench.ready("Ann");
    let statuses = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| bench.train(group).status)).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(bench.yard.jobs().len(), 1);
}

/// Whoever trains and whoever deletes take turns: nothing trains on for a group that is gone.
#[test]
fn no_training_outlives_a_group_that_is_deleted_at_the_same_time() {
    let bench = Bench::new();
    let group = bench.ready("Ann");
    bench.host.hold_gallery(true);
    std::thread::scope(|scope| {
        let trains = scope.spawn(|| bench.train(group).status);
        // It has seen that the group is there.
        bench.host.wait_for_gallery();
        let deletes = scope.spawn(|| bench.delete(&format!("/v2/photo_avatar_group/{group}")).status);
        let went_ahead = bench.host.deletes(Duration::from_millis(300));
        bench.host.hold_gallery(false);
        assert_eq!((trains.join().unwrap(), deletes.join().unwrap()), (200, 200));
        assert!(!went_ahead, "the group was deleted in the middle of it");
    });
    let jobs = bench.yard.jobs();
    assert_eq!(jobs.len(), 1);
    assert!(jobs.iter().all(trainyard_core::Job::is_finished), "it trains on for nobody");
    bench.get(&status_path(group)).says(404, "not_found", "Avatar group not found");
}

/// No look is left out in silence.
#[test]
fn of_too_many_looks_none_is_trained() {
    let bench = Bench::new();
    let group = bench.ready("Ann");
    let max = TrainParameters::LOOKS_MAX;
    bench.host.fill(group, max);
    assert_eq!(bench.train(group).status, 200, "so many are taken");
    bench.complete();
    bench.host.fill(group, max + 1);
    let words = "The group has 1001 completed looks, and one training takes at most 1000";
    bench.train(group).says(400, "invalid_parameter", words);
    assert_eq!(bench.yard.jobs().len(), 1);
}

/// What was asked for is done, also when nobody waits for the answer.
#[test]
fn a_client_may_hang_up() {
    let bench = Bench::new();
    let group = bench.ready("Ann");
    // Asked once, and dropped.
    let ask_and_hang_up = async |request: Request| {
        let mut call = bench.service.call(request);
        poll_fn(|cx| {
            drop(call.as_mut().poll(cx));
            Poll::Ready(())
        })
        .await;
    };
    block_on(async {
        let body = json!({ "group_id": group.to_string() }).to_string();
        ask_and_hang_up(support::with_key(Method::POST, "/v2/photo_avatar/train", &body)).await;
        let yard = Arc::clone(&bench.yard);
        blocking(move || yard.wait_until(|yard| yard.jobs().count() == 1)).await;

        let path = format!("/v2/photo_avatar_group/{group}");
        ask_and_hang_up(support::with_key(Method::DELETE, &path, "")).await;
        let yard = Arc::clone(&bench.yard);
        blocking(move || yard.wait_until(|yard| yard.jobs().all(trainyard_core::Job::is_finished))).await;
    });
    assert!(bench.groups().is_empty());
}
