//! A client of HeyGen's wire, photos to send, and a trainer that waits at a gate.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};
use trainyard_core::{Progress, Trained};
use trainyard_http::Method;
use trainyard_portrait::made::Person;
use trainyard_runtime::{Context, JobToTrain, TrainError, Trainer};
use trainyard_server::GroupPhotos;

use super::LONG;
use super::steady::Gate;

#[allow(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "the tests of the adapter have it, and use more of it"
)]
#[path = "../../../adapters/heygen/tests/support/schema.rs"]
mod schema;

/// Somebody who knows the key, or does not.
#[derive(Clone)]
pub(crate) struct Studio {
    agent: ureq::Agent,
    url: String,
    key: String,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answered {
    /// Its data, if it went well.
    #[track_caller]
    pub(crate) fn data(self) -> Value {
        assert_eq!((self.status, &self.body["error"]), (200, &Value::Null), "{self:?}");
        self.body["data"].clone()
    }

    /// What went wrong.
    pub(crate) fn message(&self) -> &str {
        self.body["error"]["message"].as_str().expect("it went wrong")
    }
}

impl Studio {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let config = config.timeout_global(Some(LONG)).proxy(None);
        Self { agent: config.build().into(), url: url.to_owned(), key: key.to_owned() }
    }

    /// The same with the service that is at this URL now.
    pub(crate) fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    pub(crate) fn get(&self, path: &str) -> Answered {
        let request = self.agent.get(format!("{}{path}", self.url)).header("x-api-key", &self.key);
        read(&Method::GET, path, request.call().expect("an answer"))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answered {
        let request = self.agent.post(format!("{}{path}", self.url)).header("X-Api-Key", &self.key);
        read(&Method::POST, path, request.send_json(body).expect("an answer"))
    }

    pub(crate) fn delete(&self, path: &str) -> Answered {
        let request = self.agent.delete(format!("{}{path}", self.url)).header("X-API-KEY", &self.key);
        read(&Method::DELETE, path, request.call().expect("an answer"))
    }

    pub(crate) fn upload(&self, image: &[u8]) -> Answered {
        self.upload_as("image/png", image)
    }

    /// A file that its sender calls something.
    pub(crate) fn upload_as(&self, content_type: &str, file: &[u8]) -> Answered {
        let path = "/v1/asset";
        let request = self.agent.post(format!("{}{path}", self.url)).header("X-Api-Key", &self.key);
        let request = request.header("Content-Type", content_type);
        read(&Method::POST, path, request.send(file).expect("an answer"))
    }

    /// What an uploaded image is called in other calls.
    pub(crate) fn image_key(&self, image: &[u8]) -> String {
        let answer = self.upload(image);
        assert_eq!((answer.status, &answer.body["code"]), (200, &json!(100)), "{answer:?}");
        text(&answer.body["data"]["image_key"])
    }

    /// A group of one photo.
    pub(crate) fn create(&self, name: &str, image: &[u8]) -> String {
        let body = json!({ "name": name, "image_key": self.image_key(image) });
        let look = self.post("/v2/photo_avatar/avatar_group/create", &body).data();
        assert_eq!((&look["status"], &look["id"]), (&json!("pending"), &look["group_id"]), "{look}");
        text(&look["group_id"])
    }

    /// More looks.
    pub(crate) fn add(&self, group: &str, images: &[Vec<u8>]) -> Vec<String> {
        let keys: Vec<String> = images.iter().map(|image| self.image_key(image)).collect();
        let body = json!({ "group_id": group, "image_keys": keys, "name": "more" });
        let added = self.post("/v2/photo_avatar/avatar_group/add", &body).data();
        let looks = added["photo_avatar_list"].as_array().expect("a list");
        looks.iter().map(|look| text(&look["id"])).collect()
    }

    /// A group of so many photos of one person; its looks are yet to be looked at.
    pub(crate) fn create_of(&self, name: &str, photos: u32) -> String {
        let group = self.create(name, &photo(name, 0));
        let more: Vec<Vec<u8>> = (1..photos).map(|number| photo(name, number)).collect();
        more.chunks(4).for_each(|some| drop(self.add(&group, some)));
        group
    }

    pub(crate) fn look(&self, id: &str) -> Value {
        self.get(&format!("/v2/photo_avatar/{id}")).data()
    }

    pub(crate) fn looks(&self, group: &str) -> Vec<Value> {
        let listed = self.get(&format!("/v2/avatar_group/{group}/avatars")).data();
        listed["avatar_list"].as_array().expect("a list").clone()
    }

    pub(crate) fn are_completed(&self, group: &str) -> bool {
        self.looks(group).iter().all(|look| look["status"] == "completed")
    }

    pub(crate) fn groups(&self) -> Vec<Value> {
        let listed = self.get("/v2/avatar_group.list?include_public=false").data();
        let groups = listed["avatar_group_list"].as_array().expect("a list").clone();
        assert_eq!(listed["total_count"], groups.len());
        groups
    }

    pub(crate) fn train(&self, group: &str) -> Answered {
        self.post("/v2/photo_avatar/train", &json!({ "group_id": group }))
    }

    pub(crate) fn status(&self, group: &str) -> Value {
        self.get(&format!("/v2/photo_avatar/train/status/{group}")).data()
    }

    pub(crate) fn delete_group(&self, group: &str) -> Answered {
        self.delete(&format!("/v2/photo_avatar_group/{group}"))
    }

    /// What a link leads to, without a key: status, type and body.
    pub(crate) fn file(&self, link: &Value) -> (u16, String, Vec<u8>) {
        let mut answer = self.agent.get(link.as_str().expect("a link")).call().expect("an answer");
        let sort = answer.headers()["content-type"].to_str().expect("a text").to_owned();
        (answer.status().as_u16(), sort, answer.body_mut().read_to_vec().expect("a body"))
    }

    /// The same without its type.
    pub(crate) fn picture(&self, link: &Value) -> (u16, Vec<u8>) {
        let (status, _, body) = self.file(link);
        (status, body)
    }
}

/// Whatever is answered with 200 has the form of its schema.
#[track_caller]
fn read(method: &Method, path: &str, mut answer: ureq::http::Response<ureq::Body>) -> Answered {
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().expect("a text");
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    if status == 200 {
        assert!(schema::is_json(path), "{path} is asked with a key");
        schema::check(method, path, &body);
    }
    Answered { status, body }
}

/// A text that must be there.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A drawn photo of whoever has this name.
pub(crate) fn photo(name: &str, number: u32) -> Vec<u8> {
    let seed = name.bytes().fold(7, |seed, byte| seed * 31 + u64::from(byte));
    Person::new(seed).photo(number, 96).to_png()
}

/// Learns nothing, in 50 steps, and waits at a gate halfway, with a checkpoint. Its figure `quality` is the step that it
/// went on from, in hundredths.
pub(crate) struct Gated {
    pub(crate) gate: Arc<Gate>,
    pub(crate) photos: GroupPhotos,
}

pub(crate) const STEPS: u64 = 50;
pub(crate) const WAITS_AT: u64 = 20;

impl Trainer for Gated {
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let photos = self.photos.of(job)?;
        for step in cx.resume_from()..STEPS {
            cx.report(Progress::step(step, STEPS).with_phase("learning"))?;
            if step == WAITS_AT {
                fs::write(cx.dir()?.join("state"), "half")?;
                if cx.resume_from() < WAITS_AT {
                    cx.checkpoint("state", step)?;
                    fs::write(cx.dir()?.join("waits"), "")?;
                }
                self.gate.pass(|| cx.should_stop());
            }
        }
        cx.report(Progress::step(STEPS, STEPS))?;
        let from = u32::try_from(cx.resume_from()).map_err(|error| TrainError::failed(error.to_string()))?;
        cx.measure("quality", f64::from(from) / 100.0)?;
        fs::write(cx.dir()?.join("model"), photos[0].look.to_string())?;
        cx.trained("model")
    }
}
