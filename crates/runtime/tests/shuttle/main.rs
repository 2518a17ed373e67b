//! The runtime's hand-overs, with shuttle deciding at every lock, atomic and channel who goes on: whole yards, under
//! thousands of schedules by chance and by the PCT algorithm, each with other seeds in every run.
//!
//! ```text
//! cargo test -p trainyard-runtime --features shuttle --test shuttle
//! ```
//!
//! `TRAINYARD_LONG=1` runs twenty times as many. Who waits for ever is found by shuttle, which prints the schedule; one
//! test with `TRAINYARD_SCHEDULE` set to it runs that one alone. Shuttle takes every atomic for sequentially consistent,
//! so a weak order that is too weak is not found here.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic and be brief")]

mod asking;
mod leaving;
mod rig;
mod sharing;
mod told;
mod trainers;
mod waiting;
