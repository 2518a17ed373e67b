//! Virtual clocks, failing journals, bare yards, hostile requests, conformance suites and a simulator for trainyard.
//!
//! # Features
//!
//! - `openapi`: what a service answers is held against its OpenAPI document.

pub mod arbitrary;
pub mod bare_yard;
pub mod client;
pub mod clock;
pub mod failing_journal;
pub mod hostile;
pub mod journal_conformance;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod simulator;
