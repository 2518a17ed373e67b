//! What every learner promises: to resume as if never cut short, to stop when told, to depend on its seed alone.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod school;

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use school::{NAMES, Numbers, algorithm, dataset, go_on, learn, lesson, made_dataset, table};
use trainyard_tabular::{Dataset, Knobs, Step, made};

/// A small table by chance: numbers, texts and missing fields, two classes or more.
fn random(seed: u64) -> Dataset {
    let mut numbers = Numbers(seed);
    let (rows, features, classes) = (30 + numbers.below(90), 1 + numbers.below(5), 2 + numbers.below(3));
    let sorts: Vec<u64> = (0..features).map(|_| numbers.below(3)).collect();
    let csv = table(usize::try_from(rows).unwrap(), |row| {
        let field = |sort: &u64| match (numbers.below(8), sort) {
            (0, _) => String::new(),
            (_, 0) => format!("{}", numbers.below(6)),
            (_, 1) => format!("{:.3e}", numbers.unit() * 1e5),
            (draw, _) => format!("text {}", draw / 2),
        };
        (sorts.iter().map(field).collect(), format!("c{}", row as u64 % classes))
    });
    dataset(&csv)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn who_is_resumed_goes_on_as_if_never_cut_short(
        seed in any::<u64>(),
        before in 0..90_usize,
    ) {
        let data = random(seed);
        let over = || false;
        let lesson = lesson(&data, seed, &over);
        for name in NAMES {
            let (mut alone, curve) = learn(name, &lesson, usize::MAX);
            let (cut, mut resumed_curve) = learn(name, &lesson, before);
            let mut resumed = algorithm(name).resume(&lesson, &cut.save().unwrap()).unwrap();
            if resumed_curve.len() < curve.len() {
                resumed_curve.extend(go_on(&mut resumed, &lesson, usize::MAX));
            }
            prop_assert_eq!(resumed.save(), alone.save(), "{}", name);
            prop_assert_eq!(resumed_curve, curve, "{}", name);
            // At the end there is nothing more to learn, neither for the one nor for the other.
            let before = alone.save();
            for course in [&mut alone, &mut resumed] {
                prop_assert_eq!(course.step(&lesson).unwrap(), Step::Exhausted, "{}", name);
                prop_assert_eq!(course.save(), before.clone(), "{}", name);
            }
        }
    }

    #[test]
    fn nothing_depends_on_the_number_of_threads(seed in any::<u64>(), threads in 2..6_usize) {
        let data = random(seed);
        let over = || false;
        let mut lesson = lesson(&data, seed, &over);
        for name in NAMES {
            let one = learn(name, &lesson, 4).0.save();
            lesson.threads = threads.try_into().unwrap();
            prop_assert_eq!(learn(name, &lesson, 4).0.save(), one, "{}", name);
            lesson.threads = 1.try_into().unwrap();
        }
    }
}

/// With many rows, single trees are shared feature by feature.
#[test]
fn threads_within_a_tree_change_nothing() {
    let data = made_dataset(&made::crossing(4, 22_000));
    let over = || false;
    let mut lesson = lesson(&data, 1, &over);
    let one = learn("boosting", &lesson, 2).0.save();
    lesson.threads = 3.try_into().unwrap();
    assert_eq!(learn("boosting", &lesson, 2).0.save(), one);
}

#[test]
fn who_draws_by_chance_draws_by_the_seed() {
    let data = made_dataset(&made::mixed(2, 200));
    let over = || false;
    for name in NAMES {
        let learned = |seed| learn(name, &lesson(&data, seed, &over), 3).0.save().unwrap();
        assert_eq!(learned(1), learned(1));
        assert_eq!(learned(1) == learned(2), name == "boosting", "{name}: boosting alone draws nothing");
    }
}

#[test]
fn what_is_said_of_the_validation_rows_is_what_is_predicted_for_them() {
    let data = made_dataset(&made::mixed(3, 400));
    let over = || false;
    let lesson = lesson(&data, 1, &over);
    for name in NAMES {
        let (mut course, _) = learn(name, &lesson, 12);
        let probabilities = course.predict(data.validation());
        let highest = |row: &[f32]| (0..row.len()).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
        let predicted: Vec<usize> = probabilities.chunks(data.classes()).map(highest).collect();
        let said: Vec<usize> = course.validate(&lesson).into_iter().map(usize::from).collect();
        assert_eq!(predicted, said, "{name}");
        let recalled = algorithm(name).recall(&course.save().unwrap()).unwrap();
        assert_eq!(recalled.predict(data.validation()), probabilities, "{name}");
    }
}

#[test]
fn figures_stay_finite_at_the_ends_of_the_knobs() {
    let data = made_dataset(&made::mixed(4, 300));
    let over = || false;
    let mut lesson = lesson(&data, 1, &over);
    for scaling_factor in [0, 19, 499, u16::MAX] {
        for buckets in [0, 4, 20, 1_000, u16::MAX] {
            lesson.knobs = Knobs { scaling_factor, buckets };
            for name in NAMES {
                let (course, curve) = learn(name, &lesson, 12);
                assert!(curve.iter().all(|value| (0.0..=1.0).contains(value)), "{name}: {curve:?}");
                for row in course.predict(data.test()).chunks(data.classes()) {
                    let sum: f32 = row.iter().sum();
                    let are_shares = row.iter().all(|share| (0.0..=1.0).contains(share));
                    assert!(are_shares && (sum - 1.0).abs() < 1e-4, "{name}, {:?}: {row:?}", lesson.knobs);
                }
            }
        }
    }
}

#[test]
fn each_heeds_the_knob_it_is_said_to_heed() {
    let data = made_dataset(&made::mixed(4, 300));
    let over = || false;
    let mut lesson = lesson(&data, 1, &over);
    let mut learned = |name: &str, scaling_factor, buckets| {
        lesson.knobs = Knobs { scaling_factor, buckets };
        learn(name, &lesson, 3).0.save().unwrap()
    };
    for (name, by_scaling, by_buckets) in [
        ("extra-trees", false, false),
        ("linear", true, false),
        ("network", true, false),
        ("boosting", false, true),
    ] {
        let usual = learned(name, 19, 20);
        assert_eq!(learned(name, 50, 20) != usual, by_scaling, "{name}");
        assert_eq!(learned(name, 19, 4) != usual, by_buckets, "{name}");
    }
}

/// Told to stop at any look, a learner stops at that look, and what it has learned is as it was before the step.
#[test]
fn who_is_told_to_stop_leaves_everything_as_it_was() {
    let data = made_dataset(&made::mixed(6, 300));
    for name in NAMES {
        let looks_left = AtomicU64::new(u64::MAX);
        let over = || {
            looks_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
        };
        let lesson = lesson(&data, 2, &over);
        let alone = learn(name, &lesson, 4).0.save();
        let mut course = algorithm(name).begin(&lesson).unwrap();
        for step in 0..4 {
            let before = course.save();
            let mut looks = 0;
            loop {
                looks_left.store(looks, Ordering::Relaxed);
                match course.step(&lesson).unwrap() {
                    Step::CutShort => assert_eq!(course.save(), before, "{name}, step {step}, look {looks}"),
                    Step::Again | Step::Exhausted => break,
                }
                looks = if looks < 8 { looks + 1 } else { looks * 2 };
            }
            assert!(looks >= 3, "{name} looked {looks} times only");
            looks_left.store(u64::MAX, Ordering::Relaxed);
            course.validate(&lesson);
        }
        assert_eq!(course.save(), alone, "{name}");
    }
}

#[test]
fn what_is_of_another_lesson_is_refused() {
    let (two, three) = (random_of(2), random_of(3));
    let over = || false;
    for name in NAMES {
        let learned = learn(name, &lesson(&two, 1, &over), 2).0.save().unwrap();
        let error = algorithm(name).resume(&lesson(&three, 1, &over), &learned).unwrap_err();
        assert!(error.to_string().starts_with("these rows "), "{error}");
        for other in NAMES.iter().filter(|other| **other != name) {
            let are_alike = [name, *other].iter().all(|name| ["linear", "network"].contains(name));
            assert!(
                are_alike || algorithm(other).recall(&learned).is_err(),
                "{other} took what {name} learned"
            );
        }
        for len in 0..learned.len() {
            assert!(algorithm(name).recall(&learned[..len]).is_err(), "{name}, cut at {len}");
        }
        let mut longer = learned;
        longer.push(0);
        assert!(algorithm(name).recall(&longer).is_err());
    }
}

/// Labels without sense make trees as large as they may be.
#[test]
fn what_is_learned_is_bounded() {
    let mut numbers = Numbers(10);
    let csv = table(5_000, |_| {
        let features = (0..4).map(|_| format!("{:.4}", numbers.unit())).collect();
        (features, format!("c{}", numbers.below(200)))
    });
    let data = dataset(&csv);
    let over = || false;
    let lesson = lesson(&data, 1, &over);
    let bytes = |name, steps| learn(name, &lesson, steps).0.save().unwrap().len();
    let trees = bytes("extra-trees", 1) / 4;
    assert!((50_000..110_000).contains(&trees), "{trees} bytes for a tree: at its bound, and not beyond");
    let round = bytes("boosting", 1);
    assert!((200 * 100..200 * 61 * 16).contains(&round), "{round} bytes for 200 trees");
    assert_eq!(bytes("network", 1).abs_diff(bytes("network", 3)) / 100, 0, "it does not grow");
}

fn random_of(classes: usize) -> Dataset {
    let mut numbers = Numbers(9);
    let row = |row: usize| (vec![format!("{:.3}", numbers.unit())], format!("c{}", row % classes));
    dataset(&table(60, row))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever bytes are taken for something learned: an error, or something that predicts without a panic.
    #[test]
    fn bent_bytes_are_refused_or_harmless(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let data = random_of(3);
        let over = || false;
        for name in NAMES {
            let mut learned = learn(name, &lesson(&data, 1, &over), 2).0.save().unwrap();
            let at = at.index(learned.len());
            learned[at] ^= 1 << bit;
            if let Ok(recalled) = algorithm(name).recall(&learned) {
                let len = recalled.predict(data.test()).len();
                prop_assert!(len == 0 || len.is_multiple_of(data.test().len()), "{} said {}", name, len);
            }
        }
    }
}
