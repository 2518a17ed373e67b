//! Runs a yard: the driver, the workers, trainers, tickets and subscriptions. Plain threads, no async runtime.
//!
//! A [`Trainyard`] is made by its [`builder`](Trainyard::builder), which needs a folder for files, a
//! [journal](trainyard_journal), and a [`Trainer`] for every kind of job. One thread owns the yard. It takes a batch
//! of commands and, in this order:
//!
//! 1. takes in what other processes wrote, if they share the journal;
//! 2. decides the commands one after the other on its private yard, what runs say last;
//! 3. commits all facts at once;
//! 4. shows them to readers, tells subscribers, answers tickets, starts and stops runs.
//!
//! Nothing can be observed before the third step is over. When it fails, the yard stops: everybody who waits is told
//! [`HandleError::Stopped`](trainyard_core::port::HandleError) with the reason, trainers are told to stop, and the
//! application opens the yard again from its journal.
//!
//! The turn itself is a plain struct without threads or a clock, the [`Driver`].

mod board;
mod builder;
mod bulk;
mod call;
mod clock;
mod context;
mod driver;
mod engine;
mod error;
mod floor;
mod folder;
mod handle;
mod house;
mod hub;
mod inbox;
mod load;
mod pool;
mod report;
mod run;
#[cfg(all(test, feature = "shuttle"))]
mod shuttled;
mod stop;
mod sweep;
mod sync;
mod telemetry;
mod ticket;
mod trainer;
mod trainyard;
mod waiters;
mod worker;

pub use crate::builder::Builder;
pub use crate::clock::{Alarm, Clock, SystemClock};
pub use crate::context::Context;
pub use crate::driver::{Driver, Turned};
pub use crate::error::{DriveError, OpenError};
pub use crate::folder::OutsideDataFolder;
pub use crate::hub::{IntoChanges, Subscription};
pub use crate::report::{OpenReport, ShutdownReport};
pub use crate::stop::Stop;
pub use crate::telemetry::Counters;
pub use crate::ticket::Ticket;
pub use crate::trainer::{CandidateToTrain, JobToTrain, TrainError, Trainer};
pub use crate::trainyard::Trainyard;
