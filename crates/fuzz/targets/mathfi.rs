//! MathFi's wire: any request, through the service; `Bearer TOKEN` stands for a token in force.
#![no_main]

#[path = "../../adapters/mathfi/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use support::Bench;
use trainyard_fuzz::{ask, request, within};

fuzz_target!(|text: &[u8]| {
    let bench = Bench::new();
    let dataset = bench.ready("ready");
    bench.train(dataset, 0.8);
    let Some(mut request) = request(text) else { return };
    if request.header("authorization") == Some("Bearer TOKEN") {
        let (method, path) = (request.method().clone(), path_of(&request));
        let mut other = trainyard_http::Request::new(method, &path);
        for (name, value) in request.headers() {
            let value = if name == "authorization" {
                format!("Bearer {}", bench.token)
            } else {
                value.to_str().expect("it was a text").to_owned()
            };
            other = other.with_header(name.as_str(), &value);
        }
        let body = trainyard_http::block_on(request.take_body().collect(usize::MAX)).expect("it is there");
        request = other.with_body(body);
    }
    within(16 << 20, || ask(&bench.service, request));
});

fn path_of(request: &trainyard_http::Request) -> String {
    let query = request.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{query}", request.path())
}
