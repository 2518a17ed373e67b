//! Six drawn portraits of somebody become a model, which renders them again, and others that nobody drew.
//!
//! `cargo run --release --example photo_avatar [FILE]` writes a contact sheet as PNG, and says where: the originals, below
//! them what the model makes of each, and below those a variation of it.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use trainyard::port::Change;
use trainyard::{
    Class, Context, JobToTrain, Kind, Metric, Model, Outcome, QueueName, Score, Subject, Submission,
    Subscription,
};
use trainyard_examples::{Scratch, chart};
use trainyard_portrait::made::Person;
use trainyard_portrait::{
    Limits, Order, Portrait, Quality, Rendered, Source, Variation, inspect, train_portrait,
};

const PHOTOS: u32 = 6;
/// Of the pictures on the sheet, in pixels.
const SIDE: u32 = 128;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Scratch::new("photo-avatar")?;
    let person = Person::new(4);
    let originals: Vec<Rendered> = (0..PHOTOS).map(|number| person.photo(number, 2 * SIDE)).collect();
    let mut photos = Vec::new();
    for (number, original) in originals.iter().enumerate() {
        let path = folder.path().join(format!("upload-{number}"));
        std::fs::write(&path, original.to_jpeg(90))?;
        let picture = inspect(&path, &Limits::default())?; // as the uploads of strangers are
        println!("photo {number}: {:?}, {} x {}", picture.format, picture.width, picture.height);
        photos.push(Source::new(path, format!("look {number}")));
    }

    let kind = Kind::new("portrait")?;
    let trainer = move |cx: &mut Context, job: &JobToTrain| train_portrait(cx, job, &photos, &Order::new());
    let (yard, _) = trainyard::open(folder.path().join("yard")).trainer(kind.clone(), trainer).start()?;
    // Of what was not read yet the newest is kept, so it is read while it comes.
    let changes = yard.subscribe();
    let watched = thread::spawn(move || losses(changes));
    let class = Arc::new(Class::new(kind, QueueName::new("portraits")?));
    let asked = yard.submit(Submission::new(yard.job_id(), Subject::new("group/7")?, class)).wait()?;
    let Outcome::Completed { model: Some(id) } = yard.finished(asked.job).wait()? else {
        return Err("it was not good enough".into());
    };
    let model = yard.model(id).ok_or("it was just made")?;
    let portrait = Portrait::open(&yard.artifact_path(&model)?)?;
    yard.shutdown(Duration::from_secs(5)).wait()?;

    let losses = watched.join().map_err(|_| "somebody watched to the end")?;
    println!("loss, over the number of the report\n{}", chart(&[('L', losses)], 76, 12));
    let (loss, quality) = (figure(&model, "loss")?, figure(&model, "quality")?);
    println!("loss {loss:.4}, quality {quality:.4}, {} photos", figure(&model, "photos")?);

    let sized = |picture: &Rendered| picture.resized(SIDE, SIDE);
    let looks = 0..portrait.looks().len();
    let again = looks.clone().filter_map(|look| portrait.render(look));
    let varied = looks.clone().filter_map(|look| portrait.variation(look, &Variation::new(look as u64)));
    let rows = [
        originals.iter().map(sized).collect::<Vec<_>>(),
        again.map(|picture| sized(&picture)).collect(),
        varied.map(|picture| sized(&picture)).collect(),
    ];
    assert!(rows.iter().all(|row| row.len() == originals.len()));
    let sheet = Rendered::sheet(&rows, 8).ok_or("it has pictures, and few")?;
    let path = std::env::args_os()
        .nth(1)
        .map_or_else(|| std::env::temp_dir().join("trainyard-photo-avatar.png"), PathBuf::from);
    std::fs::write(&path, sheet.to_png())?;
    println!("originals, the model's, and variations: {}", path.display());
    assert!(portrait.quality() >= Quality::new(0.65)?);
    Ok(())
}

/// What was shown while it learned, in order.
fn losses(changes: Subscription) -> Vec<f64> {
    let loss = |change| match change {
        Change::Progressed { progress, .. } => progress.loss.map(Score::get),
        Change::Happened { .. } | Change::Missed { .. } => None,
    };
    changes.into_iter().filter_map(loss).collect()
}

fn figure(model: &Model, name: &str) -> Result<f64, Box<dyn Error>> {
    Ok(model.metrics.get(&Metric::new(name)?).ok_or("it was measured")?.get())
}
