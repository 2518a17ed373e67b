//! elizaOS's wire: any request, through the service.
#![no_main]

#[path = "../../adapters/eliza/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use support::Bench;
use trainyard_fuzz::{ask, request, within};

fuzz_target!(|text: &[u8]| {
    let bench = Bench::new();
    bench.service.ingest(br#"[{"id":"t-0","tasks":["response"]}]"#).expect("it is one");
    let Some(request) = request(text) else { return };
    within(64 << 20, || ask(&bench.service, request));
});
