//! Examples as lines of files.

mod read;
mod write;

use std::fmt;

pub use self::read::{RowError, RowLimits, RowProblem, Rows};
pub use self::write::{native_line, training_line};

/// An example, as whoever improves a prompt or trains a model reads it. Its `Debug` output shows none of the texts.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Row {
    /// Who it is, the same whenever its file is read; what [`held_out`](crate::held_out) goes by.
    pub id: String,
    /// What it is an example of, such as `should_respond`; empty when nobody says.
    pub task: String,
    /// How the model was instructed; empty when it was not.
    pub system: String,
    /// What it was asked.
    pub user: String,
    /// What it should answer.
    pub expected: String,
    /// What its trajectory was worth: what a judge gave, or else what it earned in sum.
    pub reward: Option<f64>,
}

impl Row {
    /// A row without a reward.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        task: impl Into<String>,
        system: impl Into<String>,
        user: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            task: task.into(),
            system: system.into(),
            user: user.into(),
            expected: expected.into(),
            reward: None,
        }
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("id", &self.id)
            .field("task", &self.task)
            .field("reward", &self.reward)
            .finish_non_exhaustive()
    }
}

/// The format of the lines that [`native_line`] writes.
const NATIVE: &str = "eliza_native_v1";
