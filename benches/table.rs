//! Figures beside their targets, told to whoever has started a bench to gather them.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;

use serde_json::{Value, json};

/// Names the file that figures are added to, a line of JSON each.
pub const FIGURES: &str = "TRAINYARD_FIGURES";

/// A figure, and how it stands beside its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// With its unit.
    pub measured: String,
    /// Empty for what is worth knowing, and no more.
    pub target: String,
    /// `None` when there is no target, or nothing was measured.
    pub is_met: Option<bool>,
}

impl Figure {
    /// Compares the numbers at the beginnings of `measured` and, behind `>=`, `<=` or `<`, of `target`.
    ///
    /// # Panics
    /// When there is something in either, and no number.
    #[must_use]
    pub fn new(name: &str, measured: &str, target: &str) -> Self {
        let is_met = (!measured.is_empty() && !target.is_empty()).then(|| {
            let (sign, bound) = target.split_once(' ').expect("a sign and a number");
            let (measured, bound) = (number(measured), number(bound));
            match sign {
                ">=" => measured >= bound,
                "<=" => measured <= bound,
                "<" => measured < bound,
                other => panic!("{other} compares nothing"),
            }
        });
        Self::judged(name, measured, target, is_met)
    }

    /// One that was compared with its target already.
    #[must_use]
    pub fn judged(name: &str, measured: &str, target: &str, is_met: Option<bool>) -> Self {
        let [name, measured, target] = [name, measured, target].map(str::to_owned);
        Self { name, measured, target, is_met }
    }

    /// Adds it to the file of figures, if somebody gathers them.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn tell(&self) {
        let Some(file) = env::var_os(FIGURES) else { return };
        let Self { name, measured, target, is_met } = self;
        let line = json!({ "name": name, "measured": measured, "target": target, "met": is_met });
        let mut file = OpenOptions::new().append(true).create(true).open(file).expect("a file for figures");
        writeln!(file, "{line}").expect("a file for figures");
    }

    /// What [`tell`](Self::tell) has written; `None` for anything else.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| line[name].as_str();
        Some(Self::judged(text("name")?, text("measured")?, text("target")?, line["met"].as_bool()))
    }

    /// How it stands, in a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.is_met {
            Some(true) => "met",
            Some(false) => "missed",
            None if self.target.is_empty() => "",
            None => "not measured",
        }
    }
}

fn number(text: &str) -> f64 {
    let word = text.split_whitespace().next().unwrap_or_default().replace(',', "");
    word.parse().unwrap_or_else(|_| panic!("{text} begins with no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_compared_with_its_target() {
        let word = |measured: &str, target: &str| Figure::new("x", measured, target).word();
        assert_eq!(word("200000", ">= 200,000"), "met");
        assert_eq!(word("199999", ">= 200,000"), "missed");
        assert_eq!([word("400 bytes", "<= 400"), word("401 bytes", "<= 400")], ["met", "missed"]);
        assert_eq!([word("0.99", "< 1"), word("1.00", "< 1")], ["met", "missed"]);
        assert_eq!([word("", "<= 3"), word("7 ms", "")], ["not measured", ""]);
    }

    #[test]
    #[should_panic(expected = "no number")]
    fn what_cannot_be_compared_is_not_met_by_chance() {
        let _ = Figure::new("x", "much", ">= 1");
    }
}
