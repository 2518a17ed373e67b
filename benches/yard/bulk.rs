//! Many jobs in one call, beside the bytes of their facts in a plain file, written and synced once.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use trainyard_benches::median;
use trainyard_core::{Event, Fact, Submission, Timestamp};
use trainyard_journal::codec;
use trainyard_runtime::Trainyard;

use crate::{Options, Result, paused, row, submissions};

const JOBS: u64 = 10_000;
const ROUNDS: usize = 9;

pub(crate) fn measure(options: &Options) -> Result<()> {
    let [mut rates, mut ratios, mut waits] = [(); 3].map(|()| vec![]);
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir_in(&options.folder)?;
        let yard = paused(folder.path())?;
        let all = submissions(&yard, 0, JOBS)?;
        let bytes = encoded(&all)?;
        let start = Instant::now();
        let receipts = yard.submit_all(all).wait()?;
        let ours = start.elapsed().as_secs_f64();
        if receipts.iter().any(std::result::Result::is_err) {
            return Err("a job was not let in".into());
        }
        let raw = append(folder.path(), &bytes)?.as_secs_f64();
        rates.push(JOBS as f64 / ours);
        ratios.push(raw / ours);
        let more = submissions(&yard, JOBS, JOBS)?;
        waits.push(longest_look_while(&yard, || yard.submit_all(more).wait().map(drop))?.as_secs_f64() * 1e6);
        yard.shutdown(Duration::from_secs(5)).wait()?;
    }
    row(
        "10,000 jobs in one call, durable: jobs per second",
        &format!("{:.0}", median(&mut rates)),
        ">= 200,000",
    );
    row(
        "  such a call beside the same bytes appended and synced",
        &format!("{:.3}", median(&mut ratios)),
        ">= 0.5",
    );
    row(
        "  the longest that a reader waited in another such call",
        &format!("{:.0} us", median(&mut waits)),
        "",
    );
    Ok(())
}

/// How long whoever looks at the yard over and over waited at most, while this was done.
fn longest_look_while<E: std::error::Error + 'static>(
    yard: &Trainyard,
    done: impl FnOnce() -> std::result::Result<(), E>,
) -> Result<Duration> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !is_over.load(Ordering::Acquire) {
                let start = Instant::now();
                yard.read(|_| ());
                longest = longest.max(start.elapsed());
                thread::sleep(Duration::from_micros(20));
            }
            longest
        });
        let result = done();
        is_over.store(true, Ordering::Release);
        result?;
        Ok(reader.join().expect("a reader does not panic"))
    })
}

fn append(folder: &Path, bytes: &[u8]) -> Result<Duration> {
    let mut file = File::create(folder.join("raw"))?;
    file.sync_all()?;
    let start = Instant::now();
    file.write_all(bytes)?;
    file.sync_data()?;
    Ok(start.elapsed())
}

fn encoded(submissions: &[Submission]) -> Result<Vec<u8>> {
    let fact = |submission: &Submission| {
        let event = Event::Submitted { submission: Arc::new(submission.clone()) };
        Fact { at: Timestamp::from_millis(1_800_000_000_000), event }
    };
    Ok(codec::encode(&submissions.iter().map(fact).collect::<Vec<_>>())?)
}
