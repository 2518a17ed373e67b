//! Links to pictures: for whom, for what, and for how long.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use support::net::{Client, serve};
use support::{Bench, JPEG, KEY, NOBODY, PNG, URL, settings};
use trainyard_heygen::Settings;
use trainyard_http::secret::Secret;
use trainyard_http::{Method, Request};

const REFUSED: &str = "The link is invalid or has expired";

fn upload(bench: &Bench) -> String {
    bench.put_file("image/png", PNG).data()["url"].as_str().unwrap().to_owned()
}

fn follow(bench: &Bench, link: &str) -> support::Told {
    bench.follow(&Value::from(link))
}

#[test]
fn a_link_lives_for_seven_days_to_the_millisecond() {
    let bench = Bench::new();
    let link = upload(&bench);
    bench.yard.pass(Duration::from_millis(604_799_999));
    follow(&bench, &link).is_picture("image/png", PNG);
    bench.yard.pass(Duration::from_millis(1));
    follow(&bench, &link).says(403, "forbidden", REFUSED);
}

#[test]
fn each_read_makes_a_new_link() {
    let bench = Bench::new();
    let group = bench.create("Ann");
    let read = || bench.get(&format!("/v2/photo_avatar/{}", group.first_look())).data()["image_url"].clone();
    let preview = || bench.groups()[0]["preview_image"].clone();
    let (first, listed) = (read(), preview());
    bench.yard.pass(Duration::from_secs(604_000));
    let (second, listed_again) = (read(), preview());
    assert!(first != second && listed != listed_again);
    bench.yard.pass(Duration::from_secs(800));
    for old in [first, listed] {
        bench.follow(&old).says(403, "forbidden", REFUSED);
    }
    for new in [second, listed_again] {
        bench.follow(&new).is_picture("image/png", PNG);
    }
}

#[test]
fn a_link_is_good_for_one_picture_only() {
    let bench = Bench::new();
    let (one, two) = (upload(&bench), upload(&bench));
    let (place, token) = one.split_once("?token=").unwrap();
    let (other, _) = two.split_once("?token=").unwrap();
    let mut altered = token.to_owned();
    altered.replace_range(..1, if token.starts_with('A') { "B" } else { "A" });
    for link in [
        place.to_owned(),
        format!("{place}?token="),
        format!("{place}?token={altered}"),
        format!("{place}?token={}", &token[1..]),
        format!("{place}?token={token}{token}"),
        format!("{place}?token={KEY}").replace(' ', "+"),
        format!("{place}?Token={token}"),
        format!("{other}?token={token}"),
        format!("{URL}/v2/trainyard/images/{NOBODY}/original?token={token}"),
        format!("{URL}/v2/trainyard/images/%00/original?token={token}"),
    ] {
        follow(&bench, &link).says(403, "forbidden", REFUSED);
    }
    follow(&bench, &format!("{place}?x=1&token={token}&y")).is_picture("image/png", PNG);
    let no_key = bench.get(&format!("/v2/avatar_group.list?token={token}"));
    assert_eq!(no_key.status, 200, "what is signed is no key, and does no harm beside one");
    let request = Request::new(Method::GET, "/v2/avatar_group.list").with_header("x-api-key", token);
    assert_eq!(bench.send(request).status, 401);
}

#[test]
fn a_link_survives_a_restart_with_the_same_key_only() {
    let bench = Bench::new();
    let link = upload(&bench);
    let over = |settings: Settings| Bench::over(settings, Arc::clone(&bench.yard), Arc::clone(&bench.host));
    follow(&over(settings()), &link).is_picture("image/png", PNG);
    let another_key = settings().with_key(Secret::new("another").unwrap());
    follow(&over(another_key), &link).is_picture("image/png", PNG);
    let another_link_key = settings().with_link_key(Secret::new("another").unwrap());
    follow(&over(another_link_key), &link).says(403, "forbidden", REFUSED);
    let one_key =
        || Settings::new().with_key(Secret::new(KEY).unwrap()).with_public_url(URL.parse().unwrap());
    follow(&over(one_key()), &link).says(403, "forbidden", REFUSED);
    let link = upload(&over(one_key()));
    follow(&over(one_key()), &link).is_picture("image/png", PNG);
}

#[test]
fn a_picture_that_is_gone_is_404_and_a_host_that_fails_500() {
    let bench = Bench::new();
    let link = upload(&bench);
    bench.host.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    follow(&bench, &link).says(500, "internal_error", "Internal server error");
    bench.host.broken.store(false, std::sync::atomic::Ordering::SeqCst);
    let key = link.split('/').nth(6).unwrap();
    bench.host.remove_file(support::image(&format!("image/{key}/original")));
    follow(&bench, &link).says(404, "not_found", "Image not found");
}

#[test]
fn an_empty_group_shows_a_picture_all_the_same() {
    let bench = Bench::new();
    let group = bench.create("Ann");
    bench.delete(&format!("/v2/photo_avatar/{}", group.first_look()));
    let listed = bench.groups().remove(0);
    assert_eq!((&listed["num_looks"], &listed["id"]), (&Value::from(0), &Value::from(group.to_string())));
    assert_eq!(listed["preview_image"], listed["preview_image_url"]);
    let told = bench.follow(&listed["preview_image"]);
    let square = include_bytes!("../src/placeholder.png");
    told.is_picture("image/png", square);
}

/// Over a connection a picture comes with its length.
#[test]
fn a_picture_is_streamed_as_it_came() {
    let bench = Bench::new();
    let file: Vec<u8> = JPEG.iter().copied().cycle().take(300_000).collect();
    let link = bench.put_file("image/jpeg", &file).data()["url"].as_str().unwrap().to_owned();
    let server = serve(&bench.service);
    let mut client = Client::connect(&server);
    let path = link.strip_prefix(URL).unwrap();
    client.send(format!("GET {path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n"));
    let told = client.answer();
    told.is_picture("image/jpeg", &file);
    assert_eq!(told.header("content-length"), Some("300000"));
}

/// Whoever has a link may ask what is behind it, and gets all of the answer but its body.
#[test]
fn a_head_tells_how_large_a_picture_is() {
    let bench = Bench::new();
    let file: Vec<u8> = JPEG.iter().copied().cycle().take(300_000).collect();
    let link = bench.put_file("image/jpeg", &file).data()["url"].as_str().unwrap().to_owned();
    let server = serve(&bench.service);
    let head = |path: &str| {
        let mut client = Client::connect(&server);
        client.send(format!("HEAD {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
        client.answer()
    };
    let path = link.strip_prefix(URL).unwrap();
    let told = head(path);
    told.is_picture("image/jpeg", b"");
    assert_eq!(told.header("content-length"), Some("300000"));
    let told = head(&path[..path.len() - 1]);
    assert_eq!((told.status, &*told.body), (403, &b""[..]));
    let told = head("/v2/trainyard/placeholder.png");
    told.is_picture("image/png", b"");
}

#[test]
fn no_secret_is_shown() {
    let bench = Bench::new();
    let shown = format!("{:?}", bench.service);
    assert!(
        !shown.contains(KEY) && !shown.contains(support::LINK_KEY) && !shown.contains("0a0b0c"),
        "{shown}"
    );
    let link = upload(&bench);
    let (_, token) = link.split_once("?token=").unwrap();
    let request = Request::new(Method::GET, link.strip_prefix(URL).unwrap()).with_header("x-api-key", KEY);
    let shown = format!("{request:?}");
    assert!(!shown.contains(token) && !shown.contains(KEY), "{shown}");
    // Neither what was sent nor a signature stands in an error.
    let told = bench.send(request.with_header("content-encoding", "x"));
    assert!(!told.text().contains(token));
}
