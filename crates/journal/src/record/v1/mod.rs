//! Version 1.
//!
//! Mirrors of the core's types, in postcard's encoding: fields in order, variants by number. So nothing here may be
//! moved, removed or retyped. A new event is a new variant at the end of its enum; anything else is a version 2.
//!
//! Conversions name every field and every variant, on both sides: a core that has grown does not compile against
//! them until someone has decided what the new part is on disk.
//!
//! The same types are what an operator reads as JSON, see [`render`](crate::render): there ids are UUIDs, moments
//! and waits are spelled out, and parameters show their length only.

mod class;
mod contest;
mod event;
mod job;
mod model;
mod node;
mod restored;
mod retrain;
mod value;

pub(crate) use class::{Class, Classes, Shown};
pub(crate) use event::Fact;
pub(crate) use value::Moment;
