//! What is wrong with what an agent sent.

use std::fmt;
use std::io;

/// Why there is no next trajectory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// What was sent is no trajectory.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The source did not do its part.
    #[error("could not {operation}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// What went wrong.
        source: io::Error,
    },
}

/// What is wrong with a trajectory, and where. Says nothing of what stands there, which may be private.
///
/// ```
/// use trainyard_trajectories::{Limits, Trajectory};
///
/// let text = br#"{"id": "t1", "llmCalls": [{"response": 5}]}"#;
/// let refusal = Trajectory::from_json(text, &Limits::default()).unwrap_err();
/// assert_eq!(refusal.to_string(), "llmCalls[0].response: is a number, and must be a text");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    nth: Option<u64>,
    line: Option<u64>,
    path: String,
    problem: Problem,
}

impl Refusal {
    pub(crate) fn new(path: impl Into<String>, problem: Problem) -> Self {
        Self { nth: None, line: None, path: path.into(), problem }
    }

    /// The same, of the trajectory with that number that begins in that line, both from 1.
    pub(crate) fn of(self, nth: u64, line: u64) -> Self {
        Self { nth: Some(nth), line: Some(line), ..self }
    }

    /// Which trajectory of the source it is, from 1; `None` when it was the only one.
    #[must_use]
    pub const fn nth(&self) -> Option<u64> {
        self.nth
    }

    /// The line of the source in which the trajectory begins, from 1.
    #[must_use]
    pub const fn line(&self) -> Option<u64> {
        self.line
    }

    /// The field, such as `llmCalls[2].response`; empty when it is the trajectory as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong there.
    #[must_use]
    pub const fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nth) = self.nth {
            write!(f, "trajectory {nth}")?;
            if let Some(line) = self.line {
                write!(f, " (line {line})")?;
            }
            f.write_str(": ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for Refusal {}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It cannot be read.
    #[error("is no json: {what}")]
    NotJson {
        /// What the parser says.
        what: String,
    },
    /// The source ends before it does.
    #[error("ends in the middle")]
    CutShort,
    /// Something stands where a trajectory should begin.
    #[error("does not begin with a brace")]
    Stray,
    /// It is there, but of another kind.
    #[error("is {found}, and must be {wanted}")]
    Kind {
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// It takes too many bytes.
    #[error("takes {bytes} bytes, and may take {max}")]
    TooLong {
        /// How many it takes.
        bytes: usize,
        /// How many it may take.
        max: usize,
    },
    /// It takes too many bytes, and was not read to its end.
    #[error("takes more than {max} bytes")]
    Endless {
        /// How many it may take.
        max: usize,
    },
    /// There are too many of them.
    #[error("has {count} entries, and may have {max}")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// There are too many trajectories.
    #[error("is one more than the {max} that may be read at once")]
    TooManyTrajectories {
        /// How many there may be.
        max: u64,
    },
    /// It is nested too deeply.
    #[error("is nested more than {max} deep")]
    TooDeep {
        /// How deep it may be.
        max: usize,
    },
    /// It cannot be an id.
    #[error("must be 1 to 128 bytes without control characters")]
    BadId,
    /// A name has a character in it that names do not have.
    #[error("has a control character in it")]
    ControlCharacter,
    /// There is no such status.
    #[error("is none of active, completed, error and timeout")]
    UnknownStatus,
    /// It is no moment.
    #[error("is neither milliseconds since 1970 nor a time such as 2026-01-31T12:00:00Z")]
    BadTime,
    /// It is no amount.
    #[error("must be a number from 0 to 9007199254740991")]
    BadAmount,
}
