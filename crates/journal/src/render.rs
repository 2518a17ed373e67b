//! Facts for people.
//!
//! ```
//! use trainyard_core::{Event, Fact, JobId, Lease, NodeId, Timestamp};
//! use trainyard_journal::render;
//!
//! let started = Event::Started { job: JobId::from_u128(7), lease: Lease::new(3), node: NodeId::from_u128(1) };
//! let fact = Fact { at: Timestamp::from_millis(1_700_000_000_000), event: started };
//! assert_eq!(
//!     render::to_json(&fact),
//!     r#"{"at":"2023-11-14T22:13:20.000Z","event":{"Started":{"job":"00000000-0000-0000-0000-000000000007","#
//!         .to_owned() + r#""lease":3,"node":"00000000-0000-0000-0000-000000000001"}}}"#,
//! );
//! ```

use trainyard_core::{Fact, Timestamp};

use crate::record::v1;

/// One fact as JSON on one line: `{"at": <RFC 3339>, "event": {<name>: {..}}}`.
///
/// For reading, not for reading back: parameters show their length only, waits are spelled out, and what a name
/// means may be said better in a later release.
///
/// # Panics
/// Never: there is nothing in a fact that JSON cannot say.
#[must_use]
pub fn to_json(fact: &Fact) -> String {
    let mirror = v1::Fact::of(fact, &mut v1::Classes::default());
    serde_json::to_string(&mirror).expect("facts hold no maps with odd keys and no endless numbers")
}

/// The facts of one record as a JSON array on one line, shorter than [`to_json`]: `{<name>: {..}}` each, with
/// `"at"` beside the name only where it is not the time of the record, and of a job's class only kind and queue.
///
/// # Panics
/// Never, as [`to_json`].
#[must_use]
pub fn to_json_array(at: Timestamp, facts: &[Fact]) -> String {
    let mut classes = v1::Classes::shown(v1::Shown::Brief);
    let mut text = Vec::with_capacity(facts.len() * 160);
    for (n, fact) in facts.iter().enumerate() {
        text.push(if n == 0 { b'[' } else { b',' });
        let mirror = v1::Fact::of(fact, &mut classes);
        serde_json::to_writer(&mut text, mirror.event()).expect("an event is as good as a fact");
        if fact.at != at {
            let end = text.pop();
            text.extend_from_slice(format!(",\"at\":\"{}\"", to_rfc3339(fact.at)).as_bytes());
            text.extend(end);
        }
    }
    text.extend_from_slice(if facts.is_empty() { b"[]" } else { b"]" });
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// A moment as RFC 3339 says it, in UTC and to the millisecond.
#[must_use]
pub fn to_rfc3339(moment: Timestamp) -> String {
    v1::Moment::of(moment).to_string()
}
