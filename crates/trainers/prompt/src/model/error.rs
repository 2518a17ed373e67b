use std::error::Error;
use std::fmt;
use std::time::Duration;

/// A model has not answered.
///
/// The text says what it was, in words that can be shown to whoever asked; a key is never in it.
#[derive(Debug)]
pub struct ModelError {
    kind: Kind,
    /// What was seen, in short.
    what: String,
    tries: u32,
    retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It may answer another time.
    Transient,
    /// It will say the same again.
    Final,
    /// Nobody waits for it any more.
    Stopped,
}

impl ModelError {
    /// It did not answer, and may another time.
    pub fn transient(what: impl Into<String>) -> Self {
        Self::of(Kind::Transient, what)
    }

    /// It refuses, and will again.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::of(Kind::Final, what)
    }

    /// It was not asked, or not again, since it was time to stop.
    #[must_use]
    pub fn stopped() -> Self {
        Self::of(Kind::Stopped, "the model was not asked, it is time to stop")
    }

    /// With how long the server asks to be left alone.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// With what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether it may answer another time.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind == Kind::Transient
    }

    /// Whether it was not asked, since it was time to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.kind == Kind::Stopped
    }

    /// How long the server asks to be left alone, if it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// How often it was asked.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.tries
    }

    pub(super) fn after(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }

    fn of(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), tries: 1, retry_after: None, source: None }
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.tries > 1 { write!(f, " ({} tries)", self.tries) } else { Ok(()) }
    }
}

impl Error for ModelError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}
