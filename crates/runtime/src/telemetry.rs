//! The one place that traces and counts. No subscriber is set up here: that is the application's.

use tracing::{Span, debug, error, info, info_span, warn};
use trainyard_core::{Checkpoint, Kind, Reason, Rejection, Run};
use trainyard_journal::JournalError;

use crate::sync::{AtomicU64, Ordering};
use crate::{OpenReport, ShutdownReport, Stop};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a yard has done since it was opened in this process.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The counters while they run.
        #[derive(Debug, Default)]
        pub(crate) struct Meters {
            $(pub(crate) $name: Meter,)*
        }

        impl Meters {
            pub(crate) fn read(&self) -> Counters {
                Counters { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// Commands that were decided on.
    commands,
    /// How many of them made no sense in the state they met.
    rejections,
    /// Turns that wrote something.
    commits,
    /// Facts that this process wrote.
    facts,
    /// Facts that other processes wrote.
    news,
    /// How often the log was made shorter.
    compactions,
    /// Runs that were started here: attempts, or candidates' parts of them.
    runs_started,
    /// Runs whose trainer has returned.
    runs_ended,
    /// How many of them panicked.
    panics,
    /// Threads whose trainer did not stop in time and is still at work, now.
    stuck_threads,
    /// Numbers that trainers showed and that were NaN or infinite.
    refused_scores,
    /// Folders of attempts that were removed because no record named them any more.
    folders_removed,
}

/// One number that is counted.
#[derive(Debug, Default)]
pub(crate) struct Meter(AtomicU64);

impl Meter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, count: usize) {
        self.0.fetch_sub(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) fn opened(report: &OpenReport) {
    info!(%report, "yard opened");
}

pub(crate) fn shut_down(report: &ShutdownReport) {
    info!(%report, "yard shut down");
}

pub(crate) fn stopped(reason: &Reason) {
    error!(%reason, "yard stopped");
}

/// The span that a trainer works in.
pub(crate) fn run_span(run: Run, kind: &Kind) -> Span {
    info_span!("run", job = %run.job, lease = %run.lease, %kind)
}

pub(crate) fn run_told_to_stop(run: Run, stop: Stop) {
    debug!(job = %run.job, lease = %run.lease, %stop, "run told to stop");
}

pub(crate) fn run_given_up(run: Run) {
    warn!(job = %run.job, lease = %run.lease, "trainer did not stop in time; its thread is stuck and its slot given away");
}

pub(crate) fn run_came_back(run: Run) {
    warn!(job = %run.job, lease = %run.lease, "trainer that was given up has stopped after all");
}

pub(crate) fn run_panicked(message: &str) {
    error!(message, "trainer panicked");
}

pub(crate) fn write_refused(what: &'static str, rejection: &Rejection) {
    debug!(%rejection, "{what} refused");
}

pub(crate) fn score_refused(value: f64) {
    warn!(value, "a number that is not finite was not reported");
}

pub(crate) fn folder_not_removed(path: &std::path::Path, error: &std::io::Error) {
    warn!(path = %path.display(), %error, "could not remove a folder that no record names");
}

pub(crate) fn rejoined() {
    warn!("this node was given up by the yard and joins it anew");
}

pub(crate) fn journal_locked(error: &JournalError) {
    warn!(%error, "could not begin a turn; trying again");
}

pub(crate) fn folders_kept(count: usize) {
    warn!(
        count,
        "this journal has never seen this node, but the data folder holds attempts: they are left alone, as the file \
         `kept` says"
    );
}

pub(crate) fn checkpoint_missing(checkpoint: &Checkpoint) {
    warn!(reference = %checkpoint.reference, step = checkpoint.step, "the checkpoint to go on from is not here");
}

pub(crate) fn journal_opened(found: &str, was_mended: bool) {
    if was_mended {
        warn!(found, "journal opened, after it was not closed");
    } else {
        info!(found, "journal opened");
    }
}
