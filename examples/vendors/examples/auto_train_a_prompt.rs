//! Agents do their work until that is enough to learn from; then a prompt is optimised without anybody asking, and a gate
//! decides whether it is used: all of it over elizaOS's wire.
//!
//! `cargo run --example auto_train_a_prompt` serves a scripted model on loopback, which does as its prompt says.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use trainyard_examples::Scratch;
use trainyard_http::{
    Mount, Mounts, Request, Response, RunningServer, Server, ServerConfig, StatusCode, service_fn,
};
use trainyard_prompt::{Api, Endpoint, InstructionSearch};
use trainyard_server::{Service, ServiceConfig};

type Answer<T> = Result<T, Box<dyn Error>>;

const TASK: &str = "should_respond";
const RULE: &str = "Answer only who speaks to you or is a customer, else IGNORE.";

/// What the model says: as a writer of prompts, which adds the rule, or as the agent, which may have it.
fn say(system: &str, user: &str) -> String {
    if let Some((_, prompt)) = user.split_once("<prompt>\n").filter(|_| system.starts_with("You write")) {
        let prompt = prompt.split("\n</prompt>").next().unwrap_or_default();
        return format!("<prompt>{prompt} {RULE}</prompt>");
    }
    let newest = user.lines().last().unwrap_or_default().to_lowercase();
    let is_meant = user.contains("customer") || newest.contains("pip") || newest.contains("hearth");
    let answer =
        if is_meant || !system.contains(RULE) { ("RESPOND", "named") } else { ("IGNORE", "not_addressed") };
    json!({ "action": answer.0, "reason": answer.1 }).to_string()
}

fn model() -> Answer<RunningServer> {
    let service = service_fn(|request: Request| async move {
        let body = request.into_body().collect(1 << 20).await.unwrap_or_default();
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |place: usize| asked["messages"][place]["content"].as_str().unwrap_or_default();
        let message = json!({ "role": "assistant", "content": say(text(0), text(1)) });
        Response::json(StatusCode::OK, &json!({ "message": message, "done": true }))
    });
    let mounts = Mounts::new().with(Mount::new("/api", Arc::new(service))?.with_body_limit(1 << 20))?;
    Ok(Server::start(ServerConfig::new("127.0.0.1:0".parse()?), mounts)?)
}

fn main() -> Answer<()> {
    let (folder, model) = (Scratch::new("auto-train-a-prompt")?, model()?);
    let endpoint = Endpoint::new(Api::Ollama, &format!("http://{}", model.local_addr()), "scripted")?;
    let search = InstructionSearch { variants: 2, rounds: 1, ..InstructionSearch::default() };
    let config = ServiceConfig::new(folder.path())
        .with_listen("127.0.0.1:0".parse()?)
        .with_eliza_model(endpoint)
        .with_eliza_optimizer(Arc::new(search));
    let (service, _) = Service::open(config)?;
    let url = format!("{}/api/training", service.url());
    let get = |path: &str| -> Answer<Value> {
        Ok(ureq::get(format!("{url}/{path}")).call()?.body_mut().read_json()?)
    };
    let post = |path: &str, body: &Value| -> Answer<Value> {
        Ok(ureq::post(format!("{url}/{path}")).send_json(body)?.body_mut().read_json()?)
    };
    let explain = || -> Answer<Value> {
        let all = get("auto/decisions")?["decisions"].take();
        let ours = all.as_array().and_then(|all| all.iter().find(|one| one["task"] == TASK));
        let ours = ours.ok_or("the task was heard of")?.clone();
        println!("  {}", ours["now"]["explanation"].as_str().unwrap_or_default());
        Ok(ours)
    };

    let own = json!({ TASK: { "threshold": 30, "cooldownHours": 0 } });
    post("auto/config", &json!({ "triggerThreshold": 100_000, "perTaskOverrides": own }))?;
    let lines = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/trajectories.jsonl"))?;
    let all: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let mut changes = service.yard().subscribe();
    let mut is_used = Vec::new();
    for (n, some) in all.chunks(all.len().div_ceil(2)).enumerate() {
        for few in some.chunks(16) {
            post("trajectories", &json!(few))?;
            explain()?;
        }
        assert_eq!(get("jobs")?["jobs"].as_array().map(Vec::len), Some(n + 1), "it has fired once more");
        while get("status")?["completedJobs"] != n + 1 {
            assert_eq!(get("status")?["failedJobs"], 0);
            changes.next_timeout(Duration::from_secs(60));
        }
        let job = get("jobs")?["jobs"][0].take();
        println!("{}", job["logs"].as_array().and_then(|logs| logs.last()).ok_or("it has said something")?);
        let models = get("models")?["models"].take();
        let made =
            models.as_array().and_then(|models| models.iter().find(|model| model["jobId"] == job["id"]));
        let made = made.ok_or("it has made a prompt")?;
        println!(
            "{} is {}",
            made["name"],
            if made["active"] == true { "used from now on" } else { "not used" }
        );
        is_used.push(made["active"] == true);
    }
    service.shutdown(Duration::from_secs(5));
    assert_eq!(is_used, [true, false], "the first is better, and nothing is better than that");
    Ok(())
}
