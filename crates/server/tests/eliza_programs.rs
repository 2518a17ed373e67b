//! The command lines that come with the server, against programs that take the flags of the real ones and no others.
#![cfg(unix)]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::clients::{script, tool};
use support::eliza::{Agent, FakeOllama, text, trajectory};
use support::until_told;
use trainyard_eliza::Backend;
use trainyard_server::{ElizaCommand, Presence, Service, ServiceConfig};

/// Nobody waits for it, on a slow machine neither.
const SECONDS: Duration = Duration::from_secs(300);

fn open(folder: &Path, backend: Backend, command: ElizaCommand) -> (Service, Agent) {
    let config = ServiceConfig::new(folder)
        .with_listen(SocketAddr::from(([127, 0, 0, 1], 0)))
        .with_eliza_command(backend, command.with_presence(Presence::Assumed));
    let (service, _) = Service::open(config).expect("it opens");
    let agent = Agent::new(service.url());
    let some: Vec<Value> = (0..12).map(|n| trajectory(&format!("t{n}"), "completed")).collect();
    agent.send(&some);
    (service, agent)
}

/// Trains, and imports what came of it.
fn train(service: &Service, agent: &Agent, job: &Value) -> (Value, Value) {
    let id = agent.start(job);
    until_told(service.yard(), "it is trained", || agent.is(&id, "completed"));
    let job = agent.job(&id);
    let model = text(&job["modelId"]);
    let ollama = FakeOllama::start();
    let import = json!({ "ollamaUrl": ollama.url });
    let model = agent.done(&format!("models/{model}/import-ollama"), &import)["model"].clone();
    assert!(ollama.asked().iter().any(|asked| asked.body == b"weights"), "its adapter is uploaded");
    (job, model)
}

#[test]
fn mlx_lora_runs_as_it_comes() {
    if tool("python3", &["--version"]).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("python/mlx_lm");
    fs::create_dir_all(&package).unwrap();
    fs::copy(script("eliza_mlx_main.py"), package.join("__main__.py")).unwrap();
    let python = folder.path().join("python");
    let command = ElizaCommand::mlx_lora().with_variable("PYTHONPATH", &python);
    let (service, agent) = open(folder.path(), Backend::Mlx, command);
    let (job, model) =
        train(&service, &agent, &json!({ "backend": "mlx", "iterations": 50, "learningRate": 1e-5 }));
    assert_eq!((&job["currentIteration"], &job["totalIterations"]), (&json!(50), &json!(50)), "{job}");
    assert_eq!(job["loss"], 1.5, "{job}");
    assert_eq!(model["sourceModel"], "mlx-community/Qwen2.5-1.5B-Instruct-4bit");
    let plain = json!({ "backend": "mlx", "model": "other/model", "batchSize": 2 });
    let (_, model) = train(&service, &agent, &plain);
    assert_eq!(model["sourceModel"], "other/model");
    service.shutdown(SECONDS);
}

#[test]
fn the_script_of_elizaos_runs_as_it_comes() {
    if tool("python3", &["--version"]).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let command = ElizaCommand::train_local(&script("eliza_train_local.py"));
    let (service, agent) = open(folder.path(), Backend::Cpu, command);
    let job =
        json!({ "backend": "cpu", "model": "small", "iterations": 5, "batchSize": 1, "learningRate": 0.5 });
    let (job, model) = train(&service, &agent, &job);
    assert_eq!((&job["loss"], &job["progress"]), (&json!(1.5), &json!(1.0)), "{job}");
    assert!(text(&job["scriptPath"]).ends_with("eliza_train_local.py"), "{job}");
    assert!(text(&model["adapterPath"]).ends_with("/adapter"), "{model}");
    service.shutdown(SECONDS);
}
