//! The forms of all answers, and who checks them.

use std::path::PathBuf;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};
use trainyard_http::Method;

use super::Told;

/// The status call as it is published, and with null where the published examples have it.
pub struct Status {
    pub raw: Validator,
    pub widened: Validator,
}

pub static STATUS: LazyLock<Status> = LazyLock::new(|| Status {
    raw: validator(&raw_status()),
    widened: validator(&read("train_status.widened.json")),
});

pub fn raw_status() -> Value {
    definition()["schema"].clone()
}

/// What is published about the 200 of the status call.
pub fn definition() -> Value {
    let call = &read("train_status.openapi.json")["paths"]["/v2/photo_avatar/train/status/{group_id}"]["get"];
    call["responses"]["200"]["content"]["application/json"].clone()
}

pub fn read(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/schema").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// The answers as they are promised here: no member is missing, and there are no others.
static PROMISED: LazyLock<Vec<(&str, Validator)>> = LazyLock::new(|| {
    let all = read("answers.json");
    let names = ["uploaded", "one_look", "added", "looks", "groups", "started", "deleted", "status"];
    let promised =
        |name| (name, validator(&json!({ "$defs": all["$defs"], "$ref": format!("#/$defs/{name}") })));
    names.map(promised).into()
});

fn validator(schema: &Value) -> Validator {
    jsonschema::validator_for(schema).unwrap_or_else(|error| panic!("{error}"))
}

/// A 200 has the form of its call.
#[track_caller]
pub fn check(method: &Method, path: &str, told: &Told) {
    if path.starts_with("/v2/trainyard/") {
        return;
    }
    let name = form(method, path);
    let answer = told.json();
    let (_, promised) = PROMISED.iter().find(|(known, _)| *known == name).unwrap();
    fits(promised, &answer, name);
    if name == "status" {
        fits(&STATUS.widened, &answer, "the widened schema of the status");
    }
}

#[track_caller]
fn fits(schema: &Validator, answer: &Value, name: &str) {
    let errors: Vec<String> =
        schema.iter_errors(answer).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{name}: {errors:?}: {answer}");
}

fn form(method: &Method, path: &str) -> &'static str {
    if *method == Method::DELETE {
        return "deleted";
    }
    match path {
        "/v1/asset" => "uploaded",
        "/v2/photo_avatar/avatar_group/add" => "added",
        "/v2/photo_avatar/train" => "started",
        "/v2/avatar_group.list" => "groups",
        _ if path.starts_with("/v2/photo_avatar/train/status/") => "status",
        _ if path.starts_with("/v2/avatar_group/") => "looks",
        _ if path.starts_with("/v2/photo_avatar/") => "one_look",
        _ => panic!("nobody said what {method} {path} answers"),
    }
}
