//! Several drivers on one journal act as one.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use trainyard_core::{
    Abilities, Admission, Admitted, Advice, Answer, CandidateId, Checkpoint, Class, Command, ContestPlan,
    Entrant, Event, Failure, JobId, Kind, Label, Lease, Limits, ModelId, NodeId, Observation, Outcome,
    Parameters, Placement, QueueName, Reason, Reference, Resources, RetrainRule, RetryPolicy, Run, RunEnd,
    Score, StallRule, Subject, Submission, Template, Timestamp, Trained, Trigger, Yard,
};
use trainyard_journal::{Journal, MemoryJournal, Position};
use trainyard_runtime::Driver;

/// What somebody wants; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Wish {
    Submit { subject: u8, admission: u8, candidates: u8 },
    Cancel(u8),
    Hold(u8),
    Unhold(u8),
    Report { run: u8, value: u8 },
    Checkpoint(u8),
    Finish { run: u8, how: u8 },
    Rule { subject: u8 },
    Observe { subject: u8, total: u16 },
    Retire(u8),
    Pause,
    Resume,
    Renew,
}

/// One driver's turn, some time after the one before, and another driver that looks afterwards.
#[derive(Debug, Clone)]
struct Step {
    driver: usize,
    later: u32,
    wishes: Vec<Wish>,
    looks: usize,
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        6 => (0..4_u8, 0..4_u8, 0..6_u8).prop_map(|(subject, admission, candidates)| {
            Wish::Submit { subject, admission, candidates: candidates.saturating_sub(3) }
        }),
        2 => any::<u8>().prop_map(Wish::Cancel),
        1 => any::<u8>().prop_map(Wish::Hold),
        1 => any::<u8>().prop_map(Wish::Unhold),
        4 => (any::<u8>(), 0..12_u8).prop_map(|(run, value)| Wish::Report { run, value }),
        2 => any::<u8>().prop_map(Wish::Checkpoint),
        6 => (any::<u8>(), 0..6_u8).prop_map(|(run, how)| Wish::Finish { run, how }),
        1 => (0..4_u8).prop_map(|subject| Wish::Rule { subject }),
        2 => (0..4_u8, any::<u16>()).prop_map(|(subject, total)| Wish::Observe { subject, total }),
        1 => (0..4_u8).prop_map(Wish::Retire),
        1 => Just(Wish::Pause),
        1 => Just(Wish::Resume),
        3 => Just(Wish::Renew),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..3_usize, 0..40_000_u32, prop::collection::vec(wish(), 0..5), 0..3_usize)
        .prop_map(|(driver, later, wishes, looks)| Step { driver, later, wishes, looks });
    prop::collection::vec(step, 0..40)
}

proptest! {
    #[test]
    fn drivers_that_share_a_journal_act_as_one(count in 2..4_usize, compact_min in 5..80_usize, steps in steps()) {
        let log = MemoryJournal::new();
        let mut drivers: Vec<Driver> =
            (0..count).map(|_| Driver::open(log.holder()).unwrap().with_compact_min(compact_min)).collect();
        let mut alone = Driver::open(MemoryJournal::new()).unwrap();
        let mut now = Timestamp::from_millis(0);
        let mut admitted: Vec<JobId> = Vec::new();
        let mut last_lease = Lease::default();

        for (n, driver) in drivers.iter_mut().enumerate() {
            let join = [join(n)];
            let answers = driver.turn(now, &join).unwrap().answers;
            prop_assert_eq!(alone.turn(now, &join).unwrap().answers, answers);
        }
        for (n, step) in steps.into_iter().enumerate() {
            now = now.after(Duration::from_millis(step.later.into()));
            let driver = &mut drivers[step.driver % count];
            // What it knows may be old: others have written since.
            let known = driver.yard();
            let commands: Vec<Command> =
                step.wishes.iter().enumerate().map(|(m, wish)| command(&known, step.driver % count, n * 8 + m, wish)).collect();
            let turned = driver.turn(now, &commands).unwrap();
            let reference = alone.turn(now, &commands).unwrap();
            prop_assert_eq!(&turned.answers, &reference.answers);
            prop_assert_eq!(&turned.facts[turned.news..], &reference.facts[..]);
            for fact in &reference.facts {
                if let Event::Started { lease, .. } = fact.event {
                    prop_assert!(lease > last_lease, "leases grow");
                    last_lease = lease;
                }
            }
            admitted.extend(reference.answers.iter().filter_map(|answer| match answer {
                Ok(Answer::Admitted { job, how: Admitted::New }) => Some(*job),
                _ => None,
            }));

            let shown = driver.yard();
            let other = &mut drivers[step.looks % count];
            other.turn(now, &[]).unwrap();
            prop_assert_eq!(&other.yard(), &shown, "whoever has taken the news in shows the same");
        }
        for driver in &mut drivers {
            driver.turn(now, &[]).unwrap();
            prop_assert_eq!(driver.yard(), alone.yard());
        }
        for job in admitted {
            prop_assert!(alone.yard().job(job).is_some(), "no job is lost");
        }
        prop_assert_eq!(Driver::open(log.holder()).unwrap().yard(), alone.yard(), "the log rebuilds it");
    }
}

#[test]
fn a_long_log_is_compacted() {
    let log = MemoryJournal::new();
    let mut driver = Driver::open(log.holder()).unwrap().with_compact_min(50);
    let now = Timestamp::from_millis(0);
    driver.turn(now, &[join(0)]).unwrap();
    let mut compacted = 0;
    for n in 0..100 {
        let queue = QueueName::new("q").unwrap();
        let pause = Command::PauseQueue { queue, reason: Reason::new(format!("{n}")) };
        compacted += usize::from(driver.turn(now, &[pause]).unwrap().compacted);
    }
    assert_eq!(compacted, 2);
    let mut holder = log.holder();
    let reading = holder.read(Position::START).unwrap();
    assert!(reading.snapshot.unwrap().facts.len() < 10);
    assert!(reading.records.count() < 50);
}

#[test]
fn whoever_has_finished_in_time_is_not_punished_for_a_busy_driver() {
    let mut driver = Driver::open(MemoryJournal::new()).unwrap();
    let start = Timestamp::from_millis(0);
    let id = JobId::from_u128(1);
    driver.turn(start, &[join(0), submit(id, "a")]).unwrap();
    let run = Run { job: id, lease: Lease::new(1) };
    let renew = Command::RenewNode { node: node_id(0), epoch: driver.yard().node(node_id(0)).unwrap().epoch };
    let finish = Command::Finish { run, end: completed(1) };
    let late = start.after(Duration::from_secs(1_000));
    driver.turn(late, &[renew, finish]).unwrap();
    let outcome = driver.yard().job(id).unwrap().outcome().cloned();
    assert!(matches!(outcome, Some(Outcome::Completed { .. })), "{outcome:?}");
}

#[test]
fn users_are_heard_in_their_order_and_before_runs() {
    let mut driver = Driver::open(MemoryJournal::new()).unwrap();
    let now = Timestamp::from_millis(0);
    let [a, b] = [1, 2].map(JobId::from_u128);
    driver.turn(now, &[join(0), submit(a, "a")]).unwrap();
    let cancel = |job| Command::Cancel { job, reason: Reason::new("x") };
    let finish = Command::Finish { run: Run { job: a, lease: Lease::new(1) }, end: completed(1) };
    let turned = driver.turn(now, &[finish, submit(b, "b"), cancel(b), cancel(a)]).unwrap();
    assert!(turned.answers.iter().skip(1).all(Result::is_ok), "{:?}", turned.answers);
    assert!(matches!(turned.answers[1], Ok(Answer::Admitted { job, .. }) if job == b));
    for job in [a, b] {
        let outcome = driver.yard().job(job).unwrap().outcome().cloned();
        assert!(matches!(outcome, Some(Outcome::Cancelled { .. })), "{outcome:?}");
    }
}

/// The sizes of the records after a position.
fn records(log: &MemoryJournal) -> Vec<usize> {
    let mut holder = log.holder();
    let reading = holder.read(Position::START).unwrap();
    reading.records.map(|record| record.unwrap().facts.len()).collect()
}

#[test]
fn commands_that_fill_a_record_are_written_in_several() {
    let log = MemoryJournal::new();
    let mut driver = Driver::open(log.holder()).unwrap().with_record_max(10_000, 1_000);
    let now = Timestamp::from_millis(0);
    let large = |n: u128| {
        let parameters = Parameters::new(vec![7; 6_000]).unwrap();
        let subject = Subject::new(format!("large/{n}")).unwrap();
        let submission = Submission { parameters, ..Submission::new(JobId::from_u128(n), subject, class()) };
        Command::Submit(Arc::new(submission))
    };
    let commands: Vec<Command> = std::iter::once(join(0)).chain((1..=10).map(large)).collect();
    let turned = driver.turn(now, &commands).unwrap();
    for (n, answer) in (1..=10).zip(&turned.answers[1..]) {
        assert!(matches!(answer, Ok(Answer::Admitted { job, .. }) if *job == JobId::from_u128(n)));
    }
    assert!(matches!(turned.answers[0], Ok(Answer::Joined { .. })));
    assert_eq!((turned.first, turned.facts.len(), turned.news), (1, turned.own, 0));
    assert_eq!(driver.revision(), turned.facts.len() as u64);
    let records = records(&log);
    assert_eq!(records.len(), 5, "two of them in each: {records:?}");
    assert_eq!(records.iter().sum::<usize>(), turned.facts.len());
    assert_eq!(driver.yard().occupying().count(), 2, "what could start has started");
    assert_eq!(Driver::open(log.holder()).unwrap().yard(), driver.yard());
}

#[test]
fn what_is_due_and_fills_a_record_goes_on_in_the_next_turn() {
    let log = MemoryJournal::new();
    let mut driver = Driver::open(log.holder()).unwrap();
    let now = Timestamp::from_millis(0);
    let queue = || QueueName::new("q").unwrap();
    let wide = Abilities { kinds: [(kind(), Placement::InProcess)].into(), capacity: Resources::slots(20) };
    let join = Command::JoinNode { node: node_id(0), abilities: wide };
    let pause = Command::PauseQueue { queue: queue(), reason: Reason::new("x") };
    let jobs = (1..=20).map(|n| submit(JobId::from_u128(n), &format!("s{n}")));
    let commands: Vec<Command> = [join, pause].into_iter().chain(jobs).collect();
    driver.turn(now, &commands).unwrap();
    drop(driver);
    // Now they can all start, but not in one record.
    let mut driver = Driver::open(log.holder()).unwrap().with_record_max(usize::MAX, 5);
    driver.turn(now, &[Command::ResumeQueue { queue: queue() }]).unwrap();
    let mut turns = 0;
    while driver.next_deadline().is_some_and(|deadline| deadline <= now) {
        let turned = driver.turn(now, &[]).unwrap();
        assert!(turned.facts.len() <= 5);
        turns += 1;
    }
    assert_eq!(driver.yard().occupying().count(), 20, "all have started");
    assert!((3..=5).contains(&turns), "{turns}");
    assert!(records(&log).into_iter().skip(1).all(|facts| facts <= 5));
}

fn submit(id: JobId, name: &str) -> Command {
    Command::Submit(Arc::new(Submission::new(id, Subject::new(name).unwrap(), class())))
}

fn completed(model: u128) -> RunEnd {
    RunEnd::Completed { trained: Trained::default(), model: ModelId::from_u128(model), last: None }
}

fn join(node: usize) -> Command {
    let kinds = [(kind(), Placement::InProcess)].into();
    Command::JoinNode { node: node_id(node), abilities: Abilities { kinds, capacity: Resources::slots(2) } }
}

fn node_id(node: usize) -> NodeId {
    NodeId::from_u128(node as u128 + 1)
}

fn kind() -> Kind {
    Kind::new("test").unwrap()
}

fn subject(number: u8) -> Subject {
    Subject::new(format!("s{number}")).unwrap()
}

fn class() -> Arc<Class> {
    let stall = StallRule { gain: trainyard_core::Gain::Steps(1), within: Duration::from_secs(50) };
    let limits = Limits { time: Some(Duration::from_secs(90)), stall: Some(stall), ..Limits::default() };
    let retry = RetryPolicy { retries_max: 1, ..RetryPolicy::default() };
    Arc::new(Class { limits, retry, ..Class::new(kind(), QueueName::new("q").unwrap()) })
}

/// Turns a wish into a command, as somebody would who knows this yard.
fn command(yard: &Yard, node: usize, number: usize, wish: &Wish) -> Command {
    let new_job = JobId::from_u128(1_000 + number as u128);
    let job = |n: &u8| {
        let count = yard.jobs().count();
        yard.jobs().nth(usize::from(*n) % count.max(1)).map_or(new_job, |job| job.id)
    };
    let run = |n: &u8| {
        let live = |job: &trainyard_core::Job| {
            let leases = job.running().map(|running| running.live.clone());
            let leases = leases.or_else(|| job.draining().map(|draining| draining.live.clone()));
            let job = job.id;
            leases.unwrap_or_default().into_iter().map(move |lease| Run { job, lease })
        };
        let runs: Vec<Run> = yard.occupying().flat_map(live).collect();
        let nobody = Run { job: new_job, lease: Lease::new(1) };
        runs.get(usize::from(*n) % runs.len().max(1)).copied().unwrap_or(nobody)
    };
    let queue = QueueName::new("q").unwrap();
    let reason = Reason::new("x");
    let score = |tenths: u8| Score::new(f64::from(tenths) / 10.0).unwrap();
    match wish {
        Wish::Submit { subject: number, admission, candidates } => {
            let admission = [Admission::Queue, Admission::Join, Admission::Trail, Admission::Refuse]
                [usize::from(*admission)];
            let entrant = |n: u8| Entrant {
                id: CandidateId::from_u128(u128::from(n)),
                label: Label::new(format!("c{n}")).unwrap(),
                parameters: Parameters::default(),
            };
            let contest = (*candidates > 0).then(|| {
                let candidates = (0..*candidates).map(entrant).collect();
                Arc::new(ContestPlan { target: score(10), candidates, median: None })
            });
            let submission =
                Submission { admission, contest, ..Submission::new(new_job, subject(*number), class()) };
            Command::Submit(Arc::new(submission))
        }
        Wish::Cancel(n) => Command::Cancel { job: job(n), reason },
        Wish::Hold(n) => Command::Hold { job: job(n), reason },
        Wish::Unhold(n) => Command::Unhold { job: job(n) },
        Wish::Report { run: n, value } => {
            Command::Report { run: run(n), step: number as u64, performance: Some(score(*value)) }
        }
        Wish::Checkpoint(n) => {
            let reference = Reference::new(format!("work/{number}"));
            Command::Checkpoint { run: run(n), checkpoint: Checkpoint { reference, step: number as u64 } }
        }
        Wish::Finish { run: n, how } => {
            let failed = |advice| RunEnd::Failed(Failure { reason: Reason::new("x"), advice });
            let completed = |artifact, last| RunEnd::Completed {
                trained: Trained { artifact, ..Trained::default() },
                model: ModelId::from_u128(number as u128),
                last,
            };
            let end = match how {
                0 => completed(None, None),
                1 => completed(Some(Reference::new("m")), Some((9, score(10)))),
                2 => failed(Advice::GiveUp),
                3 => failed(Advice::Retry),
                4 => RunEnd::Interrupted { reason },
                _ => RunEnd::Stopped,
            };
            Command::Finish { run: run(n), end }
        }
        Wish::Rule { subject: number } => {
            let template =
                Template { class: class(), parameters: Parameters::default(), admission: Admission::Trail };
            let rule = RetrainRule::new(Trigger::Fresh { at_least: 1_000 });
            Command::SetRule { subject: subject(*number), rule, template: Arc::new(template) }
        }
        Wish::Observe { subject: number, total } => {
            let observation = Observation { total: (*total).into(), lists: None };
            Command::Observe { subject: subject(*number), observation, job: new_job, repeats: 0 }
        }
        Wish::Retire(number) => Command::Retire { subject: subject(*number) },
        Wish::Pause => Command::PauseQueue { queue, reason },
        Wish::Resume => Command::ResumeQueue { queue },
        Wish::Renew => {
            let epoch = yard.node(node_id(node)).map(|node| node.epoch).unwrap_or_default();
            Command::RenewNode { node: node_id(node), epoch }
        }
    }
}
