//! HeyGen's wire: any request, through the service.
#![no_main]

#[path = "../../adapters/heygen/tests/support/host.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use the rest")]
mod host;

use std::sync::Arc;

use host::MemoryHost;
use libfuzzer_sys::fuzz_target;
use trainyard_core::{Resources, Timestamp};
use trainyard_fuzz::{ask, request, within};
use trainyard_heygen::{HeyGen, Settings};
use trainyard_http::secret::Secret;
use trainyard_http::{Method, Request};
use trainyard_testkit::bare_yard::{BareYard, in_process};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nand so on";

fuzz_target!(|text: &[u8]| {
    let yard = in_process(&["portrait"], Resources::slots(8));
    let yard = BareYard::new(Timestamp::from_millis(1_770_000_000_123), yard).without_rules();
    let secret = |text: &str| Secret::new(text).expect("it is not empty");
    let settings =
        Settings::new().with_key(secret("KEY")).with_link_key(secret("a key for links, of 32 bytes"));
    let settings = settings.with_public_url("https://train.example.com".parse().expect("it is one"));
    let service = HeyGen::new(Arc::new(yard), Arc::new(MemoryHost::default()), settings);
    let upload = Request::new(Method::POST, "/v1/asset").with_header("x-api-key", "KEY");
    let uploaded = ask(&service, upload.with_header("content-type", "image/png").with_body(PNG));
    assert_eq!(uploaded.status, 200);
    let Some(request) = request(text) else { return };
    within(16 << 20, || ask(&service, request));
});
