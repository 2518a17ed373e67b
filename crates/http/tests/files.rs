//! Files in both directions: forms that are taken apart while they arrive, answers that are read while they leave.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::io::{self, Read};

use support::{Client, config, serve};
use trainyard_http::{BodyError, Multipart, MultipartError, MultipartLimits, Request, Response, StatusCode};

async fn count(mut request: Request) -> Response {
    match file_bytes(&mut request).await {
        Ok(bytes) => Response::text(StatusCode::OK, bytes.to_string()),
        Err(MultipartError::Body(BodyError::TooLarge { .. }) | MultipartError::PartTooLarge { .. }) => {
            Response::empty(StatusCode::PAYLOAD_TOO_LARGE)
        }
        Err(error) => Response::text(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

async fn file_bytes(request: &mut Request) -> Result<u64, MultipartError> {
    let limits = MultipartLimits { part_bytes: 3_000_000, ..MultipartLimits::default() };
    let mut form = Multipart::of(request, limits)?;
    let mut bytes = 0;
    while let Some(mut part) = form.next_part().await? {
        while let Some(piece) = part.chunk().await? {
            assert!(piece.len() <= 128 * 1024, "{} bytes at once", piece.len());
            bytes += piece.len() as u64;
        }
    }
    Ok(bytes)
}

const HEAD: &str = "POST / HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=XX\r\n";
const PART: &str = "--XX\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n";

#[test]
fn a_form_is_taken_apart_while_it_arrives() {
    let server = serve(config().with_body_limit(8 << 20), count);
    let mut client = Client::connect(server.local_addr());
    for bytes in [0, 1, 65_536, 3_000_000] {
        let body = format!("{PART}{}\r\n--XX--\r\n", "x".repeat(bytes));
        let answer = client.send(format!("{HEAD}content-length: {}\r\n\r\n{body}", body.len())).receive();
        assert_eq!((answer.status, &*answer.body), (200, &*bytes.to_string()));
    }
    let body = format!("{PART}{}\r\n--XX--\r\n", "x".repeat(3_000_001));
    let answer = client.send(format!("{HEAD}content-length: {}\r\n\r\n{body}", body.len())).receive();
    assert_eq!(answer.status, 413);
    let mut client = Client::connect(server.local_addr());
    let answer = client.send(format!("{HEAD}content-length: {}\r\n\r\n", (8 << 20) + 1)).receive();
    assert_eq!(answer.status, 413, "nothing of it was sent");
}

#[test]
fn a_form_that_comes_byte_by_byte_is_the_same() {
    let server = serve(config(), count);
    let mut client = Client::connect(server.local_addr());
    client.send(format!("{HEAD}transfer-encoding: chunked\r\n\r\n"));
    for byte in format!("{PART}a\r\n--X\r\n--XX--\r\n").chars() {
        client.send(format!("1\r\n{byte}\r\n"));
    }
    let answer = client.send("0\r\n\r\n").receive();
    assert_eq!((answer.status, &*answer.body), (200, "6"));
}

#[test]
fn a_form_that_ends_too_early_is_told() {
    let server = serve(config(), count);
    let mut client = Client::connect(server.local_addr());
    let answer = client.send(format!("{HEAD}content-length: {}\r\n\r\n{PART}", PART.len())).receive();
    assert_eq!((answer.status, &*answer.body), (400, "the form ends before its last boundary"));
}

/// A file of so many bytes that fails after so many.
struct Disk {
    fails_after: u64,
    read: u64,
}

impl Read for Disk {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.fails_after - self.read;
        if left == 0 {
            return Err(io::Error::other("a bad sector"));
        }
        let bytes = into.len().min(1_000).min(usize::try_from(left).unwrap());
        into[..bytes].fill(b'x');
        self.read += bytes as u64;
        Ok(bytes)
    }
}

#[test]
fn an_answer_that_is_read_has_a_length() {
    let server = serve(config(), async |_| {
        let disk = Disk { fails_after: 900_000, read: 0 };
        Response::reader(StatusCode::OK, "text/csv", 300_000, disk)
    });
    let mut client = Client::connect(server.local_addr());
    for _ in 0..2 {
        let answer = client.get("/");
        assert_eq!((answer.status, answer.body.len()), (200, 300_000));
        assert_eq!(answer.headers["content-length"], "300000");
    }
}

#[test]
fn an_answer_that_cannot_be_read_to_its_end_is_cut() {
    let server = serve(config(), async |_| {
        let disk = Disk { fails_after: 200_000, read: 0 };
        Response::reader(StatusCode::OK, "text/csv", 300_000, disk)
    });
    let mut client = Client::connect(server.local_addr());
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.receive_head().headers["content-length"], "300000");
    let rest = client.rest().len();
    assert!(rest < 300_000, "{rest} bytes look like a whole answer");
}
