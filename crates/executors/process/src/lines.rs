//! Bytes of output, cut into lines.

/// The longest line that is looked at, in bytes. A longer one is cut.
pub(crate) const LINE_MAX: usize = 64 << 10;

/// Takes bytes as they come and gives whole lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    held: Vec<u8>,
    was_cut: bool,
    /// The last byte was a carriage return: the start of a line's end, or of a line that is drawn anew.
    returned: bool,
}

/// A part of the output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A line.
    Line {
        text: &'a [u8],
        /// Whether it was longer than [`LINE_MAX`].
        was_cut: bool,
    },
    /// What the program has written over, such as an earlier state of a progress bar.
    Redrawn(&'a [u8]),
}

impl Lines {
    /// Takes more bytes in.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Piece<'_>)) {
        for byte in bytes {
            match byte {
                b'\n' => {
                    each(Piece::Line { text: &self.held, was_cut: self.was_cut });
                    self.clear();
                }
                b'\r' => {
                    self.redraw(&mut each);
                    self.returned = true;
                }
                _ => {
                    self.redraw(&mut each);
                    if self.held.len() < LINE_MAX {
                        self.held.push(*byte);
                    } else {
                        self.was_cut = true;
                    }
                }
            }
        }
    }

    /// What comes next does not belong to what is held.
    pub(crate) fn clear(&mut self) {
        self.held.clear();
        self.was_cut = false;
        self.returned = false;
    }

    /// A last line without an end.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.held
    }

    fn redraw(&mut self, each: &mut impl FnMut(Piece<'_>)) {
        if self.returned {
            each(Piece::Redrawn(&self.held));
            self.clear();
        }
    }
}

/// A line as a text to look at and to show: without escape sequences and control characters, with a replacement
/// character for what is not UTF-8.
pub(crate) fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '\u{1b}' => match rest.peek() {
                // ESC [ parameters, up to a letter or its like.
                Some('[') => {
                    rest.next();
                    let _ = rest.by_ref().find(|char| ('@'..='~').contains(char));
                }
                // ESC ] a title, up to BEL or ESC \.
                Some(']') => {
                    let _ = rest.by_ref().find(|char| matches!(char, '\u{7}' | '\u{1b}'));
                    rest.next_if_eq(&'\\');
                }
                Some(_) | None => drop(rest.next()),
            },
            '\t' => plain.push('\t'),
            _ if char.is_control() => {}
            _ => plain.push(char),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(parts: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        for part in parts {
            lines.push(part, |piece| {
                all.push(match piece {
                    Piece::Line { text, was_cut } => {
                        format!("{}{}", plain(text), if was_cut { "…" } else { "" })
                    }
                    Piece::Redrawn(text) => format!("~{}", plain(text)),
                });
            });
        }
        all
    }

    #[test]
    fn half_a_line_waits_for_its_other_half() {
        assert_eq!(cut(&[b"one\ntw", b"o\nthree"]), ["one", "two"]);
        assert_eq!(cut(&[b"one\r", b"\ntwo\r\n"]), ["one", "two"], "either end of a line will do");
    }

    #[test]
    fn a_bar_that_is_drawn_anew_is_no_line() {
        assert_eq!(cut(&[b"10%\r20%\r", b"30%\r{}\n"]), ["~10%", "~20%", "~30%", "{}"]);
    }

    #[test]
    fn an_over_long_line_is_cut_and_the_next_is_whole() {
        let long = vec![b'x'; LINE_MAX + 7];
        let all = cut(&[&long, b"yz\nnext\n"]);
        assert_eq!(all[0].len(), LINE_MAX + "…".len());
        assert_eq!(all[1], "next");
    }

    #[test]
    fn colours_and_junk_are_left_out() {
        assert_eq!(plain(b"\x1b[38;5;244m  10\x1b[0m \x1b]0;title\x07a\tb\x00\x08"), "  10 a\tb");
        assert_eq!(plain(b"\xff\xfeok"), "\u{fffd}\u{fffd}ok");
        assert_eq!(plain(b"\x1b[1"), "");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_bytes_are_divided(
            bytes in prop::collection::vec(prop::sample::select(b"ab\r\n".to_vec()), 0..40),
            at in 0_usize..40,
        ) {
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(cut(&[first, second]), cut(&[&bytes]));
        }

        #[test]
        fn any_bytes_have_a_plain_text(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(plain(&bytes).chars().all(|char| char == '\t' || !char.is_control()));
        }
    }
}
