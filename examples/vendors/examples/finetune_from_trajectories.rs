//! A small language model learns from what agents have done, and is judged before and after: all of it over elizaOS's
//! wire, in one process and without any other program.
//!
//! `cargo run --release --example finetune_from_trajectories` takes trajectories in from a file, builds a dataset without
//! what is private, starts a job of the backend `cpu`, which makes a base model first and then trains an adapter beside
//! it, draws the loss, and asks for the benchmark.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use trainyard::port::Change;
use trainyard_examples::{Scratch, chart};
use trainyard_server::{Service, ServiceConfig};

type Answer<T> = Result<T, Box<dyn Error>>;

const ITERATIONS: u64 = 80;

fn main() -> Answer<()> {
    let folder = Scratch::new("finetune-from-trajectories")?;
    let config = ServiceConfig::new(folder.path())
        .with_listen("127.0.0.1:0".parse()?)
        .with_eliza_trajectories(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/trajectories.jsonl"));
    let (service, _) = Service::open(config)?;
    let url = format!("{}/api/training", service.url());
    let get = |path: &str| -> Answer<Value> {
        Ok(ureq::get(format!("{url}/{path}")).call()?.body_mut().read_json()?)
    };
    let post = |path: &str, body: &Value| -> Answer<Value> {
        Ok(ureq::post(format!("{url}/{path}")).send_json(body)?.body_mut().read_json()?)
    };

    let dataset = post("datasets/build", &json!({ "limit": 250 }))?["dataset"].take();
    println!("{} examples of {} trajectories", dataset["exampleCount"], dataset["trajectoryCount"]);
    let mut changes = service.yard().subscribe_with(10_000);
    let job = json!({ "datasetId": dataset["id"], "backend": "cpu", "iterations": ITERATIONS, "batchSize": 8, "learningRate": 0.01 });
    let job = post("jobs", &job)?["job"]["id"].take();
    let job = job.as_str().ok_or("a job has an id")?;
    let (mut losses, mut done) = (Vec::new(), get(&format!("jobs/{job}"))?["job"].take());
    while matches!(done["status"].as_str(), Some("queued" | "running")) {
        match changes.next_timeout(Duration::from_secs(60)) {
            Some(Change::Progressed { progress, .. }) if progress.step > 0 => {
                losses.extend(progress.loss.map(|loss| loss.get()));
            }
            Some(Change::Progressed { .. }) => {} // the base is made
            Some(Change::Happened { .. } | Change::Missed { .. }) | None => {
                done = get(&format!("jobs/{job}"))?["job"].take();
            }
        }
    }
    println!("{}", done["logs"][0].as_str().unwrap_or_default());
    println!("loss over iterations\n{}", chart(&[('*', losses.clone())], 76, 14));

    let model = done["modelId"].as_str().ok_or_else(|| format!("it made none: {done}"))?;
    let mut measured = post(&format!("models/{model}/benchmark"), &json!({}))?;
    while measured["pending"] == true {
        // It goes on; who asks meanwhile waits with those who have asked.
        measured = post(&format!("models/{model}/benchmark"), &json!({}))?;
    }
    println!("benchmark {}: {}", measured["status"], measured["output"].as_str().unwrap_or_default());
    service.shutdown(Duration::from_secs(5));
    let (first, last) = losses.first().zip(losses.last()).ok_or("every step is reported")?;
    assert!(*last < 0.7 * first, "the loss falls: from {first:.3} to {last:.3}");
    // Beside a base that has read small talk alone and comes to 0.001. A few hundred examples are not enough to help as well.
    let coherence = measured["scores"]["coherence"].as_f64().ok_or("it is judged")?;
    assert!(coherence > 0.01, "answers that were held out are foreseen better: {coherence}");
    Ok(())
}
