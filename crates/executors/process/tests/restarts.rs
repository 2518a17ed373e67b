//! Processes that outlive the service that has started them, in an orderly way and otherwise.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::{Gate, Heard, Open, Rig, SAFETY, is_at_work, shell, stranger};
use trainyard_core::{Event, JobId, Outcome};
use trainyard_process::{Exit, last_lines};

const CHILD: &str = "TRAINYARD_PROCESS_TEST_IN";

/// Waits twice; says how it goes before, between and after.
fn script(gate: &Path) -> String {
    format!(
        r#"
        say() {{ printf '%s\n' "$1" >> "$TRAINYARD_EVENTS"; }}
        say '{{"seq":1,"kind":"progress","step":1,"total":3}}'
        echo one > state-1; say '{{"seq":2,"kind":"checkpoint","step":1,"uri":"state-1"}}'
        echo before; read -r word < {gate}
        say '{{"seq":3,"kind":"progress","step":2,"total":3}}'
        echo two > state-2; say '{{"seq":4,"kind":"checkpoint","step":2,"uri":"state-2"}}'
        echo between; read -r word < {gate}
        echo "by $PPID in attempt $TRAINYARD_ATTEMPT" > model
        say '{{"seq":5,"kind":"artifact","uri":"model"}}'
        say '{{"seq":6,"kind":"finished","outcome":"ok","metrics":{{"accuracy":0.75}}}}'
        echo after"#,
        gate = gate.display()
    )
}

fn lines(open: &Open) -> Vec<String> {
    let lines = open.all().into_iter().filter_map(|heard| match heard {
        Heard::Line(line) => Some(line),
        _ => None,
    });
    lines.collect()
}

#[test]
fn the_same_process_goes_on_after_a_shutdown() {
    let rig = Rig::new();
    let gate = rig.gate("gate");
    let open = rig.open();
    let mut changes = open.yard.subscribe();
    let job = open.submit(&script(&gate.path));
    let (pid, is_found) = open.until_began();
    assert!(!is_found);
    open.until_line("before");
    until_checkpoint(&mut changes);
    let report = open.shut_down();
    assert_eq!((report.attempts_interrupted, report.attempts_left), (0, 1));
    assert!(is_at_work(pid));

    let open = rig.open();
    assert_eq!((open.report.attempts_interrupted, open.report.recovering), (0, 1));
    let log = open.until(|heard| match heard {
        Heard::Began { pid: found, log, is_found: true } => (*found == pid).then(|| log.clone()),
        _ => None,
    });
    let mut changes = open.yard.subscribe();
    // All of it is told again to whoever watches, for nobody has kept it.
    open.until_line("before");
    assert_eq!(open.processes.clear_away(&open.yard).unwrap().ended, 0, "it is nobody's orphan");
    gate.open();
    open.until_line("between");
    let mut steps = Vec::new();
    gate.open();
    assert_eq!(lines(&open), ["after"]);
    support::until_finished(&mut changes, job, |event| {
        if let Event::Checkpointed { checkpoint, .. } = event {
            steps.push(checkpoint.step);
        }
    });
    assert_eq!(steps, [2], "the first was known");
    assert_eq!(open.model(job), format!("by {pid} in attempt 1\n"));
    assert_eq!(open.metric(job, "accuracy"), Some(0.75));
    assert_eq!((open.job(job).attempts.get(), open.job(job).interruptions), (1, 0));
    assert_eq!(last_lines(&log).unwrap(), ["before", "between", "after"]);
    open.shut_down();
}

fn until_checkpoint(changes: &mut trainyard_runtime::Subscription) {
    loop {
        if let trainyard_core::port::Change::Happened { fact, .. } = changes.next_timeout(SAFETY).unwrap()
            && matches!(fact.event, Event::Checkpointed { .. })
        {
            return;
        }
    }
}

#[test]
fn one_that_ended_while_nobody_watched_has_ended_well() {
    let rig = Rig::new();
    let gate = rig.gate("gate");
    let open = rig.open();
    let job = open.submit(&script(&gate.path));
    let (pid, _) = open.until_began();
    open.until_line("before");
    open.shut_down();
    let mut ended = Handle::of(pid);
    gate.open();
    gate.open();
    ended.wait();

    let open = rig.open();
    assert_eq!(open.until_began(), (pid, true));
    assert_eq!(open.until_ended(), Exit::Code(0));
    assert_eq!(open.model(job), format!("by {pid} in attempt 1\n"));
    open.shut_down();
}

#[test]
fn one_that_is_lost_goes_on_from_its_checkpoint() {
    let rig = Rig::new();
    let gate = rig.gate("gate");
    let open = rig.open();
    let mut changes = open.yard.subscribe();
    let job = open.submit(&script(&gate.path));
    let (pid, _) = open.until_began();
    open.until_line("before");
    until_checkpoint(&mut changes);
    open.shut_down();
    let mut ended = Handle::of(pid);
    kill_group(pid);
    ended.wait();

    let open = rig.open();
    gate.open();
    gate.open();
    assert!(open.model(job).ends_with("in attempt 2\n"));
    let second = open.until(|heard| match heard {
        Heard::Began { pid, is_found: false, .. } => Some(*pid),
        _ => None,
    });
    assert_ne!(second, pid);
    open.shut_down();
}

#[test]
fn it_can_be_cancelled_once_it_is_found() {
    let rig = Rig::new();
    let gate = rig.gate("gate");
    let open = rig.open();
    let job = open.submit(&script(&gate.path));
    let (pid, _) = open.until_began();
    open.until_line("before");
    open.shut_down();
    let open = rig.open();
    assert_eq!(open.until_began(), (pid, true));
    open.cancel(job);
    assert_eq!(open.until_ended().signal(), Some(15));
    assert!(!is_at_work(pid));
    assert!(matches!(open.outcome(job), Outcome::Cancelled { .. }));
    open.shut_down();
}

/// Where the record of a job's process is.
fn record(rig: &Rig, job: JobId) -> PathBuf {
    let records = std::fs::read_dir(rig.path("processes")).unwrap().map(|entry| entry.unwrap().path());
    let is_its = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(&job.to_string()) && name.ends_with(".json")
    };
    records.into_iter().find(is_its).unwrap()
}

/// The record of a job's process, changed by a hand.
fn forge(rig: &Rig, job: JobId, change: impl FnOnce(&mut serde_json::Value)) {
    let path = record(rig, job);
    let mut record = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut record);
    std::fs::write(&path, record.to_string()).unwrap();
}

#[test]
fn another_process_that_has_got_its_number_is_left_alone() {
    let rig = Rig::new();
    let Left { job, mut ended, pid, gate: _gate, .. } = left(&rig);
    kill_group(pid);
    ended.wait();
    let mut stranger = stranger();
    forge(&rig, job, |record| record["process"]["pid"] = stranger.id().into());

    let open = rig.open();
    assert_eq!(open.outcome(job), Outcome::Completed { model: None }, "in its second attempt");
    assert_eq!(open.processes.clear_away(&open.yard).unwrap().ended, 0);
    assert!(stranger.try_wait().unwrap().is_none(), "nobody has sent it a signal");
    open.shut_down();
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

/// A first attempt that was left at work and waits; a second ends at once.
struct Left {
    job: JobId,
    ended: Handle,
    pid: u32,
    log: PathBuf,
    gate: Gate,
}

fn left(rig: &Rig) -> Left {
    let gate = rig.gate("gate");
    let open = rig.open();
    let job = open.submit(&format!(
        "[ \"$TRAINYARD_ATTEMPT\" = 1 ] || exit 0; echo up; read -r word < {}",
        gate.path.display()
    ));
    let (pid, log) = open.until(|heard| match heard {
        Heard::Began { pid, log, .. } => Some((*pid, log.clone())),
        _ => None,
    });
    open.until_line("up");
    open.shut_down();
    assert!(is_at_work(pid));
    Left { job, ended: Handle::of(pid), pid, log, gate }
}

#[test]
fn one_whose_start_was_cut_short_is_started_under_the_same_lease() {
    let rig = Rig::new();
    let Left { job, mut ended, pid, gate, .. } = left(&rig);
    std::fs::remove_file(record(&rig, job)).unwrap();
    let open = rig.open();
    let (second, is_found) = open.until_began();
    assert!(second != pid && !is_found);
    ended.wait();
    gate.open();
    assert_eq!(open.outcome(job), Outcome::Completed { model: None });
    assert_eq!((open.job(job).attempts.get(), open.job(job).interruptions), (1, 0), "it is no mishap");
    open.shut_down();
}

#[test]
fn one_whose_record_cannot_be_read_is_ended_and_begun_anew() {
    for text in ["", "{\"process\":{\"pid\"", "{}", "\0\0"] {
        let rig = Rig::new();
        let Left { job, mut ended, gate: _gate, .. } = left(&rig);
        std::fs::write(record(&rig, job), text).unwrap();
        let open = rig.open();
        assert_eq!(open.outcome(job), Outcome::Completed { model: None }, "in its second attempt");
        assert_eq!(open.job(job).interruptions, 1);
        ended.wait();
        open.shut_down();
    }
}

#[test]
fn one_whose_files_cannot_be_followed_is_ended() {
    let rig = Rig::new();
    let Left { job, mut ended, log, gate: _gate, .. } = left(&rig);
    let folder = log.parent().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    let open = rig.open();
    let Outcome::Failed { reason } = open.outcome(job) else { panic!("it fails") };
    assert!(reason.as_str().starts_with("could not read what it writes"), "{reason}");
    ended.wait();
    open.shut_down();

    let rig = Rig::new();
    let Left { job, mut ended, log, gate: _gate, .. } = left(&rig);
    let other = rig.path("other");
    std::fs::write(&other, "::trainyard:: {}").unwrap();
    std::fs::remove_file(&log).unwrap();
    std::os::unix::fs::symlink(&other, &log).unwrap();
    let open = rig.open();
    assert!(matches!(open.outcome(job), Outcome::Failed { .. }), "a link is not followed");
    ended.wait();
    open.shut_down();
}

#[test]
fn a_restart_of_the_machine_loses_every_process() {
    let rig = Rig::new();
    let Left { job, mut ended, gate, .. } = left(&rig);
    gate.open();
    ended.wait();
    forge(&rig, job, |record| record["process"]["boot"] = "another".into());
    let open = rig.open();
    assert_eq!(open.outcome(job), Outcome::Completed { model: None });
    assert_eq!(open.job(job).attempts.get(), 2, "what it wrote may not have reached the disk");
    open.shut_down();
}

#[test]
fn a_process_whose_job_was_cancelled_meanwhile_is_cleared_away() {
    for how in ["polite", "stubborn", "unreadable"] {
        let rig = Rig::new();
        let gate = rig.gate("gate");
        let plan = |job: &_, folder: &_| Ok(shell(job, folder)?.with_grace(Duration::ZERO));
        let open = rig.open_with(plan, |trainer| trainer);
        let trap = if how == "stubborn" { "trap '' TERM" } else { ":" };
        let job = open.submit(&format!("{trap}; echo up; read -r word < {}", gate.path.display()));
        let (pid, _) = open.until_began();
        open.until_line("up");
        open.shut_down();
        // A yard with nobody to look for it: the run is over by the books.
        let elsewhere =
            trainyard_runtime::Trainyard::builder(rig.dir.path()).journal(support::journal_of(&rig));
        let (yard, _) = elsewhere.start().unwrap();
        assert!(matches!(yard.finished(job).wait_timeout(SAFETY), Ok(Ok(Outcome::Failed { .. }))));
        yard.shutdown(SAFETY).wait_timeout(SAFETY).unwrap().unwrap();
        assert!(is_at_work(pid));
        if how == "unreadable" {
            std::fs::write(record(&rig, job), "{").unwrap();
        }

        let open = rig.open();
        let mut ended = Handle::of(pid);
        assert_eq!(open.processes.clear_away(&open.yard).unwrap().ended, 1);
        ended.wait();
        assert_eq!(std::fs::read_dir(rig.path("processes")).unwrap().count(), 0, "nothing is left of it");
        assert_eq!(open.processes.clear_away(&open.yard).unwrap().ended, 0);
        open.shut_down();
    }
}

/// Nothing, unless this binary was started by the test below: then a service that trains until it is killed.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let plan = |job: &_, folder: &_| Ok(shell(job, folder)?.with_inherited_env());
    let open = support::open(&folder, plan, |trainer| trainer);
    // What trainyard itself is told is no business of its trainers, even if all the rest is passed on.
    let check = format!("[ -z \"${{{CHILD}:-}}\" ] || exit 65; [ -n \"${{OF_THE_SERVICE:-}}\" ] || exit 66");
    let job = open.submit(&format!("{check}; {}", script(&folder.join("gate"))));
    let (pid, _) = open.until_began();
    open.until_line("before");
    println!("\n> {job} {pid}");
    open.outcome(job);
}

#[test]
fn the_same_process_goes_on_after_its_service_was_killed() {
    let rig = Rig::new();
    let gate = Gate::make(&rig.path("gate"));
    let mut service: Child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, rig.dir.path())
        .env("OF_THE_SERVICE", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(service.stdout.take().unwrap()).lines();
    let said =
        said.map_while(Result::ok).find_map(|line| line.strip_prefix("> ").map(str::to_owned)).unwrap();
    let (job, pid) = said.split_once(' ').unwrap();
    let (job, pid): (JobId, u32) = (JobId::new(job.parse().unwrap()), pid.parse().unwrap());
    service.kill().unwrap();
    service.wait().unwrap();
    assert!(is_at_work(pid), "it goes on without its service");
    gate.open();

    let open = rig.open();
    assert_eq!((open.report.attempts_interrupted, open.report.recovering), (0, 1));
    assert_eq!(open.until_began(), (pid, true));
    open.until_line("between");
    gate.open();
    assert_eq!(open.model(job), format!("by {pid} in attempt 1\n"));
    assert_eq!(open.until_ended(), Exit::Code(0));
    open.shut_down();
}

/// Something to wait for the end of a process with that is no child.
struct Handle(std::os::fd::OwnedFd);

impl Handle {
    fn of(pid: u32) -> Self {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        Self(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap())
    }

    fn wait(&mut self) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let safety = Timespec { tv_sec: 300, tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&safety)), Ok(1), "it ends");
    }
}

fn kill_group(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process_group(pid, rustix::process::Signal::KILL).unwrap();
}
