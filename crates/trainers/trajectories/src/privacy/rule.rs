//! A pattern, and the judgement whether what it finds is what it looks like.

use std::ops::Range;

use regex::{Captures, Regex};

use super::redactions::Mark;

/// Looks for one shape of what is private.
pub(super) struct Rule {
    pattern: Regex,
    mark: Mark,
    judge: fn(&Found<'_>) -> Option<Range<usize>>,
}

impl Rule {
    /// A rule by which all that the pattern finds is private.
    pub(super) fn all(mark: Mark, pattern: &str) -> Self {
        Self::judged(mark, pattern, |found| Some(found.whole()))
    }

    /// A rule by which of what the pattern finds that part is private which `judge` names.
    pub(super) fn judged(mark: Mark, pattern: &str, judge: fn(&Found<'_>) -> Option<Range<usize>>) -> Self {
        Self { pattern: Regex::new(pattern).expect("it is a constant, and tests compile it"), mark, judge }
    }

    pub(super) const fn mark(&self) -> Mark {
        self.mark
    }

    /// The private parts of a text, in order; they do not overlap. Where the judge refuses a match, its `value` may be
    /// the beginning of another.
    pub(super) fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut at = 0;
        let mut parts: Vec<Range<usize>> = Vec::new();
        while let Some(captures) = self.pattern.captures_at(text, at) {
            let found = Found { text, captures };
            let (whole, value) = (found.whole(), found.group("value"));
            // a judge may look beyond what the pattern has found
            match (self.judge)(&found).filter(|part| !part.is_empty()) {
                Some(part) => {
                    at = whole.end.max(part.end);
                    parts.push(part);
                }
                None => {
                    let again = value.filter(|value| value.len() <= AGAIN_MAX && value.start > whole.start);
                    at = again.map_or(whole.end, |value| value.start);
                }
            }
        }
        parts
    }
}

/// So long may be in bytes what is looked at again: what is a hundred names in a row is not looked at a hundred times.
const AGAIN_MAX: usize = 256;

/// What a pattern has found, and the text around it.
pub(super) struct Found<'t> {
    text: &'t str,
    captures: Captures<'t>,
}

impl<'t> Found<'t> {
    pub(super) fn whole(&self) -> Range<usize> {
        self.captures.get(0).expect("a match has a whole").range()
    }

    /// Where the group of that name is.
    pub(super) fn group(&self, name: &str) -> Option<Range<usize>> {
        self.captures.name(name).map(|group| group.range())
    }

    pub(super) const fn text(&self) -> &'t str {
        self.text
    }

    pub(super) fn part(&self, part: &Range<usize>) -> &'t str {
        &self.text[part.clone()]
    }

    pub(super) fn before(&self, part: &Range<usize>) -> Option<char> {
        self.text[..part.start].chars().next_back()
    }

    pub(super) fn after(&self, part: &Range<usize>) -> Option<char> {
        self.text[part.end..].chars().next()
    }

    /// Whether neither a letter nor a digit is next to it.
    pub(super) fn stands_alone(&self, part: &Range<usize>) -> bool {
        ![self.before(part), self.after(part)]
            .into_iter()
            .flatten()
            .any(|near| near.is_alphanumeric() || near == '_')
    }
}
