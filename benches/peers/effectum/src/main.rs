//! Durable lives of a job in effectum, which groups what waits for its one writer, up to 50 calls a commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use effectum::{Job, JobRunner, Queue, RunningJob, Worker};

#[path = "../../shared.rs"]
mod shared;

use shared::Task;

async fn nothing(_job: RunningJob, _context: ()) -> Result<(), effectum::Error> {
    Ok(())
}

#[tokio::main]
async fn main() {
    let task = Arc::new(Task::read());
    let running = task.setting("running", 256) as u16;
    let refill_at = task.setting("refill_at", 128) as u16;
    let queue = Arc::new(Queue::new(&task.folder.join("jobs.sqlite")).await.expect("a new file"));
    let worker = Worker::builder(&queue, ())
        .max_concurrency(running)
        .min_concurrency(refill_at)
        .jobs([JobRunner::builder("nothing", nothing).build()])
        .build()
        .await
        .expect("a worker");

    let start = Instant::now();
    for _ in 0..task.submitters {
        let (task, queue) = (Arc::clone(&task), Arc::clone(&queue));
        tokio::spawn(async move {
            while let Some(number) = task.next() {
                let job = Job::builder("nothing").payload(number.to_string().into_bytes()).build();
                queue.add_job(job).await.expect("it is added");
            }
        });
    }
    // A job counts as finished when its end is committed.
    while worker.counts().finished < task.jobs {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    task.tell("effectum", "0.7.0", start);
    std::process::exit(0);
}
