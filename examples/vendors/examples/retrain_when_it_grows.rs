//! A vector index grows; a rule says when it is trained again, and why not when it is not.
//!
//! `cargo run --example retrain_when_it_grows`

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use trainyard::port::{Change, Changes};
use trainyard::{
    Admission, Class, Context, Event, JobToTrain, Kind, Observation, Parameters, QueueName, RetrainRule,
    Subject, Template, Trigger, Verdict,
};
use trainyard_examples::Scratch;
use trainyard_ivf::{Index, Item, Metric, Model, Search, Settings, TrainOrder, train_index};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Scratch::new("retrain-when-it-grows")?;
    let index =
        Arc::new(Index::create(&folder.path().join("index.sqlite"), Settings::new(Metric::Euclidean))?);
    let kind = Kind::new("ivf")?;
    let trained = Arc::clone(&index);
    let trainer = move |cx: &mut Context, _: &JobToTrain| {
        train_index(cx, &trained, &TrainOrder::new().with_min_vectors(1_000))
    };
    let (yard, _) = trainyard::open(folder.path()).trainer(kind.clone(), trainer).start()?;
    let mut changes = yard.subscribe();

    // First at 1,000 vectors, and again whenever more lists would suit them than there are.
    let subject = Subject::new("index/7")?;
    let rule = RetrainRule::new(Trigger::OptimalLists { above: 999 });
    let class = Arc::new(Class::new(kind, QueueName::new("automatic")?));
    let template = Template { class, parameters: Parameters::default(), admission: Admission::Join };
    yard.set_rule(subject.clone(), rule, template).wait()?;

    let mut fired = Vec::new();
    let mut numbers = (0_u32..).map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31));
    for total in [10, 999, 1_000, 1_000, 1_500, 2_047, 2_048, 5_000, 8_191, 8_192, 9_000] {
        let items: Vec<Item> = (index.len()..total).map(|id| item(id, &mut numbers)).collect();
        if !items.is_empty() {
            index.upsert(&items)?;
        }
        let lists = index.installed().map(|(_, lists)| lists as u64);
        let observed =
            yard.observe(subject.clone(), Observation { total: index.len() as u64, lists }).wait()?;
        println!("{total:>6} vectors: {}", observed.decision);
        if let Some(job) = observed.job {
            yard.finished(job).wait()?;
            let registry = yard.job(job).map(|job| job.registry()).ok_or("no job")?;
            let model = yard.active_model(&registry).ok_or("no model")?;
            let model = Arc::new(Model::load(&yard.artifact_path(&model)?)?);
            index.install(&model, NonZeroUsize::MIN, &|| false)?;
            fired.push((total, model.n_lists()));
        }
    }
    assert_eq!(fired, [(1_000, 32), (2_048, 64), (8_192, 128)]);
    let hits = index.query(
        &[index.get(&["4711"])?[0].vector.as_slice()],
        &Search::new(NonZeroUsize::MIN),
        &|| false,
    )?;
    assert_eq!(&*hits[0][0].id, "4711", "the trained index finds what is in it");
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
    let fires = stored.iter().filter(|(_, fires)| *fires).map(|(total, _)| *total);
    assert!(fires.eq([1_000, 2_048, 8_192]));
    Ok(())
}

/// A point in one of sixteen heaps.
fn item(id: usize, numbers: &mut impl Iterator<Item = u32>) -> Item {
    let mut number = |span: f32| numbers.next().map_or(0.0, |n| f32::from(n.to_le_bytes()[1]) / 256.0 * span);
    let vector: Vec<f32> = (0..16).map(|d| if d == id % 16 { 10.0 } else { 0.0 } + number(1.0)).collect();
    Item::new(id.to_string(), vector)
}
