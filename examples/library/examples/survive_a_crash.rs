//! A process is killed in the middle of a training; the next one goes on from the last checkpoint.
//!
//! `cargo run --example survive_a_crash` starts itself as a child, waits until the child says that a checkpoint is
//! durable, kills it without a warning, and opens the same folder again.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use trainyard::{
    Class, Context, JobToTrain, Kind, OpenReport, Outcome, Progress, QueueName, Subject, Submission,
    TrainError, Trained, Trainyard,
};
use trainyard_examples::Scratch;

const CHILD: &str = "SURVIVE_A_CRASH_IN";
const STEPS: u64 = 100;
const KILLED_AT: u64 = 30;

/// Sums 1 to 100, one number per step; every tenth sum is a checkpoint.
fn train(cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
    let mut sum = match cx.resume_path() {
        Some(path) => {
            std::fs::read_to_string(path)?.parse().map_err(|_| TrainError::failed("a bad checkpoint"))?
        }
        None => 0,
    };
    println!("attempt {} begins after step {} with {sum}", job.attempt, cx.resume_from());
    cx.measure("resumed_from", u32::try_from(cx.resume_from()).unwrap_or(u32::MAX).into())?;
    for step in cx.resume_from() + 1..=STEPS {
        sum += step;
        cx.report(Progress::step(step, STEPS))?;
        if step % 10 == 0 {
            let name = format!("sum-{step}");
            std::fs::write(cx.dir()?.join(&name), sum.to_string())?;
            cx.checkpoint(&name, step)?;
            println!("checkpoint {step}");
        }
        if step == KILLED_AT && std::env::var_os(CHILD).is_some() {
            // Nobody ever writes to the child: here it waits for its end.
            std::io::stdin().read_line(&mut String::new())?;
        }
    }
    std::fs::write(cx.dir()?.join("sum"), sum.to_string())?;
    cx.trained("sum")
}

fn open(folder: &Path) -> Result<(Trainyard, OpenReport), Box<dyn Error>> {
    Ok(trainyard::open(folder).trainer(Kind::new("sum")?, train).start()?)
}

fn child(folder: PathBuf) -> Result<(), Box<dyn Error>> {
    let (yard, _) = open(&folder)?;
    let class = Arc::new(Class::new(Kind::new("sum")?, QueueName::new("default")?));
    let job = yard.submit(Submission::new(yard.job_id(), Subject::new("sum/1")?, class)).wait()?.job;
    yard.finished(job).wait()?;
    Err("the child should have been killed".into())
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(folder) = std::env::var_os(CHILD) {
        return child(folder.into());
    }
    let folder = Scratch::new("survive-a-crash")?;
    let mut child = Command::new(std::env::current_exe()?)
        .env(CHILD, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let said = BufReader::new(child.stdout.take().ok_or("the child should be heard")?);
    for line in said.lines() {
        let line = line?;
        println!("  child: {line}");
        if line == format!("checkpoint {KILLED_AT}") {
            break;
        }
    }
    child.kill()?;
    println!("the child was killed: {}", child.wait()?);

    let (yard, report) = open(folder.path())?;
    println!("opened: {report}");
    assert_eq!(report.attempts_interrupted, 1);
    let job = yard.read(|yard| yard.jobs().next().map(|job| job.id)).ok_or("the job should be there")?;
    let Outcome::Completed { model: Some(model) } = yard.finished(job).wait()? else {
        return Err("it should complete".into());
    };
    let model = yard.model(model).ok_or("it should be in the registry")?;
    assert_eq!(std::fs::read_to_string(yard.artifact_path(&model)?)?, "5050");
    let resumed_from = model.metrics.values().next().ok_or("it should say where it went on")?.get();
    println!("it went on from step {resumed_from} and the sum is right");
    assert!(resumed_from >= KILLED_AT as f64);
    yard.shutdown(Duration::from_secs(5)).wait()?;
    Ok(())
}
