//! Durable lives of a job in rustqueue: redb with its default, immediate durability, which syncs every commit, and its
//! write coalescing, with which many calls share a commit and each is answered after it.
//!
//! Its managed worker runs one job at a time, so jobs are pulled in batches here, and acknowledged side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustqueue::RustQueue;
use rustqueue::storage::BufferedRedbConfig;
use serde_json::json;
use tokio::sync::Notify;

#[path = "../../shared.rs"]
mod shared;

use shared::Task;

const QUEUE: &str = "nothing";

#[tokio::main]
async fn main() {
    let task = Arc::new(Task::read());
    let interval_ms = task.setting("interval_ms", 10);
    let max_batch = task.setting("max_batch", 100) as usize;
    let workers = task.setting("workers", 4);
    let pull = task.setting("pull", 256) as u32;
    let builder = RustQueue::redb(task.folder.join("jobs.redb")).expect("a new file");
    let queue = builder
        .with_write_coalescing(BufferedRedbConfig { interval_ms, max_batch })
        .build()
        .expect("a queue");
    // Without it, its manual says, nothing is retried or recovered.
    queue.start_housekeeping().expect("it is in a runtime");

    let (done, all_done) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let start = Instant::now();
    for _ in 0..task.submitters {
        let (task, queue) = (Arc::clone(&task), queue.clone());
        tokio::spawn(async move {
            while let Some(number) = task.next() {
                let data = json!({ "index": number });
                queue.push(QUEUE, "nothing", data, None).await.expect("it is pushed");
            }
        });
    }
    for _ in 0..workers {
        let (task, queue) = (Arc::clone(&task), queue.clone());
        let (done, all_done) = (Arc::clone(&done), Arc::clone(&all_done));
        tokio::spawn(async move {
            loop {
                let jobs = queue.pull(QUEUE, pull).await.expect("they are pulled");
                if jobs.is_empty() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    continue;
                }
                let acks = jobs.iter().map(|job| queue.ack(job.id, None));
                for acknowledged in futures::future::join_all(acks).await {
                    acknowledged.expect("it was active");
                }
                let before = done.fetch_add(jobs.len() as u64, Ordering::Relaxed);
                if before + jobs.len() as u64 == task.jobs {
                    all_done.notify_one();
                }
            }
        });
    }
    all_done.notified().await;
    task.tell("rustqueue", "0.3.0", start);
    let counts = queue.get_queue_stats(QUEUE).await.expect("it counts");
    assert_eq!(counts.completed, task.jobs, "{counts:?}");
    std::process::exit(0);
}
