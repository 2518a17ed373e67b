//! A model behind a URL: what it is asked, and what becomes of servers that do not behave.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use support::{Asked, Fake, Reply};
use trainyard_prompt::{
    Api, ApiKey, Completion, Endpoint, HttpModel, LanguageModel, ModelError, Patience, Request,
};

fn endpoint(url: &str, tries: u32) -> Endpoint {
    let patience = Patience::default().with_first_wait(Duration::ZERO).with_tries(tries.try_into().unwrap());
    Endpoint::new(Api::OpenAi, url, "tiny").unwrap().with_patience(patience)
}

fn ask(endpoint: Endpoint) -> Result<Completion, ModelError> {
    HttpModel::new(endpoint).complete(&Request::new("be brief", "how are you?"), &|| false)
}

/// Fails twice in this way, then answers.
fn twice(wrong: fn() -> Reply) -> Fake {
    Fake::start(move |asked: &Asked| if asked.number < 3 { wrong() } else { Reply::Say("fine".into()) })
}

/// A server that answers in this way fails two tries with these words, and the third try heals it.
fn passes(wrong: fn() -> Reply, words: &str) {
    let fake = twice(wrong);
    let error = ask(endpoint(&fake.url(), 2)).unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(error.to_string(), format!("the model server at {} {words} (2 tries)", fake.url()));
    let fake = twice(wrong);
    assert_eq!(ask(endpoint(&fake.url(), 3)).unwrap().text, "fine");
    assert_eq!(fake.calls(), 3);
}

#[test]
fn both_apis_are_asked_and_answer() {
    let fake = Fake::start(|_| Reply::Say("fine".into()));
    let key = ApiKey::new("hush-hush").unwrap();
    for (api, path) in [(Api::OpenAi, "/v1/chat/completions"), (Api::Ollama, "/api/chat")] {
        let endpoint = Endpoint::new(api, &fake.url(), "tiny").unwrap().with_key(key.clone());
        let said = Completion { text: "fine".into(), prompt_tokens: 10, completion_tokens: 5 };
        assert_eq!(ask(endpoint).unwrap(), said);
        let asked = fake.asked().pop().unwrap();
        assert_eq!(
            (asked.path.as_str(), asked.headers["authorization"].as_str()),
            (path, "Bearer hush-hush")
        );
        assert_eq!(asked.headers["content-type"], "application/json");
        assert_eq!(
            (&asked.body["model"], &asked.body["messages"][1]["content"]),
            (&"tiny".into(), &"how are you?".into())
        );
    }
}

#[test]
fn a_server_that_is_down_is_told_in_words() {
    let address = support::NOBODY;
    let error = ask(endpoint(&format!("http://{address}"), 3)).unwrap_err();
    assert!(error.is_transient());
    let words = format!("the model server at http://{address} could not be reached, or broke off (3 tries)");
    assert_eq!(error.to_string(), words);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("refused"), "{cause}");
}

#[test]
fn a_server_that_does_not_answer_in_time_is_given_up() {
    let fake = Fake::start(|_| Reply::Hang);
    let endpoint = endpoint(&fake.url(), 2).with_call_timeout(Duration::from_millis(50));
    let error = ask(endpoint).unwrap_err();
    assert!(error.is_transient());
    assert_eq!(
        error.to_string(),
        format!("the model server at {} did not answer within 0.05 s (2 tries)", fake.url())
    );
}

#[test]
fn garbage_is_no_answer_and_asked_for_again() {
    passes(|| Reply::status("200 OK", "", "<html>"), "answered something that is no json");
    passes(|| Reply::status("200 OK", "", r#"{"choices":"none"}"#), "answered json without an answer in it");
    passes(|| Reply::Raw(b"\x00\x01 hello\r\n\r\n".to_vec()), "could not be reached, or broke off");
    passes(|| Reply::Raw(Vec::new()), "could not be reached, or broke off");
}

#[test]
fn half_an_answer_is_none() {
    let half = || {
        let body = r#"{"choices":[{"message":{"content":"fi"#;
        Reply::Raw(format!("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{body}").into_bytes())
    };
    passes(half, "could not be reached, or broke off");
}

#[test]
fn a_server_that_has_too_much_to_do_is_asked_again() {
    passes(
        || Reply::status("429 Too Many Requests", "Retry-After: 0\r\n", ""),
        "answered 429 Too Many Requests",
    );
    let busy = || Reply::status("503 Service Unavailable", "", r#"{"error":"loading\n the model"}"#);
    passes(busy, "answered 503 Service Unavailable: loading the model");
}

#[test]
fn a_server_that_wants_to_be_left_alone_for_long_is() {
    let fake = Fake::start(|_| Reply::status("429 Too Many Requests", "Retry-After: 3600\r\n", "{}"));
    let error = ask(endpoint(&fake.url(), 4)).unwrap_err();
    assert!(error.is_transient());
    assert_eq!((error.retry_after(), fake.calls()), (Some(Duration::from_secs(3_600)), 1));
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Fake::start(|_| Reply::Say("fine".into()));
    for status in ["302 Found", "307 Temporary Redirect"] {
        let location = format!("Location: {}/v1/chat/completions\r\n", elsewhere.url());
        let fake = Fake::start(move |_| Reply::status(status, &location, ""));
        let error = ask(endpoint(&fake.url(), 4)).unwrap_err();
        assert!(!error.is_transient());
        assert!(error.to_string().contains("wants to redirect, which is not followed"), "{error}");
        assert_eq!((fake.calls(), elsewhere.calls()), (1, 0));
    }
}

#[test]
fn what_is_refused_is_told_once_shortly_and_without_the_key() {
    let body = format!(r#"{{"error":{{"message":"key hush-hush is unknown{}"}}}}"#, " x".repeat(4_000));
    let fake = Fake::start(move |_| Reply::status("401 Unauthorized", "Retry-After: 1\r\n", &body));
    let endpoint = endpoint(&fake.url(), 4).with_key(ApiKey::new("hush-hush").unwrap());
    let shown = format!("{:?}", HttpModel::new(endpoint.clone()));
    assert!(shown.contains("tiny") && !shown.contains("hush"), "{shown}");
    let error = ask(endpoint).unwrap_err();
    assert!(!error.is_transient() && error.retry_after().is_none());
    let text = error.to_string();
    assert!(text.contains("answered 401 Unauthorized: key <key> is unknown x x"), "{text}");
    assert!(text.len() < 500 && !format!("{error:?}").contains("hush"), "{error:?}");
    assert_eq!(fake.calls(), 1);
}

#[test]
fn an_answer_beyond_its_bound_is_none() {
    let fake = Fake::start(|_| Reply::Say("x".repeat(2_000)));
    let error = ask(endpoint(&fake.url(), 4).with_answer_bytes(1_000.try_into().unwrap())).unwrap_err();
    assert!(!error.is_transient());
    assert_eq!(
        error.to_string(),
        format!("the model server at {} answered more than 1000 bytes", fake.url())
    );
}

#[test]
fn a_wait_between_tries_ends_when_it_is_time_to_stop() {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let fake = Fake::start(move |_| {
        told.store(true, Ordering::Release);
        Reply::status("429 Too Many Requests", "Retry-After: 30\r\n", "")
    });
    let model = HttpModel::new(endpoint(&fake.url(), 4));
    let error = model.complete(&Request::new("", "hello"), &|| stop.load(Ordering::Acquire)).unwrap_err();
    assert!(error.is_stopped());
    assert_eq!(fake.calls(), 1);
}

/// Its time would be a minute otherwise.
#[test]
fn a_call_in_flight_is_cut_off_when_it_is_time_to_stop() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"choices\"".to_vec();
    let unbounded = b"HTTP/1.1 200 OK\r\n\r\n{\"choices\"".to_vec();
    for begun in [Vec::new(), b"HTTP/1.1 200".to_vec(), half, unbounded] {
        let (tell, told) = channel();
        let fake = Fake::start(move |_| Reply::Stall(begun.clone(), tell.clone()));
        let model = HttpModel::new(endpoint(&fake.url(), 1).with_call_timeout(Duration::from_secs(60)));
        let is_time = Cell::new(false);
        let stop = || {
            is_time.set(is_time.get() || told.try_recv().is_ok());
            is_time.get()
        };
        let error = model.complete(&Request::new("", "hello"), &stop).unwrap_err();
        assert!(error.is_stopped(), "{error}");
        told.recv_timeout(Duration::from_secs(60)).expect("the server is hung up on");
        assert_eq!(fake.calls(), 1);
    }
}

#[test]
fn what_another_server_calls_the_same_is_another_model() {
    let name = |url: &str| HttpModel::new(endpoint(url, 1)).name().to_owned();
    assert_eq!(name("http://127.0.0.1:1/v1"), name("http://127.0.0.1:1/"));
    assert_ne!(name("http://127.0.0.1:1"), name("http://127.0.0.1:2"));
}
