use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::body::{Body, ForeignError};
use crate::request::Request;
use crate::request_id::RequestIds;
use crate::response::Payload;
use crate::server::{guarded, into_http};
use crate::service::Service;

/// A [`Service`] as a `tower_service::Service`, for tower and axum.
///
/// Panics become a `500` and answers carry `x-request-id`, as in a [`Server`](crate::Server). Times,
/// connections and header sizes are the business of the server around it,
/// [`Request::peer`] is `None`, and no request can be [upgraded](Request::upgrade).
#[derive(Clone)]
pub struct Tower {
    service: Arc<dyn Service>,
    ids: Arc<RequestIds>,
    body_limit_bytes: usize,
}

impl Tower {
    /// Wraps `service`; bodies may have at most `body_limit_bytes` bytes.
    #[must_use]
    pub fn new(service: Arc<dyn Service>, body_limit_bytes: usize) -> Tower {
        Tower { service, ids: Arc::new(RequestIds::new()), body_limit_bytes }
    }
}

impl std::fmt::Debug for Tower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tower").field("body_limit_bytes", &self.body_limit_bytes).finish_non_exhaustive()
    }
}

impl<B> tower_service::Service<http::Request<B>> for Tower
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<ForeignError>,
{
    type Response = http::Response<TowerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let service = Arc::clone(&self.service);
        let (head, body) = request.into_parts();
        let id = self.ids.of(&head.headers);
        let body = Body::foreign(Box::pin(Adapted(Box::pin(body))), self.body_limit_bytes);
        Box::pin(async move {
            let response = guarded(&*service, Request::from_parts(head, None, id, body)).await;
            Ok(into_http(response, id, TowerBody))
        })
    }
}

/// The body of an answer that goes out through tower.
#[derive(Debug)]
pub struct TowerBody(Payload);

impl HttpBody for TowerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// A body whose error is of the one type that all foreign bodies share.
struct Adapted<B>(Pin<Box<B>>);

impl<B> HttpBody for Adapted<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<ForeignError>,
{
    type Data = Bytes;
    type Error = ForeignError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ForeignError>>> {
        self.0.as_mut().poll_frame(cx).map_err(Into::into)
    }
}
