//! Adapters for a small language model are trained in the process, over HTTP and over restarts.
#![cfg(unix)]

mod support;

use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use support::eliza::{Agent, FakeOllama, text, trajectory_saying};
use support::until_told;
use trainyard_core::port::Change;
use trainyard_finetune::{Adapter, Base, Recipe};
use trainyard_server::{Service, ServiceConfig};

/// Nobody waits for it, on a slow machine neither.
const SECONDS: Duration = Duration::from_secs(300);
const STEPS: NonZeroU64 = NonZeroU64::new(100).expect("it is not 0");
const ITERATIONS: u64 = 80;

/// A base that has learned a little, so that it is made soon, and once for all.
fn base(folder: &Path) -> PathBuf {
    static BASE: OnceLock<Base> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        let recipe = Recipe::new(1).with_steps(STEPS);
        let threads = std::thread::available_parallelism().expect("there is a processor");
        Base::make(&recipe, threads, &mut |_| true).expect("it goes on")
    });
    let path = folder.join("tiny");
    if !path.exists() {
        base.save(&path).expect("it can be kept");
    }
    path
}

fn config(folder: &Path) -> ServiceConfig {
    let listen = "127.0.0.1:0".parse().expect("it is an address");
    ServiceConfig::new(folder.join("data")).with_listen(listen).with_eliza_base(base(folder))
}

fn open(folder: &Path) -> (Service, Agent) {
    let (service, _) = Service::open(config(folder)).expect("it opens");
    let agent = Agent::new(service.url());
    (service, agent)
}

fn send(agent: &Agent) {
    let said = |n| trajectory_saying(&format!("t{n}"), "completed", r#"{"action": "IGNORE"}"#);
    agent.send(&(0..30).map(said).collect::<Vec<_>>());
}

fn job() -> Value {
    json!({ "backend": "cpu", "iterations": ITERATIONS, "batchSize": 4, "learningRate": 0.02 })
}

#[test]
fn an_adapter_is_trained_judged_and_imported_and_all_of_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (service, agent) = open(folder.path());
    assert_eq!(agent.read("backends")["backends"]["cpu"], true);
    send(&agent);
    let dataset = agent.build();
    for (wrong, words) in [
        (
            json!({ "backend": "cpu", "model": "../tiny" }),
            "there is no model \"../tiny\" here to train; there is tiny",
        ),
        (json!({ "backend": "cpu", "iterations": 100_001 }), "iterations: 100001 is not within 1 to 100000"),
        (json!({ "backend": "cpu", "batchSize": 257 }), "batch size: 257 is not within 1 to 256"),
        (json!({ "backend": "cpu", "learningRate": 1.5 }), "the learning rate is not above 0 and at most 1"),
    ] {
        let (status, refused) = agent.post("jobs", wrong.to_string().as_bytes());
        assert_eq!((status, &refused["error"]), (400, &json!(words)), "{refused}");
    }
    assert_eq!(agent.list("jobs").len(), 0);

    let id = agent.start(&job());
    until_told(service.yard(), "it is trained", || agent.is(&id, "completed"));
    let done = agent.job(&id);
    assert_eq!(
        (&done["currentIteration"], &done["totalIterations"]),
        (&json!(ITERATIONS), &json!(ITERATIONS))
    );
    assert!(text(&done["logs"][0]).starts_with("an adapter of tiny is trained on"), "{done}");
    let [model] = &agent.list("models")[..] else { panic!("one model") };
    assert_eq!((&model["sourceModel"], &model["datasetId"]), (&json!("tiny"), &dataset["id"]), "{model}");
    let path = text(&model["adapterPath"]);
    let path = Path::new(&path);
    let story: Value = serde_json::from_slice(&fs::read(path.join("training.json")).unwrap()).unwrap();
    let losses: Vec<f64> = story["losses"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    assert_eq!(losses.len() as u64, ITERATIONS);
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < first / 2.0, "the loss falls: from {first} to {last}");
    assert!((done["loss"].as_f64().unwrap() - last).abs() < 1e-5, "{} is shown, it is {last}", done["loss"]);
    Adapter::open(path, &Base::open(&base(folder.path()), 1 << 30).unwrap()).unwrap();

    // Rows that were held out are foreseen better than before, and answered as was expected.
    let measure = |agent: &Agent| agent.done(&format!("models/{}/benchmark", text(&model["id"])), &json!({}));
    let measured = measure(&agent);
    assert_eq!(measured["status"], "passed", "{measured}");
    let output = text(&measured["output"]);
    let row = |what: &str| -> (f64, f64) {
        let line = output.lines().find_map(|line| line.strip_prefix(what)).expect("it is told");
        let (before, after) = line.trim().split_once(" -> ").expect("both are");
        (before.parse().expect("a number"), after.parse().expect("a number"))
    };
    for what in ["coherence", "helpfulness", "mean"] {
        let (before, after) = row(what);
        assert!((0.0..1.0).contains(&before) && before < after && after <= 1.0, "{what}: {output}");
    }
    let helpfulness = measured["scores"]["helpfulness"].as_f64().unwrap();
    assert!((helpfulness - row("helpfulness").1).abs() < 1e-4, "{measured}");
    let again = measure(&agent);
    assert_eq!((&again["scores"], &again["output"]), (&measured["scores"], &measured["output"]));

    let ollama = FakeOllama::start();
    let import = json!({ "modelName": "mine", "ollamaUrl": ollama.url, "baseModel": "small-llama" });
    agent.done(&format!("models/{}/import-ollama", text(&model["id"])), &import);
    let weights = fs::read(path.join("adapter_model.safetensors")).unwrap();
    assert!(ollama.asked().iter().any(|asked| asked.body == weights), "the adapter was uploaded");

    let all = |agent: &Agent| (agent.job(&id), agent.list("models"), agent.read("status"));
    let before = all(&agent);
    service.shutdown(SECONDS);
    let (service, agent) = open(folder.path());
    assert_eq!(all(&agent), before);
    service.shutdown(SECONDS);

    // Beside another base it means nothing, and that is said.
    fs::remove_dir_all(base(folder.path())).unwrap();
    let other = Recipe::new(2).with_steps(2.try_into().unwrap());
    let other = Base::make(&other, 1.try_into().unwrap(), &mut |_| true).unwrap();
    other.save(&folder.path().join("tiny")).unwrap();
    let (service, agent) = open(folder.path());
    let (status, refused) = agent.post(&format!("models/{}/benchmark", text(&model["id"])), b"");
    assert_eq!(status, 400, "{refused}");
    assert!(
        text(&refused["error"]).ends_with("the adapter was learned beside another base model"),
        "{refused}"
    );
    service.shutdown(SECONDS);
    fs::write(folder.path().join("tiny/model.safetensors"), "no weights").unwrap();
    let error = trainyard_trainkit::told(&Service::open(config(folder.path())).unwrap_err());
    assert!(error.contains("model.safetensors"), "{error}");
}

#[test]
fn a_training_goes_on_after_a_shutdown_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (service, agent) = open(folder.path());
    send(&agent);
    agent.build();
    let id = agent.start(&json!({ "backend": "cpu", "iterations": 200 }));
    let come_to = |agent: &Agent| agent.job(&id)["currentIteration"].as_u64().unwrap();
    until_told(service.yard(), "it has begun", || come_to(&agent) >= 3);
    service.shutdown(SECONDS);
    let (service, agent) = open(folder.path());
    let kept = come_to(&agent);
    assert!((3..200).contains(&kept), "{kept} of 200 steps before the shutdown");
    let changes = service.yard().subscribe();
    let watched = std::thread::spawn(move || {
        let step = |change| match change {
            Change::Progressed { progress, .. } => Some(progress.step),
            Change::Happened { .. } | Change::Missed { .. } => None,
        };
        changes.into_iter().filter_map(step).min()
    });
    until_told(service.yard(), "it is trained", || agent.is(&id, "completed"));
    let [model] = &agent.list("models")[..] else { panic!("one model") };
    let story = fs::read(Path::new(&text(&model["adapterPath"])).join("training.json")).unwrap();
    let story: Value = serde_json::from_slice(&story).unwrap();
    assert_eq!(story["losses"].as_array().unwrap().len(), 200);
    service.shutdown(SECONDS);
    let first = watched.join().unwrap().expect("it has told");
    assert!(first >= kept, "it went on from {first}, and had come to {kept}");
}

#[test]
fn a_cancel_is_heeded_within_a_step_also_while_the_base_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = ServiceConfig::new(folder.path()).with_listen(listen);
    let (service, _) = Service::open(config.clone()).unwrap();
    let agent = Agent::new(service.url());
    send(&agent);
    agent.build();
    let id = agent.start(&json!({ "backend": "cpu", "model": "trainyard-small" }));
    until_told(service.yard(), "it makes its base", || agent.job(&id)["phase"] == "making the base model");
    agent.done(&format!("jobs/{id}/cancel"), &Value::Null);
    assert_eq!(agent.job(&id)["status"], "cancelled");
    // The next one has its place when the first has stopped.
    let next = agent.start(&json!({ "backend": "cpu" }));
    until_told(service.yard(), "the next one is at work", || agent.job(&next)["loss"].is_number());
    let closed = service.shutdown(SECONDS);
    assert_eq!(closed.yard.unwrap().attempts_interrupted, 1, "{closed}");
    assert!(!folder.path().join("eliza/bases").exists(), "a base is there as a whole, or not");
    let (service, _) = Service::open(config.with_eliza_base(base(folder.path()))).unwrap();
    let agent = Agent::new(service.url());
    until_told(service.yard(), "it is trained, beside what there is now", || agent.is(&next, "completed"));
    assert_eq!(agent.list("models")[0]["sourceModel"], "tiny");
    service.shutdown(SECONDS);
}
