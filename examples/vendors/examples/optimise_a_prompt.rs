//! A prompt that answers everybody learns when to keep quiet, from what agents have done.
//!
//! `cargo run --example optimise_a_prompt` starts a scripted model on loopback, which does as its prompt says, and writes
//! prompts too. With `TRAINYARD_MODEL_URL=http://localhost:11434`, and `TRAINYARD_MODEL_NAME`, it asks a real one.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use trainyard::{Class, Context, JobToTrain, Kind, Outcome, QueueName, Subject, Submission};
use trainyard_examples::Scratch;
use trainyard_http::{Mount, Mounts, Request, Response, Server, ServerConfig, StatusCode, service_fn};
use trainyard_prompt::{Api, Artifact, Endpoint, Gepa, HttpModel, Order, train_prompt};
use trainyard_trajectories::{self as data, Layout, PrivacyFilter, Row, RowLimits, Rows, Task, Trajectories};

const BASELINE: &str = "You decide what an assistant does. Take great care. Answer in JSON: action, reason.";
/// What a prompt may say, by which signs in the newest message a model goes then, and what it answers.
const RULES: [(&str, &[&str], &str, &str); 4] = [
    ("STOP if they ask for quiet.", &["stop", "quiet", "hush", "no more"], "STOP", "asked_to_stop"),
    ("RESPOND to a reply.", &["(replying to pip)"], "RESPOND", "reply_to_pip"),
    ("RESPOND to your name.", &["pip", "hearth"], "RESPOND", "named"),
    ("IGNORE what else is said in a chat.", &[": "], "IGNORE", "not_addressed"),
];

/// The rows of a task, from trajectories that were made a dataset first: what is private is taken out.
fn rows(folder: &Path) -> Result<Vec<Row>, Box<dyn Error>> {
    let sent = File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/trajectories.jsonl"))?;
    let order = data::Order::new("dataset-1".parse()?, 1_770_000_000_000);
    let sent = Trajectories::new(BufReader::new(sent), data::Limits::default());
    let record = data::build(folder, &order, &PrivacyFilter::new("a salt"), sent)?;
    let file = File::open(Layout::new(folder, &record.id).task(Task::ShouldRespond))?;
    Ok(Rows::new(BufReader::new(file), RowLimits::default()).collect::<Result<_, _>>()?)
}

/// What the scripted model says: as a student, as a critic, or as a writer of prompts.
fn say(system: &str, user: &str) -> String {
    let prompt = user.split("<prompt>\n").nth(1).and_then(|rest| rest.split("\n</prompt>").next());
    let Some(prompt) = prompt else {
        let newest = user.lines().last().unwrap_or_default().to_lowercase();
        let is_meant = |signs: &[&str]| signs.iter().any(|sign| newest.contains(sign));
        let mut known = RULES.iter().filter(|(rule, ..)| system.contains(rule));
        let rule = known.find(|(_, signs, ..)| is_meant(signs));
        let (action, reason) =
            rule.map_or(("RESPOND", "question"), |(_, _, action, reason)| (action, reason));
        return json!({ "action": action, "reason": reason }).to_string();
    };
    if system.contains("fails") {
        let missing = RULES.iter().find(|(rule, _, _, why)| user.contains(why) && !prompt.contains(rule));
        return missing.map_or("nothing", |(rule, ..)| rule).to_owned();
    }
    let heeded = RULES.iter().find(|(rule, ..)| user.contains(rule) && !prompt.contains(rule));
    let longer = format!("{prompt} {}", heeded.map_or("", |(rule, ..)| rule));
    let filler = if user.contains("shorter") { " Take great care." } else { "" };
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
    let model = HttpModel::new(Endpoint::from_env(|name| std::env::var(name).ok())?.unwrap_or(scripted));
    let gepa = Gepa { reflection_batch: 12, generations: 5, ..Gepa::default() };
    let order = Order::new("should_respond").with_baseline(BASELINE).with_optimizer(Arc::new(gepa));
    let kind = Kind::new("prompt")?;
    let folder = Scratch::new("optimise-a-prompt")?;
    let rows = rows(&folder.path().join("datasets"))?;
    let trainer = move |cx: &mut Context, job: &JobToTrain| train_prompt(cx, job, &rows, &model, &order);
    let (yard, _) = trainyard::open(folder.path().join("yard")).trainer(kind.clone(), trainer).start()?;
    let class = Arc::new(Class::new(kind, QueueName::new("prompts")?));
    let job = yard.submit(Submission::new(yard.job_id(), Subject::new("task")?, class)).wait()?.job;
    let outcome = yard.finished(job).wait()?;
    let Outcome::Completed { model: Some(id) } = outcome else { return Err(outcome.to_string().into()) };
    let made = yard.model(id).ok_or("it was just made")?;
    let artifact = Artifact::open(&yard.artifact_path(&made)?)?;
    yard.shutdown(Duration::from_secs(5)).wait()?;

    for step in &artifact.lineage {
        println!("  {}.{:<2} {:.3} {}", step.round, step.variant, step.score, step.note);
    }
    println!(
        "{:.3} {}\n{:.3} {}",
        artifact.baseline_score, artifact.baseline, artifact.score, artifact.prompt
    );
    println!("promoted: {}, {} tokens", artifact.gate.promoted, artifact.tokens_spent);
    assert!(artifact.score > artifact.baseline_score && artifact.gate.promoted);
    Ok(())
}
