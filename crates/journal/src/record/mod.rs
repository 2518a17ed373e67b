//! What records look like on disk, by version. A version that was ever released stays here for ever.

pub(crate) mod v1;

use std::fmt;

use trainyard_core::{NameError, NotFinite, ParametersTooLong};

/// A value that was stored but that the core does not take.
#[derive(Debug)]
pub(crate) enum Invalid {
    Name(NameError),
    Parameters(ParametersTooLong),
    Score(NotFinite),
    Other(&'static str),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => fmt::Display::fmt(error, f),
            Self::Parameters(error) => fmt::Display::fmt(error, f),
            Self::Score(error) => fmt::Display::fmt(error, f),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl From<NameError> for Invalid {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

impl From<ParametersTooLong> for Invalid {
    fn from(error: ParametersTooLong) -> Self {
        Self::Parameters(error)
    }
}

impl From<NotFinite> for Invalid {
    fn from(error: NotFinite) -> Self {
        Self::Score(error)
    }
}
