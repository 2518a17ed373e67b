//! What the peers' programs share: what they are told, and what they say.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// `--folder F --jobs N --submitters N`, and `--set name=value` to try other settings than the best that were found.
pub struct Task {
    pub folder: PathBuf,
    pub jobs: u64,
    pub submitters: u64,
    set: Vec<(String, u64)>,
    next: AtomicU64,
}

impl Task {
    pub fn read() -> Self {
        let mut task =
            Self { folder: ".".into(), jobs: 1_000, submitters: 256, set: vec![], next: AtomicU64::new(0) };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next().unwrap_or_else(|| panic!("{word} needs a value"));
            let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{text} is no number"));
            match word.as_str() {
                "--folder" => task.folder = value.into(),
                "--jobs" => task.jobs = number(&value),
                "--submitters" => task.submitters = number(&value),
                "--set" => {
                    let (name, value) = value.split_once('=').expect("name=value");
                    task.set.push((name.to_owned(), number(value)));
                }
                other => panic!("{other} is not known"),
            }
        }
        task
    }

    /// A setting: the best that was found, unless another one is asked for.
    pub fn setting(&self, name: &str, best: u64) -> u64 {
        self.set.iter().rev().find(|(known, _)| known == name).map_or(best, |(_, value)| *value)
    }

    /// The number of the next job; each is handed out once.
    pub fn next(&self) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.jobs).then_some(number)
    }

    /// The line that the bench reads.
    pub fn tell(&self, peer: &str, version: &str, start: Instant) {
        let (jobs, seconds) = (self.jobs, start.elapsed().as_secs_f64());
        println!(r#"{{"peer":"{peer}","version":"{version}","jobs":{jobs},"seconds":{seconds}}}"#);
    }
}
