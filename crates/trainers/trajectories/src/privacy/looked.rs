//! A text from which more and more is taken.

use std::ops::Range;

/// A text that is looked at.
pub(super) struct Looked {
    /// What is still to be looked at, in order: all but what is marked.
    parts: Vec<Range<usize>>,
    marks: Vec<(Range<usize>, String)>,
}

impl Looked {
    /// Nothing is marked yet in those parts.
    pub(super) const fn new(parts: Vec<Range<usize>>) -> Self {
        Self { parts, marks: Vec::new() }
    }

    /// The marks and what they stand for, in order.
    pub(super) fn marks(mut self) -> Vec<(Range<usize>, String)> {
        self.marks.sort_by_key(|(part, _)| part.start);
        self.marks
    }

    /// Marks whatever is found in a part.
    pub(super) fn cut(
        &mut self,
        text: &str,
        find: impl Fn(&str) -> Vec<Range<usize>>,
        mark: impl Fn(&str) -> String,
        mut count: impl FnMut(),
    ) {
        let mut rest = Vec::with_capacity(self.parts.len());
        for part in self.parts.drain(..) {
            let mut at = part.start;
            for found in find(&text[part.clone()]) {
                let found = part.start + found.start..part.start + found.end;
                count();
                rest.extend(Some(at..found.start).filter(|rest| !rest.is_empty()));
                at = found.end;
                self.marks.push((found.clone(), mark(&text[found])));
            }
            rest.extend(Some(at..part.end).filter(|rest| !rest.is_empty()));
        }
        self.parts = rest;
    }
}

/// A text with marks in the place of parts of it; `None` without marks.
pub(super) fn put(text: &str, marks: impl IntoIterator<Item = (Range<usize>, String)>) -> Option<String> {
    let mut marks = marks.into_iter().peekable();
    marks.peek()?;
    let (mut less, mut at) = (String::with_capacity(text.len()), 0);
    for (part, mark) in marks {
        less.push_str(&text[at..part.start]);
        less.push_str(&mark);
        at = part.end;
    }
    less.push_str(&text[at..]);
    Some(less)
}
