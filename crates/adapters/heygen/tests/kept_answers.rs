//! An answer that is kept is never older than what is asked of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::atomic::Ordering;

use serde_json::Value;
use support::{Bench, NOBODY, status_path};
use trainyard_core::Command;
use trainyard_core::port::Handle;
use trainyard_heygen::GroupId;
use trainyard_http::{Method, Request};

/// The host says at once whether there is a group, or has to be asked.
fn benches() -> [Bench; 2] {
    [true, false].map(|is_at_once| {
        let bench = Bench::new();
        bench.host.says_at_once.store(is_at_once, Ordering::SeqCst);
        bench
    })
}

/// What is told twice, in one state of the yard.
fn told(bench: &Bench, group: GroupId) -> Value {
    let edition = bench.yard.edition();
    let first = bench.status(group);
    assert_eq!((bench.status(group), bench.yard.edition()), (first.clone(), edition));
    first
}

#[test]
fn a_status_is_told_anew_after_each_change() {
    for bench in benches() {
        let group = bench.ready("one");
        assert_eq!(told(&bench, group)["status"], "empty");
        bench.train(group).data();
        assert_eq!(told(&bench, group)["status"], "pending");
        bench.fail("it is too dark");
        let failed = told(&bench, group);
        assert_eq!((&failed["status"], &failed["error_msg"]), (&"failed".into(), &"it is too dark".into()));
        bench.train(group).data();
        assert_eq!(told(&bench, group)["status"], "pending");
        bench.complete();
        assert_eq!(told(&bench, group)["status"], "ready");
        bench.yard.command(&Command::Retire { subject: group.subject() }).unwrap();
        assert_eq!(told(&bench, group)["status"], "ready", "its job is still in the books");
        bench.delete(&format!("/v2/photo_avatar_group/{group}")).data();
        assert_eq!(bench.get(&status_path(group)).status, 404, "in the same words or others: it is gone");
    }
}

#[test]
fn nobody_is_told_of_another_group() {
    for bench in benches() {
        let [one, two, three] = ["one", "two", "three"].map(|name| bench.ready(name));
        let words =
            || [one, two, three].map(|group| told(&bench, group)["status"].as_str().unwrap().to_owned());
        assert_eq!(words(), ["empty"; 3]);
        bench.train(two).data();
        assert_eq!(words(), ["empty", "pending", "empty"]);
        bench.complete();
        bench.train(one).data();
        assert_eq!(words(), ["pending", "ready", "empty"]);
        assert_eq!(bench.get(&format!("/v2/photo_avatar/train/status/{NOBODY}")).status, 404);
    }
}

#[test]
fn what_is_kept_is_for_whoever_shows_the_key_and_while_the_yard_goes_on() {
    for bench in benches() {
        let group = bench.ready("one");
        told(&bench, group);
        let stranger = Request::new(Method::GET, &status_path(group)).with_header("x-api-key", "a key");
        assert_eq!(bench.send(stranger).status, 401);
        bench.yard.stop("the disk is gone");
        assert_eq!(bench.get(&status_path(group)).status, 503);
    }
}
