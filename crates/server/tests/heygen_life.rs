//! HeyGen's wire in one process: photos come in, a model of a group is trained, also after a restart.

mod support;

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use support::heygen::{Gated, Studio, WAITS_AT, photo, text};
use support::steady::Gate;
use support::{Client, until_told};
use trainyard_core::{Outcome, Subject};
use trainyard_heygen::Settings;
use trainyard_http::secret::Secret;
use trainyard_portrait::{Order, Portrait, Quality, Size};
use trainyard_runtime::Trainer;
use trainyard_server::{GroupPhotos, Service, ServiceConfig};

/// Nobody waits for it, on a slow machine neither.
const SECONDS: Duration = Duration::from_secs(300);
const KEY: &str = "k3y";

fn unkeyed(folder: &Path) -> ServiceConfig {
    let steps = NonZeroU64::new(60).expect("it is not 0");
    let least = Quality::new(0.3).expect("it is a share");
    let order = Order::new().with_size(Size::SMALL).with_steps(steps).with_quality_min(least);
    ServiceConfig::new(folder).with_listen(SocketAddr::from(([127, 0, 0, 1], 0))).with_heygen_order(order)
}

fn config(folder: &Path) -> ServiceConfig {
    let key = Secret::new(KEY).expect("it is not empty");
    unkeyed(folder).with_heygen(Settings::new().with_key(key))
}

/// Trainings wait at a gate.
fn gated(folder: &Path, gate: &Arc<Gate>) -> ServiceConfig {
    let gate = Arc::clone(gate);
    config(folder).with_heygen_trainer(move |photos: GroupPhotos| -> Arc<dyn Trainer> {
        Arc::new(Gated { gate: Arc::clone(&gate), photos })
    })
}

fn open(config: ServiceConfig) -> (Service, Studio) {
    let (service, _) = Service::open(config).expect("the folder can be opened");
    let studio = Studio::new(service.url(), KEY);
    (service, studio)
}

fn subject(group: &str) -> Subject {
    Subject::new(format!("group/{group}")).expect("it is short")
}

/// A group whose looks can be trained on.
fn ready(service: &Service, studio: &Studio, name: &str, photos: u32) -> String {
    let group = studio.create_of(name, photos);
    until_told(service.yard(), "its looks are completed", || studio.are_completed(&group));
    group
}

fn until_trained(service: &Service, studio: &Studio, group: &str) -> Value {
    until_told(service.yard(), "it is over", || studio.status(group)["status"] != "pending");
    studio.status(group)
}

fn until_at_gate(service: &Service, group: &str) {
    let is_there = || {
        service.yard().read(|yard| {
            let standing = yard.newest(&subject(group)).and_then(|job| job.standing());
            standing
                .and_then(|standing| standing.checkpoint.as_ref())
                .is_some_and(|kept| kept.step == WAITS_AT)
        })
    };
    until_told(service.yard(), "it waits at the gate", is_there);
}

/// The files below the folder of the data folder, sorted.
fn files(folder: &Path, of: &str) -> Vec<String> {
    let entries = fs::read_dir(folder.join("heygen").join(of)).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("it can be read").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_group_is_made_trained_and_listed_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (service, studio) = open(config(folder.path()));
    let stranger = Studio::new(service.url(), "wrong");
    assert_eq!(stranger.get("/v2/avatar_group.list").status, 401);
    assert_eq!(stranger.upload(&photo("Ada", 0)).body, json!({ "code": 400_112, "message": "Unauthorized" }));
    assert_eq!(Client::new(service.url()).get("/v1/health").0, 200, "the rest of /v1 is CyborgDB's");

    let group = ready(&service, &studio, "Ada", 3);
    let empty = json!({ "status": "empty", "error_msg": null, "created_at": 0, "updated_at": null });
    assert_eq!(studio.status(&group), empty);
    let flow = studio.train(&group).data();
    assert_eq!(flow["flow_id"], flow["data"]["flow_id"]);
    let status = until_trained(&service, &studio, &group);
    assert_eq!((&status["status"], &status["error_msg"]), (&json!("ready"), &Value::Null), "{status}");
    assert!(status["updated_at"].as_i64() >= status["created_at"].as_i64(), "{status}");
    let [listed] = &studio.groups()[..] else { panic!("there is one") };
    assert_eq!((&listed["id"], &listed["name"]), (&json!(group), &json!("Ada")));
    assert_eq!((&listed["num_looks"], &listed["train_status"]), (&json!(3), &json!("ready")));

    let looks = studio.looks(&group);
    for (look, number) in looks.iter().zip(0..) {
        assert_eq!(look["upscale_availability"], json!({ "available": false, "reason": null }));
        assert_eq!(studio.picture(&look["image_url"]), (200, photo("Ada", number)), "as it came");
    }
    let mut forged = text(&looks[0]["image_url"]);
    let at = forged.find("?token=").expect("it is signed") + "?token=".len();
    let other = if forged[at..].starts_with('A') { "B" } else { "A" };
    forged.replace_range(at..=at, other);
    assert_eq!(studio.picture(&json!(forged)).0, 403);
    let registry = (&subject(&group)).into();
    let model = service.yard().active_model(&registry).expect("it is trained");
    let portrait = Portrait::open(&service.yard().artifact_path(&model).unwrap()).unwrap();
    let ids: Vec<String> = looks.iter().map(|look| text(&look["id"])).collect();
    assert_eq!(portrait.looks(), ids, "of each of its looks");
    assert!(portrait.render(0).is_some());
    let closed = service.shutdown(SECONDS);
    assert!(closed.http.is_clean(), "{closed}");

    let (service, _) = open(config(folder.path()));
    let studio = studio.at(service.url());
    assert_eq!(studio.status(&group), status, "nothing has changed");
    let again = studio.looks(&group);
    let bare = |look: &Value| {
        let mut look = look.clone();
        look.as_object_mut().unwrap().remove("image_url");
        look
    };
    assert!(again.iter().map(bare).eq(looks.iter().map(bare)));
    assert_eq!(studio.picture(&again[1]["image_url"]).0, 200);
    let moved = text(&looks[0]["image_url"]);
    let (_, path) = moved.split_once("/v2/").unwrap();
    assert_eq!(studio.picture(&json!(format!("{}/v2/{path}", service.url()))).0, 200, "links stay good");
    assert_eq!(studio.train(&group).status, 200, "again");
    assert_eq!(until_trained(&service, &studio, &group)["status"], "ready");
    service.shutdown(SECONDS);
}

#[test]
fn a_training_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let (service, studio) = open(gated(folder.path(), &gate));
    let group = ready(&service, &studio, "Ada", 1);
    studio.train(&group).data();
    until_at_gate(&service, &group);
    let before = studio.status(&group);
    assert_eq!((&before["status"], &before["updated_at"]), (&json!("pending"), &Value::Null), "{before}");
    let busy = studio.train(&group);
    assert_eq!(busy.status, 400);
    let said = format!("No valid image for training found in group {group}");
    assert!(busy.message().starts_with(&said), "{busy:?}");
    assert_eq!(service.shutdown(SECONDS).yard.unwrap().attempts_interrupted, 1);

    let (service, _) = open(gated(folder.path(), &gate));
    let studio = studio.at(service.url());
    assert_eq!(studio.status(&group), before, "pending, since the same moment");
    let added = studio.add(&group, &[photo("Ada", 1)]);
    until_told(service.yard(), "it is completed", || studio.look(&added[0])["status"] == "completed");
    gate.open();
    let status = until_trained(&service, &studio, &group);
    assert_eq!((&status["status"], &status["created_at"]), (&json!("ready"), &before["created_at"]));
    let model = service.yard().active_model(&(&subject(&group)).into()).unwrap();
    let quality = model.metrics.values().next().unwrap().get();
    assert_eq!(quality, f64::from(u32::try_from(WAITS_AT).unwrap()) / 100.0, "from where it was");
    let first = fs::read_to_string(service.yard().artifact_path(&model).unwrap()).unwrap();
    assert_eq!(first, group, "on the look that it was asked for with");
    service.shutdown(SECONDS);
}

#[test]
fn a_group_that_trains_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let (service, studio) = open(gated(folder.path(), &gate));
    let group = ready(&service, &studio, "Ada", 2);
    let key = studio.image_key(&photo("Ada", 7));
    studio.train(&group).data();
    until_at_gate(&service, &group);
    assert_eq!(studio.delete_group(&group).data(), Value::Null);
    let job = service.yard().read(|yard| yard.newest(&subject(&group)).unwrap().id);
    assert!(matches!(service.yard().finished(job).wait().unwrap(), Outcome::Cancelled { .. }));
    for gone in [
        studio.get(&format!("/v2/photo_avatar/train/status/{group}")),
        studio.get(&format!("/v2/avatar_group/{group}/avatars")),
        studio.get(&format!("/v2/photo_avatar/{group}")),
        studio.train(&group),
        studio.delete_group(&group),
    ] {
        assert_eq!(gone.status, 404, "{gone:?}");
    }
    assert_eq!(studio.groups(), Vec::<Value>::new());
    until_told(service.yard(), "its trainer has stopped", || {
        service.yard().read(|yard| yard.occupying().count()) == 0
    });
    assert_eq!(files(folder.path(), "assets").len(), 3, "uploads are no part of a group");
    let body = json!({ "name": "Bea", "image_key": key });
    let other = text(&studio.post("/v2/photo_avatar/avatar_group/create", &body).data()["group_id"]);
    until_told(service.yard(), "it is completed", || studio.are_completed(&other));
    assert_eq!(studio.delete(&format!("/v2/photo_avatar/{other}")).data(), Value::Null, "its first look");
    let [left] = &studio.groups()[..] else { panic!("it goes on without looks") };
    assert_eq!((&left["id"], &left["num_looks"]), (&json!(other), &json!(0)));
    assert_eq!(studio.train(&other).status, 400);
    // Folders are removed beside everything else; a shutdown waits for that.
    service.shutdown(SECONDS);
    assert!(!has_file(&folder.path().join("work"), "state"), "what it had kept is gone with it");

    let (service, studio) = open(gated(folder.path(), &gate));
    assert_eq!(studio.groups().len(), 1);
    assert_eq!(service.yard().read(|yard| yard.registries().count()), 0);
    service.shutdown(SECONDS);
}

fn has_file(folder: &Path, name: &str) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name() == name || has_file(&entry.path(), name))
}

#[test]
fn a_look_is_deleted_while_its_group_trains() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let (service, studio) = open(gated(folder.path(), &gate));
    let group = ready(&service, &studio, "Ada", 2);
    let kept = text(&studio.looks(&group)[1]["id"]);
    studio.train(&group).data();
    until_at_gate(&service, &group);
    assert_eq!(studio.delete(&format!("/v2/photo_avatar/{group}")).data(), Value::Null, "its first look");
    assert_eq!(studio.status(&group)["status"], "pending");
    service.shutdown(SECONDS);

    // It looks at its photos anew.
    let (service, _) = open(gated(folder.path(), &gate));
    let studio = studio.at(service.url());
    gate.open();
    assert_eq!(until_trained(&service, &studio, &group)["status"], "ready");
    let model = service.yard().active_model(&(&subject(&group)).into()).unwrap();
    let first = fs::read_to_string(service.yard().artifact_path(&model).unwrap()).unwrap();
    assert_eq!(first, kept, "on the one that is left");
    assert_eq!(studio.looks(&group).len(), 1);
    service.shutdown(SECONDS);
}

#[test]
fn a_look_that_is_no_picture_fails_and_is_not_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let (service, studio) = open(config(folder.path()));
    let good = photo("Ada", 0);
    let group = studio.create("Ada", &good[..good.len() / 2]);
    until_told(service.yard(), "it has failed", || studio.look(&group)["status"] == "failed");
    let reason = text(&studio.look(&group)["upscale_availability"]["reason"]);
    assert!(reason.contains("cut off"), "{reason}");
    let refused = studio.train(&group);
    assert_eq!(refused.status, 400);
    assert!(refused.message().contains("No valid image for training found"), "{refused:?}");
    assert_eq!(studio.status(&group)["status"], "empty");
    let added = studio.add(&group, &[good]);
    until_told(service.yard(), "it is completed", || studio.look(&added[0])["status"] == "completed");
    studio.train(&group).data();
    assert_eq!(until_trained(&service, &studio, &group)["status"], "ready");
    service.shutdown(SECONDS);
}

#[test]
fn a_training_that_comes_to_too_little_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let order = Order::new().with_size(Size::SMALL).with_steps(NonZeroU64::MIN);
    let perfect = Quality::new(1.0).unwrap();
    let (service, studio) = open(config(folder.path()).with_heygen_order(order.with_quality_min(perfect)));
    let group = ready(&service, &studio, "Ada", 2);
    for _ in 0..2 {
        studio.train(&group).data();
        let status = until_trained(&service, &studio, &group);
        assert_eq!(status["status"], "failed");
        let why = text(&status["error_msg"]);
        assert!(why.contains("quality"), "{why}");
        assert!(!why.to_lowercase().contains("try again") && !why.to_lowercase().contains("transient"));
        assert!(status["updated_at"].is_i64(), "{status}");
    }
    service.shutdown(SECONDS);
}

#[test]
fn there_are_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let bounded =
        config(folder.path()).with_heygen_groups_max(1).with_heygen_looks_max(2).with_heygen_assets_max(3);
    let (service, studio) = open(bounded);
    let group = studio.create_of("Ada", 2);
    let body = json!({ "name": "Bea", "image_key": studio.image_key(&photo("Bea", 0)) });
    let refused = studio.post("/v2/photo_avatar/avatar_group/create", &body);
    assert_eq!((refused.status, refused.message()), (400, "You have exceeded your limit of 1 photo avatars"));
    let body = json!({ "group_id": group, "name": "c", "image_keys": [body["image_key"]] });
    let refused = studio.post("/v2/photo_avatar/avatar_group/add", &body);
    assert_eq!((refused.status, refused.message()), (400, "You have exceeded your limit of 2 looks"));
    let full = studio.upload(&photo("Bea", 1));
    let said = json!({ "code": 40_001, "message": "You have exceeded your limit of 3 assets" });
    assert_eq!((full.status, &full.body), (400, &said), "the third has just come, and goes for nobody");
    assert_eq!(files(folder.path(), "assets").len(), 3);
    assert_eq!(files(folder.path(), "incoming"), Vec::<String>::new());
    service.shutdown(SECONDS);

    let (service, studio) = open(config(folder.path()).with_heygen_assets_max(2));
    let full = studio.upload(&photo("Bea", 2));
    let said = json!({ "code": 40_001, "message": "You have exceeded your limit of 2 assets" });
    assert_eq!((full.status, &full.body), (400, &said), "both are shown");
    service.shutdown(SECONDS);
}

/// Clients of the vendor send videos and sound to the same place.
#[test]
fn what_is_no_image_is_kept_and_no_look() {
    let folder = tempfile::tempdir().unwrap();
    let (service, studio) = open(config(folder.path()));
    let sent: [(&str, &str, &[u8]); 4] = [
        ("video/mp4", "mp4", b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41"),
        ("video/webm", "webm", b"\x1a\x45\xdf\xa3\x8b\x42\x82\x84webm\x42\x87\x81\x04"),
        ("audio/mpeg", "mp3", b"ID3\x04\0\0\0\0\0\0\xff\xfb\x90\x64"),
        ("audio/wav", "wav", b"RIFF\x24\0\0\0WAVEfmt "),
    ];
    let mut links = Vec::new();
    for (sort, ending, file) in sent {
        let asset = studio.upload_as(sort, file).body["data"].clone();
        let (word, _) = sort.split_once('/').unwrap();
        assert_eq!((&asset["file_type"], &asset["image_key"]), (&json!(word), &Value::Null));
        assert_eq!(studio.file(&asset["url"]), (200, sort.to_owned(), file.to_vec()));
        assert!(files(folder.path(), "assets").iter().any(|name| name.ends_with(&format!(".{ending}"))));
        let key = format!("image/{}/original", text(&asset["id"]));
        let body = json!({ "name": "Ada", "image_key": key });
        let refused = studio.post("/v2/photo_avatar/avatar_group/create", &body);
        assert_eq!(
            (refused.status, refused.message()),
            (400, "image_key is invalid: there is no such image")
        );
        links.push((asset["url"].clone(), sort, file));
    }
    service.shutdown(SECONDS);

    let (service, studio) = open(config(folder.path()));
    assert_eq!(files(folder.path(), "assets").len(), 4, "they are known again");
    for (link, sort, file) in links {
        let (_, path) = link.as_str().unwrap().split_once("/v2/").unwrap();
        let link = json!(format!("{}/v2/{path}", service.url()));
        assert_eq!(studio.file(&link), (200, sort.to_owned(), file.to_vec()));
    }
    for other in [&b"RIFF\x24\0\0\0WEBPVP8 "[..], b"\0\0\0\x24ftypheic\0\0\0\0mif1heic"] {
        assert_eq!(studio.upload_as("image/png", other).status, 400);
    }
    service.shutdown(SECONDS);
}

#[test]
fn a_key_is_made_and_shown_once() {
    let folder = tempfile::tempdir().unwrap();
    let (service, opened) = Service::open(unkeyed(folder.path())).unwrap();
    let key = opened.heygen_key.clone().expect("none is configured");
    let greeting = service.greeting("$KEY");
    let said = format!("{opened} {opened:?} {greeting} {greeting:?} {service:?}");
    assert!(!said.contains(key.expose()), "{said}");
    assert!(said.contains("heygen/api.key"), "{said}");
    let studio = Studio::new(service.url(), key.expose());
    assert_eq!(studio.groups(), Vec::<Value>::new());
    assert_eq!(studio.at(service.url()).get("/v2/avatar_group.list").status, 200);
    assert_eq!(Studio::new(service.url(), KEY).get("/v2/avatar_group.list").status, 401);
    service.shutdown(SECONDS);

    let (service, opened) = Service::open(unkeyed(folder.path())).unwrap();
    assert_eq!(opened.heygen_key.expect("nobody has said that it was shown").expose(), key.expose());
    service.heygen_key_told().unwrap();
    service.shutdown(SECONDS);

    let (service, opened) = Service::open(unkeyed(folder.path())).unwrap();
    assert!(opened.heygen_key.is_none(), "once");
    assert_eq!(studio.at(service.url()).get("/v2/avatar_group.list").status, 200);
    service.shutdown(SECONDS);

    let (service, configured) = open(config(folder.path()));
    assert_eq!(configured.get("/v2/avatar_group.list").status, 200);
    assert_eq!(studio.at(service.url()).get("/v2/avatar_group.list").status, 401, "another one was said");
    service.shutdown(SECONDS);
}

#[test]
fn what_has_no_room_or_no_memory_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let (service, studio) = open(config(folder.path()).with_free_min(u64::MAX));
    let answer = studio.upload(&photo("Ada", 0));
    assert_eq!((answer.status, &answer.body["code"]), (507, &json!(50_700)), "{answer:?}");
    service.shutdown(SECONDS);
    assert!(files(folder.path(), "incoming").is_empty() && files(folder.path(), "assets").is_empty());

    let (service, studio) = open(config(folder.path()).with_memory_mib(1));
    let group = ready(&service, &studio, "Ada", 2);
    studio.train(&group).data();
    let status = until_trained(&service, &studio, &group);
    assert_eq!(status["status"], "failed", "{status}");
    assert!(text(&status["error_msg"]).contains("MiB of memory, and may take 1"), "{status}");
    service.shutdown(SECONDS);

    let (service, studio) = open(config(folder.path()));
    studio.train(&group).data();
    assert_eq!(until_trained(&service, &studio, &group)["status"], "ready");
    service.shutdown(SECONDS);
}
