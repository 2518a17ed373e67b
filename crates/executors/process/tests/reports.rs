//! What processes say, by the file of events, on marked lines, and in the words of known programs.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

mod support;

use support::{Heard, Open, Rig, kind};
use trainyard_core::{Class, Event, Outcome, Progress, QueueName, Score};
use trainyard_process::formats::Format;
use trainyard_process::{LINES_MAX, Launch, last_lines};

const SAY: &str = "say() { printf '%s\\n' \"$1\" >> \"$TRAINYARD_EVENTS\"; }\n";

/// The lines that were shown.
fn told(open: &Open) -> Vec<String> {
    let lines = open.all().into_iter().filter_map(|heard| match heard {
        Heard::Line(line) => Some(line),
        _ => None,
    });
    lines.collect()
}

#[test]
fn progress_comes_by_the_file_and_on_marked_lines() {
    let rig = Rig::new();
    let gate = rig.gate("gate");
    let open = rig.open();
    let job = open.submit(&format!(
        r#"{SAY}
        say '{{"v":1,"seq":1,"t":1,"kind":"progress","step":5,"total":20,"phase":"fit","metrics":{{"loss":0.3}}}}'
        read -r word < {gate}
        echo '::trainyard:: {{"v":1,"seq":2,"kind":"progress","step":6,"total":20,"message":"on we go","metrics":{{"loss":0.2,"performance":0.7}}}}'
        read -r word < {gate}
        say '{{"v":1,"seq":3,"kind":"finished","outcome":"ok"}}'"#,
        gate = gate.path.display()
    ));
    let step =
        |n| move |heard: &Heard| matches!(heard, Heard::Progress(seen) if seen.step == Some(n)).then_some(());
    open.until(step(5));
    gate.open();
    open.until(step(6));
    let reported = open.yard.progress(job).unwrap();
    let wanted = Progress::step(6, 20).with_phase("fit").with_message("on we go");
    assert_eq!(reported, wanted.with_loss(0.2).unwrap().with_performance(0.7).unwrap());
    gate.open();
    assert!(open.outcome(job).is_completed());
    let best = open.job(job).standing().and_then(|standing| standing.window.best());
    assert_eq!(best, Some(Score::new(0.7).unwrap()), "it is durable");
    open.shut_down();
}

#[test]
fn half_a_line_waits_and_the_same_line_counts_once() {
    let rig = Rig::new();
    let gate = rig.gate("gate");
    let open = rig.open();
    let job = open.submit(&format!(
        r#"{SAY}
        printf '{{"seq":1,"kind":"log","mess' >> "$TRAINYARD_EVENTS"
        echo ready; read -r word < {gate}
        say 'age":"one"}}'
        say '{{"seq":1,"kind":"log","message":"one"}}'
        echo '::trainyard:: {{"seq":1,"kind":"log","message":"one"}}'
        say '{{"seq":3,"kind":"log","message":"three"}}'
        say '{{"seq":2,"kind":"log","message":"two, late"}}'
        printf '{{"seq":4,"kind":"finished","outcome":"error"}}' >> "$TRAINYARD_EVENTS""#,
        gate = gate.path.display()
    ));
    open.until_line("ready");
    gate.open();
    let lines = told(&open);
    assert_eq!(lines, ["one", "three", "two, late"]);
    let Outcome::Failed { reason } = open.outcome(job) else { panic!("half an event at the end is none") };
    assert!(reason.as_str().starts_with("it ended without having said that it has finished"));
    open.shut_down();
}

#[test]
fn junk_and_over_long_lines_do_no_harm() {
    let rig = Rig::new();
    let open = rig.open();
    let job = open.submit(&format!(
        r#"{SAY}
        head -c 300000 /dev/zero | tr '\0' x; echo
        printf '\377\376\000\033[31mred\033[0m\n'
        printf '::trainyard:: {{"kind":"log","message":"' ; head -c 70000 /dev/zero | tr '\0' y; echo '"}}'
        say 'no json'; say '{{"v":9,"kind":"log"}}'; say '{{"kind":"checkpoint"}}'; say '[1]'
        head -c 200000 /dev/urandom >> "$TRAINYARD_EVENTS"; say ''
        head -c 200000 /dev/urandom; echo
        say '{{"kind":"something new","x":[1]}}'
        say '{{"kind":"log","message":"still here"}}'
        say '{{"kind":"finished","outcome":"ok","metrics":{{"loss":0.5,"bad name \u0001":1,"text":"x"}}}}'"#
    ));
    let lines = told(&open);
    assert_eq!(lines[0].len(), 65_536, "cut");
    assert_eq!(lines[1], "\u{fffd}\u{fffd}red");
    assert!(lines.contains(&"still here".to_owned()));
    assert!(!lines.iter().any(|line| line.contains("yyy")), "an event that is too long is none");
    assert_eq!(open.outcome(job), Outcome::Completed { model: None });
    open.shut_down();
}

#[test]
fn checkpoints_and_artifacts_are_checked_before_they_count() {
    let rig = Rig::new();
    let gate = rig.gate("gate");
    let open = rig.open();
    let mut changes = open.yard.subscribe();
    let job = open.submit(&format!(
        r#"{SAY}
        sum() {{ sha256sum "$1" | cut -d ' ' -f 1; }}
        point() {{
            say "{{\"kind\":\"checkpoint\",\"step\":$1,\"uri\":\"$2\",\"sha256\":\"$3\"}}"
            say '{{"kind":"log","message":"said"}}'
            read -r word < {gate}
        }}
        cd "$(dirname "$TRAINYARD_CONTEXT")"
        echo a > checkpoints/a; echo b > checkpoints/b
        point 1 checkpoints/a $(sum checkpoints/b)
        point 2 checkpoints/missing $(sum checkpoints/b)
        point 3 ../../../node $(sum checkpoints/b)
        point 4 checkpoints/b $(sum checkpoints/b)
        echo model > out; say "{{\"kind\":\"artifact\",\"name\":\"model\",\"uri\":\"./out\",\"sha256\":\"$(sum out)\"}}"
        say '{{"kind":"finished","outcome":"ok","metrics":{{"accuracy":0.9}}}}'"#,
        gate = gate.path.display()
    ));
    for _ in 1..=4 {
        open.until_line("said");
        gate.open();
    }
    assert_eq!(open.model(job), "model\n");
    assert_eq!(open.metric(job, "accuracy"), Some(0.9));
    let mut steps = Vec::new();
    support::until_finished(&mut changes, job, |event| {
        if let Event::Checkpointed { checkpoint, .. } = event {
            steps.push(checkpoint.step);
        }
    });
    assert_eq!(steps, [4], "only that one was as it was said");

    let wrong = "0".repeat(64);
    let failure = open.failure(&format!(
        r#"echo x > out; echo '::trainyard:: {{"kind":"artifact","uri":"out","sha256":"{wrong}"}}'
        echo '::trainyard:: {{"kind":"finished","outcome":"ok"}}'"#
    ));
    assert!(
        failure.starts_with(
            "out has the SHA-256 73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac"
        )
    );
    for uri in ["/etc/passwd", "../x", "context.json/../../x", "."] {
        let failure = open.failure(&format!(
            r#"echo '::trainyard:: {{"kind":"artifact","uri":"{uri}"}}'
            echo '::trainyard:: {{"kind":"finished","outcome":"ok"}}'"#
        ));
        assert!(failure.ends_with("is not in the attempt's folder"), "{uri}: {failure}");
    }
    open.shut_down();
}

#[test]
fn stock_programs_are_followed_as_they_are() {
    let rig = Rig::new();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let plan = move |job: &trainyard_runtime::JobToTrain, _: &std::path::Path| {
        let name = std::str::from_utf8(job.parameters.as_bytes()).unwrap();
        Ok(Launch::new("sh")
            .with_args(["-c", "cat \"$1\" >&2", "sh"])
            .with_arg(format!("{fixtures}/{name}"))
            .with_formats([Format::Mlx, Format::Transformers, Format::Phases]))
    };
    let open = rig.open_with(plan, |trainer| trainer);
    for (name, step, loss) in [
        ("mlx_lm_0_21.txt", (Some(30), Some(30)), Some(1.691)),
        ("mlx_lm_0_32.txt", (Some(100), Some(100)), Some(1.721)),
        ("transformers_4.txt", (Some(30), Some(30)), Some(1.456)),
        ("transformers_5.txt", (Some(30), Some(30)), Some(1.456)),
        ("train_local.txt", (Some(10), None), Some(2.533)),
    ] {
        let job = open.submit(name);
        let all = open.all();
        let last = all.iter().rev().find_map(|heard| match heard {
            Heard::Progress(seen) => Some(seen.clone()),
            _ => None,
        });
        let last = last.unwrap_or_else(|| panic!("{name} says something"));
        assert_eq!(((last.step, last.total), last.loss), (step, loss), "{name}");
        assert_eq!(open.outcome(job), Outcome::Completed { model: None }, "{name}");
        if name == "train_local.txt" {
            assert_eq!(last.saved.as_deref(), Some("out/adapters"));
            assert_eq!(last.fraction, Some(0.95));
        }
    }
    open.shut_down();
}

#[test]
fn what_is_left_at_the_agreed_place_becomes_the_model() {
    let rig = Rig::new();
    let plan = |job: &_, folder: &_| Ok(support::shell(job, folder)?.with_result("out/model"));
    let open = rig.open_with(plan, |trainer| trainer);
    let job = open.submit("mkdir out; echo 'Iter 3: Train loss 0.25'; echo trained > out/model");
    assert_eq!(open.model(job), "trained\n");
    assert_eq!(open.metric(job, "loss"), Some(0.25));
    assert_eq!(open.failure("mkdir out"), "it has left nothing at out/model");
    open.shut_down();

    let plan = |job: &_, folder: &_| Ok(support::shell(job, folder)?.with_formats([Format::Phases]));
    let open = rig.open_with(plan, |trainer| trainer);
    let job = open.submit("echo weights > adapter; echo \"Model/adapter saved to: $PWD/adapter\"");
    assert_eq!(open.model(job), "weights\n");
    let job = open.submit("echo 'Model/adapter saved to: /etc/passwd'");
    assert_eq!(open.outcome(job), Outcome::Completed { model: None }, "that is not its own");
    open.shut_down();
}

#[test]
fn a_trainer_is_told_everything_in_a_file() {
    let rig = Rig::new();
    let plan = |job: &_, folder: &_| {
        Ok(support::shell(job, folder)?
            .with_parameters(serde_json::json!({ "rate": 0.5 }))
            .with_data("train", "/data/train.csv"))
    };
    let open = rig.open_with(plan, |trainer| trainer);
    let job = open.submit(
        "cat \"$TRAINYARD_CONTEXT\"; echo \"$TRAINYARD_RUN_ID $TRAINYARD_ATTEMPT\"; [ -d checkpoints ]",
    );
    let lines = told(&open);
    let (last, json) = lines.split_last().unwrap();
    let told: serde_json::Value = serde_json::from_str(&json.join("\n")).unwrap();
    let lease = last.split(['.', ' ']).nth(1).unwrap().to_owned();
    assert_eq!(*last, format!("{job}.{lease} 1"));
    assert_eq!(told["run"], format!("{job}.{lease}"));
    assert_eq!((&told["v"], &told["attempt"], &told["kind"]), (&1.into(), &1.into(), &"script".into()));
    assert_eq!((&told["params"]["rate"], &told["data"]["train"]), (&0.5.into(), &"/data/train.csv".into()));
    assert!(told["resume_from"].is_null() && told["deadline"].is_null() && told["candidate"].is_null());
    let folder = told["folder"].as_str().unwrap();
    assert_eq!(told["checkpoint_dir"], format!("{folder}/checkpoints"));
    assert!(open.outcome(job).is_completed());
    open.shut_down();
}

#[test]
fn a_log_that_grows_too_long_keeps_its_start_and_its_last_lines() {
    let rig = Rig::new();
    let plan = |job: &_, folder: &_| Ok(support::shell(job, folder)?.with_log_bytes_max(64 << 10));
    let open = rig.open_with(plan, |trainer| trainer);
    let gate = rig.gate("gate");
    let job = open.submit(&format!(
        "echo first; seq 1000000 1999999; echo last; read -r word < {}; exit 3",
        gate.path.display()
    ));
    let log = open.until(|heard| match heard {
        Heard::Began { log, .. } => Some(log.clone()),
        _ => None,
    });
    open.until(|heard| {
        matches!(heard, Heard::Line(line) if line.starts_with("trainyard: it prints")).then_some(())
    });
    open.until_line("last");
    let lines = last_lines(&log).unwrap();
    assert_eq!(lines.len(), LINES_MAX);
    assert_eq!((&*lines[0], &*lines[LINES_MAX - 2], &*lines[LINES_MAX - 1]), ("1999401", "1999999", "last"));
    let (written, disk) = support::sizes(&log);
    assert!(written > 7_000_000 && disk < 5_000_000, "{disk} of {written} bytes are on disk");
    let start = std::fs::read(&log).unwrap();
    assert!(start.starts_with(b"first\n1000000\n"));
    gate.open();
    assert!(matches!(open.outcome(job), Outcome::Failed { .. }));
    open.shut_down();
}

#[test]
fn a_trainer_with_nowhere_to_write_its_output_trains_all_the_same() {
    let rig = Rig::new();
    let open = rig.open();
    // As on a full disk: no file of its own may grow any more.
    let job = open.submit("echo before; trap '' XFSZ; ulimit -f 0; echo lost 2>/dev/null || true; exit 0");
    assert_eq!(open.outcome(job), Outcome::Completed { model: None });
    open.until_line("before");
    open.shut_down();
}

#[test]
fn a_candidate_of_a_contest_is_told_of_its_target() {
    use std::sync::Arc;
    use trainyard_core::{CandidateId, ContestPlan, Entrant, Label, Parameters, Subject, Submission};
    let rig = Rig::new();
    let script = r#"
        import json, os, signal, sys
        told = json.load(open(os.environ["TRAINYARD_CONTEXT"]))
        candidate, folder = told["candidate"], told["folder"]
        open(folder + "/model", "w").write(candidate["label"])
        def say(**event):
            with open(os.environ["TRAINYARD_EVENTS"], "a") as file:
                file.write(json.dumps(event) + "\n")
        if candidate["params"]["waits"]:
            signal.pause()
        say(kind="artifact", uri="model")
        with open(os.environ["TRAINYARD_EVENTS"], "a") as file:
            told = [{"kind": "progress", "step": n + 1, "metrics": {"performance": value}} for n, value in enumerate([candidate["target"], 0])]
            file.write("".join(json.dumps(event) + "\n" for event in told))
        signal.pause()
    "#;
    let lines: Vec<&str> = script.lines().map(|line| line.strip_prefix("        ").unwrap_or("")).collect();
    let script = lines.join("\n");
    let plan = move |_: &_, _: &_| Ok(Launch::new("python3").with_args(["-c", &*script]));
    let open = rig.open_with(plan, |trainer| trainer);
    let entrant = |n: u128, waits: bool| Entrant {
        id: CandidateId::from_u128(n),
        label: Label::new(format!("c{n}")).unwrap(),
        parameters: Parameters::new(format!("{{\"waits\": {waits}}}").into_bytes()).unwrap(),
    };
    let plan = ContestPlan {
        target: Score::new(0.5).unwrap(),
        candidates: [entrant(1, true), entrant(2, false)].into(),
        median: None,
    };
    let id = open.yard.job_id();
    let class = Class::new(kind(), QueueName::new("default").unwrap());
    let mut submission = Submission::new(id, Subject::new("contest").unwrap(), Arc::new(class));
    submission.contest = Some(Arc::new(plan));
    open.yard.submit(submission).wait_timeout(support::SAFETY).unwrap().unwrap();
    assert_eq!(open.model(id), "c2", "it was terminated at its target, and hands over what it has");
    open.shut_down();
}
