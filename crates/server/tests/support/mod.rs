//! A client that speaks raw HTTP, points to index, and waiting by asking, as the vendor's clients do.
#![allow(dead_code, reason = "every test takes what it needs")]

pub(crate) mod clients;
#[cfg(unix)]
pub(crate) mod eliza;
pub(crate) mod heygen;
pub(crate) mod language;
pub(crate) mod mathfi;
#[cfg(unix)]
pub(crate) mod openapi;
#[cfg(unix)]
pub(crate) mod serving;
pub(crate) mod steady;

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use trainyard_runtime::Trainyard;

pub(crate) const DIMENSION: usize = 32;
pub(crate) const INDEX_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// More than anything here takes, on a slow machine.
pub(crate) const LONG: Duration = Duration::from_secs(300);

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    root_key: Option<String>,
}

impl Client {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let config = config.timeout_global(Some(LONG)).proxy(None);
        Self { agent: config.build().into(), url: url.into(), root_key: None }
    }

    pub(crate) fn with_root_key(mut self, key: &str) -> Self {
        self.root_key = Some(key.to_owned());
        self
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.try_get(path).expect("an answer")
    }

    pub(crate) fn try_get(&self, path: &str) -> Result<(u16, Value), ureq::Error> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(key) = &self.root_key {
            request = request.header("X-API-Key", key);
        }
        let mut answer = request.call()?;
        Ok((answer.status().as_u16(), answer.body_mut().read_json()?))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.try_post(path, body).expect("an answer")
    }

    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Result<(u16, Value), ureq::Error> {
        let mut request = self.agent.post(format!("{}{path}", self.url));
        if let Some(key) = &self.root_key {
            request = request.header("X-API-Key", key);
        }
        let mut answer = request.send_json(body)?;
        let json = answer.body_mut().with_config().limit(1 << 30).read_json()?;
        Ok((answer.status().as_u16(), json))
    }

    /// A post that must go well.
    pub(crate) fn done(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(path, body);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub(crate) fn create(&self, name: &str) {
        self.done("/v1/indexes/create", &named(name));
    }

    pub(crate) fn upsert(&self, name: &str, points: &Points) -> Value {
        self.done("/v1/vectors/upsert_binary", &points.batch(name))
    }

    pub(crate) fn describe(&self, name: &str) -> Value {
        self.done("/v1/indexes/describe", &named(name))
    }

    pub(crate) fn is_trained(&self, name: &str) -> bool {
        self.describe(name)["is_trained"] == true
    }

    pub(crate) fn is_training(&self, name: &str) -> bool {
        let status = self.get("/v1/indexes/training-status").1;
        status["training_indexes"].as_array().expect("a list").iter().any(|training| training == name)
    }

    pub(crate) fn until_trained(&self, name: &str) {
        until(&format!("{name} is trained"), || !self.is_training(name) && self.is_trained(name));
    }

    pub(crate) fn count(&self, name: &str) -> u64 {
        self.done("/v1/vectors/num_vectors", &named(name))["result"].as_u64().expect("a number")
    }

    /// The ids nearest to a point, nearest first.
    pub(crate) fn nearest(&self, name: &str, point: &[f32], top_k: usize) -> Vec<String> {
        let mut body = named(name);
        body["query_vectors"] = json!(point);
        body["top_k"] = json!(top_k);
        let answer = self.done("/v1/vectors/query", &body);
        let rows = answer["results"].as_array().expect("a list").iter();
        rows.map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
    }
}

pub(crate) fn named(name: &str) -> Value {
    json!({ "index_name": name, "index_key": INDEX_KEY })
}

/// So many vectors [`long_training`] is for.
pub(crate) const LONG_VECTORS: usize = 20_000;
/// So many lists it makes of them.
pub(crate) const LONG_LISTS: usize = 1_500;

/// A training that goes on for a while, so that a test that is held up comes while it does: many lists, no tolerance to
/// end it early, and where the code is fast, small blocks.
pub(crate) fn long_training(name: &str) -> Value {
    json!({
        "index_name": name, "index_key": INDEX_KEY,
        "n_lists": LONG_LISTS, "tolerance": 1e-300, "max_iters": 60,
        "batch_size": if cfg!(debug_assertions) { 1024 } else { 16 },
    })
}

/// Asks until it is so, and not for ever.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Looks again at every change of a yard until it is so, and not for ever. What follows from a change may come after it
/// was told, so it looks now and then without one.
pub(crate) fn until_told(yard: &Trainyard, what: &str, mut is_so: impl FnMut() -> bool) {
    let mut changes = yard.subscribe();
    let end = Instant::now() + LONG;
    while !is_so() {
        let left = end.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "waited too long until {what}");
        changes.next_timeout(left.min(Duration::from_secs(1)));
    }
}

/// Points with ids from `first` on.
pub(crate) struct Points {
    first: usize,
    pub(crate) rows: Vec<[f32; DIMENSION]>,
}

impl Points {
    /// In clusters, the same for a seed.
    pub(crate) fn clustered(count: usize) -> Self {
        let mut chance = Chance(7);
        let centres: Vec<[f32; DIMENSION]> =
            (0..100).map(|_| std::array::from_fn(|_| 10.0 * chance.next())).collect();
        let row = |_| {
            let centre = centres[chance.below(centres.len())];
            centre.map(|x| x + chance.next() + chance.next() - 1.0)
        };
        Self { first: 0, rows: (0..count).map(row).collect() }
    }

    pub(crate) fn scattered(first: usize, count: usize) -> Self {
        let mut chance = Chance(first as u64 + 1);
        Self { first, rows: (0..count).map(|_| std::array::from_fn(|_| chance.next())).collect() }
    }

    fn batch(&self, name: &str) -> Value {
        let bytes: Vec<u8> = self.rows.iter().flatten().flat_map(|x| x.to_le_bytes()).collect();
        let ids: Vec<String> = (self.first..).take(self.rows.len()).map(|id| id.to_string()).collect();
        let mut body = named(name);
        body["batch"] = json!({ "ids": ids, "dimension": DIMENSION, "vectors_b64": STANDARD.encode(bytes) });
        body
    }

    /// The ids nearest to a point, by looking at all of them.
    pub(crate) fn nearest(&self, point: &[f32], top_k: usize) -> Vec<String> {
        let distance = |row: &[f32; DIMENSION]| row.iter().zip(point).map(|(a, b)| (a - b).powi(2)).sum();
        let mut all: Vec<(f32, usize)> =
            self.rows.iter().zip(self.first..).map(|(row, id)| (distance(row), id)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all.iter().take(top_k).map(|(_, id)| id.to_string()).collect()
    }
}

/// SplitMix64: 0 to 1.
struct Chance(u64);

impl Chance {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn next(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 24) as f32
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.bits() % bound as u64).expect("a small number")
    }
}
