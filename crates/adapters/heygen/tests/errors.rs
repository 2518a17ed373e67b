//! What is refused, and how it is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use support::{Bench, GROUPS_MAX, KEY, LOOKS_MAX, NOBODY, PNG, Told, image, settings, status_path, with_key};
use trainyard_core::QueueSettings;
use trainyard_heygen::{GroupId, Limits, LookState, Settings};
use trainyard_http::secret::Secret;
use trainyard_http::{Method, Request};
use uuid::Uuid;

const NO_GROUP: &str = "Avatar group not found";
const NO_LOOK: &str = "Photo avatar not found";

/// Every call, about this id.
fn calls(id: &str) -> Vec<(Method, String)> {
    let get = |path: String| (Method::GET, path);
    let post = |path: &str| (Method::POST, path.to_owned());
    vec![
        post("/v1/asset"),
        post("/v2/photo_avatar/avatar_group/create"),
        post("/v2/photo_avatar/avatar_group/add"),
        post("/v2/photo_avatar/train"),
        post("/v2/photo_avatar/photo/generate"),
        post("/v2/photo_avatar/look/generate"),
        get("/v2/avatar_group.list".to_owned()),
        get(format!("/v2/photo_avatar/train/status/{id}")),
        get(format!("/v2/photo_avatar/{id}")),
        get(format!("/v2/avatar_group/{id}/avatars")),
        get(format!("/v2/photo_avatar/generation/{id}")),
        (Method::DELETE, format!("/v2/photo_avatar/{id}")),
        (Method::DELETE, format!("/v2/photo_avatar_group/{id}")),
    ]
}

#[track_caller]
fn is_unauthorized(path: &str, told: &Told) {
    if path.starts_with("/v1/") {
        told.is(401, r#"{"code":400112,"message":"Unauthorized"}"#);
    } else {
        told.is(401, r#"{"data":null,"error":{"code":"internal_error","message":"Unauthorized"}}"#);
    }
}

#[test]
fn the_key_comes_before_anything_else() {
    let bench = Bench::new();
    let group = bench.create("Ann").to_string();
    let mut all = calls(&group);
    all.extend(calls(NOBODY));
    all.extend(calls("%2f..%00"));
    // Not routed, and by a wrong method.
    for path in ["/v2", "/v2/nothing", "/v1/asset/", "/v1/asset/x", "/v2/photo_avatar/train"] {
        all.push((Method::GET, path.to_owned()));
        all.push((Method::PUT, path.to_owned()));
    }
    all.push((Method::POST, format!("/v2/trainyard/images/{NOBODY}/original")));
    let upper = KEY.to_uppercase();
    let shown = [None, Some(""), Some("wrong"), Some(&KEY[1..]), Some(&upper), Some("null")];
    bench.host.asked();
    let commands = bench.yard.commands();
    for (method, path) in all {
        for shown in shown {
            let mut request = Request::new(method.clone(), &path).with_body("{ no body at all");
            if let Some(shown) = shown {
                request = request.with_header("x-api-key", shown);
            }
            is_unauthorized(&path, &bench.send(request));
        }
        let bearer = Request::new(method, &path).with_header("authorization", &format!("Bearer {KEY}"));
        is_unauthorized(&path, &bench.send(bearer));
    }
    assert!(bench.host.asked().is_empty(), "nobody was asked");
    assert_eq!(bench.yard.commands(), commands);
}

#[test]
fn the_name_of_the_header_has_no_case() {
    let bench = Bench::new();
    for name in ["x-api-key", "X-Api-Key", "X-API-KEY"] {
        let request = Request::new(Method::GET, "/v2/avatar_group.list").with_header(name, KEY);
        assert_eq!(bench.send(request).status, 200, "{name}");
    }
}

#[test]
fn without_a_key_nobody_gets_in() {
    let settings = Settings::new().with_link_key(Secret::new("links").unwrap());
    let bench = Bench::with(settings.with_public_url(support::URL.parse().unwrap()));
    for (method, path) in calls(NOBODY) {
        is_unauthorized(&path, &bench.ask(method.clone(), &path, ""));
        is_unauthorized(&path, &bench.send(Request::new(method, &path)));
    }
}

#[test]
fn unknown_paths_are_a_page_and_wrong_methods_405() {
    let bench = Bench::new();
    for path in [
        "/v2",
        "/v2/",
        "/v2/photo_avatar",
        "/v2/photo_avatar/a/b",
        "/v2/avatar_group",
        "/v1/asset/",
        "/v1/asset/x",
    ] {
        bench.get(path).is_page();
        bench.ask(Method::POST, path, "{}").is_page();
    }
    for (path, methods, allow) in [
        ("/v2/photo_avatar/train", vec![Method::GET, Method::DELETE], "POST"),
        ("/v2/photo_avatar/train/status/x", vec![Method::POST, Method::HEAD, Method::OPTIONS], "GET"),
        ("/v2/photo_avatar/x", vec![Method::POST, Method::PUT], "GET, DELETE"),
        ("/v2/photo_avatar/avatar_group/create", vec![Method::GET], "POST"),
        ("/v2/avatar_group.list", vec![Method::POST], "GET"),
        ("/v2/photo_avatar_group/x", vec![Method::GET], "DELETE"),
        ("/v2/trainyard/images/x/original", vec![Method::POST], "GET, HEAD"),
    ] {
        for method in methods {
            let told = bench.ask(method, path, "");
            told.says(405, "method_not_allowed", "Method not allowed");
            assert_eq!(told.header("allow"), Some(allow));
        }
    }
    let told = bench.get("/v1/asset");
    told.says_v1(405, 40_500, "Method not allowed");
    assert_eq!(told.header("allow"), Some("POST"));
}

#[test]
fn what_is_not_there_is_404() {
    let bench = Bench::new();
    let long = "a".repeat(7_000);
    let odd = [
        NOBODY,
        "x",
        "0",
        "..%2f..%2fetc",
        "%00",
        "%ff%fe",
        "{0}",
        "01234567-89ab-cdef-0123-456789abcdef",
        "0123456789abcdef0123456789abcdef0",
        &long,
    ];
    for id in odd {
        bench.get(&format!("/v2/photo_avatar/train/status/{id}")).says(404, "not_found", NO_GROUP);
        bench.get(&format!("/v2/avatar_group/{id}/avatars")).says(404, "not_found", NO_GROUP);
        bench.delete(&format!("/v2/photo_avatar_group/{id}")).says(404, "not_found", NO_GROUP);
        bench.get(&format!("/v2/photo_avatar/{id}")).says(404, "not_found", NO_LOOK);
        bench.delete(&format!("/v2/photo_avatar/{id}")).says(404, "not_found", NO_LOOK);
        bench.post("/v2/photo_avatar/train", &json!({ "group_id": id })).says(404, "not_found", NO_GROUP);
        let body = json!({ "group_id": id, "name": "x", "image_keys": [bench.upload()] });
        bench.post("/v2/photo_avatar/avatar_group/add", &body).says(404, "not_found", NO_GROUP);
    }
    assert!(bench.yard.jobs().is_empty());
}

#[test]
fn there_must_be_a_completed_look_and_no_training() {
    let bench = Bench::new();
    let group = bench.create("Ann");
    let words = format!("No valid image for training found in group {group}");
    let refused = || bench.train(group).says(400, "invalid_parameter", &words);
    refused();
    bench.host.set(group.first_look(), LookState::Failed { reason: "no face".to_owned() });
    refused();
    let added = support::look_id(&bench.add(group, &[bench.upload()]).data()["photo_avatar_list"][0]);
    refused();
    bench.host.set(added, LookState::Completed);
    let told = bench.train(group);
    assert_eq!(told.status, 200, "one is enough");
    refused();
    assert_eq!(bench.yard.jobs().len(), 1);
    assert_eq!(bench.status(group)["status"], "pending", "the one that runs goes on");
    bench.complete();
    bench.delete(&format!("/v2/photo_avatar/{added}"));
    refused();
    assert_eq!(bench.status(group)["status"], "ready");
}

#[test]
fn malformed_bodies_are_400_and_say_where() {
    let bench = Bench::new();
    let paths = [
        "/v2/photo_avatar/train",
        "/v2/photo_avatar/avatar_group/create",
        "/v2/photo_avatar/avatar_group/add",
    ];
    for path in paths {
        for body in ["", "{", "nope", "\u{0}", "{\"a\":1}}"] {
            let told = bench.ask(Method::POST, path, body);
            told.says(400, "invalid_parameter", "The request body is not valid JSON");
        }
        for body in ["[]", "null", "7", "\"x\""] {
            let told = bench.ask(Method::POST, path, body);
            told.says(400, "invalid_parameter", "The request body must be a JSON object");
        }
        let gzip = with_key(Method::POST, path, "{}").with_header("content-encoding", "gzip");
        let words = "Send the request body without a content encoding";
        bench.send(gzip).says(400, "invalid_parameter", words);
    }
    let required = |path: &str, member: &str, body: Value| {
        let words = format!("{member} is invalid: field required");
        bench.post(path, &body).says(400, "invalid_parameter", &words);
    };
    required(paths[0], "group_id", json!({}));
    required(paths[1], "name", json!({ "image_key": "x" }));
    required(paths[1], "image_key", json!({ "name": "x" }));
    required(paths[2], "group_id", json!({}));
    required(paths[2], "image_keys", json!({ "group_id": NOBODY }));
    assert!(bench.groups().is_empty() && bench.yard.jobs().is_empty(), "what is refused changes nothing");
}

#[test]
fn an_image_must_be_there() {
    let bench = Bench::new();
    let group = bench.create("Ann");
    let good = bench.upload();
    let gone = bench.upload();
    bench.host.remove_file(image(&gone));
    let id = bench.put_file("image/png", PNG).data()["id"].as_str().unwrap().to_owned();
    for key in [gone.clone(), format!("image/{NOBODY}/original"), id, "../original".to_owned(), String::new()]
    {
        let words = "image_key is invalid: there is no such image";
        let body = json!({ "name": "x", "image_key": key });
        bench.post("/v2/photo_avatar/avatar_group/create", &body).says(400, "invalid_parameter", words);
        let words = "image_keys[1] is invalid: there is no such image";
        bench.add(group, &[good.clone(), key, good.clone()]).says(400, "invalid_parameter", words);
    }
    let five = vec![good.clone(); 5];
    let words = "image_keys is invalid: at most 4 are allowed";
    bench.add(group, &five).says(400, "invalid_parameter", words);
    assert_eq!(bench.groups().len(), 1);
    assert_eq!(bench.groups()[0]["num_looks"], 1, "all of them, or none");
    assert_eq!(bench.add(group, &five[..4]).status, 200, "the same image again is another look");
    for file in ["original.jpg", "original.jpeg", "original.png"] {
        let key = good.replace("original", file);
        assert_eq!(bench.add(group, &[key]).status, 200);
    }
}

#[test]
fn there_may_be_so_many() {
    let bench = Bench::new();
    let groups: Vec<GroupId> = (0..GROUPS_MAX).map(|_| bench.create("Ann")).collect();
    let body = json!({ "name": "x", "image_key": bench.upload() });
    let words = "You have exceeded your limit of 3 photo avatars";
    bench.post("/v2/photo_avatar/avatar_group/create", &body).says(400, "invalid_parameter", words);
    let key = bench.upload();
    for _ in 1..LOOKS_MAX {
        bench.add(groups[0], std::slice::from_ref(&key)).data();
    }
    let words = "You have exceeded your limit of 10 looks";
    bench.add(groups[0], &[key]).says(400, "invalid_parameter", words);
    while bench.host.files() < support::ASSETS_MAX {
        bench.upload();
    }
    bench.put_file("image/png", PNG).says_v1(400, 40_001, "You have exceeded your limit of 50 assets");
}

#[test]
fn too_large_is_413() {
    let bench = Bench::with(settings().with_limits(Limits { json_bytes: 200, ..Limits::default() }));
    let body = json!({ "group_id": "x".repeat(200) });
    let words = "The request body is larger than 200 bytes";
    bench.post("/v2/photo_avatar/train", &body).says(413, "invalid_parameter", words);
}

#[test]
fn nothing_is_generated() {
    let bench = Bench::new();
    let words = "Photos and looks are not generated by this service";
    for (method, path) in calls(NOBODY).into_iter().filter(|(_, path)| path.contains("/generat")) {
        bench.ask(method, &path, "").says(403, "forbidden", words);
    }
}

#[test]
fn a_host_that_fails_tells_nothing_about_it() {
    let bench = Bench::new();
    let group = bench.ready("Ann");
    let key = bench.upload();
    bench.host.broken.store(true, Ordering::SeqCst);
    for (method, path) in calls(&group.to_string()).into_iter().filter(|(_, path)| !path.contains("/generat"))
    {
        let body =
            json!({ "group_id": group.to_string(), "name": "x", "image_key": key, "image_keys": [key] });
        let request = with_key(method, &path, &body.to_string());
        if path.starts_with("/v1/") {
            bench.send(request.with_body(PNG)).says_v1(500, 50_000, "Internal server error");
        } else {
            bench.send(request).says(500, "internal_error", "Internal server error");
        }
    }
    assert!(bench.yard.jobs().is_empty());
}

#[test]
fn too_much_at_once_is_429_and_a_stop_503() {
    let bench = Bench::new();
    let group = bench.ready("Ann");
    let again = |told: &Told| assert_eq!(told.header("retry-after"), Some("5"));
    bench.host.busy.store(true, Ordering::SeqCst);
    let told = bench.put_file("image/png", PNG);
    told.says_v1(429, 42_900, "Too many uploads at once");
    again(&told);
    let told = bench.add(group, &[format!("image/{NOBODY}/original")]);
    told.says(429, "rate_limit_exceeded", "Too many requests at once");
    again(&told);
    bench.host.busy.store(false, Ordering::SeqCst);

    bench.yard.be_busy();
    let told = bench.train(group);
    told.says(429, "rate_limit_exceeded", "Too many requests at once");
    again(&told);
    bench.yard.go_on();

    let key = bench.upload();
    let files = bench.host.files();
    bench.yard.stop("a secret cause");
    let words = "The service is stopping, trainings go on at its next start";
    let told = bench.put_file("image/png", PNG);
    told.says_v1(503, 50_300, words);
    again(&told);
    for told in [
        bench.post("/v2/photo_avatar/avatar_group/create", &json!({ "name": "x", "image_key": key })),
        bench.add(group, &[key]),
        bench.train(group),
        bench.get(&status_path(group)),
        bench.get("/v2/avatar_group.list"),
        bench.delete(&format!("/v2/photo_avatar_group/{group}")),
    ] {
        told.says(503, "service_unavailable", words);
        again(&told);
    }
    bench.yard.go_on();
    assert_eq!(bench.groups().len(), 1, "what could not be finished was not begun");
    assert_eq!((&bench.groups()[0]["num_looks"], bench.host.files()), (&json!(1), files));
}

#[test]
fn a_full_queue_is_429() {
    let bench = Bench::new();
    bench.yard.configure_queue(
        "heygen",
        QueueSettings { running_max: Some(1), waiting_max: 1, ..QueueSettings::default() },
    );
    let groups: Vec<GroupId> = (0..3).map(|_| bench.ready("Ann")).collect();
    assert_eq!(bench.train(groups[0]).status, 200);
    assert_eq!(bench.train(groups[1]).status, 200);
    bench.train(groups[2]).says(429, "rate_limit_exceeded", "Too many trainings wait already");
}

#[test]
fn until_it_is_known_where_it_listens_no_link_is_told_and_nothing_made() {
    let bench = Bench::with(Settings::new().with_key(Secret::new(KEY).unwrap()));
    bench.put_file("image/png", PNG).says_v1(503, 50_300, "The service is starting");
    let body = json!({ "name": "x", "image_key": format!("image/{NOBODY}/original") });
    let told = bench.post("/v2/photo_avatar/avatar_group/create", &body);
    told.says(503, "service_unavailable", "The service is starting");
    let told = bench.add(GroupId::new(Uuid::nil()), &[format!("image/{NOBODY}/original")]);
    told.says(503, "service_unavailable", "The service is starting");
    assert!(bench.host.asked().is_empty());
    bench.service.listen_at("http://127.0.0.1:8000/");
    bench.service.listen_at("http://elsewhere");
    let url = bench.put_file("image/png", PNG).data()["url"].clone();
    assert!(url.as_str().unwrap().starts_with("http://127.0.0.1:8000/v2/trainyard/images/"), "{url}");
}
