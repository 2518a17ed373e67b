use std::pin::Pin;
use std::sync::Arc;

use crate::{Request, Response, StatusCode};

/// The future of one [`Response`], borrowed from the service that makes it.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Response> + Send + 'a>>;

/// Something that answers requests.
///
/// One value answers many requests at once. When a client hangs up before its answer, the future is dropped
/// at its next `await`, so whatever must happen has to be handed over (to a job, a channel) and not merely
/// begun. A client that closes only its sending half counts as gone too. A panic becomes a `500` for this request alone,
/// in the words of [`Service::fault`].
pub trait Service: Send + Sync + 'static {
    /// Begins to answer `request`. Heavy work belongs in [`blocking`](crate::blocking), so that other
    /// connections do not wait for it.
    fn call(&self, request: Request) -> Answer<'_>;

    /// What clients of this service are told when it did not answer: with a `500` after a panic, with a `431` when the
    /// server refused the request. Default: the status in words, as plain text. Quick, and the same for all.
    fn fault(&self, status: StatusCode) -> Response {
        Response::text(status, status.canonical_reason().unwrap_or_default())
    }
}

impl<S: Service + ?Sized> Service for Arc<S> {
    fn call(&self, request: Request) -> Answer<'_> {
        (**self).call(request)
    }

    fn fault(&self, status: StatusCode) -> Response {
        (**self).fault(status)
    }
}

/// A [`Service`] made from an async function; see [`service_fn`].
#[derive(Debug, Clone)]
pub struct ServiceFn<F>(F);

/// Makes a [`Service`] from a function that takes a [`Request`] and returns a future of a [`Response`].
///
/// ```
/// use trainyard_http::{Method, Request, Response, Service, StatusCode, block_on, service_fn};
///
/// let service = service_fn(async |request: Request| Response::text(StatusCode::OK, request.path()));
/// let response = block_on(service.call(Request::new(Method::GET, "/health")));
/// assert_eq!(response.bytes_ready().as_deref(), Some(&b"/health"[..]));
/// ```
pub fn service_fn<F, Fut>(function: F) -> ServiceFn<F>
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    ServiceFn(function)
}

impl<F, Fut> Service for ServiceFn<F>
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    fn call(&self, request: Request) -> Answer<'_> {
        Box::pin((self.0)(request))
    }
}
