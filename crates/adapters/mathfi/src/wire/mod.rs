//! What goes over the wire, in the vendor's words. Every member is from the fact sheet behind `docs/WIRE.md`.

pub(crate) mod answers;
pub(crate) mod query;
pub(crate) mod requests;
