//! A million jobs run through, a hundred thousand more in line, and a kill: memory on the way, and what it takes to open
//! the yard again until the first attempt that was interrupted runs.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_channel::bounded;
use trainyard_benches::resident_bytes;
use trainyard_core::{Admission, Class, Kind, Subject, Submission, Trained};
use trainyard_journal::{Journal, Position};
use trainyard_runtime::{Context, Driver, JobToTrain, Trainyard};
use trainyard_sqlite::{SqliteJournal, SqliteOptions};

use crate::{Options, Result, builder, kind, opening, queue, row, submissions};

const WAITING: u64 = 100_000;
const SLOTS: u64 = 64;
const AT_ONCE: u64 = 2_000;

pub(crate) fn measure(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    run_and_kill(folder.path(), options.jobs)?;
    let copy = tempfile::tempdir_in(&options.folder)?;
    for file in ["yard.sqlite", "yard.sqlite-wal", "node"] {
        fs::copy(folder.path().join(file), copy.path().join(file))?;
    }

    // The parts, each on its own.
    let file = copy.path().join("yard.sqlite");
    let start = Instant::now();
    let (facts, bytes) = read_all(&file)?;
    let read = start.elapsed();
    let start = Instant::now();
    let (journal, _) = SqliteJournal::open(&file, &SqliteOptions::new())?;
    let driver = Driver::open(journal)?;
    let rebuilt = start.elapsed();
    drop(driver);

    // And the whole, until a trainer is at work again.
    let (began, begun) = bounded(1);
    let again = move |_: &mut Context, job: &JobToTrain| {
        if job.attempt.get() > 1 {
            let _ = began.try_send(Instant::now());
        }
        Ok(Trained::default())
    };
    let start = Instant::now();
    let (yard, report) = builder(folder.path())
        .slots(SLOTS)
        .trainer(Kind::new("long")?, again)
        .trainer(kind()?, |_: &mut Context, _: &JobToTrain| Ok(Trained::default()))
        .start()?;
    let open = start.elapsed();
    let rescued = begun.recv()?.saturating_duration_since(start);
    row(
        &format!("after {} jobs and a kill: the first rescued attempt runs", options.jobs),
        &format!("{:.0} ms", rescued.as_secs_f64() * 1e3),
        "",
    );
    let millis = |part: std::time::Duration| format!("{:.0} ms", part.as_secs_f64() * 1e3);
    row(&format!("  reading {facts} facts of {} MB", bytes >> 20), &millis(read), "");
    row("  applying them", &millis(rebuilt.saturating_sub(read)), "");
    row("  joining and starting", &millis(open.saturating_sub(rebuilt)), "");
    row("  attempts that were interrupted", &report.attempts_interrupted.to_string(), "");
    drop(yard);
    Ok(())
}

/// How many facts there are in a journal, and how many bytes it has.
fn read_all(file: &Path) -> Result<(usize, u64)> {
    let (mut journal, opened) = SqliteJournal::open(file, &SqliteOptions::new())?;
    let reading = journal.read(Position::START)?;
    let mut facts = reading.snapshot.map_or(0, |snapshot| snapshot.facts.len());
    for record in reading.records {
        facts += record?.facts.len();
    }
    Ok((facts, opened.bytes))
}

/// Lets a child run so many jobs and more wait, and kills it when it says that it has.
fn run_and_kill(folder: &Path, jobs: u64) -> Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--child", &folder.display().to_string(), "--jobs", &jobs.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        match line.split_once('\t') {
            Some((figure, rest)) => {
                let (measured, target) = rest.split_once('\t').unwrap_or((rest, ""));
                row(figure, measured, target);
            }
            None if line == READY => break,
            None => {}
        }
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

const READY: &str = "ready";

/// What the child does: runs the jobs, fills the line, keeps every slot busy, says so, and waits.
pub(crate) fn fill_until_killed(folder: &Path, jobs: u64) -> Result<()> {
    if jobs == 0 {
        return opening::once(folder);
    }
    let done = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&done);
    let nothing = move |_: &mut Context, _: &JobToTrain| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(Trained::default())
    };
    let (began, begun) = bounded(usize::try_from(SLOTS)?);
    let long = move |_: &mut Context, _: &JobToTrain| {
        let _ = began.send(());
        loop {
            std::thread::park();
        }
    };
    let (yard, _) =
        builder(folder).slots(SLOTS).trainer(kind()?, nothing).trainer(Kind::new("long")?, long).start()?;

    // Memory once everything has its size, and from there on: of the last fifth beside the second.
    let part = (jobs / 10).max(AT_ONCE);
    let mut resident = vec![];
    for from in (0..jobs).step_by(usize::try_from(part)?) {
        run_through(&yard, from, part.min(jobs - from))?;
        resident.push(resident_bytes() as f64);
    }
    let mean = |parts: &[f64]| parts.iter().sum::<f64>() / parts.len().max(1) as f64;
    let growth = mean(&resident[resident.len() - 2..]) / mean(&resident[2..4]);
    let megabytes: Vec<String> = resident.iter().map(|bytes| format!("{:.0}", bytes / 1e6)).collect();
    println!("memory in MB after each tenth of {jobs} jobs: {}\t\t", megabytes.join(" "));
    println!("  the end beside the third and fourth tenth\t{growth:.3}\t<= 1.10");
    if done.load(Ordering::Relaxed) != jobs {
        return Err("not every job was trained".into());
    }

    let class = Arc::new(Class::new(Kind::new("long")?, queue()?));
    for number in 0..SLOTS {
        let subject = Subject::new(format!("long/{number}"))?;
        let submission = Submission {
            admission: Admission::Queue,
            ..Submission::new(yard.job_id(), subject, Arc::clone(&class))
        };
        yard.submit(submission).wait()?;
    }
    for _ in 0..SLOTS {
        begun.recv()?;
    }
    let before = resident_bytes();
    for part in 0..WAITING / AT_ONCE {
        let all = submissions(&yard, jobs + part * AT_ONCE, AT_ONCE)?;
        yard.submit_all(all).wait()?;
    }
    let each = resident_bytes().saturating_sub(before) as f64 / WAITING as f64;
    println!("memory of a waiting job in the process, both copies\t{each:.0} bytes\t<= 400");
    println!("{READY}");
    std::io::stdout().flush()?;
    loop {
        std::thread::park();
    }
}

/// Runs so many jobs, a few thousand under way at any time.
fn run_through(yard: &Trainyard, from: u64, jobs: u64) -> Result<()> {
    let mut under_way = VecDeque::new();
    for part in 0..jobs.div_ceil(AT_ONCE) {
        let first = part * AT_ONCE;
        let all = submissions(yard, from + first, AT_ONCE.min(jobs - first))?;
        let receipts = yard.submit_all(all).wait()?;
        let last = receipts.last().ok_or("none")?.as_ref().map_err(Clone::clone)?.job;
        under_way.push_back(last);
        if under_way.len() > 2 {
            yard.finished(under_way.pop_front().ok_or("none")?).wait()?;
        }
    }
    while yard.read(|yard| {
        queue().is_ok_and(|queue| yard.queue(&queue).is_some_and(|queue| queue.running + queue.waiting > 0))
    }) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Ok(())
}
