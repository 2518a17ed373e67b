//! The published definition of the status call, and what it gets wrong about itself.
//!
//! All other tests check every 200 against its schema on the way, also those with a listener, and those of the server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use support::Bench;
use support::schema::{STATUS, definition, raw_status, widened_status};

/// Where the published schema is broken by an answer, and by what.
fn broken(answer: &Value) -> Vec<String> {
    let errors = STATUS.raw.iter_errors(answer).map(|error| {
        assert_eq!(**error.instance(), Value::Null, "{error}");
        error.instance_path().to_string()
    });
    let mut places: Vec<_> = errors.collect();
    places.sort();
    places
}

#[test]
fn every_state_has_the_published_form_but_for_the_nulls_of_the_examples() {
    const ERROR: &str = "/error";
    const ERROR_MSG: &str = "/data/error_msg";
    const UPDATED_AT: &str = "/data/updated_at";
    let bench = Bench::new();
    let group = bench.ready("Ann");
    let check = |word: &str, places: &[&str]| {
        let answer = bench.get(&support::status_path(group)).json();
        assert_eq!(answer["data"]["status"], word);
        assert!(STATUS.widened.is_valid(&answer));
        assert_eq!(broken(&answer), places, "{answer}");
    };
    check("empty", &[ERROR_MSG, UPDATED_AT, ERROR]);
    bench.train(group);
    check("pending", &[ERROR_MSG, UPDATED_AT, ERROR]);
    bench.complete();
    check("ready", &[ERROR_MSG, ERROR]);
    bench.train(group);
    bench.fail("no face in any photo");
    check("failed", &[ERROR]);
}

#[test]
fn the_published_examples_break_the_published_schema_in_the_same_way() {
    let examples = definition()["examples"].clone();
    let example = |name: &str| examples[name]["value"].clone();
    assert_eq!(broken(&example("pending")), ["/data/error_msg", "/data/updated_at", "/error"]);
    assert_eq!(broken(&example("ready")), ["/data/error_msg", "/error"]);
    for (_, example) in examples.as_object().unwrap() {
        assert!(STATUS.widened.is_valid(&example["value"]));
    }
}

#[test]
fn three_members_are_widened_and_nothing_else() {
    let mut widened = raw_status();
    for place in [
        "/properties/error",
        "/properties/data/properties/error_msg",
        "/properties/data/properties/updated_at",
    ] {
        let member = widened.pointer_mut(place).unwrap();
        member["type"] = json!([member["type"], "null"]);
    }
    assert_eq!(widened, widened_status());
}

#[test]
fn the_schemas_refuse_what_is_wrong() {
    let good = json!({ "error": null, "data": { "status": "ready", "error_msg": null, "created_at": 1, "updated_at": 2 } });
    assert!(STATUS.widened.is_valid(&good));
    for (place, wrong) in [
        ("/error", json!({ "code": "x", "message": "y" })),
        ("/data/status", json!(null)),
        ("/data/error_msg", json!(7)),
        ("/data/created_at", json!(null)),
        ("/data/created_at", json!(1.5)),
        ("/data/updated_at", json!("2")),
    ] {
        let mut answer = good.clone();
        *answer.pointer_mut(place).unwrap() = wrong;
        assert!(!STATUS.widened.is_valid(&answer), "{answer}");
    }
}
