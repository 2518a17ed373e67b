//! What goes over the wire, in the vendor's words.

pub(crate) mod answers;
pub(crate) mod requests;
