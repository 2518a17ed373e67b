//! Answers that are not 2xx.

use std::time::Duration;

use serde::Serialize;
use trainyard_http::{BodyError, HeaderValue, Method, MultipartError, Response, StatusCode, header};

/// Why a request was not carried out, ready to be sent: `{"message": …}`.
#[derive(Debug, PartialEq)]
pub(crate) enum Fault {
    /// A status and its words.
    Said(StatusCode, String),
    /// A 401 that a token would help against.
    Unauthorized(&'static str),
    /// A 405.
    WrongMethod(Vec<Method>),
    /// A 429: so long until the next attempt.
    TooOften(Duration),
    /// A 503: it is not the request's fault, and later may be better.
    Later(&'static str),
    /// A 507: there is no room for what was sent; somebody may make some.
    Full(&'static str),
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

/// When to come back after a 503.
const RETRY_SECONDS: u64 = 5;
/// When to come back after a 507.
const ROOM_SECONDS: u64 = 60;

impl Fault {
    pub(crate) fn bad(words: impl Into<String>) -> Self {
        Self::Said(StatusCode::BAD_REQUEST, words.into())
    }

    pub(crate) fn not_found(words: impl Into<String>) -> Self {
        Self::Said(StatusCode::NOT_FOUND, words.into())
    }

    pub(crate) fn conflict(words: impl Into<String>) -> Self {
        Self::Said(StatusCode::CONFLICT, words.into())
    }

    pub(crate) fn too_large(words: impl Into<String>) -> Self {
        Self::Said(StatusCode::PAYLOAD_TOO_LARGE, words.into())
    }

    pub(crate) fn wrong_type(words: impl Into<String>) -> Self {
        Self::Said(StatusCode::UNSUPPORTED_MEDIA_TYPE, words.into())
    }

    /// The cause is in the log, and not in here.
    pub(crate) fn internal() -> Self {
        Self::Said(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error".to_owned())
    }

    /// What is told when this adapter did not come to an answer.
    pub(crate) fn unanswered(status: StatusCode) -> Self {
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            return Self::internal();
        }
        Self::Said(status, status.canonical_reason().unwrap_or("The request was not answered").to_owned())
    }

    pub(crate) fn into_response(self) -> Response {
        let seconds = |seconds: u64| HeaderValue::from(seconds);
        match self {
            Self::Said(status, words) => message(status, &words),
            Self::Unauthorized(words) => message(StatusCode::UNAUTHORIZED, words)
                .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Self::WrongMethod(allow) => {
                message(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed").with_allow(&allow)
            }
            Self::TooOften(wait) => {
                let words = "Too many login attempts, try again later";
                let whole = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
                message(StatusCode::TOO_MANY_REQUESTS, words).with_header(header::RETRY_AFTER, seconds(whole))
            }
            Self::Later(words) => message(StatusCode::SERVICE_UNAVAILABLE, words)
                .with_header(header::RETRY_AFTER, seconds(RETRY_SECONDS)),
            Self::Full(words) => message(StatusCode::INSUFFICIENT_STORAGE, words)
                .with_header(header::RETRY_AFTER, seconds(ROOM_SECONDS)),
        }
    }
}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { limit_bytes } => {
                Self::too_large(format!("The request body is larger than {limit_bytes} bytes"))
            }
            BodyError::TimedOut => {
                Self::Said(StatusCode::REQUEST_TIMEOUT, "The request body did not arrive in time".to_owned())
            }
            BodyError::Broken => Self::bad("The request body broke off"),
            BodyError::NoRoom => Self::Later("Too much is being sent at present, try again later"),
            _ => Self::bad("The request body could not be read"),
        }
    }
}

impl From<MultipartError> for Fault {
    fn from(error: MultipartError) -> Self {
        match error {
            MultipartError::NotMultipart => Self::wrong_type("Send the CSV as multipart/form-data"),
            MultipartError::NoBoundary | MultipartError::Malformed | MultipartError::Truncated => {
                Self::bad(format!("Malformed multipart body: {error}"))
            }
            MultipartError::TooManyParts { .. }
            | MultipartError::HeadersTooLarge { .. }
            | MultipartError::PartTooLarge { .. } => {
                Self::too_large(format!("The multipart body is too large: {error}"))
            }
            MultipartError::Body(error) => error.into(),
            _ => Self::bad("The multipart body could not be read"),
        }
    }
}

fn message(status: StatusCode, message: &str) -> Response {
    Response::json(status, &Message { message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fault: Fault, status: u16, body: &str, header: Option<(&str, &str)>) {
        let response = fault.into_response();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.bytes_ready().unwrap(), body);
        if let Some((name, value)) = header {
            assert_eq!(response.headers()[name], value);
        }
    }

    #[test]
    fn every_fault_is_json_with_a_message() {
        check(Fault::bad("no"), 400, r#"{"message":"no"}"#, None);
        check(Fault::Unauthorized("no"), 401, r#"{"message":"no"}"#, Some(("www-authenticate", "Bearer")));
        let allow = vec![Method::GET, Method::POST];
        check(
            Fault::WrongMethod(allow),
            405,
            r#"{"message":"Method not allowed"}"#,
            Some(("allow", "GET, POST")),
        );
        let words = r#"{"message":"Too many login attempts, try again later"}"#;
        check(Fault::TooOften(Duration::from_millis(1_001)), 429, words, Some(("retry-after", "2")));
        check(Fault::TooOften(Duration::ZERO), 429, words, Some(("retry-after", "1")));
        check(Fault::Later("soon"), 503, r#"{"message":"soon"}"#, Some(("retry-after", "5")));
        let no_room = r#"{"message":"Too much is being sent at present, try again later"}"#;
        check(Fault::from(BodyError::NoRoom), 503, no_room, Some(("retry-after", "5")));
        check(Fault::internal(), 500, r#"{"message":"Internal server error"}"#, None);
    }
}
