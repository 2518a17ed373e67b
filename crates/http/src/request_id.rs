use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries a [`RequestId`] in and out.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The name of one request in logs and in the `x-request-id` header: 1 to 64 of `A-Z a-z 0-9 _ -`.
///
/// It is taken over from the request when that carries a well-formed one, and made up otherwise.
#[derive(Clone, Copy)]
pub struct RequestId {
    length: u8,
    bytes: [u8; LENGTH_MAX],
}

const LENGTH_MAX: usize = 64;

impl RequestId {
    /// Takes `text` over if it is well formed.
    #[must_use]
    pub fn parse(text: &str) -> Option<RequestId> {
        Self::from_bytes(text.as_bytes())
    }

    /// The id as text.
    #[expect(clippy::missing_panics_doc, reason = "only ASCII comes in")]
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).expect("a request id is made of ASCII alone")
    }

    pub(crate) fn to_header(self) -> HeaderValue {
        HeaderValue::from_bytes(self.as_bytes()).expect("a request id is made of visible ASCII alone")
    }

    fn from_bytes(text: &[u8]) -> Option<RequestId> {
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if text.is_empty() || text.len() > LENGTH_MAX || !text.iter().all(sane) {
            return None;
        }
        let mut bytes = [0; LENGTH_MAX];
        bytes[..text.len()].copy_from_slice(text);
        Some(RequestId { length: u8::try_from(text.len()).ok()?, bytes })
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for RequestId {}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestId").field(&self.as_str()).finish()
    }
}

/// Makes request ids: a random prefix that tells servers apart, and a counter.
#[derive(Debug)]
pub(crate) struct RequestIds {
    prefix: [u8; PREFIX_LENGTH],
    next: AtomicU64,
}

const PREFIX_LENGTH: usize = 12;
const COUNTER_LENGTH: usize = 16;

impl RequestIds {
    pub(crate) fn new() -> RequestIds {
        // A hasher with random keys is the one source of chance in std, and an id is no secret.
        let mut prefix = [0; PREFIX_LENGTH];
        write_hex(RandomState::new().build_hasher().finish(), &mut prefix);
        RequestIds { prefix, next: AtomicU64::new(1) }
    }

    /// The id of the request with these headers.
    pub(crate) fn of(&self, headers: &HeaderMap) -> RequestId {
        headers
            .get(REQUEST_ID)
            .and_then(|value| RequestId::from_bytes(value.as_bytes()))
            .unwrap_or_else(|| self.next())
    }

    fn next(&self) -> RequestId {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let digits = COUNTER_LENGTH.min((64 - (count | 1).leading_zeros() as usize).div_ceil(4));
        let length = PREFIX_LENGTH + 1 + digits;
        let mut bytes = [0; LENGTH_MAX];
        bytes[..PREFIX_LENGTH].copy_from_slice(&self.prefix);
        bytes[PREFIX_LENGTH] = b'-';
        write_hex(count, &mut bytes[PREFIX_LENGTH + 1..length]);
        RequestId { length: u8::try_from(length).expect("the length is at most 29"), bytes }
    }
}

/// Writes the low digits of `number`, as many as there is room for.
fn write_hex(mut number: u64, into: &mut [u8]) {
    for byte in into.iter_mut().rev() {
        *byte = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sane_tokens_are_taken_over() {
        assert_eq!(RequestId::parse("job-7_B").unwrap().as_str(), "job-7_B");
        assert!(RequestId::parse(&"a".repeat(64)).is_some());
        for bad in ["", "a b", "a\nb", "ä", "a;b", &"a".repeat(65)] {
            assert!(RequestId::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn made_up_ids_differ_and_are_sane() {
        let ids = RequestIds::new();
        let made: Vec<_> = (0..300).map(|_| ids.next()).collect();
        for (index, id) in made.iter().enumerate() {
            assert!(RequestId::parse(id.as_str()).is_some());
            let counter = id.as_str().split_once('-').unwrap().1;
            assert_eq!(u64::from_str_radix(counter, 16).unwrap(), index as u64 + 1);
        }
    }
}
