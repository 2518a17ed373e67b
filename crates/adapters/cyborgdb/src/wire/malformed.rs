//! What is wrong with a text that is not JSON, in the words of the original's parser.

use crate::wire::json::NotJson;

/// Says where and how, as near as one parser can say what another would.
pub(crate) fn malformed(text: &str, error: &serde_json::Error) -> NotJson {
    let said = error.to_string();
    let said = said.as_str();
    if said.starts_with("recursion limit exceeded") {
        return NotJson::Unreadable;
    }
    let bytes = text.as_bytes();
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    let seen = (lines.map(<[u8]>::len).sum::<usize>() + error.column()).min(bytes.len());
    let last = seen.saturating_sub(1);
    let (at, error) = match said {
        _ if said.starts_with("EOF") => at_the_end(bytes, said),
        _ if said.starts_with("control character") => (last, "Invalid control character at"),
        _ if said.starts_with("invalid escape") => (last, "Invalid \\escape"),
        _ if said.starts_with("key must be a string") => (last, NO_NAME),
        _ if said.starts_with("expected `:`") => (last, NO_COLON),
        _ if said.starts_with("expected `,`") => (last, NO_COMMA),
        _ if said.starts_with("trailing comma") && bytes.get(last) == Some(&b'}') => (last, NO_NAME),
        _ if said.starts_with("trailing characters") => (last, "Extra data"),
        _ if said.starts_with("expected value") => (last, NO_VALUE),
        // Python reads such a number as infinity; here no number is.
        _ if said.starts_with("number out of range") => (word_start(bytes, seen), "Number out of range"),
        _ => (word_start(bytes, last), NO_VALUE),
    };
    NotJson::Malformed { at: text[..text.floor_char_boundary(at)].chars().count(), error }
}

fn at_the_end(bytes: &[u8], said: &str) -> (usize, &'static str) {
    let end = bytes.len();
    let last = bytes.trim_ascii_end().last();
    match said {
        _ if said.starts_with("EOF while parsing a string") => {
            let start = bytes.iter().rposition(|byte| *byte == b'"').unwrap_or(0);
            (start, "Unterminated string starting at")
        }
        _ if said.starts_with("EOF while parsing an object") => match last {
            Some(b'{' | b',') => (end, NO_NAME),
            Some(b'"') if ends_with_a_name(bytes) => (end, NO_COLON),
            Some(_) | None => (end, NO_COMMA),
        },
        _ if said.starts_with("EOF while parsing a list") && last != Some(&b'[') => (end, NO_COMMA),
        _ => (word_start(bytes, end), NO_VALUE),
    }
}

/// Whether the text that ends here is the name of a member: it follows a brace or a comma.
fn ends_with_a_name(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_end();
    let inside = &text[..text.len() - 1];
    let start = inside.iter().rposition(|byte| *byte == b'"').unwrap_or(0);
    matches!(bytes[..start].trim_ascii_end().last(), Some(b'{' | b','))
}

/// Where the word or number begins that is not over at this byte.
fn word_start(bytes: &[u8], at: usize) -> usize {
    let is_word = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    at - bytes[..at].iter().rev().take_while(is_word).count()
}

const NO_VALUE: &str = "Expecting value";
const NO_NAME: &str = "Expecting property name enclosed in double quotes";
const NO_COLON: &str = "Expecting ':' delimiter";
const NO_COMMA: &str = "Expecting ',' delimiter";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Json;

    fn check(text: &str, at: usize, error: &'static str) {
        assert_eq!(Json::parse(text.as_bytes(), 100), Err(NotJson::Malformed { at, error }), "{text}");
    }

    #[test]
    fn what_is_wrong_is_said_as_the_original_says_it() {
        check("", 0, "Expecting value");
        check("nope", 0, "Expecting value");
        check("{\"a\": nope}", 6, "Expecting value");
        check("{\"a\" 1}", 5, "Expecting ':' delimiter");
        check("{\"a\":1 \"b\":2}", 7, "Expecting ',' delimiter");
        check("{a:1}", 1, "Expecting property name enclosed in double quotes");
        check("{} {}", 3, "Extra data");
        check("[NaN]", 1, "Expecting value");
        check("[-Infinity]", 1, "Expecting value");
        check("\n\n{\"a\":x}", 7, "Expecting value");
        check("nul}", 0, "Expecting value");
        check("}{}", 0, "Expecting value");
        check("{\"a\"::1}", 5, "Expecting value");
        check("{\"a\":", 5, "Expecting value");
        check("{\"ä\":1,}", 7, "Expecting property name enclosed in double quotes");
        check("[1,]", 3, "Expecting value");
        check("[1", 2, "Expecting ',' delimiter");
        check("[", 1, "Expecting value");
        check("{\"a\"", 4, "Expecting ':' delimiter");
        check("{\"a\":1", 6, "Expecting ',' delimiter");
        check("\"abc", 0, "Unterminated string starting at");
        check("[1e999]", 1, "Number out of range");
    }
}
