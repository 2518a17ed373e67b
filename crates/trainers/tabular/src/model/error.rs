use std::io;

use crate::Refusal;
use crate::lineup::RecallError;

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file is not as it was written.
    #[error("it is no model, or it is damaged: {what}")]
    Damaged {
        /// Where that shows.
        what: &'static str,
    },
    /// The file is of a format that this version does not know.
    #[error("the model has format {format}, which this version does not know")]
    UnknownFormat {
        /// Which.
        format: u32,
    },
    /// Nobody here can make use of what was learned.
    #[error("the model was learned by {name:?}, which is not in the line-up")]
    UnknownAlgorithm {
        /// The name of the algorithm that has learned it.
        name: String,
    },
    /// The algorithm of this name learns something else.
    #[error("the model's algorithm cannot make use of it")]
    Learned(#[source] RecallError),
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

/// Why there are no predictions, or not all of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The CSV cannot be predicted for.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller ended it.
    #[error("it was stopped")]
    Stopped,
    /// The algorithm did not give a probability for each class and row.
    #[error("the model's algorithm gave {got} probabilities, expected {expected}")]
    Probabilities {
        /// How many it gave.
        got: usize,
        /// As many as there are classes, for each row.
        expected: usize,
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

impl PredictError {
    pub(crate) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, source }
    }

    /// What is wrong with the CSV, if that was it.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Stopped | Self::Probabilities { .. } | Self::Io { .. } => None,
        }
    }
}
