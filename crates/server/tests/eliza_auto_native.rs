//! What agents do piles up until it is enough, a prompt is optimised without anybody asking, and a gate decides whether
//! it is used: over HTTP, on a clock that the test moves.
#![cfg(unix)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use support::eliza::{Agent, text};
use support::language::{Said, Speaker, learns_a_rule, learns_nothing};
use support::until_told;
use trainyard_core::Timestamp;
use trainyard_prompt::{Artifact, InstructionSearch};
use trainyard_server::{Service, ServiceConfig};
use trainyard_testkit::clock::ManualClock;

/// Nobody waits for it, on a slow machine neither.
const SECONDS: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3_600);
const TASK: &str = "should_respond";

/// Half of what there is, a trajectory each.
fn sample(half: usize) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/vendors/data/trajectories.jsonl");
    let lines = fs::read_to_string(path).expect("it is there");
    let read = lines.lines().map(|line| serde_json::from_str(line).expect("it is json"));
    let all: Vec<Value> = read.collect();
    let (first, second) = all.split_at(all.len() / 2);
    if half == 0 { first.to_vec() } else { second.to_vec() }
}

struct Office {
    clock: ManualClock,
    folder: tempfile::TempDir,
}

impl Office {
    fn open(&self, speaker: &Speaker) -> (Service, Agent) {
        let config = ServiceConfig::new(self.folder.path())
            .with_listen("127.0.0.1:0".parse().expect("it is an address"))
            .with_clock(self.clock.clone())
            .with_eliza_model(speaker.endpoint())
            .with_eliza_optimizer(Arc::new(InstructionSearch {
                variants: 2,
                rounds: 1,
                ..InstructionSearch::default()
            }));
        let (service, _) = Service::open(config).expect("it opens");
        let agent = Agent::new(service.url());
        (service, agent)
    }
}

fn until_runs(service: &Service, agent: &Agent, runs: usize) {
    until_told(service.yard(), "so many are over", || agent.read("status")["completedJobs"] == runs);
}

/// The last stored decision about the task.
fn decision(agent: &Agent) -> Value {
    let decisions = agent.read("auto/decisions")["decisions"].as_array().expect("a list").clone();
    decisions.into_iter().find(|one| one["task"] == TASK).expect("it was decided about")["decision"].clone()
}

/// The models of the task, newest first, with the prompt of each.
fn prompts(agent: &Agent) -> Vec<(bool, Artifact, PathBuf)> {
    let models = agent.list("models").into_iter().filter(|model| model["task"] == TASK);
    let read = models.map(|model| {
        let path = PathBuf::from(text(&model["modelPath"]));
        (model["active"] == true, Artifact::open(&path).expect("it is a prompt"), path)
    });
    read.collect()
}

#[test]
fn enough_is_done_a_prompt_is_found_and_used_until_a_better_one_is() {
    let clock = ManualClock::at(Timestamp::from_millis(1_770_000_000_000));
    let office = Office { clock, folder: tempfile::tempdir().unwrap() };
    let speaker = Speaker::start(learns_a_rule);
    let (service, agent) = office.open(&speaker);
    let only = |threshold: u64| json!({ "perTaskOverrides": { TASK: { "threshold": threshold } } });
    agent.done("auto/config", &json!({ "triggerThreshold": 100_000, "triggerCooldownHours": 12 }));
    agent.done("auto/config", &only(30));
    agent.send(&sample(0)[..5]);
    assert_eq!((agent.list("jobs").len(), speaker.look(|state| state.asked.len())), (0, 0));
    assert_eq!(decision(&agent)["verdict"], "wait");
    assert_eq!(decision(&agent)["missing"][0]["what"], "trajectories", "{}", decision(&agent));

    // Enough: it fires once. A restart in the middle is no reason to fire again, or to begin anew.
    speaker.fall_silent(60);
    agent.send(&sample(0));
    speaker.until("the model is asked", |state| state.waiting == 4);
    let why = decision(&agent);
    assert_eq!(why["verdict"], "train", "{why}");
    assert!(text(&why["explanation"]).ends_with("[37 new of 30]"), "{why}");
    agent.send(&sample(0));
    assert_eq!(agent.list("jobs").len(), 1);
    service.shutdown(SECONDS);
    speaker.speak();
    let (service, agent) = office.open(&speaker);
    until_runs(&service, &agent, 1);
    let [job] = &agent.list("jobs")[..] else { panic!("one job") };
    assert_eq!((&job["task"], &job["backend"]), (&json!(TASK), &json!("native")), "{job}");
    assert!(text(job["logs"].as_array().unwrap().last().unwrap()).ends_with("; promoted"), "{job}");
    let [(is_active, first, _)] = &prompts(&agent)[..] else { panic!("one prompt") };
    assert!(*is_active && first.gate.promoted && first.score > first.baseline_score, "{:?}", first.gate);
    assert!(speaker.look(|state| state.again.is_empty()), "no answer was paid for twice");
    agent.send(&sample(0));
    assert_eq!(agent.list("jobs").len(), 1, "it has fired once");
    // It is looked at again when a run is over.
    until_told(service.yard(), "it waits again", || decision(&agent)["verdict"] == "wait");
    assert_eq!(decision(&agent)["missing"][0]["what"], "trajectories");

    // More is done, and nobody knows a better one than that which is in use.
    agent.send(&sample(1));
    office.clock.advance(13 * HOUR);
    until_runs(&service, &agent, 2);
    let [(second_is_active, second, _), (first_is_active, still, path)] = &prompts(&agent)[..] else {
        panic!("two prompts")
    };
    assert!(!second_is_active && *first_is_active && still == first);
    let gate = second.gate;
    assert!(!gate.promoted && (gate.candidate - gate.incumbent).abs() < 1e-9, "{gate:?}");
    assert!(gate.incumbent > second.baseline_score, "it was held against the one in use: {gate:?}");
    let job = agent.list("jobs")[0].clone();
    assert!(text(job["logs"].as_array().unwrap().last().unwrap()).ends_with("; not promoted"), "{job}");
    let model = service.yard().read(|yard| yard.registries().flat_map(|of| yard.models(of)).last().cloned());
    let figures = model.expect("there are two").metrics.clone();
    let figure =
        |name: &str| figures.iter().find(|(is, _)| is.as_str() == name).map(|(_, figure)| figure.get());
    assert_eq!((figure("promoted"), figure("score")), (Some(0.0), Some(second.score)));

    until_told(service.yard(), "it waits again", || decision(&agent)["verdict"] == "wait");

    // All of it is known after a restart.
    let all = |agent: &Agent| (prompts(agent), decision(agent), agent.list("jobs"));
    let before = all(&agent);
    service.shutdown(SECONDS);
    let (service, agent) = office.open(&speaker);
    assert!(all(&agent) == before, "{:#?}", agent.list("jobs"));
    assert!(path.exists());
    service.shutdown(SECONDS);
}

#[test]
fn a_first_prompt_that_is_no_better_than_the_one_it_began_with_is_not_used() {
    let clock = ManualClock::at(Timestamp::from_millis(1_770_000_000_000));
    let office = Office { clock, folder: tempfile::tempdir().unwrap() };
    let script: fn(&Said<'_>) -> String = learns_nothing;
    let speaker = Speaker::start(script);
    let (service, agent) = office.open(&speaker);
    agent.done("auto/config", &json!({ "triggerThreshold": 100_000 }));
    agent.done("auto/config", &json!({ "perTaskOverrides": { TASK: { "threshold": 20 } } }));
    agent.send(&sample(0));
    until_runs(&service, &agent, 1);
    let [(is_active, made, _)] = &prompts(&agent)[..] else { panic!("one prompt") };
    assert!(!is_active && !made.gate.promoted, "{:?}", made.gate);
    service.shutdown(SECONDS);
}
