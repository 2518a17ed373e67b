//! CyborgDB's wire format over a trainyard.
//!
//! [`CyborgDb`] is a [`Service`](trainyard_http::Service): mounted under `/v1`, it answers as
//! `cyborgdb-service` 0.18.0 does, so that the unmodified clients create, fill, train, watch, query and
//! delete indexes. Training goes through a yard ([`Handle`](trainyard_core::port::Handle)): a queue that
//! survives restarts, one run at a time, first come first served. Everything else (indexes, vectors, search)
//! is asked of a [`Host`], which the embedding service implements.
//!
//! What is the vendor's, what is ours, and where the documents differ from the real service is written down in
//! `docs/WIRE.md`.
//!
//! # What an index key protects
//!
//! A caller must show the key that an index was created with, or is refused. Only its SHA-256 digest is kept,
//! so the key cannot be read from the data folder. That is all: **vectors, contents and metadata are not
//! encrypted**, neither on disk nor in memory, and whoever can read the files can read them. The original
//! encrypts.
//!
//! # What the embedding service does
//!
//! 1. It configures the queue of [`Settings::with_class`] so that one job runs at once.
//! 2. It registers a trainer for the class's kind, which reads [`TrainParameters`], finds its index by
//!    [`IndexId::of`] the job's subject, and hands over a model with the metric [`N_LISTS`], or none when there
//!    is nothing to do. It reports progress only when it really trains: that is when an index stops being shown
//!    as trained.
//! 3. It calls [`CyborgDb::resync`] at every start, then mounts the service.
//!
//! The registry in the yard is the truth about which model serves: describe, query and a train that is over
//! first make the host [adopt](Host::adopt) it.

mod fault;
mod host;
mod indexes;
mod map;
mod parameters;
mod query;
mod routes;
mod service;
mod settings;
mod status;
mod training;
mod unfit;
mod validate;
mod vectors;
mod wire;

pub use crate::host::{
    Batch, Description, Entry, Hit, Host, HostError, IndexId, Item, Listed, Metric, NewIndex, Parts,
    Precision, Query, Refused, Resolved,
};
pub use crate::map::N_LISTS;
pub use crate::parameters::{ParametersError, TrainParameters};
pub use crate::routes::OPENAPI;
pub use crate::service::CyborgDb;
pub use crate::settings::{Limits, Rule, Settings};
pub use crate::training::{ResyncError, Resynced};
