//! How fast a journal is on a disk: `cargo bench --bench journal_commits -- <folder>`.
//!
//! The yardstick is a plain file of the same bytes, synced after every commit. Ratios hold, absolute numbers are
//! those of the disk; each is the median of many short rounds, taken in turn.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use trainyard_core::{
    Class, Event, Fact, JobId, Kind, Lease, NodeId, Outcome, Parameters, QueueName, Score, Subject,
    Submission, Timestamp,
};
use trainyard_journal::{Journal, Position, codec, render};
use trainyard_sqlite::{SqliteJournal, SqliteOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = trainyard_benches::argument().map_or_else(std::env::temp_dir, PathBuf::from);
    codec_rates()?;
    for facts in [1, 64] {
        let [mut raw, mut plain, mut readable] = [(); 3].map(|()| Vec::new());
        let [mut of_raw, mut of_plain] = [(); 2].map(|()| Vec::new());
        for _ in 0..ROUNDS {
            let file = raw_rate(&folder, facts)?;
            let without = sqlite_rate(&folder, facts, &SqliteOptions::new().without_readable())?;
            let with = sqlite_rate(&folder, facts, &SqliteOptions::new())?;
            raw.push(file);
            plain.push(without);
            readable.push(with);
            of_raw.push(without / file);
            of_plain.push(with / without);
        }
        println!("{facts:3} facts per commit: file {:6.0}/s", median(raw));
        println!("    sqlite, without text {:6.0}/s  {:4.2} of the file", median(plain), median(of_raw));
        println!("    sqlite, with text    {:6.0}/s  {:4.2} of without", median(readable), median(of_plain));
    }
    compaction(&folder)
}

fn codec_rates() -> Result<(), Box<dyn Error>> {
    let facts = life(0, 64);
    let bytes = codec::encode(&facts)?;
    println!("64 facts are {} bytes", bytes.len());
    let encode = rate(|| drop(black_box(codec::encode(black_box(&facts)))));
    let decode = rate(|| drop(black_box(codec::decode(black_box(&bytes)))));
    println!("encode {:5.2} M facts/s, decode {:5.2} M facts/s", encode * 64e-6, decode * 64e-6);
    let text = render::to_json_array(facts[0].at, &facts).len();
    let render = rate(|| drop(black_box(render::to_json_array(facts[0].at, black_box(&facts)))));
    println!("64 facts are {text} bytes of text, {:5.2} M facts/s", render * 64e-6);
    Ok(())
}

fn raw_rate(folder: &Path, facts: u64) -> Result<f64, Box<dyn Error>> {
    let folder = tempfile::tempdir_in(folder)?;
    let mut file = File::create(folder.path().join("raw"))?;
    let mut n = 0;
    let mut failed = None;
    let rate = rate(|| {
        n += 1;
        let bytes = codec::encode(&life(n, facts)).expect("a small record");
        if let Err(error) = file.write_all(&bytes).and_then(|()| file.sync_data()) {
            failed = Some(error);
        }
    });
    failed.map_or(Ok(rate), |error| Err(error.into()))
}

fn sqlite_rate(folder: &Path, facts: u64, options: &SqliteOptions) -> Result<f64, Box<dyn Error>> {
    let folder = tempfile::tempdir_in(folder)?;
    let (mut journal, _) = SqliteJournal::open(folder.path().join("yard.sqlite"), options)?;
    let mut n = 0;
    let mut failed = None;
    let rate = rate(|| {
        n += 1;
        if let Err(error) = commit(&mut journal, &life(n, facts)) {
            failed = Some(error);
        }
    });
    failed.map_or(Ok(rate), Err)
}

fn compaction(folder: &Path) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir_in(folder)?;
    let path = folder.path().join("yard.sqlite");
    let (mut journal, _) = SqliteJournal::open(&path, &SqliteOptions::new())?;
    for n in 0..2_000 {
        commit(&mut journal, &life(n, 64))?;
    }
    let full = std::fs::metadata(&path)?.len();
    let snapshot = life(0, 20_000);
    let start = Instant::now();
    let mut turn = journal.begin()?;
    turn.compact(&snapshot)?;
    turn.commit()?;
    println!("128,000 facts, {full} bytes, compacted to 20,000 facts in {:?}", start.elapsed());
    println!("the file has {} bytes then", std::fs::metadata(&path)?.len());
    let start = Instant::now();
    let read = journal.read(Position::START)?.snapshot.map_or(0, |snapshot| snapshot.facts.len());
    println!("{read} facts read in {:?}", start.elapsed());
    Ok(())
}

fn commit(journal: &mut dyn Journal, facts: &[Fact]) -> Result<(), Box<dyn Error>> {
    let mut turn = journal.begin()?;
    turn.append(facts[0].at, facts)?;
    turn.commit()?;
    Ok(())
}

/// What happens to jobs: submitted, started, reports, finished.
fn life(n: u64, facts: u64) -> Vec<Fact> {
    let class =
        Arc::new(Class::new(Kind::new("ivf").expect("a kind"), QueueName::new("default").expect("a name")));
    let fact = |part: u64| {
        let job = JobId::from_u128(u128::from(n * facts + part / 5) << 64 | 0x1234_5678_9abc_def0);
        let lease = Lease::new(n + part);
        let event = match (n + part) % 5 {
            0 => {
                let subject = Subject::new(format!("index/{job}")).expect("a subject");
                let mut submission = Submission::new(job, subject, Arc::clone(&class));
                submission.parameters =
                    Parameters::new(*b"{\"n_lists\":1024,\"metric\":\"cosine\"}").expect("short");
                Event::Submitted { submission: Arc::new(submission) }
            }
            1 => Event::Started { job, lease, node: NodeId::from_u128(1) },
            4 => Event::Finished {
                job,
                outcome: Outcome::Completed { model: None },
                released: Some(lease),
                deadline: Timestamp::from_millis(1_800_000_000_000),
            },
            _ => Event::Reported { job, lease, step: n, performance: Score::new(0.5).ok() },
        };
        Fact { at: Timestamp::from_millis(1_800_000_000_000), event }
    };
    (0..facts).map(fact).collect()
}

fn rate(mut once: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut count = 0.0;
    while start.elapsed() < ROUND {
        once();
        count += 1.0;
    }
    count / start.elapsed().as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

const ROUNDS: usize = 31;
const ROUND: Duration = Duration::from_millis(250);
