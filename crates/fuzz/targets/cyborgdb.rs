//! CyborgDB's wire: any request, through the service.
#![no_main]

#[path = "../../adapters/cyborgdb/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use support::Bench;
use trainyard_cyborgdb::{Limits, Settings};
use trainyard_fuzz::{ask, request, try_ask, within};

fuzz_target!(|text: &[u8]| {
    let limits = Limits { body_bytes: 64 << 10, body_values: 10_000, ..Limits::default() };
    let bench = Bench::new(Settings::new().with_limits(limits));
    bench.create("i");
    bench.fill("i", 0, 2);
    let Some(once) = request(text) else { return };
    // A training is answered when it is over, which it never is here.
    let told = match once.path().starts_with("/v1/indexes/train") {
        true => within(16 << 20, || try_ask(&bench.service, once)),
        false => Some(within(16 << 20, || ask(&bench.service, once))),
    };
    let Some(told) = told else { return };
    if told.status >= 400 {
        let again = request(text).expect("it was one");
        assert_eq!(ask(&bench.service, again), told, "what was refused has changed nothing");
    }
});
