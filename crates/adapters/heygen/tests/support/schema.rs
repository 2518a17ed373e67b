//! The forms of all answers, and who checks them. The tests of the server include this file, too.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};
use trainyard_http::Method;

/// The status call as it is published, and with null where the published examples have it.
pub struct Status {
    pub raw: Validator,
    pub widened: Validator,
}

pub static STATUS: LazyLock<Status> =
    LazyLock::new(|| Status { raw: validator(&raw_status()), widened: validator(&widened_status()) });

pub fn raw_status() -> Value {
    definition()["schema"].clone()
}

/// What is published about the 200 of the status call.
pub fn definition() -> Value {
    let call = &read(include_str!("../schema/train_status.openapi.json"))["paths"]["/v2/photo_avatar/train/status/{group_id}"]
        ["get"];
    call["responses"]["200"]["content"]["application/json"].clone()
}

pub fn widened_status() -> Value {
    read(include_str!("../schema/train_status.widened.json"))
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The answers as they are promised here: no member is missing, and there are no others.
static PROMISED: LazyLock<Vec<(&str, Validator)>> = LazyLock::new(|| {
    let all = read(include_str!("../schema/answers.json"));
    let names = ["uploaded", "one_look", "added", "looks", "groups", "started", "deleted", "status"];
    let promised =
        |name| (name, validator(&json!({ "$defs": all["$defs"], "$ref": format!("#/$defs/{name}") })));
    names.map(promised).into()
});

fn validator(schema: &Value) -> Validator {
    jsonschema::validator_for(schema).unwrap_or_else(|error| panic!("{error}"))
}

/// Whether this is answered with JSON in an envelope: not what links lead to, and not what is somebody else's.
pub fn is_json(path: &str) -> bool {
    let is_ours = path == "/v1/asset" || path.starts_with("/v2/");
    is_ours && !path.starts_with("/v2/trainyard/") && path != "/v2/openapi.json"
}

/// A 200 has the form of its call. The path is that of a request line, and what comes behind `?` makes no difference.
#[track_caller]
pub fn check(method: &Method, path: &str, answer: &Value) {
    let name = form(method, path.split('?').next().unwrap_or_default());
    let promised = PROMISED.iter().find(|(known, _)| *known == name);
    let (_, promised) = promised.expect("every form is promised");
    fits(promised, answer, name);
    if name == "status" {
        fits(&STATUS.widened, answer, "the widened schema of the status");
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
