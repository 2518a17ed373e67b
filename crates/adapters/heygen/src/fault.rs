//! Answers that are not 2xx, in the two shapes of the vendor.

use serde::Serialize;
use trainyard_http::{BodyError, HeaderValue, Method, Response, StatusCode, header};

/// Why a request was not carried out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A status, a code and words.
    Said(StatusCode, Code, String),
    /// A 401.
    Unauthorized,
    /// A 404 for a path that nothing stands behind. The vendor answers those with a page, not with JSON.
    NotRouted,
    /// A 405.
    WrongMethod(Vec<Method>),
    /// A 429: too much at once.
    TooMuch(&'static str),
    /// A 503: it is not the request's fault, and later may be better.
    Later(&'static str),
    /// A 507: there is no room for what was sent; somebody may make some.
    Full(&'static str),
}

/// What sort of fault it is, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidParameter,
    NotFound,
    Forbidden,
    MethodNotAllowed,
    RateLimited,
    Unavailable,
    Full,
    Internal,
}

/// Which of the vendor's two shapes an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// `{"code": <number>, "message": …}`, for uploads.
    V1,
    /// `{"data": null, "error": {"code": <word>, "message": …}}`, for everything else.
    V2,
}

#[derive(Serialize)]
struct V1<'a> {
    code: u32,
    message: &'a str,
}

#[derive(Serialize)]
struct V2<'a> {
    data: (),
    error: V2Error<'a>,
}

#[derive(Serialize)]
struct V2Error<'a> {
    code: &'a str,
    message: &'a str,
}

/// When to come back after a 429 or a 503.
const RETRY_SECONDS: u64 = 5;
/// When to come back after a 507.
const ROOM_SECONDS: u64 = 60;

const PAGE: &str = "<!doctype html>\n<html lang=\"en\"><head><title>404 Not Found</title></head>\
    <body><h1>Not Found</h1><p>There is nothing at this path.</p></body></html>\n";

impl Fault {
    pub(crate) fn bad(words: impl Into<String>) -> Self {
        Self::Said(StatusCode::BAD_REQUEST, Code::InvalidParameter, words.into())
    }

    /// A 400 about one member of the body, in the vendor's words for it.
    pub(crate) fn invalid(member: &str, what: &str) -> Self {
        Self::bad(format!("{member} is invalid: {what}"))
    }

    pub(crate) fn not_found(words: &str) -> Self {
        Self::Said(StatusCode::NOT_FOUND, Code::NotFound, words.to_owned())
    }

    pub(crate) fn forbidden(words: &str) -> Self {
        Self::Said(StatusCode::FORBIDDEN, Code::Forbidden, words.to_owned())
    }

    /// The cause is in the log, and not in here.
    pub(crate) fn internal() -> Self {
        let words = "Internal server error".to_owned();
        Self::Said(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, words)
    }

    /// What is told when this adapter did not come to an answer.
    pub(crate) fn unanswered(status: StatusCode) -> Self {
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            return Self::internal();
        }
        Self::bad_as(status, status.canonical_reason().unwrap_or("The request was not answered"))
    }

    fn bad_as(status: StatusCode, words: &str) -> Self {
        Self::Said(status, Code::InvalidParameter, words.to_owned())
    }

    pub(crate) fn into_response(self, envelope: Envelope) -> Response {
        let after = |seconds: u64, response: Response| {
            response.with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
        };
        let again = |response: Response| after(RETRY_SECONDS, response);
        match self {
            Self::Said(status, code, words) => envelope.of(status, code, &words),
            Self::Unauthorized => envelope.unauthorized(),
            Self::NotRouted => Response::bytes(StatusCode::NOT_FOUND, "text/html; charset=utf-8", PAGE),
            Self::WrongMethod(allow) => envelope
                .of(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, "Method not allowed")
                .with_allow(&allow),
            Self::TooMuch(words) => {
                again(envelope.of(StatusCode::TOO_MANY_REQUESTS, Code::RateLimited, words))
            }
            Self::Later(words) => {
                again(envelope.of(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, words))
            }
            Self::Full(words) => {
                after(ROOM_SECONDS, envelope.of(StatusCode::INSUFFICIENT_STORAGE, Code::Full, words))
            }
        }
    }
}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { limit_bytes } => {
                let words = format!("The request body is larger than {limit_bytes} bytes");
                Self::bad_as(StatusCode::PAYLOAD_TOO_LARGE, &words)
            }
            BodyError::TimedOut => {
                Self::bad_as(StatusCode::REQUEST_TIMEOUT, "The request body did not arrive in time")
            }
            BodyError::Broken => Self::bad("The request body broke off"),
            BodyError::NoRoom => Self::Later("Too much is being sent at present, try again later"),
            _ => Self::bad("The request body could not be read"),
        }
    }
}

impl Code {
    const fn word(self) -> &'static str {
        match self {
            Self::InvalidParameter => "invalid_parameter",
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RateLimited => "rate_limit_exceeded",
            Self::Unavailable => "service_unavailable",
            Self::Full => "insufficient_storage",
            Self::Internal => "internal_error",
        }
    }

    /// The first is the vendor's. The others are ours: the status with two zeros behind it.
    const fn number(self) -> u32 {
        match self {
            Self::InvalidParameter => 40_001,
            Self::NotFound => 40_400,
            Self::Forbidden => 40_300,
            Self::MethodNotAllowed => 40_500,
            Self::RateLimited => 42_900,
            Self::Unavailable => 50_300,
            Self::Full => 50_700,
            Self::Internal => 50_000,
        }
    }
}

impl Envelope {
    fn of(self, status: StatusCode, code: Code, message: &str) -> Response {
        self.written(status, code.number(), code.word(), message)
    }

    /// The codes that clients have seen.
    fn unauthorized(self) -> Response {
        self.written(StatusCode::UNAUTHORIZED, 400_112, "internal_error", "Unauthorized")
    }

    fn written(self, status: StatusCode, number: u32, word: &str, message: &str) -> Response {
        match self {
            Self::V1 => Response::json(status, &V1 { code: number, message }),
            Self::V2 => Response::json(status, &V2 { data: (), error: V2Error { code: word, message } }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fault: impl Fn() -> Fault, status: u16, v1: &str, v2: &str, header: Option<(&str, &str)>) {
        for (envelope, body) in [(Envelope::V1, v1), (Envelope::V2, v2)] {
            let response = fault().into_response(envelope);
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers()["content-type"], "application/json");
            assert_eq!(response.bytes_ready().unwrap(), body);
            if let Some((name, value)) = header {
                assert_eq!(response.headers()[name], value);
            }
        }
    }

    #[test]
    fn every_fault_has_both_shapes() {
        check(
            || Fault::Unauthorized,
            401,
            r#"{"code":400112,"message":"Unauthorized"}"#,
            r#"{"data":null,"error":{"code":"internal_error","message":"Unauthorized"}}"#,
            None,
        );
        check(
            || Fault::invalid("name", "field required"),
            400,
            r#"{"code":40001,"message":"name is invalid: field required"}"#,
            r#"{"data":null,"error":{"code":"invalid_parameter","message":"name is invalid: field required"}}"#,
            None,
        );
        check(
            || Fault::WrongMethod(vec![Method::GET, Method::DELETE]),
            405,
            r#"{"code":40500,"message":"Method not allowed"}"#,
            r#"{"data":null,"error":{"code":"method_not_allowed","message":"Method not allowed"}}"#,
            Some(("allow", "GET, DELETE")),
        );
        check(
            || Fault::TooMuch("slower"),
            429,
            r#"{"code":42900,"message":"slower"}"#,
            r#"{"data":null,"error":{"code":"rate_limit_exceeded","message":"slower"}}"#,
            Some(("retry-after", "5")),
        );
        check(
            || Fault::from(BodyError::NoRoom),
            503,
            r#"{"code":50300,"message":"Too much is being sent at present, try again later"}"#,
            r#"{"data":null,"error":{"code":"service_unavailable","message":"Too much is being sent at present, try again later"}}"#,
            Some(("retry-after", "5")),
        );
        check(
            || Fault::Later("soon"),
            503,
            r#"{"code":50300,"message":"soon"}"#,
            r#"{"data":null,"error":{"code":"service_unavailable","message":"soon"}}"#,
            Some(("retry-after", "5")),
        );
        check(
            || Fault::Full("no room"),
            507,
            r#"{"code":50700,"message":"no room"}"#,
            r#"{"data":null,"error":{"code":"insufficient_storage","message":"no room"}}"#,
            Some(("retry-after", "60")),
        );
        check(
            Fault::internal,
            500,
            r#"{"code":50000,"message":"Internal server error"}"#,
            r#"{"data":null,"error":{"code":"internal_error","message":"Internal server error"}}"#,
            None,
        );
    }

    #[test]
    fn a_path_without_anything_is_answered_with_a_page() {
        for envelope in [Envelope::V1, Envelope::V2] {
            let response = Fault::NotRouted.into_response(envelope);
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
            assert!(response.bytes_ready().unwrap().starts_with(b"<!doctype html>"));
        }
    }
}
