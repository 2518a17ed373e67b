use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Why a request cannot become a [`WebSocket`](crate::WebSocket).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The client asks for none.
    #[error("the request asks for no websocket")]
    NotAsked,
    /// It asks by another method than `GET`.
    #[error("a websocket begins with a GET request")]
    NotGet,
    /// It asks for another version than 13.
    #[error("the version of the websocket is not 13")]
    Version,
    /// Its key is missing, there twice, or not 16 bytes in base64.
    #[error("the key of the websocket is not 16 bytes in base64")]
    Key,
    /// The request has a body.
    #[error("a request for a websocket has no body")]
    Body,
    /// The client speaks HTTP/1.0, or there is no connection of ours: the request was made without a
    /// [`Server`](crate::Server).
    #[error("the connection cannot become a websocket")]
    NoConnection,
}

impl UpgradeError {
    /// What the client is to be told: a `426` when it has to ask otherwise, which
    /// [owes](crate::Response::with_upgrade) it some headers, or a `400`.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            UpgradeError::NotAsked | UpgradeError::Version => StatusCode::UPGRADE_REQUIRED,
            UpgradeError::NotGet | UpgradeError::Key | UpgradeError::Body | UpgradeError::NoConnection => {
                StatusCode::BAD_REQUEST
            }
        }
    }
}

/// Whether these headers ask for a WebSocket, rightly or wrongly.
pub(crate) fn is_asked(headers: &HeaderMap) -> bool {
    has_token(headers, &UPGRADE, "websocket")
}

/// The proof that the request was understood, to be sent as `sec-websocket-accept`.
pub(crate) fn accept(method: &Method, headers: &HeaderMap) -> Result<HeaderValue, UpgradeError> {
    if !is_asked(headers) || !has_token(headers, &CONNECTION, "upgrade") {
        return Err(UpgradeError::NotAsked);
    }
    if method != Method::GET {
        return Err(UpgradeError::NotGet);
    }
    if only(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(UpgradeError::Version);
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY).ok_or(UpgradeError::Key)?.as_bytes();
    if STANDARD.decode(key).map_or(0, |bytes| bytes.len()) != 16 {
        return Err(UpgradeError::Key);
    }
    let empty = only(headers, &CONTENT_LENGTH).is_some_and(|length| length == "0");
    if headers.contains_key(TRANSFER_ENCODING) || (headers.contains_key(CONTENT_LENGTH) && !empty) {
        return Err(UpgradeError::Body);
    }
    Ok(HeaderValue::try_from(derive_accept_key(key)).expect("base64 is visible text"))
}

/// Whether one of the values that are told, with commas between, is this one.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(token))
}

/// The value of a header that may be there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).into_iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;

    fn check(method: Method, changes: &[(&str, &[&str])], expected: Result<&str, UpgradeError>) {
        let mut request = Request::new(method, "/");
        let usual: [(&str, &[&str]); 4] = [
            ("connection", &["keep-alive, Upgrade"]),
            ("upgrade", &["WebSocket"]),
            ("sec-websocket-version", &["13"]),
            // The example of RFC 6455, section 1.3.
            ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZQ=="]),
        ];
        let unchanged = usual.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        for (name, values) in unchanged.chain(changes) {
            for value in *values {
                request = request.with_header(name, value);
            }
        }
        let answer = accept(request.method(), request.headers());
        assert_eq!(
            answer.as_ref().map(|value| value.to_str().unwrap()),
            expected.as_ref().copied(),
            "{changes:?}"
        );
    }

    #[test]
    fn a_good_request_gets_its_proof() {
        let proof = Ok("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        check(Method::GET, &[], proof);
        check(Method::GET, &[("content-length", &["0"])], proof);
        check(
            Method::GET,
            &[("connection", &["keep-alive", "upgrade"]), ("upgrade", &["h2c, websocket"])],
            proof,
        );
    }

    #[test]
    fn each_flaw_has_its_name() {
        use UpgradeError::{Body, Key, NotAsked, NotGet, Version};
        check(Method::GET, &[("upgrade", &[])], Err(NotAsked));
        check(Method::GET, &[("upgrade", &["websockets"])], Err(NotAsked));
        check(Method::GET, &[("connection", &["keep-alive"])], Err(NotAsked));
        check(Method::POST, &[], Err(NotGet));
        check(Method::HEAD, &[], Err(NotGet));
        for version in [&["8"][..], &[], &["13", "8"], &["13, 8"]] {
            check(Method::GET, &[("sec-websocket-version", version)], Err(Version));
        }
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        for keys in
            [&[][..], &[key, key], &["dGhl"], &["dGhlIHNhbXBsZSBub25jZQ"], &["no base64 at all, but 24"]]
        {
            check(Method::GET, &[("sec-websocket-key", keys)], Err(Key));
        }
        check(Method::GET, &[("content-length", &["1"])], Err(Body));
        check(Method::GET, &[("content-length", &["0", "0"])], Err(Body));
        check(Method::GET, &[("transfer-encoding", &["chunked"])], Err(Body));
    }

    #[test]
    fn whoever_has_to_ask_otherwise_gets_a_426() {
        for error in [UpgradeError::NotAsked, UpgradeError::Version] {
            assert_eq!(error.status(), StatusCode::UPGRADE_REQUIRED);
        }
        for error in [UpgradeError::NotGet, UpgradeError::Key, UpgradeError::Body, UpgradeError::NoConnection]
        {
            assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        }
    }
}
