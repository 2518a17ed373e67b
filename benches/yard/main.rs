//! What a yard on a disk costs, each figure beside the disk, the machine or SQLite alone in the same run: many jobs
//! submitted in one call, one durable submit of one caller, the way from the answer to the trainer, opening and
//! stopping, opening after a million jobs and a kill, and memory.
//!
//! `cargo bench --bench yard -- [--folder <on a real disk>] [--only bulk|one|start|open|million] [--jobs 1000000]`

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trainyard_benches::table::Figure;
use trainyard_core::{Class, Kind, QueueName, Reason, Subject, Submission, Trained};
use trainyard_runtime::{Builder, Context, JobToTrain, Trainyard};
use trainyard_sqlite::{SqliteJournal, SqliteOptions};

mod bulk;
mod million;
mod one;
mod opening;
mod start;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let options = Options::read()?;
    if let Some(folder) = &options.child {
        return million::fill_until_killed(folder, options.jobs);
    }
    let parts: [(&str, Part); 5] = [
        ("bulk", bulk::measure),
        ("one", one::measure),
        ("start", start::measure),
        ("open", opening::measure),
        ("million", million::measure),
    ];
    println!("{:<58} {:>12} {:>22}", "figure", "measured", "target");
    for (name, measure) in parts {
        if options.only.as_deref().is_none_or(|only| only == name) {
            measure(&options)?;
        }
    }
    Ok(())
}

/// Measures, and prints lines of the table.
type Part = fn(&Options) -> Result<()>;

/// What was asked for.
pub(crate) struct Options {
    pub(crate) folder: PathBuf,
    pub(crate) jobs: u64,
    only: Option<String>,
    child: Option<PathBuf>,
}

impl Options {
    fn read() -> Result<Self> {
        let folder = env!("CARGO_TARGET_TMPDIR").into();
        let mut options = Self { folder, jobs: 1_000_000, only: None, child: None };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--bench" => {}
                "--folder" => options.folder = value()?.into(),
                "--only" => options.only = Some(value()?),
                "--jobs" => options.jobs = value()?.parse()?,
                "--child" => options.child = Some(value()?.into()),
                other => return Err(format!("{other} is not known").into()),
            }
        }
        Ok(options)
    }
}

/// A line of the table.
pub(crate) fn row(figure: &str, measured: &str, target: &str) {
    let told = Figure::new(figure, measured, target);
    println!("{figure:<58} {measured:>12} {target:>22}  {}", told.word());
    told.tell();
}

/// A yard on the journal that `trainyard::open` takes, in which nothing has a trainer yet.
pub(crate) fn builder(folder: &Path) -> Builder {
    let file = folder.join("yard.sqlite");
    Trainyard::builder(folder).journal_with(move || Ok(SqliteJournal::open(file, &SqliteOptions::new())?.0))
}

/// The same with a trainer that does nothing.
pub(crate) fn idle(folder: &Path) -> Result<Trainyard> {
    let nothing = |_: &mut Context, _: &JobToTrain| Ok(Trained::default());
    Ok(builder(folder).trainer(kind()?, nothing).start()?.0)
}

/// The same, in which whatever is submitted waits.
pub(crate) fn paused(folder: &Path) -> Result<Trainyard> {
    let yard = idle(folder)?;
    yard.pause_queue(queue()?, Reason::new("bench")).wait()?;
    Ok(yard)
}

pub(crate) fn kind() -> Result<Kind> {
    Ok(Kind::new("nothing")?)
}

pub(crate) fn queue() -> Result<QueueName> {
    Ok(QueueName::new("bench")?)
}

/// Jobs of subjects of their own, numbered from here.
pub(crate) fn submissions(yard: &Trainyard, from: u64, count: u64) -> Result<Vec<Submission>> {
    let class = Arc::new(Class::new(kind()?, queue()?));
    let submission = |number| {
        let subject = Subject::new(format!("index/{number}"))?;
        Ok(Submission::new(yard.job_id(), subject, Arc::clone(&class)))
    };
    (from..from + count).map(submission).collect()
}

/// Microseconds, to read.
pub(crate) fn micros(seconds: f64) -> String {
    format!("{:.1} us", seconds * 1e6)
}
