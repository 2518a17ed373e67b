//! What can go wrong with a log.

use std::error::Error;
use std::fmt;

/// Why a journal could not do as it was asked.
///
/// Its text says what was tried on which journal; the cause is in [`source`](Error::source). The `is_*` methods
/// tell apart what calls for different reactions.
pub struct JournalError(Box<Inner>);

struct Inner {
    kind: Kind,
    text: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Failed,
    Locked,
    Corrupt,
    UnknownVersion,
    Full,
    Behind,
    Stopped,
    TooLarge,
}

/// For those who write a journal. `journal` names it, such as `journal /var/lib/x/yard.sqlite`.
impl JournalError {
    /// A failure without a name of its own; `text` such as `could not open journal x`.
    #[must_use]
    pub fn failed(text: impl Into<String>) -> Self {
        Self::new(Kind::Failed, text.into())
    }

    /// Somebody else has the journal; `holder` says who.
    #[must_use]
    pub fn locked(journal: impl fmt::Display, holder: impl fmt::Display) -> Self {
        Self::new(Kind::Locked, format!("{journal} is held by {holder}"))
    }

    /// What is there is not what was written; `place` says where, such as `record 17 of journal x`.
    #[must_use]
    pub fn corrupt(place: impl fmt::Display) -> Self {
        Self::new(Kind::Corrupt, format!("{place} is corrupt"))
    }

    /// What is there was written by a release that this one does not know; `version` says which version.
    #[must_use]
    pub fn unknown_version(place: impl fmt::Display, version: impl fmt::Display) -> Self {
        Self::new(
            Kind::UnknownVersion,
            format!("{place} is of version {version}, which this release cannot read"),
        )
    }

    /// There is no room left.
    #[must_use]
    pub fn full(journal: impl fmt::Display) -> Self {
        Self::new(Kind::Full, format!("there is no room left for {journal}"))
    }

    /// A turn was to write before its holder has taken in what others wrote.
    #[must_use]
    pub fn behind(journal: impl fmt::Display) -> Self {
        Self::new(Kind::Behind, format!("{journal} holds records that this holder has not taken in"))
    }

    /// An earlier commit failed, so nothing can be said or done before the journal is reopened.
    #[must_use]
    pub fn stopped(journal: impl fmt::Display) -> Self {
        Self::new(Kind::Stopped, format!("{journal} must be reopened, since a commit has failed"))
    }

    /// One turn was to write more than a record can hold.
    #[must_use]
    pub fn too_large(journal: impl fmt::Display) -> Self {
        Self::new(Kind::TooLarge, format!("a turn of {journal} is larger than a record may be"))
    }

    /// With its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    fn new(kind: Kind, text: String) -> Self {
        Self(Box::new(Inner { kind, text, source: None }))
    }
}

impl JournalError {
    /// Whether somebody else has the journal; the text says who.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.0.kind == Kind::Locked
    }

    /// Whether what is there is not what was written; the text says where. Restore a backup.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        self.0.kind == Kind::Corrupt
    }

    /// Whether what is there was written by a release that this one does not know. Use a newer one.
    #[must_use]
    pub fn is_unknown_version(&self) -> bool {
        self.0.kind == Kind::UnknownVersion
    }

    /// Whether there is no room left. Make some, then reopen.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.kind == Kind::Full
    }

    /// Whether a turn was to write before [`Turn::news`](crate::Turn::news) was taken in. Nothing has changed.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.0.kind == Kind::Behind
    }

    /// Whether the journal must be reopened, since an earlier commit failed.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.kind == Kind::Stopped
    }

    /// Whether one turn was to write more than a record can hold. Nothing has changed.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.0.kind == Kind::TooLarge
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, text, source } = &*self.0;
        f.debug_struct("JournalError")
            .field("kind", kind)
            .field("text", text)
            .field("source", source)
            .finish()
    }
}

impl Error for JournalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}
