//! Where an import may lead: to this machine, and nowhere else, whatever is tried.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Bench, NOBODY};
use trainyard_eliza::{OllamaUrl, OllamaUrlError};

#[test]
fn this_machine_has_several_names() {
    for (text, url) in [
        ("http://localhost:11434", "http://localhost:11434"),
        ("http://localhost:11434/", "http://localhost:11434"),
        ("  https://LOCALHOST/ ", "https://localhost"),
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("HTTP://127.255.0.9", "http://127.255.0.9"),
        ("http://[::1]:11434/", "http://[::1]:11434"),
        ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
        ("http://[::ffff:127.0.0.1]:1", "http://[::ffff:7f00:1]:1"),
        ("http://localhost/ollama//", "http://localhost/ollama"),
    ] {
        assert_eq!(OllamaUrl::parse(text).unwrap().as_str(), url);
    }
    assert_eq!(OllamaUrl::default(), OllamaUrl::parse("http://localhost:11434").unwrap());
}

const ELSEWHERE: &[&str] = &[
    "http://0.0.0.0:11434",
    "http://0:11434",
    "http://[::]:11434",
    "http://[::ffff:0.0.0.0]",
    "http://[::127.0.0.1]",
    "http://[::ffff:10.0.0.1]",
    "http://[fe80::1]",
    "http://10.0.0.1:11434",
    "http://169.254.169.254/latest/meta-data",
    "http://example.com",
    "http://localhost.example.com",
    "http://localhost.",
    "http://127.0.0.1.example.com",
    "http://127.0.0.1.",
    "http://127.evil",
    "http://127.1",
    "http://127.0.1",
    "http://2130706433",
    "http://0x7f000001",
    "http://0x7f.0.0.1",
    "http://0177.0.0.1",
    "http://127.0.0.01",
    "http://017700000001",
    "http://%31%32%37.0.0.1",
    "http://%6cocalhost",
    "http://127.0.0.1%2eexample.com",
    "http://ｌocalhost",
    "http://loc\u{ad}alhost",
    "http://①②⑦.0.0.1",
    "http://127。0。0。1",
];

const WITH_MORE: &[&str] = &[
    "http://user@localhost",
    "http://user:password@127.0.0.1",
    "http://@localhost",
    "http://localhost@example.com",
    "http://localhost?x=1",
    "http://localhost/?",
    "http://localhost#top",
];

const NO_URL: &[&str] = &[
    "localhost:11434 x",
    "//localhost",
    "/api",
    "localhost",
    "http:localhost",
    "http:/localhost",
    "http:///localhost",
    "http://",
    "http://local host",
    "http://localhost\n.example.com",
    "http://local\thost",
    "http:\\\\localhost",
    "http://localhost\\@example.com",
    "http://localhost:99999",
    "http://localhost:port",
    "http://[::1",
    "http://[::1%25eth0]",
    "http://1.2.3.4.5",
    "http://256.0.0.1",
];

const OTHER_SCHEMES: &[&str] = &[
    "ftp://localhost",
    "file:///etc/passwd",
    "gopher://127.0.0.1",
    "localhost:11434",
    "data:,x",
    "unix:///x",
];

#[test]
fn everything_else_is_refused() {
    let check = |texts: &[&str], errors: &[OllamaUrlError]| {
        for text in texts {
            let error = OllamaUrl::parse(text).expect_err(text);
            assert!(errors.contains(&error), "{text}: {error:?}");
        }
    };
    // What a parser already refuses is no URL to it; either way nobody is led there.
    check(ELSEWHERE, &[OllamaUrlError::NotLoopback, OllamaUrlError::NoUrl]);
    check(WITH_MORE, &[OllamaUrlError::Extras]);
    check(NO_URL, &[OllamaUrlError::NoUrl, OllamaUrlError::Scheme, OllamaUrlError::NotLoopback]);
    check(OTHER_SCHEMES, &[OllamaUrlError::Scheme]);
    let long = format!("http://localhost/{}", "x".repeat(OllamaUrl::BYTES_MAX));
    check(&[&long], &[OllamaUrlError::NoUrl]);
}

#[test]
fn a_url_is_looked_at_before_the_model_is() {
    let bench = Bench::new();
    let path = format!("/models/{NOBODY}/import-ollama");
    bench.host.asked();
    for text in ELSEWHERE.iter().chain(WITH_MORE).chain(NO_URL).chain(OTHER_SCHEMES) {
        let told = bench.post(&path, &json!({ "ollamaUrl": text }));
        assert_eq!((told.status, &told.json()["code"]), (400, &json!("INVALID_REQUEST")), "{text}");
    }
    for wrong in [json!(7), json!(true), json!([]), json!({})] {
        let told = bench.post(&path, &json!({ "ollamaUrl": wrong }));
        told.says(400, "INVALID_REQUEST", "ollamaUrl must be a string");
    }
    assert!(bench.host.asked().is_empty());
    for right in [Value::Null, json!(""), json!("  "), json!("http://127.0.0.1")] {
        let told = bench.post(&path, &json!({ "ollamaUrl": right }));
        told.says(404, "NOT_FOUND", "Model not found");
    }
}

#[test]
fn a_blank_url_is_the_default_one() {
    let bench = Bench::new();
    let id = bench.model("cpu", Some("/adapter"));
    for body in [json!({}), json!({ "ollamaUrl": "" }), json!({ "ollamaUrl": null, "modelName": " " })] {
        bench.post(&format!("/models/{id}/import-ollama"), &body).data();
    }
    let imports = bench.host.imports();
    assert_eq!(imports.len(), 3);
    for import in imports {
        assert_eq!(import.ollama, OllamaUrl::default());
        assert_eq!(import.name, "trainyard-00000002");
        assert_eq!(import.base, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is taken leads to this machine, by the plain reading of what was written and of what is kept.
    #[test]
    fn what_is_taken_leads_here(
        text in "(http|https|HTTP|ftp)?:?(//|/|\\\\)?([a-z0-9.%@:\\[\\]]{0,12}|localhost|127\\.0\\.0\\.1|\\[::1\\]|0x7f|2130706433)(:[0-9]{1,6})?[/?#@\\\\a-z0-9.]{0,8}",
    ) {
        if let Ok(url) = OllamaUrl::parse(&text) {
            let rest = url.as_str().strip_prefix("http://").or(url.as_str().strip_prefix("https://")).unwrap();
            let authority = rest.split('/').next().unwrap();
            let host = match authority.strip_prefix('[') {
                Some(v6) => v6.split(']').next().unwrap(),
                None => authority.split(':').next().unwrap(),
            };
            let address = host.parse::<std::net::IpAddr>().map(|address| address.to_canonical().is_loopback());
            prop_assert!(host == "localhost" || address == Ok(true), "{} from {}", url, text);
            prop_assert!(!url.as_str().ends_with('/') && !url.as_str().contains(['@', '?', '#', ' ']));
            prop_assert_eq!(OllamaUrl::parse(url.as_str()), Ok(url));
        }
    }
}
