//! What is wrong with a table.

use std::fmt;
use std::io;

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The CSV cannot be learned from.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller ended it.
    #[error("it was stopped")]
    Stopped,
    /// A table file is not as it was written.
    #[error("it is no table file, or it is damaged: {what}")]
    Damaged {
        /// Where that shows.
        what: &'static str,
    },
    /// A table file is of a format that this version does not know.
    #[error("the table file has format {format}, which this version does not know")]
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

impl TableError {
    pub(crate) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, source }
    }

    /// What is wrong with the CSV, if that was it.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Stopped | Self::Damaged { .. } | Self::UnknownFormat { .. } | Self::Io { .. } => None,
        }
    }
}

/// What is wrong with a CSV. Rows count from 1, and the header is row 1; empty lines do not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is something else.
    #[error("the file is {what}, and not a csv in utf-8")]
    NotCsv {
        /// What its first bytes say.
        what: &'static str,
    },
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// There is nothing after the header.
    #[error("the file has a header, but no rows")]
    NoRows,
    /// There are no columns to learn from.
    #[error("the header has {columns} columns, and needs an id, one feature or more, and a class")]
    TooFewColumns {
        /// How many there are.
        columns: usize,
    },
    /// There are too many columns.
    #[error("the header has {columns} columns, and may have {max}")]
    TooManyColumns {
        /// How many there are.
        columns: usize,
        /// How many there may be.
        max: usize,
    },
    /// Two columns are called the same.
    #[error("columns {first} and {second} are both called {name:?}")]
    SameName {
        /// The first of them, from 1.
        first: usize,
        /// The other.
        second: usize,
        /// What they are called, or the beginning of it.
        name: String,
    },
    /// A row takes too many bytes.
    #[error("row {row} takes more than {max} bytes")]
    RowTooLong {
        /// Which.
        row: u64,
        /// How many it may take.
        max: usize,
    },
    /// A field takes too many bytes.
    #[error("{place} takes {bytes} bytes, and may take {max}")]
    FieldTooLong {
        /// Which.
        place: Place,
        /// How many it takes.
        bytes: usize,
        /// How many it may take.
        max: usize,
    },
    /// A row has more or fewer fields than the header.
    #[error("row {row} has {fields} fields, and the header has {columns}")]
    Ragged {
        /// Which.
        row: u64,
        /// How many it has.
        fields: usize,
        /// How many it needs.
        columns: usize,
    },
    /// A field is not UTF-8.
    #[error("{place} is not utf-8")]
    NotUtf8 {
        /// Which.
        place: Place,
    },
    /// A field has a byte in it that texts do not have.
    #[error("{place} has a zero byte in it")]
    ZeroByte {
        /// Which.
        place: Place,
    },
    /// There are too many rows.
    #[error("there are more than {max} rows")]
    TooManyRows {
        /// How many there may be.
        max: u64,
    },
    /// There are too many fields to learn from.
    #[error("the rows have more than {max} fields to learn from, {features} each")]
    TooManyFields {
        /// How many there may be.
        max: u64,
        /// How many features there are.
        features: usize,
    },
    /// A row has no id.
    #[error("{place}, the id, is empty")]
    NoId {
        /// Which.
        place: Place,
    },
    /// Two rows have the same id.
    #[error("{place}, the id, is that of an earlier row")]
    SameId {
        /// The later of them.
        place: Place,
    },
    /// A row has no class.
    #[error("{place}, the class, is empty")]
    NoClass {
        /// Which.
        place: Place,
    },
    /// There are too many classes.
    #[error("{place} is one more class than the {max} there may be")]
    TooManyClasses {
        /// Where the one too many is.
        place: Place,
        /// How many there may be.
        max: usize,
    },
    /// There is nothing to tell apart.
    #[error("all rows are of one class, {class:?}")]
    OneClass {
        /// Which, or its beginning.
        class: String,
    },
    /// There are too few rows to learn from one part and measure on the others.
    #[error("at least two classes need {min} rows or more")]
    TooFewRows {
        /// How many.
        min: u64,
    },
    /// No feature is of any use.
    #[error("every feature is the same in all rows, or empty")]
    NothingToLearn,
    /// The file is not what it was a moment ago.
    #[error("the file changed while it was read")]
    Changed,
    /// A file to predict for has another column here than the model was trained on.
    #[error("column {column} is {found:?}, and the model was trained on {expected:?} there")]
    OtherColumn {
        /// Which, from 1.
        column: usize,
        /// What it is called, or the beginning of it.
        found: String,
        /// What it was called when the model was trained, or the beginning of it.
        expected: String,
    },
    /// A file to predict for has more or fewer columns than the model was trained on.
    #[error(
        "the header has {columns} columns, and the model needs {expected}: the id and the features, without the class"
    )]
    OtherColumns {
        /// How many it has.
        columns: usize,
        /// How many it needs.
        expected: usize,
    },
    /// A field to predict for is a text in a column of numbers.
    #[error("{place} is {found:?}, and the model was trained on numbers there")]
    NotANumber {
        /// Which.
        place: Place,
        /// What it is, or the beginning of it.
        found: String,
    },
}

/// A field of a CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its row, from 1, which is the header.
    pub row: u64,
    /// Its column, from 1.
    pub column: usize,
    /// What the column is called, or the beginning of it; empty within the header.
    pub name: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}, column {}", self.row, self.column)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, " ({:?})", self.name) }
    }
}

/// A text, or its first characters where it is long.
pub(crate) fn beginning(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// How much of a name or a field is shown in a message.
const SHOWN_CHARS_MAX: usize = 40;
