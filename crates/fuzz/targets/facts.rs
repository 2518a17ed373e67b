//! The journal's records: any bytes as what a record holds, under a checksum that holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_core::Yard;
use trainyard_fuzz::within;
use trainyard_journal::{codec, render};

fuzz_target!(|body: &[u8]| {
    assert!(codec::decode(body).is_err() || body.len() > 6);
    let version = codec::VERSION.to_le_bytes();
    let mut sum = crc32fast::Hasher::new();
    sum.update(&version);
    sum.update(body);
    let record = [&version[..], &sum.finalize().to_le_bytes(), body].concat();
    let room = (4 << 20) + 512 * body.len();
    let Ok(facts) = within(room, || codec::decode(&record)) else { return };
    let written = codec::encode(&facts).expect("they came of a record");
    assert_eq!(codec::decode(&written).expect("it was just written"), facts);
    assert_eq!(
        codec::encode(&facts).expect("they came of a record"),
        written,
        "there is one way to write it"
    );
    let mut yard = Yard::default();
    for fact in &facts {
        let _ = render::to_json(fact);
        // Facts that do not fit are refused, and never by a panic.
        if yard.apply(fact).is_err() {
            break;
        }
    }
});
