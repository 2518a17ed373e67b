//! What goes over the wire, in the vendor's words.

use uuid::Uuid;

pub(crate) mod answers;
pub(crate) mod requests;

/// An id as it stands on the wire: 32 hexadecimal digits, and nothing else that might be taken for a UUID.
pub(crate) fn hex(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 32)
}
