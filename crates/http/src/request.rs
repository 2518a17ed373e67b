use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use hyper::upgrade::OnUpgrade;

use crate::body::Body;
use crate::request_id::RequestId;
use crate::response::Response;
use crate::websocket::handshake::{self, UpgradeError};
use crate::websocket::{Promise, WebSocket, WebSocketLimits};

/// What a client asked for.
///
/// It can be made without a server, which is how services are tested:
///
/// ```
/// use trainyard_http::{Method, Request, block_on};
///
/// let mut request = Request::new(Method::POST, "/v1/train?dry=1")
///     .with_header("authorization", "Bearer x")
///     .with_body("{}");
/// assert_eq!((request.path(), request.query()), ("/v1/train", Some("dry=1")));
/// assert_eq!(request.header("Authorization"), Some("Bearer x"));
/// assert_eq!(block_on(request.take_body().collect(1024)).as_deref(), Ok(&b"{}"[..]));
/// ```
pub struct Request {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    peer: Option<SocketAddr>,
    id: RequestId,
    body: Body,
    /// Present if the connection can become something else.
    on_upgrade: Option<OnUpgrade>,
}

impl Request {
    /// A request without headers, body or peer, for `path`, which may carry a query.
    ///
    /// # Panics
    ///
    /// If `path` does not begin with `/` or holds what a request line cannot.
    #[must_use]
    pub fn new(method: Method, path: &str) -> Request {
        assert!(path.starts_with('/'), "a path begins with a slash: {path:?}");
        let path: PathAndQuery = path.parse().expect("a path holds no blanks and no control characters");
        Request {
            method,
            uri: Uri::from(path),
            headers: HeaderMap::new(),
            peer: None,
            id: RequestId::parse("none").expect("the word is a well-formed id"),
            body: Body::empty(),
            on_upgrade: None,
        }
    }

    /// Adds a header, beside others of the same name.
    ///
    /// # Panics
    ///
    /// If `name` or `value` holds what a header cannot.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Request {
        let name: HeaderName = name.parse().expect("a header name is a token");
        let value: HeaderValue = value.parse().expect("a header value is visible text");
        self.headers.append(name, value);
        self
    }

    /// Replaces the body by `bytes`. Sets no header.
    #[must_use]
    pub fn with_body(mut self, bytes: impl Into<Bytes>) -> Request {
        self.body = Body::from(bytes.into());
        self
    }

    /// Sets the address the request came from. Default: none.
    #[must_use]
    pub fn with_peer(mut self, peer: SocketAddr) -> Request {
        self.peer = Some(peer);
        self
    }

    /// Sets the request id. Default: the word `none`.
    #[must_use]
    pub fn with_id(mut self, id: RequestId) -> Request {
        self.id = id;
        self
    }

    pub(crate) fn from_parts(
        head: http::request::Parts,
        peer: Option<SocketAddr>,
        id: RequestId,
        body: Body,
    ) -> Request {
        let http::request::Parts { method, uri, headers, .. } = head;
        Request { method, uri, headers, peer, id, body, on_upgrade: None }
    }

    pub(crate) fn with_upgrade(self, on_upgrade: Option<OnUpgrade>) -> Request {
        Request { on_upgrade, ..self }
    }

    /// Makes the connection a [`WebSocket`]: the answer, a `101`, which the service has to give back. When the client
    /// has it, `run` is called with the socket, on the I/O thread, and its future runs beside other connections. The
    /// connection has its place among [all](crate::ServerConfig::with_connections) until `run` is over and the socket
    /// closed. A panic of `run` is logged with the id of this request, and closes with 1011.
    ///
    /// Who may connect, and from where, is for the service to find out before. No extension (compression) and no
    /// subprotocol is agreed on.
    ///
    /// # Errors
    ///
    /// [`UpgradeError`] when the request is not fit for it, and always when it was made without a
    /// [`Server`](crate::Server).
    pub fn upgrade<F, Fut>(self, limits: WebSocketLimits, run: F) -> Result<Response, UpgradeError>
    where
        F: FnOnce(WebSocket) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let accept = handshake::accept(&self.method, &self.headers)?;
        let on_upgrade = self.on_upgrade.ok_or(UpgradeError::NoConnection)?;
        Ok(Response::switching(accept, Promise::new(on_upgrade, limits, self.id, run)))
    }

    /// Takes the body out, to be read; an empty one stays behind.
    pub fn take_body(&mut self) -> Body {
        std::mem::take(&mut self.body)
    }

    /// The body, to be read where it is.
    pub fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    /// The body, and nothing else.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.body
    }

    /// Whether the client asks for a [`WebSocket`], be it in the right way or not; see [`upgrade`](Self::upgrade).
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        handshake::is_asked(&self.headers)
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path as it came: percent-encoded, dots and all, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// What stands behind the `?`, as it came; `None` without a `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The first header of this name, if it is there and is visible ASCII. Case does not matter.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the body is as it was meant: no `content-encoding` says that it is packed. The server unpacks nothing, so
    /// that nothing small unfolds into something large; a service refuses what is packed.
    #[must_use]
    pub fn has_plain_body(&self) -> bool {
        let identity = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
        self.headers.get_all(CONTENT_ENCODING).iter().all(identity)
    }

    /// The address of the other end of the connection; `None` when there is no connection of ours.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The id that logs and the answer carry.
    #[must_use]
    pub fn id(&self) -> &RequestId {
        &self.id
    }
}

impl fmt::Debug for Request {
    /// Leaves the headers and the query out, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path())
            .field("peer", &self.peer)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_plain_unless_a_header_says_otherwise() {
        let check = |encodings: &[&str], plain: bool| {
            let request = Request::new(Method::POST, "/");
            let with = |request: Request, encoding: &&str| request.with_header("content-encoding", encoding);
            let request = encodings.iter().fold(request, with);
            assert_eq!(request.has_plain_body(), plain, "{encodings:?}");
        };
        check(&[], true);
        check(&["identity"], true);
        check(&[" Identity "], true);
        check(&["gzip"], false);
        check(&[""], false);
        check(&["identity", "gzip"], false);
        check(&["identity, gzip"], false);
    }
}
