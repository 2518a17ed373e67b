//! How long a text is for a model, roughly.

/// About how many tokens a text has: its words, and half its punctuation marks, rounded down.
///
/// ```
/// assert_eq!(trainyard_prompt::tokens("Say yes, no, or nothing."), 5 + 1);
/// ```
#[must_use]
pub fn tokens(text: &str) -> u64 {
    let marks = text.chars().filter(char::is_ascii_punctuation).count();
    (text.split_whitespace().count() + marks / 2) as u64
}
