//! What the tests share.
#![allow(dead_code, unreachable_pub, reason = "every test file uses a part of it")]

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use rustix::fs::{CWD, Mode, mkfifoat};
use trainyard_core::port::Change;
use trainyard_core::{
    Class, Event, Job, JobId, Kind, Outcome, Parameters, QueueName, Reason, Run, Subject, Submission,
};
use trainyard_journal::JournalError;
use trainyard_process::{AtShutdown, Began, Exit, Launch, Observer, ProcessTrainer, Processes, Seen};
use trainyard_runtime::{JobToTrain, OpenReport, ShutdownReport, Subscription, TrainError, Trainyard};
use trainyard_sqlite::{SqliteJournal, SqliteOptions};

/// Nobody waits longer than this; only a broken test ever waits so long.
pub const SAFETY: Duration = Duration::from_secs(300);

/// What an observer is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    Began { pid: u32, log: PathBuf, is_found: bool },
    Line(String),
    Progress(Seen),
    Ended(Exit),
}

/// Passes on what it is told.
struct Ear(Sender<(Run, Heard)>);

impl Observer for Ear {
    fn began(&self, run: Run, process: &Began<'_>) {
        let Began { pid, log, is_found, .. } = *process;
        let _ = self.0.send((run, Heard::Began { pid, log: log.to_owned(), is_found }));
    }

    fn line(&self, run: Run, line: &str) {
        let _ = self.0.send((run, Heard::Line(line.to_owned())));
    }

    fn progress(&self, run: Run, seen: &Seen) {
        let _ = self.0.send((run, Heard::Progress(seen.clone())));
    }

    fn ended(&self, run: Run, exit: Exit) {
        let _ = self.0.send((run, Heard::Ended(exit)));
    }
}

/// A data folder with a yard in SQLite, whose jobs are what their parameters say to a shell.
pub struct Rig {
    pub dir: tempfile::TempDir,
}

/// An open yard.
pub struct Open {
    pub yard: Trainyard,
    pub processes: Processes,
    pub report: OpenReport,
    heard: Receiver<(Run, Heard)>,
}

impl Rig {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn open(&self) -> Open {
        self.open_with(shell, |trainer| trainer)
    }

    pub fn open_with(
        &self,
        plan: impl Fn(&JobToTrain, &Path) -> Result<Launch, TrainError> + Send + Sync + 'static,
        set: impl FnOnce(ProcessTrainer) -> ProcessTrainer,
    ) -> Open {
        open(self.dir.path(), plan, set)
    }

    /// A gate that trainers wait at: `read -r word < gate` in a shell.
    pub fn gate(&self, name: &str) -> Gate {
        Gate::make(&self.path(name))
    }
}

pub fn open(
    folder: &Path,
    plan: impl Fn(&JobToTrain, &Path) -> Result<Launch, TrainError> + Send + Sync + 'static,
    set: impl FnOnce(ProcessTrainer) -> ProcessTrainer,
) -> Open {
    let file = folder.join("yard.sqlite");
    let (tell, heard) = unbounded();
    let processes = Processes::open(folder.join("processes")).unwrap();
    let trainer = processes.trainer(plan).with_observer(Ear(tell)).with_poll_every(Duration::from_millis(5));
    let builder = Trainyard::builder(folder).journal_with(move || journal(&file));
    let (yard, report) = set(trainer).register(builder, kind()).start().unwrap();
    Open { yard, processes, report, heard }
}

/// A process that another test starts at the moment when a journal is closed has its lock until it has become what it
/// is started as.
pub fn journal(file: &Path) -> Result<SqliteJournal, JournalError> {
    let until = Instant::now() + SAFETY;
    loop {
        match SqliteJournal::open(file, &SqliteOptions::new()) {
            Err(error) if error.is_locked() && Instant::now() < until => std::thread::yield_now(),
            opened => return Ok(opened?.0),
        }
    }
}

/// The journal of a rig.
pub fn journal_of(rig: &Rig) -> SqliteJournal {
    journal(&rig.path("yard.sqlite")).unwrap()
}

/// What the job's parameters say to a shell.
pub fn shell(job: &JobToTrain, _: &Path) -> Result<Launch, TrainError> {
    let script = std::str::from_utf8(job.parameters.as_bytes()).unwrap().to_owned();
    Ok(Launch::new("sh").with_args(["-eu", "-c", &*script]))
}

pub fn stopping(trainer: ProcessTrainer) -> ProcessTrainer {
    trainer.with_at_shutdown(AtShutdown::Stop)
}

pub fn kind() -> Kind {
    Kind::new("script").unwrap()
}

impl Open {
    /// Submits a script.
    pub fn submit(&self, script: &str) -> JobId {
        self.submit_of(script, Class::new(kind(), QueueName::new("default").unwrap()))
    }

    pub fn submit_of(&self, script: &str, class: Class) -> JobId {
        let id = self.yard.job_id();
        let mut submission = Submission::new(id, Subject::new(id.to_string()).unwrap(), Arc::new(class));
        submission.parameters = Parameters::new(script.as_bytes().to_vec()).unwrap();
        self.yard.submit(submission).wait_timeout(SAFETY).unwrap().unwrap().job
    }

    pub fn outcome(&self, job: JobId) -> Outcome {
        self.yard.finished(job).wait_timeout(SAFETY).expect("it ends").unwrap()
    }

    /// How a script ends.
    pub fn run(&self, script: &str) -> Outcome {
        self.outcome(self.submit(script))
    }

    /// Why a script fails.
    pub fn failure(&self, script: &str) -> String {
        match self.run(script) {
            Outcome::Failed { reason } => reason.to_string(),
            other => panic!("it fails, not {other:?}"),
        }
    }

    /// What the model of a job holds.
    pub fn model(&self, job: JobId) -> String {
        let Outcome::Completed { model: Some(model) } = self.outcome(job) else {
            panic!("it completes with a model, not {:?}", self.outcome(job))
        };
        let model = self.yard.model(model).unwrap();
        std::fs::read_to_string(self.yard.artifact_path(&model).unwrap()).unwrap()
    }

    pub fn metric(&self, job: JobId, name: &str) -> Option<f64> {
        let Outcome::Completed { model: Some(model) } = self.outcome(job) else { return None };
        let model = self.yard.model(model).unwrap();
        model.metrics.iter().find(|(metric, _)| metric.as_str() == name).map(|(_, value)| value.get())
    }

    pub fn job(&self, job: JobId) -> Job {
        self.yard.job(job).unwrap()
    }

    pub fn cancel(&self, job: JobId) {
        let reason = Reason::new("nobody wants it");
        self.yard.cancel(job, reason).wait_timeout(SAFETY).unwrap().unwrap();
    }

    /// Waits until something is heard.
    pub fn until<T>(&self, wanted: impl Fn(&Heard) -> Option<T>) -> T {
        loop {
            let (_, heard) = self.heard.recv_timeout(SAFETY).expect("it is heard");
            if let Some(found) = wanted(&heard) {
                return found;
            }
        }
    }

    pub fn until_line(&self, line: &str) {
        self.until(|heard| matches!(heard, Heard::Line(said) if said == line).then_some(()));
    }

    /// Waits for the beginning of a process: its number, and whether it was found.
    pub fn until_began(&self) -> (u32, bool) {
        self.until(|heard| match heard {
            Heard::Began { pid, is_found, .. } => Some((*pid, *is_found)),
            _ => None,
        })
    }

    pub fn until_ended(&self) -> Exit {
        self.until(|heard| match heard {
            Heard::Ended(exit) => Some(*exit),
            _ => None,
        })
    }

    /// Everything that is heard of until a process has ended.
    pub fn all(&self) -> Vec<Heard> {
        let mut all = Vec::new();
        loop {
            let (_, heard) = self.heard.recv_timeout(SAFETY).expect("it ends");
            if let Heard::Ended(_) = heard {
                return all;
            }
            all.push(heard);
        }
    }

    pub fn shut_down(self) -> ShutdownReport {
        self.yard.shutdown(SAFETY).wait_timeout(SAFETY).unwrap().unwrap()
    }
}

/// A named pipe that holds whoever reads a line of it until there is one.
pub struct Gate {
    pub path: PathBuf,
    file: File,
}

impl Gate {
    pub fn make(path: &Path) -> Self {
        mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
        // Open at both ends, nobody waits for the other.
        let file = File::options().read(true).write(true).open(path).unwrap();
        Self { path: path.to_owned(), file }
    }

    /// Lets one through.
    pub fn open(&self) {
        (&self.file).write_all(b"go\n").unwrap();
    }
}

/// Whether a process is at work: one that has ended and was not taken note of is not.
pub fn is_at_work(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// A process in a group of its own that waits for ever and is no child of the yard.
pub fn stranger() -> std::process::Child {
    Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0).spawn().unwrap()
}

/// Gives every event up to the end of a job.
pub fn until_finished(changes: &mut Subscription, job: JobId, mut each: impl FnMut(&Event)) {
    loop {
        if let Change::Happened { fact, .. } = changes.next_timeout(SAFETY).expect("it ends") {
            each(&fact.event);
            if matches!(&fact.event, Event::Finished { job: over, .. } if *over == job) {
                return;
            }
        }
    }
}

/// How long a file is, and how much of the disk it takes.
pub fn sizes(path: &Path) -> (u64, u64) {
    let file = std::fs::metadata(path).unwrap();
    (file.len(), file.blocks() * 512)
}
