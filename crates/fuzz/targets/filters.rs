//! Filters of metadata: a line of a filter, a line of metadata.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use trainyard_fuzz::within;
use trainyard_ivf::Filter;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let Ok(filter) = serde_json::from_slice::<Value>(&bytes[..end]) else { return };
    let metadata = serde_json::from_slice::<Value>(bytes.get(end + 1..).unwrap_or_default());
    let room = (1 << 20) + 256 * bytes.len();
    let Ok(parsed) = within(room, || Filter::parse(&filter)) else { return };
    if let Ok(Value::Object(metadata)) = metadata {
        let fits = within(room, || parsed.matches(&metadata));
        assert_eq!(Filter::parse(&filter).expect("it was one").matches(&metadata), fits);
    }
});
