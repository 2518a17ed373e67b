//! A yard driven by hand and a host in memory, so that the wire is tested alone.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test includes this, and uses its own part of it"
)]

mod host;

use std::ops::Deref;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};
use trainyard_core::port::Handle;
use trainyard_core::{ModelId, QueueSettings, Reference, Resources, Timestamp, Trained};
use trainyard_eliza::{Eliza, Events, Settings};
use trainyard_http::{Method, Request, Response};
use trainyard_testkit::bare_yard::{BareYard, in_process};
use trainyard_testkit::client::Answer;
use trainyard_testkit::openapi::Contract;

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
        Told(CONTRACT.send(&self.service, request))
    }

    pub fn ask(&self, method: Method, path: &str, body: &str) -> Told {
        let path = format!("/api/training{path}");
        let request = Request::new(method.clone(), &path).with_header("content-type", "application/json");
        let told = self.send(request.with_body(body.to_owned()));
        CONTRACT.check_sent(&method, &path, body, &told);
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

    /// What a 200 holds.
    #[track_caller]
    pub fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// What a 201 holds.
    #[track_caller]
    pub fn made(&self) -> Value {
        assert_eq!(self.status, 201, "{}", self.text());
        self.json()
    }

    /// The answer is an error of this form.
    #[track_caller]
    pub fn says(&self, status: u16, code: &str, words: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        let told = self.json();
        assert_eq!((&told["error"], &told["message"]), (&json!(words), &json!(words)), "{}", self.text());
        assert_eq!(told["code"], code, "{}", self.text());
        let retry = self.header("retry-after").map(|seconds| seconds.parse::<u64>().unwrap());
        assert_eq!(told.get("retryAfter").and_then(Value::as_u64), retry, "{}", self.text());
    }

    /// The answer is that of a fixture, byte for byte. `GOLDEN=write` writes it anew.
    #[track_caller]
    pub fn is_golden(&self, status: u16, name: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.json"));
        if std::env::var_os("GOLDEN").is_some_and(|what| what == "write") {
            std::fs::write(&path, format!("{}\n", self.text())).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(self.text(), golden.trim_end(), "{name}");
    }
}
