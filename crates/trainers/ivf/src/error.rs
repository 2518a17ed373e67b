use rusqlite::ErrorCode;
use thiserror::Error;

use crate::Metric;

/// Why a training gave no model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The observer ended it.
    #[error("the training was stopped after {iterations} iterations")]
    Stopped {
        /// How many iterations were complete.
        iterations: u32,
    },
    /// There was nothing to train on.
    #[error("the training set has no points")]
    NoPoints,
    /// The numbers do not make whole rows.
    #[error("{numbers} numbers do not make whole points of dimension {dimension}")]
    RaggedPoints {
        /// How many numbers there were.
        numbers: usize,
        /// How many make a row.
        dimension: usize,
    },
    /// A number is infinite, or not a number.
    #[error("component {component} of point {point} is not a finite number")]
    NotFinite {
        /// Which point, from 0.
        point: usize,
        /// Which of its numbers, from 0.
        component: usize,
    },
    /// The state to go on from belongs to another training.
    #[error(
        "the state is of dimension {} with {} lists, the training of dimension {} with {}",
        got.0, got.1, expected.0, expected.1
    )]
    StateMismatch {
        /// Dimension and lists of the training.
        expected: (usize, usize),
        /// Dimension and lists of the state.
        got: (usize, usize),
    },
}

/// What is wrong with a request; nothing was changed. Positions count from 0.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A vector does not have the dimension of the index.
    #[error("vector {position} has dimension {got}, expected {expected}")]
    WrongDimension {
        /// Which of the vectors of the request.
        position: usize,
        /// The dimension of the index (or of the first vector, when the index has none yet).
        expected: usize,
        /// The dimension of the vector.
        got: usize,
    },
    /// A dimension outside 1 to [`DIMENSION_MAX`](crate::DIMENSION_MAX).
    #[error("dimension {got} is not between 1 and {}", crate::DIMENSION_MAX)]
    DimensionOutOfBounds {
        /// The dimension asked for.
        got: usize,
    },
    /// The index has neither a dimension nor vectors yet.
    #[error("the index has no dimension before its first vectors")]
    DimensionUnknown,
    /// A number is infinite, or not a number.
    #[error("component {component} of vector {position} is not a finite number")]
    NotFinite {
        /// Which of the vectors of the request.
        position: usize,
        /// Which of its numbers.
        component: usize,
    },
    /// An id is empty or too long.
    #[error("the id of item {position} has {bytes} bytes, allowed are 1 to {}", crate::ID_BYTES_MAX)]
    IdLength {
        /// Which of the items of the request.
        position: usize,
        /// Its length.
        bytes: usize,
    },
    /// The contents of an item are too long.
    #[error("the contents of item {position} have {bytes} bytes, allowed are {}", crate::CONTENTS_BYTES_MAX)]
    ContentsTooLong {
        /// Which of the items of the request.
        position: usize,
        /// Their length.
        bytes: usize,
    },
    /// The metadata of an item are too long as JSON.
    #[error("the metadata of item {position} have {bytes} bytes, allowed are {}", crate::METADATA_BYTES_MAX)]
    MetadataTooLong {
        /// Which of the items of the request.
        position: usize,
        /// Their length.
        bytes: usize,
    },
    /// The metadata of an item are nested too deeply.
    #[error("the metadata of item {position} are nested deeper than {}", crate::METADATA_DEPTH_MAX)]
    MetadataTooDeep {
        /// Which of the items of the request.
        position: usize,
    },
    /// The index is full.
    #[error("an index holds at most {} vectors", crate::VECTORS_MAX)]
    Full,
    /// The answer would be larger than the caller takes.
    #[error("the items take at least {bytes} bytes, allowed are {max}")]
    TooMuch {
        /// What the items take, up to the one that was too much.
        bytes: u64,
        /// What was allowed.
        max: u64,
    },
    /// The caller ended a query before it was over.
    #[error("the query was stopped")]
    Stopped,
}

/// Why a model was not installed; the index is as it was.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The model is for vectors of another dimension.
    #[error("the model has dimension {got}, the index {expected:?}")]
    WrongDimension {
        /// The dimension of the index, if it has one.
        expected: Option<usize>,
        /// The dimension of the model.
        got: usize,
    },
    /// The model was trained on scaled vectors and the index keeps them as they are, or the other way round.
    #[error("a model for {got} does not fit an index of metric {expected}")]
    WrongMetric {
        /// The metric of the index.
        expected: Metric,
        /// The metric of the model.
        got: Metric,
    },
    /// The caller ended it.
    #[error("the installation was stopped")]
    Stopped,
}

/// A request that was not carried out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IndexError {
    /// Something is wrong with the request.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk did not do its part. Nothing was changed, in memory or on disk.
    #[error(transparent)]
    Failed(#[from] StorageError),
}

impl IndexError {
    /// What was wrong with the request, if that was it.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Failed(_) => None,
        }
    }
}

/// The files of an index could not be read or written.
#[derive(Debug, Error)]
#[error("could not {operation}")]
pub struct StorageError {
    operation: &'static str,
    source: StorageCause,
}

#[derive(Debug, Error)]
pub(crate) enum StorageCause {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("another process, or another part of this one, has it open")]
    InUse,
    #[error("it already exists")]
    Exists,
    #[error("it is not such a file, or it is damaged: {0}")]
    Damaged(String),
    #[error("it has format {0}, which this version does not know")]
    Format(i64),
}

impl StorageError {
    pub(crate) fn new(operation: &'static str, source: impl Into<StorageCause>) -> Self {
        Self { operation, source: source.into() }
    }

    pub(crate) fn damaged(operation: &'static str, what: impl Into<String>) -> Self {
        Self::new(operation, StorageCause::Damaged(what.into()))
    }

    /// Whether someone else has the index open.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self.source, StorageCause::InUse)
    }

    /// Whether there is something already where it was to be created.
    #[must_use]
    pub fn is_exists(&self) -> bool {
        matches!(self.source, StorageCause::Exists)
    }

    /// Whether what was read is not what was written.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        match &self.source {
            StorageCause::Damaged(_) => true,
            StorageCause::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
            StorageCause::Io(_) | StorageCause::InUse | StorageCause::Exists | StorageCause::Format(_) => {
                false
            }
        }
    }

    /// Whether the file is of a format this version does not know.
    #[must_use]
    pub fn is_unknown_format(&self) -> bool {
        matches!(self.source, StorageCause::Format(_))
    }

    /// Whether there is no such file.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(&self.source, StorageCause::Io(error) if error.kind() == std::io::ErrorKind::NotFound)
    }
}
