use std::io;

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file is not as it was written.
    #[error("it is no portrait model, or it is damaged: {what}")]
    Damaged {
        /// Where that shows.
        what: &'static str,
    },
    /// The file is of a format that this version does not know.
    #[error("the portrait model has format {format}, which this version does not know")]
    UnknownFormat {
        /// Which.
        format: u32,
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

impl ModelError {
    pub(crate) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, source }
    }
}
