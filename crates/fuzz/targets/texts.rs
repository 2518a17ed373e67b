//! Small texts of strangers: ids of requests, public URLs, paths, secrets, signed texts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_fuzz::within;
use trainyard_http::secret::{Digest, Secret};
use trainyard_http::signed::Signer;
use trainyard_http::{Found, Method, PublicUrl, RequestId, Routes};

fuzz_target!(|data: &[u8]| within(1 << 20, || {
    let text = String::from_utf8_lossy(data);
    if let Some(id) = RequestId::parse(&text) {
        assert_eq!(RequestId::parse(id.as_str()), Some(id));
        assert!((1..=64).contains(&id.as_str().len()));
    }
    if let Ok(url) = text.parse::<PublicUrl>() {
        assert_eq!(PublicUrl::new(url.as_str()).expect("it was one"), url);
    }
    if let Ok(digest) = Digest::from_hex(&text) {
        assert_eq!(Digest::from_hex(&digest.to_hex()).expect("it was one"), digest);
    }
    let routes = Routes::new()
        .with(Method::GET, "/a/{id}/b", 1)
        .and_then(|routes| routes.with(Method::PUT, "/a/x", 2));
    let routes = routes.expect("they are two");
    if let Found::Endpoint { params, .. } = routes.find(&Method::GET, &text) {
        let id = params.get("id").expect("it is in the pattern");
        assert!(!id.is_empty(), "a segment is never empty");
    }
    let key = Secret::new("a key").expect("it is not empty");
    assert!(!key.matches(data) || data == b"a key");
    let signer = Signer::new(&key, "links");
    assert_eq!(signer.verify::<4>(&signer.sign(b"four")), Some(*b"four"));
    if signer.verify::<4>(&text).is_some() {
        assert_eq!(text, signer.sign(b"four"), "nobody else can sign");
    }
}));
