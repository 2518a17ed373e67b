//! Rows as models and people are shown them.

use trainyard_trajectories::Row;

use crate::prompt::Demo;

/// A row as a prompt shows it. What is to be answered is never cut, since a model would learn to break off; so a row
/// with too long an answer is none to show.
pub(crate) fn demo(row: &Row) -> Option<Demo> {
    let output = Some(&row.expected).filter(|expected| expected.len() <= OUTPUT_BYTES_MAX);
    Some(Demo { input: cut(&row.user, SHOWN_BYTES_MAX), output: output?.clone() })
}

/// What begins a text, no longer than that.
pub(crate) fn cut(text: &str, bytes_max: usize) -> String {
    let kept = &text[..text.floor_char_boundary(bytes_max)];
    if kept.len() < text.len() { format!("{kept}…") } else { kept.to_owned() }
}

/// Of a question or an answer that is shown.
pub(crate) const SHOWN_BYTES_MAX: usize = 600;
/// Of what is to be answered: 4 KiB.
const OUTPUT_BYTES_MAX: usize = 4 << 10;
