//! What elizaOS's wire takes is bounded: bodies, trajectories, datasets, logs, the disk.
#![cfg(unix)]

mod support;

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use support::eliza::{Agent, trajectory, trajectory_saying};
use support::until_told;
use trainyard_eliza::Backend;
use trainyard_server::{ElizaCommand, Service, ServiceConfig};

/// Nobody waits for it, on a slow machine neither.
const SECONDS: Duration = Duration::from_secs(300);

fn config(folder: &Path) -> ServiceConfig {
    ServiceConfig::new(folder).with_listen("127.0.0.1:0".parse().expect("it is an address"))
}

fn open(config: ServiceConfig) -> (Service, Agent) {
    let (service, _) = Service::open(config).expect("it opens");
    let agent = Agent::new(service.url());
    (service, agent)
}

/// Trains for `cpu` with a few words of shell, in which `$0` is the folder for what is trained.
fn with_script(config: ServiceConfig, script: &str) -> ServiceConfig {
    let command = ElizaCommand::new("sh", ["-c", script, "{output}"]).expect("they are known");
    config.with_eliza_command(Backend::Cpu, command)
}

fn ids(agent: &Agent) -> Vec<String> {
    let listed = agent.read("trajectories");
    let rows = listed["trajectories"].as_array().expect("a list").iter();
    rows.map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

fn send(agent: &Agent, id: &str, status: &str) -> (u16, Value) {
    agent.post("trajectories", trajectory(id, status).to_string().as_bytes())
}

#[test]
fn what_is_too_long_or_no_trajectory_is_refused_and_nothing_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (service, agent) = open(config(folder.path()));
    let long = vec![b' '; (1 << 20) + 1];
    assert_eq!(agent.post("jobs", &long).0, 413);
    assert_eq!(agent.post("datasets/build", &long).0, 413);
    assert_eq!(agent.post("trajectories", &vec![b' '; (16 << 20) + 1]).0, 413);
    let two = format!("[{},{}]", trajectory("a", "completed"), r#"{"id":"b","startTime":"soon"}"#);
    let (status, refused) = agent.post("trajectories", two.as_bytes());
    assert_eq!((status, &refused["code"]), (400, &json!("INVALID_REQUEST")));
    assert!(refused["error"].as_str().unwrap().contains("startTime"), "{refused}");
    let (status, _) = agent.post(
        "trajectories",
        trajectory_saying("a", "completed", &"x".repeat(2 << 20)).to_string().as_bytes(),
    );
    assert_eq!(status, 400, "one of them has its own bound");
    assert_eq!(ids(&agent), [] as [&str; 0]);
    service.shutdown(SECONDS);
}

#[test]
fn the_oldest_that_is_over_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let (service, agent) =
        open(config(folder.path()).with_eliza_trajectories_max(2).with_eliza_datasets_max(2));
    for (id, status) in [("a", "active"), ("b", "completed"), ("c", "active")] {
        assert_eq!(send(&agent, id, status).0, 201);
    }
    assert_eq!(ids(&agent), ["c", "a"]);
    let (status, refused) = send(&agent, "d", "completed");
    assert!((400..600).contains(&status) && status != 500, "{status} {refused}");
    assert_eq!(ids(&agent), ["c", "a"], "all of them go on");
    assert_eq!(send(&agent, "a", "completed").0, 201);
    assert_eq!(send(&agent, "d", "completed").0, 201);
    assert_eq!(ids(&agent), ["d", "c"]);

    let built: Vec<Value> = (0..3).map(|_| agent.build()["id"].clone()).collect();
    let listed: Vec<Value> = agent.list("datasets").iter().map(|one| one["id"].clone()).collect();
    assert_eq!(listed, [built[2].clone(), built[1].clone()]);
    assert_eq!(fs::read_dir(folder.path().join("eliza/datasets")).unwrap().count(), 2);
    service.shutdown(SECONDS);
}

#[test]
fn on_a_full_disk_nothing_comes_in_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let (service, agent) = open(config(folder.path()));
    assert_eq!(send(&agent, "a", "completed").0, 201);
    service.shutdown(SECONDS);
    let (service, agent) = open(config(folder.path()).with_free_min(u64::MAX));
    let (status, refused) = send(&agent, "b", "completed");
    assert_eq!((status, &refused["error"]), (500, &json!("The disk is full")));
    let (status, refused) = agent.post("datasets/build", b"{}");
    assert_eq!((status, &refused["error"]), (500, &json!("The disk is full")));
    assert_eq!((ids(&agent), agent.list("datasets")), (vec!["a".to_owned()], vec![]));
    assert_eq!(fs::read_dir(folder.path().join("eliza/datasets")).unwrap().count(), 0);
    service.shutdown(SECONDS);
}

#[test]
fn a_program_that_talks_without_end_is_cut_short_in_what_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"mkdir "$0"; n=0; line=$(printf '%5000s' | tr ' ' x)
        while test $n -lt 3000; do n=$((n + 1)); echo "$n $line"; done; printf done > "$0/model""#;
    let (service, agent) = open(with_script(config(folder.path()), script));
    send(&agent, "a", "completed");
    let job = agent.start(&json!({ "backend": "cpu" }));
    until_told(service.yard(), "it is trained", || agent.is(&job, "completed"));
    let logs = agent.job(&job)["logs"].as_array().unwrap().clone();
    assert_eq!(logs.len(), 600);
    assert!(logs.iter().all(|line| line.as_str().unwrap().len() <= 2_048));
    assert!(logs[599].as_str().unwrap().starts_with("3000 x"), "the last ones");
    service.shutdown(SECONDS);
    let (service, agent) = open(config(folder.path()));
    assert_eq!(agent.job(&job)["logs"].as_array(), Some(&logs), "also after a restart");
    service.shutdown(SECONDS);
}

#[test]
fn a_program_that_leaves_nothing_or_is_not_there_fails_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let (service, agent) = open(with_script(config(folder.path()), "echo nothing; true"));
    send(&agent, "a", "completed");
    let failed = |service: &Service, agent: &Agent| {
        let job = agent.start(&json!({ "backend": "cpu" }));
        until_told(service.yard(), "it has failed", || agent.is(&job, "failed"));
        agent.job(&job)["error"].as_str().expect("it says why").to_owned()
    };
    let error = failed(&service, &agent);
    assert!(error.contains("output"), "{error}");
    service.shutdown(SECONDS);
    let nobody = ElizaCommand::new("no-such-program-anywhere", ["{output}"]).unwrap();
    let (service, agent) = open(config(folder.path()).with_eliza_command(Backend::Cpu, nobody));
    let error = failed(&service, &agent);
    assert!(!error.is_empty() && !error.contains("panic"), "{error}");
    assert_eq!(agent.read("status")["failedJobs"], 2);
    service.shutdown(SECONDS);
}

#[test]
fn many_who_send_the_same_at_once_count_once() {
    let folder = tempfile::tempdir().unwrap();
    let (service, agent) = open(config(folder.path()));
    let some: Vec<Value> = (0..20).map(|n| trajectory(&format!("t{n}"), "completed")).collect();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| some.chunks(3).for_each(|few| drop(agent.send(few))));
        }
    });
    assert_eq!(agent.read("trajectories")["total"], 20);
    let status = agent.read("auto/status").to_string();
    assert!(status.contains("20") && !status.contains("160"), "{status}");
    service.shutdown(SECONDS);
}
