//! Four algorithms learn to read digits; the first that is right on 97 % of each, in the mean, is the champion.
//!
//! `cargo run --release --example champion_contest` draws their curves, and says how good the champion is on rows that
//! nobody has learned from or was judged by. The data and its licence are in `data/`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use trainyard::port::{Change, Changes};
use trainyard::{
    CandidateId, Class, ContestPlan, Context, Entrant, Event, JobToTrain, Kind, Label, Lease, Metric, Model,
    Outcome, Parameters, QueueName, Score, Subject, Submission, TrainError,
};
use trainyard_examples::{Scratch, chart};
use trainyard_tabular::{Dataset, Limits, Lineup, Order, Shares, prepare, train_candidate};

const TARGET: f64 = 0.97;
const CODES: [(char, &str); 4] = [('L', "linear"), ('N', "network"), ('T', "extra-trees"), ('B', "boosting")];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Scratch::new("champion-contest")?;
    let csv = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits.csv");
    let table = folder.path().join("digits.table");
    let prepared = prepare(&csv, &table, &Limits::default(), &|| false)?;
    // 60 % to learn from, 20 % to be judged by while the contest runs, 20 % for the figure at the end.
    let data = Dataset::open(&table, &Shares::default(), 1, &|| false)?;

    let (lineup, kind) = (Lineup::standard(), Kind::new("tabular")?);
    let trainer = move |cx: &mut Context, job: &JobToTrain| {
        let name = job.candidate.as_ref().map_or("linear", |candidate| candidate.label.as_str());
        let algorithm =
            lineup.find(name).ok_or_else(|| TrainError::failed(format!("nobody is called {name}")))?;
        train_candidate(cx, job, &data, algorithm, &Order::new())
    };
    let builder = trainyard::open(folder.path().join("yard")).trainer(kind.clone(), trainer);
    let (yard, _) = builder.report_every(Duration::ZERO).start()?;
    let mut changes = yard.subscribe_with(100_000);

    let class = Arc::new(Class::new(kind, QueueName::new("contests")?));
    let mut submission = Submission::new(yard.job_id(), Subject::new("dataset/digits")?, class);
    let entrant = |(_, name): &(char, &str)| -> Result<Entrant, Box<dyn Error>> {
        let id = CandidateId::new(yard.job_id().as_uuid());
        Ok(Entrant { id, label: Label::new(*name)?, parameters: Parameters::default() })
    };
    let candidates = CODES.iter().map(entrant).collect::<Result<_, _>>()?;
    let plan = ContestPlan { target: Score::new(TARGET)?, candidates, median: None };
    submission.contest = Some(Arc::new(plan));
    let asked = yard.submit(submission).wait()?;
    let Outcome::Completed { model: Some(id) } = yard.finished(asked.job).wait()? else {
        return Err("nobody has reached the target".into());
    };
    let job = yard.job(asked.job).ok_or("it is in the books")?;
    let model = yard.active_model(&job.registry()).ok_or("the champion is registered")?;
    yard.shutdown(Duration::from_secs(5)).wait()?;

    println!("balanced accuracy on the validation rows, over the number of the report");
    println!("{}", chart(&curves(&mut changes), 76, 18));
    println!("{} rows, {} features; target {TARGET}", prepared.rows, prepared.schema.features().len());
    let contest = job.contest().ok_or("it is one")?;
    for candidate in &contest.candidates {
        let window = &candidate.standing.window;
        let best = window.best().map_or(0.0, Score::get);
        let outcome = candidate.outcome().ok_or("it is over")?;
        println!(
            "{:>12}  best {best:.4} in {:>3} reports  {outcome}",
            candidate.label.as_str(),
            window.reports()
        );
    }
    let champion = contest.champion().ok_or("somebody has won")?;
    let test = figure(&model, "test_performance")?;
    println!("champion: {}, {test:.4} on rows that took no part", champion.label);
    assert_eq!(model.id, id);
    assert!(figure(&model, "performance")? >= TARGET && test > 0.9);
    Ok(())
}

/// What each candidate has reported, in order. Their leases are those after that of the attempt.
fn curves(changes: &mut impl Changes) -> Vec<(char, Vec<f64>)> {
    let mut curves: Vec<_> = CODES.iter().map(|(letter, _)| (*letter, Vec::new())).collect();
    let mut first = Lease::new(0);
    while let Some(change) = changes.try_next() {
        let Change::Happened { fact, .. } = change else { continue };
        if let Event::Started { lease, .. } = &fact.event {
            first = lease.next();
        } else if let Event::Reported { lease, performance: Some(value), .. } = &fact.event {
            let curve =
                usize::try_from(lease.get() - first.get()).ok().and_then(|place| curves.get_mut(place));
            curve.into_iter().for_each(|(_, values)| values.push(value.get()));
        }
    }
    curves
}

fn figure(model: &Model, name: &str) -> Result<f64, Box<dyn Error>> {
    Ok(model.metrics.get(&Metric::new(name)?).ok_or("it was measured")?.get())
}
