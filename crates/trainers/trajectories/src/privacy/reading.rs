//! What a text says to whoever reads it, however it is written.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// A text as it is read: escapes of JSON and HTML are resolved, tags within a line and what has no width are left out, and
/// digits and signs of other scripts are those of ASCII. It knows where each part of it came from.
pub(super) struct Reading {
    text: String,
    /// Where every byte of it begins in what was written, and at last the end of that.
    starts: Vec<usize>,
    /// Where the character of every byte ends in what was written.
    ends: Vec<usize>,
}

impl Reading {
    /// `None` when a text is read as it is written.
    pub(super) fn of(written: &str) -> Option<Self> {
        if !written.contains(['\\', '&', '<']) && written.is_ascii() || !OTHER.is_match(written) {
            return None;
        }
        let mut reading = Self { text: String::new(), starts: Vec::new(), ends: Vec::new() };
        let mut at = 0;
        for captures in OTHER.captures_iter(written) {
            let whole = captures.get(0).expect("a match has a whole").range();
            reading.copy(written, at..whole.start);
            if let Some(read) = read(&captures) {
                reading.put(read, whole.clone());
            }
            at = whole.end;
        }
        reading.copy(written, at..written.len());
        Some(reading)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The same part of what was written.
    pub(super) fn written(&self, part: &Range<usize>) -> Range<usize> {
        self.starts[part.start]..self.ends[part.end - 1]
    }

    fn copy(&mut self, written: &str, part: Range<usize>) {
        for (at, c) in written[part.clone()].char_indices() {
            let start = part.start + at;
            self.put(c, start..start + c.len_utf8());
        }
    }

    fn put(&mut self, c: char, from: Range<usize>) {
        self.text.push(c);
        self.starts.resize(self.text.len(), from.start);
        self.ends.resize(self.text.len(), from.end);
    }
}

/// What an escape, a tag or a sign is read as; `None` when it is nothing.
fn read(captures: &Captures<'_>) -> Option<char> {
    let group = |name: &str| captures.name(name).map(|group| group.as_str());
    if let Some(letter) = group("letter") {
        return Some(match letter {
            "t" => '\t',
            _ => '\n',
        });
    }
    let of_code = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    if let Some(c) = group("hex").or_else(|| group("hexref")).and_then(|digits| of_code(digits, 16)) {
        return Some(plain(c).unwrap_or(c));
    }
    if let Some(c) = group("ref").and_then(|digits| of_code(digits, 10)) {
        return Some(plain(c).unwrap_or(c));
    }
    match group("entity") {
        Some("quot") => return Some('"'),
        Some("apos") => return Some('\''),
        Some("amp") => return Some('&'),
        Some("lt") => return Some('<'),
        Some("gt") => return Some('>'),
        Some("nbsp") => return Some(' '),
        Some(_) | None => {}
    }
    group("sign").and_then(|sign| sign.chars().next()).and_then(plain)
}

/// A digit or a sign as ASCII has it.
fn plain(c: char) -> Option<char> {
    let digit = ['\u{660}', '\u{6f0}', '\u{966}', '\u{ff10}']
        .into_iter()
        .find_map(|zero| u32::from(c).checked_sub(u32::from(zero)).filter(|digit| *digit < 10));
    digit.and_then(|digit| char::from_digit(digit, 10)).or(match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{202f}' | '\u{3000}' => Some(' '),
        _ => None,
    })
}

static OTHER: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = concat!(
        r"\\+(?:(?P<letter>[nrt])|u(?P<hex>[0-9a-fA-F]{4}))",
        r"|&(?:(?P<entity>quot|apos|amp|lt|gt|nbsp)|#(?P<ref>[0-9]{1,6})|#[xX](?P<hexref>[0-9a-fA-F]{1,5}));",
        r"|</?(?:wbr|b|i|u|em|strong|span|code|mark|font)(?:\s[^<>]{0,99})?/?>",
        r"|[\u{ad}\u{200b}-\u{200f}\u{2060}\u{feff}]",
        r"|(?P<sign>[\u{660}-\u{669}\u{6f0}-\u{6f9}\u{966}-\u{96f}\u{ff01}-\u{ff5e}\u{2010}-\u{2015}\u{2212}",
        r"\u{a0}\u{2007}\u{2009}\u{202f}\u{3000}])",
    );
    Regex::new(pattern).expect("it is a constant, and tests compile it")
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_otherwise_is_read_alike() {
        for (written, read) in [
            ("hi\\nana", "hi\nana"),
            ("hi\\\\nana", "hi\nana"),
            ("ana\\u0040example", "ana@example"),
            ("a&#64;b &quot;&#x2b;1", "a@b \"+1"),
            ("ana@<wbr>example", "ana@example"),
            ("<b class=\"x\">Password</b>: x", "Password: x"),
            ("＋١२３–４", "+123-4"),
            ("a\u{200b}b", "ab"),
        ] {
            assert_eq!(Reading::of(written).unwrap().text(), read, "{written:?}");
        }
        for same in ["", "plain", "é ß 日本", "a & b < c", "C:\\dir", "<table>", "\\u12"] {
            assert!(Reading::of(same).is_none(), "{same:?}");
        }
    }

    #[test]
    fn it_knows_where_everything_came_from() {
        let written = "ä\\nana&#64;<b>x</b>.org é";
        let reading = Reading::of(written).unwrap();
        let start = reading.text().find("ana").unwrap();
        let part = start..reading.text().find(" é").unwrap();
        assert_eq!(&reading.text()[part.clone()], "ana@x.org");
        assert_eq!(&written[reading.written(&part)], "ana&#64;<b>x</b>.org");
    }
}
