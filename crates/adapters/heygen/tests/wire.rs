//! The bodies of the fact sheet, byte for byte.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{Bench, JPEG, PNG, URL, image, look_id};
use trainyard_heygen::LookState;

/// Signatures are checked elsewhere; here they would only be noise.
fn unsigned(body: &str) -> String {
    let mut pieces = body.split("?token=");
    let mut shown = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (token, rest) = piece.split_once('"').unwrap();
        assert_eq!(token.len(), 75, "{token}");
        shown += &format!("?token=TOKEN\"{rest}");
    }
    shown
}

#[test]
fn an_upload() {
    let bench = Bench::new();
    let told = bench.put_file("image/png", PNG);
    let id = "00000000000000010000000000000000";
    assert_eq!(
        unsigned(told.text()),
        format!(
            r#"{{"code":100,"data":{{"id":"{id}","name":"{id}","file_type":"image","folder_id":"","meta":null,"created_ts":1770000000,"url":"{URL}/v2/trainyard/images/{id}/original?token=TOKEN","image_key":"image/{id}/original"}},"msg":null,"message":null}}"#
        )
    );
    assert_eq!((told.status, told.header("content-type")), (200, Some("application/json")));
    bench.follow(&told.data()["url"]).is_picture("image/png", PNG);
}

#[test]
fn a_group_and_its_first_look() {
    let bench = Bench::new();
    let body = json!({ "name": "Ann", "image_key": bench.upload() });
    let told = bench.post("/v2/photo_avatar/avatar_group/create", &body);
    let (id, image) = ("00000000000000020000000000000000", "00000000000000010000000000000000");
    let look = |status: &str, reason: &str| {
        format!(
            r#"{{"id":"{id}","image_url":"{URL}/v2/trainyard/images/{image}/original?token=TOKEN","created_at":1770000000.123,"name":"Ann","status":"{status}","group_id":"{id}","is_motion":false,"motion_preview_url":null,"business_type":"uploaded","upscale_availability":{{"available":false,"reason":{reason}}},"upscaled":false,"background_sound_effect":null}}"#
        )
    };
    let pending = look("pending", r#""Photo avatar look upload not completed""#);
    let done = |data: &str| format!(r#"{{"error":null,"data":{data}}}"#);
    assert_eq!(unsigned(told.text()), done(&pending));
    let read = |path: &str| unsigned(bench.get(path).text());
    assert_eq!(read(&format!("/v2/photo_avatar/{id}")), done(&pending));
    bench.host.complete();
    assert_eq!(read(&format!("/v2/photo_avatar/{id}")), done(&look("completed", "null")));
    let listed = format!(r#"{{"avatar_list":[{}]}}"#, look("completed", "null"));
    assert_eq!(read(&format!("/v2/avatar_group/{id}/avatars")), done(&listed));
    let failed = LookState::Failed { reason: "no face".to_owned() };
    bench.host.set(look_id(&told.data()), failed);
    assert_eq!(read(&format!("/v2/photo_avatar/{id}")), done(&look("failed", r#""no face""#)));
}

#[test]
fn looks_are_added_in_their_order() {
    let bench = Bench::new();
    let group = bench.create("Ann");
    let keys: Vec<String> = (0..4).map(|_| bench.upload()).collect();
    let added = bench.add(group, &keys).data();
    let looks = added["photo_avatar_list"].as_array().unwrap();
    assert_eq!(added.as_object().unwrap().len(), 1);
    let links: Vec<_> = looks.iter().map(|look| look["image_url"].as_str().unwrap()).collect();
    let ids = keys.iter().map(|key| image(key).to_string());
    assert!(links.iter().zip(ids).all(|(link, id)| link.contains(&id)), "{links:?}");
    for look in looks {
        assert_eq!((&look["name"], &look["status"]), (&json!("More"), &json!("pending")));
        assert_eq!(look["group_id"], group.to_string());
        assert_ne!(look["id"], group.to_string(), "only the first look has the id of the group");
    }
    let listed = bench.get(&format!("/v2/avatar_group/{group}/avatars")).data();
    let ids = |looks: &[Value]| looks.iter().map(|look| look["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&listed["avatar_list"].as_array().unwrap()[1..]), ids(looks));
}

#[test]
fn a_list_of_groups() {
    let bench = Bench::new();
    bench
        .get("/v2/avatar_group.list")
        .is(200, r#"{"error":null,"data":{"total_count":0,"avatar_group_list":[]}}"#);
    let one = bench.ready("One");
    bench.add(one, &[bench.upload()]);
    bench.yard.pass(Duration::from_millis(900));
    let two = bench.create("Two");
    let group = |id: &str, name: &str, created_at: i64, looks: u64, image: &str| {
        let link = format!("{URL}/v2/trainyard/images/{image}/original?token=TOKEN");
        format!(
            r#"{{"id":"{id}","name":"{name}","created_at":{created_at},"num_looks":{looks},"preview_image":"{link}","preview_image_url":"{link}","group_type":"PRIVATE","train_status":"empty","default_voice_id":null}}"#
        )
    };
    let (one, two) = (one.to_string(), two.to_string());
    let first = group(&one, "One", 1_770_000_000, 2, "00000000000000010000000000000000");
    let second = group(&two, "Two", 1_770_000_001, 1, "00000000000000050000000000000000");
    let expected =
        format!(r#"{{"error":null,"data":{{"total_count":2,"avatar_group_list":[{second},{first}]}}}}"#);
    for query in ["", "?include_public=false", "?include_public=true", "?include_public", "?x=%ff"] {
        assert_eq!(unsigned(bench.get(&format!("/v2/avatar_group.list{query}")).text()), expected);
    }
}

#[test]
fn a_training_from_its_start_to_its_end() {
    let bench = Bench::new();
    let group = bench.ready("Ann");
    let status = |body: &str| {
        bench.get(&support::status_path(group)).is(200, &format!(r#"{{"error":null,"data":{body}}}"#))
    };
    status(r#"{"status":"empty","error_msg":null,"created_at":0,"updated_at":null}"#);
    let told = bench.train(group);
    let flow = bench.yard.newest().id.as_uuid().as_simple().to_string();
    told.is(200, &format!(r#"{{"error":null,"data":{{"flow_id":"{flow}","data":{{"flow_id":"{flow}"}}}}}}"#));
    status(r#"{"status":"pending","error_msg":null,"created_at":1770000000,"updated_at":null}"#);
    bench.yard.pass(Duration::from_secs(152));
    status(r#"{"status":"pending","error_msg":null,"created_at":1770000000,"updated_at":null}"#);
    bench.complete();
    let ready = r#"{"status":"ready","error_msg":null,"created_at":1770000000,"updated_at":1770000152}"#;
    status(ready);
    bench.yard.pass(Duration::from_secs(1_000));
    status(ready);

    bench.train(group);
    status(r#"{"status":"pending","error_msg":null,"created_at":1770001152,"updated_at":null}"#);
    bench.yard.pass(Duration::from_secs(7));
    bench.fail("the photos are too different");
    status(
        r#"{"status":"failed","error_msg":"the photos are too different","created_at":1770001152,"updated_at":1770001159}"#,
    );
}

#[test]
fn deleting() {
    let bench = Bench::new();
    let group = bench.create("Ann");
    let look = look_id(&bench.add(group, &[bench.upload()]).data()["photo_avatar_list"][0]);
    let gone = r#"{"error":null,"data":null}"#;
    bench.delete(&format!("/v2/photo_avatar/{look}")).is(200, gone);
    bench.delete(&format!("/v2/photo_avatar/{look}")).says(404, "not_found", "Photo avatar not found");
    bench.get(&format!("/v2/photo_avatar/{look}")).says(404, "not_found", "Photo avatar not found");
    bench.delete(&format!("/v2/photo_avatar_group/{group}")).is(200, gone);
    bench.delete(&format!("/v2/photo_avatar_group/{group}")).says(404, "not_found", "Avatar group not found");
    let first = group.first_look();
    bench.get(&format!("/v2/photo_avatar/{first}")).says(404, "not_found", "Photo avatar not found");
}

#[test]
fn a_jpeg_is_shown_as_one() {
    let bench = Bench::new();
    let told = bench.put_file("image/jpeg", JPEG).data();
    bench.follow(&told["url"]).is_picture("image/jpeg", JPEG);
}
