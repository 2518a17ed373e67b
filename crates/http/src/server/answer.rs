use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderValue, StatusCode};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::upgrade::OnUpgrade;

use crate::body::Body;
use crate::mounts::Mount;
use crate::request::Request;
use crate::request_id::{REQUEST_ID, RequestId};
use crate::response::{Payload, Response};
use crate::server::link::Link;
use crate::server::upload::Upload;
use crate::service::Service;

/// Answers one request of a connection.
pub(super) async fn answer(link: Arc<Link>, request: http::Request<Incoming>) -> http::Response<Outgoing> {
    link.begin_request();
    let site = &link.site;
    let (mut head, incoming) = request.into_parts();
    let on_upgrade = head.extensions.remove::<OnUpgrade>();
    let id = site.ids.of(&head.headers);
    let mount = site.mounts.find(head.uri.path());
    let time = mount.and_then(Mount::body_timeout).unwrap_or(site.config.body_timeout);
    let upload = Upload::new(incoming, &head.headers, &link, time);

    let mut response = if head.headers.len() > site.config.headers_max {
        link.close_after_answer();
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        let in_its_words = mount.map(|mount| fault(&**mount.service(), status));
        in_its_words.unwrap_or_else(|| Response::text(status, "Request Header Fields Too Large"))
    } else if let Some(mount) = mount {
        let limit_bytes = mount.body_limit_bytes().unwrap_or(site.config.body_limit_bytes);
        let body = upload.map_or_else(Body::empty, |upload| Body::upload(upload, limit_bytes));
        let request = Request::from_parts(head, Some(link.peer), id, body).with_upgrade(on_upgrade);
        guarded(&**mount.service(), request).await
    } else {
        drop(upload);
        Response::bytes(StatusCode::NOT_FOUND, "application/json", NOT_FOUND)
    };

    if let Payload::Ready(bytes) = &mut response.payload {
        match site.answers.keep(std::mem::take(bytes)) {
            Some(kept) => *bytes = kept,
            None => {
                response = mount.map_or_else(Response::internal_server_error, |mount| no_room(mount, &id))
            }
        }
    }
    if let Some(promise) = response.promise.take() {
        link.keep(promise);
    } else if link.is_closing() {
        response.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    into_http(response, id, |payload| Outgoing { payload, link: Arc::clone(&link) })
}

/// For an answer that there is no memory for.
fn no_room(mount: &Mount, id: &RequestId) -> Response {
    tracing::warn!(request_id = %id, "an answer found no room among those that clients have yet to take");
    fault(&**mount.service(), StatusCode::SERVICE_UNAVAILABLE)
        .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
}

const NOT_FOUND: &str = r#"{"error":"not found"}"#;

/// Calls the service; a panic becomes a `500` in its words.
pub(crate) async fn guarded(service: &dyn Service, request: Request) -> Response {
    let id = *request.id();
    let answer = match catch_unwind(AssertUnwindSafe(|| service.call(request))) {
        Ok(future) => Guarded(future).await,
        Err(panic) => Err(panic),
    };
    answer.unwrap_or_else(|panic| {
        tracing::error!(request_id = %id, panic = panic_text(&*panic), "a service panicked");
        fault(service, StatusCode::INTERNAL_SERVER_ERROR)
    })
}

/// The service's words for an answer that is not its own.
fn fault(service: &dyn Service, status: StatusCode) -> Response {
    let words = catch_unwind(AssertUnwindSafe(|| service.fault(status)));
    words.unwrap_or_else(|panic| {
        tracing::error!(panic = panic_text(&*panic), "a service panicked over its words for a fault");
        Response::internal_server_error()
    })
}

/// Gives the answer the shape that hyper writes. `content-length` is hyper's alone: a service that got it wrong
/// would break the connection for the next request.
pub(crate) fn into_http<B>(
    response: Response,
    id: RequestId,
    body: impl FnOnce(Payload) -> B,
) -> http::Response<B> {
    let mut answer = http::Response::new(body(response.payload));
    *answer.status_mut() = response.status;
    let headers = answer.headers_mut();
    *headers = response.headers;
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    headers.insert(REQUEST_ID, id.to_header());
    answer
}

/// A future that turns a panic into an error.
pub(super) struct Guarded<'a, T>(pub(super) Pin<Box<dyn Future<Output = T> + Send + 'a>>);

impl<T> Future for Guarded<'_, T> {
    type Output = Result<T, Box<dyn Any + Send>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("not a text")
}

/// The body of an answer on its way out, which tells the connection when it is done.
pub(super) struct Outgoing {
    payload: Payload,
    link: Arc<Link>,
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.payload).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.payload.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.payload.size_hint()
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.link.end_request();
    }
}
