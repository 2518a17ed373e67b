//! A small language model learns from what agents have done when to answer, and is judged before and after.
//!
//! `cargo run --release --example finetune_from_trajectories` makes a base model from scratch, trains an adapter beside it
//! on the rows of one task, draws the loss, and prints three scores on rows that were held out.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use trainyard::{Class, Context, JobToTrain, Kind, Outcome, QueueName, Subject, Submission};
use trainyard_examples::{Scratch, chart};
use trainyard_finetune::{Adapter, Base, Benchmark, Order, Rank, Recipe, Source, Speech, train_adapter};
use trainyard_trajectories::{self as data, Layout, PrivacyFilter, Row, RowLimits, Rows, Task, Trajectories};

const ITERATIONS: u64 = 120;

/// The rows of a task, from trajectories that were made a dataset first: what is private is taken out.
fn rows(folder: &Path) -> Result<Vec<Row>, Box<dyn Error>> {
    let sent = File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/trajectories.jsonl"))?;
    let order = data::Order::new("dataset-1".parse()?, 1_770_000_000_000);
    let sent = Trajectories::new(BufReader::new(sent), data::Limits::default());
    let record = data::build(folder, &order, &PrivacyFilter::new("a salt"), sent)?;
    let file = File::open(Layout::new(folder, &record.id).task(Task::ShouldRespond))?;
    Ok(Rows::new(BufReader::new(file), RowLimits::default()).collect::<Result<_, _>>()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Scratch::new("finetune-from-trajectories")?;
    let rows = rows(&folder.path().join("datasets"))?;
    let (train, held_out) = data::split(rows.clone(), |row| row.id.clone(), data::HELD_OUT_SHARE);
    println!("{} rows to learn from, {} held out", train.len(), held_out.len());

    let threads = std::thread::available_parallelism()?;
    let base = Base::make(&Recipe::new(1), threads, &mut |_| true).ok_or("it goes on to the end")?;
    let base_folder = folder.path().join("base");
    base.save(&base_folder)?;
    println!("a base of {} weights was made; its answers:", base.shape().weights());
    let asked = held_out.iter().take(3);
    let show = |adapter: Option<&Adapter>| {
        for row in asked.clone() {
            let answer = base.answer(adapter, &row.system, &row.user, &Speech::greedy());
            println!("    {answer:?}, where {:?} was expected", row.expected);
        }
    };
    show(None);
    let judge = |adapter| Benchmark::new(1).run(&base, adapter, &held_out, threads, &|| true);
    let before = judge(None)?;

    let order = Order::new(Source::Folder(base_folder)).with_iterations(ITERATIONS)?.with_batch_size(8)?;
    let order = order.with_learning_rate(0.015)?.with_rank(Rank::new(16, 32.0).ok_or("within bounds")?);
    let kind = Kind::new("finetune")?;
    let trainer = move |cx: &mut Context, job: &JobToTrain| train_adapter(cx, job, &rows, &order);
    let builder = trainyard::open(folder.path().join("yard")).trainer(kind.clone(), trainer);
    let (yard, _) = builder.start()?;
    let class = Arc::new(Class::new(kind, QueueName::new("training")?));
    let job = yard.submit(Submission::new(yard.job_id(), Subject::new("dataset/1")?, class)).wait()?.job;
    let outcome = yard.finished(job).wait()?;
    let Outcome::Completed { model: Some(id) } = outcome else { return Err(outcome.to_string().into()) };
    let model = yard.model(id).ok_or("it was just made")?;
    let artifact = yard.artifact_path(&model)?;
    let adapter = Adapter::open(&artifact, &base)?;
    let story: Value = serde_json::from_reader(File::open(artifact.join("training.json"))?)?;
    let losses: Vec<f64> = serde_json::from_value(story["losses"].clone())?;
    yard.shutdown(Duration::from_secs(5)).wait()?;

    println!("loss over iterations\n{}", chart(&[('*', losses.clone())], 76, 14));
    println!("its answers with the adapter:");
    show(Some(&adapter));
    let after = judge(Some(&adapter))?;
    println!("on held-out rows   before   after");
    for (what, before, after) in [
        ("coherence", before.coherence, after.coherence),
        ("consistency", before.consistency, after.consistency),
        ("helpfulness", before.helpfulness, after.helpfulness),
    ] {
        println!("{what:>16}   {before:.4}   {after:.4}");
    }
    let (first, last) = losses.first().zip(losses.last()).ok_or("every step has one")?;
    assert!(*last < 0.5 * first, "the loss falls: from {first:.3} to {last:.3}");
    assert!(after.coherence > before.coherence, "rows that were held out are foreseen better");
    Ok(())
}
