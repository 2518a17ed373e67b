//! Whether what the list names is there, and run.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::packages::{self, Package, Target};
use crate::row::{Evidence, Level, Row};
use crate::script::{Script, Tier};
use crate::source::{self, TestFn};

/// The source, and what CI runs of it.
pub(crate) struct Checker {
    root: PathBuf,
    packages: Vec<Package>,
    script: Script,
    /// Tests by the file that their target begins with.
    tests: RefCell<BTreeMap<PathBuf, Rc<Vec<TestFn>>>>,
}

impl Checker {
    /// Of the repository at this folder.
    ///
    /// # Errors
    ///
    /// What cannot be read.
    pub(crate) fn of(root: &Path) -> Result<Self, String> {
        let script = fs::read_to_string(root.join(".ci/run"))
            .map_err(|error| format!("could not read the script of CI: {error}"))?;
        Self::new(root, packages::read(root)?, &script)
    }

    /// Of these packages, if CI ran this script.
    ///
    /// # Errors
    ///
    /// What is not understood.
    pub(crate) fn new(root: &Path, packages: Vec<Package>, script: &str) -> Result<Self, String> {
        let script = Script::read(script)?;
        Ok(Self { root: root.to_owned(), packages, script, tests: RefCell::default() })
    }

    /// What is wrong with these rows. Nothing, when all is well.
    pub(crate) fn complaints(&self, rows: &[Row]) -> Vec<String> {
        let mut found = Vec::new();
        let mut promises = BTreeSet::new();
        for row in rows {
            let mut say = |what: String| found.push(format!("{}: {what}", row.promise));
            if !promises.insert(row.promise) {
                say("it is there twice".to_owned());
            }
            for text in texts(row) {
                if text.trim() != text || text.is_empty() || text.contains(['|', '\n']) {
                    say(format!("{text:?} does not fit into a table"));
                }
            }
            let mut tiers = BTreeSet::new();
            for evidence in row.evidence() {
                let each = self.tiers(evidence);
                if each.is_empty() {
                    say("evidence without a name".to_owned());
                }
                for tier in each {
                    tier.map_or_else(&mut say, |tier| _ = tiers.insert(tier));
                }
            }
            match row.level {
                Level::Guaranteed { evidence: [], .. } | Level::BestEffort { evidence: [], .. } => {
                    say("nothing shows it".to_owned());
                }
                Level::Guaranteed { .. } if !tiers.contains(&Tier::Always) => {
                    say("nothing that runs at every change shows it".to_owned());
                }
                Level::Guaranteed { .. } | Level::BestEffort { .. } | Level::NotPromised { .. } => {}
            }
        }
        found
    }

    /// When this runs, name by name; or why it does not.
    pub(crate) fn tiers(&self, evidence: &Evidence) -> Vec<Result<Tier, String>> {
        match evidence {
            Evidence::Tests { file, names } => names.iter().map(|name| self.test(file, name)).collect(),
            Evidence::Example(file) => vec![self.example(file)],
            Evidence::Step(title) => vec![
                earliest(self.script.steps.iter().filter(|(step, _)| step == title).map(|(_, tier)| *tier))
                    .ok_or_else(|| format!("CI has no step {title:?}")),
            ],
        }
    }

    fn test(&self, file: &str, name: &str) -> Result<Tier, String> {
        let path = self.root.join(file);
        if !path.is_file() {
            return Err(format!("there is no file {file}"));
        }
        let around = self.packages.iter().filter(|package| path.starts_with(&package.folder));
        let package = around
            .max_by_key(|package| package.folder.components().count())
            .ok_or_else(|| format!("{file} belongs to no package"))?;
        let is_root = |target: &&Target| target.root == path;
        let mut found = self.tests_called(name, package.targets.iter().filter(is_root))?;
        found.retain(|(_, test)| test.file == path);
        if found.is_empty() {
            let (here, elsewhere): (Vec<_>, Vec<_>) = self
                .tests_called(name, &package.targets)?
                .into_iter()
                .partition(|(_, test)| test.file == path);
            found = here;
            if found.is_empty() {
                let files = elsewhere.iter().filter_map(|(_, test)| test.file.strip_prefix(&self.root).ok());
                let hint: BTreeSet<_> = files.map(|file| format!("; it is in {}", file.display())).collect();
                let hint: String = hint.into_iter().collect();
                return Err(format!("{file} has no test {name}{hint}"));
            }
        }
        let roots: BTreeSet<_> = found.iter().map(|(target, _)| &target.root).collect();
        if roots.len() < found.len() {
            return Err(format!("{file} has more than one test {name}: name its module too"));
        }
        let mut tiers = Vec::new();
        for (target, test) in &found {
            for run in &self.script.runs {
                let is_run = package.is_run(target, test, run);
                if is_run.map_err(|what| format!("{name} in {file}: {what} is not understood"))? {
                    tiers.push(run.tier);
                }
            }
        }
        earliest(tiers).ok_or_else(|| {
            format!(
                "CI does not run {name} in {file}: it is ignored, looks away unless a variable is set, or a `cfg` or a \
                 feature keeps it out"
            )
        })
    }

    fn tests_called<'a>(
        &self,
        name: &str,
        targets: impl IntoIterator<Item = &'a Target>,
    ) -> Result<Vec<(&'a Target, TestFn)>, String> {
        let mut found = Vec::new();
        for target in targets {
            let tests = self.tests_of(target)?;
            found.extend(tests.iter().filter(|test| test.is_called(name)).map(|test| (target, test.clone())));
        }
        Ok(found)
    }

    fn tests_of(&self, target: &Target) -> Result<Rc<Vec<TestFn>>, String> {
        if let Some(known) = self.tests.borrow().get(&target.root) {
            return Ok(Rc::clone(known));
        }
        let tests = Rc::new(source::tests_of(&target.root)?);
        self.tests.borrow_mut().insert(target.root.clone(), Rc::clone(&tests));
        Ok(tests)
    }

    fn example(&self, file: &str) -> Result<Tier, String> {
        if !self.root.join(file).is_file() {
            return Err(format!("there is no example {file}"));
        }
        let folder = Path::new(file).parent().map(|folder| folder.join("*.rs")).unwrap_or_default();
        let patterns = self.script.examples.iter();
        earliest(patterns.filter(|(pattern, _)| Path::new(pattern) == folder).map(|(_, tier)| *tier))
            .ok_or_else(|| format!("CI does not run the example {file}"))
    }
}

fn earliest(tiers: impl IntoIterator<Item = Tier>) -> Option<Tier> {
    tiers.into_iter().min()
}

fn texts<'a>(row: &Row<'a>) -> [&'a str; 2] {
    let other = match row.level {
        Level::Guaranteed { danger: text, .. }
        | Level::BestEffort { limit: text, .. }
        | Level::NotPromised { because: text } => text,
    };
    [row.promise, other]
}
