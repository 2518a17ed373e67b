//! Trainers in shell and Python: one is cancelled, one is cut short and goes on, one outlives its service.
//!
//! `cargo run --example any_language`. What such a program is told, and how it reports, is in `docs/PROTOCOL.md`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use trainyard::{
    Class, JobId, JobToTrain, Kind, OpenReport, Outcome, Parameters, QueueName, Reason, Run, Subject,
    Submission, TrainError, Trainyard,
};
use trainyard_examples::Scratch;
use trainyard_process::{Began, Exit, Launch, Observer, Processes, Seen};

/// What to run for a job: its parameters name the program.
fn plan(job: &JobToTrain, _: &Path) -> Result<Launch, TrainError> {
    let trainers = Path::new(env!("CARGO_MANIFEST_DIR")).join("trainers");
    match job.subject.as_str() {
        "count" => Ok(Launch::new("sh").with_arg(trainers.join("count.sh"))),
        _ => Ok(Launch::new("python3").with_arg(trainers.join("fit.py"))),
    }
}

/// Shows what the processes do, and passes on who began and how far they are.
struct Show {
    process: AtomicU32,
    steps: Sender<(u32, u64)>,
}

impl Observer for Show {
    fn began(&self, run: Run, process: &Began<'_>) {
        let how = if process.is_found { "found again" } else { "started" };
        println!("  {}: process {} {how}", run.lease, process.pid);
        self.process.store(process.pid, Ordering::Relaxed);
    }

    fn line(&self, run: Run, line: &str) {
        println!("  {}: {line}", run.lease);
    }

    fn progress(&self, run: Run, seen: &Seen) {
        println!("  {}: step {:?} of {:?}, loss {:?}", run.lease, seen.step, seen.total, seen.loss);
        // When nobody listens any more, nobody needs it.
        let _ = self.steps.send((self.process.load(Ordering::Relaxed), seen.step.unwrap_or(0)));
    }

    fn ended(&self, run: Run, exit: Exit) {
        println!("  {}: {exit}", run.lease);
    }
}

fn open(folder: &Path, steps: Sender<(u32, u64)>) -> Result<(Trainyard, OpenReport), Box<dyn Error>> {
    let processes = Processes::open(folder.join("processes"))?;
    let trainer = processes.trainer(plan).with_observer(Show { process: AtomicU32::default(), steps });
    let (yard, report) = trainer.register(trainyard::open(folder), Kind::new("script")?).start()?;
    processes.clear_away(&yard)?;
    Ok((yard, report))
}

fn submit(yard: &Trainyard, subject: &str, parameters: &str) -> Result<JobId, Box<dyn Error>> {
    let class = Arc::new(Class::new(Kind::new("script")?, QueueName::new("default")?));
    let mut submission = Submission::new(yard.job_id(), Subject::new(subject)?, class);
    submission.parameters = Parameters::new(parameters.as_bytes())?;
    Ok(yard.submit(submission).wait()?.job)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Scratch::new("any-language")?;
    let (steps, told) = channel();
    let (yard, _) = open(folder.path(), steps)?;

    println!("a line is fitted in Python, and terminated halfway");
    let job = submit(&yard, "line", r#"{"steps": 1000}"#)?;
    let Outcome::Completed { model: Some(model) } = yard.finished(job).wait()? else {
        return Err("it should complete".into());
    };
    let model = yard.model(model).ok_or("it is in the registry")?;
    println!("it has found {}", std::fs::read_to_string(yard.artifact_path(&model)?)?);
    let metrics: Vec<f64> = model.metrics.values().map(|value| value.get()).collect();
    assert!(
        metrics[0] < 0.05 && metrics[1] == 500.0,
        "its loss is small, and it went on from its checkpoint"
    );

    println!("a shell script counts while its service is restarted");
    told.try_iter().for_each(drop);
    let job = submit(&yard, "count", "")?;
    let (before, reached) = told.iter().find(|(_, step)| *step >= 5).ok_or("it counts")?;
    println!("{}", yard.shutdown(Duration::from_secs(5)).wait()?);
    let (steps, told) = channel();
    let (yard, report) = open(folder.path(), steps)?;
    println!("opened: {report}");
    let (after, _) = told.iter().find(|(_, step)| *step > reached + 5).ok_or("it counts on")?;
    assert_eq!(before, after, "it is the same process");
    println!("and then it is cancelled");
    yard.cancel(job, Reason::new("enough")).wait()?;
    assert!(matches!(yard.finished(job).wait()?, Outcome::Cancelled { .. }));
    yard.shutdown(Duration::from_secs(5)).wait()?;
    Ok(())
}
