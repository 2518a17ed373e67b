//! Durable lives of a job in effectum, which groups what waits for its one writer, up to 50 calls a commit.
//!
//! As it is, its journal is a rollback journal, since it asks for a write-ahead log by a pragma that is none, and it
//! has `synchronous` at normal. That syncs at every commit, some times. A write-ahead log that is synced in full needs
//! one sync and is quicker, so that is what it gets here, though its interface has no word for it; `--set wal=0` takes
//! it as it is. With a write-ahead log and its own `synchronous` it would sync no commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use effectum::{Job, JobRunner, Queue, RunningJob, Worker};

#[path = "../../shared.rs"]
mod shared;

use shared::Task;

mod wal {
    //! Settings for every connection that is opened in this process.

    use std::ffi::{CStr, c_char, c_int, c_void};
    use std::ptr::null_mut;

    use rusqlite::ffi::{
        SQLITE_IGNORE, SQLITE_OK, SQLITE_PRAGMA, sqlite3, sqlite3_api_routines, sqlite3_auto_extension,
        sqlite3_exec, sqlite3_set_authorizer,
    };

    /// Gives every connection a write-ahead log that is synced at each commit, whatever it asks for later.
    pub(crate) fn in_full() {
        // SAFETY: SQLite's own way to set connections up; the functions have the types that it asks for.
        let code = unsafe { sqlite3_auto_extension(Some(set_up)) };
        assert_eq!(code, SQLITE_OK);
    }

    unsafe extern "C" fn set_up(
        connection: *mut sqlite3,
        _error: *mut *const c_char,
        _routines: *const sqlite3_api_routines,
    ) -> c_int {
        let words = c"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL";
        // SAFETY: the connection is open, and both calls are allowed while it is being set up.
        unsafe {
            let code = sqlite3_exec(connection, words.as_ptr(), None, null_mut(), null_mut());
            if code != SQLITE_OK {
                return code;
            }
            sqlite3_set_authorizer(connection, Some(ignore_synchronous), null_mut())
        }
    }

    unsafe extern "C" fn ignore_synchronous(
        _context: *mut c_void,
        action: c_int,
        name: *const c_char,
        value: *const c_char,
        _database: *const c_char,
        _trigger: *const c_char,
    ) -> c_int {
        // SAFETY: of a pragma, SQLite gives the name as text that ends with a zero.
        if action == SQLITE_PRAGMA && !value.is_null() && unsafe { CStr::from_ptr(name) } == c"synchronous" {
            SQLITE_IGNORE
        } else {
            SQLITE_OK
        }
    }
}

async fn nothing(_job: RunningJob, _context: ()) -> Result<(), effectum::Error> {
    Ok(())
}

#[tokio::main]
async fn main() {
    let task = Arc::new(Task::read());
    let running = task.setting("running", 2_000) as u16;
    let refill_at = task.setting("refill_at", running.into()) as u16;
    if task.setting("wal", 1) == 1 {
        wal::in_full();
    }
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
