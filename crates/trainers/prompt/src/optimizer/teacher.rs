//! What a model is asked when it is to write prompts, and how its answer is read.

use trainyard_trajectories::Row;

use crate::model::Request;
use crate::shown::{SHOWN_BYTES_MAX, cut};

/// How warm, and how long, an answer may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice {
    pub(super) temperature: f64,
    pub(super) max_tokens: u32,
}

/// Asks for another way to say it.
pub(super) fn rewrite(voice: Voice, instruction: &str, examples: &[Row]) -> Request {
    let shown: String = examples.iter().take(SHOWN).map(shown).collect();
    let wish = "Write a better version of the prompt: one under which a model gives exactly the expected outputs, in \
        their form, and for inputs like these too.";
    ask(voice, &format!("{}{shown}\n{wish}", tagged(instruction)))
}

/// Asks for what a diagnosis suggests.
pub(super) fn mend(voice: Voice, instruction: &str, diagnosis: &str) -> Request {
    let wish = "Write a version of the prompt that mends this and keeps what works.";
    ask(voice, &format!("{}\n<diagnosis>\n{diagnosis}\n</diagnosis>\n\n{wish}", tagged(instruction)))
}

/// Asks for the same in fewer words.
pub(super) fn compress(voice: Voice, instruction: &str) -> Request {
    let wish =
        "Write a shorter version of the prompt. Leave out what makes no difference, and keep every rule.";
    ask(voice, &format!("{}\n{wish}", tagged(instruction)))
}

/// Asks for the best of two.
pub(super) fn cross(voice: Voice, first: &str, second: &str) -> Request {
    let wish = "Write one prompt that joins the strengths of both, without saying anything twice.";
    ask(voice, &format!("{}\n{}\n{wish}", tagged(first), tagged(second)))
}

/// Asks what goes wrong, given examples with what was answered.
pub(super) fn reflect(voice: Voice, instruction: &str, answered: &[(&Row, String)]) -> Request {
    let mut user = tagged(instruction);
    for (example, actual) in answered {
        user.push_str(&shown(example));
        user.push_str(&format!("<actual>{}</actual>\n", cut(actual, SHOWN_BYTES_MAX)));
    }
    user.push_str("\nSay in two or three sentences what about the prompt makes actual outputs differ from the expected.");
    let Voice { temperature, max_tokens } = voice;
    Request { temperature, max_tokens, ..Request::new(CRITIC, user) }
}

/// The prompt in an answer: what stands between tags or fences, or all of it. `None` where nothing does.
pub(super) fn written(answer: &str) -> Option<String> {
    let text = between(answer, "<prompt>", "</prompt>").unwrap_or(answer).trim();
    let text = match text.strip_prefix("```") {
        Some(fenced) => {
            fenced.split_once('\n').map_or("", |(_, rest)| rest).trim_end().trim_end_matches('`').trim()
        }
        None => text,
    };
    (!text.is_empty()).then(|| text.to_owned())
}

fn between<'t>(text: &'t str, begin: &str, end: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(begin)?;
    Some(rest.rsplit_once(end).map_or(rest, |(inner, _)| inner))
}

fn ask(voice: Voice, user: &str) -> Request {
    let Voice { temperature, max_tokens } = voice;
    Request { temperature, max_tokens, ..Request::new(WRITER, user) }
}

fn tagged(instruction: &str) -> String {
    format!("<prompt>\n{instruction}\n</prompt>\n")
}

fn shown(example: &Row) -> String {
    let Row { user, expected, .. } = example;
    let (input, expected) = (cut(user, SHOWN_BYTES_MAX), cut(expected, SHOWN_BYTES_MAX));
    format!("\n<input>{input}</input>\n<expected>{expected}</expected>\n")
}

const WRITER: &str = "You write system prompts for language models. Answer with the new prompt alone, between <prompt> \
    and </prompt>.";
const CRITIC: &str = "You find out why a system prompt fails. Be short and concrete.";
/// Examples that are shown with a wish.
const SHOWN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_read_out_of_an_answer() {
        for (answer, prompt) in [
            ("Here:\n<prompt>\nBe good.\n</prompt>\nDone.", Some("Be good.")),
            ("<prompt>cut off at the", Some("cut off at the")),
            ("<prompt>say <prompt> and </prompt></prompt>", Some("say <prompt> and </prompt>")),
            ("```text\nBe good.\n```", Some("Be good.")),
            ("Be good.", Some("Be good.")),
            (" \n", None),
            ("<prompt></prompt>", None),
            ("```", None),
        ] {
            assert_eq!(written(answer).as_deref(), prompt, "{answer:?}");
        }
    }
}
