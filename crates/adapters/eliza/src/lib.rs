//! elizaOS's Training API over a trainyard.
//!
//! [`Eliza`] is a [`Service`](trainyard_http::Service): mounted at `/api/training` and `/ws`, it answers as the training service of
//! an elizaOS (Milady) agent does. Trajectories of the agent become datasets, jobs train on them, and what they make is
//! imported, measured and activated. Trainings go through a yard ([`Handle`](trainyard_core::port::Handle)), which keeps
//! them over restarts. Everything else (trajectories, datasets, Ollama, what is known of a run) is asked of a [`Host`],
//! which the embedding service implements.
//!
//! What is the vendor's and what is ours is written down in `docs/WIRE.md`.
//!
//! # What the embedding service does
//!
//! 1. It makes one [`Events`], shares it with its trainers, which publish the lines of their logs there, and hands it to
//!    [`Eliza::new`] with a token ([`Settings::with_token`]), unless it listens on a loopback address only.
//! 2. It registers a trainer for the kind of each [class](Settings::class) that it can run, which reads
//!    [`TrainParameters`], and says which backends there are ([`Host::backends`]). Nothing but trainings of a dataset or
//!    a task is submitted under their subjects ([`DatasetId::subject`], [`Task::subject`]).
//! 3. When it opens, it calls [`Eliza::resync`], mounts the service by its [`mounts`](Eliza::mounts), and has a thread
//!    drive [`Eliza::follow`] until the yard stops.
//! 4. An agent in the same process brings its trajectories with [`Eliza::ingest`]; one elsewhere posts them to
//!    `/api/training/trajectories`.
//!
//! Where no training is built in, [`Absent`] is mounted instead.

mod auto;
mod door;
mod events;
mod fault;
mod follow;
mod host;
mod jobs;
mod map;
mod marks;
mod models;
mod ollama;
mod once;
mod parameters;
mod roll;
mod routes;
mod service;
mod settings;
mod stream;
mod tasks;
mod told;
mod trajectories;
mod wire;

pub use crate::auto::{ResyncError, Resynced};
pub use crate::events::{Event, EventKind, Events, Watch, Watched};
pub use crate::host::{
    Absence, AutoConfig, Backend, Benchmark, Build, Dataset, DatasetId, Host, HostError, Import, Imported,
    Ingested, LlmCall, ModelNotes, Page, ProviderAccess, Refused, RunNotes, Runtime, Scores, Shelf, Task,
    TaskConfig, Trajectory, TrajectoryRow, TrajectoryStatus,
};
pub use crate::ollama::{OllamaUrl, OllamaUrlError};
pub use crate::parameters::{ParametersError, Source, TrainParameters};
pub use crate::routes::OPENAPI;
pub use crate::service::{Absent, Eliza};
pub use crate::settings::{Limits, Origins, Settings};
