//! Prompts are optimised against a language model, over HTTP and over restarts.
#![cfg(unix)]

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::eliza::{Agent, text};
use support::language::{Speaker, learns_a_rule};
use support::until_told;
use trainyard_prompt::{Api, Artifact, Endpoint, Patience};
use trainyard_server::{Service, ServiceConfig};

/// Nobody waits for it, on a slow machine neither.
const SECONDS: Duration = Duration::from_secs(300);

fn open(folder: &Path, endpoint: Endpoint) -> (Service, Agent) {
    let config = ServiceConfig::new(folder)
        .with_listen("127.0.0.1:0".parse().expect("it is an address"))
        .with_eliza_trajectories(sample())
        .with_eliza_model(endpoint);
    let (service, _) = Service::open(config).expect("it opens");
    let agent = Agent::new(service.url());
    (service, agent)
}

fn sample() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/vendors/data/trajectories.jsonl")
}

fn job() -> Value {
    json!({ "backend": "native", "iterations": 3, "optimizer": "instruction-search" })
}

#[test]
fn the_prompt_of_the_fullest_task_gets_better_and_all_of_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    let speaker = Speaker::start(learns_a_rule);
    let (service, agent) = open(folder.path(), speaker.endpoint());
    assert_eq!(agent.read("backends")["backends"]["native"], true);
    let (status, refused) = agent.post("jobs", br#"{"backend":"native","optimizer":"guesswork"}"#);
    assert_eq!((status, &refused["code"]), (400, &json!("INVALID_REQUEST")), "{refused}");
    assert!(text(&refused["error"]).contains(r#"no optimizer "guesswork"; there are gepa"#), "{refused}");
    assert_eq!(agent.list("jobs").len(), 0);

    let dataset = agent.build();
    let id = agent.start(&job());
    until_told(service.yard(), "it is optimised", || agent.is(&id, "completed"));
    let done = agent.job(&id);
    assert_eq!((&done["currentIteration"], &done["totalIterations"]), (&json!(3), &json!(3)), "{done}");
    let [model] = &agent.list("models")[..] else { panic!("one model") };
    assert_eq!((&model["backend"], &model["adapterPath"]), (&json!("native"), &Value::Null), "{model}");
    assert_eq!((&model["name"], &model["sourceModel"]), (&json!("eliza-v1"), &json!("small")), "{model}");
    let made = Artifact::open(Path::new(&text(&model["modelPath"]))).unwrap();
    assert_eq!((made.task.as_str(), made.optimizer.as_str()), ("should_respond", "instruction-search"));
    assert_eq!((&json!(made.dataset_id), made.lineage.len()), (&dataset["id"], 3));
    assert_eq!(Some(made.generated_at), done["createdAt"].as_i64());
    assert!(made.score > made.baseline_score + 0.2 && made.gate.promoted, "{:?}", made.gate);
    assert!(made.prompt.contains("IGNORE what is for others"), "{}", made.prompt);
    assert_eq!(done["loss"].as_f64(), Some(1.0 - made.score), "1 minus the best score on what was held out");
    let logs: Vec<&str> = done["logs"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(logs[0].starts_with("the prompt of should_respond is optimised on"), "{logs:?}");
    assert!(logs.last().unwrap().ends_with("; promoted"), "{logs:?}");

    // On rows that were held out, for the prompt that it began with and for this one.
    let benchmark = format!("models/{}/benchmark", text(&model["id"]));
    let asked = speaker.look(|state| state.asked.len());
    let measured = agent.done(&benchmark, &json!({}));
    assert_eq!((&measured["status"], &measured["scores"]["consistency"]), (&json!("passed"), &json!(1.0)));
    assert_eq!(measured["scores"]["coherence"], 1.0, "all of it is JSON");
    let helpfulness = measured["scores"]["helpfulness"].as_f64().unwrap();
    let output = text(&measured["output"]);
    assert!(output.contains(&format!("-> {helpfulness:.4}")) && helpfulness > 0.5, "{output}");
    let rows: usize = output.split(' ').find_map(|word| word.parse().ok()).unwrap();
    assert_eq!(speaker.look(|state| state.asked.len()) - asked, 8 * rows, "{output}");
    assert!((2..=16).contains(&rows));

    // It is the registry of what was asked for: somebody activates it.
    assert_eq!(model["active"], false);
    let activated = agent.done(&format!("models/{}/activate", text(&model["id"])), &json!({}));
    assert_eq!(activated["activeModel"], "eliza-v1");
    let all = |agent: &Agent| (agent.job(&id), agent.list("models"), agent.read("status"));
    let before = all(&agent);
    service.shutdown(SECONDS);
    let (service, agent) = open(folder.path(), speaker.endpoint());
    assert_eq!(all(&agent), before, "all of it is there after a restart");

    // Another model at the same place is asked, if a request names one.
    let asked = speaker.look(|state| state.asked.len());
    let named = json!({ "backend": "native", "iterations": 1, "model": "large" });
    let id = agent.start(&named);
    until_told(service.yard(), "the other one was asked", || agent.is(&id, "completed"));
    assert!(speaker.look(|state| state.asked[asked..].iter().all(|asked| asked["model"] == "large")));
    // Without an answer it is not measured, and says why; and it ends with the service.
    speaker.fall_silent(1);
    let waiting = speaker.look(|state| state.hung_up);
    let asking = std::thread::spawn({
        let (agent, benchmark) = (agent.clone(), benchmark.clone());
        move || agent.try_post(&benchmark, &json!({}))
    });
    speaker.until("it is asked", |state| state.waiting == 4);
    service.shutdown(SECONDS);
    speaker.until("the calls are ended", |state| state.hung_up == waiting + 4);
    drop(asking.join().unwrap()); // whether it was answered is for the listener to say
}

#[test]
fn a_restart_in_the_middle_pays_for_no_answer_twice() {
    let folder = tempfile::tempdir().unwrap();
    let speaker = Speaker::start(learns_a_rule);
    let (service, agent) = open(folder.path(), speaker.endpoint());
    let dataset = agent.build();
    // Four are asked at once: when that many wait, all that was answered has arrived.
    speaker.fall_silent(45);
    let id = agent.start(&job());
    speaker.until("four wait", |state| state.waiting == 4);
    service.shutdown(SECONDS);
    speaker.until("they have hung up", |state| state.hung_up == 4);
    assert_eq!(speaker.look(|state| state.asked.len()), 48, "no call was begun after that");
    speaker.speak();
    let (service, agent) = open(folder.path(), speaker.endpoint());
    until_told(service.yard(), "it is optimised", || agent.is(&id, "completed"));
    let again = speaker.look(|state| state.again.clone());
    assert!(again.is_empty(), "{} were paid for twice, such as {}", again.len(), again[0]);
    assert_eq!(agent.list("models")[0]["datasetId"], dataset["id"]);
    assert_eq!(agent.job(&id)["progress"], 1.0);
    service.shutdown(SECONDS);
}

#[test]
fn who_cancels_ends_the_call_that_is_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let speaker = Speaker::start(learns_a_rule);
    let (service, agent) = open(folder.path(), speaker.endpoint());
    agent.build();
    speaker.fall_silent(1);
    let id = agent.start(&job());
    speaker.until("four wait", |state| state.waiting == 4);
    let cancelled = agent.done(&format!("jobs/{id}/cancel"), &Value::Null)["job"].clone();
    assert_eq!(cancelled["status"], "cancelled");
    speaker.until("they have hung up", |state| state.hung_up == 4);
    speaker.speak();
    // It has its place in line when the first one has really stopped.
    let next = agent.start(&job());
    until_told(service.yard(), "the next one is optimised", || agent.is(&next, "completed"));
    assert_eq!((agent.list("models").len(), &agent.job(&id)["modelId"]), (1, &Value::Null));
    service.shutdown(SECONDS);
}

#[test]
fn a_model_that_is_not_there_fails_the_job_in_words_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // Whoever asks for any port is never given that one.
    let nobody = "127.0.0.1:1";
    let once = Patience::default().with_tries(1.try_into().unwrap());
    let endpoint = Endpoint::new(Api::OpenAi, &format!("http://{nobody}"), "small").unwrap();
    let (service, agent) = open(folder.path(), endpoint.with_patience(once));
    agent.build();
    let id = agent.start(&job());
    until_told(service.yard(), "it has failed", || agent.is(&id, "failed"));
    let failed = agent.job(&id);
    let error = text(&failed["error"]);
    assert!(error.contains(&format!("the model server at http://{nobody} could not be reached")), "{error}");
    assert_eq!((agent.list("models").len(), &failed["modelId"]), (0, &Value::Null));
    service.shutdown(SECONDS);
    assert_eq!(
        fs::read_dir(folder.path().join("work")).map_or(0, Iterator::count),
        0,
        "nothing is left of it"
    );
}
