//! Every phase of a job × every command that concerns it, as a text that people read and this test compares.
//!
//! Renew it with `TRAINYARD_RENEW_SNAPSHOTS=1 cargo test -p trainyard-core --test transitions`, then read the diff.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::fmt::Write;
use std::sync::Arc;

use support::desk::{Desk, NODE_LEASE, class, contest, on, outside, secs};
use support::score;
use trainyard_core::*;

/// A job in some phase, in a yard with one slot.
struct Case {
    desk: Desk,
    job: JobId,
    /// The run that commands write under.
    run: Run,
}

type Phase_ = (&'static str, fn() -> Case);
type Ask = (&'static str, fn(&mut Case) -> Command);

const PHASES: &[Phase_] = &[
    ("unknown", || {
        let mut desk = Desk::with_slots(1);
        let other = desk.submit("other", &tried(|_| {}));
        let run = Run { job: JobId::from_u128(99), ..desk.run(other) };
        Case { desk, job: run.job, run }
    }),
    ("waiting: no room", || {
        let mut desk = Desk::with_slots(1);
        desk.submit("other", &tried(|_| {}));
        let job = desk.submit("it", &tried(|_| {}));
        no_run(desk, job)
    }),
    ("waiting: not yet", || waiting(Some(secs(10)), |_| {})),
    ("waiting: the moment has come, nobody has looked", || {
        let mut case = waiting(Some(secs(10)), |_| {});
        case.desk.sleep_through(secs(20));
        case
    }),
    ("waiting: held", || {
        let mut case = waiting(None, |_| {});
        let reason = Reason::new("look first");
        case.desk.ok(&Command::Hold { job: case.job, reason });
        case.desk.join(1, Resources::slots(1));
        case
    }),
    ("waiting: held after three crashes", || {
        let mut case = running(|_| {});
        for _ in 0..3 {
            case.desk.join(1, Resources::slots(1));
        }
        case
    }),
    ("waiting: for another try", || {
        let mut case = running(|class| class.retry.retries_max = 2);
        case.desk.fail(case.job, Advice::Retry);
        case
    }),
    ("waiting: its queue time is over, nobody has looked", || {
        let mut case = waiting(Some(secs(60)), |class| class.limits.queue_time = Some(secs(10)));
        case.desk.sleep_through(secs(10));
        case
    }),
    ("running", || running(|_| {})),
    ("running: its last try", || {
        let mut case = running(|class| class.retry.retries_max = 1);
        case.desk.fail(case.job, Advice::Retry);
        case.desk.pass(secs(10));
        renewed(case)
    }),
    ("running: its time is over, nobody has looked", || {
        let mut case = running(|class| class.limits.time = Some(secs(10)));
        case.desk.sleep_through(secs(10));
        case
    }),
    ("running: stalled, nobody has looked", || {
        let stall = StallRule { gain: Gain::Steps(1), within: secs(10) };
        let mut case = running(|class| class.limits.stall = Some(stall));
        case.desk.sleep_through(secs(10));
        case
    }),
    ("running: its node is silent, nobody has looked", || {
        let mut case = running(|_| {});
        case.desk.sleep_through(NODE_LEASE);
        case
    }),
    ("running outside", || running(|class| class.kind = outside())),
    ("running outside: recovering", || {
        let mut case = running(|class| class.kind = outside());
        case.desk.join(1, Resources::slots(1));
        case
    }),
    ("running outside: its node is gone", || {
        let mut case = running(|class| class.kind = outside());
        leave(&mut case.desk);
        case
    }),
    ("draining", || {
        let mut case = running(|_| {});
        case.desk.cancel(case.job);
        case
    }),
    ("draining: its grace is over, nobody has looked", || {
        let mut case = running(|_| {});
        case.desk.cancel(case.job);
        case.desk.sleep_through(secs(30));
        case
    }),
    ("draining outside", || {
        let mut case = running(|class| class.kind = outside());
        case.desk.cancel(case.job);
        case
    }),
    ("finished: completed", || {
        let mut case = running(|_| {});
        case.desk.train(case.job, Metrics::new());
        case
    }),
    ("finished: completed, nothing to do", || {
        let mut case = running(|_| {});
        case.desk.complete(case.job);
        case
    }),
    ("finished: timed out", || {
        let mut case = running(|class| class.limits.time = Some(secs(10)));
        case.desk.pass(secs(60));
        case
    }),
    ("finished: timed out while waiting", || {
        let mut case = waiting(Some(secs(60)), |class| class.limits.queue_time = Some(secs(10)));
        case.desk.pass(secs(10));
        case
    }),
    ("finished: stalled", || {
        let stall = StallRule { gain: Gain::Steps(1), within: secs(10) };
        let mut case = running(|class| class.limits.stall = Some(stall));
        case.desk.pass(secs(60));
        case
    }),
    ("finished: cancelled", || {
        let mut case = waiting(Some(secs(60)), |_| {});
        case.desk.cancel(case.job);
        case
    }),
    ("finished: failed", || {
        let mut case = running(|_| {});
        case.desk.fail(case.job, Advice::Retry);
        case
    }),
    ("contest waiting", || {
        let mut desk = Desk::with_slots(1);
        let mut submission = desk.submission("it", &tried(|_| {}));
        submission.contest = Some(contest(2, None));
        submission.not_before = Some(desk.now.after(secs(10)));
        submission.key = Some(IdempotencyKey::new("key").unwrap());
        let (job, _) = desk.admit(submission).unwrap();
        no_run(desk, job)
    }),
    ("contest running", || contesting(|_| {})),
    ("contest running: the other one is out", || {
        let mut case = contesting(|_| {});
        let end = RunEnd::Failed(Failure { reason: Reason::new("broke"), advice: Advice::Retry });
        let run = case.desk.runs(case.job)[1];
        case.desk.ok(&Command::Finish { run, end });
        case
    }),
    ("contest running: the other one was stopped", || {
        let mut case = contesting(|_| {});
        let run = case.desk.runs(case.job)[1];
        case.desk.ok(&Command::Finish { run, end: RunEnd::Stopped });
        case
    }),
    ("contest running: this one is out, its thread goes on", || hanging(|_| {})),
    ("contest running: this one is out, its grace is over, nobody has looked", || {
        let mut case = hanging(|class| class.limits.grace = secs(2));
        case.desk.sleep_through(secs(2));
        case
    }),
    ("contest running: this one is out, the other one was stopped", || {
        let mut case = hanging(|_| {});
        let run = case.desk.runs(case.job)[1];
        case.desk.ok(&Command::Finish { run, end: RunEnd::Stopped });
        case
    }),
    ("contest running: as before, its grace is over, nobody has looked", || {
        let mut case = hanging(|class| class.limits.grace = secs(2));
        let run = case.desk.runs(case.job)[1];
        case.desk.ok(&Command::Finish { run, end: RunEnd::Stopped });
        case.desk.sleep_through(secs(2));
        case
    }),
    ("contest running: this one has reached the target", || {
        let mut case = contesting(|_| {});
        reach(&mut case, 0);
        case
    }),
    ("contest running: the other one has reached the target", || {
        let mut case = contesting(|_| {});
        reach(&mut case, 1);
        case
    }),
    ("contest running: this one has reached the target, the other one too and has handed over", || {
        let mut case = contesting(|_| {});
        reach(&mut case, 0);
        let run = case.desk.runs(case.job)[1];
        let end = completed(&mut case, Some(95));
        case.desk.ok(&Command::Finish { run, end });
        case
    }),
    ("contest running: this one has reached the target, its time is over, nobody has looked", || {
        let mut case = contesting(|class| class.limits.time = Some(secs(10)));
        reach(&mut case, 0);
        case.desk.sleep_through(secs(10));
        case
    }),
    ("contest running: as before, its grace is over too", || {
        let mut case = contesting(|class| class.limits.time = Some(secs(10)));
        reach(&mut case, 0);
        case.desk.sleep_through(secs(40));
        case
    }),
    ("contest draining: the other one has won", || {
        let mut case = contesting(|_| {});
        let run = case.desk.runs(case.job)[1];
        let end = completed(&mut case, Some(95));
        case.desk.ok(&Command::Finish { run, end });
        case
    }),
    ("contest finished: nobody has won", || {
        let mut case = contesting(|_| {});
        for run in case.desk.runs(case.job) {
            let end = completed(&mut case, Some(50));
            case.desk.ok(&Command::Finish { run, end });
        }
        case
    }),
];

const COMMANDS: &[Ask] = &[
    ("tick", |_| Command::Tick),
    ("submit: queue", |case| submit(case, Admission::Queue)),
    ("submit: join", |case| submit(case, Admission::Join)),
    ("submit: trail", |case| submit(case, Admission::Trail)),
    ("submit: refuse", |case| submit(case, Admission::Refuse)),
    ("submit: same id", |case| {
        let submission = case.desk.submission("elsewhere", &tried(|_| {}));
        Command::Submit(Arc::new(Submission { job: case.job, ..submission }))
    }),
    ("submit: same key", |case| {
        let kind = case.desk.yard.job(case.job).map(|job| job.class.kind.clone());
        let class = tried(|class| class.kind = kind.unwrap_or(class.kind.clone()));
        let submission = case.desk.submission("it", &class);
        let key = Some(IdempotencyKey::new("key").unwrap());
        Command::Submit(Arc::new(Submission { key, ..submission }))
    }),
    ("cancel", |case| Command::Cancel { job: case.job, reason: Reason::new("enough") }),
    ("hold", |case| Command::Hold { job: case.job, reason: Reason::new("wait") }),
    ("unhold", |case| Command::Unhold { job: case.job }),
    ("report a step", |case| Command::Report { run: case.run, step: 5, performance: None }),
    ("report 0.5", |case| Command::Report { run: case.run, step: 5, performance: Some(score(50)) }),
    ("report 0.95", |case| Command::Report { run: case.run, step: 5, performance: Some(score(95)) }),
    ("checkpoint", |case| {
        let checkpoint = Checkpoint { reference: Reference::new("there"), step: 5 };
        Command::Checkpoint { run: case.run, checkpoint }
    }),
    ("finish: completed", |case| finish(case, None)),
    ("finish: completed at 0.5", |case| finish(case, Some(50))),
    ("finish: completed at 0.95", |case| finish(case, Some(95))),
    ("finish: nothing to do", |case| {
        let model = ModelId::from_u128(case.desk.id());
        let end = RunEnd::Completed { trained: Trained::default(), model, last: None };
        Command::Finish { run: case.run, end }
    }),
    ("finish: failed", |case| fail(case, Advice::Retry)),
    ("finish: failed for good", |case| fail(case, Advice::GiveUp)),
    ("finish: interrupted", |case| {
        let end = RunEnd::Interrupted { reason: Reason::new("preempted") };
        Command::Finish { run: case.run, end }
    }),
    ("finish: stopped", |case| Command::Finish { run: case.run, end: RunEnd::Stopped }),
    ("finish: another lease", |case| {
        let run = Run { lease: Lease::new(1_000), ..case.run };
        Command::Finish { run, end: RunEnd::Stopped }
    }),
    ("recover", |case| {
        let node = NodeId::from_u128(1);
        let epoch = case.desk.yard.node(node).map(|node| node.epoch).unwrap_or_default();
        Command::Recover { run: case.run, epoch }
    }),
    ("recover: old epoch", |case| Command::Recover { run: case.run, epoch: Epoch::new(0) }),
    ("node joins again", |_| join()),
    ("node leaves", |case| {
        let node = NodeId::from_u128(1);
        let epoch = case.desk.yard.node(node).map(|node| node.epoch).unwrap_or_default();
        Command::LeaveNode { node, epoch }
    }),
    ("retire", |_| Command::Retire { subject: on("it") }),
];

fn tried(change: impl FnOnce(&mut Class)) -> Arc<Class> {
    class(change)
}

fn no_run(desk: Desk, job: JobId) -> Case {
    Case { desk, job, run: Run { job, lease: Lease::new(1) } }
}

fn running(change: impl FnOnce(&mut Class)) -> Case {
    let mut desk = Desk::with_slots(1);
    let mut submission = desk.submission("it", &tried(change));
    submission.key = Some(IdempotencyKey::new("key").unwrap());
    let (job, _) = desk.admit(submission).unwrap();
    let run = desk.run(job);
    Case { desk, job, run }
}

fn contesting(change: impl FnOnce(&mut Class)) -> Case {
    let mut desk = Desk::with_slots(1);
    let mut submission = desk.submission("it", &tried(change));
    submission.contest = Some(contest(2, None));
    submission.key = Some(IdempotencyKey::new("key").unwrap());
    let (job, _) = desk.admit(submission).unwrap();
    let run = desk.run(job);
    Case { desk, job, run }
}

fn reach(case: &mut Case, n: usize) {
    let run = case.desk.runs(case.job)[n];
    case.desk.ok(&Command::Report { run, step: 5, performance: Some(score(92)) });
}

/// A contest of two: the first has stalled and has not stopped, the other one goes on.
fn hanging(change: impl FnOnce(&mut Class)) -> Case {
    let stall = StallRule { gain: Gain::Steps(1), within: secs(10) };
    let mut case = contesting(|class| {
        class.limits.stall = Some(stall);
        change(class);
    });
    case.desk.pass(secs(5));
    let run = case.desk.runs(case.job)[1];
    for step in 0..2 {
        case.desk.ok(&Command::Report { run, step, performance: None });
    }
    case.desk.pass(secs(5));
    case
}

fn renewed(case: Case) -> Case {
    Case { run: case.desk.run(case.job), ..case }
}

fn waiting(delay: Option<std::time::Duration>, change: impl FnOnce(&mut Class)) -> Case {
    let mut desk = if delay.is_some() { Desk::with_slots(1) } else { Desk::with_slots(0) };
    let mut submission = desk.submission("it", &tried(change));
    submission.not_before = delay.map(|delay| desk.now.after(delay));
    submission.key = Some(IdempotencyKey::new("key").unwrap());
    let (job, _) = desk.admit(submission).unwrap();
    no_run(desk, job)
}

fn leave(desk: &mut Desk) {
    let node = NodeId::from_u128(1);
    let epoch = desk.yard.node(node).unwrap().epoch;
    desk.ok(&Command::LeaveNode { node, epoch });
}

fn join() -> Command {
    let kinds = [(support::desk::plain(), Placement::InProcess), (outside(), Placement::External)].into();
    let abilities = Abilities { kinds, capacity: Resources::slots(1) };
    Command::JoinNode { node: NodeId::from_u128(1), abilities }
}

fn submit(case: &mut Case, admission: Admission) -> Command {
    let submission = case.desk.submission("it", &tried(|_| {}));
    Command::Submit(Arc::new(Submission { admission, ..submission }))
}

fn completed(case: &mut Case, last: Option<u8>) -> RunEnd {
    let model = ModelId::from_u128(case.desk.id());
    let trained = Trained { artifact: Some(Reference::new("there")), metrics: Metrics::new() };
    RunEnd::Completed { trained, model, last: last.map(|value| (9, score(value))) }
}

fn finish(case: &mut Case, last: Option<u8>) -> Command {
    let end = completed(case, last);
    Command::Finish { run: case.run, end }
}

fn fail(case: &mut Case, advice: Advice) -> Command {
    let end = RunEnd::Failed(Failure { reason: Reason::new("broke"), advice });
    Command::Finish { run: case.run, end }
}

/// The first word of what `Debug` prints.
fn word(debug: &impl std::fmt::Debug) -> String {
    let text = format!("{debug:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// An outcome in words, whatever the id of its model.
fn ending(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Completed { model: Some(_) } => "completed".to_owned(),
        Outcome::Completed { model: None }
        | Outcome::TimedOut(_)
        | Outcome::Stalled
        | Outcome::Cancelled { .. }
        | Outcome::Failed { .. }
        | Outcome::Superseded => outcome.to_string(),
    }
}

fn fact(event: &Event, job: JobId) -> String {
    let other = |id: &JobId| if *id == job { "" } else { " another" };
    let word = word(event);
    if let Event::Finished { outcome, job, .. } = event {
        format!("{word}{} ({})", other(job), ending(outcome))
    } else if let Event::CandidateEnded { outcome, .. } = event {
        format!("{word} ({})", ending(outcome))
    } else if let Event::Interrupted { cause, .. } = event {
        format!("{word} ({cause:?})")
    } else if let Event::Released { how, .. } = event {
        format!("{word} ({how:?})")
    } else if let Event::Started { job, .. } = event {
        format!("{word}{}", other(job))
    } else if let Event::Submitted { submission } = event {
        format!("{word}{}", other(&submission.job))
    } else {
        word
    }
}

/// What a command has led to, in one line.
fn cell(case: &mut Case, ask: fn(&mut Case) -> Command) -> String {
    let command = ask(case);
    match case.desk.send(&command) {
        Err(rejection) => format!("refused: {}", word(&rejection)),
        Ok(answer) => {
            let facts: Vec<String> = case.desk.last.iter().map(|one| fact(&one.event, case.job)).collect();
            let facts = if facts.is_empty() { "nothing".to_owned() } else { facts.join(", ") };
            match answer {
                Answer::Admitted { how, .. } => format!("{how:?}: {facts}"),
                Answer::Ended { outcome: Some(outcome) } => format!("{facts} => {}", ending(&outcome)),
                Answer::Ended { outcome: None } => format!("{facts} => goes on"),
                Answer::Done | Answer::Joined { .. } | Answer::Decided { .. } => facts,
            }
        }
    }
}

fn table() -> String {
    let mut text = String::from(
        "What each command leads to in each phase of a job. Renewed by TRAINYARD_RENEW_SNAPSHOTS=1.\n",
    );
    for (phase, build) in PHASES {
        writeln!(text, "\n{phase}").unwrap();
        let mut cells: Vec<(String, Vec<&str>)> = Vec::new();
        for (name, ask) in COMMANDS {
            let mut case = build();
            let before = case.desk.yard.clone();
            let cell = cell(&mut case, *ask);
            assert!(!cell.starts_with("refused") || case.desk.yard == before, "{phase}, {name}");
            match cells.iter_mut().find(|(known, _)| *known == cell) {
                Some((_, names)) => names.push(name),
                None => cells.push((cell, vec![name])),
            }
        }
        for (cell, names) in cells {
            writeln!(text, "  {cell}\n      <- {}", names.join(" | ")).unwrap();
        }
    }
    text
}

#[test]
fn transitions_are_those_of_the_golden_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/transitions.txt");
    let table = table();
    if std::env::var_os("TRAINYARD_RENEW_SNAPSHOTS").is_some_and(|value| value == "1") {
        std::fs::write(path, &table).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(path).expect("the golden file is there");
    let mut phase = "";
    for (n, (old, new)) in golden.lines().zip(table.lines()).enumerate() {
        if !new.starts_with(' ') {
            phase = new;
        }
        assert_eq!(old, new, "line {} of {path}, {phase}", n + 1);
    }
    assert_eq!(golden.lines().count(), table.lines().count());
}
