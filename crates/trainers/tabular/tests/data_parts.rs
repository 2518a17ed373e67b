//! How rows are divided into parts, and how answers are measured.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may fail")]

#[path = "data/tables.rs"]
mod tables;

use std::collections::BTreeMap;

use proptest::prelude::*;
use tables::{Desk, PLAIN, csv, labelled};
use trainyard_tabular::{Dataset, Limits, Shares, balanced_accuracy};

/// A table whose only feature is the number of the row; classes are as often as `counts` say, mixed.
fn numbered(counts: &[usize]) -> Desk {
    let mut classes: Vec<usize> =
        counts.iter().enumerate().flat_map(|(class, &count)| vec![class; count]).collect();
    let rows = classes.len();
    classes.sort_by_key(|class| class.wrapping_mul(7)); // any order
    let mut table = vec![["id", "n", "class"].map(str::to_owned).to_vec()];
    for at in 0..rows {
        // a walk through all of them, as a prime is no divisor of so few
        let class = classes[at * 7_919 % rows];
        table.push(vec![format!("{at}"), format!("{at}"), format!("c{class}")]);
    }
    let desk = Desk::new(csv(&table, PLAIN));
    desk.prepare(&Limits::default()).unwrap();
    desk
}

/// The numbers of the rows of each class.
fn by_class(part: &[(u16, Vec<Option<u32>>)]) -> BTreeMap<u16, Vec<u32>> {
    let mut classes: BTreeMap<u16, Vec<u32>> = BTreeMap::new();
    for (class, row) in part {
        classes.entry(*class).or_default().push(f32::from_bits(row[0].unwrap()) as u32);
    }
    classes
}

fn parts(data: &Dataset) -> [BTreeMap<u16, Vec<u32>>; 3] {
    [
        by_class(&labelled(data.train(), data.train_classes())),
        by_class(&labelled(data.validation(), data.validation_classes())),
        by_class(&labelled(data.test(), data.test_classes())),
    ]
}

proptest! {
    #[test]
    fn parts_are_whole_apart_and_fair(
        counts in (3..40_usize, 3..40_usize, prop::collection::vec(1..40_usize, 0..3)),
        percents in (1..60_u8, 0..39_u8),
        seed: u64,
    ) {
        let (first, second, mut others) = counts;
        others.extend([first, second]);
        let desk = numbered(&others);
        let (validation, test) = percents;
        let data = desk.open(Shares::percent(validation, test).unwrap(), seed);
        let [train_rows, validation_rows, test_rows] = parts(&data);
        let mut all: Vec<u32> =
            [&train_rows, &validation_rows, &test_rows].into_iter().flat_map(|part| part.values().flatten()).copied().collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..others.iter().sum::<usize>() as u32).collect::<Vec<_>>());
        for part in [&train_rows, &validation_rows, &test_rows] {
            prop_assert!(part.values().all(|rows| rows.is_sorted()), "rows keep their order");
        }
        // classes are numbered as they are sorted by name, which is as they are numbered here
        for (class, &count) in (0..).zip(&others) {
            let size = |part: &BTreeMap<u16, Vec<u32>>| part.get(&class).map_or(0, Vec::len);
            let sizes = [size(&train_rows), size(&validation_rows), size(&test_rows)];
            prop_assert_eq!(sizes.iter().sum::<usize>(), count);
            if count < 3 {
                prop_assert_eq!(sizes, [count, 0, 0]);
                continue;
            }
            prop_assert!(sizes[0] > 0 && sizes[1] > 0 && (sizes[2] > 0) == (test > 0), "{:?}", sizes);
            for (size, percent) in [(sizes[1], validation), (sizes[2], test)] {
                let fair = count as f64 * f64::from(percent) / 100.0;
                prop_assert!((size as f64 - fair).abs() <= 1.0, "{} of {} for {} %", size, count, percent);
            }
        }
    }

    #[test]
    fn few_rows_are_shared_as_fairly_as_many(count in 3..9_usize, validation in 1..60_u8, test in 0..39_u8) {
        let desk = numbered(&[count, count]);
        let [_, validation_rows, test_rows] = parts(&desk.open(Shares::percent(validation, test).unwrap(), 0));
        for (rows, percent) in [(validation_rows, validation), (test_rows, test)] {
            let (size, fair) = (rows.get(&0).map_or(0, Vec::len), count as f64 * f64::from(percent) / 100.0);
            prop_assert!((size as f64 - fair).abs() <= 1.0, "{} of {} for {} %", size, count, percent);
        }
    }

    #[test]
    fn accuracy_is_the_mean_of_recalls(
        (classes, answers) in (2..6_u16).prop_flat_map(|classes| {
            (Just(classes), prop::collection::vec((0..classes, 0..classes + 1), 1..80))
        }),
        turn in 0..80_usize,
    ) {
        let (expected, said): (Vec<u16>, Vec<u16>) = answers.iter().copied().unzip();
        let got = balanced_accuracy(&expected, &said, usize::from(classes));
        let present: Vec<u16> = (0..classes).filter(|class| expected.contains(class)).collect();
        let recall = |class: &u16| {
            let of: Vec<_> = answers.iter().filter(|(expected, _)| expected == class).collect();
            of.iter().filter(|(expected, said)| expected == said).count() as f64 / of.len() as f64
        };
        let naive = present.iter().map(recall).sum::<f64>() / present.len() as f64;
        prop_assert!((got - naive).abs() < 1e-12, "{} and {}", got, naive);
        prop_assert!((0.0..=1.0).contains(&got));

        let mut turned = answers.clone();
        turned.rotate_left(turn % answers.len());
        let (turned_expected, turned_said): (Vec<u16>, Vec<u16>) = turned.into_iter().unzip();
        prop_assert_eq!(balanced_accuracy(&turned_expected, &turned_said, usize::from(classes)), got);
        prop_assert_eq!(balanced_accuracy(&expected, &expected, usize::from(classes)), 1.0);
        let always = vec![present[0]; expected.len()];
        let constant = balanced_accuracy(&expected, &always, usize::from(classes));
        prop_assert!((constant - 1.0 / present.len() as f64).abs() < 1e-12);
    }
}

#[test]
fn nothing_is_measured_on_nothing() {
    assert_eq!(balanced_accuracy(&[], &[], 2), 0.0);
}

#[test]
fn a_seed_means_the_same_parts_for_ever() {
    let desk = numbered(&[9, 6]);
    let data = desk.open(Shares::default(), 42);
    let [train, validation, test] = parts(&data);
    assert_eq!(validation.into_values().collect::<Vec<_>>(), GOLDEN_VALIDATION);
    assert_eq!(test.into_values().collect::<Vec<_>>(), GOLDEN_TEST);
    assert_eq!(train.into_values().map(|rows| rows.len()).collect::<Vec<_>>(), [5, 4]);
}

const GOLDEN_VALIDATION: [&[u32]; 2] = [&[8, 12], &[1]];
const GOLDEN_TEST: [&[u32]; 2] = [&[0, 13], &[3]];

#[test]
fn numbers_are_standardised_by_the_rows_to_learn_from_alone() {
    let data = numbered(&[60, 40]).open(Shares::default(), 1);
    let mean = |vectors: &[f32]| vectors.iter().sum::<f32>() / vectors.len() as f32;
    assert_eq!(data.encoding().width(), 1);
    assert!(mean(data.train().vectors()).abs() < 1e-6);
    for other in [data.validation(), data.test()] {
        assert!(mean(other.vectors()).abs() > 1e-3);
    }
}

#[test]
fn seeds_draw_different_parts() {
    let desk = numbered(&[200, 100]);
    let first = parts(&desk.open(Shares::default(), 1));
    assert_eq!(parts(&desk.open(Shares::default(), 1)), first);
    assert_ne!(parts(&desk.open(Shares::default(), 2)), first);
}

#[test]
fn shares_leave_something_to_learn_from_and_to_validate_by() {
    assert_eq!(Shares::percent(0, 20), None);
    assert_eq!(Shares::percent(50, 50), None);
    assert_eq!(Shares::percent(200, 100), None);
    assert_eq!(Shares::percent(20, 20), Some(Shares::default()));
    assert!(Shares::percent(98, 1).is_some());
}
