//! Why there is no dataset.

use std::io;

use super::DatasetId;

/// Why a dataset was not built. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError<E: std::error::Error + 'static> {
    /// The trajectories could not be had.
    #[error("could not get the next trajectory")]
    Source(#[source] E),
    /// There is one of that name.
    #[error("there is a dataset {id} already")]
    Exists {
        /// Which.
        id: DatasetId,
    },
    /// It would become too large.
    #[error("the dataset would take more than {max} bytes")]
    TooLarge {
        /// How many it may take.
        max: u64,
    },
    /// The disk did not do its part.
    #[error("could not {operation}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// What went wrong.
        source: io::Error,
    },
}

impl<E: std::error::Error + 'static> BuildError<E> {
    pub(super) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, source }
    }

    /// Whether there is no room left on the disk. Make some, then try again.
    #[must_use]
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match self {
            Self::Io { source, .. } => matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge),
            Self::Source(_) | Self::Exists { .. } | Self::TooLarge { .. } => false,
        }
    }
}

/// Why datasets could not be listed.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation}")]
#[non_exhaustive]
pub struct OpenError {
    operation: &'static str,
    source: io::Error,
}

impl OpenError {
    pub(super) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { operation, source }
    }
}
