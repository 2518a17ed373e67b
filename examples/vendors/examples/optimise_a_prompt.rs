//! A prompt that answers everybody learns when to keep quiet.
//!
//! `cargo run --example optimise_a_prompt` starts a scripted model on loopback, which does as its prompt says, and writes
//! prompts too. With `TRAINYARD_MODEL_URL=http://localhost:11434`, and `TRAINYARD_MODEL_NAME`, it asks a real one.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use trainyard::{Class, Context, JobToTrain, Kind, Outcome, QueueName, Subject, Submission};
use trainyard_examples::Scratch;
use trainyard_http::{Mount, Mounts, Request, Response, Server, ServerConfig, StatusCode, service_fn};
use trainyard_prompt::{Api, Artifact, Endpoint, HttpModel, Order, optimizer, train_prompt};
use trainyard_trajectories::Row;

const BASELINE: &str = "You are Milady. Say, after having thought about it with great care, what to do.";

/// What was said in a chat, and what was right to do.
fn rows() -> Vec<Row> {
    let row = |number: usize| {
        let (user, action) = match number % 3 {
            0 => (format!("Milady, what is {number} and {number}?"), "RESPOND"),
            1 => (format!("Bob, did you see number {number}?"), "IGNORE"),
            _ => (format!("Milady, be quiet about {number}!"), "STOP"),
        };
        Row::new(
            format!("call-{number}"),
            "should_respond",
            "",
            user,
            json!({ "action": action }).to_string(),
        )
    };
    (0..30).map(row).collect()
}

/// What the scripted model says: as a student, as a critic, or as a writer of prompts.
fn say(system: &str, user: &str) -> String {
    let rules = [("IGNORE", "IGNORE what is said to others."), ("STOP", "STOP when you are to be quiet.")];
    let prompt = user.split("<prompt>\n").nth(1).and_then(|rest| rest.split("\n</prompt>").next());
    let Some(prompt) = prompt else {
        let is = |text: &str, action: &str| user.contains(text) && system.contains(action);
        let right =
            [("Bob", "IGNORE"), ("quiet", "STOP")].into_iter().find(|(text, action)| is(text, action));
        return json!({ "action": right.map_or("RESPOND", |(_, action)| action) }).to_string();
    };
    if system.contains("fails") {
        let missing = rules.iter().find(|(action, _)| user.contains(action) && !prompt.contains(action));
        return missing.map_or("nothing".to_owned(), |(action, _)| format!("It never says {action}."));
    }
    let heeded = rules.iter().filter(|(action, _)| user.contains(&format!("never says {action}")));
    let longer = heeded.fold(prompt.to_owned(), |prompt, (_, rule)| format!("{prompt} {rule}"));
    let filler =
        if user.contains("shorter") { ", after having thought about it with great care," } else { "" };
    format!("<prompt>{}</prompt>", longer.replacen(filler, "", 1))
}

async fn chat(request: Request) -> Response {
    let body = request.into_body().collect(1 << 20).await.unwrap_or_default();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |place: usize| asked["messages"][place]["content"].as_str().unwrap_or_default();
    let message = json!({ "role": "assistant", "content": say(text(0), text(1)) });
    Response::json(StatusCode::OK, &json!({ "choices": [{ "message": message }] }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mounts = Mounts::new().with(Mount::new("/", Arc::new(service_fn(chat)))?)?;
    let server = Server::start(ServerConfig::new("127.0.0.1:0".parse()?), mounts)?;
    let scripted = Endpoint::new(Api::OpenAi, &format!("http://{}", server.local_addr()), "scripted")?;
    let real = Endpoint::from_env(|name| std::env::var(name).ok())?;
    let model = HttpModel::new(real.unwrap_or(scripted));

    let order =
        Order::new("should_respond").with_baseline(BASELINE).with_optimizer(Arc::from(optimizer("gepa")?));
    let kind = Kind::new("prompt")?;
    let trainer = move |cx: &mut Context, job: &JobToTrain| train_prompt(cx, job, &rows(), &model, &order);
    let folder = Scratch::new("optimise-a-prompt")?;
    let (yard, _) = trainyard::open(folder.path()).trainer(kind.clone(), trainer).start()?;
    let class = Arc::new(Class::new(kind, QueueName::new("prompts")?));
    let subject = Subject::new("eliza/task/should_respond")?;
    let job = yard.submit(Submission::new(yard.job_id(), subject, class)).wait()?.job;
    let outcome = yard.finished(job).wait()?;
    let Outcome::Completed { model: Some(id) } = outcome else { return Err(outcome.to_string().into()) };
    let made = yard.model(id).ok_or("it was just made")?;
    let artifact = Artifact::open(&yard.artifact_path(&made)?)?;
    yard.shutdown(Duration::from_secs(5)).wait()?;

    for ancestor in &artifact.lineage {
        println!("  {}.{:<2} {:.3} {}", ancestor.round, ancestor.variant, ancestor.score, ancestor.note);
    }
    println!(
        "{:.3} {}\n{:.3} {}",
        artifact.baseline_score, artifact.baseline, artifact.score, artifact.prompt
    );
    println!("promoted: {}, {} tokens", artifact.gate.promoted, artifact.tokens_spent);
    assert!(artifact.score > artifact.baseline_score && artifact.gate.promoted);
    Ok(())
}
