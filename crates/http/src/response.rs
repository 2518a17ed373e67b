use std::convert::Infallible;
use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde::Serialize;

use crate::body::next_data;
use crate::reading::Reading;
use crate::stream::{ByteReceiver, ByteSender, byte_channel};
use crate::websocket::Promise;

/// What a service answers.
///
/// The server adds `content-length` (but for streams), `date` and `x-request-id`.
#[derive(Debug)]
pub struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    /// Set with the status `101`, and with no other.
    pub(crate) promise: Option<Box<Promise>>,
}

#[derive(Debug)]
pub(crate) enum Payload {
    Ready(Bytes),
    Stream(ByteReceiver),
    Reader(Reading),
}

impl Response {
    /// `value` as compact JSON, `content-type: application/json`.
    ///
    /// A value that has no JSON form (a map whose keys are no strings) is a bug: it is logged and answered
    /// with a `500`.
    #[must_use]
    pub fn json(status: StatusCode, value: &(impl Serialize + ?Sized)) -> Response {
        match serde_json::to_vec(value) {
            Ok(text) => Response::bytes(status, "application/json", text),
            Err(error) => {
                tracing::error!(%error, "an answer has no JSON form");
                Response::internal_server_error()
            }
        }
    }

    /// Plain text in UTF-8.
    #[must_use]
    pub fn text(status: StatusCode, text: impl Into<String>) -> Response {
        Response::bytes(status, "text/plain; charset=utf-8", text.into())
    }

    /// Any bytes under a content type.
    ///
    /// # Panics
    ///
    /// If `content_type` holds what a header cannot.
    #[must_use]
    pub fn bytes(status: StatusCode, content_type: &'static str, bytes: impl Into<Bytes>) -> Response {
        Response::empty(status).with_payload(content_type, Payload::Ready(bytes.into()))
    }

    /// No body and no headers.
    #[must_use]
    pub fn empty(status: StatusCode) -> Response {
        let (headers, payload) = (HeaderMap::new(), Payload::Ready(Bytes::new()));
        Response { status, headers, payload, promise: None }
    }

    /// A body that is sent piece by piece, and the end to put pieces into.
    ///
    /// At most `pieces_max` pieces (at least one) wait for the client. The answer is complete when the sender
    /// and its clones are dropped. A graceful shutdown waits for it, up to its deadline.
    ///
    /// # Panics
    ///
    /// If `content_type` holds what a header cannot.
    #[must_use]
    pub fn stream(
        status: StatusCode,
        content_type: &'static str,
        pieces_max: usize,
    ) -> (ByteSender, Response) {
        let (sender, receiver) = byte_channel(pieces_max);
        let response = Response::empty(status).with_payload(content_type, Payload::Stream(receiver));
        (sender, response)
    }

    /// A body of so many bytes, such as a file, that is read piece by piece while the client takes it. No thread is
    /// held while the client is slow.
    ///
    /// What `source` has beyond `bytes` is left out. When it has fewer, or fails, the connection is cut, so that the
    /// client can tell a whole answer from one that broke off.
    ///
    /// # Panics
    ///
    /// If `content_type` holds what a header cannot.
    #[must_use]
    pub fn reader(
        status: StatusCode,
        content_type: &'static str,
        bytes: u64,
        source: impl Read + Send + 'static,
    ) -> Response {
        Response::empty(status).with_payload(content_type, Payload::Reader(Reading::new(source, bytes)))
    }

    pub(crate) fn internal_server_error() -> Response {
        Response::text(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
    }

    /// Sets a header, in place of others of the same name.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Response {
        self.headers.insert(name, value.into());
        self
    }

    /// Sets `allow` to these methods; what a `405` owes its client.
    #[expect(
        clippy::missing_panics_doc,
        reason = "methods are tokens, and a list of tokens is a header value"
    )]
    #[must_use]
    pub fn with_allow(self, methods: &[Method]) -> Response {
        let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
        let value = HeaderValue::try_from(names.join(", ")).expect("method names are tokens");
        self.with_header(ALLOW, value)
    }

    /// Sets `upgrade`, `connection` and `sec-websocket-version`; what a `426` owes a client that should have asked for
    /// a [`WebSocket`](crate::WebSocket).
    #[must_use]
    pub fn with_upgrade(self) -> Response {
        self.with_header(UPGRADE, HeaderValue::from_static("websocket"))
            .with_header(CONNECTION, HeaderValue::from_static("upgrade"))
            .with_header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
    }

    pub(crate) fn switching(accept: HeaderValue, promise: Promise) -> Response {
        let response = Response::empty(StatusCode::SWITCHING_PROTOCOLS)
            .with_header(UPGRADE, HeaderValue::from_static("websocket"))
            .with_header(CONNECTION, HeaderValue::from_static("upgrade"))
            .with_header(SEC_WEBSOCKET_ACCEPT, accept);
        Response { promise: Some(Box::new(promise)), ..response }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers set so far.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// All headers, to change.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The body, if it is not a stream. Cheap: the bytes are shared.
    #[must_use]
    pub fn bytes_ready(&self) -> Option<Bytes> {
        match &self.payload {
            Payload::Ready(bytes) => Some(bytes.clone()),
            Payload::Stream(_) | Payload::Reader(_) => None,
        }
    }

    /// The whole body; of a stream, all pieces until its senders are gone; of a reader, what can be read.
    ///
    /// # Panics
    ///
    /// Of a reader, outside of a server, [`block_on`](crate::block_on) or another tokio runtime.
    pub async fn into_bytes(self) -> Bytes {
        match self.payload {
            Payload::Ready(bytes) => bytes,
            mut streamed @ (Payload::Stream(_) | Payload::Reader(_)) => {
                let mut all = Vec::new();
                while let Some(Ok(piece)) = next_data(&mut streamed).await {
                    all.extend_from_slice(&piece);
                }
                all.into()
            }
        }
    }

    fn with_payload(mut self, content_type: &'static str, payload: Payload) -> Response {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.payload = payload;
        self
    }
}

impl HttpBody for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut *self {
            Payload::Ready(bytes) if bytes.is_empty() => Poll::Ready(None),
            Payload::Ready(bytes) => Poll::Ready(Some(std::mem::take(bytes))),
            Payload::Stream(receiver) => receiver.poll_next(cx),
            Payload::Reader(reading) => reading.poll_next(cx),
        };
        piece.map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Payload::Ready(bytes) => bytes.is_empty(),
            Payload::Stream(_) => false,
            Payload::Reader(reading) => reading.bytes_left() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Payload::Ready(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Payload::Stream(_) => SizeHint::default(),
            Payload::Reader(reading) => SizeHint::with_exact(reading.bytes_left()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn json_is_compact_and_labelled() {
        let response = Response::json(StatusCode::CREATED, &BTreeMap::from([("a", 1)]));
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.bytes_ready().as_deref(), Some(&b"{\"a\":1}"[..]));
    }

    #[test]
    fn what_has_no_json_form_is_a_500() {
        let response = Response::json(StatusCode::OK, &BTreeMap::from([((1, 2), 3)]));
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    /// Hands over a few bytes at a time, and fails where it is told to.
    struct Dripping(usize, Option<usize>);

    impl Read for Dripping {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            if self.1 == Some(self.0) {
                return Err(std::io::Error::other("a bad sector"));
            }
            let bytes = into.len().min(3);
            into[..bytes].fill(b'x');
            self.0 += bytes;
            Ok(bytes)
        }
    }

    #[test]
    fn a_reader_is_read_up_to_its_length() {
        let check = |bytes: u64, source: Dripping, expected: usize| {
            let response = Response::reader(StatusCode::OK, "text/csv", bytes, source);
            assert!(response.bytes_ready().is_none());
            assert_eq!(response.payload.size_hint().exact(), Some(bytes));
            assert_eq!(response.payload.is_end_stream(), bytes == 0);
            assert_eq!(crate::block_on(response.into_bytes()).len(), expected);
        };
        check(0, Dripping(0, None), 0);
        check(10, Dripping(0, None), 10);
        check(200_000, Dripping(0, None), 200_000);
        check(10, Dripping(0, Some(6)), 0);
    }

    #[test]
    fn allow_lists_methods() {
        let response =
            Response::empty(StatusCode::METHOD_NOT_ALLOWED).with_allow(&[Method::GET, Method::PUT]);
        assert_eq!(response.headers()["allow"], "GET, PUT");
    }
}
