//! This test binary once more, as another process.
#![allow(dead_code, reason = "each test crate uses its own part")]

use std::fmt::Display;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const ROLE: &str = "TRAINYARD_HTTP_TEST_ROLE";

/// What this process is to be, when it was started by [`Apart::start`].
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Another process, which is spoken to in lines; killed when it is dropped.
pub(crate) struct Apart {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Apart {
    /// Starts this binary to run nothing but its test `apart`.
    pub(crate) fn start(role: impl Display) -> Apart {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["apart", "--exact", "--nocapture", "--test-threads=1"])
            .env(ROLE, role.to_string())
            // Where glibc allocates: what is large and given back is the system's again at once, so that what this
            // process takes is what it holds, and not what the allocator has kept of it for another thread.
            .env("MALLOC_MMAP_THRESHOLD_", "65536")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Apart { process, lines }
    }

    /// What it says next.
    pub(crate) fn hear(&mut self) -> String {
        loop {
            let line = self.lines.next().expect("it goes on").unwrap();
            // The harness has words of its own.
            if let Some((_, said)) = line.split_once("> ") {
                return said.to_owned();
            }
        }
    }

    pub(crate) fn tell(&mut self, line: impl Display) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// A line of what Linux says about its memory, in KiB.
    pub(crate) fn memory_kib(&self, what: &str) -> u64 {
        memory_kib_of(self.process.id(), what)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn memory_kib_of(process: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim_matches([':', ' ', '\t']).trim_end_matches(" kB").parse().unwrap()
}

/// Said by the other process, for [`Apart::hear`].
pub(crate) fn say(line: impl Display) {
    println!("\n> {line}");
}

/// What [`Apart::tell`] has told.
pub(crate) fn told() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// Lets this process have as many open files as it may, and says how many that is.
pub(crate) fn open_files_max() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    }
    maximum.map_or(usize::MAX, |files| usize::try_from(files).unwrap())
}
