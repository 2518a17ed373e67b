//! Where Ollama is.

use std::fmt;

/// The base URL of an Ollama on this machine: `http` or `https`, a loopback host, no user, no query, no slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OllamaUrl(String);

impl OllamaUrl {
    /// The URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OllamaUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
