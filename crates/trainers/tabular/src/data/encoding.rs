//! How columns become vectors.

use serde::{Deserialize, Serialize};

use super::schema::{DICTIONARY_MAX, Fields};

/// How columns become vectors, as learned from the rows to learn from.
///
/// - A number becomes one component: its distance from the mean, in standard deviations, and 0 when it is missing.
///   Mean and deviation are of numbers that were first brought within fences, which lie as far outside the middle
///   98 % as those are wide; so a few huge values change nothing. What lies outside the fences counts as lying on
///   them, and no component is beyond ±16. A column of one number only becomes 0.
/// - A column of numbers of which some are missing has a second component: 1 where one is missing, else 0.
/// - A text becomes one of many: a component for each of the most frequent texts, at most 32, which is 1 for that
///   text and else 0; one for all other texts; and one for missing ones, when some are missing. Where no row learned
///   from has another text, nobody knows what one means: then all of these stay 0 for it.
///
/// Vectors have at most 4,096 components, and all rows together at most 2²⁶. When room is short, fewer texts have
/// components of their own, and indicators of missing numbers are left out. Beyond that is only what every column
/// has: a number its component, a text that of its most frequent one, of the others, and of missing ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoding {
    width: usize,
    columns: Vec<Slots>,
}

/// The components of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Slots {
    Number {
        mean: f64,
        /// 1 over the standard deviation; 0 for a constant.
        scale: f64,
        low: f64,
        high: f64,
        missing: bool,
    },
    Text {
        /// How long the dictionary is.
        known: usize,
        /// The places in the dictionary that have components, ascending.
        kept: Vec<u16>,
        /// Whether there were others to learn from.
        others: bool,
        missing: bool,
    },
}

/// What is known of a column before its encoding is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// For a column of texts, how many there are.
    pub(crate) texts: Option<usize>,
    pub(crate) missing: bool,
}

/// How much room columns get.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// How many texts of a column get components.
    texts: usize,
    /// How many indicators of missing numbers there are.
    indicators: usize,
    pub(crate) width: usize,
}

impl Room {
    /// How many components vectors have at most, for such columns or for ones with fewer texts and gaps.
    pub(crate) fn width_max(columns: &[Wanted], rows: usize) -> usize {
        let width = |each: usize, gap: usize| -> usize {
            let of = |column: &Wanted| match column.texts {
                None => 1 + gap * usize::from(column.missing),
                Some(texts) => text_width(texts, each, column.missing),
            };
            columns.iter().map(of).sum()
        };
        width(TEXTS_MAX, 1).min(width_bound(rows).max(width(1, 0)))
    }

    /// Divides it up, for so many rows.
    pub(crate) fn share(columns: &[Wanted], rows: usize) -> Self {
        let max = width_bound(rows);
        let count = |is: fn(&&Wanted) -> bool| columns.iter().filter(is).count();
        let numbers = count(|column| column.texts.is_none());
        let gaps = count(|column| column.texts.is_none() && column.missing);
        let texts = |each: usize| -> usize {
            let width =
                |column: &Wanted| column.texts.map_or(0, |texts| text_width(texts, each, column.missing));
            columns.iter().map(width).sum()
        };
        let mut each = TEXTS_MAX;
        while each > 1 && numbers + texts(each) > max {
            each -= 1;
        }
        let indicators = gaps.min(max.saturating_sub(numbers + texts(each)));
        Self { texts: each, indicators, width: numbers + indicators + texts(each) }
    }
}

/// How many components vectors have at most, where features are not more.
fn width_bound(rows: usize) -> usize {
    WIDTH_MAX.min(NUMBERS_MAX / rows.max(1))
}

/// How many components a column of so many texts gets.
fn text_width(texts: usize, each: usize, missing: bool) -> usize {
    texts.min(each) + 1 + usize::from(missing)
}

impl Encoding {
    /// Learns it from the rows to learn from; `rows` is how many will be encoded in all. Asks `over` at each column;
    /// `None` when it is.
    pub(crate) fn fit<'f>(
        fields: impl IntoIterator<Item = &'f Fields>,
        columns: &[Vec<f32>],
        rows: usize,
        over: &dyn Fn() -> bool,
    ) -> Option<Self> {
        let counted = fields.into_iter().zip(columns).map(|(fields, column)| {
            (!over()).then(|| match fields {
                Fields::Numbers => None,
                Fields::Texts(texts) => Some(count(column, texts.len())),
            })
        });
        let counts: Vec<Option<Vec<u64>>> = counted.collect::<Option<_>>()?;
        let wanted: Vec<Wanted> = counts
            .iter()
            .zip(columns)
            .map(|(counts, column)| Wanted {
                texts: counts.as_ref().map(|counts| counts.iter().filter(|&&n| n > 0).count()),
                missing: column.iter().any(|x| x.is_nan()),
            })
            .collect();
        let room = Room::share(&wanted, rows);
        let mut indicators = room.indicators;
        let slots = counts.iter().zip(&wanted).zip(columns).map(|((counts, wanted), column)| {
            (!over()).then(|| match counts {
                None => {
                    let missing = wanted.missing && indicators > 0;
                    indicators -= usize::from(missing);
                    Slots::number(column, missing)
                }
                Some(counts) => Slots::text(counts, column, room.texts, wanted.missing),
            })
        });
        let columns: Vec<Slots> = slots.collect::<Option<_>>()?;
        let width = columns.iter().map(Slots::width).sum();
        debug_assert_eq!(width, room.width, "as it was shared");
        Some(Self { width, columns })
    }

    /// How many components a vector has, at least 1.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many different places the texts of a column can have, the one for those outside the dictionary among
    /// them: they are below this. `None` for a column of numbers.
    ///
    /// # Panics
    /// When there is no such column.
    #[must_use]
    pub fn codes(&self, column: usize) -> Option<usize> {
        match &self.columns[column] {
            Slots::Number { .. } => None,
            Slots::Text { known, .. } => Some(known + 1),
        }
    }

    /// The vectors of so many rows, row after row; all of it finite. Asks `over` now and then; `None` when it is.
    pub(crate) fn vectors_unless(
        &self,
        columns: &[Vec<f32>],
        rows: usize,
        over: &dyn Fn() -> bool,
    ) -> Option<Vec<f32>> {
        let width = self.width.max(1);
        let block = (NUMBERS_PER_LOOK / width).max(1);
        let mut vectors = vec![0.0_f32; rows * self.width];
        for (nth, vectors) in vectors.chunks_mut(block * width).enumerate() {
            if over() {
                return None;
            }
            let mut at = 0;
            for (slots, column) in self.columns.iter().zip(columns) {
                let own = slots.width();
                let vectors = vectors.chunks_exact_mut(width);
                let column = column[nth * block..].iter().zip(vectors);
                column.for_each(|(&x, vector)| slots.fill(x, &mut vector[at..][..own]));
                at += own;
            }
        }
        Some(vectors)
    }

    /// Whether it is as [`Encoding::fit`] makes them for such columns; for what comes out of a file.
    pub(crate) fn is_sound<'f>(&self, fields: impl ExactSizeIterator<Item = &'f Fields>) -> bool {
        fields.len() == self.columns.len()
            && self.width == self.columns.iter().map(Slots::width).sum::<usize>()
            && self.columns.iter().zip(fields).all(|(slots, fields)| slots.is_sound(fields))
    }
}

impl Slots {
    fn number(column: &[f32], missing: bool) -> Self {
        let mut numbers: Vec<f64> = column.iter().copied().filter(|x| !x.is_nan()).map(f64::from).collect();
        let (low, high) = fences(&mut numbers);
        let fenced = column.iter().filter(|x| !x.is_nan()).map(|&x| f64::from(x).clamp(low, high));
        let count = numbers.len() as f64;
        let mean = if numbers.is_empty() { 0.0 } else { fenced.clone().sum::<f64>() / count };
        let squares: f64 = fenced.map(|x| (x - mean) * (x - mean)).sum();
        let deviation = if numbers.is_empty() { 0.0 } else { (squares / count).sqrt() };
        // rounding alone leaves a little even where all are the same
        let is_constant = deviation <= mean.abs() * 1e-12 || deviation < f64::from(f32::MIN_POSITIVE) / 1e10;
        Self::Number { mean, scale: if is_constant { 0.0 } else { 1.0 / deviation }, low, high, missing }
    }

    fn text(counts: &[u64], column: &[f32], each: usize, missing: bool) -> Self {
        let mut order: Vec<usize> = (0..counts.len()).filter(|&place| counts[place] > 0).collect();
        order.sort_by_key(|&place| (std::cmp::Reverse(counts[place]), place));
        order.truncate(each);
        order.sort_unstable();
        let place = |place| u16::try_from(place).expect("dictionaries are short");
        let with_own: u64 = order.iter().map(|&place| counts[place]).sum();
        let present = column.iter().filter(|x| !x.is_nan()).count() as u64;
        let kept = order.into_iter().map(place).collect();
        Self::Text { known: counts.len(), kept, others: present > with_own, missing }
    }

    fn width(&self) -> usize {
        match self {
            Self::Number { missing, .. } => 1 + usize::from(*missing),
            Self::Text { kept, missing, .. } => kept.len() + 1 + usize::from(*missing),
        }
    }

    /// Fills in the components that are not 0, of the field `x`.
    fn fill(&self, x: f32, components: &mut [f32]) {
        match self {
            Self::Number { missing: true, .. } if x.is_nan() => components[1] = 1.0,
            Self::Number { .. } if x.is_nan() => {}
            Self::Number { mean, scale, low, high, .. } => {
                let steps = (f64::from(x).clamp(*low, *high) - mean) * scale;
                components[0] = narrow(steps.clamp(-STEPS_MAX, STEPS_MAX));
            }
            Self::Text { kept, missing, .. } if x.is_nan() => {
                if *missing {
                    components[kept.len() + 1] = 1.0;
                }
            }
            Self::Text { kept, others, .. } => match kept.iter().position(|&place| f32::from(place) == x) {
                Some(own) => components[own] = 1.0,
                None if *others => components[kept.len()] = 1.0,
                None => {}
            },
        }
    }

    fn is_sound(&self, fields: &Fields) -> bool {
        match (self, fields) {
            (Self::Number { mean, scale, low, high, .. }, Fields::Numbers) => {
                mean.is_finite() && scale.is_finite() && low <= high
            }
            (Self::Text { known, kept, .. }, Fields::Texts(texts)) => {
                *known == texts.len()
                    && kept.len() <= TEXTS_MAX
                    && kept.windows(2).all(|pair| pair[0] < pair[1])
                    && kept.last().is_none_or(|&place| usize::from(place) < *known)
            }
            (Self::Number { .. }, Fields::Texts(_)) | (Self::Text { .. }, Fields::Numbers) => false,
        }
    }
}

/// How often each place of a dictionary is there.
fn count(column: &[f32], known: usize) -> Vec<u64> {
    debug_assert!(known <= DICTIONARY_MAX);
    let mut counts = vec![0; known];
    for &x in column.iter().filter(|x| !x.is_nan()) {
        if let Some(count) = place(x).and_then(|place| counts.get_mut(place)) {
            *count += 1;
        }
    }
    counts
}

/// The place that is stored as this number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a small whole number"
)]
pub(crate) fn place(x: f32) -> Option<usize> {
    (x >= 0.0 && x <= DICTIONARY_MAX as f32 && x.fract() == 0.0).then_some(x as usize)
}

/// As far outside the middle 98 % of the numbers as those are wide; none where those are all the same.
fn fences(numbers: &mut [f64]) -> (f64, f64) {
    let all = (f64::MIN, f64::MAX);
    let outside = numbers.len().div_ceil(100);
    let Some(last) = numbers.len().checked_sub(1 + outside) else { return all };
    if last <= outside {
        return all;
    }
    let low = *numbers.select_nth_unstable_by(outside, f64::total_cmp).1;
    let high = *numbers.select_nth_unstable_by(last, f64::total_cmp).1;
    let wide = high - low;
    if wide > 0.0 { (low - wide, high + wide) } else { all }
}

#[expect(clippy::cast_possible_truncation, reason = "small, and the last bits do not matter")]
fn narrow(x: f64) -> f32 {
    x as f32
}

/// How many components a vector has at most, where features are not more.
const WIDTH_MAX: usize = 4_096;
/// How many components the vectors of a table have together, in the same way.
const NUMBERS_MAX: usize = 1 << 26;
/// How many components are filled in between two looks at whether to stop.
const NUMBERS_PER_LOOK: usize = 1 << 18;
/// How many texts of a column have components of their own.
const TEXTS_MAX: usize = 32;
/// How far from the mean a component is at most, in standard deviations.
const STEPS_MAX: f64 = 16.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NUMBERS: Fields = Fields::Numbers;

    fn texts(count: usize) -> Fields {
        Fields::Texts((0..count).map(|nth| format!("{nth:04}")).collect())
    }

    fn fit(columns: &[(Fields, Vec<f32>)], rows: usize) -> Encoding {
        let numbers: Vec<Vec<f32>> = columns.iter().map(|(_, column)| column.clone()).collect();
        let fields = || columns.iter().map(|(fields, _)| fields);
        assert_eq!(Encoding::fit(fields(), &numbers, rows, &|| true), None);
        let encoding = Encoding::fit(fields(), &numbers, rows, &|| false).unwrap();
        assert!(encoding.is_sound(columns.iter().map(|(fields, _)| fields)));
        encoding
    }

    fn vectors(encoding: &Encoding, columns: &[Vec<f32>], rows: usize) -> Vec<f32> {
        encoding.vectors_unless(columns, rows, &|| false).unwrap()
    }

    fn number() -> impl Strategy<Value = f32> {
        let special =
            vec![0.0, -0.0, f32::NAN, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-45, 1e30, 16_777_216.0];
        prop_oneof![
            2 => -5.0..5.0_f32,
            1 => any::<f32>().prop_filter("as in tables", |x| !x.is_infinite()),
            1 => prop::sample::select(special),
        ]
    }

    fn column(rows: usize) -> impl Strategy<Value = (Fields, Vec<f32>)> {
        let numbers = prop::collection::vec(number(), rows).prop_map(|column| (NUMBERS, column));
        let constant = number().prop_map(move |x| (NUMBERS, vec![x; rows]));
        let of_texts = (0..60_u16).prop_flat_map(move |known| {
            let field = prop_oneof![9 => (0..=known).prop_map(f32::from), 1 => Just(f32::NAN)];
            prop::collection::vec(field, rows).prop_map(move |column| (texts(usize::from(known)), column))
        });
        prop_oneof![4 => numbers, 1 => constant, 3 => of_texts]
    }

    proptest! {
        #[test]
        fn vectors_are_finite_and_within_bounds(
            (learned, others) in (0..30_usize).prop_flat_map(|rows| {
                prop::collection::vec((column(rows), prop::collection::vec(number(), 7)), 1..6)
            }).prop_map(|columns| columns.into_iter().unzip::<_, _, Vec<_>, Vec<_>>()),
        ) {
            let encoding = fit(&learned, 100);
            let rows = learned[0].1.len();
            let columns: Vec<Vec<f32>> = learned.iter().map(|(_, column)| column.clone()).collect();
            // other numbers than were learned from, and places that are in the dictionary or the one beyond
            let others: Vec<Vec<f32>> = learned.iter().zip(others).map(|((fields, _), other)| match fields {
                Fields::Numbers => other,
                Fields::Texts(texts) => (0..7_u16).map(|n| f32::from(n).min(texts.len() as f32)).collect(),
            }).collect();
            for (columns, rows) in [(columns, rows), (others, 7)] {
                let vectors = vectors(&encoding, &columns, rows);
                prop_assert_eq!(vectors.len(), rows * encoding.width());
                prop_assert!(vectors.iter().all(|x| x.abs() <= 16.0), "{:?}", vectors);
            }
            let bytes = postcard::to_allocvec(&encoding).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Encoding>(&bytes).unwrap(), encoding);
        }

        #[test]
        fn room_is_shared_within_bounds(
            columns in prop::collection::vec((prop::option::of(0..1_000_usize), any::<bool>()), 1..2_000),
            rows in 1..1_000_000_usize,
        ) {
            let wanted: Vec<Wanted> =
                columns.iter().map(|&(texts, missing)| Wanted { texts, missing }).collect();
            let room = Room::share(&wanted, rows);
            let least: usize = columns.iter().map(|&(texts, missing)| {
                texts.map_or(1, |texts| texts.min(1) + 1 + usize::from(missing))
            }).sum();
            prop_assert!(room.width >= least);
            prop_assert!(room.width <= least.max(WIDTH_MAX.min(NUMBERS_MAX / rows)));
            let width_max = Room::width_max(&wanted, rows);
            prop_assert!(room.width <= width_max && width_max <= least.max(WIDTH_MAX.min(NUMBERS_MAX / rows)));
            let fewer: Vec<Wanted> = wanted.iter().enumerate().map(|(nth, wanted)| Wanted {
                texts: wanted.texts.map(|texts| texts - texts.min(nth % 7)),
                missing: wanted.missing && nth % 3 > 0,
            }).collect();
            prop_assert!(Room::share(&fewer, rows).width <= width_max);
        }
    }

    #[test]
    fn numbers_are_standardised_and_missing_ones_told() {
        let encoding = fit(&[(NUMBERS, vec![1.0, 3.0, f32::NAN]), (NUMBERS, vec![7.0; 3])], 3);
        assert_eq!(encoding.width(), 3);
        let vectors = vectors(&encoding, &[vec![1.0, 3.0, f32::NAN], vec![7.0, 8.0, f32::NAN]], 3);
        assert_eq!(vectors, [-1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn one_huge_value_does_not_hide_the_others() {
        let usual: Vec<f32> = (0..50_u8).map(f32::from).collect();
        let mut one_is_huge = usual.clone();
        one_is_huge[49] = 1e30;
        let encoding = fit(&[(NUMBERS, one_is_huge)], 50);
        let vectors = vectors(&encoding, &[vec![0.0, 24.0, 48.0, 1e30]], 4);
        assert!(vectors[0] < -1.0 && vectors[1].abs() < 0.3 && vectors[2] > 1.0, "{vectors:?}");
        assert!(vectors[3] < 16.0, "{vectors:?}");
    }

    #[test]
    fn frequent_texts_have_components_of_their_own() {
        // place 0 once, 1 twice, and so on; 40 of them, and one that is missing
        let mut column: Vec<f32> =
            (0..40_u8).flat_map(|place| vec![f32::from(place); usize::from(place) + 1]).collect();
        column.push(f32::NAN);
        let encoding = fit(&[(texts(40), column)], 900);
        assert_eq!(encoding.width(), 32 + 1 + 1);
        assert_eq!(encoding.codes(0), Some(41));
        let ones = |x: f32| -> Vec<usize> {
            let vectors = vectors(&encoding, &[vec![x]], 1);
            (0..vectors.len()).filter(|&at| vectors[at] == 1.0).collect()
        };
        assert_eq!(ones(7.0), [32], "rare");
        assert_eq!(ones(8.0), [0]);
        assert_eq!(ones(39.0), [31]);
        assert_eq!(ones(40.0), [32], "not in the dictionary");
        assert_eq!(ones(f32::NAN), [33]);
    }

    #[test]
    fn where_all_texts_have_components_another_one_says_nothing() {
        // the dictionary has three, the rows to learn from two of them
        let encoding = fit(&[(texts(3), vec![0.0, 2.0, 2.0])], 3);
        let vectors = vectors(&encoding, &[vec![0.0, 2.0, 1.0, 3.0]], 4);
        assert_eq!(vectors, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        // but where a row to learn from has a text beyond the dictionary, it is as good as that
        let encoding = fit(&[(texts(3), vec![0.0, 2.0, 3.0])], 3);
        assert_eq!(self::vectors(&encoding, &[vec![1.0]], 1), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn vectors_are_cut_short_when_told() {
        let encoding = fit(&[(NUMBERS, vec![1.0, 3.0])], 2);
        let column = vec![1.0; 3 * NUMBERS_PER_LOOK];
        for looks in 0..3 {
            let asked = std::cell::Cell::new(0);
            let over = || asked.replace(asked.get() + 1) >= looks;
            let columns = std::slice::from_ref(&column);
            assert_eq!(encoding.vectors_unless(columns, column.len(), &over), None, "after {looks} looks");
        }
    }

    #[test]
    fn indicators_are_left_out_where_room_is_short() {
        let columns = vec![(NUMBERS, vec![1.0, f32::NAN]); 3_000];
        let encoding = fit(&columns, 2);
        assert_eq!(encoding.width(), WIDTH_MAX);
        let vector = vectors(&encoding, &vec![vec![f32::NAN]; 3_000], 1);
        assert_eq!(vector.iter().filter(|&&x| x == 1.0).count(), WIDTH_MAX - 3_000);
    }

    #[test]
    fn encodings_that_do_not_fit_their_columns_are_told_apart() {
        let sound = |slots: Slots, fields: &Fields| {
            Encoding { width: slots.width(), columns: vec![slots] }.is_sound([fields].into_iter())
        };
        let text =
            |known, kept: &[u16]| Slots::Text { known, kept: kept.to_vec(), others: false, missing: false };
        assert!(sound(text(3, &[0, 2]), &texts(3)));
        assert!(!sound(text(3, &[0, 3]), &texts(3)), "beyond the dictionary");
        assert!(!sound(text(4, &[0, 2]), &texts(3)), "another dictionary");
        assert!(!sound(text(3, &[2, 0]), &texts(3)), "not in order");
        assert!(!sound(text(3, &[0, 2]), &NUMBERS));
        let number = |mean, scale, low, high| Slots::Number { mean, scale, low, high, missing: true };
        assert!(sound(number(0.0, 1.0, -1.0, 1.0), &NUMBERS));
        assert!(!sound(number(f64::NAN, 1.0, -1.0, 1.0), &NUMBERS));
        assert!(!sound(number(0.0, f64::INFINITY, -1.0, 1.0), &NUMBERS));
        assert!(!sound(number(0.0, 1.0, 1.0, -1.0), &NUMBERS));
        assert!(!sound(number(0.0, 1.0, f64::NAN, 1.0), &NUMBERS));
        assert!(!sound(number(0.0, 1.0, -1.0, 1.0), &texts(3)));
        let wide = Encoding { width: 5, columns: vec![text(3, &[0, 2])] };
        assert!(!wide.is_sound([&texts(3)].into_iter()));
    }
}
