//! Lives of jobs through the pure core: how many a second, how the cost grows with what waits, and how much memory a
//! waiting job takes.
//!
//! `cargo bench --bench core_lives -- [waiting jobs]`

use std::hint::black_box;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;

use trainyard_benches::table::Figure;
use trainyard_benches::{resident_bytes, thread_cpu_seconds};
use trainyard_core::{
    Abilities, Class, Command, Event, Fact, JobId, Kind, ModelId, NodeId, Placement, QueueName,
    QueueSettings, Resources, Run, RunEnd, Subject, Submission, Timestamp, Trained, Yard,
};

const LIVES: u128 = 300_000;

const MILLION: u128 = 1_000_000;

/// The word by which a child is told to say what a million waiting jobs take, and nothing else.
const MEMORY: &str = "memory";

fn main() {
    if trainyard_benches::argument().as_deref() == Some(MEMORY) {
        println!("{}", bytes_of_a_waiting_job());
        return;
    }
    println!("waiting jobs   lives per CPU second (decide + apply)   target");
    let mut costs = Vec::new();
    let only: Option<u128> = trainyard_benches::argument().and_then(|word| word.parse().ok());
    for waiting in
        [1_000_u128, 100_000, MILLION].into_iter().filter(|waiting| only.is_none_or(|only| only == *waiting))
    {
        let mut world = World::with_waiting(waiting);
        let best = (0..5).map(|_| world.live(LIVES / 5)).fold(0.0, f64::max);
        costs.push(1.0 / best);
        let target = if waiting == 100_000 { ">= 300,000" } else { "" };
        tell(&format!("lives a second through the core, {waiting} waiting"), &format!("{best:.0}"), target);
        println!("{waiting:>12}   {best:>34.0}   {target}");
    }
    if only.is_none_or(|only| only == MILLION) {
        // In a process of its own: what smaller worlds have left would be used again, and not be counted.
        let each = in_a_child().unwrap_or_else(|| "no child told".to_owned());
        tell("memory of a waiting job in the core", &format!("{each} bytes"), "<= 400");
        println!("memory of a waiting job without parameters: {each} bytes (target <= 400; resident set)");
    }
    if only.is_some() {
        return;
    }
    let grown = format!("{:.3}", costs[2] / costs[0]);
    tell("cost of a life at 1,000,000 waiting / at 1,000", &grown, "<= 2.5");
    println!("cost per life at 1,000,000 waiting / at 1,000: {:.2} (target <= 2.5)", costs[2] / costs[0]);
}

fn in_a_child() -> Option<String> {
    let child =
        Process::new(std::env::current_exe().ok()?).arg(MEMORY).stderr(Stdio::inherit()).output().ok()?;
    let told = String::from_utf8(child.stdout).ok()?;
    child.status.success().then(|| told.trim().to_owned())
}

fn bytes_of_a_waiting_job() -> usize {
    let before = resident_bytes();
    let world = World::with_waiting(MILLION);
    let grown = resident_bytes().saturating_sub(before);
    black_box(&world);
    grown / 1_000_000
}

fn tell(figure: &str, measured: &str, target: &str) {
    Figure::new(figure, measured, target).tell();
}

struct World {
    yard: Yard,
    class: Arc<Class>,
    now: i64,
    next: u128,
    running: Run,
}

impl World {
    fn with_waiting(waiting: u128) -> Self {
        let kind = Kind::new("bench").expect("a name");
        let class = Arc::new(Class::new(kind.clone(), QueueName::new("bench").expect("a name")));
        let mut yard = Yard::default();
        let kinds = [(kind, Placement::InProcess)].into();
        let abilities = Abilities { kinds, capacity: Resources::slots(1) };
        let at = Timestamp::from_millis(0);
        yard.handle(at, &Command::JoinNode { node: NodeId::from_u128(1), abilities }).expect("a node joins");
        let settings = QueueSettings { waiting_max: 2_000_000, ..QueueSettings::default() };
        yard.handle(at, &Command::ConfigureQueue { queue: class.queue.clone(), settings })
            .expect("a bigger queue");
        let mut world = Self {
            yard,
            class,
            now: 0,
            next: 0,
            running: Run { job: JobId::from_u128(0), lease: Default::default() },
        };
        for _ in 0..=waiting {
            let submit = world.submission();
            world.send(&submit);
        }
        world.running = world.find_running();
        world
    }

    /// So many lives: submit one, finish the one that runs, whereupon the next starts. Lives per second; making the
    /// commands does not count.
    fn live(&mut self, lives: u128) -> f64 {
        let submits: Vec<Command> = (0..lives).map(|_| self.submission()).collect();
        let start = thread_cpu_seconds();
        for submit in &submits {
            self.send(submit);
            let end =
                RunEnd::Completed { trained: Trained::default(), model: ModelId::from_u128(0), last: None };
            let finish = Command::Finish { run: self.running, end };
            let handled = self.yard.handle(Timestamp::from_millis(self.now), &finish).expect("it runs");
            self.running = started(&handled.facts).expect("the next one starts");
            black_box(&handled);
        }
        #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
        let lives = lives as f64;
        lives / (thread_cpu_seconds() - start)
    }

    fn submission(&mut self) -> Command {
        self.next += 1;
        // As UUIDs of version 7, which the runtime draws: the time in front, spread bits behind. Subjects are spread.
        let spread = self.next.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let id = JobId::from_u128((self.next << 80) | (spread >> 48));
        let subject = Subject::new(format!("index/{}", JobId::from_u128(spread))).expect("a name");
        Command::Submit(Arc::new(Submission::new(id, subject, Arc::clone(&self.class))))
    }

    fn send(&mut self, submit: &Command) {
        self.now += 1;
        black_box(self.yard.handle(Timestamp::from_millis(self.now), submit).expect("it is let in"));
        if self.now % 30_000 == 0 {
            let node = NodeId::from_u128(1);
            let epoch = self.yard.node(node).expect("it has joined").epoch;
            self.yard
                .handle(Timestamp::from_millis(self.now), &Command::RenewNode { node, epoch })
                .expect("it is here");
        }
    }

    fn find_running(&self) -> Run {
        let job = self.yard.occupying().next().expect("one runs");
        Run { job: job.id, lease: job.running().expect("it runs").lease }
    }
}

fn started(facts: &[Fact]) -> Option<Run> {
    let run = |fact: &Fact| {
        if let Event::Started { job, lease, .. } = &fact.event {
            Some(Run { job: *job, lease: *lease })
        } else {
            None
        }
    };
    facts.iter().find_map(run)
}
