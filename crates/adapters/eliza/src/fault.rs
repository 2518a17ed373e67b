//! Answers that are not 2xx, in the one shape that both of the vendor's clients can read.

use serde::Serialize;
use trainyard_http::{BodyError, HeaderValue, Response, StatusCode, header};

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    status: StatusCode,
    code: Code,
    words: String,
    retry: Retry,
}

/// What sort of fault it is, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidRequest,
    Unauthorized,
    /// Ours: the vendor's table has no code for a page or a name that may not ask.
    Forbidden,
    NotFound,
    TrainingFailed,
    ServiceUnavailable,
    InternalError,
}

/// Whether later may be better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    Soon,
    No,
}

/// `error` is a text: one client shows it as it is, the other reads `message` and `code` too.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    error: &'a str,
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

const RETRY_SECONDS: u64 = 5;

impl Fault {
    /// A 400.
    pub(crate) fn bad(words: impl Into<String>) -> Self {
        Self::said(StatusCode::BAD_REQUEST, Code::InvalidRequest, words)
    }

    /// A 400 about one member of the body.
    pub(crate) fn invalid(member: &str, what: &str) -> Self {
        Self::bad(format!("{member} {what}"))
    }

    /// A status of its own for a request that has to be made otherwise.
    pub(crate) fn unfit(status: StatusCode, words: &str) -> Self {
        Self::said(status, Code::InvalidRequest, words)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::said(StatusCode::UNAUTHORIZED, Code::Unauthorized, "Unauthorized")
    }

    pub(crate) fn forbidden(words: &str) -> Self {
        Self::said(StatusCode::FORBIDDEN, Code::Forbidden, words)
    }

    pub(crate) fn not_found(words: &str) -> Self {
        Self::said(StatusCode::NOT_FOUND, Code::NotFound, words)
    }

    /// A path or a method that nothing stands behind.
    pub(crate) fn not_routed() -> Self {
        Self::not_found("Not found")
    }

    /// A training could not be started, and the request was fine.
    pub(crate) fn training_failed(words: impl Into<String>) -> Self {
        Self::said(StatusCode::INTERNAL_SERVER_ERROR, Code::TrainingFailed, words)
    }

    /// A 500 whose words are for whoever asked.
    pub(crate) fn upstream(words: impl Into<String>) -> Self {
        Self::said(StatusCode::INTERNAL_SERVER_ERROR, Code::InternalError, words)
    }

    /// A 500 whose cause is in the log, and not in here.
    pub(crate) fn internal() -> Self {
        Self::upstream("Internal server error")
    }

    /// A 503, and later may be better.
    pub(crate) fn later(words: &str) -> Self {
        let fault = Self::said(StatusCode::SERVICE_UNAVAILABLE, Code::ServiceUnavailable, words);
        Self { retry: Retry::Soon, ..fault }
    }

    /// A 503 for good: nobody trains here.
    pub(crate) fn absent() -> Self {
        let words = "Training service is not available";
        Self::said(StatusCode::SERVICE_UNAVAILABLE, Code::ServiceUnavailable, words)
    }

    /// What is told when this adapter did not come to an answer.
    pub(crate) fn unanswered(status: StatusCode) -> Self {
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            return Self::internal();
        }
        let words = status.canonical_reason().unwrap_or("The request was not answered");
        Self::said(status, Code::InvalidRequest, words)
    }

    pub(crate) fn words(&self) -> &str {
        &self.words
    }

    pub(crate) fn into_response(self) -> Response {
        let retry_after = match self.retry {
            Retry::Soon => Some(RETRY_SECONDS),
            Retry::No => None,
        };
        let wire = Wire { error: &self.words, code: self.code.word(), message: &self.words, retry_after };
        let response = Response::json(self.status, &wire);
        let response = match retry_after {
            Some(seconds) => response.with_header(header::RETRY_AFTER, HeaderValue::from(seconds)),
            None => response,
        };
        if self.status == StatusCode::UNAUTHORIZED {
            return response.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    fn said(status: StatusCode, code: Code, words: impl Into<String>) -> Self {
        Self { status, code, words: words.into(), retry: Retry::No }
    }
}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { limit_bytes } => Self::said(
                StatusCode::PAYLOAD_TOO_LARGE,
                Code::InvalidRequest,
                format!("The request body is larger than {limit_bytes} bytes"),
            ),
            BodyError::TimedOut => Self::said(
                StatusCode::REQUEST_TIMEOUT,
                Code::InvalidRequest,
                "The request body did not arrive in time",
            ),
            BodyError::Broken => Self::bad("The request body broke off"),
            BodyError::NoRoom => Self::later("Too much is being sent at present, try again later"),
            _ => Self::bad("The request body could not be read"),
        }
    }
}

impl Code {
    const fn word(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::TrainingFailed => "TRAINING_FAILED",
            Self::ServiceUnavailable => "SERVICE_UNAVAILABLE",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
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
    fn every_fault_has_the_shape_that_clients_read() {
        let wire =
            |code: &str, words: &str| format!(r#"{{"error":"{words}","code":"{code}","message":"{words}"}}"#);
        check(Fault::invalid("limit", "is odd"), 400, &wire("INVALID_REQUEST", "limit is odd"), None);
        let header = Some(("www-authenticate", "Bearer"));
        check(Fault::unauthorized(), 401, &wire("UNAUTHORIZED", "Unauthorized"), header);
        check(Fault::forbidden("no"), 403, &wire("FORBIDDEN", "no"), None);
        check(Fault::not_routed(), 404, &wire("NOT_FOUND", "Not found"), None);
        check(Fault::training_failed("x"), 500, &wire("TRAINING_FAILED", "x"), None);
        check(Fault::internal(), 500, &wire("INTERNAL_ERROR", "Internal server error"), None);
        let absent = wire("SERVICE_UNAVAILABLE", "Training service is not available");
        check(Fault::absent(), 503, &absent, None);
        let later = r#"{"error":"x","code":"SERVICE_UNAVAILABLE","message":"x","retryAfter":5}"#;
        check(Fault::later("x"), 503, later, Some(("retry-after", "5")));
        let no_room = later.replace('x', "Too much is being sent at present, try again later");
        check(Fault::from(BodyError::NoRoom), 503, &no_room, Some(("retry-after", "5")));
        let large = Fault::from(BodyError::TooLarge { limit_bytes: 3 });
        check(large, 413, &wire("INVALID_REQUEST", "The request body is larger than 3 bytes"), None);
    }
}
