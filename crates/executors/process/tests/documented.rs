//! The trainers of `docs/PROTOCOL.md`, run as they stand there.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

mod support;

use support::{Heard, Rig, shell};
use trainyard_process::Launch;

const PROTOCOL: &str = include_str!("../../../../docs/PROTOCOL.md");

/// The one piece of code in a language.
fn code(language: &str) -> &'static str {
    let (_, rest) = PROTOCOL.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("\n```").unwrap().0
}

/// Runs the documented trainer; its first attempt, if the job's parameters say so, is only a checkpoint.
fn run(program: &'static str, language: &'static str, first: &str) -> (String, Vec<u64>, Option<f64>) {
    let rig = Rig::new();
    let open = rig.open_with(
        move |job, folder| match job.attempt.get() {
            1 if !job.parameters.as_bytes().is_empty() => shell(job, folder),
            _ => Ok(Launch::new(program).with_args(["-c", code(language)])),
        },
        |trainer| trainer,
    );
    let job = open.submit(first);
    let model = open.model(job);
    let mut steps = Vec::new();
    if !first.is_empty() {
        open.until_ended();
    }
    for heard in open.all() {
        if let Heard::Progress(seen) = heard {
            steps.extend(seen.step);
        }
    }
    let total = open.metric(job, "total");
    open.shut_down();
    (model, steps, total)
}

const PREEMPTED: &str = r#"
    echo 55 > checkpoints/10
    echo '::trainyard:: {"kind":"checkpoint","step":10,"uri":"checkpoints/10"}'
    kill -TERM $$"#;

#[test]
fn the_shell_trainer_trains_and_goes_on() {
    let (model, steps, _) = run("sh", "sh", "");
    assert_eq!(model, "twenty steps\n");
    assert_eq!(steps.last(), Some(&20));
    let (model, steps, _) = run("sh", "sh", PREEMPTED);
    assert_eq!(model, "twenty steps\n");
    assert!(steps.iter().all(|step| *step > 10), "{steps:?}");
}

#[test]
fn the_python_trainer_trains_and_goes_on() {
    let (model, steps, total) = run("python3", "python", "");
    assert_eq!((model.as_str(), total), ("210", Some(210.0)));
    assert_eq!(steps.last(), Some(&20));
    let (model, steps, total) = run("python3", "python", PREEMPTED);
    assert_eq!((model.as_str(), total), ("210", Some(210.0)), "1 to 10 come from the checkpoint");
    assert!(steps.iter().all(|step| *step > 10), "{steps:?}");
}
