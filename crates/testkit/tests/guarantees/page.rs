//! The list as a part of a page.

use std::fmt::Write;
use std::path::Path;

use crate::check::Checker;
use crate::row::{Evidence, Level, Row};
use crate::script::Tier;

const BEGIN: &str = "<!-- made from crates/testkit/tests/guarantees/list.rs: begin -->";
const END: &str = "<!-- made from crates/testkit/tests/guarantees/list.rs: end -->";

/// The page with the part between its two marks made anew.
///
/// # Errors
///
/// A page without the marks.
pub(crate) fn renewed(page: &str, rows: &[Row], checker: &Checker) -> Result<String, String> {
    let (before, rest) = page.split_once(BEGIN).ok_or("the page has no mark where the list begins")?;
    let (_, after) = rest.split_once(END).ok_or("the page has no mark where the list ends")?;
    Ok(format!("{before}{BEGIN}\n\n{}\n{END}{after}", part(rows, checker)))
}

/// The text beside the promise, if a row is of this level.
type OtherText = for<'a> fn(&Level<'a>) -> Option<&'a str>;

fn part(rows: &[Row], checker: &Checker) -> String {
    let mut text = String::new();
    let mut table = |title: &str, meaning: &str, head: [&str; 3], of: OtherText| {
        let chosen: Vec<_> = rows.iter().filter_map(|row| Some((row, of(&row.level)?))).collect();
        if chosen.is_empty() {
            return;
        }
        let gap = if text.is_empty() { "" } else { "\n" };
        let head: Vec<_> = head.into_iter().filter(|name| !name.is_empty()).collect();
        let line = vec!["---"; head.len()];
        _ = write!(text, "{gap}## {title}\n\n{meaning}\n\n| {} |\n|{}|\n", head.join(" | "), line.join("|"));
        for (row, other) in chosen {
            _ = write!(text, "| {} | {other} |", row.promise);
            if head.len() == 3 {
                let guards: Vec<_> = row.evidence().iter().map(|evidence| shown(evidence, checker)).collect();
                _ = write!(text, " {} |", guards.join("; "));
            }
            text.push('\n');
        }
    };
    table(
        "What is guaranteed",
        "Holds whatever happens, short of what is said further down. Every row names tests that fail when it is \
         broken; the checks run them at every change, and fail when one of them is gone, ignored or no longer run.",
        ["promise", "how it could be broken", "who stands guard"],
        |level| match level {
            Level::Guaranteed { danger, .. } => Some(danger),
            Level::BestEffort { .. } | Level::NotPromised { .. } => None,
        },
    );
    table(
        "What is done as well as can be",
        "Holds as far as it is said to. What is ours of it is tested in the same way.",
        ["promise", "where it ends", "who stands guard"],
        |level| match level {
            Level::BestEffort { limit, .. } => Some(limit),
            Level::Guaranteed { .. } | Level::NotPromised { .. } => None,
        },
    );
    table(
        "What is not promised",
        "Does not hold, though one might think so.",
        ["one might think that", "but", ""],
        |level| match level {
            Level::NotPromised { because } => Some(because),
            Level::Guaranteed { .. } | Level::BestEffort { .. } => None,
        },
    );
    text
}

/// Evidence with a link to where it stands, from a page in `docs/`.
fn shown(evidence: &Evidence, checker: &Checker) -> String {
    let tiers = checker.tiers(evidence);
    let late = |at: usize| match tiers.get(at) {
        Some(Ok(Tier::Full)) => " (with `--full`)",
        Some(Ok(Tier::Always) | Err(_)) | None => "",
    };
    match evidence {
        Evidence::Tests { file, names } => {
            let names: Vec<_> =
                names.iter().enumerate().map(|(at, name)| format!("`{name}`{}", late(at))).collect();
            let short = file.strip_prefix("crates/").unwrap_or(file);
            format!("{} in [{short}](../{file})", names.join(", "))
        }
        Evidence::Example(file) => {
            let name = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
            format!("the example [{name}](../{file}){}", late(0))
        }
        Evidence::Step(title) => format!("the step “{title}” of [.ci/run](../.ci/run){}", late(0)),
    }
}
