//! What the script of CI runs.

use std::collections::BTreeSet;

/// The script, as far as tests go.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Titles of steps, and when they run.
    pub(crate) steps: Vec<(String, Tier)>,
    /// Every call of `cargo test`.
    pub(crate) runs: Vec<Run>,
    /// Patterns of examples that a loop runs.
    pub(crate) examples: Vec<(String, Tier)>,
}

/// When something runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    /// At every change.
    Always,
    /// With `--full`.
    Full,
}

/// One call of `cargo test`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// When it runs.
    pub(crate) tier: Tier,
    /// The packages, or all of them when there is none.
    pub(crate) packages: BTreeSet<String>,
    /// Packages that are left out.
    pub(crate) excluded: BTreeSet<String>,
    /// Features that are switched on.
    pub(crate) features: BTreeSet<String>,
    /// Whether all features are on.
    pub(crate) all_features: bool,
    /// Whether the default ones are on.
    pub(crate) default_features: bool,
    /// What `--cfg` sets.
    pub(crate) cfgs: BTreeSet<String>,
    /// Variables that are set for it.
    pub(crate) variables: BTreeSet<String>,
    /// Whether it is optimised, without debug assertions.
    pub(crate) release: bool,
    /// Whether it runs a library, programs, and which tests; all of them when nothing is asked for.
    pub(crate) targets: BTreeSet<Chosen>,
    /// Parts of names; all tests when there is none.
    pub(crate) names: BTreeSet<String>,
    /// What it does about tests that are marked as ignored.
    pub(crate) ignored: Ignored,
}

/// A target, or a kind of targets, that a call asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chosen {
    /// The library.
    Lib,
    /// The programs.
    Bins,
    /// Every file of tests.
    Tests,
    /// One file of tests.
    Test(String),
    /// One example that has tests.
    Example(String),
    /// Examples in documentation.
    Doc,
}

/// What a call does about tests that are marked as ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ignored {
    /// Passes them over.
    Skipped,
    /// Runs them too.
    Included,
    /// Runs nothing else.
    Only,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    ///
    /// What is not understood: it is better to teach this reader than to believe that a test runs.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        // The number of `if`s that are open since the one that asks for the long runs, with it.
        let mut full = 0_usize;
        let mut here_document: Option<String> = None;
        for line in text.replace("\\\n", " ").lines() {
            if let Some(end) = &here_document {
                if line.trim() == end {
                    here_document = None;
                }
                continue;
            }
            here_document = line.split_once("<<").and_then(|(_, after)| {
                let word = after.trim_start_matches(['<', '-']).split_whitespace().next()?;
                (!after.starts_with('<')).then(|| word.trim_matches(['\'', '"']).to_owned())
            });
            let tier = if full > 0 { Tier::Full } else { Tier::Always };
            let Some(words) = words(line) else { continue };
            match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["if", .., "fi"] => {}
                ["if", "[", "$full", "=", "yes", "]", ";", "then"] => full += 1,
                ["if", ..] if full > 0 => full += 1,
                ["fi", ..] => full = full.saturating_sub(1),
                ["else" | "elif", ..] if full == 1 => return Err("`else` of the long runs".to_owned()),
                ["step", title] => script.steps.push(((*title).to_owned(), tier)),
                ["for", "example", "in", patterns @ .., "do"] => {
                    let patterns = patterns.iter().filter(|pattern| **pattern != ";");
                    script.examples.extend(patterns.map(|pattern| ((*pattern).to_owned(), tier)));
                }
                words => {
                    for command in words.split(|word| ["&&", "||", ";", "|"].contains(word)) {
                        if let Some(at) = command.windows(2).position(|pair| pair == ["cargo", "test"]) {
                            script.runs.extend(Run::read(tier, &command[..at], &command[at + 2..])?);
                        }
                    }
                }
            }
        }
        Ok(script)
    }
}

impl Run {
    /// Every test of every package, as `cargo test --workspace` runs them.
    pub(crate) fn of_everything(tier: Tier) -> Self {
        Self {
            tier,
            packages: BTreeSet::new(),
            excluded: BTreeSet::new(),
            features: BTreeSet::new(),
            all_features: false,
            default_features: true,
            cfgs: BTreeSet::new(),
            variables: BTreeSet::new(),
            release: false,
            targets: BTreeSet::new(),
            names: BTreeSet::new(),
            ignored: Ignored::Skipped,
        }
    }

    /// What stands before and after `cargo test`. `None` when it only builds.
    fn read(tier: Tier, before: &[&str], after: &[&str]) -> Result<Option<Self>, String> {
        let mut run = Self::of_everything(tier);
        run.variables = before.iter().filter_map(|word| Some(word.split_once('=')?.0.to_owned())).collect();
        for flags in before.iter().filter_map(|word| word.strip_prefix("RUSTFLAGS=")) {
            let flags: Vec<_> = flags.split_whitespace().collect();
            let set = flags.windows(2).filter(|pair| pair[0] == "--cfg").map(|pair| pair[1].to_owned());
            run.cfgs.extend(set);
        }
        let mut all = false;
        let mut words = after.iter().take_while(|word| !word.starts_with(['>', '<']) && **word != "2>&1");
        while let Some(word) = words.next() {
            let mut value = || {
                let value = words.next().ok_or_else(|| format!("`{word}` of `cargo test` without a value"));
                value.map(|value| (*value).to_owned())
            };
            match *word {
                "--workspace" | "--all" => all = true,
                "-p" | "--package" => _ = run.packages.insert(value()?),
                "--exclude" => _ = run.excluded.insert(value()?),
                "-F" | "--features" => run.features.extend(value()?.split([',', ' ']).map(str::to_owned)),
                "--all-features" => run.all_features = true,
                "--no-default-features" => run.default_features = false,
                "--release" | "-r" => run.release = true,
                "--profile" => run.release = value()? != "dev",
                "--no-run" => return Ok(None),
                "--lib" => _ = run.targets.insert(Chosen::Lib),
                "--bins" => _ = run.targets.insert(Chosen::Bins),
                "--tests" => run.targets.extend([Chosen::Lib, Chosen::Bins, Chosen::Tests]),
                "--test" => _ = run.targets.insert(Chosen::Test(value()?)),
                "--example" => _ = run.targets.insert(Chosen::Example(value()?)),
                "--doc" => _ = run.targets.insert(Chosen::Doc),
                "--ignored" => run.ignored = Ignored::Only,
                "--include-ignored" => run.ignored = Ignored::Included,
                "--test-threads" | "--target-dir" | "--jobs" | "-j" => _ = value()?,
                "--" | "--locked" | "--offline" | "--quiet" | "-q" | "--no-fail-fast" | "--nocapture" => {}
                name if !name.starts_with('-') => _ = run.names.insert(name.to_owned()),
                flag if flag.starts_with("--test-threads=") => {}
                other => return Err(format!("`{other}` of `cargo test` in the script of CI")),
            }
        }
        if !all && run.packages.is_empty() {
            return Err(
                "`cargo test` in the script of CI names neither a package nor the workspace".to_owned()
            );
        }
        if all {
            run.packages.clear();
        }
        Ok(Some(run))
    }
}

/// The words of a line, as the shell takes them; a `;` is one of its own.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for word in shlex::split(line)? {
        match word.strip_suffix(';') {
            Some(word) if !word.is_empty() => words.extend([word.to_owned(), ";".to_owned()]),
            Some(_) | None => words.push(word),
        }
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = r#"
#!/usr/bin/env bash
full=no
[ "${1:-}" = "--full" ] && full=yes
# cargo test -p nobody
step "all of it" # and this is why
if ! cargo deny --version; then
  cargo install cargo-deny
fi
cargo test --workspace --locked
python3 - "$url" <<'PYTHON'
print("it's", "cargo test -p python")
PYTHON
step examples
for example in examples/a/*.rs examples/b/*.rs; do
  cargo run --example "$(basename "$example" .rs)"
done
if [ "$full" = yes ]; then
  step long
  LONG=1 RUSTFLAGS="--cfg shuttle -C opt-level=3" nice cargo test --release -p one -p two \
    --features a,b --lib --test some name -- --include-ignored && cargo test -p three >out
  if true; then
    step longer
  fi
  for seed in 1 2; do cargo test -p three; done
  cargo test -p four --no-run
fi
step done
"#;

    #[test]
    fn what_a_script_runs_is_read() {
        let script = Script::read(SCRIPT).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let steps: Vec<_> = script.steps.iter().map(|(title, tier)| (title.as_str(), *tier)).collect();
        let full = [("long", Tier::Full), ("longer", Tier::Full)];
        let always = [("all of it", Tier::Always), ("examples", Tier::Always), ("done", Tier::Always)];
        assert_eq!(steps, [&always[..2], &full, &always[2..]].concat());
        let examples = ["examples/a/*.rs", "examples/b/*.rs"];
        assert_eq!(script.examples, examples.map(|pattern| (pattern.to_owned(), Tier::Always)));
        let long = Run {
            packages: names(&["one", "two"]),
            features: names(&["a", "b"]),
            cfgs: names(&["shuttle"]),
            variables: names(&["LONG", "RUSTFLAGS"]),
            release: true,
            targets: [Chosen::Lib, Chosen::Test("some".to_owned())].into(),
            names: names(&["name"]),
            ignored: Ignored::Included,
            ..Run::of_everything(Tier::Full)
        };
        let three = Run { packages: names(&["three"]), ..Run::of_everything(Tier::Full) };
        assert_eq!(script.runs, [Run::of_everything(Tier::Always), long, three.clone(), three]);
    }

    #[test]
    fn what_is_not_understood_is_no_run() {
        for line in ["cargo test", "cargo test --workspace --partition 1/2", "cargo test -p"] {
            Script::read(line).expect_err(line);
        }
        Script::read("if [ \"$full\" = yes ]; then\n  step a\nelse\n  step b\nfi").unwrap_err();
    }
}
