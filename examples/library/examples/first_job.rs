//! One trainer, one job: a line is fitted to points, and the model is found in the registry.
//!
//! `cargo run --example first_job`

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use trainyard::{
    Class, Context, JobToTrain, Kind, Outcome, Parameters, Progress, QueueName, Subject, Submission,
    TrainError, Trained, Trainer,
};
use trainyard_examples::Scratch;

/// Fits `y = slope * x + offset` by gradient descent; the parameters are the points, as `x,y` lines.
struct LineFit {
    epochs: u64,
}

impl Trainer for LineFit {
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let points =
            points(job.parameters.as_bytes()).ok_or_else(|| TrainError::failed("points are `x,y` lines"))?;
        let (mut slope, mut offset, mut loss) = (0.0, 0.0, f64::INFINITY);
        for epoch in 0..self.epochs {
            let (mut by_slope, mut by_offset) = (0.0, 0.0);
            loss = 0.0;
            for (x, y) in &points {
                let error = slope * x + offset - y;
                loss += error * error;
                by_slope += error * x;
                by_offset += error;
            }
            slope -= 0.05 * by_slope;
            offset -= 0.05 * by_offset;
            cx.report(Progress::step(epoch + 1, self.epochs).with_loss(loss)?)?;
        }
        std::fs::write(cx.dir()?.join("line"), format!("{slope:.2} {offset:.2}"))?;
        cx.measure("loss", loss)?;
        cx.trained("line")
    }
}

fn points(text: &[u8]) -> Option<Vec<(f64, f64)>> {
    let text = std::str::from_utf8(text).ok()?;
    let point = |line: &str| line.split_once(',').and_then(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?)));
    text.lines().map(point).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Scratch::new("first-job")?;
    let kind = Kind::new("line")?;
    let (yard, report) =
        trainyard::open(folder.path()).trainer(kind.clone(), LineFit { epochs: 2_000 }).start()?;
    println!("opened: {report}");

    let class = Arc::new(Class::new(kind, QueueName::new("default")?));
    let mut submission = Submission::new(yard.job_id(), Subject::new("line/1")?, class);
    submission.parameters = Parameters::new(&b"0,1\n1,4\n2,7\n-1,-2"[..])?;
    let receipt = yard.submit(submission).wait()?;
    println!("submitted: job {}", receipt.job);

    let outcome = yard.finished(receipt.job).wait()?;
    println!("over: {outcome}");
    let Outcome::Completed { model: Some(model) } = outcome else { return Err("it should complete".into()) };
    let model = yard.model(model).ok_or("it should be in the registry")?;
    let line = std::fs::read_to_string(yard.artifact_path(&model)?)?;
    println!("the line through the points: {line}");
    assert_eq!(line, "3.00 1.00");
    assert!(model.metrics.values().all(|loss| loss.get() < 1e-6));

    println!("left: {}", yard.shutdown(Duration::from_secs(5)).wait()?);
    Ok(())
}
