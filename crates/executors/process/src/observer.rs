//! What a host may watch.

use std::fmt;
use std::path::Path;

use trainyard_core::Run;

/// Watches the processes of a [`ProcessTrainer`](crate::ProcessTrainer): what they print, how far they are, how they end.
///
/// It is told on the thread that follows the process, so it should be quick. After a restart everything that a
/// re-attached process has printed is told again, from the start of its log.
pub trait Observer: Send + Sync + 'static {
    /// A process runs, or one that was left running is found.
    fn began(&self, run: Run, process: &Began<'_>) {
        let _ = (run, process);
    }

    /// It has printed a line, or logged one as an event. At most 64 KiB, without escape sequences.
    fn line(&self, run: Run, line: &str) {
        let _ = (run, line);
    }

    /// It has come further.
    fn progress(&self, run: Run, seen: &Seen) {
        let _ = (run, seen);
    }

    /// It has ended.
    fn ended(&self, run: Run, exit: Exit) {
        let _ = (run, exit);
    }
}

impl Observer for () {}

/// A process that runs.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Began<'a> {
    /// The number of its process group, and of the process at the head of it.
    pub pid: u32,
    /// Where everything that it prints goes.
    pub log: &'a Path,
    /// Whether an earlier process of this service has started it.
    pub is_found: bool,
}

/// How far a training is, from its events and from lines of known formats.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Seen {
    /// Steps done.
    pub step: Option<u64>,
    /// Steps there will be.
    pub total: Option<u64>,
    /// The share that is done by the phases of a known program, 0 to 1; it never falls.
    pub fraction: Option<f64>,
    /// What is being done.
    pub phase: Option<String>,
    /// A word to whoever watches.
    pub message: Option<String>,
    /// The loss on what is trained on.
    pub loss: Option<f64>,
    /// The loss on what is not.
    pub val_loss: Option<f64>,
    /// The figure that contests and stall rules look at; higher is better.
    pub performance: Option<f64>,
    /// Where the program says that its result is.
    pub saved: Option<String>,
}

/// How a process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this code, as a shell says it: 128 and the number of the signal if one has killed it. A program can end with such
    /// a code by itself, and then means that.
    Code(i32),
    /// Nobody knows: it was killed together with the shell that waits for it, or the machine was restarted.
    Lost,
}

impl Exit {
    /// The code, if it ended by itself.
    #[must_use]
    pub const fn code(self) -> Option<i32> {
        match self {
            Self::Code(code) if self.signal().is_none() => Some(code),
            Self::Code(_) | Self::Lost => None,
        }
    }

    /// The number of the signal that has killed it, 1 to 64. What is above that, as 255 for -1, is a code.
    #[must_use]
    pub const fn signal(self) -> Option<i32> {
        match self {
            Self::Code(code @ 129..=192) => Some(code - 128),
            Self::Code(_) | Self::Lost => None,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.signal()) {
            (Self::Lost, _) => f.write_str("it is gone without a trace"),
            (Self::Code(126), _) => f.write_str("its program cannot be run (exit code 126)"),
            (Self::Code(127), _) => f.write_str("its program was not found (exit code 127)"),
            (Self::Code(code), Some(signal)) => match name(signal) {
                Some(name) => write!(f, "it was killed by {name} (exit code {code})"),
                None => write!(f, "it was killed by signal {signal} (exit code {code})"),
            },
            (Self::Code(code), None) => write!(f, "it ended with exit code {code}"),
        }
    }
}

const fn name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        _ => return None,
    })
}
