//! What is in a CSV: the first looks at it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;

use sha2::{Digest, Sha256};

use super::coding::{is_missing, number};
use super::error::beginning;
use super::reading::{Records, Trouble};
use super::schema::{CLASSES_MAX, DICTIONARY_MAX, Feature, Fields};
use super::shares::CLASS_ROWS_MIN;
use super::{Limits, Refusal};

/// What a CSV has to learn from.
pub(crate) struct Survey {
    pub(crate) names: Vec<String>,
    pub(crate) rows: u64,
    pub(crate) features: Vec<Seen>,
    /// How many rows each class has.
    pub(crate) classes: BTreeMap<String, u64>,
}

/// What is in a column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) are_numbers: bool,
    pub(crate) missing: bool,
}

impl Survey {
    /// Reads all of it once.
    pub(crate) fn take<R: Read>(mut records: Records<'_, R>, limits: &Limits) -> Result<Self, Trouble> {
        let names = records.names().to_vec();
        let columns = names.len();
        if columns < COLUMNS_MIN {
            return Err(Refusal::TooFewColumns { columns }.into());
        }
        let mut ids = Ids::default();
        let mut columns = Columns::new(columns - 2);
        let mut classes = Classes { max: limits.classes.min(CLASSES_MAX), rows: BTreeMap::new() };
        let features = columns.seen.len();
        while records.advance()? {
            if records.rows().saturating_mul(features as u64) > limits.cells {
                return Err(Refusal::TooManyFields { max: limits.cells, features }.into());
            }
            ids.see(&records)?;
            columns.see(records.record().iter().skip(1).take(features));
            classes.see(&records, features + 1)?;
        }
        let Columns { seen, varies, .. } = columns;
        let survey = Self { names, rows: records.rows(), features: seen, classes: classes.rows };
        survey.check(&varies)?;
        Ok(survey)
    }

    /// Whether there is something to learn.
    fn check(&self, varies: &[bool]) -> Result<(), Refusal> {
        if self.rows == 0 {
            return Err(Refusal::NoRows);
        }
        if let (1, Some(class)) = (self.classes.len(), self.classes.keys().next()) {
            return Err(Refusal::OneClass { class: beginning(class) });
        }
        if self.classes.values().filter(|&&rows| rows >= CLASS_ROWS_MIN).count() < 2 {
            return Err(Refusal::TooFewRows { min: CLASS_ROWS_MIN });
        }
        if !varies.contains(&true) {
            return Err(Refusal::NothingToLearn);
        }
        Ok(())
    }

    /// Reads it again for the texts, if there are any.
    pub(crate) fn dictionaries<R: Read>(
        &self,
        open: impl FnOnce() -> Result<R, Trouble>,
        limits: &Limits,
        over: &dyn Fn() -> bool,
    ) -> Result<Vec<Feature>, Trouble> {
        let of_texts: Vec<usize> =
            (0..self.features.len()).filter(|&feature| !self.features[feature].are_numbers).collect();
        let mut texts = Texts::new(of_texts.len());
        if !of_texts.is_empty() {
            let mut records = Records::open(open()?, limits, over)?;
            if records.names() != self.names {
                return Err(Refusal::Changed.into());
            }
            while records.advance()? {
                for (nth, feature) in of_texts.iter().enumerate() {
                    texts.see(nth, &records.record()[feature + 1]);
                }
                if !texts.prune(over) {
                    return Err(Trouble::Stopped);
                }
            }
        }
        let mut dictionaries = texts.finish().into_iter();
        let features = self.features.iter().zip(&self.names[1..]).map(|(seen, name)| {
            let fields = if seen.are_numbers {
                Fields::Numbers
            } else {
                Fields::Texts(dictionaries.next().expect("each column of texts has its dictionary"))
            };
            Feature { name: name.clone(), fields }
        });
        Ok(features.collect())
    }
}

/// The ids there were, as digests of 128 bits.
#[derive(Default)]
struct Ids(HashSet<u128>);

impl Ids {
    fn see<R: Read>(&mut self, records: &Records<'_, R>) -> Result<(), Refusal> {
        let id = &records.record()[0];
        if is_missing(id) {
            return Err(Refusal::NoId { place: records.place(0) });
        }
        let digest = Sha256::digest(id);
        let digest = u128::from_le_bytes(*digest.first_chunk().expect("a digest has 32 bytes"));
        if self.0.insert(digest) { Ok(()) } else { Err(Refusal::SameId { place: records.place(0) }) }
    }
}

/// What is in the columns to learn from.
struct Columns {
    seen: Vec<Seen>,
    /// The fields of the first row.
    first: Vec<String>,
    varies: Vec<bool>,
}

impl Columns {
    fn new(features: usize) -> Self {
        let seen = vec![Seen { are_numbers: true, missing: false }; features];
        Self { seen, first: Vec::new(), varies: vec![false; features] }
    }

    fn see<'r>(&mut self, fields: impl Iterator<Item = &'r str> + Clone) {
        if self.first.is_empty() {
            self.first = fields.clone().map(str::to_owned).collect();
        }
        for (nth, field) in fields.enumerate() {
            let (seen, first) = (&mut self.seen[nth], &*self.first[nth]);
            let missing = is_missing(field);
            seen.missing |= missing;
            seen.are_numbers = seen.are_numbers && (missing || number(field).is_some());
            self.varies[nth] |= field != first && !(missing && is_missing(first));
        }
    }
}

struct Classes {
    max: usize,
    rows: BTreeMap<String, u64>,
}

impl Classes {
    fn see<R: Read>(&mut self, records: &Records<'_, R>, column: usize) -> Result<(), Refusal> {
        let class = &records.record()[column];
        if is_missing(class) {
            return Err(Refusal::NoClass { place: records.place(column) });
        }
        if let Some(rows) = self.rows.get_mut(class) {
            *rows += 1;
        } else if self.rows.len() < self.max {
            self.rows.insert(class.to_owned(), 1);
        } else {
            return Err(Refusal::TooManyClasses { place: records.place(column), max: self.max });
        }
        Ok(())
    }
}

/// The texts there were, and how often, in bounded memory: where a file has very many different ones, those that are
/// rare so far are forgotten.
struct Texts {
    columns: Vec<HashMap<Box<str>, u64>>,
    bytes: usize,
    bytes_max: usize,
}

impl Texts {
    fn new(columns: usize) -> Self {
        Self { columns: (0..columns).map(|_| HashMap::new()).collect(), bytes: 0, bytes_max: TEXTS_BYTES_MAX }
    }

    fn see(&mut self, column: usize, field: &str) {
        if is_missing(field) || field.len() > TEXT_BYTES_MAX {
            return;
        }
        let texts = &mut self.columns[column];
        if let Some(count) = texts.get_mut(field) {
            *count += 1;
        } else {
            self.bytes += weight(field);
            texts.insert(field.into(), 1);
        }
    }

    /// Forgets what is rare when there is too much; `false` when it was told to stop meanwhile.
    #[must_use]
    fn prune(&mut self, over: &dyn Fn() -> bool) -> bool {
        if self.bytes <= self.bytes_max {
            return true;
        }
        let share = self.bytes_max / 2 / self.columns.len();
        self.bytes = 0;
        for texts in &mut self.columns {
            if over() {
                return false;
            }
            let mut left = share;
            let frequent = by_frequency(std::mem::take(texts), TEXTS_KEPT_MAX);
            let kept = frequent.into_iter().map_while(|(text, count)| {
                left = left.checked_sub(weight(&text))?;
                Some((text, count))
            });
            *texts = kept.collect();
            self.bytes += share - left;
        }
        true
    }

    fn finish(self) -> Vec<Vec<String>> {
        let dictionaries = self.columns.into_iter().map(|texts| {
            let kept = by_frequency(texts, DICTIONARY_MAX).into_iter();
            let mut texts: Vec<String> = kept.map(|(text, _)| text.into_string()).collect();
            texts.sort_unstable();
            texts
        });
        dictionaries.collect()
    }
}

/// So many of the most frequent, those first; of equally frequent ones the one whose bytes come first.
fn by_frequency(texts: HashMap<Box<str>, u64>, max: usize) -> Vec<(Box<str>, u64)> {
    let mut texts: Vec<_> = texts.into_iter().collect();
    let order = |(a, n): &(Box<str>, u64), (b, m): &(Box<str>, u64)| m.cmp(n).then_with(|| a.cmp(b));
    if texts.len() > max {
        texts.select_nth_unstable_by(max, order);
        texts.truncate(max);
    }
    texts.sort_unstable_by(order);
    texts
}

/// What a text takes in memory, about.
fn weight(text: &str) -> usize {
    text.len() + 64
}

/// An id, a feature, and the class.
const COLUMNS_MIN: usize = 3;
/// The longest text of a dictionary, in bytes; longer ones are among the others.
const TEXT_BYTES_MAX: usize = 256;
/// How many texts of a column are remembered when memory is short.
const TEXTS_KEPT_MAX: usize = 4 * DICTIONARY_MAX;
/// How much memory the texts of all columns may take while they are counted.
const TEXTS_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_texts_survive_in_little_memory() {
        let mut texts = Texts { bytes_max: 20_000, ..Texts::new(2) };
        let mut heaviest = 0;
        for nth in 0..50_000_u32 {
            texts.see(0, &format!("once {nth}"));
            texts.see(0, ["often", "oftener", "oftener"][nth as usize % 3]);
            texts.see(1, &format!("{}", nth % 7));
            assert!(texts.prune(&|| false));
            heaviest =
                heaviest.max(texts.columns.iter().flat_map(HashMap::keys).map(|text| weight(text)).sum());
        }
        assert!(heaviest <= 20_000, "{heaviest}");
        let counts = texts.columns[0].clone();
        assert_eq!([counts["often"], counts["oftener"]], [16_667, 33_333]);
        let [first, second] = texts.finish().try_into().unwrap();
        assert!(first.is_sorted() && first.contains(&"often".to_owned()) && first.len() <= DICTIONARY_MAX);
        assert_eq!(second, ["0", "1", "2", "3", "4", "5", "6"]);
    }

    #[test]
    fn forgetting_stops_when_told() {
        let mut texts = Texts { bytes_max: 1_000, ..Texts::new(3) };
        assert!(texts.prune(&|| true), "there is nothing to forget");
        (0..30).for_each(|nth| texts.see(nth % 3, &format!("text {nth}")));
        let asked = std::cell::Cell::new(0);
        assert!(!texts.prune(&|| asked.replace(asked.get() + 1) == 2), "it asks at each column");
    }

    #[test]
    fn long_texts_are_among_the_others() {
        let mut texts = Texts::new(1);
        let [fits, does_not] = [256, 257].map(|bytes| "x".repeat(bytes));
        texts.see(0, &fits);
        texts.see(0, &does_not);
        assert_eq!(texts.finish(), [[fits]]);
    }

    #[test]
    fn of_equally_frequent_texts_the_first_ones_are_kept() {
        let mut texts = Texts::new(1);
        for nth in (0..1_500).rev() {
            texts.see(0, &format!("{nth:04}"));
        }
        let kept: Vec<String> = (0..1_000).map(|nth| format!("{nth:04}")).collect();
        assert_eq!(texts.finish(), [kept]);
    }
}
