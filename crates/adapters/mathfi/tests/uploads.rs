//! Files over a real connection: in pieces, cut short, two at once, too large.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use support::net::{Client, serve};
use support::{Bench, form, settings, with_token};
use trainyard_http::{Method, Mount, Mounts, Request, Response, RunningServer, StatusCode, service_fn};
use trainyard_mathfi::{DatasetState, Limits, PredictionId, PredictionState};

const CSV: &str = "id,x,class\n1,2,0\n2,3,1\n";

/// The head of a request that is answered with the connection's end.
fn head(method: &str, path: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")
}

fn put(path: &str, bytes: usize) -> String {
    head("PUT", path, &[&format!("content-length: {bytes}")])
}

fn small(limits: Limits) -> (Bench, RunningServer) {
    let bench = Bench::with(settings().with_limits(limits));
    let server = serve(&bench.service);
    (bench, server)
}

fn bench() -> (Bench, RunningServer) {
    small(Limits::default())
}

/// A file of so many bytes that repeats nowhere within a mebibyte.
fn file(bytes: usize) -> Vec<u8> {
    let mut numbers = (0_u32..).map(|number| number.wrapping_mul(2_654_435_761));
    let mut file = Vec::with_capacity(bytes + 3);
    while file.len() < bytes {
        file.extend_from_slice(&numbers.next().unwrap().to_le_bytes());
    }
    file.truncate(bytes);
    file
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_pieces_the_file_is_the_same(
        pieces in prop::collection::vec(prop_oneof![1_usize..40, 1_usize..70_000], 1..20),
        as_form in any::<bool>(),
    ) {
        let (bench, server) = bench();
        let made = bench.create("abc");
        let file = file(10 + pieces.iter().sum::<usize>());
        let mut client = Client::connect(&server);
        let body = if as_form {
            let (content_type, around) = form("file", "|");
            let token = format!("authorization: Bearer {}", bench.token);
            let content_type = format!("content-type: {content_type}");
            let headers = [&*content_type, &*token, "transfer-encoding: chunked"];
            client.send(head("POST", &format!("/api/v1/datasets/{}/data", made.id), &headers));
            let (before, after) = around.split_once('|').unwrap();
            [before.as_bytes(), &file, after.as_bytes()].concat()
        } else {
            client.send(head("PUT", &made.upload, &["transfer-encoding: chunked"]));
            file.clone()
        };
        let mut rest = &body[..];
        for piece in pieces.iter().chain([&body.len()]) {
            let (now, later) = rest.split_at(rest.len().min(*piece));
            rest = later;
            if !now.is_empty() {
                client.send([format!("{:x}\r\n", now.len()).as_bytes(), now, b"\r\n"].concat());
            }
        }
        client.send("0\r\n\r\n");
        let told = client.answer();
        prop_assert_eq!(told.status, 200, "{}", told.text());
        prop_assert!(bench.host.file(made.id.as_uuid()) == Some(file), "the file has changed on its way");
    }
}

#[test]
fn a_large_file_is_never_held_as_a_whole() {
    let (bench, server) = bench();
    let made = bench.create("abc");
    let file = file(40 << 20);
    let mut client = Client::connect(&server);
    client.send(put(&made.upload, file.len()));
    client.send(&file);
    let told = client.answer();
    assert_eq!(told.status, 200, "{}", told.text());
    assert!(bench.host.file(made.id.as_uuid()) == Some(file), "the file has changed on its way");
    assert!(bench.host.largest_write() < 1 << 20, "{} bytes", bench.host.largest_write());
}

#[test]
fn an_upload_that_breaks_off_leaves_the_dataset_pending() {
    let (bench, server) = bench();
    for (number, sent) in [0, 20, 1_000_000].into_iter().enumerate() {
        let made = bench.create(&format!("number {number}"));
        let token = format!("authorization: Bearer {}", bench.token);
        let data = format!("/api/v1/datasets/{}/data", made.id);
        let (content_type, around) = form("file", "");
        let begin = around.split_once("--XX--").unwrap().0.trim_end().to_owned() + "\r\n\r\n";
        let content_type = format!("content-type: {content_type}");
        let length = "content-length: 2000000";
        for (head, begin) in [
            (put(&made.upload, 2_000_000), String::new()),
            (head("PUT", &made.upload, &["transfer-encoding: chunked"]), "f4240\r\n".to_owned()),
            (head("POST", &data, &[&token, "content-type: text/csv", length]), String::new()),
            (head("POST", &data, &[&token, &content_type, length]), begin),
        ] {
            let mut client = Client::connect(&server);
            client.send(head);
            client.send(begin);
            client.send(file(sent));
            bench.host.wait_for_open(1);
            drop(client);
            bench.host.wait_for_open(0);
            assert_eq!(bench.host.dataset_state(made.id), DatasetState::Pending);
            assert_eq!(bench.host.file(made.id.as_uuid()), None);
        }
        let mut client = Client::connect(&server);
        client.send(put(&made.upload, CSV.len()) + CSV);
        assert_eq!(client.answer().status, 200, "it can be sent again");
    }
}

#[test]
fn of_two_uploads_at_once_one_wins() {
    let (bench, server) = bench();
    let made = bench.create("abc");
    let mut slow = Client::connect(&server);
    slow.send(put(&made.upload, CSV.len()) + &CSV[..12]);
    bench.host.wait_for_open(1);
    let mut quick = Client::connect(&server);
    quick.send(put(&made.upload, CSV.len()) + CSV);
    assert_eq!(quick.answer().status, 200);
    slow.send(&CSV[12..]);
    slow.answer().says(409, "The dataset has its data already");
    bench.host.wait_for_open(0);
    assert_eq!(bench.host.file(made.id.as_uuid()).as_deref(), Some(CSV.as_bytes()));
    let mut late = Client::connect(&server);
    late.send(put(&made.upload, CSV.len()) + CSV);
    late.answer().is_refused(409);
}

#[test]
fn too_large_is_told_early_by_its_length() {
    let (bench, server) = bench();
    let made = bench.create("abc");
    let token = format!("authorization: Bearer {}", bench.token);
    let data = format!("/api/v1/datasets/{}/data", made.id);
    let length = |bytes: u64| format!("content-length: {bytes}");
    let (content_type, _) = form("file", "");
    let content_type = format!("content-type: {content_type}");
    for head in [
        put(&made.upload, 534_773_761),
        head("POST", &data, &[&token, "content-type: text/csv", &length((32 << 20) + 1)]),
        head("POST", &data, &[&token, &content_type, &length(40 << 20)]),
    ] {
        let mut client = Client::connect(&server);
        client.send(head);
        // Not a byte of the body was sent.
        client.answer().is_refused(413);
    }
    assert_eq!(bench.host.dataset_state(made.id), DatasetState::Pending);
    bench.host.wait_for_open(0);
}

#[test]
fn too_large_is_told_late_by_counting() {
    let (bench, server) = small(Limits { signed_upload_bytes: 1_000_000, ..Limits::default() });
    let made = bench.create("abc");
    let mut client = Client::connect(&server);
    client.send(head("PUT", &made.upload, &["transfer-encoding: chunked"]));
    let chunk = format!("186a0\r\n{}\r\n", "x".repeat(100_000));
    for _ in 0..11 {
        client.send(&chunk);
    }
    client.send("0\r\n\r\n");
    client.answer().is_refused(413);
    assert_eq!(bench.host.dataset_state(made.id), DatasetState::Pending);
    bench.host.wait_for_open(0);
}

#[test]
fn the_range_that_a_client_sends_along_counts() {
    let (bench, server) = bench();
    let made = bench.create("abc");
    let send = |range: &str| {
        let mut client = Client::connect(&server);
        let range = format!("X-Goog-Content-Length-Range: {range}");
        let length = format!("content-length: {}", CSV.len());
        client.send(head("PUT", &made.upload, &[&range, &length]) + CSV);
        client.answer()
    };
    send("10,22").is_refused(413);
    send("24,534773760").is_refused(400);
    send("ten").is_refused(400);
    assert_eq!(bench.host.dataset_state(made.id), DatasetState::Pending);
    assert_eq!(send("10,23").status, 200);
}

#[test]
fn so_many_uploads_at_once() {
    let (bench, server) = small(Limits { uploads: 1, ..Limits::default() });
    let (one, two) = (bench.create("one"), bench.create("two"));
    let mut first = Client::connect(&server);
    first.send(put(&one.upload, CSV.len()) + &CSV[..12]);
    bench.host.wait_for_open(1);
    let refused = || {
        let mut second = Client::connect(&server);
        second.send(put(&two.upload, CSV.len()) + CSV);
        second.answer()
    };
    let told = refused();
    told.says(503, "Too many uploads at once, try again");
    assert!(told.header("retry-after").is_some());
    first.send(&CSV[12..]);
    assert_eq!(first.answer().status, 200);
    assert_eq!(refused().status, 200, "there is room again");
}

#[test]
fn one_user_leaves_room_for_others() {
    let (bench, server) = small(Limits { uploads_by_owner: 1, ..Limits::default() });
    let (one, two) = (bench.create("one"), bench.create("two"));
    let bob = bench.log_in("bob");
    let body = r#"{"datasetName":"three"}"#;
    let bobs = bench.send(with_token(Method::POST, "/api/v1/datasets", &bob, body)).json();
    let bobs = bobs["datasetUploadInfo"]["uploadUrl"].as_str().unwrap().strip_prefix(support::URL).unwrap();
    let mut first = Client::connect(&server);
    first.send(put(&one.upload, CSV.len()) + &CSV[..12]);
    bench.host.wait_for_open(1);
    let whole = |path: &str| {
        let mut client = Client::connect(&server);
        client.send(put(path, CSV.len()) + CSV);
        client.answer()
    };
    whole(&two.upload).says(503, "Too many uploads of yours at once, try again");
    assert_eq!(whole(bobs).status, 200, "the other user is not meant");
    drop(first);
    bench.host.wait_for_open(0);
    assert_eq!(bench.host.dataset_state(one.id), DatasetState::Pending);
    // The seat is free a moment after the file is gone.
    let patience = Instant::now() + Duration::from_secs(60);
    while whole(&two.upload).status != 200 {
        assert!(Instant::now() < patience, "the seat is never free again");
    }
}

#[test]
fn only_so_many_files_are_finished_together_and_others_are_answered_meanwhile() {
    let (bench, server) = small(Limits { finishing: 2, uploads_by_owner: 64, ..Limits::default() });
    bench.host.hold_workshop(true);
    let uploads: Vec<_> = (0..12)
        .map(|number| {
            let made = bench.create(&format!("number {number}"));
            let mut client = Client::connect(&server);
            client.send(put(&made.upload, CSV.len()) + CSV);
            client
        })
        .collect();
    assert!(bench.host.works_on(2, Duration::from_secs(60)), "nothing is finished");
    bench.host.wait_for_open(12);
    // There are eight threads, and this needs one.
    let mut client = Client::connect(&server);
    let token = format!("authorization: Bearer {}", bench.token);
    client.send(head("GET", "/api/v1/datasets?offset=0&limit=1", &[&token]));
    assert_eq!(client.answer().status, 200);
    assert!(!bench.host.works_on(3, Duration::from_millis(200)), "too many are finished together");
    bench.host.hold_workshop(false);
    for upload in uploads {
        assert_eq!(upload.answer().status, 200);
    }
}

#[test]
fn giving_an_upload_up_holds_nobody_up() {
    let (bench, server) = bench();
    let made = bench.create("abc");
    let mut client = Client::connect(&server);
    client.send(put(&made.upload, CSV.len()) + &CSV[..12]);
    bench.host.wait_for_open(1);
    bench.host.hold_workshop(true);
    drop(client);
    assert!(bench.host.works_on(1, Duration::from_secs(60)), "the upload is not given up");
    // Of one I/O thread: were it held, nobody would be answered.
    let mut other = Client::connect(&server);
    other.send(head("GET", "/api/logout", &[]));
    other.answer().is_refused(404);
    bench.host.hold_workshop(false);
    bench.host.wait_for_open(0);
}

#[test]
fn a_full_disk_is_told_as_such_and_the_upload_can_be_sent_again() {
    let (bench, server) = bench();
    let made = bench.create("abc");
    let send = || {
        let mut client = Client::connect(&server);
        client.send(put(&made.upload, CSV.len()) + CSV);
        client.answer()
    };
    bench.host.full.store(true, Ordering::SeqCst);
    let told = send();
    told.says(507, "There is no room for this now, try again later");
    assert_eq!(told.header("retry-after"), Some("60"));
    bench.host.wait_for_open(0);
    assert_eq!(bench.host.dataset_state(made.id), DatasetState::Pending);
    bench.host.full.store(false, Ordering::SeqCst);
    assert_eq!(send().status, 200);
}

#[test]
fn what_is_not_there_and_what_breaks_is_told_in_one_shape() {
    let (bench, server) = bench();
    let ask = |method: &str, path: &str, headers: &[&str]| {
        let mut client = Client::connect(&server);
        client.send(head(method, path, headers));
        client.answer()
    };
    for path in
        ["/api", "/api/", "/api/logout", "/api/v2/datasets", "/api/loginx", "/api/v1", "/api/v1/models"]
    {
        ask("GET", path, &[]).says(404, "There is nothing at this path");
    }
    ask("GET", "/api/login", &[]).is_refused(405);
    let many: Vec<String> = (0..90).map(|number| format!("x-{number}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    ask("GET", "/api/v1/datasets", &many).is_refused(431);
    let job = bench.train(bench.ready("abc"), 0.8);
    bench.host.panics.store(true, Ordering::SeqCst);
    let token = format!("authorization: Bearer {}", bench.token);
    let told = ask("GET", &format!("/api/v1/training/{job}"), &[&token]);
    told.says(500, "Internal server error");
}

#[test]
fn others_may_be_mounted_below() {
    let bench = Bench::new();
    let hello = service_fn(async |_: Request| Response::text(StatusCode::OK, "hello"));
    let training = Mount::new("/api/training", Arc::new(hello)).unwrap();
    let mounts = bench.service.mounts().into_iter().try_fold(Mounts::new(), Mounts::with).unwrap();
    let mounts = mounts.with(training).unwrap();
    let prefix = |path: &str| mounts.find(path).map(|mount| mount.prefix().to_owned());
    assert_eq!(prefix("/api/training/jobs").as_deref(), Some("/api/training"));
    assert_eq!(prefix("/api/trainings").as_deref(), Some("/api"));
    assert_eq!(prefix("/api/v1/training/x").as_deref(), Some("/api/v1"));
    assert_eq!(prefix("/api/login").as_deref(), Some("/api/login"));
    assert_eq!(prefix("/v1/indexes"), None);
}

#[test]
fn a_result_comes_with_its_length() {
    let (bench, server) = bench();
    let (model, _) = bench.model();
    let (content_type, body) = form("file", "id,x\n1,2\n");
    let mut client = Client::connect(&server);
    let token = format!("authorization: Bearer {}", bench.token);
    let headers =
        [&token, &format!("content-type: {content_type}"), &format!("content-length: {}", body.len())];
    let headers = headers.map(String::as_str);
    client.send(head("POST", &format!("/api/v1/predictions/models/{model}"), &headers) + &body);
    let key = client.answer().json()["predictionKey"].as_str().unwrap().to_owned();
    let result = "id,x,prediction,probability\n".repeat(20_000);
    let id = PredictionId::new(key.parse().unwrap());
    bench.host.set_prediction(id, PredictionState::Completed, Some(result.as_bytes()));
    let url = bench.get(&format!("/api/v1/predictions/{key}")).json()["predictionUrl"].clone();
    let path = url.as_str().unwrap().strip_prefix(support::URL).unwrap().to_owned();
    let get = |path: &str| {
        let mut client = Client::connect(&server);
        client.send(head("GET", path, &[]));
        client.answer()
    };
    let told = get(&path);
    assert_eq!((told.status, told.header("content-type")), (200, Some("text/csv")));
    assert_eq!(told.header("content-length"), Some(&*result.len().to_string()));
    assert_eq!(told.header("cache-control"), Some("no-store"));
    assert!(told.text() == result, "the result has changed on its way");
    let told = get(path.split_once('?').unwrap().0);
    told.is_refused(401);
    assert_eq!(told.header("www-authenticate"), None, "no token would help");
}
