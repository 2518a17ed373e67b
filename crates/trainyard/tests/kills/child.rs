//! The child's part: it works for real, and says what was acknowledged.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use trainyard::journal::failpoints::{self, Failpoint};
use trainyard::port::HandleError;
use trainyard::{
    Admission, CandidateId, Class, ContestPlan, Context, Entrant, JobId, JobToTrain, Kind, Label,
    Observation, Parameters, Phase, Progress, QueueName, Reason, RetrainRule, Score, Settings, Stop, Subject,
    Submission, Template, TrainError, Trained, Trainyard, Trigger,
};

use crate::dice::Dice;
use crate::life;

/// So begins a line that is meant for the parent.
pub(crate) const MARK: &str = "> ";
/// How many finished jobs a queue keeps.
pub(crate) const FINISHED_MAX: u32 = 10;
pub(crate) const WORK: &str = "work";
/// A queue that nothing leaves: what is in there makes snapshots too long for one part.
pub(crate) const SHELF: &str = "shelf";
pub(crate) const SHELVED: usize = 3;
const STEPS: u64 = 4;
const BACKLOG_MAX: usize = 16;
const FACTS_MIN: usize = 80;
const THREADS: u64 = 3;
const ROUNDS: u64 = 10;

/// What a life is told.
pub(crate) struct Orders {
    pub(crate) folder: PathBuf,
    pub(crate) life: u64,
    pub(crate) seed: u64,
    pub(crate) plan: Plan,
}

pub(crate) enum Plan {
    Live,
    Drain,
    DieAt(String, u64),
}

impl Plan {
    pub(crate) fn of(plan: life::Plan) -> Self {
        match plan {
            life::Plan::Survey | life::Plan::After { .. } => Self::Live,
            life::Plan::Drain => Self::Drain,
            life::Plan::At { point, nth } => Self::DieAt(point.name().to_owned(), nth),
        }
    }
}

const FOLDER: &str = "TRAINYARD_KILLS_IN";

impl Orders {
    pub(crate) fn write(&self, command: &mut Command) {
        let plan = match &self.plan {
            Plan::Live => "live".to_owned(),
            Plan::Drain => "drain".to_owned(),
            Plan::DieAt(name, nth) => format!("{name} {nth}"),
        };
        command.env(FOLDER, &self.folder).env("TRAINYARD_KILLS_PLAN", plan);
        command.env("TRAINYARD_KILLS_LIFE", format!("{} {}", self.life, self.seed));
    }

    pub(crate) fn read() -> Option<Self> {
        let folder = std::env::var_os(FOLDER)?.into();
        let life = std::env::var("TRAINYARD_KILLS_LIFE").unwrap();
        let (life, seed) = life.split_once(' ').unwrap();
        let plan = match std::env::var("TRAINYARD_KILLS_PLAN").unwrap().split_once(' ') {
            Some((name, nth)) => Plan::DieAt(name.to_owned(), nth.parse().unwrap()),
            None if std::env::var("TRAINYARD_KILLS_PLAN").unwrap() == "drain" => Plan::Drain,
            None => Plan::Live,
        };
        Some(Self { folder, life: life.parse().unwrap(), seed: seed.parse().unwrap(), plan })
    }
}

/// Lives one life.
pub(crate) fn obey(orders: &Orders) {
    println!(); // after what the test harness has begun to say
    static PASSED: [AtomicU64; Failpoint::ALL.len()] = [const { AtomicU64::new(0) }; Failpoint::ALL.len()];
    let die_at = match &orders.plan {
        Plan::DieAt(name, nth) => Some((name.clone(), *nth)),
        Plan::Live | Plan::Drain => None,
    };
    failpoints::install(move |point| {
        let times = PASSED[point as usize].fetch_add(1, Ordering::SeqCst) + 1;
        if die_at.as_ref().is_some_and(|(name, nth)| name == point.name() && *nth == times) {
            die();
        }
    });
    say("born");
    let yard = open(orders);
    get_ready(&yard);
    if matches!(orders.plan, Plan::Drain) {
        drain(&yard);
    } else {
        work(&yard, orders.seed);
    }
    say(&format!("closed {}", yard.shutdown(Duration::from_secs(10)).wait().unwrap()));
    for (point, times) in Failpoint::ALL.iter().zip(&PASSED) {
        say(&format!("passed {} {}", point.name(), times.load(Ordering::SeqCst)));
    }
}

/// Ends this process as the kernel would.
fn die() -> ! {
    use rustix::process::{Signal, getpid, kill_process};
    kill_process(getpid(), Signal::KILL).unwrap();
    loop {
        std::thread::park();
    }
}

/// One line, in one piece.
pub(crate) fn say(words: &str) {
    std::io::stdout().lock().write_all(format!("{MARK}{words}\n").as_bytes()).unwrap();
}

fn open(orders: &Orders) -> Trainyard {
    let runs = Arc::new(Runs { path: orders.folder.join("runs"), life: orders.life });
    let settings =
        Settings { finished_max: FINISHED_MAX, models_max: 1, unfinished_max: 1_000, ..Settings::default() };
    let by = |train: fn(&Runs, &mut Context, &JobToTrain) -> Result<Trained, TrainError>| {
        let runs = Arc::clone(&runs);
        move |cx: &mut Context, job: &JobToTrain| train(&runs, cx, job)
    };
    let builder = trainyard::open(orders.folder.join("data"))
        .slots(4)
        .settings(settings)
        .compact_min(FACTS_MIN)
        .report_every(Duration::ZERO)
        .trainer(kind("steps"), by(steps))
        .trainer(kind("quick"), by(quick));
    builder.start().expect("what a killed process has left opens").0
}

/// What every life does first.
fn get_ready(yard: &Trainyard) {
    let shelf = || QueueName::new(SHELF).unwrap();
    yard.pause_queue(shelf(), Reason::new("for ever")).wait().unwrap();
    let shelved = || yard.read(|yard| yard.queue(&shelf()).map_or(0, |queue| queue.waiting as usize));
    for n in shelved()..SHELVED {
        let class = Arc::new(Class::new(kind("quick"), shelf()));
        let submission = Submission::new(yard.job_id(), subject("shelf", n as u64), class);
        let parameters = Parameters::new(vec![n as u8; 700_000]).unwrap();
        submit(yard, Submission { parameters, ..submission });
    }
    // Who was interrupted too often waits for an operator.
    for job in unfinished(yard) {
        let is_held = yard
            .job(job)
            .is_some_and(|job| matches!(&job.phase, Phase::Waiting(waiting) if waiting.held.is_some()));
        if is_held && yard.unhold(job).wait().is_ok() {
            say(&format!("unheld {job}"));
        }
    }
    let class = Arc::new(Class::new(kind("quick"), QueueName::new(WORK).unwrap()));
    let template = Template { class, parameters: Parameters::default(), admission: Admission::Queue };
    let rule = RetrainRule::new(Trigger::Fresh { at_least: 10 });
    yard.set_rule(subject("rule", 0), rule, template).wait().unwrap();
}

/// Asks for things from several threads, and shuts down in the middle or when they are done.
fn work(yard: &Trainyard, seed: u64) {
    let mut dice = Dice::new(seed);
    let until = dice.below(THREADS * ROUNDS * 2);
    let (done, is_done) = channel();
    let threads: Vec<_> = (0..THREADS)
        .map(|n| {
            let (yard, done, dice) = (yard.clone(), done.clone(), Dice::new(seed ^ (n + 1)));
            std::thread::spawn(move || ask(&yard, n, dice, &done))
        })
        .collect();
    drop(done);
    if (is_done.iter().take(until as usize).count() as u64) < until {
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

fn ask(yard: &Trainyard, me: u64, mut dice: Dice, done: &Sender<()>) {
    let mut mine = Vec::new();
    for _ in 0..ROUNDS {
        let is_much = unfinished(yard).len() >= BACKLOG_MAX;
        match dice.below(12) {
            0..3 if !is_much => mine.extend(submit(yard, plain(yard, "steps", dice.below(4)))),
            3 if !is_much => {
                let both = vec![plain(yard, "steps", dice.below(4)), plain(yard, "quick", dice.below(4))];
                for receipt in yard.submit_all(both).wait().into_iter().flatten().flatten() {
                    say(&format!("submitted {}", receipt.job));
                    mine.push(receipt.job);
                }
            }
            4..6 if !is_much => mine.extend(submit(yard, plain(yard, "quick", dice.below(4)))),
            6 if !is_much => mine.extend(submit(yard, contest(yard, dice.below(2)))),
            7 => {
                let Some(job) = mine.pop() else { continue };
                say(&format!("cancels {job}"));
                if yard.cancel(job, Reason::new("it may")).wait().is_ok() {
                    say(&format!("cancelled {job}"));
                }
            }
            8 if !is_much => {
                let total = 10_000_000 * (me + 1) + dice.below(10_000_000);
                let observed = yard.observe(subject("rule", 0), Observation { total, lists: None }).wait();
                if let Some(job) = observed.ok().and_then(|observed| observed.job) {
                    say(&format!("submitted {job}"));
                }
            }
            9 => {
                let Some(job) = mine.pop() else { continue };
                let reason = Reason::new("for a moment");
                if yard.hold(job, reason).wait().is_ok() && yard.unhold(job).wait().is_ok() {
                    say(&format!("unheld {job}"));
                }
            }
            _ => {
                let Some(job) = unfinished(yard).first().copied() else { continue };
                if let Ok(outcome) = yard.finished(job).wait() {
                    say(&format!("finished {job} {outcome}"));
                }
            }
        }
        let _ = done.send(());
    }
}

/// Waits until everything is done.
fn drain(yard: &Trainyard) {
    while let Some(job) = unfinished(yard).first().copied() {
        match yard.finished(job).wait() {
            Ok(outcome) => say(&format!("finished {job} {outcome}")),
            Err(HandleError::Rejected(_)) => {} // it was, and is forgotten
            Err(error) => panic!("{error}"),
        }
    }
}

fn unfinished(yard: &Trainyard) -> Vec<JobId> {
    let is_work = |queue: &QueueName| queue.as_str() == WORK;
    yard.read(|yard| {
        yard.jobs().filter(|job| !job.is_finished() && is_work(&job.class.queue)).map(|job| job.id).collect()
    })
}

fn submit(yard: &Trainyard, submission: Submission) -> Option<JobId> {
    let job = yard.submit(submission).wait().ok()?.job;
    say(&format!("submitted {job}"));
    Some(job)
}

fn plain(yard: &Trainyard, sort: &str, n: u64) -> Submission {
    let class = Class::new(kind(sort), QueueName::new(WORK).unwrap());
    Submission::new(yard.job_id(), subject(sort, n), Arc::new(class))
}

fn contest(yard: &Trainyard, n: u64) -> Submission {
    let entrant = |n: u128| Entrant {
        id: CandidateId::from_u128(n),
        label: Label::new(n.to_string()).unwrap(),
        parameters: Parameters::default(),
    };
    let candidates = (1..=3).map(entrant).collect();
    let plan = ContestPlan { target: Score::new(0.9).unwrap(), candidates, median: None };
    let submission = Submission { subject: subject("contest", n), ..plain(yard, "steps", 0) };
    Submission { contest: Some(Arc::new(plan)), ..submission }
}

fn kind(name: &str) -> Kind {
    Kind::new(name).unwrap()
}

fn subject(sort: &str, n: u64) -> Subject {
    Subject::new(format!("{sort}/{n}")).unwrap()
}

/// A file that says which runs began and which ended, in which order, over all lives.
struct Runs {
    path: PathBuf,
    life: u64,
}

impl Runs {
    fn begin<'a>(&'a self, job: &JobToTrain, from: u64) -> Run<'a> {
        let label = job.candidate.as_ref().map_or("-", |candidate| candidate.label.as_str());
        let lease = job.run.lease;
        let run =
            Run { runs: self, text: format!("{} {} {} {label} {lease}", self.life, job.id, job.subject) };
        self.note(&format!("begins {} {from}", run.text));
        run
    }

    fn note(&self, line: &str) {
        let file = fs::File::options().append(true).create(true).open(&self.path);
        file.unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// Says that it has ended when it has, however that is.
struct Run<'a> {
    runs: &'a Runs,
    text: String,
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.runs.note(&format!("ends {}", self.text));
    }
}

/// What a checkpoint or a model says, so that it can be told from every other one.
pub(crate) fn content(job: &str, label: &str, step: u64) -> String {
    format!("{job} {label} {step}")
}

/// Goes step by step, with a checkpoint at each.
fn steps(runs: &Runs, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
    let _run = runs.begin(job, cx.resume_from());
    let (id, label) = (job.id.to_string(), job.candidate.as_ref().map_or("-", |one| one.label.as_str()));
    if cx.resume_from() > 0 {
        let state = cx.resume_path().map(fs::read_to_string);
        if !matches!(&state, Some(Ok(text)) if *text == content(&id, label, cx.resume_from())) {
            say(&format!("broken: run {:?} goes on from {:?}, where {state:?} is", job.run, cx.resume()));
        }
    }
    for step in cx.resume_from() + 1..=STEPS {
        let name = format!("state-{step}");
        fs::write(cx.dir()?.join(&name), content(&id, label, step))?;
        cx.checkpoint(&name, step)?;
        say(&format!("checkpoint {id} {label} {step}"));
        let (share, speed) = (step as f64 / STEPS as f64, label.parse().unwrap_or(1.0));
        let performance = Score::new(share * (0.7 + 0.1 * speed)).ok();
        let progress = Progress { performance, ..Progress::step(step, STEPS) };
        match cx.report(progress) {
            Ok(()) => {}
            Err(Stop::TargetReached) => break,
            Err(stop) => return Err(stop.into()),
        }
    }
    write_model(cx.dir()?, &id, label)?;
    cx.trained("model")
}

fn write_model(dir: &Path, id: &str, label: &str) -> std::io::Result<()> {
    fs::write(dir.join("model"), content(id, label, STEPS))
}

/// Leaves a folder that nobody needs.
fn quick(runs: &Runs, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
    let _run = runs.begin(job, cx.resume_from());
    fs::write(cx.dir()?.join("scrap"), "scrap")?;
    Ok(Trained::default())
}
