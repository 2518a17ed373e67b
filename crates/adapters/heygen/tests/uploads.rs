//! Files, over a real connection too: in pieces, cut short, too large, too many, and under wrong names.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use proptest::prelude::*;
use support::net::{Client, serve};
use support::{Bench, JPEG, KEY, PNG, image, settings, with_key};
use trainyard_heygen::{Limits, Media};
use trainyard_http::{Method, RunningServer};

const NO_DATA: &str = "asset data must be provided";
const NO_IMAGE: &str = "Only images are taken here, as image/png or image/jpeg";

/// The head of a request that is answered with the connection's end.
fn head(header: &str) -> String {
    format!("POST /v1/asset HTTP/1.1\r\nhost: x\r\nconnection: close\r\nX-API-KEY: {KEY}\r\n{header}\r\n\r\n")
}

fn length(bytes: usize) -> String {
    head(&format!("content-length: {bytes}"))
}

const CHUNKED: &str = "transfer-encoding: chunked";

fn bench(limits: Limits) -> (Bench, RunningServer) {
    let bench = Bench::with(settings().with_limits(limits));
    let server = serve(&bench.service);
    (bench, server)
}

/// A file of so many bytes that repeats nowhere within a mebibyte.
fn file(bytes: usize) -> Vec<u8> {
    let numbers = (0_u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes());
    PNG[..8].iter().copied().chain(numbers).take(bytes).collect()
}

fn key(told: &support::Told) -> String {
    told.data()["image_key"].as_str().unwrap().to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_pieces_the_file_is_the_same(
        pieces in prop::collection::vec(prop_oneof![1_usize..9, 1_usize..70_000], 1..20),
    ) {
        let (bench, server) = bench(Limits::default());
        let file = file(8 + pieces.iter().sum::<usize>());
        let mut client = Client::connect(&server);
        client.send(head(CHUNKED));
        let mut rest = &file[..];
        for piece in pieces.iter().chain([&file.len()]) {
            let (now, later) = rest.split_at(rest.len().min(*piece));
            rest = later;
            if !now.is_empty() {
                client.send([format!("{:x}\r\n", now.len()).as_bytes(), now, b"\r\n"].concat());
            }
        }
        client.send("0\r\n\r\n");
        let told = client.answer();
        let kept = bench.host.file(image(&key(&told)));
        prop_assert!(kept == Some((Media::Png, file)), "the file has changed on its way");
    }
}

#[test]
fn what_a_file_is_its_first_bytes_say() {
    let bench = Bench::new();
    for (file, media) in [(PNG, Media::Png), (JPEG, Media::Jpeg)] {
        for name in
            ["image/png", "image/jpeg", "image/jpg", "image/webp", "application/octet-stream", "text/plain"]
        {
            let told = bench.put_file(name, file);
            assert_eq!(bench.host.file(image(&key(&told))), Some((media, file.to_vec())), "{name}");
        }
        let unnamed = bench.send(with_key(Method::POST, "/v1/asset", "").with_body(file));
        assert_eq!(bench.host.file(image(&key(&unnamed))).unwrap().0, media);
    }
    let files = bench.host.files();
    let webp = b"RIFF\x24\0\0\0WEBPVP8 ";
    let others: [&[u8]; 7] =
        [b"GIF89a and so on", webp, b"hello, world", b"{}", &PNG[..7], &PNG[1..], b"\xff\xd8"];
    for other in others {
        for name in ["image/png", "image/jpeg", "image/webp", "application/octet-stream"] {
            bench.put_file(name, other).says_v1(400, 40_001, NO_IMAGE);
        }
    }
    for name in ["video/mp4", "video/webm", "audio/mpeg", "audio/wav"] {
        bench.put_file(name, PNG).says_v1(400, 40_001, NO_IMAGE);
    }
    assert_eq!(bench.host.files(), files);
    bench.host.wait_for_open(0);
}

#[test]
fn a_form_and_nothing_at_all_are_no_data() {
    let bench = Bench::new();
    let form =
        "--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\nx\r\n--XX--\r\n";
    for name in ["multipart/form-data; boundary=XX", "Multipart/Form-Data", "multipart/mixed; boundary=XX"] {
        bench.put_file(name, form.as_bytes()).says_v1(400, 40_001, NO_DATA);
        bench.put_file(name, PNG).says_v1(400, 40_001, NO_DATA);
    }
    for name in ["image/png", "application/octet-stream"] {
        bench.put_file(name, b"").says_v1(400, 40_001, NO_DATA);
    }
    assert!(bench.host.asked().is_empty(), "nothing was begun");
}

#[test]
fn nothing_is_unpacked() {
    let bench = Bench::new();
    let put = |encoding: &str| {
        let request = with_key(Method::POST, "/v1/asset", "").with_header("content-type", "image/png");
        bench.send(request.with_header("content-encoding", encoding).with_body(PNG))
    };
    for encoding in ["gzip", "br", "identity, gzip", "x", ""] {
        put(encoding).says_v1(400, 40_001, "Send the request body without a content encoding");
    }
    assert_eq!(put("identity").status, 200);
}

#[test]
fn ten_mebibytes_and_no_more() {
    let (bench, server) = bench(Limits::default());
    let words = "The request body is larger than 10485760 bytes";
    // By its length, of which not a byte was sent.
    let mut client = Client::connect(&server);
    client.send(length((10 << 20) + 1));
    client.answer().says_v1(413, 40_001, words);
    bench.host.wait_for_open(0);
    // By counting.
    let mut client = Client::connect(&server);
    client.send(head(CHUNKED));
    let file = file((10 << 20) + 1);
    client.send([format!("{:x}\r\n", file.len()).as_bytes(), &file, b"\r\n0\r\n\r\n"].concat());
    client.answer().says_v1(413, 40_001, words);
    bench.host.wait_for_open(0);
    assert_eq!(bench.host.files(), 0);
    // Exactly as many as may be, and never held as a whole.
    let mut client = Client::connect(&server);
    client.send(length(10 << 20));
    client.send(&file[..10 << 20]);
    let told = client.answer();
    assert!(bench.host.file(image(&key(&told))).unwrap().1 == file[..10 << 20], "it has changed on its way");
    assert!(bench.host.largest_write() < 1 << 20, "{} bytes", bench.host.largest_write());
}

#[test]
fn half_a_request_leaves_nothing() {
    let (bench, server) = bench(Limits::default());
    for sent in [8, 20, 1_000_000] {
        for head in [length(2_000_000), head(CHUNKED) + "1e8480\r\n"] {
            let mut client = Client::connect(&server);
            client.send(head);
            client.send(file(sent));
            bench.host.wait_for_open(1);
            drop(client);
            bench.host.wait_for_open(0);
        }
    }
    assert_eq!(bench.host.files(), 0);
}

#[test]
fn so_many_uploads_at_once() {
    let (bench, server) = bench(Limits { uploads: 1, ..Limits::default() });
    let mut first = Client::connect(&server);
    first.send(length(20));
    first.send(&file(20)[..10]);
    bench.host.wait_for_open(1);
    let upload = || {
        let mut client = Client::connect(&server);
        client.send(length(20));
        client.send(file(20));
        client.answer()
    };
    let told = upload();
    told.says_v1(429, 42_900, "Too many uploads at once");
    assert_eq!(told.header("retry-after"), Some("5"));
    first.send(&file(20)[10..]);
    assert_eq!(first.answer().status, 200);
    assert_eq!(upload().status, 200, "there is room again");
}

#[test]
fn a_host_that_cannot_keep_a_file_is_a_500() {
    let (bench, server) = bench(Limits::default());
    let mut client = Client::connect(&server);
    client.send(length(20));
    client.send(&file(20)[..10]);
    bench.host.wait_for_open(1);
    bench.host.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    client.send(&file(20)[10..]);
    client.answer().says_v1(500, 50_000, "Internal server error");
    bench.host.wait_for_open(0);
    assert_eq!(bench.host.files(), 0);
}

/// Two vendors have paths under `/v1`, and each answers its own.
#[test]
fn the_rest_of_v1_is_somebody_elses() {
    let (_bench, server) = bench(Limits::default());
    let get = |path: &str| {
        let mut client = Client::connect(&server);
        client.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
        client.answer()
    };
    for path in ["/v1", "/v1/indexes/list", "/v1/assets", "/v1/asse"] {
        assert_eq!(get(path).body(), "somebody else", "{path}");
    }
    for path in ["/v1/asset", "/v1/asset/", "/v1/asset/x"] {
        get(path).is(401, r#"{"code":400112,"message":"Unauthorized"}"#);
    }
}
