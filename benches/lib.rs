//! What the benches share: time on a core instead of time on the wall, since machines are shared.
//!
//! Linux only: it reads `/proc`.

pub mod http;
pub mod load;
pub mod table;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The first word after the options that cargo gives.
#[must_use]
pub fn argument() -> Option<String> {
    std::env::args().skip(1).find(|word| !word.starts_with("--"))
}

/// The Python of an environment in this folder that has these packages from PyPI; made when it is not there.
///
/// # Errors
/// When there is no Python, or PyPI cannot be reached.
pub fn environment(folder: &Path, packages: &[&str]) -> Result<PathBuf, Box<dyn Error>> {
    let python = folder.join("venv/bin/python");
    if !python.exists() {
        fs::create_dir_all(folder)?;
        run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages))?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    if command.status()?.success() { Ok(()) } else { Err(format!("{command:?} failed").into()) }
}

/// The one in the middle.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How long this thread has been on a core, in seconds.
///
/// # Panics
/// Where there is no `/proc/thread-self/schedstat`.
#[must_use]
pub fn thread_cpu_seconds() -> f64 {
    on_core("/proc/thread-self/schedstat").expect("Linux says how long a thread has run").as_secs_f64()
}

/// How long all threads that are alive have been on a core, but for those whose names begin with `except`.
///
/// # Panics
/// Where there is no `/proc/self/task`.
#[must_use]
pub fn cpu_seconds_except(except: &str) -> f64 {
    on_cores(|thread| !thread.starts_with(except))
}

fn on_cores(counts: impl Fn(&str) -> bool) -> f64 {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux lists the threads");
    tasks
        .filter_map(|task| {
            let task = task.ok()?.path();
            let name = fs::read_to_string(task.join("comm")).ok()?;
            let time = on_core(task.join("schedstat").to_str()?)?;
            counts(&name).then_some(time.as_secs_f64())
        })
        .sum()
}

/// How long a process has been on a core, in seconds, threads that have ended included: fields 14 and 15 of its `stat`,
/// in hundredths.
///
/// # Errors
/// When there is no such process.
pub fn process_cpu_seconds(process: u32) -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, after_name) = stat.rsplit_once(')').ok_or("a stat without a name")?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || -> Result<f64, Box<dyn Error>> { Ok(fields.next().ok_or("a short stat")?.parse()?) };
    Ok((ticks()? + ticks()?) / 100.0)
}

/// How long the threads of this process whose names begin so have been on a core, in seconds, while they are alive.
///
/// # Panics
/// Where there is no `/proc/self/task`.
#[must_use]
pub fn cpu_seconds_of(name: &str) -> f64 {
    on_cores(|thread| thread.starts_with(name))
}

/// Memory of the process that is in core, in bytes.
#[must_use]
pub fn resident_bytes() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4_096
}

fn on_core(schedstat: &str) -> Option<Duration> {
    let text = fs::read_to_string(schedstat).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}
