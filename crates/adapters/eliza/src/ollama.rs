//! Where Ollama is.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use url::Url;

/// The base URL of an Ollama on this machine: `http` or `https`, a loopback host, no user, no query, no slash at its end.
///
/// The host is looked at as it was written, not as a URL parser understands it: `localhost`, an IPv4 address of
/// `127.0.0.0/8` with four plain decimal numbers, `[::1]`, or such an IPv4 address mapped into IPv6. Whatever only comes
/// to one of these when it is taken further apart (`2130706433`, `0x7f.1`, `%6cocalhost`) is refused, and so is
/// `0.0.0.0`. Whoever connects resolves `localhost` to a loopback address only, and follows no redirect.
///
/// ```
/// use trainyard_eliza::OllamaUrl;
///
/// let url: OllamaUrl = "http://127.0.0.1:11434/".parse()?;
/// assert_eq!(url.as_str(), "http://127.0.0.1:11434");
/// assert!("http://127.0.0.1.evil.example:11434".parse::<OllamaUrl>().is_err());
/// # Ok::<(), trainyard_eliza::OllamaUrlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OllamaUrl(String);

/// Why a text is not the URL of an Ollama on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OllamaUrlError {
    /// It is no URL, or too long for one.
    #[error("it is no URL of at most {max} bytes", max = OllamaUrl::BYTES_MAX)]
    NoUrl,
    /// It has another scheme.
    #[error("its scheme must be http or https")]
    Scheme,
    /// It leads elsewhere.
    #[error("its host must be localhost, an address of 127.0.0.0/8 or [::1]")]
    NotLoopback,
    /// It carries a user, a query or a fragment.
    #[error("it must have no user, no query and no fragment")]
    Extras,
}

impl OllamaUrl {
    /// The longest one, in bytes.
    pub const BYTES_MAX: usize = 2_048;

    /// Takes a URL in. Blanks around it are passed over.
    ///
    /// # Errors
    /// [`OllamaUrlError`] when it is none, or leads away from this machine.
    pub fn parse(text: &str) -> Result<Self, OllamaUrlError> {
        let text = text.trim();
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '\\';
        if text.len() > Self::BYTES_MAX || !text.chars().all(is_plain) {
            return Err(OllamaUrlError::NoUrl);
        }
        let url = Url::parse(text).map_err(|_| OllamaUrlError::NoUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OllamaUrlError::Scheme);
        }
        // A parser takes `http:localhost` too, and then there is no host to look at.
        let (_, rest) = text.split_once("://").ok_or(OllamaUrlError::NoUrl)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') || url.query().is_some() || url.fragment().is_some() {
            return Err(OllamaUrlError::Extras);
        }
        if !is_loopback(authority) {
            return Err(OllamaUrlError::NotLoopback);
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for OllamaUrl {
    /// `http://localhost:11434`.
    fn default() -> Self {
        Self("http://localhost:11434".to_owned())
    }
}

impl FromStr for OllamaUrl {
    type Err = OllamaUrlError;

    fn from_str(text: &str) -> Result<Self, OllamaUrlError> {
        Self::parse(text)
    }
}

impl fmt::Display for OllamaUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a host, with or without a port behind it, is written as one of this machine.
pub(crate) fn is_loopback(authority: &str) -> bool {
    match host_of(authority) {
        Host::V6(text) => text.parse().is_ok_and(is_loopback_v6),
        Host::Other(text) => {
            text.eq_ignore_ascii_case("localhost") || text.parse().is_ok_and(|v4: Ipv4Addr| v4.is_loopback())
        }
    }
}

/// Whether a host, with or without a port behind it, is written as an address, or as `localhost`: no name that somebody
/// else could point at this machine.
pub(crate) fn is_literal(authority: &str) -> bool {
    match host_of(authority) {
        Host::V6(text) => text.parse::<Ipv6Addr>().is_ok(),
        Host::Other(text) => text.eq_ignore_ascii_case("localhost") || text.parse::<Ipv4Addr>().is_ok(),
    }
}

enum Host<'a> {
    V6(&'a str),
    Other(&'a str),
}

fn host_of(authority: &str) -> Host<'_> {
    let v6 = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match v6 {
        Some((text, port)) if port.is_empty() || port.starts_with(':') => Host::V6(text),
        Some(_) => Host::Other(authority),
        None => Host::Other(authority.rsplit_once(':').map_or(authority, |(host, _)| host)),
    }
}

fn is_loopback_v6(address: Ipv6Addr) -> bool {
    address.is_loopback() || address.to_ipv4_mapped().is_some_and(|mapped| mapped.is_loopback())
}
