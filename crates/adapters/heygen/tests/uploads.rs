//! Files, over a real connection too: in pieces, cut short, too large, too many, and under wrong names.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};
use support::net::{Client, PATIENCE, serve};
use support::{Bench, JPEG, KEY, PNG, image, settings, with_key};
use trainyard_heygen::{Limits, Media};
use trainyard_http::{Method, RunningServer};

const NO_DATA: &str = "asset data must be provided";
const NOT_TAKEN: &str = "Only these files are taken here: PNG, JPEG, MP4, WebM, MP3, WAV";
const NO_WEBP: &str = "WebP is not taken here, send the image as image/png or image/jpeg";

/// As far as anybody here looks.
const OTHERS: [(&str, &str, &[u8], Media); 4] = [
    ("video/mp4", "video", b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41 and so on", Media::Mp4),
    ("video/webm", "video", b"\x1a\x45\xdf\xa3\x8b\x42\x82\x84webm\x42\x87\x81\x04 and so on", Media::WebM),
    ("audio/mpeg", "audio", b"ID3\x04\0\0\0\0\0\0\xff\xfb\x90\x64 and so on", Media::Mp3),
    ("audio/wav", "audio", b"RIFF\x24\0\0\0WAVEfmt  and so on", Media::Wav),
];

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
        for name in [
            "image/png",
            "image/jpeg",
            "image/jpg",
            "image/webp",
            "application/octet-stream",
            "text/plain",
            "video/mp4",
        ] {
            let told = bench.put_file(name, file);
            assert_eq!(bench.host.file(image(&key(&told))), Some((media, file.to_vec())), "{name}");
        }
        let unnamed = bench.send(with_key(Method::POST, "/v1/asset", "").with_body(file));
        assert_eq!(bench.host.file(image(&key(&unnamed))).unwrap().0, media);
    }
    let files = bench.host.files();
    let webp = b"RIFF\x24\0\0\0WEBPVP8 ";
    let heic = b"\0\0\0\x24ftypheic\0\0\0\0mif1heic";
    let others: [&[u8]; 7] =
        [b"GIF89a and so on", heic, b"hello, world", b"{}", &PNG[..7], &PNG[1..], b"\xff\xd8"];
    for name in
        ["image/png", "image/jpeg", "image/webp", "application/octet-stream", "video/mp4", "audio/wav"]
    {
        for other in others {
            bench.put_file(name, other).says_v1(400, 40_001, NOT_TAKEN);
        }
        bench.put_file(name, webp).says_v1(400, 40_001, NO_WEBP);
    }
    assert_eq!(bench.host.files(), files);
    bench.host.wait_for_open(0);
}

/// Clients of the vendor send videos and sound to the same place. They are kept, and no look is made of them.
#[test]
fn what_is_no_image_is_kept_and_no_look() {
    let bench = Bench::new();
    let group = bench.create("Ann");
    for (media_type, file_type, file, media) in OTHERS {
        for name in [media_type, "application/octet-stream", "image/png", ""] {
            let asset = bench.put_file(name, file).data();
            assert_eq!(
                (&asset["file_type"], &asset["image_key"]),
                (&json!(file_type), &Value::Null),
                "{name}"
            );
            assert_eq!(asset["name"], asset["id"]);
            bench.follow(&asset["url"]).is_picture(media_type, file);
            let key = format!("image/{}/original", asset["id"].as_str().unwrap());
            assert_eq!(bench.host.file(image(&key)), Some((media, file.to_vec())));
            let words = "image_key is invalid: there is no such image";
            let body = json!({ "name": "x", "image_key": key });
            bench.post("/v2/photo_avatar/avatar_group/create", &body).says(400, "invalid_parameter", words);
            let words = "image_keys[1] is invalid: there is no such image";
            bench.add(group, &[bench.upload(), key]).says(400, "invalid_parameter", words);
        }
    }
    assert_eq!((bench.groups().len(), &bench.groups()[0]["num_looks"]), (1, &json!(1)));
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
    for sent in [64, 200, 1_000_000] {
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
    first.send(length(200));
    first.send(&file(200)[..100]);
    bench.host.wait_for_open(1);
    let upload = || {
        let mut client = Client::connect(&server);
        client.send(length(200));
        client.send(file(200));
        client.answer()
    };
    let told = upload();
    told.says_v1(429, 42_900, "Too many uploads at once");
    assert_eq!(told.header("retry-after"), Some("5"));
    first.send(&file(200)[100..]);
    assert_eq!(first.answer().status, 200);
    assert_eq!(upload().status, 200, "there is room again");
}

/// A file that is being written when its client hangs up: its seat stays taken as long as its place with the host.
#[test]
fn seat_and_place_come_free_together() {
    let (bench, server) = bench(Limits { uploads: 1, ..Limits::default() });
    bench.host.places.store(1, Ordering::SeqCst);
    let upload = || {
        let mut client = Client::connect(&server);
        client.send(length(200));
        client.send(file(200));
        client.answer().status
    };
    bench.host.desk.hold(true);
    let mut client = Client::connect(&server);
    client.send(length(2_000_000));
    client.send(file(1_000_000));
    assert!(bench.host.desk.has(1, PATIENCE), "nothing is written");
    drop(client);
    assert_eq!(upload(), 429, "it is still being written");
    bench.host.hold_workshop(true);
    bench.host.desk.hold(false);
    assert!(bench.host.works_on(1, PATIENCE), "it is not given up");
    assert_eq!(upload(), 429, "it is still being given up");
    bench.host.hold_workshop(false);
    bench.host.wait_for_open(0);
    let end = Instant::now() + PATIENCE;
    while upload() == 429 {
        assert!(Instant::now() < end, "the seat does not come free");
    }
    assert_eq!(upload(), 200);
    bench.host.wait_for_open(0);
}

#[test]
fn a_host_that_cannot_keep_a_file_is_a_500() {
    let (bench, server) = bench(Limits::default());
    let mut client = Client::connect(&server);
    client.send(length(200));
    client.send(&file(200)[..100]);
    bench.host.wait_for_open(1);
    bench.host.broken.store(true, Ordering::SeqCst);
    client.send(&file(200)[100..]);
    client.answer().says_v1(500, 50_000, "Internal server error");
    bench.host.wait_for_open(0);
    assert_eq!(bench.host.files(), 0);
}

/// A head for everything but uploads.
fn ask(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nX-API-KEY: {KEY}\r\n\r\n")
}

#[test]
fn a_full_disk_is_told_as_such_and_the_file_can_be_sent_again() {
    let (bench, server) = bench(Limits::default());
    let send = || {
        let mut client = Client::connect(&server);
        client.send(length(200));
        client.send(file(200));
        client.answer()
    };
    bench.host.full.store(true, Ordering::SeqCst);
    let told = send();
    told.says_v1(507, 50_700, "There is no room for this now, try again later");
    assert_eq!(told.header("retry-after"), Some("60"));
    bench.host.wait_for_open(0);
    assert_eq!(bench.host.files(), 0);
    bench.host.full.store(false, Ordering::SeqCst);
    assert_eq!(send().status, 200);
}

#[test]
fn only_so_many_files_are_finished_together_and_others_are_answered_meanwhile() {
    let (bench, server) = bench(Limits { finishing: 2, ..Limits::default() });
    bench.host.hold_workshop(true);
    let uploads: Vec<Client> = (0..12)
        .map(|_| {
            let mut client = Client::connect(&server);
            client.send(length(200));
            client.send(file(200));
            client
        })
        .collect();
    assert!(bench.host.works_on(2, PATIENCE), "nothing is finished");
    bench.host.wait_for_open(12);
    // There are eight threads, and this needs one.
    let mut client = Client::connect(&server);
    client.send(ask("/v2/avatar_group.list"));
    assert_eq!(client.answer().status, 200);
    assert!(!bench.host.works_on(3, Duration::from_millis(200)), "too many are finished together");
    bench.host.hold_workshop(false);
    for upload in uploads {
        assert_eq!(upload.answer().status, 200);
    }
}

#[test]
fn giving_an_upload_up_holds_nobody_up() {
    let (bench, server) = bench(Limits::default());
    let mut client = Client::connect(&server);
    client.send(length(200));
    client.send(&file(200)[..100]);
    bench.host.wait_for_open(1);
    bench.host.hold_workshop(true);
    drop(client);
    assert!(bench.host.works_on(1, PATIENCE), "the upload is not given up");
    // Of one I/O thread: were it held, nobody would be answered.
    let mut other = Client::connect(&server);
    other.send(ask("/v2/nothing"));
    other.answer().is_page();
    bench.host.hold_workshop(false);
    bench.host.wait_for_open(0);
}

#[test]
fn what_breaks_is_told_in_the_shape_of_its_place() {
    let (bench, server) = bench(Limits::default());
    let send = |bytes: &[u8]| {
        let mut client = Client::connect(&server);
        client.send(bytes);
        client.answer()
    };
    let many: String = (0..90).map(|number| format!("x-{number}: 1\r\n")).collect();
    let many = many.trim_end();
    let too_large = send(head(many).as_bytes());
    too_large.says_v1(431, 40_001, "Request Header Fields Too Large");
    let too_large = send(ask("/v2/avatar_group.list").replace("host: x", many).as_bytes());
    too_large.says(431, "invalid_parameter", "Request Header Fields Too Large");
    bench.host.panics.store(true, Ordering::SeqCst);
    let upload = [length(200).as_bytes(), &file(200)].concat();
    send(&upload).says_v1(500, 50_000, "Internal server error");
    send(ask("/v2/avatar_group.list").as_bytes()).says(500, "internal_error", "Internal server error");
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
        assert_eq!(get(path).text(), "somebody else", "{path}");
    }
    for path in ["/v1/asset", "/v1/asset/", "/v1/asset/x"] {
        get(path).is(401, r#"{"code":400112,"message":"Unauthorized"}"#);
    }
}
