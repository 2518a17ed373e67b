//! What a row of the list is made of.

/// One promise, or one that is not made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    /// What a user may rely on, or might.
    pub(crate) promise: &'a str,
    /// How far, and why.
    pub(crate) level: Level<'a>,
}

/// How far a promise goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Level<'a> {
    /// Holds, whatever happens, and is shown at every change.
    Guaranteed {
        /// How it could be broken.
        danger: &'a str,
        /// Who stands guard. At least one of them runs at every change.
        evidence: &'a [Evidence<'a>],
    },
    /// Holds up to a limit that is known.
    BestEffort {
        /// Where it ends.
        limit: &'a str,
        /// What is shown of it.
        evidence: &'a [Evidence<'a>],
    },
    /// Does not hold, though one might think so.
    NotPromised {
        /// Why, and what is done instead.
        because: &'a str,
    },
}

/// Something that CI runs and that fails when a promise is broken.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Evidence<'a> {
    /// Test functions of one file.
    Tests {
        /// From the root of the repository.
        file: &'a str,
        /// Names, with modules before them (`tests::name`) where a file has two of one name.
        names: &'a [&'a str],
    },
    /// An example, which asserts its own result. The file from the root of the repository.
    Example(&'a str),
    /// A step of the script of CI, by its title.
    Step(&'a str),
}

/// A promise that holds, whatever happens.
pub(crate) const fn guaranteed<'a>(
    promise: &'a str,
    danger: &'a str,
    evidence: &'a [Evidence<'a>],
) -> Row<'a> {
    Row { promise, level: Level::Guaranteed { danger, evidence } }
}

/// A promise that holds up to a limit that is known.
pub(crate) const fn best_effort<'a>(
    promise: &'a str,
    limit: &'a str,
    evidence: &'a [Evidence<'a>],
) -> Row<'a> {
    Row { promise, level: Level::BestEffort { limit, evidence } }
}

/// What one might expect, and must not.
pub(crate) const fn not_promised<'a>(promise: &'a str, because: &'a str) -> Row<'a> {
    Row { promise, level: Level::NotPromised { because } }
}

/// Test functions of one file.
pub(crate) const fn tests<'a>(file: &'a str, names: &'a [&'a str]) -> Evidence<'a> {
    Evidence::Tests { file, names }
}

/// An example that CI runs.
pub(crate) const fn example<'a>(file: &'a str) -> Evidence<'a> {
    Evidence::Example(file)
}

/// A step of the script of CI.
pub(crate) const fn step<'a>(title: &'a str) -> Evidence<'a> {
    Evidence::Step(title)
}

impl<'a> Row<'a> {
    /// Who stands guard.
    pub(crate) fn evidence(&self) -> &'a [Evidence<'a>] {
        match self.level {
            Level::Guaranteed { evidence, .. } | Level::BestEffort { evidence, .. } => evidence,
            Level::NotPromised { .. } => &[],
        }
    }
}
