//! MathFi's wire format over a trainyard.
//!
//! [`MathFi`] is a [`Service`](trainyard_http::Service): mounted under `/api`, it answers as MathFi's published API does. Clients log in, make datasets of CSV files, and start trainings: contests in which several
//! algorithms compete until one reaches the caller's target. Contests go through a yard
//! ([`Handle`](trainyard_core::port::Handle)), which keeps them over restarts. Everything else (users, files,
//! predictions) is asked of a [`Host`], which the embedding service implements.
//!
//! What is the vendor's and what is ours is written down in `docs/WIRE.md`.
//!
//! # What the embedding service does
//!
//! 1. It keeps a key of 32 random bytes and hands it over with [`Settings::with_key`]. Tokens and signed URLs are
//!    signed with it, and stored nowhere.
//! 2. It registers a trainer for the class's kind, which reads [`TrainParameters`], finds its dataset by
//!    [`DatasetId::of`] the job's subject and its algorithm by the candidate's label. Its models have the metrics
//!    [`PERFORMANCE`], [`TRAINING_PERFORMANCE`] and [`TEST_PERFORMANCE`].
//! 3. It mounts the service by its [`mounts`](MathFi::mounts), and says with [`MathFi::listen_at`] where it listens,
//!    unless there is a [public URL](Settings::with_public_url).
//!
//! # What a token protects
//!
//! A token stands for its user for an hour. It cannot be taken back alone: a changed password takes all tokens of its
//! user back, a changed key those of everybody. A signed URL is good for whoever has it.

mod attempts;
mod datasets;
mod fault;
mod host;
mod intake;
mod line_up;
mod login;
mod map;
mod parameters;
mod predictions;
mod routes;
mod seats;
mod seen;
mod service;
mod settings;
mod signing;
mod told;
mod training;
mod uploads;
mod wire;

pub use crate::host::{
    Dataset, DatasetId, DatasetState, Host, HostError, NewDataset, Prediction, PredictionId, PredictionState,
    Refused, ResultFile, Shape, Stamp, Upload, User, UserId,
};
pub use crate::line_up::{BadLineUp, LineUp};
pub use crate::map::{PERFORMANCE, TEST_PERFORMANCE, TRAINING_PERFORMANCE};
pub use crate::parameters::{ParametersError, TrainParameters};
pub use crate::routes::OPENAPI;
pub use crate::service::MathFi;
pub use crate::settings::{Attempts, Limits, Settings, ShortKey};
