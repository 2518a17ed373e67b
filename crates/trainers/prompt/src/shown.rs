//! Rows as models and people are shown them.

use trainyard_trajectories::Row;

use crate::prompt::Demo;

/// A row as a prompt shows it.
pub(crate) fn demo(row: &Row) -> Demo {
    Demo { input: cut(&row.user, SHOWN_BYTES_MAX), output: cut(&row.expected, SHOWN_BYTES_MAX) }
}

/// What begins a text, no longer than that.
pub(crate) fn cut(text: &str, bytes_max: usize) -> String {
    let kept = &text[..text.floor_char_boundary(bytes_max)];
    if kept.len() < text.len() { format!("{kept}…") } else { kept.to_owned() }
}

/// Of a question or an answer that is shown.
pub(crate) const SHOWN_BYTES_MAX: usize = 600;
