//! Features in buckets, so that a question is looked for among few.

use super::tree::code;
use crate::{Knobs, LearnError, Lesson, Rows};
use trainyard_trainkit::each;

/// Every training row's bucket, feature by feature.
pub(super) struct Bins {
    pub(super) columns: Vec<Binned>,
}

/// One feature in buckets.
pub(super) struct Binned {
    /// Each row's bucket; [`Binned::buckets`] for those without a value.
    pub(super) of: Vec<u16>,
    /// How many buckets there are, without that for missing values.
    pub(super) buckets: usize,
    pub(super) sort: Sort,
}

/// What is in a bucket.
pub(super) enum Sort {
    /// Numbers above the last cut and up to this one; in the last bucket all above.
    Numbers {
        /// Where buckets end, lowest first.
        cuts: Vec<f32>,
    },
    /// One text.
    Texts,
}

impl Bins {
    /// # Errors
    /// [`LearnError::CutShort`].
    pub(super) fn new(lesson: &Lesson<'_>) -> Result<Self, LearnError> {
        let buckets = lesson.knobs.buckets.clamp(Knobs::BUCKETS_MIN, Knobs::BUCKETS_MAX);
        let rows = lesson.train;
        let columns = each(lesson.threads, rows.columns().len(), |column| {
            (!lesson.is_over()).then(|| Binned::new(rows, column, usize::from(buckets)))
        });
        let columns: Option<Vec<Binned>> = columns.into_iter().collect();
        Ok(Self { columns: columns.ok_or(LearnError::CutShort)? })
    }
}

impl Binned {
    fn new(rows: &Rows, column: usize, buckets: usize) -> Self {
        let values = &rows.columns()[column];
        if let Some(codes) = rows.encoding().codes(column) {
            let buckets = codes.min(TEXTS_MAX);
            let of = values.iter().map(|&value| if value.is_finite() { code(value) } else { buckets });
            return Self {
                of: of.map(|place| short(place.min(buckets))).collect(),
                buckets,
                sort: Sort::Texts,
            };
        }
        let cuts = cuts(values, buckets);
        let missing = cuts.len() + 1;
        let place = |value: &f32| match value.is_finite() {
            true => cuts.partition_point(|cut| cut < value),
            false => missing,
        };
        Self {
            of: values.iter().map(|value| short(place(value))).collect(),
            buckets: missing,
            sort: Sort::Numbers { cuts },
        }
    }
}

/// Where to cut numbers so that about as many of them lie in each bucket, equal ones in one.
fn cuts(values: &[f32], buckets: usize) -> Vec<f32> {
    let step = values.len().div_ceil(LOOKED_AT_MAX).max(1);
    let mut sorted: Vec<f32> =
        values.iter().copied().step_by(step).filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let mut cuts = Vec::new();
    let (mut begun, mut left) = (0, buckets);
    for (place, pair) in (1..).zip(sorted.windows(2)) {
        if pair[0] < pair[1] && left > 1 {
            // What is left of the numbers is spread over what is left of the buckets.
            let full = (sorted.len() - begun).div_ceil(left);
            let distinct_left = left > sorted.len() - begun;
            if place - begun >= full || distinct_left {
                cuts.push(between(pair[0], pair[1]));
                (begun, left) = (place, left - 1);
            }
        }
    }
    cuts
}

/// A number from `low` to below `high`.
fn between(low: f32, high: f32) -> f32 {
    let middle = low / 2.0 + high / 2.0;
    if low <= middle && middle < high { middle } else { low }
}

fn short(place: usize) -> u16 {
    u16::try_from(place).expect("there are at most so many buckets")
}

/// Texts beyond so many count as missing.
const TEXTS_MAX: usize = 1_024;
/// Cuts are made by so many rows, evenly spread.
const LOOKED_AT_MAX: usize = 200_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(values: &[f32], buckets: usize) -> Vec<f32> {
        let cuts = cuts(values, buckets);
        assert!(cuts.len() < buckets);
        assert!(cuts.windows(2).all(|pair| pair[0] < pair[1]), "{cuts:?}");
        cuts
    }

    #[test]
    fn few_numbers_have_a_bucket_each() {
        assert_eq!(check(&[3.0, 1.0, 1.0, 2.0, f32::NAN], 4), [1.5, 2.5]);
        assert!(check(&[1.0; 9], 4).is_empty());
        assert!(check(&[], 4).is_empty());
        assert_eq!(check(&[f32::MIN, f32::MAX, 0.0], 4), [f32::MIN / 2.0, f32::MAX / 2.0]);
    }

    #[test]
    fn many_numbers_are_spread_evenly() {
        let values: Vec<f32> = (0..1_000_u16).map(f32::from).collect();
        assert_eq!(check(&values, 4), [249.5, 499.5, 749.5]);
        let skewed: Vec<f32> = (0..1_000_u16).map(|n| if n < 700 { 0.0 } else { f32::from(n) }).collect();
        let cuts = check(&skewed, 4);
        assert_eq!(cuts.len(), 3, "one bucket for the many, three for the others: {cuts:?}");
        assert_eq!(cuts[0], 350.0);
    }

    proptest! {
        #[test]
        fn a_bucket_and_its_cut_agree(
            values in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::ZERO, 1..60),
            buckets in 4..20_usize,
        ) {
            let cuts = check(&values, buckets);
            for value in &values {
                let bucket = cuts.partition_point(|cut| cut < value);
                for (place, cut) in cuts.iter().enumerate() {
                    prop_assert_eq!(value <= cut, bucket <= place);
                }
            }
        }
    }
}
