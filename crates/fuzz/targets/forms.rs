//! Forms: the first line is the content type, the rest the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_fuzz::within;
use trainyard_http::{
    Bytes, HeaderValue, Method, Multipart, MultipartError, MultipartLimits, Request, block_on,
};

const LIMITS: MultipartLimits = MultipartLimits { parts: 5, header_bytes: 512, part_bytes: 4_096 };

type Parts = Vec<(Option<String>, Option<String>, Vec<u8>)>;

/// The parts up to the end, or the first that is wrong.
async fn read(kind: &str, body: Bytes) -> (Parts, Option<MultipartError>) {
    let mut request = Request::new(Method::POST, "/").with_header("content-type", kind).with_body(body);
    let mut parts = Parts::new();
    let mut form = match Multipart::of(&mut request, LIMITS) {
        Ok(form) => form,
        Err(error) => return (parts, Some(error)),
    };
    loop {
        let mut part = match form.next_part().await {
            Ok(Some(part)) => part,
            Ok(None) => return (parts, None),
            Err(error) => {
                assert_eq!(form.next_part().await.err(), Some(error), "after an error comes the same error");
                return (parts, Some(error));
            }
        };
        let headers = part.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
        assert!(headers.sum::<usize>() <= LIMITS.header_bytes);
        let (name, file) = (part.name().map(str::to_owned), part.file_name().map(str::to_owned));
        let mut bytes = Vec::new();
        loop {
            match part.chunk().await {
                Ok(Some(piece)) => bytes.extend_from_slice(&piece),
                Ok(None) => break,
                Err(error) => return (parts, Some(error)),
            }
        }
        assert!(bytes.len() as u64 <= LIMITS.part_bytes);
        parts.push((name, file, bytes));
        assert!(parts.len() <= LIMITS.parts);
    }
}

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (kind, body) = data.split_at(end);
    let Some(kind) = std::str::from_utf8(kind).ok().filter(|kind| HeaderValue::from_str(kind).is_ok()) else {
        return;
    };
    let body = Bytes::copy_from_slice(body.get(1..).unwrap_or_default());
    let once = within(4 << 20, || block_on(read(kind, body.clone())));
    assert_eq!(block_on(read(kind, body)), once);
});
