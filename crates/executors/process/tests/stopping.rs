//! Processes that are told to stop: those that do, and those that do not.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

mod support;

use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, Mode, mkfifoat};
use support::{Rig, is_at_work, kind, shell, stopping, until_finished};
use trainyard_core::{Class, Event, Limits, Outcome, QueueName, TimedOut};
use trainyard_process::{Exit, Launch};
use trainyard_runtime::{JobToTrain, TrainError};

/// Says "up" and waits; when it is terminated it says "bye" and ends with 0.
fn polite(gate: &Path) -> String {
    format!(
        "trap 'echo bye; exit 0' TERM; echo up; while :; do read -r word < {} || true; done",
        gate.display()
    )
}

/// Hears of nothing.
fn stubborn(gate: &Path) -> String {
    format!("trap '' TERM HUP INT; echo up; while :; do read -r word < {} || true; done", gate.display())
}

fn without_grace(job: &JobToTrain, folder: &Path) -> Result<Launch, TrainError> {
    Ok(shell(job, folder)?.with_grace(Duration::ZERO))
}

#[test]
fn a_polite_process_is_terminated_and_ends_by_itself() {
    let rig = Rig::new();
    let gate = rig.gate("gate");
    let open = rig.open();
    let job = open.submit(&polite(&gate.path));
    let (pid, _) = open.until_began();
    open.until_line("up");
    open.cancel(job);
    open.until_line("bye");
    assert_eq!(open.until_ended(), Exit::Code(0));
    assert!(!is_at_work(pid));
    assert!(matches!(open.outcome(job), Outcome::Cancelled { .. }), "whatever it says");
    open.shut_down();
}

#[test]
fn a_process_that_does_nothing_about_it_is_terminated() {
    let rig = Rig::new();
    let gate = rig.gate("gate");
    let open = rig.open();
    let job = open.submit(&format!("echo up; cat {}", gate.path.display()));
    open.until_line("up");
    open.cancel(job);
    assert_eq!(open.until_ended().signal(), Some(15));
    open.shut_down();
}

#[test]
fn a_stubborn_process_is_killed_with_its_children() {
    let rig = Rig::new();
    let (gate, alive) = (rig.gate("gate"), rig.path("alive"));
    mkfifoat(CWD, &alive, Mode::RUSR | Mode::WUSR).unwrap();
    let open = rig.open_with(without_grace, |trainer| trainer);
    // Both the script and its child have the pipe; it ends when both are gone.
    let child = "(echo child; while :; do read -r word < $0 || true; done) &"
        .replace("$0", &gate.path.display().to_string());
    let job = open.submit(&format!(
        "trap '' TERM HUP INT; exec 9> {}; {child} {}",
        alive.display(),
        stubborn(&gate.path)
    ));
    let reader = std::thread::spawn(move || std::fs::read(alive));
    let (pid, _) = open.until_began();
    let mut wanted = vec!["up", "child"];
    while !wanted.is_empty() {
        let line = open.until(|heard| match heard {
            support::Heard::Line(line) => Some(line.clone()),
            _ => None,
        });
        wanted.retain(|word| *word != line);
    }
    let mut changes = open.yard.subscribe();
    open.cancel(job);
    until_finished(&mut changes, job, |_| {});
    reader.join().unwrap().unwrap();
    assert_eq!(open.until_ended(), Exit::Lost, "there was no time to write anything down");
    assert!(!is_at_work(pid));
    assert!(matches!(open.outcome(job), Outcome::Cancelled { .. }));
    open.shut_down();
}

#[test]
fn a_job_whose_time_is_over_has_its_process_stopped() {
    let rig = Rig::new();
    let gate = rig.gate("gate");
    let open = rig.open();
    let limits = Limits { time: Some(Duration::from_millis(50)), ..Limits::default() };
    let class = Class { limits, ..Class::new(kind(), QueueName::new("default").unwrap()) };
    let job = open.submit_of(&polite(&gate.path), class);
    let (pid, _) = open.until_began();
    assert_eq!(open.outcome(job), Outcome::TimedOut(TimedOut::Running));
    open.until_ended();
    assert!(!is_at_work(pid));
    open.shut_down();
}

#[test]
fn processes_may_be_stopped_with_their_service() {
    let rig = Rig::new();
    let gate = rig.gate("gate");
    let open = rig.open_with(shell, stopping);
    let script = format!(
        r#"
        if grep -q '"resume_from": null' "$TRAINYARD_CONTEXT"; then
            trap 'echo state > s; echo "::trainyard:: {{\"kind\":\"checkpoint\",\"step\":5,\"uri\":\"s\"}}"; exit 143' TERM
            echo up; while :; do read -r word < {} || true; done
        fi
        grep -A 1 resume_from "$TRAINYARD_CONTEXT" | tail -n 1 > model
        echo '::trainyard:: {{"kind":"artifact","uri":"model"}}'
        echo '::trainyard:: {{"kind":"finished","outcome":"ok"}}'"#,
        gate.path.display()
    );
    let job = open.submit(&script);
    let (pid, _) = open.until_began();
    open.until_line("up");
    let mut changes = open.yard.subscribe();
    let report = open.shut_down();
    assert_eq!((report.attempts_interrupted, report.attempts_left, report.stuck_threads), (1, 0, 0));
    assert!(!is_at_work(pid));
    let mut steps = Vec::new();
    while let Some(trainyard_core::port::Change::Happened { fact, .. }) = changes.next_timeout(Duration::ZERO)
    {
        if let Event::Checkpointed { checkpoint, .. } = &fact.event {
            steps.push(checkpoint.step);
        }
    }
    assert_eq!(steps, [5], "its last word is durable");

    let open = rig.open_with(shell, stopping);
    assert!(open.model(job).contains("\"step\": 5"), "it went on from there");
    assert_eq!(open.job(job).interruptions, 0, "which is no mishap");
    open.shut_down();
}
