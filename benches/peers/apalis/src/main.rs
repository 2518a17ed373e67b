//! Durable lives of a job in apalis with SQLite: a write-ahead log, synced at every commit.
//!
//! Its own `setup` has one connection sync nothing at all, so that is not called; the other settings are its own. A
//! push is a commit; fetching and acknowledging are done in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use apalis::prelude::*;
use apalis_sqlite::{Config, SqliteStorage};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

#[path = "../../shared.rs"]
mod shared;

use shared::Task as Asked;

#[tokio::main]
async fn main() {
    let task = Arc::new(Asked::read());
    let connections = task.setting("connections", 4) as u32;
    let batch = task.setting("batch", 256) as usize;
    let poll = Duration::from_millis(task.setting("poll_ms", 20));
    let options = SqliteConnectOptions::new()
        .filename(task.folder.join("jobs.sqlite"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(60))
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "64000")
        .pragma("journal_size_limit", "67108864");
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(600))
        .connect_with(options)
        .await
        .expect("a new file");
    SqliteStorage::migrations().run(&pool).await.expect("tables");
    let config =
        Config::default().queue("nothing").batch_size(batch).lock_tasks(task.setting("lock", 0) == 1);
    let storage: SqliteStorage<u64> = SqliteStorage::new(&pool).with_config(config);

    let handled = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&handled);
    let nothing = move |_number: u64| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok::<(), BoxDynError>(()))
    };
    let worker = WorkerBuilder::new("worker")
        .backend(storage.clone().poll_with_interval(poll))
        .parallelize(tokio::spawn)
        .build(nothing);
    tokio::select! {
        ended = worker.run() => panic!("the worker has ended: {ended:?}"),
        () = submit_and_wait(&task, &storage, &handled) => {}
    }
    std::process::exit(0);
}

async fn submit_and_wait(task: &Arc<Asked>, storage: &SqliteStorage<u64>, handled: &AtomicU64) {
    let start = Instant::now();
    for _ in 0..task.submitters {
        let (task, mut storage) = (Arc::clone(task), storage.clone());
        tokio::spawn(async move {
            while let Some(number) = task.next() {
                storage.push(number).await.expect("it is pushed");
            }
        });
    }
    while handled.load(Ordering::Relaxed) < task.jobs {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    loop {
        let done: i64 = sqlx::query_scalar("SELECT count(*) FROM Jobs WHERE status = 'Done'")
            .fetch_one(storage.pool())
            .await
            .expect("it counts");
        if done as u64 == task.jobs {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    task.tell("apalis-sqlite", "1.0.0", start);
}
