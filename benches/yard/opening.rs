//! Opening a yard that is there and empty, and stopping it; beside a published figure of a peer.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use trainyard_benches::median;

use crate::{Options, Result, idle, row};

const ROUNDS: usize = 31;

/// What graphile-worker 0.17 publishes for starting and stopping an empty worker, on a faster machine.
const PEER_MILLIS: f64 = 68.0;

pub(crate) fn measure(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    once(folder.path())?;
    let mut times = vec![];
    for _ in 0..ROUNDS {
        let start = Instant::now();
        once(folder.path())?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let time = median(&mut times);
    row("open an empty yard and stop", &format!("{time:.2} ms"), "");
    row("  open and stop, beside the 68 ms of graphile-worker", &format!("{:.3}", time / PEER_MILLIS), "< 1");
    match syncs(folder.path())? {
        Some(syncs) => {
            row("  open and stop: syncs of the disk, counted by strace", &syncs.to_string(), "<= 3")
        }
        None => row("  open and stop: syncs of the disk, no strace here", "", "<= 3"),
    }
    Ok(())
}

pub(crate) fn once(folder: &Path) -> Result<()> {
    idle(folder)?.shutdown(Duration::from_secs(5)).wait()?;
    Ok(())
}

/// How often a process that opens the yard and stops syncs.
fn syncs(folder: &Path) -> Result<Option<usize>> {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        return Ok(None);
    }
    let output = Command::new("strace")
        .args(["-f", "-e", "trace=fsync,fdatasync,sync_file_range,msync"])
        .arg(std::env::current_exe()?)
        .args(["--child", &folder.display().to_string(), "--jobs", "0"])
        .output()?;
    if !output.status.success() {
        return Err("the process that was counted has failed".into());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Ok(Some(text.lines().filter(|line| line.contains("sync(")).count()))
}
