//! What an operator reads of the processes.

use std::fmt::Display;
use std::path::Path;

use tracing::{info, warn};
use trainyard_core::Run;

pub(crate) fn began(run: Run, pid: u32, is_found: bool) {
    let how = if is_found { "found again" } else { "started" };
    info!(job = %run.job, lease = %run.lease, pid, "process {how}");
}

pub(crate) fn ended(run: Run, exit: &dyn Display, malformed: u64) {
    info!(job = %run.job, lease = %run.lease, %exit, malformed, "process ended");
}

pub(crate) fn killed(run: Run, pid: u32) {
    warn!(job = %run.job, lease = %run.lease, pid, "process did not stop in time and was killed");
}

pub(crate) fn line_refused(count: u64, why: &dyn Display) {
    warn!(count, %why, "a line of a trainer is no event");
}

pub(crate) fn checkpoint_refused(step: u64, why: &dyn Display) {
    warn!(step, %why, "a checkpoint of a trainer is not taken");
}

pub(crate) fn metric_refused(name: &str, why: &dyn Display) {
    warn!(name, %why, "a metric of a trainer is not taken");
}

pub(crate) fn log_not_shortened(log: &Path, error: &std::io::Error) {
    warn!(log = %log.display(), %error, "could not give the middle of a long log back to the disk");
}

pub(crate) fn record_not_removed(run: Run, error: &std::io::Error) {
    warn!(job = %run.job, lease = %run.lease, %error, "could not remove the record of a process");
}

pub(crate) fn rest_killed(run: Run, count: usize) {
    warn!(job = %run.job, lease = %run.lease, count, "what was left of a process that is gone was killed");
}

pub(crate) fn rest_not_killed(run: Run, error: &std::io::Error) {
    warn!(job = %run.job, lease = %run.lease, %error, "could not see to what is left of a process that is gone");
}

pub(crate) fn orphan(run: Run, pid: u32) {
    warn!(job = %run.job, lease = %run.lease, pid, "a process whose run is over is still at work and is ended");
}
