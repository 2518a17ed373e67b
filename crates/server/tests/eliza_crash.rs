//! A process of its own that is killed while it builds, while a program trains for it, and while trajectories come in.
#![cfg(unix)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};
use support::eliza::{Agent, Program, config, text, trajectory, trajectory_saying};
use support::serving::{self, NARROW, Serving};
use support::until;
use trainyard_eliza::Backend;

/// Nothing, unless this binary was started as [`Serving`]: then a server with a program that trains.
#[test]
fn child() {
    let Some(folder) = serving::folder() else { return };
    let program = Program::new(&folder);
    let config = config(&folder, &program).with_eliza_command(Backend::Cpu, program.command());
    serving::serve(config, |_| {});
}

fn start(folder: &Path) -> (Serving, Agent) {
    let serving = Serving::start(folder);
    let agent = Agent::new(&serving.url);
    (serving, agent)
}

fn send(agent: &Agent, count: u64) {
    let some: Vec<Value> = (0..count).map(|n| trajectory(&format!("t{n}"), "completed")).collect();
    agent.send(&some);
}

fn is_at_gate(agent: &Agent, job: &str) -> bool {
    agent.job(job)["logs"].as_array().expect("a list").contains(&json!("at the gate"))
}

/// With a training whose program waits at its third step of five.
fn at_gate(folder: &Path) -> (Program, Serving, Agent, String) {
    let program = Program::new(folder);
    let (serving, agent) = start(folder);
    send(&agent, 3);
    program.wait_at(3);
    let job = agent.start(&json!({ "backend": "cuda", "iterations": 5 }));
    until("it is at the gate", || is_at_gate(&agent, &job));
    (program, serving, agent, job)
}

fn lines_of(agent: &Agent, job: &str, begin: &str) -> usize {
    let job = agent.job(job);
    let logs = job["logs"].as_array().expect("a list").iter();
    logs.filter(|line| line.as_str().is_some_and(|line| line.starts_with(begin))).count()
}

#[test]
fn a_program_goes_on_while_nobody_is_there_and_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let (program, mut serving, agent, job) = at_gate(folder.path());
    let before = agent.job(&job);
    serving.process.kill().unwrap();
    drop(serving);

    let (mut serving, agent) = start(folder.path());
    assert!(!serving.opened.contains("1 attempt interrupted"), "{}", serving.opened);
    until("what it has said is known again", || is_at_gate(&agent, &job));
    let after = agent.job(&job);
    assert_eq!(after["status"], "running");
    assert!(after["progress"].as_f64() >= before["progress"].as_f64(), "progress never falls: {after}");
    serving.process.kill().unwrap();
    drop(serving);
    // It ends while nobody is there.
    program.let_go();
    let done = folder.path().join("work");
    until("it has ended", || has_file(&done, "adapters.safetensors"));

    let (mut serving, agent) = start(folder.path());
    until("it is known", || agent.is(&job, "completed"));
    let completed = agent.job(&job);
    assert_eq!((&completed["exitCode"], &completed["progress"]), (&json!(0), &json!(1.0)), "{completed}");
    assert_eq!(lines_of(&agent, &job, "Iter "), 5, "every line once: {completed}");
    assert_eq!(lines_of(&agent, &job, "Starting training"), 1, "it was started once");
    let models = agent.list("models");
    assert_eq!((models.len(), &models[0]["name"]), (1, &json!("eliza-v1")));
    serving.process.kill().unwrap();
    drop(serving);
    let (mut serving, agent) = start(folder.path());
    assert_eq!((agent.job(&job), agent.list("models")), (completed, models), "for ever");
    serving.stop();
}

#[test]
fn a_program_that_breaks_while_nobody_is_there_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let (program, mut serving, _, job) = at_gate(folder.path());
    serving.process.kill().unwrap();
    drop(serving);
    program.say("broken"); // it ends with another code while nobody is there
    fs::remove_file(program.folder.join("waits-at")).unwrap();

    let (mut serving, agent) = start(folder.path());
    until("it is over", || agent.job(&job)["status"] != "running" && agent.job(&job)["status"] != "queued");
    let over = agent.job(&job);
    assert_eq!((&over["status"], &over["exitCode"]), (&json!("failed"), &json!(7)), "{over}");
    assert_eq!(agent.list("models").len(), 0);
    let again = agent.start(&json!({ "backend": "cuda", "iterations": 5 }));
    until("another one is trained", || agent.is(&again, "completed"));
    serving.stop();
}

#[test]
fn a_program_that_was_killed_with_its_server_is_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let (program, mut serving, _, job) = at_gate(folder.path());
    serving.process.kill().unwrap();
    drop(serving);
    // As when the machine loses its power: nobody is left to say how it ended.
    let records = fs::read_dir(folder.path().join("eliza/processes")).unwrap().flatten();
    let record = records.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "json"));
    let record: Value = serde_json::from_slice(&fs::read(record.unwrap()).unwrap()).unwrap();
    let group = format!("-{}", record["process"]["pid"]);
    assert!(Command::new("kill").args(["-9", "--", &group]).status().unwrap().success());
    fs::remove_file(program.folder.join("waits-at")).unwrap();

    let (mut serving, agent) = start(folder.path());
    until("it is trained", || agent.is(&job, "completed"));
    let completed = agent.job(&job);
    assert_eq!(
        (&completed["exitCode"], &completed["currentIteration"]),
        (&json!(0), &json!(5)),
        "{completed}"
    );
    assert_eq!(agent.list("models").len(), 1);
    serving.stop();
}

#[test]
fn a_training_that_was_cancelled_stays_cancelled_and_its_program_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (program, mut serving, agent, job) = at_gate(folder.path());
    agent.done(&format!("jobs/{job}/cancel"), &Value::Null);
    serving.process.kill().unwrap();
    drop(serving);
    let (mut serving, agent) = start(folder.path());
    assert_eq!(agent.job(&job)["status"], "cancelled");
    fs::remove_file(program.folder.join("waits-at")).unwrap();
    let next = agent.start(&json!({ "backend": "cuda", "iterations": 2 }));
    until("the next one is trained", || agent.is(&next, "completed"));
    assert!(serving.hear("trained an agent on ").starts_with("\"dataset-"));
    serving.stop();
}

#[test]
fn half_a_dataset_is_none() {
    // Whoever is held up kills a server that has built all of it, and tries again.
    let folder = (0..20).find_map(|_| killed_while_it_builds()).expect("one is killed in the middle");
    let datasets = folder.path().join("eliza/datasets");
    let (mut serving, agent) = start(folder.path());
    assert_eq!((agent.list("datasets"), fs::read_dir(&datasets).unwrap().count()), (vec![], 0));
    let whole = agent.done("datasets/build", &json!({ "limit": 5_000 }))["dataset"].clone();
    assert_eq!((&whole["trajectoryCount"], &whole["exampleCount"]), (&json!(400), &json!(400)));
    serving.process.kill().unwrap();
    drop(serving);
    let (mut serving, agent) = start(folder.path());
    assert_eq!(agent.list("datasets"), [whole]);
    serving.stop();
}

/// A folder with half a dataset of 400 trajectories, unless it was killed too late.
fn killed_while_it_builds() -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut serving, agent) = start(folder.path());
    let long = "I answer at length. ".repeat(500);
    for batch in 0..16 {
        let some: Vec<Value> =
            (0..25).map(|n| trajectory_saying(&format!("{batch}-{n}"), "completed", &long)).collect();
        agent.send(&some);
    }
    let datasets = folder.path().join("eliza/datasets");
    let is_building = || {
        let names = fs::read_dir(&datasets).expect("a folder").flatten();
        names.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".building"))
    };
    let asks = thread::spawn({
        let agent = agent.clone();
        move || agent.try_post("datasets/build", &json!({ "limit": 5_000 }))
    });
    until("it is being built", || is_building() || asks.is_finished());
    serving.process.kill().expect("it runs");
    drop(serving);
    let is_answered = asks.join().expect("no panic").is_some();
    // Nobody was there to clear it away.
    assert!(!(is_answered && is_building()), "half of it was told to be whole");
    is_building().then_some(folder)
}

#[test]
fn trajectories_that_were_answered_are_there_and_count_once() {
    let folder = tempfile::tempdir().unwrap();
    let totals = |agent: &Agent| agent.read("auto/status");
    let (mut serving, agent) = start(folder.path());
    send(&agent, 30);
    let before = totals(&agent);
    serving.process.kill().unwrap();
    drop(serving);
    let (mut serving, agent) = start(folder.path());
    assert_eq!((agent.read("trajectories")["total"].clone(), totals(&agent)), (json!(30), before.clone()));
    send(&agent, 30);
    assert_eq!((agent.read("trajectories")["total"].clone(), totals(&agent)), (json!(30), before));
    serving.stop();
}

#[test]
fn a_full_disk_refuses_a_dataset_and_trajectories_and_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(NARROW), "4096").unwrap();
    let (mut serving, agent) = start(folder.path());
    send(&agent, 3);
    let long = "x".repeat(200_000);
    let mut refused = None;
    for batch in 0..60 {
        let some = Value::Array(vec![trajectory_saying(&format!("long-{batch}"), "completed", &long)]);
        let (status, answer) = agent.post("trajectories", some.to_string().as_bytes());
        if status != 201 {
            refused = Some((status, text(&answer["code"])));
            break;
        }
    }
    let (status, code) = refused.expect("a file of the catalogue cannot become so long");
    assert!(status >= 500, "{status} {code}");
    assert_eq!(agent.get("status").0, 200);
    let built = agent.build();
    assert!(built["trajectoryCount"].as_u64().unwrap() >= 3);
    serving.stop();
}

fn has_file(folder: &Path, name: &str) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name() == name || has_file(&entry.path(), name))
}
