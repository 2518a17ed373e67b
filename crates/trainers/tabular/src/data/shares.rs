//! Which rows are learned from, and which are kept back.

use trainyard_trainkit::Chance;

/// How many of the rows are kept back: for validation, by which learners are judged while they learn, and for the
/// test, which nobody sees before the end.
///
/// ```
/// use trainyard_tabular::Shares;
///
/// let shares = Shares::percent(25, 0).expect("something is left to learn from");
/// assert_ne!(shares, Shares::default());
/// assert_eq!(Shares::percent(60, 40), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    validation: u8,
    test: u8,
}

impl Shares {
    /// So many of a hundred rows; `None` when that leaves nothing to learn from, or to validate by. A test may be
    /// left out: 0.
    #[must_use]
    pub const fn percent(validation: u8, test: u8) -> Option<Self> {
        let kept_back = validation.saturating_add(test);
        if validation > 0 && kept_back < 100 { Some(Self { validation, test }) } else { None }
    }

    /// Of a hundred rows, how many are for validation, and how many for the test.
    pub(crate) const fn percents(self) -> [u8; 2] {
        [self.validation, self.test]
    }

    /// Which part each row of each class is in, as `split[class][n]` for the `n`th row of the class: drawn by the
    /// seed, and for ever the same for the same counts.
    ///
    /// Each class of [`CLASS_ROWS_MIN`] rows or more is in every part; of a smaller one all rows are learned from.
    pub(crate) fn split(self, counts: &[u64], seed: u64) -> Vec<Vec<Part>> {
        let split = counts.iter().zip(0..).map(|(&count, class)| {
            let [validation, test] = self.of(count);
            let rows = usize::try_from(count).expect("counted rows fit in memory");
            let mut parts: Vec<Part> = Vec::with_capacity(rows);
            parts.extend((0..validation).map(|_| Part::Validation));
            parts.extend((0..test).map(|_| Part::Test));
            parts.resize(rows, Part::Train);
            Chance::new(seed, SPLIT + class).shuffle(&mut parts);
            parts
        });
        split.collect()
    }

    /// How many of so many rows of a class are for validation and test.
    fn of(self, count: u64) -> [u64; 2] {
        if count < CLASS_ROWS_MIN {
            return [0, 0];
        }
        let share = |percent: u8| {
            let least = u64::from(percent > 0);
            ((count * u64::from(percent) + 50) / 100).max(least)
        };
        let [mut validation, mut test] = [share(self.validation), share(self.test)];
        // Rounded up, they may leave nothing: whoever has more above its share gives one back, but not its last.
        let fair = |percent: u8| count * u64::from(percent);
        while validation + test >= count {
            let validation_has_more =
                validation * 100 + fair(self.test) >= test * 100 + fair(self.validation);
            if test <= 1 || validation > 1 && validation_has_more { validation -= 1 } else { test -= 1 }
        }
        [validation, test]
    }
}

impl Default for Shares {
    /// Of a hundred rows, 20 for validation and 20 for the test.
    fn default() -> Self {
        Self { validation: 20, test: 20 }
    }
}

/// What a row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Train,
    Validation,
    Test,
}

/// How many rows a class needs to be in every part.
pub(crate) const CLASS_ROWS_MIN: u64 = 3;
/// The first of the streams of chance that are for splits, one per class.
const SPLIT: u64 = 1 << 32;
