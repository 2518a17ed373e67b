//! Contests in a yard, beside a naive model of one.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use proptest::prelude::*;
use support::arena::{Arena, At, End, GRACE, Parent, Reply};
use support::desk::{Desk, class, contest, secs};
use support::{cases, rebuilt, score};
use trainyard_core::*;

/// One thing that happens to a contest. Candidates are numbers, cut to how many there are.
#[derive(Debug, Clone)]
enum Step {
    Pass(i64),
    /// Time passes and nobody looks at the clock: whatever comes next comes first.
    Doze(i64),
    Report(usize, Option<u8>),
    Checkpoint(usize, u64),
    Complete(usize, Option<u8>),
    Fail(usize),
    Stop(usize),
    /// Somebody writes under a lease that was never, or not yet, given.
    Stranger(u64),
    Cancel,
    Hold,
    Unhold,
    Crash,
    Restart,
    Rebuild {
        from_snapshot: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let value = || prop_oneof![9 => 0_u8..90, 1 => 90_u8..=100];
    prop_oneof![
        4 => (0_i64..3_000).prop_map(Step::Pass),
        1 => (0_i64..3_000).prop_map(Step::Doze),
        6 => (0_usize..5, prop::option::weighted(0.9, value())).prop_map(|(n, value)| Step::Report(n, value)),
        1 => (0_usize..5, 0_u64..9).prop_map(|(n, step)| Step::Checkpoint(n, step)),
        3 => (0_usize..5, prop::option::of(0_u8..95)).prop_map(|(n, value)| Step::Complete(n, value)),
        2 => (0_usize..5).prop_map(Step::Fail),
        2 => (0_usize..5).prop_map(Step::Stop),
        1 => (0_u64..40).prop_map(Step::Stranger),
        1 => Just(Step::Cancel),
        1 => Just(Step::Hold),
        1 => Just(Step::Unhold),
        2 => Just(Step::Crash),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(|from_snapshot| Step::Rebuild { from_snapshot }),
    ]
}

#[derive(Debug, Clone)]
struct Plan {
    count: usize,
    time: Option<i64>,
    stall: Option<(u8, i64)>,
    steps: Vec<Step>,
}

prop_compose! {
    fn plan()(
        count in 1_usize..5,
        time in prop::option::of(1_i64..20_000),
        stall in prop::option::of((1_u8..20, 1_i64..8_000)),
        steps in prop::collection::vec(step(), 0..60),
    ) -> Plan {
        Plan { count, time, stall, steps }
    }
}

/// A yard with one contest, and the same contest by hand.
struct Ring {
    desk: Desk,
    arena: Arena,
    job: JobId,
}

impl Ring {
    fn new(plan: &Plan) -> Self {
        let mut desk = Desk::with_slots(1);
        desk.settings(|settings| settings.node_lease = secs(1 << 40));
        desk.join(1, Resources::slots(1));
        let millis = |millis: i64| std::time::Duration::from_millis(millis.unsigned_abs());
        let class = class(|class| {
            class.limits.time = plan.time.map(millis);
            class.limits.stall = plan.stall.map(|(gain, within)| StallRule {
                gain: Gain::Performance(score(gain)),
                within: millis(within),
            });
            class.limits.grace = millis(GRACE);
        });
        let mut submission = desk.submission("dataset", &class);
        submission.contest = Some(contest(plan.count as u128, None));
        let (job, _) = desk.admit(submission).unwrap();
        Self { desk, arena: Arena::new(plan.count, plan.time, plan.stall), job }
    }

    fn run(&self, n: usize) -> Run {
        Run { job: self.job, lease: Lease::new(self.arena.parts[n].lease) }
    }

    /// Takes a step on both sides; says what the model expects and what the yard answered.
    fn step(&mut self, step: &Step) -> (Reply, Result<Answer, Rejection>) {
        let count = self.arena.parts.len();
        let job = self.job;
        let reason = Reason::new("enough");
        let tick = |ring: &mut Self, now: i64| {
            ring.arena.tick(now);
            ring.desk.now = Timestamp::from_millis(now);
            ring.desk.ok(&Command::Tick)
        };
        let (expected, command) = match *step {
            Step::Pass(millis) => {
                let until = self.arena.now + millis;
                while let Some(due) = self.arena.next_deadline().filter(|due| *due <= until) {
                    tick(self, due);
                }
                return (Reply::Taken, Ok(tick(self, until)));
            }
            Step::Doze(millis) => {
                self.arena.now += millis;
                self.desk.now = Timestamp::from_millis(self.arena.now);
                return (Reply::Taken, Ok(Answer::Done));
            }
            Step::Rebuild { from_snapshot } => {
                let log = if from_snapshot { self.desk.yard.snapshot() } else { self.desk.log.clone() };
                self.desk.yard = rebuilt(&log);
                return (Reply::Taken, Ok(Answer::Done));
            }
            Step::Report(n, value) => {
                let n = n % count;
                let command = Command::Report { run: self.run(n), step: 1, performance: value.map(score) };
                (self.arena.report(n, value), command)
            }
            Step::Checkpoint(n, step) => {
                let n = n % count;
                let checkpoint = Checkpoint { reference: Reference::new("there"), step };
                let command = Command::Checkpoint { run: self.run(n), checkpoint };
                (self.arena.checkpoint(n, step), command)
            }
            Step::Complete(n, value) => {
                let n = n % count;
                let model = ModelId::from_u128(self.desk.id());
                let trained = Trained { artifact: Some(Reference::new("there")), metrics: Metrics::new() };
                let end = RunEnd::Completed { trained, model, last: value.map(|value| (9, score(value))) };
                let command = Command::Finish { run: self.run(n), end };
                (self.arena.finish(n, Some(End::Won), value), command)
            }
            Step::Fail(n) => {
                let n = n % count;
                let end = RunEnd::Failed(Failure { reason: Reason::new("broke"), advice: Advice::Retry });
                let command = Command::Finish { run: self.run(n), end };
                (self.arena.finish(n, Some(End::Failed), None), command)
            }
            Step::Stop(n) => {
                let n = n % count;
                let command = Command::Finish { run: self.run(n), end: RunEnd::Stopped };
                (self.arena.finish(n, None, None), command)
            }
            Step::Stranger(lease) => {
                let run = Run { job, lease: Lease::new(lease) };
                if let Some(n) = self.arena.parts.iter().position(|part| part.lease == lease) {
                    return self.step(&Step::Stop(n));
                }
                (Reply::Fenced, Command::Finish { run, end: RunEnd::Stopped })
            }
            Step::Cancel => (self.arena.cancel(), Command::Cancel { job, reason }),
            Step::Hold => (self.arena.hold(), Command::Hold { job, reason }),
            Step::Unhold => (self.arena.unhold(), Command::Unhold { job }),
            Step::Crash => {
                self.arena.crash();
                self.desk.join(1, Resources::slots(1));
                (Reply::Taken, Command::Tick)
            }
            Step::Restart => {
                self.arena.restart();
                let node = NodeId::from_u128(1);
                let epoch = self.desk.yard.node(node).unwrap().epoch;
                self.desk.ok(&Command::LeaveNode { node, epoch });
                self.desk.join(1, Resources::slots(1));
                (Reply::Taken, Command::Tick)
            }
        };
        let answer = self.desk.send(&command);
        if answer.is_ok() {
            self.arena.tick(self.arena.now); // what is due is done after the command
        }
        (expected, answer)
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let (job, arena) = (self.desk.job(self.job), &self.arena);
        let live: Vec<u64> = self
            .desk
            .yard
            .occupying()
            .flat_map(|job| self.desk.runs(job.id))
            .map(|run| run.lease.get())
            .collect();
        let naive: Vec<u64> = arena.live.iter().map(|n| arena.parts[*n].lease).collect();
        prop_assert_eq!(live, naive, "who may be at work");
        let parent = match &job.phase {
            Phase::Waiting(waiting) => Parent::Waiting { held: waiting.held.is_some() },
            Phase::Running(running) => Parent::Running { since: running.started_at.as_millis() },
            Phase::Finished(finished) => Parent::Over((&finished.outcome).into(), finished.at.as_millis()),
        };
        prop_assert_eq!(parent, arena.parent);
        let interruptions = if job.is_finished() { arena.crashes } else { job.interruptions };
        prop_assert_eq!(interruptions, arena.crashes);
        if !job.is_finished() {
            prop_assert_eq!(job.ran.as_millis(), u128::from(arena.ran.unsigned_abs()));
        }
        let candidates = &job.contest().unwrap().candidates;
        for (candidate, part) in candidates.iter().zip(&arena.parts) {
            let phase = match &candidate.phase {
                CandidatePhase::Pending => At::Pending,
                CandidatePhase::Running { lease } => {
                    prop_assert_eq!(lease.get(), part.lease);
                    At::Running
                }
                CandidatePhase::Ended { outcome, at } => At::Ended(outcome.into(), at.as_millis()),
            };
            prop_assert_eq!(phase, part.at);
            let window = &candidate.standing.window;
            prop_assert_eq!(window.reports(), part.values.len() as u64);
            let kept = part.values.len().saturating_sub(PerformanceWindow::SIZE);
            let newest: Vec<Score> = part.values[kept..].iter().copied().map(score).collect();
            prop_assert_eq!(window.recent(), &newest[..]);
            prop_assert_eq!(window.best(), part.values.iter().max().copied().map(score));
            prop_assert_eq!(candidate.standing.checkpoint.as_ref().map(|there| there.step), part.checkpoint);
            if let (Some(_), Some(mark), At::Running) = (arena.stall, candidate.standing.mark, part.at) {
                prop_assert_eq!(mark.performance, part.mark.map(score));
                prop_assert_eq!(mark.since.as_millis(), part.mark_since);
            }
        }
        let deadline = self.desk.yard.next_deadline().map(Timestamp::as_millis);
        let node_is_silent = 1 << 49;
        prop_assert_eq!(deadline.filter(|at| *at < node_is_silent), arena.next_deadline());
        Ok(())
    }
}

fn rejected_as(answer: &Result<Answer, Rejection>) -> Reply {
    match answer {
        Ok(_) => Reply::Taken,
        Err(Rejection::Fenced { .. }) => Reply::Fenced,
        Err(Rejection::TargetReached(_)) => Reply::TargetReached,
        Err(Rejection::Over { .. }) => Reply::Over,
        Err(Rejection::NotWaiting(_)) => Reply::NotWaiting,
        Err(Rejection::NotHeld(_)) => Reply::NotHeld,
        Err(other) => panic!("nobody asked for that: {other}"),
    }
}

/// 0 for not ended, then what never changes.
fn frozen(candidate: &Candidate) -> Option<&Candidate> {
    candidate.is_out().then_some(candidate)
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn a_contest_goes_as_it_does_by_hand(plan in plan()) {
        let mut ring = Ring::new(&plan);
        ring.compare()?;
        for step in &plan.steps {
            let (expected, answer) = ring.step(step);
            prop_assert_eq!(rejected_as(&answer), expected, "{:?}: {:?}", step, answer);
            ring.compare()?;
        }
        prop_assert_eq!(&rebuilt(&ring.desk.log), &ring.desk.yard);
    }

    #[test]
    fn what_has_ended_never_changes_and_one_wins_at_most(plan in plan()) {
        let mut ring = Ring::new(&plan);
        let mut before = ring.desk.job(ring.job).clone();
        for step in &plan.steps {
            let (_, answer) = ring.step(step);
            let after = ring.desk.job(ring.job).clone();
            let (old, new) = (&before.contest().unwrap().candidates, &after.contest().unwrap().candidates);
            for (old, new) in old.iter().zip(new) {
                prop_assert_eq!(old.id, new.id);
                if let Some(old) = frozen(old) {
                    prop_assert_eq!(old, new);
                }
                prop_assert!(new.standing.window.reports() >= old.standing.window.reports());
            }
            if let Some(outcome) = before.outcome() {
                prop_assert_eq!(after.outcome(), Some(outcome));
                let is_refused = matches!(&answer, Err(Rejection::Over { outcome: told, .. }) if told == outcome);
                prop_assert!(!matches!(step, Step::Cancel) || is_refused, "{:?}", answer);
            }
            let winners = new.iter().filter(|candidate| candidate.outcome().is_some_and(Outcome::is_completed)).count();
            prop_assert_eq!(winners, usize::from(after.outcome().is_some_and(Outcome::is_completed)));
            prop_assert!(!after.is_finished() || new.iter().all(Candidate::is_out));
            let models = ring.desk.yard.models(&after.registry()).count();
            prop_assert_eq!(models, winners, "a model for the champion and for nobody else");
            before = after;
        }
    }
}

/// A contest of three, running.
fn three(change: impl FnOnce(&mut Class)) -> (Desk, JobId, Vec<Run>) {
    let mut desk = Desk::with_slots(1);
    let mut submission = desk.submission("dataset", &class(change));
    submission.contest = Some(contest(3, None));
    let (job, _) = desk.admit(submission).unwrap();
    let runs = desk.runs(job);
    (desk, job, runs)
}

fn done(desk: &mut Desk, run: Run, value: u8) -> Result<Answer, Rejection> {
    let trained = Trained { artifact: Some(Reference::new("there")), metrics: Metrics::new() };
    let model = ModelId::from_u128(desk.id());
    let end = RunEnd::Completed { trained, model, last: Some((9, score(value))) };
    desk.send(&Command::Finish { run, end })
}

#[test]
fn a_cancel_that_comes_first_wins() {
    let (mut desk, job, runs) = three(|_| {});
    desk.cancel(job);
    let answer = done(&mut desk, runs[0], 95).unwrap();
    let cancelled = Outcome::Cancelled { reason: Reason::new("enough") };
    assert_eq!(answer, Answer::Ended { outcome: Some(cancelled.clone()) });
    assert!(desk.job(job).contest().unwrap().candidates.iter().all(|one| one.outcome() == Some(&cancelled)));
    assert_eq!(desk.yard.models(&desk.job(job).registry()).count(), 0, "no champion");
}

#[test]
fn a_cancel_that_comes_second_is_refused() {
    let (mut desk, job, runs) = three(|_| {});
    done(&mut desk, runs[1], 90).unwrap();
    let outcome = desk.job(job).outcome().unwrap().clone();
    assert!(outcome.is_completed(), "at the target is enough");
    let yard = desk.yard.clone();
    let refused = desk.send(&Command::Cancel { job, reason: Reason::new("enough") });
    assert_eq!(refused, Err(Rejection::Over { job, outcome }));
    assert_eq!(desk.yard, yard);
}

#[test]
fn the_first_to_reach_the_target_is_the_champion_even_if_another_does_better() {
    let (mut desk, job, runs) = three(|_| {});
    done(&mut desk, runs[2], 91).unwrap();
    done(&mut desk, runs[0], 99).unwrap();
    let contest = desk.job(job).contest().unwrap();
    assert_eq!(contest.champion().unwrap().id, contest.candidates[2].id);
    assert_eq!(contest.candidates[0].outcome(), Some(&Outcome::Superseded));
    assert_eq!(
        contest.candidates[0].standing.window.latest(),
        None,
        "and what it says after that is not kept"
    );
    let registry = desk.job(job).registry();
    assert_eq!(desk.yard.models(&registry).count(), 1);
    let champion = desk.yard.active_model(&registry).unwrap().id;
    assert_eq!(desk.job(job).outcome(), Some(&Outcome::Completed { model: Some(champion) }));
}

#[test]
fn one_failure_does_not_stop_the_others() {
    let (mut desk, job, runs) = three(|class| class.retry.retries_max = 5);
    let broke = || RunEnd::Failed(Failure { reason: Reason::new("broke"), advice: Advice::Retry });
    for run in &runs[..2] {
        assert_eq!(
            desk.ok(&Command::Finish { run: *run, end: broke() }),
            Answer::Ended { outcome: None },
            "contests do not retry"
        );
        assert!(desk.is_running(job));
    }
    assert_eq!(desk.runs(job), [runs[2]]);
    desk.ok(&Command::Finish { run: runs[2], end: broke() });
    let reason = "algorithm 1: failed: broke; algorithm 2: failed: broke; algorithm 3: failed: broke";
    assert_eq!(desk.job(job).outcome(), Some(&Outcome::Failed { reason: Reason::new(reason) }));
    assert_eq!(desk.job(job).draining(), None);
}

#[test]
fn a_stalled_candidate_whose_thread_goes_on_is_fenced_and_still_counted() {
    let stall = StallRule { gain: Gain::Performance(score(2)), within: secs(300) };
    let (mut desk, job, runs) = three(|class| class.limits.stall = Some(stall));
    desk.pass(secs(200));
    for run in &runs[1..] {
        for value in [50, 60] {
            desk.ok(&Command::Report { run: *run, step: 1, performance: Some(score(value)) });
        }
    }
    desk.pass(secs(100));
    let contest = desk.job(job).contest().unwrap();
    assert_eq!(contest.candidates[0].outcome(), Some(&Outcome::Stalled), "it never measured anything");
    assert!(contest.candidates[1..].iter().all(|candidate| !candidate.is_out()));
    let late = Command::Report { run: runs[0], step: 2, performance: Some(score(80)) };
    assert_eq!(desk.send(&late), Err(Rejection::Fenced { job, lease: runs[0].lease }));
    assert_eq!(desk.runs(job), runs, "its thread may be at work");
    assert_eq!(done(&mut desk, runs[0], 99), Ok(Answer::Ended { outcome: None }), "too late to win");
    assert_eq!(desk.runs(job), runs[1..]);
}

#[test]
fn the_median_rule_puts_out_whoever_falls_behind() {
    let mut desk = Desk::with_slots(1);
    let mut submission = desk.submission("dataset", &support::desk::usual());
    submission.contest = Some(contest(3, Some(MedianRule { reports_min: 2, others_min: 2 })));
    let (job, _) = desk.admit(submission).unwrap();
    let runs = desk.runs(job);
    for (n, values) in [(0, [60, 70]), (1, [50, 60])] {
        for value in values {
            desk.ok(&Command::Report { run: runs[n], step: 1, performance: Some(score(value)) });
        }
    }
    desk.ok(&Command::Report { run: runs[2], step: 1, performance: Some(score(10)) });
    assert!(!desk.job(job).contest().unwrap().candidates[2].is_out(), "one report is too few");
    desk.ok(&Command::Report { run: runs[2], step: 2, performance: Some(score(20)) });
    assert_eq!(desk.job(job).contest().unwrap().candidates[2].outcome(), Some(&Outcome::Stalled));
    assert!(desk.is_running(job));
    assert_eq!(desk.job(job).contest().unwrap().candidates[2].standing.window.reports(), 2);
}
