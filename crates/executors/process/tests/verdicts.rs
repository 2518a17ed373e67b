//! How processes end, and what that means for their jobs. Real processes, all of them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

mod support;

use std::time::Duration;

use rustix::fs::{CWD, Mode, mkfifoat};
use support::{Heard, Rig, kind};
use trainyard_core::{Backoff, Class, Outcome, QueueName, RetryPolicy};
use trainyard_process::{Exit, Launch};
use trainyard_runtime::TrainError;

#[test]
fn a_process_that_ends_well_completes_its_job() {
    let rig = Rig::new();
    let open = rig.open();
    assert_eq!(open.run("exit 0"), Outcome::Completed { model: None });
    assert_eq!(open.until_ended(), Exit::Code(0));
    let reports = "say() { echo \"$1\" >> \"$TRAINYARD_EVENTS\"; }\n";
    let ok = r#"say '{"seq":1,"kind":"started"}'; say '{"seq":2,"kind":"finished","outcome":"ok"}'"#;
    assert_eq!(open.run(&format!("{reports}{ok}")), Outcome::Completed { model: None });
    open.shut_down();
}

#[test]
fn one_that_reports_has_to_say_that_it_has_finished() {
    let rig = Rig::new();
    let open = rig.open();
    let failure = open.failure(r#"echo '::trainyard:: {"seq":1,"kind":"started"}'; echo bye"#);
    assert_eq!(failure, "it ended without having said that it has finished; its last lines:\nbye");
    let failure =
        open.failure(r#"echo '::trainyard:: {"kind":"finished","outcome":"error","message":"no data"}'"#);
    assert_eq!(failure, "no data (it ended with exit code 0)");
    open.shut_down();
}

#[test]
fn a_failure_is_told_in_words_with_the_last_lines() {
    let rig = Rig::new();
    let open = rig.open();
    assert_eq!(
        open.failure("echo one; echo two >&2; exit 7"),
        "it ended with exit code 7; its last lines:\none\ntwo"
    );
    assert_eq!(open.until_ended(), Exit::Code(7));
    assert_eq!(
        open.failure("printf 'half a line'; exit 1"),
        "it ended with exit code 1; its last lines:\nhalf a line"
    );
    let killed = open.failure("kill -SEGV $$");
    assert!(killed.starts_with("it was killed by SIGSEGV (exit code 139)"), "{killed}");
    open.until_ended();
    assert_eq!(open.until_ended().signal(), Some(11));
    open.shut_down();
}

#[test]
fn a_program_that_is_not_there_fails_for_good() {
    let rig = Rig::new();
    let plan = |_: &_, _: &_| Ok(Launch::new("no-such-program"));
    let open = rig.open_with(plan, |trainer| trainer);
    let class = Class { retry: retries(3), ..Class::new(kind(), QueueName::new("default").unwrap()) };
    let job = open.submit_of("", class);
    let Outcome::Failed { reason } = open.outcome(job) else { panic!("it fails") };
    assert!(reason.as_str().starts_with("its program was not found (exit code 127)"), "{reason}");
    assert_eq!(open.job(job).attempts.get(), 1, "another time it would not be there either");
    open.shut_down();

    let nowhere = |_: &_, _: &_| Ok(Launch::new("true").with_working_dir("/no/such/folder"));
    let open = rig.open_with(nowhere, |trainer| trainer);
    assert!(open.failure("").starts_with("could not start its process"));
    open.shut_down();
    let open = rig.open_with(|_: &_, _: &_| Ok(Launch::new("exit")), |trainer| trainer);
    assert!(open.failure("").starts_with("its program was not found"), "the shell's own commands are none");
    let refuses = |_: &_, _: &_| Err(TrainError::failed("no such dataset"));
    open.shut_down();
    let open = rig.open_with(refuses, |trainer| trainer);
    assert_eq!(open.failure(""), "no such dataset");
    open.shut_down();
    let patient = |_: &_, _: &_| Ok(Launch::new("true").with_grace(Duration::MAX));
    let open = rig.open_with(patient, |trainer| trainer.with_poll_every(Duration::MAX));
    assert_eq!(open.failure(""), "its grace is over 86400 seconds");
    open.shut_down();
    let many = |_: &_, _: &_| Ok(Launch::new("true").with_args(vec!["x"; 2_000]));
    let open = rig.open_with(many, |trainer| trainer);
    assert!(open.failure("").contains("1024 arguments"));
    open.shut_down();
}

fn retries(times: u32) -> RetryPolicy {
    RetryPolicy { retries_max: times, backoff: Backoff::new(Duration::ZERO, Duration::ZERO) }
}

#[test]
fn exit_codes_say_whether_another_try_makes_sense() {
    let rig = Rig::new();
    let open = rig.open();
    for (code, attempts) in [(75, 3), (1, 3), (65, 1), (78, 1)] {
        let class = Class { retry: retries(2), ..Class::new(kind(), QueueName::new("default").unwrap()) };
        let job = open.submit_of(&format!("exit {code}"), class);
        assert!(matches!(open.outcome(job), Outcome::Failed { .. }));
        assert_eq!(open.job(job).attempts.get(), attempts, "after exit code {code}");
    }
    open.shut_down();
}

#[test]
fn one_that_somebody_else_terminates_goes_on_from_its_checkpoint() {
    let rig = Rig::new();
    let open = rig.open();
    let script = r#"
        if grep -q '"resume_from": null' "$TRAINYARD_CONTEXT"; then
            echo seven > state-7
            echo '::trainyard:: {"seq":1,"kind":"checkpoint","step":7,"uri":"state-7"}'
            kill -TERM $$
        fi
        state=$(sed -n 's/.*"uri": "\(.*\)".*/\1/p' "$TRAINYARD_CONTEXT")
        echo "attempt $TRAINYARD_ATTEMPT went on from $(cat "$state")" > model
        echo '::trainyard:: {"seq":1,"kind":"artifact","uri":"model"}'
        echo '::trainyard:: {"seq":2,"kind":"finished","outcome":"ok"}'
    "#;
    let job = open.submit(script);
    assert_eq!(open.model(job), "attempt 2 went on from seven\n");
    assert_eq!((open.job(job).attempts.get(), open.job(job).interruptions), (2, 1));
    assert_eq!(open.until_ended(), Exit::Code(143));
    open.shut_down();
}

#[test]
fn one_that_is_killed_with_the_shell_around_it_is_lost() {
    let rig = Rig::new();
    let gate = rig.gate("gate");
    let open = rig.open();
    let job = open.submit(&format!(
        "[ \"$TRAINYARD_ATTEMPT\" = 1 ] || exit 0; echo here; read -r word < {}",
        gate.path.display()
    ));
    let (pid, _) = open.until_began();
    open.until_line("here");
    let group = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    assert_eq!(open.until_ended(), Exit::Lost);
    assert_eq!(open.outcome(job), Outcome::Completed { model: None });
    assert_eq!(open.job(job).attempts.get(), 2);
    open.shut_down();
}

#[test]
fn one_whose_shell_alone_is_killed_does_not_go_on_beside_the_next() {
    let rig = Rig::new();
    let (never, alive) = (rig.gate("never"), rig.path("alive"));
    mkfifoat(CWD, &alive, Mode::RUSR | Mode::WUSR).unwrap();
    let open = rig.open();
    let job = open.submit(&format!(
        "[ \"$TRAINYARD_ATTEMPT\" = 1 ] || exit 0; exec 9>{}; echo here; read -r word < {}",
        alive.display(),
        never.path.display()
    ));
    let reader = std::thread::spawn(move || std::fs::read(alive));
    let (pid, _) = open.until_began();
    open.until_line("here");
    let shell = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(shell, rustix::process::Signal::KILL).unwrap();
    assert_eq!(open.until_ended(), Exit::Lost);
    assert_eq!(reader.join().unwrap().unwrap(), b"", "the trainer, which had the pipe, is gone");
    assert_eq!(open.outcome(job), Outcome::Completed { model: None });
    open.shut_down();
}

#[test]
fn what_is_left_of_its_group_ends_with_it() {
    let rig = Rig::new();
    let (up, never, alive) = (rig.gate("up"), rig.gate("never"), rig.path("alive"));
    let open = rig.open();
    mkfifoat(CWD, &alive, Mode::RUSR | Mode::WUSR).unwrap();
    let [up, never, name] = [&up.path, &never.path, &alive].map(|path| path.display());
    let job = open.submit(&format!(
        "sh -c 'trap \"\" HUP INT TERM; exec 9>{name}; echo > {up}; cat {never}' & read -r word < {up}"
    ));
    // The pipe ends when the last one that writes to it is gone, and that one hears of nothing.
    let reader = std::thread::spawn(move || std::fs::read(alive));
    assert_eq!(open.outcome(job), Outcome::Completed { model: None });
    assert_eq!(reader.join().unwrap().unwrap(), b"");
    open.shut_down();
}

#[test]
fn an_observer_that_panics_leaves_no_process_behind() {
    struct Panics(crossbeam_channel::Sender<u32>);
    impl trainyard_process::Observer for Panics {
        fn began(&self, _: trainyard_core::Run, process: &trainyard_process::Began<'_>) {
            self.0.send(process.pid).unwrap();
            panic!("an observer of a test");
        }
    }
    let rig = Rig::new();
    let gate = rig.gate("gate");
    let (tell, told) = crossbeam_channel::unbounded();
    let open = rig.open_with(support::shell, |trainer| trainer.with_observer(Panics(tell)));
    let failure = open.failure(&format!("cat {}", gate.path.display()));
    assert_eq!(failure, "panicked: an observer of a test");
    assert!(!support::is_at_work(told.recv().unwrap()));
    open.shut_down();
}

#[test]
fn only_what_is_passed_on_is_in_its_environment() {
    let rig = Rig::new();
    let plan = |job: &_, folder: &_| Ok(support::shell(job, folder)?.with_env("MINE", "a b$c"));
    let open = rig.open_with(plan, |trainer| trainer);
    open.run("env | sed 's/=.*//' | sort > names; echo \"$MINE\"; cat names");
    let lines: Vec<String> = open
        .all()
        .into_iter()
        .filter_map(|heard| match heard {
            Heard::Line(line) => Some(line),
            _ => None,
        })
        .collect();
    assert_eq!(lines[0], "a b$c");
    let known = ["MINE", "PWD", "OLDPWD", "_", "SHLVL", "PYTHONUNBUFFERED"];
    for name in &lines[1..] {
        let name = name.as_str();
        let is_ours =
            name.starts_with("TRAINYARD_") || known.contains(&name) || Launch::PASSED.contains(&name);
        assert!(is_ours, "{name} was passed on");
    }
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "there was something to keep back");
    open.shut_down();

    let plan = |job: &_, folder: &_| Ok(support::shell(job, folder)?.with_inherited_env());
    let open = rig.open_with(plan, |trainer| trainer);
    open.run("echo \"${CARGO_MANIFEST_DIR:-none}\"");
    open.until_line(env!("CARGO_MANIFEST_DIR"));
    open.shut_down();
}
