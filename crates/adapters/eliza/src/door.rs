//! Who may ask: hosts and pages first, then the token. Whoever may not is not told what there is.

use trainyard_http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};

use crate::fault::Fault;
use crate::settings::Settings;

/// What is known about who asks, once they are let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The page, if it is one, as it is told that it may read the answer.
    origin: Option<HeaderValue>,
}

impl Caller {
    /// Looks at where a request comes from.
    ///
    /// # Errors
    /// A 403 for a page that may not ask, and, while there is no token, for a name that may be anybody's.
    pub(crate) fn of(request: &Request, settings: &Settings) -> Result<Self, Fault> {
        if settings.token().is_none() && !is_host_known(request.headers(), settings) {
            return Err(Fault::forbidden("Host not allowed"));
        }
        let Some(origin) = request.headers().get(header::ORIGIN) else {
            return Ok(Self { origin: None });
        };
        let is_allowed = origin.to_str().is_ok_and(|origin| settings.origins().allow(origin));
        if is_allowed {
            Ok(Self { origin: Some(origin.clone()) })
        } else {
            Err(Fault::forbidden("Origin not allowed"))
        }
    }

    /// The answer to an `OPTIONS`, if it is one. It comes before the token: browsers send none with it.
    pub(crate) fn preflight(&self, method: &Method) -> Option<Response> {
        (method == Method::OPTIONS).then(|| {
            let text = HeaderValue::from_static;
            Response::empty(StatusCode::NO_CONTENT)
                .with_header(header::ACCESS_CONTROL_ALLOW_METHODS, text(METHODS))
                .with_header(header::ACCESS_CONTROL_ALLOW_HEADERS, text(HEADERS))
                .with_header(header::ACCESS_CONTROL_MAX_AGE, text("600"))
        })
    }

    /// Lets the page read the answer.
    pub(crate) fn stamp(&self, response: Response) -> Response {
        let response = response.with_header(header::VARY, HeaderValue::from_static("Origin"));
        match &self.origin {
            Some(origin) => response.with_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
            None => response,
        }
    }
}

const METHODS: &str = "GET, POST, PUT, OPTIONS";

/// What both generations of the vendor's client send.
const HEADERS: &str = "Content-Type, Authorization, X-Api-Key, X-Milady-Token, X-Milady-Client-Id, \
    X-ElizaOS-Client-Id, X-ElizaOS-UI-Language";

/// Lets in whoever shows the token, or everybody when there is none.
pub(crate) fn admit(request: &Request, settings: &Settings) -> Result<(), Fault> {
    let Some(token) = settings.token() else {
        return Ok(());
    };
    let fits = shown(request.headers()).any(|shown| token.matches(shown));
    if fits { Ok(()) } else { Err(Fault::unauthorized()) }
}

/// Whatever a request shows as a token, in the headers that may carry one.
pub(crate) fn shown(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let bearer = headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked(BEARER.len())?;
        scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim_ascii())
    });
    let others = OTHERS.into_iter().flat_map(|name| headers.get_all(name));
    bearer.chain(others.map(|value| value.as_bytes().trim_ascii())).filter(|token| !token.is_empty())
}

const BEARER: &[u8] = b"bearer ";
const OTHERS: [HeaderName; 2] =
    [HeaderName::from_static("x-milady-token"), HeaderName::from_static("x-api-key")];

/// A request without the header is from no browser.
fn is_host_known(headers: &HeaderMap, settings: &Settings) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    host.to_str().is_ok_and(|host| settings.knows_host(host))
}

#[cfg(test)]
mod tests {
    use trainyard_http::secret::Secret;

    use super::*;

    fn get(headers: &[(&str, &str)]) -> Request {
        let request = Request::new(Method::GET, "/api/training/status");
        headers.iter().fold(request, |request, (name, value)| request.with_header(name, value))
    }

    #[test]
    fn three_headers_may_carry_the_token() {
        let settings = Settings::new().with_token(Secret::new("s3cret").unwrap());
        let check = |headers: &[(&str, &str)], fits: bool| {
            assert_eq!(admit(&get(headers), &settings).is_ok(), fits, "{headers:?}");
        };
        for scheme in ["Bearer s3cret", "bearer s3cret", "BEARER   s3cret  "] {
            check(&[("authorization", scheme)], true);
        }
        check(&[("x-milady-token", "s3cret")], true);
        check(&[("X-Api-Key", " s3cret ")], true);
        check(&[("authorization", "Basic x"), ("x-api-key", "s3cret")], true);
        for wrong in
            ["s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearers3cret", "Basic s3cret", "Bearer S3CRET"]
        {
            check(&[("authorization", wrong)], false);
        }
        check(&[], false);
        check(&[("x-api-key", "")], false);
        check(&[("cookie", "token=s3cret")], false);
        assert!(admit(&get(&[]), &Settings::new()).is_ok(), "without a token everybody may ask");
    }

    #[test]
    fn a_page_may_ask_when_its_origin_may() {
        let settings = Settings::new();
        let of = |origin: &str| Caller::of(&get(&[("origin", origin)]), &settings);
        let here = of("http://localhost:5173").unwrap().stamp(Response::empty(StatusCode::OK));
        assert_eq!(here.headers()["access-control-allow-origin"], "http://localhost:5173");
        assert_eq!(here.headers()["vary"], "Origin");
        assert_eq!(of("https://evil.example"), Err(Fault::forbidden("Origin not allowed")));
        assert_eq!(of("null"), Err(Fault::forbidden("Origin not allowed")));
        let none = Caller::of(&get(&[]), &settings).unwrap().stamp(Response::empty(StatusCode::OK));
        assert_eq!(none.headers().get("access-control-allow-origin"), None);
    }

    #[test]
    fn without_a_token_a_name_that_may_be_anybodys_is_refused() {
        let evil = get(&[("host", "evil.example:31337")]);
        assert_eq!(Caller::of(&evil, &Settings::new()), Err(Fault::forbidden("Host not allowed")));
        let told = Settings::new().with_hosts(["evil.example"]);
        assert!(Caller::of(&evil, &told).is_ok());
        let with_token = Settings::new().with_token(Secret::new("x").unwrap());
        assert!(Caller::of(&evil, &with_token).is_ok());
        assert!(Caller::of(&get(&[("host", "127.0.0.1:31337")]), &Settings::new()).is_ok());
    }
}
