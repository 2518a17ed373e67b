//! A prompt, and the examples it shows.

use serde::{Deserialize, Serialize};

use crate::artifact::DEMOS_MAX;
use crate::tokens;

/// A system prompt: an instruction, and examples of how it is done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Prompt {
    /// What to do.
    pub instruction: String,
    /// Examples of it.
    pub demos: Vec<Demo>,
}

/// One example of how it is done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Demo {
    /// What is asked.
    pub input: String,
    /// What to answer.
    pub output: String,
}

impl Prompt {
    /// An instruction without examples.
    pub fn new(instruction: impl Into<String>) -> Self {
        Self { instruction: instruction.into(), demos: Vec::new() }
    }

    /// The text that a model is given.
    ///
    /// ```
    /// use trainyard_prompt::{Demo, Prompt};
    ///
    /// let mut prompt = Prompt::new("Add.");
    /// assert_eq!(prompt.text(), "Add.");
    /// prompt.demos.push(Demo { input: "1 1".into(), output: "2".into() });
    /// assert_eq!(prompt.text(), "Add.\n\nExamples:\n\nInput: 1 1\nOutput: 2");
    /// ```
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.instruction.clone();
        if !self.demos.is_empty() {
            text.push_str("\n\nExamples:");
        }
        for Demo { input, output } in &self.demos {
            text.push_str(&format!("\n\nInput: {input}\nOutput: {output}"));
        }
        text
    }

    /// Whether it says anything, and not too much.
    pub(crate) fn is_usable(&self) -> bool {
        let Self { instruction, demos } = self;
        let is_said = !instruction.trim().is_empty() && instruction.len() <= INSTRUCTION_BYTES_MAX;
        is_said && demos.len() <= DEMOS_MAX && self.text().len() <= TEXT_BYTES_MAX
    }

    /// About how many tokens it has.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        tokens(&self.text())
    }
}

/// The longest instruction: 64 KiB.
pub(crate) const INSTRUCTION_BYTES_MAX: usize = 64 << 10;
/// The longest text, with its examples: 1 MiB.
const TEXT_BYTES_MAX: usize = 1 << 20;
