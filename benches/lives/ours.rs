//! Our own side: a yard as `trainyard::open` gives it, with a trainer that does nothing.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use trainyard_core::{
    Abilities, Class, Command, Event, JobId, Kind, ModelId, NodeId, Placement, QueueName, Resources, Run,
    RunEnd, Subject, Submission, Timestamp, Trained, Yard,
};
use trainyard_journal::codec;
use trainyard_runtime::{Context, JobToTrain, Trainyard};
use trainyard_sqlite::{SqliteJournal, SqliteOptions};

/// What each of those is who submit at once.
#[derive(Clone, Copy)]
pub(crate) enum Submitters {
    /// A thread that waits for its answer, as the plain file's callers are.
    Threads,
    /// A task that awaits it, as those of the peers are; all of them on one thread.
    Tasks,
}

/// Runs so many jobs, submitted by so many at once, and says how long it took from the first call to the last end.
pub(crate) fn lives(
    folder: &Path,
    jobs: u64,
    (submitters, form): (u64, Submitters),
    slots: u64,
) -> Result<Duration, Box<dyn Error>> {
    let trained = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&trained);
    let trainer = move |_: &mut Context, _: &JobToTrain| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(Trained::default())
    };
    let (kind, queue) = names();
    let journal = folder.join("yard.sqlite");
    let (yard, _) = Trainyard::builder(folder)
        .journal_with(|| Ok(SqliteJournal::open(journal, &SqliteOptions::new())?.0))
        .trainer(kind.clone(), trainer)
        .slots(slots)
        .start()?;
    let class = Arc::new(Class::new(kind, queue.clone()));

    let next = Arc::new(AtomicU64::new(0));
    let submit_next = {
        let (next, yard) = (Arc::clone(&next), yard.clone());
        move || {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let subject = Subject::new(format!("index/{number}")).expect("a subject");
            let job = || Submission::new(yard.job_id(), subject, Arc::clone(&class));
            (number < jobs).then(|| yard.submit(job()))
        }
    };
    let start = Instant::now();
    match form {
        Submitters::Threads => thread::scope(|scope| {
            for _ in 0..submitters {
                scope.spawn(|| {
                    while let Some(ticket) = submit_next() {
                        ticket.wait().expect("it is let in");
                    }
                });
            }
        }),
        Submitters::Tasks => {
            let tasks = tokio::task::LocalSet::new();
            for _ in 0..submitters {
                let submit_next = submit_next.clone();
                tasks.spawn_local(async move {
                    while let Some(ticket) = submit_next() {
                        ticket.await.expect("it is let in");
                    }
                });
            }
            tokio::runtime::Builder::new_current_thread().build()?.block_on(tasks);
        }
    }
    // What can be read is durable.
    while yard.read(|yard| yard.queue(&queue).is_some_and(|queue| queue.running + queue.waiting > 0)) {
        thread::sleep(Duration::from_millis(1));
    }
    let took = start.elapsed();

    let counters = yard.counters();
    yard.shutdown(Duration::from_secs(5)).wait()?;
    let trained = trained.load(Ordering::Relaxed);
    if (trained, counters.runs_started, counters.rejections) != (jobs, jobs, 0) {
        return Err(format!("{trained} of {jobs} jobs were trained once: {counters:?}").into());
    }
    Ok(took)
}

/// How many bytes the facts of one life take, among others in one record: submitted, started, finished.
pub(crate) fn bytes_of_a_life() -> Result<u64, Box<dyn Error>> {
    const LIVES: u64 = 64;
    let (kind, queue) = names();
    let class = Arc::new(Class::new(kind.clone(), queue));
    let node = NodeId::from_u128(u128::MAX / 3);
    let at = Timestamp::from_millis(1_800_000_000_000);
    let mut yard = Yard::default();
    let abilities = Abilities { kinds: [(kind, Placement::InProcess)].into(), capacity: Resources::slots(1) };
    yard.handle(at, &Command::JoinNode { node, abilities })?;
    let mut facts = Vec::new();
    for number in 0..LIVES {
        let job = JobId::from_u128(u128::from(number) | u128::MAX << 64);
        let subject = Subject::new(format!("index/{}", 30_000 + number))?;
        let submission = Arc::new(Submission::new(job, subject, Arc::clone(&class)));
        facts.extend(yard.handle(at, &Command::Submit(submission))?.facts);
        let Some(Event::Started { job, lease, .. }) = facts.last().map(|fact| fact.event.clone()) else {
            return Err("a job that is alone is not started".into());
        };
        let end = RunEnd::Completed { trained: Trained::default(), model: ModelId::from_u128(0), last: None };
        facts.extend(yard.handle(at, &Command::Finish { run: Run { job, lease }, end })?.facts);
    }
    Ok(codec::encode(&facts)?.len() as u64 / LIVES)
}

fn names() -> (Kind, QueueName) {
    (Kind::new("nothing").expect("a kind"), QueueName::new("default").expect("a name"))
}
