//! The limit of the disk: many threads append to one plain file, and share its syncs.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Has so many records appended, each acknowledged once it is on disk; a thread's next follows its last one's
/// acknowledgement.
///
/// One committer gathers what waits, writes once, syncs once, and then wakes everybody it wrote for.
/// When the disk fails, the process ends.
pub(crate) fn appends(folder: &Path, records: u64, bytes: usize, threads: u64) -> io::Result<Duration> {
    let file = OpenOptions::new().append(true).create_new(true).open(folder.join("raw"))?;
    let line = Line::default();
    let next = AtomicU64::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        let committer = scope.spawn(|| line.commit(file, records));
        line.committer.set(committer.thread().clone()).expect("it is set once");
        for _ in 0..threads {
            scope.spawn(|| {
                let record = vec![0x5a; bytes];
                while next.fetch_add(1, Ordering::Relaxed) < records {
                    line.append(&record);
                }
            });
        }
    });
    Ok(start.elapsed())
}

/// What waits for the committer.
#[derive(Default)]
struct Line {
    batch: Mutex<Batch>,
    /// How many batches are on disk.
    synced: AtomicU64,
    committer: OnceLock<Thread>,
}

#[derive(Default)]
struct Batch {
    number: u64,
    bytes: Vec<u8>,
    waiting: Vec<Thread>,
}

impl Line {
    /// Returns when the record is on disk.
    fn append(&self, record: &[u8]) {
        let mut batch = self.batch.lock().expect("nobody panics with it");
        batch.bytes.extend_from_slice(record);
        batch.waiting.push(thread::current());
        let (number, is_first) = (batch.number, batch.waiting.len() == 1);
        drop(batch);
        if is_first {
            self.committer.wait().unpark();
        }
        while self.synced.load(Ordering::Acquire) <= number {
            thread::park();
        }
    }

    fn commit(&self, mut file: File, records: u64) {
        let (mut bytes, mut waiting) = (Vec::new(), Vec::new());
        let mut left = records;
        while left > 0 {
            let mut batch = self.batch.lock().expect("nobody panics with it");
            std::mem::swap(&mut batch.bytes, &mut bytes);
            std::mem::swap(&mut batch.waiting, &mut waiting);
            let number = batch.number;
            batch.number += u64::from(!waiting.is_empty());
            drop(batch);
            if waiting.is_empty() {
                thread::park();
                continue;
            }
            if let Err(error) = file.write_all(&bytes).and_then(|()| file.sync_data()) {
                eprintln!("the plain file: {error}");
                std::process::exit(1); // or the others would wait for ever
            }
            self.synced.store(number + 1, Ordering::Release);
            left -= waiting.len() as u64;
            waiting.drain(..).for_each(|thread| thread.unpark());
            bytes.clear();
        }
    }
}
