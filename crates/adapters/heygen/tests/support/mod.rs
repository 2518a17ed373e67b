//! A yard driven by hand and a host in memory, so that the wire is tested alone.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test includes this, and uses its own part of it"
)]

mod host;
pub mod net;
pub mod schema;

use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use trainyard_core::{
    Advice, Command, Failure, QueueSettings, Reason, Reference, Resources, Run, RunEnd, Timestamp, Trained,
};
use trainyard_heygen::{AssetId, GroupId, HeyGen, LookId, Settings};
use trainyard_http::secret::Secret;
use trainyard_http::{Method, Request, Response};
use trainyard_testkit::bare_yard::{BareYard, in_process};
use trainyard_testkit::client::Answer;
use trainyard_testkit::openapi::Contract;
use uuid::Uuid;

pub use host::{ASSETS_MAX, GROUPS_MAX, LOOKS_MAX, MemoryHost};

pub const KEY: &str = "the key that clients send along";
pub const LINK_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
pub const URL: &str = "https://train.example.com";
/// Nobody's.
pub const NOBODY: &str = "0123456789abcdef0123456789abcdef";

/// As far as anybody here looks.
pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\nand so on";
pub const JPEG: &[u8] = b"\xff\xd8\xff\xe0and so on";

pub type Adapter = HeyGen<BareYard, MemoryHost>;

/// 2026-02-02T02:40:00.123Z.
const START: Timestamp = Timestamp::from_millis(1_770_000_000_123);

pub struct Bench {
    pub service: Adapter,
    pub yard: Arc<BareYard>,
    pub host: Arc<MemoryHost>,
}

pub fn settings() -> Settings {
    let settings = Settings::new().with_key(Secret::new(KEY).unwrap());
    settings.with_link_key(Secret::new(LINK_KEY).unwrap()).with_public_url(URL.parse().unwrap())
}

/// With room for one training at once.
fn yard() -> BareYard {
    let yard = BareYard::new(START, in_process(&["portrait"], Resources::slots(8))).without_rules();
    yard.configure_queue("heygen", QueueSettings { running_max: Some(1), ..QueueSettings::default() });
    yard
}

impl Bench {
    pub fn new() -> Self {
        Self::with(settings())
    }

    pub fn with(settings: Settings) -> Self {
        Self::over(settings, Arc::new(yard()), Arc::new(MemoryHost::default()))
    }

    pub fn over(settings: Settings, yard: Arc<BareYard>, host: Arc<MemoryHost>) -> Self {
        let service = HeyGen::new(Arc::clone(&yard), Arc::clone(&host), settings);
        Self { service, yard, host }
    }

    /// Whatever is answered with 200 has the form of its schema.
    pub fn send(&self, request: Request) -> Told {
        let (method, path) = (request.method().clone(), request.path().to_owned());
        let told = Told(CONTRACT.send(&self.service, request));
        told.check(&method, &path);
        told
    }

    pub fn ask(&self, method: Method, path: &str, body: &str) -> Told {
        let told = self.send(with_key(method.clone(), path, body));
        CONTRACT.check_sent(&method, path, body, &told);
        told
    }

    pub fn get(&self, path: &str) -> Told {
        self.ask(Method::GET, path, "")
    }

    pub fn post(&self, path: &str, body: &Value) -> Told {
        self.ask(Method::POST, path, &body.to_string())
    }

    pub fn delete(&self, path: &str) -> Told {
        self.ask(Method::DELETE, path, "")
    }

    pub fn put_file(&self, content_type: &str, file: &[u8]) -> Told {
        let request = with_key(Method::POST, "/v1/asset", "").with_header("content-type", content_type);
        self.send(request.with_body(file.to_vec()))
    }

    /// The key of an image that was uploaded.
    pub fn upload(&self) -> String {
        let told = self.put_file("image/png", PNG);
        told.data()["image_key"].as_str().unwrap().to_owned()
    }

    /// A group of one look, which is yet to be looked at.
    pub fn create(&self, name: &str) -> GroupId {
        let body = json!({ "name": name, "image_key": self.upload() });
        let made = self.post("/v2/photo_avatar/avatar_group/create", &body).data();
        GroupId::new(made["group_id"].as_str().unwrap().parse().unwrap())
    }

    /// A group that can be trained.
    pub fn ready(&self, name: &str) -> GroupId {
        let group = self.create(name);
        self.host.complete();
        group
    }

    /// Adds looks to a group.
    pub fn add(&self, group: GroupId, keys: &[String]) -> Told {
        let body = json!({ "group_id": group.to_string(), "name": "More", "image_keys": keys });
        self.post("/v2/photo_avatar/avatar_group/add", &body)
    }

    pub fn train(&self, group: GroupId) -> Told {
        self.post("/v2/photo_avatar/train", &json!({ "group_id": group.to_string() }))
    }

    /// The newest job's run, if it runs.
    pub fn run(&self) -> Option<Run> {
        let job = self.yard.newest();
        Some(Run { job: job.id, lease: job.running()?.lease })
    }

    fn end(&self, end: RunEnd) {
        let run = self.run().expect("it runs");
        self.yard.command(&Command::Finish { run, end }).unwrap();
    }

    /// The newest job's trainer hands a model over.
    pub fn complete(&self) {
        let trained = Trained::artifact(Reference::new("memory:"));
        self.end(RunEnd::Completed { trained, model: self.yard.model_id(), last: None });
    }

    /// The newest job's trainer gives up.
    pub fn fail(&self, reason: &str) {
        self.end(RunEnd::Failed(Failure { reason: Reason::new(reason), advice: Advice::GiveUp }));
    }

    /// The newest job's trainer breaks, and may be tried again.
    pub fn stumble(&self) {
        self.end(RunEnd::Failed(Failure { reason: Reason::new("a glitch"), advice: Advice::Retry }));
    }

    /// Where the training of a group stands.
    pub fn status(&self, group: GroupId) -> Value {
        self.get(&status_path(group)).data()
    }

    /// The groups as they are listed.
    pub fn groups(&self) -> Vec<Value> {
        let list = self.get("/v2/avatar_group.list?include_public=false").data();
        assert_eq!(list["total_count"], list["avatar_group_list"].as_array().unwrap().len());
        list["avatar_group_list"].as_array().unwrap().clone()
    }

    /// What stands behind a link, for somebody without a key.
    pub fn follow(&self, link: &Value) -> Told {
        let path = link.as_str().unwrap().strip_prefix(URL).expect("links are absolute").to_owned();
        self.send(Request::new(Method::GET, &path))
    }
}

pub fn status_path(group: GroupId) -> String {
    format!("/v2/photo_avatar/train/status/{group}")
}

/// The image of a key.
pub fn image(key: &str) -> AssetId {
    let id = key.strip_prefix("image/").unwrap().split('/').next().unwrap();
    AssetId::new(id.parse::<Uuid>().unwrap())
}

pub fn look_id(look: &Value) -> LookId {
    LookId::new(look["id"].as_str().unwrap().parse().unwrap())
}

/// What the adapter says of itself.
pub static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::of(trainyard_heygen::OPENAPI));

/// An answer, in the words of this wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Told(pub Answer);

impl Deref for Told {
    type Target = Answer;

    fn deref(&self) -> &Answer {
        &self.0
    }
}

impl Told {
    pub async fn of(response: Response) -> Self {
        Self(Answer::of(response).await)
    }

    /// A 200 has the form of its call.
    #[track_caller]
    pub fn check(&self, method: &Method, path: &str) {
        if self.status == 200 && schema::is_json(path) {
            schema::check(method, path, &self.json());
        }
    }

    /// What a 200 is about.
    #[track_caller]
    pub fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()["data"].clone()
    }

    /// The answer is this text, byte for byte.
    #[track_caller]
    pub fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.text()), (status, body));
        assert_eq!(self.header("content-type"), Some("application/json"));
    }

    /// The answer is an error in the form of everything but uploads.
    #[track_caller]
    pub fn says(&self, status: u16, code: &str, message: &str) {
        let error = format!(r#"{{"code":{},"message":{}}}"#, json!(code), json!(message));
        self.is(status, &format!(r#"{{"data":null,"error":{error}}}"#));
    }

    /// The answer is an error in the form of uploads.
    #[track_caller]
    pub fn says_v1(&self, status: u16, code: u32, message: &str) {
        self.is(status, &format!(r#"{{"code":{code},"message":{}}}"#, json!(message)));
    }

    /// The answer is the page for paths that nothing stands behind.
    #[track_caller]
    pub fn is_page(&self) {
        assert_eq!(self.status, 404, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(self.text().starts_with("<!doctype html>"), "{}", self.text());
    }

    /// The answer is a picture that its link shows, and nothing else.
    #[track_caller]
    pub fn is_picture(&self, media_type: &str, file: &[u8]) {
        assert_eq!((self.status, &*self.body), (200, file), "{}", self.text());
        assert_eq!(self.header("content-type"), Some(media_type));
        assert_eq!(self.header("cache-control"), Some("private"));
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"));
    }
}

pub fn with_key(method: Method, path: &str, body: &str) -> Request {
    let request = Request::new(method, path).with_header("X-Api-Key", KEY);
    if body.is_empty() {
        return request;
    }
    request.with_header("content-type", "application/json").with_body(body.to_owned())
}
