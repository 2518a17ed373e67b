//! A yard that is driven by small random steps, with its log.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its part of it, and may unwrap as tests do"
)]

pub mod arena;
pub mod desk;
pub mod ring;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use trainyard_core::*;

/// So many cases of a property, or many more with `TRAINYARD_LONG=1`, as `.ci/run --full` has it.
pub fn cases(usually: u32) -> ProptestConfig {
    let cases = if is_long() { usually * 20 } else { usually };
    ProptestConfig { cases, ..ProptestConfig::default() }
}

pub fn is_long() -> bool {
    std::env::var_os("TRAINYARD_LONG").is_some_and(|value| value == "1")
}

/// The yard that a log leads to.
pub fn rebuilt(log: &[Fact]) -> Yard {
    let mut yard = Yard::default();
    for fact in log {
        yard.apply(&stored(fact)).expect("a log that a yard has written fits");
    }
    yard
}

/// A fact as a journal gives it back. The form of a stored job does not hold who has reached a target, at which step
/// something was shown last, and who is leaving; that of a stored queue does not hold how much of its work is kept.
fn stored(fact: &Fact) -> Fact {
    let mut fact = fact.clone();
    let Event::Restored(restored) = &mut fact.event else { return fact };
    match &mut **restored {
        Restored::Job(job) => {
            if let Phase::Running(running) = &mut job.phase {
                running.leaving.clear();
            }
            if let Some(extras) = &mut job.extras {
                extras.standing.shown = None;
                if let Some(contest) = &mut extras.contest {
                    contest.holders.clear();
                    contest.candidates.iter_mut().for_each(|candidate| candidate.standing.shown = None);
                }
            }
        }
        Restored::Queue { queue, .. } => queue.retention = Retention::default(),
        Restored::Counters { .. }
        | Restored::Node { .. }
        | Restored::Rule { .. }
        | Restored::Model { .. }
        | Restored::Reached { .. }
        | Restored::Shown { .. } => {}
    }
    fact
}

pub const KINDS: [&str; 2] = ["plain", "outside"];

/// One thing that happens. Numbers are drawn from small ranges, so that steps meet each other.
#[derive(Debug, Clone)]
pub enum Step {
    Pass(u64),
    Join { node: u8, slots: u64, gpus: u64 },
    Renew { node: u8 },
    Leave { node: u8 },
    Queue { queue: u8, running_max: Option<u32> },
    Keep { queue: u8, retention: Retention },
    Pause { queue: u8 },
    Resume { queue: u8 },
    Submit(Wish),
    Cancel { job: u8 },
    Hold { job: u8 },
    Unhold { job: u8 },
    Report { run: u8, step: u64, performance: Option<u8>, stale: bool },
    Checkpoint { run: u8, stale: bool },
    Finish { run: u8, end: End, stale: bool },
    Rule { subject: u8, threshold: u64, cooldown: u64, trail: bool },
    Observe { subject: u8, total: u64 },
    Activate { model: u8 },
    Retire { subject: u8 },
}

#[derive(Debug, Clone)]
pub struct Wish {
    pub subject: u8,
    pub kind: u8,
    pub queue: u8,
    pub admission: Admission,
    pub priority: i8,
    pub delay: Option<u64>,
    pub time: Option<u64>,
    pub queue_time: Option<u64>,
    pub stall: Option<u64>,
    pub retries: u32,
    pub gpus: u64,
    pub key: Option<u8>,
    pub candidates: usize,
    pub median: bool,
}

#[derive(Debug, Clone)]
pub enum End {
    Completed { performance: Option<u8>, artifact: bool },
    Failed(Advice),
    Interrupted,
    Stopped,
}

fn advice() -> impl Strategy<Value = Advice> {
    prop_oneof![
        Just(Advice::Retry),
        (0_u64..5_000).prop_map(|wait| Advice::RetryAfter(Duration::from_millis(wait))),
        Just(Advice::GiveUp),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => (prop::option::of(0_u8..=100), any::<bool>())
            .prop_map(|(performance, artifact)| End::Completed { performance, artifact }),
        2 => advice().prop_map(End::Failed),
        1 => Just(End::Interrupted),
        1 => Just(End::Stopped),
    ]
}

fn admission() -> impl Strategy<Value = Admission> {
    prop_oneof![
        3 => Just(Admission::Queue),
        1 => Just(Admission::Join),
        1 => Just(Admission::Trail),
        1 => Just(Admission::Refuse),
    ]
}

prop_compose! {
    fn wish()(
        (subject, kind, queue, admission) in (0_u8..4, 0_u8..2, 0_u8..2, admission()),
        (priority, delay, retries, gpus) in (-3_i8..4, prop::option::weighted(0.2, 0_u64..5_000), 0_u32..3, 0_u64..2),
        time in prop::option::weighted(0.3, 1_u64..20_000),
        queue_time in prop::option::weighted(0.2, 1_u64..20_000),
        stall in prop::option::weighted(0.3, 1_u64..10_000),
        key in prop::option::weighted(0.2, 0_u8..4),
        candidates in prop_oneof![2 => Just(0_usize), 1 => 1_usize..4],
        median in any::<bool>(),
    ) -> Wish {
        Wish { subject, kind, queue, admission, priority, delay, time, queue_time, stall, retries, gpus, key, candidates, median }
    }
}

/// The most models that a registry of a [`World`] keeps besides the active one.
pub const KEPT_MAX: u32 = 4;

/// Bounds on both sides of those that a [`World`] has for every queue.
pub fn retention() -> impl Strategy<Value = Retention> {
    (prop::option::of(0_u32..12), prop::option::of(0..=KEPT_MAX))
        .prop_map(|(finished_max, models_max)| Retention { finished_max, models_max })
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..8_000).prop_map(Step::Pass),
        2 => (0_u8..2, 0_u64..4, 0_u64..2).prop_map(|(node, slots, gpus)| Step::Join { node, slots, gpus }),
        2 => (0_u8..2).prop_map(|node| Step::Renew { node }),
        1 => (0_u8..2).prop_map(|node| Step::Leave { node }),
        1 => (0_u8..2, prop::option::of(0_u32..3)).prop_map(|(queue, running_max)| Step::Queue { queue, running_max }),
        1 => (0_u8..2, retention()).prop_map(|(queue, retention)| Step::Keep { queue, retention }),
        1 => (0_u8..2).prop_map(|queue| Step::Pause { queue }),
        1 => (0_u8..2).prop_map(|queue| Step::Resume { queue }),
        10 => wish().prop_map(Step::Submit),
        2 => any::<u8>().prop_map(|job| Step::Cancel { job }),
        1 => any::<u8>().prop_map(|job| Step::Hold { job }),
        1 => any::<u8>().prop_map(|job| Step::Unhold { job }),
        4 => (any::<u8>(), 0_u64..100, prop::option::of(0_u8..=100), prop::bool::weighted(0.1))
            .prop_map(|(run, step, performance, stale)| Step::Report { run, step, performance, stale }),
        2 => (any::<u8>(), prop::bool::weighted(0.1)).prop_map(|(run, stale)| Step::Checkpoint { run, stale }),
        8 => (any::<u8>(), end(), prop::bool::weighted(0.1)).prop_map(|(run, end, stale)| Step::Finish { run, end, stale }),
        2 => (0_u8..4, 0_u64..6, 0_u64..9_000, any::<bool>())
            .prop_map(|(subject, threshold, cooldown, trail)| Step::Rule { subject, threshold, cooldown, trail }),
        4 => (0_u8..4, 0_u64..12).prop_map(|(subject, total)| Step::Observe { subject, total }),
        1 => any::<u8>().prop_map(|model| Step::Activate { model }),
        1 => (0_u8..4).prop_map(|subject| Step::Retire { subject }),
    ]
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..120)
}

/// A yard, everything that has happened in it, and the runs that were ever started.
pub struct World {
    pub yard: Yard,
    pub log: Vec<Fact>,
    pub now: Timestamp,
    pub runs: Vec<Run>,
    next_id: u128,
}

impl World {
    pub fn new() -> Self {
        let mut world = Self {
            yard: Yard::default(),
            log: Vec::new(),
            now: Timestamp::from_millis(1_000_000),
            runs: Vec::new(),
            next_id: 1,
        };
        let settings = Settings {
            finished_max: 8,
            models_max: 2,
            unfinished_max: 6,
            reserve_after: Duration::from_secs(10),
            node_lease: Duration::from_secs(15),
        };
        world.send(&Command::Configure(settings)).unwrap();
        world.step(&Step::Join { node: 0, slots: 2, gpus: 1 });
        world
    }

    pub fn send(&mut self, command: &Command) -> Result<Answer, Rejection> {
        let Ruling { facts, answer } = self.yard.handle(self.now, command)?;
        for fact in &facts {
            if let Event::Started { job, .. } = &fact.event {
                let live =
                    self.yard.job(*job).and_then(|job| Some(job.running()?.live.clone())).unwrap_or_default();
                self.runs.extend(live.into_iter().map(|lease| Run { job: *job, lease }));
            }
        }
        self.log.extend(facts);
        Ok(answer)
    }

    /// Takes one step, whatever comes of it.
    pub fn step(&mut self, step: &Step) {
        let _ = self.try_step(step);
    }

    /// Takes one step; says what was asked and what came of it.
    pub fn try_step(&mut self, step: &Step) -> (Command, Result<Answer, Rejection>) {
        if let Step::Pass(millis) = step {
            self.now = self.now.after(Duration::from_millis(*millis));
        }
        let command = self.command(step);
        let answer = self.send(&command);
        (command, answer)
    }

    pub fn id(&mut self) -> u128 {
        self.next_id += 1;
        self.next_id
    }

    fn command(&mut self, step: &Step) -> Command {
        match step.clone() {
            Step::Pass(_) => Command::Tick,
            Step::Join { node, slots, gpus } => {
                let kinds = [(kind(0), Placement::InProcess), (kind(1), Placement::External)].into();
                let capacity = Resources::slots(slots).with(Resource::new("gpu").unwrap(), gpus);
                Command::JoinNode { node: node_id(node), abilities: Abilities { kinds, capacity } }
            }
            Step::Renew { node } => Command::RenewNode { node: node_id(node), epoch: self.epoch(node) },
            Step::Leave { node } => Command::LeaveNode { node: node_id(node), epoch: self.epoch(node) },
            Step::Queue { queue, running_max } => {
                let priority_step = Duration::from_millis(500);
                let settings = QueueSettings { running_max, waiting_max: 20, priority_step };
                Command::ConfigureQueue { queue: queue_name(queue), settings }
            }
            Step::Keep { queue, retention } => Command::SetRetention { queue: queue_name(queue), retention },
            Step::Pause { queue } => {
                Command::PauseQueue { queue: queue_name(queue), reason: Reason::new("pause") }
            }
            Step::Resume { queue } => Command::ResumeQueue { queue: queue_name(queue) },
            Step::Submit(wish) => Command::Submit(Arc::new(self.submission(&wish))),
            Step::Cancel { job } => Command::Cancel { job: self.any_job(job), reason: Reason::new("enough") },
            Step::Hold { job } => Command::Hold { job: self.any_job(job), reason: Reason::new("look first") },
            Step::Unhold { job } => Command::Unhold { job: self.any_job(job) },
            Step::Report { run, step, performance, stale } => {
                let performance = performance.map(score);
                Command::Report { run: self.any_run(run, stale), step, performance }
            }
            Step::Checkpoint { run, stale } => {
                let checkpoint = Checkpoint { reference: Reference::new("there"), step: 1 };
                Command::Checkpoint { run: self.any_run(run, stale), checkpoint }
            }
            Step::Finish { run, end, stale } => {
                let run = self.any_run(run, stale);
                Command::Finish { run, end: self.run_end(end) }
            }
            Step::Rule { subject, threshold, cooldown, trail } => {
                let rule = RetrainRule::new(Trigger::Fresh { at_least: threshold })
                    .with_cooldown(Duration::from_millis(cooldown))
                    .with_max_interval(Duration::from_millis(cooldown * 3))
                    .with_backoff(Backoff::new(Duration::from_secs(1), Duration::from_secs(4)));
                let admission = if trail { Admission::Trail } else { Admission::Join };
                let class = Arc::new(Class::new(kind(0), queue_name(0)));
                let template = Template { class, parameters: Parameters::default(), admission };
                Command::SetRule { subject: subject_name(subject), rule, template: Arc::new(template) }
            }
            Step::Observe { subject, total } => {
                let observation = Observation { total, lists: None };
                let job = JobId::from_u128(self.id());
                Command::Observe { subject: subject_name(subject), observation, job, repeats: 0 }
            }
            Step::Activate { model } => {
                let models: Vec<ModelId> = self
                    .yard
                    .registries()
                    .flat_map(|name| self.yard.models(name))
                    .map(|model| model.id)
                    .collect();
                let model = pick(&models, model).unwrap_or(ModelId::from_u128(0));
                Command::Activate { model }
            }
            Step::Retire { subject } => Command::Retire { subject: subject_name(subject) },
        }
    }

    fn submission(&mut self, wish: &Wish) -> Submission {
        let mut class = Class::new(kind(wish.kind), queue_name(wish.queue));
        class.resources = Resources::slots(1).with(Resource::new("gpu").unwrap(), wish.gpus);
        let millis = |millis: u64| Duration::from_millis(millis);
        class.limits = Limits {
            time: wish.time.map(millis),
            queue_time: wish.queue_time.map(millis),
            stall: wish
                .stall
                .map(|within| StallRule { gain: Gain::Performance(score(2)), within: millis(within) }),
            grace: millis(2_000),
        };
        class.retry =
            RetryPolicy { retries_max: wish.retries, backoff: Backoff::new(millis(500), millis(4_000)) };
        let job = JobId::from_u128(self.id());
        let mut submission = Submission::new(job, subject_name(wish.subject), Arc::new(class));
        submission.priority = Priority::new(wish.priority);
        submission.admission = wish.admission;
        submission.not_before = wish.delay.map(|delay| self.now.after(millis(delay)));
        submission.key = wish.key.map(|key| IdempotencyKey::new(format!("key{key}")).unwrap());
        submission.watermark = Some(u64::from(wish.subject));
        if wish.candidates > 0 {
            let candidates = (0..wish.candidates).map(|n| Entrant {
                id: CandidateId::from_u128(self.id()),
                label: Label::new(format!("algorithm {n}")).unwrap(),
                parameters: Parameters::default(),
            });
            let median = wish.median.then_some(MedianRule { reports_min: 2, others_min: 1 });
            submission.contest =
                Some(Arc::new(ContestPlan { target: score(90), candidates: candidates.collect(), median }));
        }
        submission
    }

    fn run_end(&mut self, end: End) -> RunEnd {
        match end {
            End::Completed { performance, artifact } => RunEnd::Completed {
                trained: Trained {
                    artifact: artifact.then(|| Reference::new("model")),
                    metrics: Metrics::new(),
                },
                model: ModelId::from_u128(self.id()),
                last: performance.map(|value| (7, score(value))),
            },
            End::Failed(advice) => RunEnd::Failed(Failure { reason: Reason::new("broke"), advice }),
            End::Interrupted => RunEnd::Interrupted { reason: Reason::new("shutdown") },
            End::Stopped => RunEnd::Stopped,
        }
    }

    fn epoch(&self, node: u8) -> Epoch {
        self.yard.node(node_id(node)).map(|node| node.epoch).unwrap_or_default()
    }

    fn any_job(&self, choice: u8) -> JobId {
        let jobs: Vec<JobId> = self.yard.jobs().map(|job| job.id).collect();
        pick(&jobs, choice).unwrap_or(JobId::from_u128(0))
    }

    /// A run that is at work, or any run that ever was.
    fn any_run(&self, choice: u8, stale: bool) -> Run {
        let live: Vec<Run> = if stale { self.runs.clone() } else { live_runs(&self.yard) };
        pick(&live, choice).unwrap_or(Run { job: JobId::from_u128(0), lease: Lease::new(0) })
    }
}

pub fn live_runs(yard: &Yard) -> Vec<Run> {
    yard.occupying()
        .flat_map(|job| {
            let live =
                job.running().map(|running| &running.live).or(job.draining().map(|draining| &draining.live));
            live.into_iter().flatten().map(|lease| Run { job: job.id, lease: *lease })
        })
        .collect()
}

pub fn pick<T: Copy>(from: &[T], choice: u8) -> Option<T> {
    (!from.is_empty()).then(|| from[usize::from(choice) % from.len()])
}

pub fn score(hundredths: u8) -> Score {
    Score::new(f64::from(hundredths) / 100.0).unwrap()
}

pub fn node_id(node: u8) -> NodeId {
    NodeId::from_u128(u128::from(node) + 1)
}

pub fn kind(kind: u8) -> Kind {
    Kind::new(KINDS[usize::from(kind)]).unwrap()
}

pub fn queue_name(queue: u8) -> QueueName {
    QueueName::new(format!("queue {queue}")).unwrap()
}

pub fn subject_name(subject: u8) -> Subject {
    Subject::new(format!("subject/{subject}")).unwrap()
}

/// How many jobs each node and queue should count, by looking at every job.
pub fn census(yard: &Yard) -> (BTreeMap<NodeId, u64>, BTreeMap<QueueName, (u32, u32)>) {
    let mut nodes = BTreeMap::new();
    let mut queues = BTreeMap::new();
    for job in yard.jobs() {
        let at = job.running().map(|running| (running.node, running.epoch));
        let at = at.or(job.draining().map(|draining| (draining.node, draining.epoch)));
        let counts: &mut (u32, u32) = queues.entry(job.class.queue.clone()).or_default();
        match at {
            Some((node, epoch)) => {
                counts.0 += 1;
                if yard.node(node).unwrap().epoch == epoch {
                    *nodes.entry(node).or_default() += job.class.resources.amount(Resources::SLOT);
                }
            }
            None if job.is_finished() => {}
            None => counts.1 += 1,
        }
    }
    (nodes, queues)
}
