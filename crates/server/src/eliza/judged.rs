//! What a benchmark of a built-in backend comes to.

use trainyard_core::Score;
use trainyard_eliza::{Refused, Scores};

use super::ElizaFigures;

/// Three scores, each within 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Triple {
    pub(super) coherence: f64,
    pub(super) consistency: f64,
    pub(super) helpfulness: f64,
}

/// Scores on the same rows without what was learned, and with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Judged {
    pub(super) rows: usize,
    pub(super) before: Triple,
    pub(super) after: Triple,
}

impl Triple {
    pub(super) fn mean(&self) -> f64 {
        (self.coherence + self.consistency + self.helpfulness) / 3.0
    }
}

impl Judged {
    /// As whoever asked is told.
    pub(super) fn figures(&self, is_passed: bool) -> Result<ElizaFigures, Refused> {
        let Self { rows, before, after } = self;
        let score = |value: f64| Score::new(value).map_err(|error| Refused::Unfit(error.to_string()));
        let scores = Scores {
            coherence: score(after.coherence)?,
            consistency: score(after.consistency)?,
            helpfulness: score(after.helpfulness)?,
        };
        let lines = [
            ("coherence", before.coherence, after.coherence),
            ("consistency", before.consistency, after.consistency),
            ("helpfulness", before.helpfulness, after.helpfulness),
            ("mean", before.mean(), after.mean()),
        ];
        let lines = lines.map(|(what, before, after)| format!("{what} {before:.4} -> {after:.4}"));
        let output = format!("before -> after, on {rows} held-out rows\n{}", lines.join("\n"));
        Ok(ElizaFigures { is_passed, scores: Some(scores), output })
    }
}

/// How much it hangs together by itself what somebody says: of the runs of three words in it, the share that are not said
/// again. 1 where there are fewer than three words, 0 where there are none.
pub(super) fn flow(text: &str) -> f64 {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let mut runs: Vec<&[String]> = words.windows(3).collect();
    let all = runs.len();
    if all == 0 {
        return f64::from(u8::from(!words.is_empty()));
    }
    runs.sort_unstable();
    runs.dedup();
    trainyard_trainkit::real(runs.len()) / trainyard_trainkit::real(all)
}

/// Whether there is a whole JSON object in a text, or a list: 1 or 0.
pub(super) fn form(text: &str) -> f64 {
    let begins = text.match_indices(['{', '[']).take(BEGINNINGS);
    let is_whole = begins.into_iter().any(|(begin, _)| {
        let mut read = serde_json::Deserializer::from_str(&text[begin..]).into_iter::<serde_json::Value>();
        matches!(read.next(), Some(Ok(_)))
    });
    f64::from(u8::from(is_whole))
}

/// So many places of a text are looked at where JSON may begin.
const BEGINNINGS: usize = 16;

/// Nobody waits for it any more.
pub(super) fn stopped() -> Refused {
    Refused::Upstream("the service is stopping; ask again when it is there again".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_the_same_for_ever_does_not_hang_together() {
        for (text, score) in
            [("", 0.0), ("yes", 1.0), ("one two three four", 1.0), ("a b c a B C a b c", 3.0 / 7.0)]
        {
            assert_eq!(flow(text), score, "{text}");
        }
        assert!(flow(&"no ".repeat(300)) < 0.01);
        for (text, score) in
            [(r#"Sure: {"action": "IGNORE"} so"#, 1.0), ("[1]", 1.0), (r#"{"action": "#, 0.0), ("yes", 0.0)]
        {
            assert_eq!(form(text), score, "{text}");
        }
    }

    #[test]
    fn both_are_told_and_the_later_counts() {
        let triple = |score| Triple { coherence: score, consistency: score, helpfulness: score };
        let judged = Judged { rows: 7, before: triple(0.25), after: triple(0.5) };
        let figures = judged.figures(true).unwrap();
        assert!(
            figures.output.starts_with("before -> after, on 7 held-out rows\ncoherence 0.2500 -> 0.5000\n")
        );
        assert_eq!(figures.scores.unwrap().helpfulness.get(), 0.5);
        assert!(Judged { after: triple(f64::NAN), ..judged }.figures(true).is_err());
    }
}
