//! Logging in: how long, how often, and for whom.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use support::{Bench, KEY, Told, login, settings, with_token};
use trainyard_http::secret::Secret;
use trainyard_http::{Method, Request};
use trainyard_mathfi::{Attempts, DatasetState, Limits};

const LIST: &str = "/api/v1/datasets?offset=0&limit=1";

fn list(bench: &Bench, token: &str) -> u16 {
    bench.send(with_token(Method::GET, LIST, token, "")).status
}

#[test]
fn a_token_lives_for_an_hour_to_the_millisecond() {
    let bench = Bench::with(settings());
    bench.yard.pass(Duration::from_millis(3_599_999));
    assert_eq!(list(&bench, &bench.token), 200);
    bench.yard.pass(Duration::from_millis(1));
    bench.get(LIST).says(401, "The token is invalid or has expired");
    let again = bench.log_in("ann");
    assert_eq!(list(&bench, &again), 200);
    assert_eq!(list(&bench, &bench.token), 401);
}

#[test]
fn a_new_login_takes_no_earlier_token_away() {
    let bench = Bench::with(settings());
    let second = bench.log_in("ann");
    assert_ne!(bench.token, second);
    assert_eq!((list(&bench, &bench.token), list(&bench, &second)), (200, 200));
}

#[test]
fn a_token_survives_a_restart_with_the_same_key_only() {
    let bench = Bench::new();
    let over = |key: &str| {
        let settings = settings().with_key(Secret::new(key).unwrap()).unwrap();
        Bench::over(settings, Arc::clone(&bench.yard), Arc::clone(&bench.host))
    };
    assert_eq!(list(&over(KEY), &bench.token), 200);
    assert_eq!(list(&over(&KEY.replace('0', "1")), &bench.token), 401);
}

#[test]
fn a_changed_password_and_a_removed_user_end_all_tokens() {
    let bench = Bench::new();
    let bob = bench.log_in("bob");
    bench.host.change_password("ann", "another word");
    assert_eq!((list(&bench, &bench.token), list(&bench, &bob)), (401, 200));
    bench.send(login("ann", "ann's word")).is_refused(401);
    assert_eq!(bench.send(login("ann", "another word")).status, 200);
    bench.host.remove_user("bob");
    assert_eq!(list(&bench, &bob), 401);
}

#[test]
fn what_is_signed_for_one_thing_is_good_for_nothing_else() {
    let bench = Bench::new();
    let (one, two) = (bench.create("one"), bench.create("two"));
    let signature = |path: &str| path.split_once("?token=").unwrap().1.to_owned();
    let csv = "id,x,class\n1,2,0\n";
    let put = |path: &str| bench.send(Request::new(Method::PUT, path).with_body(csv));
    // A login's token, another dataset's signature, none, an altered one.
    let place = format!("/api/v1/uploads/{}", one.id);
    for token in [
        bench.token.clone(),
        signature(&two.upload),
        String::new(),
        format!("B{}", &signature(&one.upload)[1..]),
    ] {
        put(&format!("{place}?token={token}")).says(401, "The URL is invalid or has expired");
    }
    put(&place).is_refused(401);
    put(&one.upload.replace(&one.id.to_string(), "malformed")).is_refused(401);
    assert_eq!(list(&bench, &signature(&one.upload)), 401);
    let result = format!("/api/v1/results/{}?token={}", one.id, signature(&one.upload));
    bench.send(Request::new(Method::GET, &result)).is_refused(401);
    assert_eq!(bench.host.dataset_state(one.id), DatasetState::Pending);
    assert_eq!(put(&one.upload).status, 200);
}

#[test]
fn a_signed_url_lives_for_an_hour_to_the_millisecond() {
    let bench = Bench::with(settings());
    let (one, two) = (bench.create("one"), bench.create("two"));
    let put = |path: &str| bench.send(Request::new(Method::PUT, path).with_body("id,x,class\n1,2,0\n"));
    bench.yard.pass(Duration::from_millis(3_599_999));
    assert_eq!(put(&one.upload).status, 200);
    bench.yard.pass(Duration::from_millis(1));
    put(&two.upload).is_refused(401);
    assert_eq!(bench.host.dataset_state(two.id), DatasetState::Pending);
}

#[test]
fn guessing_under_one_name_is_slowed_down() {
    let bench = Bench::new();
    for _ in 0..10 {
        bench.send(login("bob", "wrong")).is_refused(401);
    }
    let looked_at = bench.host.logins.load(Ordering::SeqCst);
    for password in ["wrong", "bob's word"] {
        let told = bench.send(login("bob", password));
        told.says(429, "Too many login attempts, try again later");
        assert_eq!(told.header("retry-after"), Some("6"));
    }
    assert_eq!(bench.host.logins.load(Ordering::SeqCst), looked_at, "no password was looked at");
    assert_eq!(bench.send(login("ann", "ann's word")).status, 200, "others get in");
    bench.yard.pass(Duration::from_millis(5_999));
    bench.send(login("bob", "bob's word")).is_refused(429);
    bench.yard.pass(Duration::from_millis(1));
    assert_eq!(bench.send(login("bob", "bob's word")).status, 200);
    for _ in 0..10 {
        bench.send(login("bob", "wrong")).is_refused(401);
    }
    bench.send(login("bob", "wrong")).is_refused(429);
}

#[test]
fn a_stranger_who_guesses_keeps_nobody_out() {
    let bench = Bench::new();
    let from = |address: &str, password: &str| {
        bench.send(login("bob", password).with_peer(address.parse().unwrap())).status
    };
    // For an hour, as often as may be, and from five addresses.
    for second in 0..3_600 {
        let address = format!("10.0.0.{}:1", second % 5);
        assert_ne!(from(&address, "wrong"), 200);
        bench.yard.pass(Duration::from_secs(1));
        if second % 60 == 0 {
            assert_eq!(from("192.168.0.1:1", "bob's word"), 200, "after {second} s");
        }
    }
    let mut guesses = 0;
    while from("10.0.0.1:1", "wrong") == 401 {
        guesses += 1;
        assert!(guesses <= 10, "the stranger is not slowed down");
    }
    assert_eq!(from("10.0.0.1:1", "bob's word"), 429, "where he is, the owner would be, too");
    assert_eq!(from("192.168.0.1:1", "bob's word"), 200);
}

#[test]
fn very_many_addresses_are_bounded_together() {
    let few = Attempts { count: 5, within: Duration::from_secs(60) };
    let bench = Bench::with(settings().with_limits(Limits { attempts_by_name: few, ..Limits::default() }));
    let from = |address: usize| {
        let peer: SocketAddr = format!("10.0.0.{address}:1").parse().unwrap();
        bench.send(login("bob", "wrong").with_peer(peer)).status
    };
    assert_eq!((0..8).map(from).collect::<Vec<_>>(), [401, 401, 401, 401, 401, 429, 429, 429]);
}

#[test]
fn guessing_from_one_address_is_slowed_down() {
    let few = Attempts { count: 3, within: Duration::from_secs(30) };
    let bench = Bench::with(settings().with_limits(Limits { attempts_by_peer: few, ..Limits::default() }));
    let from = |address: &str, name: &str| -> Told {
        let peer: SocketAddr = address.parse().unwrap();
        bench.send(login(name, "wrong").with_peer(peer))
    };
    for (port, name) in [(1, "a"), (2, "b"), (3, "c")] {
        from(&format!("10.0.0.1:{port}"), name).is_refused(401);
    }
    let told = from("10.0.0.1:4", "d");
    told.is_refused(429);
    assert_eq!(told.header("retry-after"), Some("10"));
    from("10.0.0.2:1", "d").is_refused(401);
    // Malformed requests are no attempts.
    let malformed = Request::new(Method::POST, "/api/login").with_body("{}");
    for _ in 0..10 {
        bench.send(malformed_from(&malformed, "10.0.0.3:1")).is_refused(400);
    }
    from("10.0.0.3:1", "e").is_refused(401);
}

fn malformed_from(like: &Request, address: &str) -> Request {
    Request::new(like.method().clone(), like.path()).with_body("{}").with_peer(address.parse().unwrap())
}

#[test]
fn only_so_many_passwords_are_looked_at_together() {
    let bench = Bench::with(settings().with_limits(Limits { logins: 2, ..Limits::default() }));
    bench.host.hold_logins(true);
    std::thread::scope(|scope| {
        let logins: Vec<_> =
            (0..6).map(|_| scope.spawn(|| bench.send(login("ann", "ann's word")).status)).collect();
        assert!(bench.host.looks_at(2, Duration::from_secs(60)), "nobody logs in");
        assert!(!bench.host.looks_at(3, Duration::from_millis(200)), "too many log in");
        bench.host.hold_logins(false);
        for login in logins {
            assert_eq!(login.join().unwrap(), 200, "whoever came later had to wait, and no more");
        }
    });
}

#[test]
fn nobody_waits_for_ever_to_log_in() {
    let limits = Limits { logins: 1, login_wait: Duration::ZERO, ..Limits::default() };
    let bench = Bench::with(settings().with_limits(limits));
    bench.host.hold_logins(true);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| bench.send(login("ann", "ann's word")).status);
        assert!(bench.host.looks_at(1, Duration::from_secs(60)), "nobody logs in");
        let told = bench.send(login("bob", "bob's word"));
        bench.host.hold_logins(false);
        told.says(503, "Too many logins at once, try again");
        assert!(told.header("retry-after").is_some());
        assert_eq!(first.join().unwrap(), 200);
    });
    assert_eq!(bench.send(login("bob", "bob's word")).status, 200);
}

#[test]
fn what_holds_a_secret_is_not_to_be_kept_on_its_way() {
    let bench = Bench::new();
    let id = bench.create("abc").id;
    let create = bench.post("/api/v1/datasets", r#"{"datasetName":"two"}"#);
    let read = bench.get(&format!("/api/v1/datasets/{id}"));
    for told in [bench.send(login("ann", "ann's word")), create, read] {
        assert_eq!(told.header("cache-control"), Some("no-store"), "{}", told.text());
    }
}

#[test]
fn a_dataset_without_data_can_be_given_some_long_after() {
    let bench = Bench::new();
    let made = bench.create("abc");
    bench.yard.pass(Duration::from_secs(2 * 3_600));
    let put = |path: &str| bench.send(Request::new(Method::PUT, path).with_body("id,x,class\n1,2,0\n"));
    put(&made.upload).is_refused(401);
    let read = || bench.get(&format!("/api/v1/datasets/{}", made.id)).json();
    let info = read()["datasetUploadInfo"].clone();
    assert_eq!(info["extraHeaders"], "X-Goog-Content-Length-Range:10,534773760");
    let url = info["uploadUrl"].as_str().unwrap().strip_prefix(support::URL).unwrap().to_owned();
    assert_eq!(put(&url).status, 200);
    assert!(read().get("datasetUploadInfo").is_none(), "it has its data");
}

#[test]
fn a_login_that_is_no_login_is_400() {
    let bench = Bench::new();
    for body in [
        "",
        "{}",
        "[]",
        r#"{"username":"ann"}"#,
        r#"{"username":"ann","password":1}"#,
        r#"{"username":null,"password":"x"}"#,
    ] {
        let request =
            Request::new(Method::POST, "/api/login").with_header("content-type", "application/json");
        bench.send(request.with_body(body)).is_refused(400);
    }
    assert_eq!(bench.send(Request::new(Method::GET, "/api/login")).status, 405);
}

#[test]
fn no_secret_is_shown() {
    let bench = Bench::new();
    let shown = format!("{:?}", bench.service);
    assert!(!shown.contains(KEY) && !shown.contains("0a0b0c"), "{shown}");
    let told = bench.send(login("ann", "a wrong guess"));
    assert!(!told.json().to_string().contains("guess"));
}
