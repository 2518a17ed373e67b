//! A yard driven by hand and a host in memory, so that the wire is tested alone.

#![allow(dead_code, unreachable_pub, reason = "each test includes this, and uses its own part of it")]

mod host;

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use serde_json::Value;
use trainyard_core::{
    Command, Metric, Progress, QueueSettings, Reason, Resources, Score, Subject, Timestamp, Trained,
};
use trainyard_cyborgdb::{CyborgDb, Settings};
use trainyard_http::{Method, Request, Response, Service, block_on};
use trainyard_testkit::bare_yard::{BareYard, in_process};
use trainyard_testkit::client::Answer;
use trainyard_testkit::openapi::Contract;

pub use host::MemoryHost;

pub const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
pub const OTHER_KEY: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

pub struct Bench {
    pub service: CyborgDb<BareYard, MemoryHost>,
    pub yard: Arc<BareYard>,
    pub host: Arc<MemoryHost>,
}

/// With room for one training at once.
pub fn yard() -> BareYard {
    let yard = BareYard::new(Timestamp::from_millis(1_000_000), in_process(&["ivf"], Resources::slots(8)));
    yard.configure_queue("cyborgdb", QueueSettings { running_max: Some(1), ..QueueSettings::default() });
    yard
}

impl Bench {
    pub fn new(settings: Settings) -> Self {
        Self::over(settings, Arc::new(yard()), Arc::new(MemoryHost::default()))
    }

    pub fn over(settings: Settings, yard: Arc<BareYard>, host: Arc<MemoryHost>) -> Self {
        let service = CyborgDb::new(Arc::clone(&yard), Arc::clone(&host), settings);
        Self { service, yard, host }
    }

    pub fn send(&self, request: Request) -> Told {
        let (method, path) = (request.method().clone(), request.path().to_owned());
        let told = block_on(async { Told::of(self.service.call(request).await).await });
        CONTRACT.check(&method, &path, &told);
        told
    }

    pub fn get(&self, path: &str) -> Told {
        self.send(Request::new(Method::GET, path))
    }

    pub fn post(&self, path: &str, body: &str) -> Told {
        self.send(post(path, body))
    }

    /// Makes an index of this name under [`KEY`].
    pub fn create(&self, name: &str) {
        let told = self.post("/v1/indexes/create", &with_key(name, ""));
        assert_eq!(told.status, 200, "{}", told.text());
    }

    /// Puts so many two-dimensional vectors in, with ids from `first` on.
    pub fn fill(&self, name: &str, first: usize, count: usize) -> Told {
        let items = (first..first + count).map(|n| format!(r#"{{"id":"{n}","vector":[{n},1.5]}}"#));
        let items = items.collect::<Vec<_>>().join(",");
        let told = self.post("/v1/vectors/upsert", &with_key(name, &format!(r#""items":[{items}]"#)));
        assert_eq!(told.status, 200, "{}", told.text());
        told
    }

    pub fn describe(&self, name: &str) -> Value {
        self.post("/v1/indexes/describe", &with_key(name, "")).json()
    }

    pub fn status(&self) -> Value {
        self.get("/v1/indexes/training-status").json()
    }

    /// How many jobs there are.
    pub fn jobs(&self) -> usize {
        self.yard.look(|yard| yard.jobs().count())
    }

    /// What the running training was told.
    pub fn parameters(&self) -> Vec<u8> {
        let job = self.yard.run().expect("something runs").job;
        self.yard.look(|yard| yard.job(job).unwrap().parameters.as_bytes().to_vec())
    }

    /// Ends the running training with a model of so many lists, or with nothing done.
    pub fn complete(&self, lists: Option<u32>) {
        let metric = |lists: u32| (Metric::new("n_lists").unwrap(), Score::new(lists.into()).unwrap());
        let artifact = lists.map(|_| Reason::new("memory:"));
        self.yard.complete(Trained { artifact, metrics: lists.map(metric).into_iter().collect() });
    }

    /// The running training shows that it is at work.
    pub fn report(&self) {
        self.yard.report(Progress::step(1, 20));
    }

    pub fn has_rule(&self, subject: &Subject) -> bool {
        self.yard.look(|yard| yard.rule(subject).is_some())
    }

    /// Forgets a subject's rule, as if a creation had been cut short.
    pub fn forget_rule(&self, subject: &Subject) {
        self.yard.command(&Command::RemoveRule { subject: subject.clone() }).unwrap();
    }
}

/// What the adapter says of itself.
pub static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::of(trainyard_cyborgdb::OPENAPI));

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
    /// Every answer is ready: none is a stream.
    pub async fn of(response: Response) -> Self {
        assert!(response.bytes_ready().is_some());
        Self(Answer::of(response).await)
    }

    /// The answer is this fixture, byte for byte.
    #[track_caller]
    pub fn is(&self, status: u16, fixture_name: &str) {
        assert_eq!((self.status, self.text()), (status, &*fixture(&format!("answers/{fixture_name}"))));
        assert_eq!(self.header("content-type"), Some("application/json"));
    }

    #[track_caller]
    pub fn says(&self, status: u16, detail: &str) {
        let expected = serde_json::json!({ "detail": detail }).to_string();
        assert_eq!((self.status, self.text()), (status, &*expected));
    }
}

pub fn post(path: &str, body: &str) -> Request {
    Request::new(Method::POST, path)
        .with_header("content-type", "application/json")
        .with_body(body.to_owned())
}

/// A body for the index of this name, under [`KEY`], with more members.
pub fn with_key(name: &str, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    format!(r#"{{"index_name":{},"index_key":"{KEY}"{comma}{more}}}"#, Value::from(name))
}

/// A fixture's text without the line's end.
pub fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim_end_matches('\n').to_owned()
}
