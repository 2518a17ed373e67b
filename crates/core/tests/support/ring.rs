//! A yard with one contest, and the same contest by hand, through the same random steps.

use proptest::prelude::*;
use trainyard_core::*;

use super::arena::{Arena, At, End, GRACE, Parent, Reply};
use super::desk::{Desk, class, contest, secs};
use super::{rebuilt, score};

/// One thing that happens to a contest. Candidates are numbers, cut to how many there are.
#[derive(Debug, Clone)]
pub enum Step {
    Pass(i64),
    /// Time passes and nobody looks at the clock: whatever comes next comes first.
    Doze(i64),
    Report(usize, u64, Option<u8>),
    Checkpoint(usize, u64),
    Complete(usize, Option<(u64, u8)>),
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

pub fn step() -> impl Strategy<Value = Step> {
    let value = || prop_oneof![8 => 0_u8..90, 2 => 90_u8..=100];
    prop_oneof![
        4 => (0_i64..3_000).prop_map(Step::Pass),
        1 => (0_i64..3_000).prop_map(Step::Doze),
        6 => (0_usize..5, 0_u64..9, prop::option::weighted(0.9, value()))
            .prop_map(|(n, step, value)| Step::Report(n, step, value)),
        1 => (0_usize..5, 0_u64..9).prop_map(|(n, step)| Step::Checkpoint(n, step)),
        3 => (0_usize..5, prop::option::of((0_u64..9, value()))).prop_map(|(n, last)| Step::Complete(n, last)),
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
pub struct Plan {
    pub count: usize,
    pub time: Option<i64>,
    pub stall: Option<(u8, i64)>,
    pub steps: Vec<Step>,
}

prop_compose! {
    pub fn plan()(
        count in 1_usize..5,
        time in prop::option::of(1_i64..20_000),
        stall in prop::option::of((1_u8..20, 1_i64..8_000)),
        steps in prop::collection::vec(step(), 0..60),
    ) -> Plan {
        Plan { count, time, stall, steps }
    }
}

/// A yard with one contest, and the same contest by hand.
pub struct Ring {
    pub desk: Desk,
    pub arena: Arena,
    pub job: JobId,
}

impl Ring {
    pub fn new(plan: &Plan) -> Self {
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
    pub fn step(&mut self, step: &Step) -> (Reply, Result<Answer, Rejection>) {
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
            Step::Report(n, step, value) => {
                let n = n % count;
                let command = Command::Report { run: self.run(n), step, performance: value.map(score) };
                (self.arena.report(n, step, value), command)
            }
            Step::Checkpoint(n, step) => {
                let n = n % count;
                let checkpoint = Checkpoint { reference: Reference::new("there"), step };
                let command = Command::Checkpoint { run: self.run(n), checkpoint };
                (self.arena.checkpoint(n, step), command)
            }
            Step::Complete(n, last) => {
                let n = n % count;
                let model = ModelId::from_u128(self.desk.id());
                let trained = Trained { artifact: Some(Reference::new("there")), metrics: Metrics::new() };
                let end = RunEnd::Completed {
                    trained,
                    model,
                    last: last.map(|(step, value)| (step, score(value))),
                };
                let command = Command::Finish { run: self.run(n), end };
                (self.arena.finish(n, Some(End::Won), last), command)
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

    pub fn compare(&self) -> Result<(), TestCaseError> {
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
        let contest = job.contest().unwrap();
        let naive: Vec<Holder> = arena
            .order
            .iter()
            .map(|n| Holder {
                candidate: contest.candidates[*n].id,
                lease: Lease::new(arena.parts[*n].reached_in),
            })
            .collect();
        prop_assert_eq!(&contest.holders, &naive, "who has reached the target, in that order");
        let candidates = &contest.candidates;
        for (candidate, part) in candidates.iter().zip(&arena.parts) {
            let phase = match &candidate.phase {
                CandidatePhase::Pending => At::Pending,
                CandidatePhase::Running { lease } => {
                    prop_assert_eq!(lease.get(), part.lease);
                    At::Running
                }
                CandidatePhase::HandedOver { lease, .. } => {
                    prop_assert_eq!(lease.get(), part.lease);
                    At::HandedOver
                }
                CandidatePhase::Ended { outcome, at } => At::Ended(outcome.into(), at.as_millis()),
            };
            prop_assert_eq!(phase, part.at);
            prop_assert_eq!(candidate.standing.step, part.step);
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
        prop_assert_eq!(self.next_deadline(), arena.next_deadline());
        Ok(())
    }

    /// When the contest changes by itself; that its node may fall silent some day is left out.
    pub fn next_deadline(&self) -> Option<i64> {
        let node_is_silent = 1 << 49;
        let deadline = self.desk.yard.next_deadline().map(Timestamp::as_millis);
        deadline.filter(|at| *at < node_is_silent)
    }
}

pub fn rejected_as(answer: &Result<Answer, Rejection>) -> Reply {
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
