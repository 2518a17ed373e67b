use std::io;

use crate::NoShape;

/// Why a model or an adapter cannot be had from its folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file is not what it should be.
    #[error("{file} is damaged, or of another model: {what}")]
    Damaged {
        /// Which.
        file: &'static str,
        /// Where that shows.
        what: String,
    },
    /// It is a model of a sort that this crate does not know.
    #[error("{file} is of a model that cannot be used here: {what}")]
    Unsupported {
        /// Which file says so.
        file: &'static str,
        /// What is not known.
        what: String,
    },
    /// It has sizes that make no model.
    #[error("{file} says sizes that make no model")]
    Shape {
        /// Which file says so.
        file: &'static str,
        /// What is wrong with them.
        source: NoShape,
    },
    /// It takes more memory than it may.
    #[error("the model takes {bytes} bytes of memory, at most {bytes_max} are allowed")]
    TooLarge {
        /// What it takes.
        bytes: u64,
        /// What it may take.
        bytes_max: u64,
    },
    /// The adapter was learned beside another base.
    #[error("the adapter was learned beside another base model")]
    OtherBase,
    /// The disk did not do its part.
    #[error("could not {operation}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// What went wrong.
        source: io::Error,
    },
}

impl ModelError {
    pub(crate) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, source }
    }

    pub(crate) fn damaged(file: &'static str, what: impl Into<String>) -> Self {
        Self::Damaged { file, what: what.into() }
    }

    /// Whether it may work another time.
    #[must_use]
    pub const fn is_io(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}
