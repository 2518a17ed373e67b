//! What a prompt is measured by.

use crate::prompt::Demo;

/// One question of a task, and what a good answer to it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Which: examples are shared out between learning and measuring by it.
    pub id: String,
    /// The system prompt under which it was answered, if that is known.
    pub system: Option<String>,
    /// What was asked.
    pub user: String,
    /// The good answer.
    pub expected: String,
    /// How good it was, if somebody has said so. Those of more are shown as examples first.
    pub reward: Option<f64>,
}

impl Example {
    /// Whether there is anything to be asked and to be expected.
    pub(crate) fn is_usable(&self) -> bool {
        !self.user.trim().is_empty() && !self.expected.trim().is_empty()
    }

    /// As a prompt shows it.
    pub(crate) fn demo(&self) -> Demo {
        Demo { input: cut(&self.user, SHOWN_BYTES_MAX), output: cut(&self.expected, SHOWN_BYTES_MAX) }
    }
}

/// Examples to learn from, and others to measure by.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) learning: Vec<Example>,
    pub(crate) held_out: Vec<Example>,
}

/// What begins a text, no longer than that.
pub(crate) fn cut(text: &str, bytes_max: usize) -> String {
    let kept = &text[..text.floor_char_boundary(bytes_max)];
    if kept.len() < text.len() { format!("{kept}…") } else { kept.to_owned() }
}

/// Of a question or an answer that is shown.
const SHOWN_BYTES_MAX: usize = 600;
