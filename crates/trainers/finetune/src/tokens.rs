//! Text as tokens: its bytes, and marks for who speaks.
//!
//! | token | what |
//! |---|---|
//! | 0 to 255 | a byte of UTF-8 |
//! | 256 | a text begins |
//! | 257 | what the system says follows |
//! | 258 | what the user says follows |
//! | 259 | the answer follows |
//! | 260 | the answer ends |
//! | 261 to 263 | nothing; they round the count up to a multiple of eight |

/// A text as a model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) tokens: Vec<u16>,
    /// The first token of the answer.
    pub(crate) answer: usize,
}

impl Text {
    /// What was said and answered, as one token more than fit into the context: the last is foreseen only.
    ///
    /// What comes before the answer is what [`before_answer`] has, whatever the answer is: else a model would learn to
    /// answer something else than it is asked. An answer that is longer than what is left is cut at its end.
    pub(crate) fn new(system: &str, user: &str, answer: &str, context: usize) -> Self {
        let mut tokens = before_answer(system, user, context);
        let first = tokens.len();
        let length = answer.len().min(context - first);
        tokens.extend(bytes(&answer.as_bytes()[..length]));
        tokens.push(END);
        Self { tokens, answer: first }
    }
}

/// What comes before an answer, and its marks.
///
/// What is longer than two thirds is cut, for an answer: what the user says at its beginning, down to three quarters of
/// that; and what the system says at its end.
pub(crate) fn before_answer(system: &str, user: &str, context: usize) -> Vec<u16> {
    let room = context - MARKS - (context - MARKS) / ANSWER_PART;
    let user_room = user.len().min(room.saturating_sub(system.len()).max(room - room / 4));
    let system_room = system.len().min(room - user_room);
    let mut tokens = Vec::with_capacity(user_room + system_room + MARKS);
    tokens.extend([BEGIN, SYSTEM]);
    tokens.extend(bytes(&system.as_bytes()[..system_room]));
    tokens.push(USER);
    tokens.extend(bytes(&user.as_bytes()[user.len() - user_room..]));
    tokens.push(ANSWER);
    tokens
}

/// What tokens say, up to the first mark; bytes that are no text are replaced.
pub(crate) fn said(tokens: &[u16]) -> String {
    let bytes: Vec<u8> = tokens.iter().map_while(|&token| u8::try_from(token).ok()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn bytes(text: &[u8]) -> impl Iterator<Item = u16> {
    text.iter().map(|&byte| u16::from(byte))
}

/// How many tokens there are.
pub(crate) const COUNT: usize = 264;

pub(crate) const BEGIN: u16 = 256;
const SYSTEM: u16 = 257;
const USER: u16 = 258;
const ANSWER: u16 = 259;
/// The answer ends.
pub(crate) const END: u16 = 260;
/// Before an answer.
const MARKS: usize = 4;
/// An answer may always have one of so many parts.
const ANSWER_PART: usize = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_its_bytes_between_marks() {
        let text = Text::new("s", "uv", "é", 64);
        assert_eq!(text.tokens, [256, 257, 115, 258, 117, 118, 259, 195, 169, 260]);
        assert_eq!(text.answer, 7);
        assert_eq!(said(&text.tokens[7..]), "é");
        assert_eq!(before_answer("s", "uv", 64), text.tokens[..7]);
        assert_eq!(said(&[104, 105, 195, 261, 104]), "hi\u{fffd}");
    }

    proptest! {
        #[test]
        fn whatever_is_said_fits_and_what_fits_is_whole(
            system in ".{0,90}", user in ".{0,90}", answer in ".{0,90}", context in 8_usize..300,
        ) {
            let text = Text::new(&system, &user, &answer, context);
            prop_assert!(text.tokens.len() <= context + 1);
            prop_assert!(text.answer < text.tokens.len());
            prop_assert_eq!(text.tokens.last(), Some(&END));
            let whole = system.len() + user.len() + answer.len() + MARKS + 1;
            let is_short = system.len() + user.len() <= context - MARKS - (context - MARKS) / ANSWER_PART;
            if is_short && whole <= context + 1 {
                prop_assert_eq!(text.tokens.len(), whole);
                prop_assert_eq!(said(&text.tokens[text.answer..]), answer.as_str());
            }
            let before = before_answer(&system, &user, context);
            prop_assert_eq!(&text.tokens[..text.answer], &before, "it is asked as it was taught");
            prop_assert!(context - before.len() >= (context - MARKS) / ANSWER_PART, "an answer has room");
            if answer.len() > context - before.len() {
                prop_assert_eq!(text.tokens.len(), context + 1, "no room is left over");
            }
        }
    }
}
