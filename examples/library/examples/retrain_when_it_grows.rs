//! An index grows; a rule says when it is trained again, and why not when it is not.
//!
//! `cargo run --example retrain_when_it_grows`

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use trainyard::port::{Change, Changes};
use trainyard::{
    Admission, Class, Context, Event, JobToTrain, Kind, Observation, Parameters, QueueName, RetrainRule,
    Subject, Template, TrainError, Trained, Trigger, Verdict, optimal_lists,
};
use trainyard_examples::Scratch;

/// Divides the vectors into as many lists as suit them; the model is that number.
fn train(cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
    let vectors = job.watermark.ok_or_else(|| TrainError::failed("how many vectors are there?"))?;
    std::fs::write(cx.dir()?.join("lists"), optimal_lists(vectors).to_string())?;
    cx.trained("lists")
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Scratch::new("retrain-when-it-grows")?;
    let kind = Kind::new("ivf")?;
    let (yard, _) = trainyard::open(folder.path()).trainer(kind.clone(), train).start()?;
    let mut changes = yard.subscribe();

    // First at 1,000 vectors, and again whenever more lists would suit them than there are.
    let index = Subject::new("index/7")?;
    let rule = RetrainRule::new(Trigger::OptimalLists { above: 999 });
    let class = Arc::new(Class::new(kind, QueueName::new("automatic")?));
    let template = Template { class, parameters: Parameters::default(), admission: Admission::Queue };
    yard.set_rule(index.clone(), rule, template).wait()?;

    let mut lists = None;
    let mut fired = Vec::new();
    for total in [10, 999, 1_000, 1_000, 1_500, 2_047, 2_048, 5_000, 8_191, 8_192, 9_000] {
        let observed = yard.observe(index.clone(), Observation { total, lists }).wait()?;
        println!("{total:>6} vectors: {}", observed.decision);
        if let Some(job) = observed.job {
            yard.finished(job).wait()?;
            let registry = yard.job(job).map(|job| job.registry()).ok_or("no job")?;
            let model = yard.active_model(&registry).ok_or("no model")?;
            lists = Some(std::fs::read_to_string(yard.artifact_path(&model)?)?.parse()?);
            fired.push(total);
        }
    }
    assert_eq!(fired, [1_000, 2_048, 8_192]);
    yard.shutdown(Duration::from_secs(5)).wait()?;

    println!("stored, each with how often the one before was repeated:");
    let mut stored = Vec::new();
    while let Some(change) = changes.try_next() {
        if let Change::Happened { fact, .. } = change
            && let Event::Decided { decision, .. } = &fact.event
        {
            println!("  {decision} (after {} repeats)", decision.repeats);
            stored.push((decision.observation.total, matches!(decision.verdict, Verdict::Train(_))));
        }
    }
    let expected = [
        (10, false),
        (1_000, true),
        (1_000, false),
        (2_048, true),
        (5_000, false),
        (8_192, true),
        (9_000, false),
    ];
    assert_eq!(stored, expected);
    Ok(())
}
