//! A yard driven by hand and a host in memory, so that the wire is tested alone.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test includes this, and uses its own part of it"
)]

mod host;

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};
use trainyard_core::port::Handle;
use trainyard_core::{ModelId, QueueSettings, Reference, Resources, Timestamp, Trained};
use trainyard_eliza::{Eliza, Events, Settings};
use trainyard_http::{Method, Request, Response, Service, block_on};
use trainyard_testkit::bare_yard::{BareYard, in_process};
use trainyard_testkit::openapi::{Contract, Exchange};

pub use host::{DATASETS_MAX, MemoryHost};

pub type Adapter = Eliza<BareYard, MemoryHost>;

/// 2024-06-10T06:13:20Z, the moment of the documentation.
pub const START: Timestamp = Timestamp::from_millis(1_718_000_000_000);

/// Nobody's.
pub const NOBODY: &str = "01234567-89ab-cdef-0123-456789abcdef";

pub struct Bench {
    pub service: Adapter,
    pub yard: Arc<BareYard>,
    pub host: Arc<MemoryHost>,
    pub events: Events,
}

/// With room for so many trainings at once.
pub fn yard(running_max: u32) -> BareYard {
    let kinds = ["eliza/native", "eliza/mlx", "eliza/cuda", "eliza/cpu"];
    let yard = BareYard::new(START, in_process(&kinds, Resources::slots(8)));
    yard.configure_queue(
        "eliza",
        QueueSettings { running_max: Some(running_max), ..QueueSettings::default() },
    );
    yard
}

impl Bench {
    pub fn new() -> Self {
        Self::with(Settings::new())
    }

    pub fn with(settings: Settings) -> Self {
        Self::over(settings, Arc::new(yard(1)), Arc::new(MemoryHost::default()))
    }

    pub fn over(settings: Settings, yard: Arc<BareYard>, host: Arc<MemoryHost>) -> Self {
        let clock = Arc::clone(&yard);
        let events = Events::with_clock(move || clock.now());
        let service = Eliza::new(Arc::clone(&yard), Arc::clone(&host), events.clone(), settings);
        Self { service, yard, host, events }
    }

    pub fn send(&self, request: Request) -> Told {
        let (method, path) = (request.method().clone(), request.path().to_owned());
        let told = block_on(async { Told::of(self.service.call(request).await).await });
        check(&method, &path, &told);
        told
    }

    pub fn ask(&self, method: Method, path: &str, body: &str) -> Told {
        let path = format!("/api/training{path}");
        let request = Request::new(method.clone(), &path).with_header("content-type", "application/json");
        let told = self.send(request.with_body(body.to_owned()));
        check_sent(&method, &path, body, &told);
        told
    }

    pub fn get(&self, path: &str) -> Told {
        self.ask(Method::GET, path, "")
    }

    pub fn post(&self, path: &str, body: &Value) -> Told {
        self.ask(Method::POST, path, &body.to_string())
    }

    /// So many completed trajectories of a task, with so many calls each.
    pub fn bring(&self, first: usize, count: usize, task: &str) -> Told {
        let one = |number: usize| json!({ "id": format!("t-{number}"), "calls": 2, "tasks": [task] });
        let all: Vec<Value> = (first..first + count).map(one).collect();
        self.post("/trajectories", &all.into())
    }

    pub fn build(&self) -> String {
        let told = self.post("/datasets/build", &json!({})).made();
        told["dataset"]["id"].as_str().unwrap().to_owned()
    }

    /// A job that was started.
    pub fn start(&self, body: &Value) -> Value {
        self.post("/jobs", body).made()["job"].clone()
    }

    pub fn job(&self, id: &Value) -> Value {
        self.get(&format!("/jobs/{}", id.as_str().unwrap())).data()["job"].clone()
    }

    /// A model that a job has made.
    pub fn model(&self, backend: &str, adapter: Option<&str>) -> String {
        self.build();
        self.start(&json!({ "backend": backend }));
        let model = self.complete();
        self.host.know(model, trainyard_eliza::Backend::of(backend).unwrap(), adapter);
        model.to_string()
    }

    /// What runs hands a model over.
    pub fn complete(&self) -> ModelId {
        self.yard.complete(Trained::artifact(Reference::new("memory:")))
    }

    /// The kinds of the events so far.
    pub fn kinds(&self) -> Vec<String> {
        self.payloads().iter().map(|payload| payload["kind"].as_str().unwrap().to_owned()).collect()
    }

    pub fn payloads(&self) -> Vec<Value> {
        let kept = self.events.kept();
        kept.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()["payload"].clone()).collect()
    }
}

/// Whoever follows the yard.
pub type Following = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Hears all that there is.
pub fn drain(follow: &mut Following) {
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(follow.as_mut().poll(&mut cx), Poll::Pending);
}

/// What the adapter says of itself.
pub static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::of(trainyard_eliza::OPENAPI));

/// Whatever is answered is in the document, in the form that stands there.
#[track_caller]
fn check(method: &Method, path: &str, told: &Told) {
    let (status, content_type, body) = (told.status, told.header("content-type"), &told.bytes);
    let exchange = Exchange { method: method.as_str(), path, status, content_type, body };
    assert_eq!(CONTRACT.answers(&exchange), Ok(()));
}

/// Whatever was carried out is what the document lets be sent.
#[track_caller]
fn check_sent(method: &Method, path: &str, body: &str, told: &Told) {
    if (200..300).contains(&told.status) && !body.is_empty() {
        assert_eq!(CONTRACT.takes(method.as_str(), path, body.as_bytes()), Ok(()));
    }
}

/// An answer, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub bytes: Vec<u8>,
}

impl Told {
    pub async fn of(response: Response) -> Self {
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        Self {
            status: response.status().as_u16(),
            headers: headers.collect(),
            bytes: response.into_bytes().await.to_vec(),
        }
    }

    pub fn body(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or("bytes")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.body()))
    }

    /// What a 200 holds.
    #[track_caller]
    pub fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body());
        self.json()
    }

    /// What a 201 holds.
    #[track_caller]
    pub fn made(&self) -> Value {
        assert_eq!(self.status, 201, "{}", self.body());
        self.json()
    }

    /// The answer is an error of this form.
    #[track_caller]
    pub fn says(&self, status: u16, code: &str, words: &str) {
        assert_eq!(self.status, status, "{}", self.body());
        assert_eq!(self.header("content-type"), Some("application/json"));
        let told = self.json();
        assert_eq!((&told["error"], &told["message"]), (&json!(words), &json!(words)), "{}", self.body());
        assert_eq!(told["code"], code, "{}", self.body());
        let retry = self.header("retry-after").map(|seconds| seconds.parse::<u64>().unwrap());
        assert_eq!(told.get("retryAfter").and_then(Value::as_u64), retry, "{}", self.body());
    }

    /// The answer is that of a fixture, byte for byte. `GOLDEN=write` writes it anew.
    #[track_caller]
    pub fn is_golden(&self, status: u16, name: &str) {
        assert_eq!(self.status, status, "{}", self.body());
        assert_eq!(self.header("content-type"), Some("application/json"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.json"));
        if std::env::var_os("GOLDEN").is_some_and(|what| what == "write") {
            std::fs::write(&path, format!("{}\n", self.body())).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(self.body(), golden.trim_end(), "{name}");
    }
}
