//! Answers that are not 200.

use serde::Serialize;
use trainyard_http::{HeaderValue, Method, Response, StatusCode, header};

use crate::validate::Findings;

/// Why a request was not carried out, ready to be sent: `{"detail": …}` and nothing else.
#[derive(Debug, PartialEq)]
pub(crate) enum Fault {
    /// A status and its words.
    Said(StatusCode, String),
    /// A 422.
    Invalid(Findings),
    /// A 307 to another path.
    Elsewhere(HeaderValue),
    /// A 405.
    WrongMethod(Vec<Method>),
    /// A 503: it is not the request's fault, and later may be better.
    Later(String),
    /// A 503: the host is being shut down.
    ShuttingDown,
}

#[derive(Serialize)]
struct Detail<'a, D: ?Sized> {
    detail: &'a D,
}

impl Fault {
    pub(crate) fn bad(words: impl Into<String>) -> Self {
        Self::Said(StatusCode::BAD_REQUEST, words.into())
    }

    pub(crate) fn unauthorized(words: impl Into<String>) -> Self {
        Self::Said(StatusCode::UNAUTHORIZED, words.into())
    }

    pub(crate) fn forbidden(words: impl Into<String>) -> Self {
        Self::Said(StatusCode::FORBIDDEN, words.into())
    }

    pub(crate) fn not_found(words: impl Into<String>) -> Self {
        Self::Said(StatusCode::NOT_FOUND, words.into())
    }

    pub(crate) fn too_large(words: impl Into<String>) -> Self {
        Self::Said(StatusCode::PAYLOAD_TOO_LARGE, words.into())
    }

    pub(crate) fn internal(words: impl Into<String>) -> Self {
        Self::Said(StatusCode::INTERNAL_SERVER_ERROR, words.into())
    }

    /// What is told when this adapter did not come to an answer.
    pub(crate) fn unanswered(status: StatusCode) -> Self {
        Self::Said(status, status.canonical_reason().unwrap_or("The request was not answered").to_owned())
    }

    pub(crate) fn queue_stopped() -> Self {
        Self::Later("The training queue has stopped".to_owned())
    }

    pub(crate) fn into_response(self) -> Response {
        match self {
            Self::Said(status, words) => detail(status, &words),
            Self::Invalid(findings) => detail(StatusCode::UNPROCESSABLE_ENTITY, &findings),
            Self::Elsewhere(location) => {
                Response::empty(StatusCode::TEMPORARY_REDIRECT).with_header(header::LOCATION, location)
            }
            Self::WrongMethod(allow) => {
                detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed").with_allow(&allow)
            }
            Self::Later(words) => detail(StatusCode::SERVICE_UNAVAILABLE, &words)
                .with_header(header::RETRY_AFTER, HeaderValue::from_static("30")),
            Self::ShuttingDown => detail(StatusCode::SERVICE_UNAVAILABLE, "The server is shutting down")
                .with_header(header::RETRY_AFTER, HeaderValue::from_static("5")),
        }
    }
}

fn detail<D: Serialize + ?Sized>(status: StatusCode, detail: &D) -> Response {
    Response::json(status, &Detail { detail })
}
