//! A yard driven by hand and a host in memory, so that the wire is tested alone.

#![allow(dead_code, unreachable_pub, reason = "each test includes this, and uses its own part of it")]

mod host;
pub mod net;

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::{Value, json};
use trainyard_core::port::HandleError;
use trainyard_core::{
    Advice, Answer, Command, Failure, JobId, Metric, QueueSettings, Reason, Reference, Resource, Resources,
    Run, RunEnd, Score, Timestamp, Trained,
};
use trainyard_http::secret::Secret;
use trainyard_http::{Method, Request, Response};
use trainyard_mathfi::{
    DatasetId, DatasetState, Limits, MathFi, PERFORMANCE, Settings, TEST_PERFORMANCE, TRAINING_PERFORMANCE,
};
use trainyard_testkit::bare_yard::{BareYard, in_process};
use trainyard_testkit::client;
use trainyard_testkit::openapi::Contract;
use uuid::Uuid;

pub use host::{MemoryHost, READY};

pub const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
pub const URL: &str = "https://train.example.com";
/// What a training may have.
pub const MEMORY_MIB: u64 = 1_000;

pub type Adapter = MathFi<BareYard, MemoryHost>;

/// 2025-10-24T08:35:36Z.
const START: Timestamp = Timestamp::from_millis(1_761_294_936_000);

pub struct Bench {
    pub service: Adapter,
    pub yard: Arc<BareYard>,
    pub host: Arc<MemoryHost>,
    /// Of `ann`, who has logged in.
    pub token: String,
}

pub fn settings() -> Settings {
    Settings::new().with_key(Secret::new(KEY).unwrap()).unwrap().with_public_url(URL.parse().unwrap())
}

/// With tokens that outlive every test.
pub fn patient() -> Settings {
    let token_life = Duration::from_secs(1 << 40);
    settings().with_limits(Limits { token_life, ..Limits::default() })
}

/// With room for so many contests at once.
pub fn yard(running_max: u32) -> BareYard {
    let capacity = Resources::slots(8).with(Resource::new("memory_mib").unwrap(), MEMORY_MIB);
    let yard = BareYard::new(START, in_process(&["tabular", "other"], capacity)).without_rules();
    yard.configure_queue(
        "mathfi",
        QueueSettings { running_max: Some(running_max), ..QueueSettings::default() },
    );
    yard
}

impl Bench {
    /// With tokens that outlive every test; the rest is as by default.
    pub fn new() -> Self {
        Self::with(patient())
    }

    pub fn with(settings: Settings) -> Self {
        Self::over(settings, Arc::new(yard(2)), Arc::new(MemoryHost::with_users(&["ann", "bob"])))
    }

    pub fn over(settings: Settings, yard: Arc<BareYard>, host: Arc<MemoryHost>) -> Self {
        let service = MathFi::new(Arc::clone(&yard), Arc::clone(&host), settings);
        let mut bench = Self { service, yard, host, token: String::new() };
        bench.token = bench.log_in("ann");
        bench
    }

    pub fn send(&self, request: Request) -> Told {
        Told(CONTRACT.send(&self.service, request))
    }

    /// With ann's token.
    pub fn ask(&self, method: Method, path: &str, body: &str) -> Told {
        let told = self.send(with_token(method.clone(), path, &self.token, body));
        CONTRACT.check_sent(&method, path, body, &told);
        told
    }

    pub fn get(&self, path: &str) -> Told {
        self.ask(Method::GET, path, "")
    }

    pub fn post(&self, path: &str, body: &str) -> Told {
        self.ask(Method::POST, path, body)
    }

    pub fn log_in(&self, name: &str) -> String {
        let told = self.send(login(name, &format!("{name}'s word")));
        assert_eq!(told.status, 200, "{}", told.text());
        told.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// An empty dataset of ann's.
    pub fn create(&self, name: &str) -> Made {
        let told = self.post("/api/v1/datasets", &json!({ "datasetName": name }).to_string());
        assert_eq!(told.status, 201, "{}", told.text());
        let answer = told.json();
        let key: Uuid = answer["datasetKey"].as_str().unwrap().parse().unwrap();
        let upload = answer["datasetUploadInfo"]["uploadUrl"].as_str().unwrap();
        Made { id: DatasetId::new(key), upload: upload.strip_prefix(URL).unwrap_or(upload).to_owned() }
    }

    /// A dataset of ann's that can be trained on.
    pub fn ready(&self, name: &str) -> DatasetId {
        let id = self.create(name).id;
        self.host.set(id, DatasetState::Completed(READY));
        id
    }

    /// A training of it, in line or at work.
    pub fn train(&self, id: DatasetId, target: f64) -> JobId {
        let body = json!({ "scalingFactor": 19, "performanceThreshold": target }).to_string();
        let told = self.post(&format!("/api/v1/training/datasets/{id}"), &body);
        assert_eq!(told.status, 201, "{}", told.text());
        JobId::new(told.json()["trainingJobKey"].as_str().unwrap().parse().unwrap())
    }

    pub fn read(&self, job: JobId) -> Value {
        let told = self.get(&format!("/api/v1/training/{job}"));
        assert_eq!(told.status, 200, "{}", told.text());
        told.json()
    }

    pub fn progress(&self, job: JobId) -> Value {
        let told = self.get(&format!("/api/v1/training/{job}/progress"));
        assert_eq!(told.status, 200, "{}", told.text());
        told.json()
    }

    pub fn cancel(&self, job: JobId) -> Told {
        self.ask(Method::PATCH, &format!("/api/v1/training/{job}/cancel"), "")
    }

    /// The run of the algorithm at this place, if it runs.
    pub fn run(&self, job: JobId, place: usize) -> Option<Run> {
        self.yard.look(|yard| {
            let lease = yard.job(job)?.contest()?.candidates.get(place)?.lease()?;
            Some(Run { job, lease })
        })
    }

    /// The algorithm at this place has measured something; at the target it finishes with it.
    pub fn measure(&self, job: JobId, place: usize, value: f64) -> Result<Answer, HandleError> {
        let run = self.run(job, place).expect("it runs");
        let target = self.yard.look(|yard| yard.job(job).unwrap().contest().unwrap().target);
        let value = Score::new(value).unwrap();
        if value < target {
            return self.yard.command(&Command::Report { run, step: 1, performance: Some(value) });
        }
        let metric = |name| Metric::new(name).unwrap();
        let trained = Trained::artifact(Reference::new("memory:"))
            .with_metric(metric(PERFORMANCE), value)
            .with_metric(metric(TRAINING_PERFORMANCE), Score::new(0.987_654).unwrap())
            .with_metric(metric(TEST_PERFORMANCE), Score::new(0.876_543).unwrap());
        let end = RunEnd::Completed { trained, model: self.yard.model_id(), last: Some((1, value)) };
        self.yard.command(&Command::Finish { run, end })
    }

    /// The algorithm at this place breaks.
    pub fn fail(&self, job: JobId, place: usize) {
        let run = self.run(job, place).expect("it runs");
        let failure = Failure { reason: Reason::new("a secret cause"), advice: Advice::GiveUp };
        self.yard.command(&Command::Finish { run, end: RunEnd::Failed(failure) }).unwrap();
    }

    /// A model of ann's, and the job that made it.
    pub fn model(&self) -> (Uuid, JobId) {
        let job = self.train(self.ready("with a model"), 0.5);
        self.measure(job, 3, 0.9).unwrap();
        (self.read(job)["modelKey"].as_str().unwrap().parse().unwrap(), job)
    }
}

/// A dataset that was made.
pub struct Made {
    pub id: DatasetId,
    /// The path of the signed URL, with its query.
    pub upload: String,
}

/// The status of the whole, then of each algorithm.
pub fn statuses(progress: &Value) -> Vec<String> {
    let word = |value: &Value| value["status"].as_str().unwrap().to_owned();
    let children = progress["jobs"].as_array().unwrap().iter().map(word);
    [word(progress)].into_iter().chain(children).collect()
}

/// What the adapter says of itself.
pub static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::of(trainyard_mathfi::OPENAPI));

/// An answer, in the words of this wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Told(pub client::Answer);

impl Deref for Told {
    type Target = client::Answer;

    fn deref(&self) -> &client::Answer {
        &self.0
    }
}

impl Told {
    pub async fn of(response: Response) -> Self {
        Self(client::Answer::of(response).await)
    }

    /// The same, with `SIGNATURE` where this one stands.
    pub fn without(&self, signature: &str) -> Self {
        let mut shown = self.clone();
        shown.0.body = self.text().replace(signature, "SIGNATURE").into_bytes();
        shown
    }

    /// The answer is this fixture, byte for byte. With `RENEW_FIXTURES` set the fixture is written anew instead, to be
    /// read by whoever asked for it.
    #[track_caller]
    pub fn is(&self, status: u16, fixture_name: &str) {
        if std::env::var_os("RENEW_FIXTURES").is_some() {
            std::fs::write(fixture_path(fixture_name), format!("{}\n", self.text())).unwrap();
        }
        assert_eq!((self.status, self.text()), (status, &*fixture(fixture_name)), "{fixture_name}");
        assert_eq!(self.header("content-type"), Some("application/json"));
    }

    /// The answer is an error in its one form.
    #[track_caller]
    pub fn says(&self, status: u16, message: &str) {
        let expected = json!({ "message": message }).to_string();
        assert_eq!((self.status, self.text()), (status, &*expected));
        assert_eq!(self.header("content-type"), Some("application/json"));
    }

    /// The answer is an error of this status, whatever its words.
    #[track_caller]
    pub fn is_refused(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text());
        assert!(self.json()["message"].is_string(), "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
    }
}

pub fn login(name: &str, password: &str) -> Request {
    Request::new(Method::POST, "/api/login")
        .with_header("content-type", "application/json")
        .with_body(json!({ "username": name, "password": password }).to_string())
}

pub fn with_token(method: Method, path: &str, token: &str, body: &str) -> Request {
    let request = Request::new(method, path).with_header("authorization", &format!("Bearer {token}"));
    if body.is_empty() {
        return request;
    }
    request.with_header("content-type", "application/json").with_body(body.to_owned())
}

/// A form with one file in it, and its content type.
pub fn form(part: &str, file: &str) -> (String, String) {
    let head = format!("content-disposition: form-data; name=\"{part}\"; filename=\"data.csv\"");
    let body = format!("--XX\r\n{head}\r\ncontent-type: text/csv\r\n\r\n{file}\r\n--XX--\r\n");
    ("multipart/form-data; boundary=XX".to_owned(), body)
}

/// A fixture's text without the line's end.
pub fn fixture(name: &str) -> String {
    let path = fixture_path(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim_end_matches('\n').to_owned()
}

fn fixture_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}
