use proptest::prelude::*;

use super::*;
use crate::{Method, block_on};

const FORM: &str = "multipart/form-data; boundary=XX";

type Parts = Vec<(Option<String>, Vec<u8>)>;

async fn read(request: &mut Request, limits: MultipartLimits) -> Result<Parts, MultipartError> {
    let mut form = Multipart::of(request, limits)?;
    let mut parts = Vec::new();
    while let Some(mut part) = form.next_part().await? {
        let mut bytes = Vec::new();
        while let Some(piece) = part.chunk().await? {
            assert!(!piece.is_empty());
            bytes.extend_from_slice(&piece);
        }
        parts.push((part.name().map(str::to_owned), bytes));
    }
    assert!(form.next_part().await?.is_none(), "after the last part there is none");
    Ok(parts)
}

fn request(content_type: &str, body: impl Into<Bytes>) -> Request {
    Request::new(Method::POST, "/").with_header("content-type", content_type).with_body(body)
}

fn parse(
    content_type: &str,
    body: impl Into<Bytes>,
    limits: MultipartLimits,
) -> Result<Parts, MultipartError> {
    block_on(read(&mut request(content_type, body), limits))
}

fn part(name: &str, data: &str) -> String {
    format!("--XX\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"a.csv\"\r\n\r\n{data}\r\n")
}

#[track_caller]
fn check(body: &str, expected: Result<&[(&str, &str)], MultipartError>) {
    let expected = expected.map(|parts| {
        parts
            .iter()
            .map(|(name, data)| (Some((*name).to_owned()), data.as_bytes().to_vec()))
            .collect::<Parts>()
    });
    assert_eq!(parse(FORM, body.to_owned(), MultipartLimits::default()), expected, "{body:?}");
}

#[test]
fn parts_come_in_their_order() {
    let two = format!("{}{}--XX--\r\n", part("a", "1,2\r\n3,4"), part("file", ""));
    check(&two, Ok(&[("a", "1,2\r\n3,4"), ("file", "")]));
    check(&format!("a preamble\r\n{two}an epilogue"), Ok(&[("a", "1,2\r\n3,4"), ("file", "")]));
    check("--XX--", Ok(&[]));
    check(&format!("{}--XX--", part("a", "\r\n--XY\r\n--X")), Ok(&[("a", "\r\n--XY\r\n--X")]));
}

#[test]
fn what_is_no_form_is_told() {
    check("", Err(MultipartError::Truncated));
    check("--XX", Err(MultipartError::Truncated));
    check(&part("a", "1"), Err(MultipartError::Truncated));
    check("--XX\r\na: b\r\n", Err(MultipartError::Truncated));
    check("--XX\r\nno header\r\n\r\n1\r\n--XX--", Err(MultipartError::Malformed));
    let limits = MultipartLimits::default();
    for (content_type, expected) in [
        ("text/csv", MultipartError::NotMultipart),
        ("", MultipartError::NotMultipart),
        ("multipart/mixed; boundary=XX", MultipartError::NotMultipart),
        ("multipart/form-data", MultipartError::NoBoundary),
        ("multipart/form-data; boundary=", MultipartError::NoBoundary),
        ("multipart/form-data; boundary=\"\"", MultipartError::NoBoundary),
        ("multipart/form-data; boundary=\"X", MultipartError::NoBoundary),
        (&format!("multipart/form-data; boundary={}", "x".repeat(71)), MultipartError::NoBoundary),
    ] {
        assert_eq!(parse(content_type, "--XX--", limits), Err(expected), "{content_type}");
    }
    let longest = "x".repeat(70);
    let quoted = format!("Multipart/Form-Data; charset=utf-8; boundary=\"{longest}\"");
    assert_eq!(parse(&quoted, format!("--{longest}--"), limits), Ok(vec![]));
}

#[test]
fn a_part_that_nobody_reads_is_passed_over() {
    let body = format!("{}{}--XX--", part("a", &"x".repeat(300_000)), part("b", "2"));
    let mut request = request(FORM, body);
    block_on(async {
        let mut form = Multipart::of(&mut request, MultipartLimits::default()).unwrap();
        assert_eq!(form.next_part().await.unwrap().unwrap().name(), Some("a"));
        let mut second = form.next_part().await.unwrap().unwrap();
        assert_eq!((second.name(), second.file_name()), (Some("b"), Some("a.csv")));
        assert_eq!(second.chunk().await.unwrap().as_deref(), Some(&b"2"[..]));
        assert!(form.next_part().await.unwrap().is_none());
    });
}

#[test]
fn there_are_bounds() {
    let with = |limits, body: String| parse(FORM, body, limits);
    let all = MultipartLimits::default();
    let three = format!("{}--XX--", part("a", "12345").repeat(3));
    assert_eq!(with(MultipartLimits { parts: 3, ..all }, three.clone()).map(|parts| parts.len()), Ok(3));
    let two = MultipartLimits { parts: 2, ..all };
    assert_eq!(with(two, three.clone()), Err(MultipartError::TooManyParts { max: 2 }));
    assert!(with(MultipartLimits { part_bytes: 5, ..all }, three.clone()).is_ok());
    let four = MultipartLimits { part_bytes: 4, ..all };
    assert_eq!(with(four, three), Err(MultipartError::PartTooLarge { limit_bytes: 4 }));

    let header = |bytes: usize| format!("--XX\r\nx: {}\r\n\r\n1\r\n--XX--", "h".repeat(bytes - 1));
    let hundred = MultipartLimits { header_bytes: 100, ..all };
    assert!(with(hundred, header(100)).is_ok());
    let too_large = Err(MultipartError::HeadersTooLarge { max: 100 });
    assert_eq!(with(hundred, header(101)), too_large);
    assert_eq!(with(hundred, header(10_000_000)), too_large);
    assert_eq!(with(hundred, "a preamble without end ".repeat(100_000)), too_large);
    let many = format!("--XX\r\n{}\r\n1\r\n--XX--", "x: y\r\n".repeat(33));
    assert_eq!(with(all, many), Err(MultipartError::Malformed));
}

#[test]
fn an_error_stays() {
    let mut request = request(FORM, part("a", "1"));
    block_on(async {
        let mut form = Multipart::of(&mut request, MultipartLimits::default()).unwrap();
        let mut part = form.next_part().await.unwrap().unwrap();
        let mut last = Ok(None);
        while let Ok(Some(_)) | Ok(None) = last {
            last = part.chunk().await;
        }
        assert_eq!(last, Err(MultipartError::Truncated));
        assert_eq!(part.chunk().await, Err(MultipartError::Truncated));
        assert_eq!(form.next_part().await.err(), Some(MultipartError::Truncated));
    });
}

#[test]
fn the_limit_of_the_body_counts() {
    let body = format!("{}--XX--", part("a", "12345"));
    let mut request = request(FORM, body);
    *request.body_mut() = request.take_body().with_limit(20);
    let read = block_on(read(&mut request, MultipartLimits::default()));
    assert_eq!(read, Err(MultipartError::Body(BodyError::TooLarge { limit_bytes: 20 })));
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "--XX",
        "\r\n",
        "--",
        "XX",
        "\r",
        "\n",
        "a: b",
        ": ",
        "x",
        "\r\n\r\n",
        "\r\n--XX--",
        " ",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn what_is_put_into_a_form_comes_out(
        parts in prop::collection::vec(("[a-z]{1,8}", prop::collection::vec(any::<u8>(), 0..300)), 0..5),
    ) {
        let mut body = Vec::new();
        for (name, data) in &parts {
            let empty = part(name, "");
            body.extend_from_slice(empty.strip_suffix("\r\n").unwrap().as_bytes());
            body.extend_from_slice(data);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--XX--\r\n");
        // A boundary inside of the data is the sender's mistake.
        prop_assume!(parts.iter().all(|(_, data)| !data.windows(4).any(|four| four == b"--XX")));
        let expected: Parts = parts.into_iter().map(|(name, data)| (Some(name), data)).collect();
        prop_assert_eq!(parse(FORM, body, MultipartLimits::default()), Ok(expected));
    }

    #[test]
    fn a_form_that_is_cut_anywhere_is_told(cut in 0_usize..100, data in "[a-z]{0,20}") {
        let whole = format!("{}--XX--", part("a", &data));
        let cut = cut % whole.len();
        let read = parse(FORM, whole[..cut].to_owned(), MultipartLimits::default());
        prop_assert_eq!(read, Err(MultipartError::Truncated));
    }

    #[test]
    fn any_bytes_are_read_or_refused(words in prop::collection::vec(word(), 0..40), content_type in ".{0,40}") {
        let body = words.concat();
        drop(parse(FORM, body.clone(), MultipartLimits::default()));
        if content_type.parse::<http::HeaderValue>().is_ok() {
            drop(parse(&content_type, body, MultipartLimits::default()));
        }
    }
}
