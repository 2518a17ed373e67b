//! Trainers in any language, as child processes.
//!
//! A [`ProcessTrainer`] trains each attempt by a process of its own: a shell script, a Python program, a stock command line.
//! The process learns what to do from its arguments and from a JSON file, and reports by lines of JSON, if it likes; what
//! mlx-lm and transformers print is understood as it is, see [`formats`]. The protocol is in `docs/PROTOCOL.md`.
//!
//! The process outlives the service that has started it. Its output goes to a file, a shell around it writes down what it
//! ends with, and its number is on disk before it begins, with the time of its start, so that no other process that gets its
//! number is ever taken for it. After a restart the same process is followed on, under the same lease: nothing is trained
//! twice. One that is gone without a trace goes on from its last checkpoint.
//!
//! ```no_run
//! use trainyard_core::Kind;
//! use trainyard_journal::MemoryJournal;
//! use trainyard_process::{Launch, Processes};
//! use trainyard_runtime::Trainyard;
//!
//! let processes = Processes::open("data/processes")?;
//! let trainer = processes.trainer(|_job, folder| {
//!     Ok(Launch::new("python3").with_arg("train.py").with_arg("--output").with_arg(folder.join("model")).with_result("model"))
//! });
//! let builder = Trainyard::builder("data").journal(MemoryJournal::new());
//! let (yard, _) = trainer.register(builder, Kind::new("tune")?).start()?;
//! processes.clear_away(&yard)?; // whose job was cancelled while nobody was there
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Systems
//!
//! It needs Linux (5.4 or newer) and a POSIX shell at `/bin/sh`. A process that is no child can only be told from another
//! that has got its number by the time of its start and by a handle that stays with it; Linux has both, in `/proc` and as
//! pidfds, and other systems do not have the second. There it compiles, and [`Processes::open`] says so.

mod attempt;
mod digest;
mod event;
pub mod formats;
mod launch;
mod lines;
mod observer;
mod processes;
mod record;
mod spawn;
mod spool;
#[cfg_attr(not(target_os = "linux"), path = "elsewhere.rs")]
mod system;
mod telemetry;
mod told;
mod trainer;
mod verdict;

pub use crate::launch::Launch;
pub use crate::observer::{Began, Exit, Observer, Seen};
pub use crate::processes::{ClearedAway, LINES_MAX, Processes, last_lines};
pub use crate::trainer::{AtShutdown, ProcessTrainer};
