//! elizaOS's wire in one process: trajectories come in, a dataset is built, a program trains, also after a restart.
#![cfg(unix)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::eliza::{Agent, FakeOllama, Program, config, text, trajectory};
use support::{LONG, until, until_told};
use trainyard_eliza::{Absence, Backend, Runtime, Settings};
use trainyard_http::secret::Secret;
use trainyard_process::AtShutdown;
use trainyard_server::{ElizaCommand, OpenError, Presence, Service, ServiceConfig, ValidateCommand};

/// Nobody waits for it, on a slow machine neither.
const SECONDS: Duration = Duration::from_secs(300);

fn open(config: ServiceConfig) -> (Service, Agent) {
    let (service, _) = Service::open(config).expect("the folder can be opened");
    let agent = Agent::new(service.url());
    (service, agent)
}

/// The yard is not told of lines, so this has to be asked for.
fn is_at_gate(agent: &Agent, job: &str) -> bool {
    agent.job(job)["logs"].as_array().expect("a list").contains(&json!("at the gate"))
}

fn completed(count: u64) -> Vec<Value> {
    (0..count).map(|n| trajectory(&format!("t{n}"), "completed")).collect()
}

#[test]
fn from_trajectories_to_a_model_that_is_used_and_all_of_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path());
    let figures =
        r#"test -f "$0/adapters.safetensors" && echo '{"coherence":0.9,"consistency":0.5,"helpfulness":1}'"#;
    let config =
        || config(folder.path(), &program).with_eliza_benchmark(ValidateCommand::new("sh", ["-c", figures]));
    let (service, agent) = open(config());
    assert_eq!(agent.read("status")["runtimeAvailable"], true);
    assert_eq!(agent.read("backends")["backends"]["cuda"], true);
    agent.send(&completed(12));
    let listed = agent.read("trajectories?limit=5&offset=1");
    assert_eq!((&listed["total"], &listed["trajectories"][0]["id"]), (&json!(12), &json!("t10")));

    let dataset = agent.build();
    assert_eq!((&dataset["trajectoryCount"], &dataset["exampleCount"]), (&json!(12), &json!(12)));
    let jsonl = fs::read_to_string(text(&dataset["jsonlPath"])).unwrap();
    assert_eq!(jsonl.lines().count(), 12);
    assert!(!jsonl.contains("example.com") && jsonl.contains("[REDACTED_EMAIL]"), "{jsonl}");
    assert_eq!(fs::read_dir(text(&dataset["trajectoryDir"])).unwrap().count(), 12);

    program.wait_at(2);
    let job = agent
        .start(&json!({ "datasetId": dataset["id"], "backend": "cuda", "iterations": 4, "model": "small" }));
    until("it is at the gate, and how far it is is known", || {
        is_at_gate(&agent, &job) && agent.job(&job)["loss"] == 0.88
    });
    let running = agent.job(&job);
    assert_eq!((&running["status"], &running["loss"]), (&json!("running"), &json!(0.88)), "{running}");
    assert_eq!((&running["currentIteration"], &running["totalIterations"]), (&json!(2), &json!(4)));
    assert!(running["progress"].as_f64().unwrap() >= 0.5, "{running}");
    assert_eq!(agent.read("status")["runningJobs"], 1);
    program.let_go();
    until_told(service.yard(), "it is trained", || agent.is(&job, "completed"));
    let after = agent.job(&job);
    assert_eq!((&after["progress"], &after["exitCode"]), (&json!(1.0), &json!(0)), "{after}");

    let [model] = &agent.list("models")[..] else { panic!("one model") };
    let id = text(&model["id"]);
    assert_eq!((&model["name"], &model["backend"]), (&json!("eliza-v1"), &json!("cuda")), "{model}");
    assert_eq!((&model["sourceModel"], &model["active"]), (&json!("small"), &json!(false)));
    assert_eq!(after["modelId"], id.as_str());
    let adapter = text(&model["adapterPath"]);
    assert_eq!(
        fs::read_to_string(Path::new(&adapter).join("adapters.safetensors")).unwrap(),
        "weights of 4 steps"
    );

    let (refused, _) = agent.post(&format!("models/{id}/activate"), b"{}");
    assert_eq!(refused, 400, "it has no name yet");
    let ollama = FakeOllama::start();
    let import = json!({ "modelName": "mine", "ollamaUrl": ollama.url });
    let imported = agent.done(&format!("models/{id}/import-ollama"), &import)["model"].clone();
    assert_eq!((&imported["ollamaName"], &imported["ollamaModel"]), (&json!("mine"), &json!("mine")));
    let asked = ollama.asked();
    assert!(asked.iter().any(|asked| asked.body == b"weights of 4 steps"), "the adapter was uploaded");
    let create: Value = serde_json::from_slice(&asked.last().unwrap().body).unwrap();
    assert_eq!((&create["model"], &create["from"]), (&json!("mine"), &json!("small")), "{create}");
    let activated = agent.done(&format!("models/{id}/activate"), &json!({}));
    assert_eq!(
        (&activated["activeModel"], &activated["providerModel"]),
        (&json!("ollama/mine"), &json!("ollama/mine"))
    );
    let measured = agent.done(&format!("models/{id}/benchmark"), &json!({}));
    assert_eq!((&measured["status"], &measured["scores"]["coherence"]), (&json!("passed"), &json!(0.9)));

    let all = |agent: &Agent| {
        let lists = ["datasets", "jobs", "models"].map(|what| agent.list(what));
        (
            lists,
            agent.job(&job),
            agent.read("trajectories"),
            agent.read("trajectories/t3"),
            agent.read("status"),
        )
    };
    let before = all(&agent);
    service.shutdown(SECONDS);
    let (service, agent) = open(config());
    assert_eq!(all(&agent), before, "all of it is there after a restart");
    assert!(agent.list("models")[0]["active"].as_bool().unwrap());
    service.shutdown(SECONDS);
}

#[test]
fn a_training_goes_on_over_a_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path());
    let (service, agent) = open(config(folder.path(), &program));
    agent.send(&completed(3));
    program.wait_at(2);
    let job = agent.start(&json!({ "backend": "cuda", "iterations": 3 }));
    until("it is at the gate", || is_at_gate(&agent, &job));
    let closed = service.shutdown(SECONDS);
    let left = closed.yard.unwrap();
    assert_eq!((left.attempts_left, left.attempts_interrupted), (1, 0), "{closed}");
    let (service, agent) = open(config(folder.path(), &program));
    assert_eq!(agent.job(&job)["status"], "running");
    program.let_go();
    until_told(service.yard(), "it is trained", || agent.is(&job, "completed"));
    let logs = agent.job(&job)["logs"].clone();
    let began = logs.as_array().unwrap().iter().filter(|line| line.as_str().unwrap().starts_with("Starting"));
    assert_eq!(began.count(), 1, "{logs}");
    service.shutdown(SECONDS);
}

#[test]
fn a_training_that_is_stopped_at_shutdown_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path());
    let config = || config(folder.path(), &program).with_eliza_at_shutdown(AtShutdown::Stop);
    let (service, agent) = open(config());
    agent.send(&completed(3));
    program.wait_at(1);
    let job = agent.start(&json!({ "backend": "cuda", "iterations": 2 }));
    until("it is at the gate", || is_at_gate(&agent, &job));
    let closed = service.shutdown(LONG);
    let left = closed.yard.expect("the yard was shut down");
    assert_eq!((left.attempts_left, left.attempts_interrupted), (0, 1), "{closed}");
    fs::remove_file(program.folder.join("waits-at")).unwrap();
    let (service, agent) = open(config());
    until_told(service.yard(), "it is trained", || agent.is(&job, "completed"));
    let logs = agent.job(&job)["logs"].clone();
    let began = logs.as_array().unwrap().iter().filter(|line| line.as_str().unwrap().starts_with("Starting"));
    assert_eq!(began.count(), 2, "{logs}");
    service.shutdown(LONG);
}

#[test]
fn a_benchmark_does_not_outlive_its_service() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path());
    let at_work = folder.path().join("at-work");
    let script = r#"echo $$ > "$0.new" && mv "$0.new" "$0" && exec sleep 1000"#;
    let benchmark = ValidateCommand::new("sh", ["-c", script, at_work.to_str().unwrap()]);
    let settings = Settings::new().with_patience(Duration::ZERO);
    let config = config(folder.path(), &program).with_eliza(settings).with_eliza_benchmark(benchmark);
    let (service, agent) = open(config);
    agent.send(&completed(3));
    let job = agent.start(&json!({ "backend": "cuda", "iterations": 1 }));
    until_told(service.yard(), "it is trained", || agent.is(&job, "completed"));
    let model = text(&agent.job(&job)["modelId"]);
    assert_eq!(agent.post(&format!("models/{model}/benchmark"), b"").0, 202);
    until("it is at work", || at_work.exists());
    service.shutdown(LONG);
    let number = fs::read_to_string(&at_work).unwrap();
    let is_there = Command::new("kill").args(["-0", number.trim()]).output().unwrap().status.success();
    assert!(!is_there, "it is killed, and waited for");
}

#[test]
fn the_yard_knows_what_trained_a_model_when_the_catalogue_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path());
    let (service, agent) = open(config(folder.path(), &program));
    agent.send(&completed(3));
    let dataset = agent.build();
    let job = agent.start(&json!({ "backend": "cuda", "iterations": 1, "model": "small" }));
    until_told(service.yard(), "it is trained", || agent.is(&job, "completed"));
    let [before] = &agent.list("models")[..] else { panic!("one model") };
    service.shutdown(LONG);
    for ending in ["", "-wal", "-shm"] {
        drop(fs::remove_file(folder.path().join(format!("eliza/catalog.sqlite{ending}"))));
    }
    let (service, agent) = open(config(folder.path(), &program));
    let [after] = &agent.list("models")[..] else { panic!("one model") };
    for what in ["id", "backend", "sourceModel", "adapterPath", "datasetId"] {
        assert_eq!(after[what], before[what], "{what}");
    }
    assert_eq!(agent.list("datasets"), [dataset], "a whole folder is listed again");
    service.shutdown(LONG);
    // The other way round: what is known of jobs is gone, and what was built is not.
    for ending in ["", "-wal", "-shm"] {
        drop(fs::remove_file(folder.path().join(format!("yard.sqlite{ending}"))));
    }
    // That this is wanted has to be said.
    let refused = Service::open(config(folder.path(), &program)).map(drop).unwrap_err();
    assert!(matches!(&refused, OpenError::Journal(error) if error.is_corrupt()), "{refused:?}");
    fs::remove_file(folder.path().join("yard.sqlite.lock")).unwrap();
    let (service, agent) = open(config(folder.path(), &program));
    assert_eq!((agent.list("jobs").len(), agent.list("models").len()), (0, 0));
    let again = agent.start(&json!({ "backend": "cuda", "iterations": 1 }));
    until_told(service.yard(), "another one is trained", || agent.is(&again, "completed"));
    service.shutdown(LONG);
}

#[test]
fn a_model_whose_folder_is_gone_is_shown_and_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path());
    let config =
        || config(folder.path(), &program).with_eliza_benchmark(ValidateCommand::new("test", ["-d"]));
    let (service, agent) = open(config());
    agent.send(&completed(3));
    let job = agent.start(&json!({ "backend": "cuda", "iterations": 1 }));
    until_told(service.yard(), "it is trained", || agent.is(&job, "completed"));
    let [model] = &agent.list("models")[..] else { panic!("one model") };
    let id = text(&model["id"]);
    agent.done(&format!("models/{id}/activate"), &json!({ "providerModel": "mine" }));
    let measured =
        |agent: &Agent| agent.done(&format!("models/{id}/benchmark"), &json!({}))["status"].clone();
    assert_eq!(measured(&agent), "passed");
    fs::remove_dir_all(text(&model["modelPath"])).unwrap();
    let check = |agent: &Agent| {
        let [model] = &agent.list("models")[..] else { panic!("one model") };
        assert_eq!((&model["active"], &model["providerModel"]), (&json!(true), &json!("mine")));
        let ollama = FakeOllama::start();
        let import = json!({ "ollamaUrl": ollama.url }).to_string();
        let (status, refused) = agent.post(&format!("models/{id}/import-ollama"), import.as_bytes());
        assert_eq!((status, ollama.asked().len()), (400, 0), "{refused}");
        assert_eq!(measured(agent), "failed");
    };
    check(&agent);
    service.shutdown(LONG);
    let (service, agent) = open(config());
    check(&agent);
    service.shutdown(LONG);
}

#[test]
fn what_fails_says_why_and_keeps_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path());
    let (service, agent) = open(config(folder.path(), &program));
    agent.send(&completed(3));
    program.wait_at(1);
    let job = agent.start(&json!({ "backend": "cuda", "iterations": 2 }));
    program.say("no memory");
    until_told(service.yard(), "it has failed", || agent.is(&job, "failed"));
    let failed = agent.job(&job);
    assert_eq!((&failed["exitCode"], &failed["modelId"]), (&json!(7), &Value::Null), "{failed}");
    let logs = failed["logs"].as_array().unwrap();
    assert!(logs.contains(&json!("told to break: no memory")), "{failed}");
    assert!(failed["error"].as_str().unwrap().contains('7'), "{failed}");
    assert_eq!(agent.list("models").len(), 0);
    assert_eq!(agent.read("status")["failedJobs"], 1);
    service.shutdown(SECONDS);

    let (service, agent) = open(config(folder.path(), &program));
    assert_eq!(agent.job(&job), failed);
    service.shutdown(SECONDS);
}

#[test]
fn a_cancelled_training_is_over_at_once_and_its_program_too() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path());
    let (service, agent) = open(config(folder.path(), &program));
    agent.send(&completed(3));
    program.wait_at(1);
    let job = agent.start(&json!({ "backend": "cuda", "iterations": 2 }));
    let next = agent.start(&json!({ "backend": "cuda", "iterations": 3 }));
    until("it is at the gate", || is_at_gate(&agent, &job));
    assert_eq!(agent.job(&next)["status"], "queued", "one at a time");
    let cancelled = agent.done(&format!("jobs/{job}/cancel"), &Value::Null)["job"].clone();
    assert_eq!(cancelled["status"], "cancelled");
    // It runs only when the first one's program has ended.
    until("the next one is at the gate", || is_at_gate(&agent, &next));
    program.let_go();
    until_told(service.yard(), "the next one is trained", || agent.is(&next, "completed"));
    assert_eq!(agent.job(&job)["status"], "cancelled");
    service.shutdown(SECONDS);
}

#[test]
fn trajectories_of_a_file_come_in_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.jsonl");
    let lines: String = completed(200).iter().map(|line| format!("{line}\n")).collect();
    fs::write(&file, &lines).unwrap();
    let data = folder.path().join("data");
    let config = || {
        let listen = "127.0.0.1:0".parse().unwrap();
        ServiceConfig::new(&data).with_listen(listen).with_eliza_trajectories(&file)
    };
    let counts = |agent: &Agent| {
        let tasks = agent.read("auto/status");
        (agent.read("trajectories")["total"].clone(), tasks.to_string().matches("200").count() > 0)
    };
    for _ in 0..2 {
        let (service, agent) = open(config());
        assert_eq!(counts(&agent), (json!(200), true));
        service.shutdown(SECONDS);
    }
    // One more line is another file, of which one is new.
    fs::write(&file, format!("{lines}{}\n", trajectory("more", "active"))).unwrap();
    let (service, agent) = open(config());
    assert_eq!(agent.read("trajectories")["total"], 201);
    service.shutdown(SECONDS);
    fs::write(&file, format!("{lines}{{\"id\": 5}}\n")).unwrap();
    let error = Service::open(config()).unwrap_err();
    let told = trainyard_trainkit::told(&error);
    assert!(told.contains("history.jsonl") && told.contains("trajectory 201 (line 201)"), "{told}");
}

#[test]
fn only_so_many_trajectories_are_used() {
    let folder = tempfile::tempdir().unwrap();
    // It says what it was given, and leaves that.
    let script = r#"cat "$0/train.jsonl" "$0/valid.jsonl" | sort -u | wc -l | tr -d ' '; ls "$1" | wc -l | tr -d ' '; mkdir "$2""#;
    let command = ElizaCommand::new("sh", ["-c", script, "{data}", "{trajectories}", "{output}"]).unwrap();
    let config = ServiceConfig::new(folder.path())
        .with_listen("127.0.0.1:0".parse().unwrap())
        .with_eliza_command(Backend::Cpu, command.clone())
        .with_eliza_command(Backend::Cuda, command.with_presence(Presence::Assumed));
    let (service, agent) = open(config);
    agent.send(&completed(9));
    let dataset = agent.build();
    for (job, count) in [
        (json!({ "datasetId": dataset["id"], "backend": "cpu" }), "9"),
        (json!({ "datasetId": dataset["id"], "backend": "cpu", "maxTrajectories": 4 }), "4"),
        (json!({ "backend": "cuda", "maxTrajectories": 1 }), "1"),
        (json!({ "backend": "cuda", "maxTrajectories": 100 }), "9"),
    ] {
        let id = agent.start(&job);
        until_told(service.yard(), "it is trained", || agent.is(&id, "completed"));
        let logs = agent.job(&id)["logs"].clone();
        assert_eq!(logs, json!([count, count]), "{job}");
    }
    service.shutdown(SECONDS);
}

#[test]
fn who_may_come_in() {
    let folder = tempfile::tempdir().unwrap();
    let listen = || ServiceConfig::new(folder.path()).with_listen("127.0.0.1:0".parse().unwrap());
    let token = Secret::new("t0ken").unwrap();
    let (service, _) = open(listen().with_eliza(Settings::new().with_token(token)));
    let agent = |token: &str| Agent::new(service.url()).with_token(token);
    assert_eq!(agent("t0ken").get("status").0, 200);
    assert_eq!(agent("other").get("status").0, 401);
    assert_eq!(
        Agent::new(service.url()).get("no/such/path").0,
        401,
        "who may not ask is not told what there is"
    );
    let greeting = service.greeting("$KEY").with_eliza_placeholder("$TOKEN").to_string();
    assert!(greeting.contains("Bearer $TOKEN") && !greeting.contains("t0ken"), "{greeting}");
    service.shutdown(SECONDS);
    let (service, agent) = open(listen().with_eliza_runtime(Runtime::Absent(Absence::RuntimeNotStarted)));
    assert_eq!(agent.read("status")["runtimeAvailable"], false);
    let listed = agent.read("trajectories");
    assert_eq!((&listed["available"], &listed["reason"]), (&json!(false), &json!("runtime_not_started")));
    service.shutdown(SECONDS);
}

#[test]
fn a_token_that_had_to_be_made_is_shown_until_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let config = || {
        ServiceConfig::new(folder.path())
            .with_listen("0.0.0.0:0".parse().unwrap())
            .with_public_url("http://train.example.com".parse().unwrap())
            .with_cyborgdb(trainyard_cyborgdb::Settings::new().with_root_key(Secret::new("key").unwrap()))
    };
    let (mut first, mut is_told) = (None, false);
    for opening in 0..4 {
        let (service, opened) = Service::open(config()).unwrap();
        let url = format!("http://127.0.0.1:{}", service.local_addr().port());
        assert_eq!(Agent::new(&url).get("status").0, 401);
        assert_eq!(opened.eliza_token.is_none(), is_told, "at opening {opening}");
        if let Some(token) = &opened.eliza_token {
            assert!(!opened.to_string().contains(token.expose()));
            first.get_or_insert_with(|| token.expose().to_owned());
        }
        let token = first.clone().expect("nobody was told at first");
        assert_eq!(Agent::new(&url).with_token(&token).get("status").0, 200, "it stays the same");
        if opening == 1 {
            service.eliza_token_told().unwrap();
            is_told = true;
        }
        service.shutdown(SECONDS);
    }
}
