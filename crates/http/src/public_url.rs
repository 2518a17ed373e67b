use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// Where clients reach a service: `http` or `https`, a host, perhaps a port and a path, and nothing else. What stands in
/// answers is built from it, so it is written without a slash at its end.
///
/// ```
/// use trainyard_http::PublicUrl;
///
/// # fn main() -> Result<(), trainyard_http::BadPublicUrl> {
/// let url: PublicUrl = "https://train.example.com/yard/".parse()?;
/// assert_eq!(format!("{url}/api/v1/datasets"), "https://train.example.com/yard/api/v1/datasets");
/// assert!("train.example.com".parse::<PublicUrl>().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublicUrl(String);

/// Why a text is no [`PublicUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPublicUrl {
    /// It does not begin with `http://` or `https://`.
    #[error("a public URL begins with http:// or https://")]
    Scheme,
    /// No host follows, or what follows is none: a user name, a port above 65535.
    #[error("a public URL has a host, perhaps with a port, and no user")]
    Host,
    /// It has a query, a fragment, or a character that must be percent-encoded.
    #[error("a public URL holds no query, no fragment, and nothing that must be encoded")]
    Character,
    /// It is longer than 2,048 bytes.
    #[error("a public URL has at most {BYTES_MAX} bytes")]
    TooLong,
}

const BYTES_MAX: usize = 2_048;

impl PublicUrl {
    /// Reads it. Slashes at its end are dropped.
    ///
    /// # Errors
    ///
    /// [`BadPublicUrl`] when it is no absolute `http` or `https` URL, or has more to it than that.
    pub fn new(url: &str) -> Result<PublicUrl, BadPublicUrl> {
        if url.len() > BYTES_MAX {
            return Err(BadPublicUrl::TooLong);
        }
        let (scheme, rest) = url.split_once("://").ok_or(BadPublicUrl::Scheme)?;
        if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(BadPublicUrl::Scheme);
        }
        if !rest.bytes().all(stands_as_it_is) {
            return Err(BadPublicUrl::Character);
        }
        let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
        if !is_authority(authority) {
            return Err(BadPublicUrl::Host);
        }
        Ok(PublicUrl(url.trim_end_matches('/').to_owned()))
    }

    /// The URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// In a host or a path, that is.
fn stands_as_it_is(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/@!$&'()*+,;=%[]".contains(&byte)
}

/// A host and perhaps a port. An IPv6 address stands in brackets.
fn is_authority(authority: &str) -> bool {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        (address.parse::<Ipv6Addr>().is_ok(), port)
    } else {
        let (name, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        (!name.is_empty() && name.bytes().all(letter), port)
    };
    host && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// A number would also be read behind a plus.
fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

impl FromStr for PublicUrl {
    type Err = BadPublicUrl;

    fn from_str(url: &str) -> Result<PublicUrl, BadPublicUrl> {
        PublicUrl::new(url)
    }
}

impl AsRef<str> for PublicUrl {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(url: &str, expected: Result<&str, BadPublicUrl>) {
        let read = url.parse::<PublicUrl>();
        assert_eq!(read.as_ref().map(PublicUrl::as_str).map_err(|error| *error), expected, "{url}");
    }

    #[test]
    fn a_scheme_a_host_and_perhaps_a_path() {
        check("https://train.example.com", Ok("https://train.example.com"));
        check("https://train.example.com//", Ok("https://train.example.com"));
        check("HTTP://10.0.0.1:8000/a/b/", Ok("HTTP://10.0.0.1:8000/a/b"));
        check("http://[::1]:80", Ok("http://[::1]:80"));
        check("http://[::1]", Ok("http://[::1]"));
        check("http://localhost/%41", Ok("http://localhost/%41"));
    }

    #[test]
    fn anything_else_is_refused() {
        for url in ["", "train.example.com", "/api", "ftp://a", "https:/a", "https:a", " http://a", "://a"] {
            check(url, Err(BadPublicUrl::Scheme));
        }
        for url in [
            "http://",
            "https:///a",
            "http://:80",
            "http://a:",
            "http://a:x",
            "http://a:+1",
            "http://a:65536",
            "http://u@a",
            "http://u:p@a",
            "http://[::1",
            "http://[::1]x",
            "http://[a]",
            "http://a,b",
            "http://%61",
        ] {
            check(url, Err(BadPublicUrl::Host));
        }
        for url in [
            "http://a b",
            "http://a?x",
            "http://a/#x",
            "http://a/\"",
            "http://ä",
            "http://a\n",
            "http://a\\b",
        ] {
            check(url, Err(BadPublicUrl::Character));
        }
        check(&format!("http://a/{}", "b".repeat(2_048)), Err(BadPublicUrl::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_taken_is_taken_again_as_it_is(text in "(https?://)?[ -~é\\[\\]:/@.]{0,30}") {
            if let Ok(url) = PublicUrl::new(&text) {
                prop_assert!(text.starts_with(url.as_str()) && !url.as_str().ends_with('/'));
                prop_assert_eq!(PublicUrl::new(url.as_str()), Ok(url));
            }
        }
    }
}
