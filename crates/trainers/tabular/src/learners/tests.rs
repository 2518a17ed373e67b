//! What no learner of a sort could promise alone.

use std::fmt::Write;
use std::sync::Arc;

use super::*;
use crate::{Dataset, Knobs, Limits, Lineup, Rows, Shares, Step, prepare};

const NAMES: [&str; 4] = ["extra-trees", "linear", "network", "boosting"];

fn dataset(csv: &str) -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("rows.csv"), folder.path().join("rows.table"));
    std::fs::write(&from, csv).unwrap();
    prepare(&from, &to, &Limits::default(), &|| false).unwrap();
    Dataset::open(&to, &Shares::default(), 11, &|| false).unwrap()
}

pub(super) fn lesson<'a>(data: &'a Dataset, seed: u64, over: &'a (dyn Fn() -> bool + Sync)) -> Lesson<'a> {
    Lesson {
        train: data.train(),
        train_classes: data.train_classes(),
        validation: data.validation(),
        validation_classes: data.validation_classes(),
        classes: data.classes(),
        knobs: Knobs::default(),
        seed,
        threads: std::num::NonZeroUsize::MIN,
        over,
    }
}

/// The class is in which word it is: seven of twelve mean `yes`, the last in the order of classes. The other feature
/// says nothing.
pub(super) fn words(rows: usize) -> Dataset {
    let mut csv = "id,word,noise,class\n".to_owned();
    for row in 0..rows {
        let (word, noise) = (row * 7 % 12, row * 37 % 101);
        let class = if word * 5 % 12 < 7 { "yes" } else { "no" };
        writeln!(csv, "{row},word {word:02},{noise},{class}").unwrap();
    }
    dataset(&csv)
}

#[test]
fn a_text_that_nobody_has_learned_from_speaks_for_no_minority() {
    let data = words(900);
    let over = || false;
    let column = |x: f32| vec![x; 4];
    let unseen = Rows::new(4, vec![column(12.0), vec![10.0, 40.0, 60.0, 90.0]], Arc::clone(data.encoding()));
    let width = data.encoding().width();
    assert!(unseen.vectors().chunks(width).all(|row| row[..width - 1].iter().all(|&x| x == 0.0)));
    for seed in 1..6 {
        let lesson = lesson(&data, seed, &over);
        for name in NAMES {
            let mut course = Lineup::standard().find(name).unwrap().begin(&lesson).unwrap();
            for _ in 0..40 {
                if course.step(&lesson).unwrap() == Step::Exhausted {
                    break;
                }
            }
            let said = course.validate(&lesson);
            assert_eq!(crate::balanced_accuracy(data.validation_classes(), &said, 2), 1.0, "{name}");
            for row in course.predict(&unseen).chunks(2) {
                assert!(row[1] > 0.25, "{name}, seed {seed}: {row:?} for what says nothing");
            }
        }
    }
}

#[test]
fn nothing_but_the_net_is_handed_over() {
    let data = words(200);
    let over = || false;
    let lesson = lesson(&data, 1, &over);
    for name in NAMES {
        let algorithm = Lineup::standard().find(name).unwrap().clone();
        let mut course = algorithm.begin(&lesson).unwrap();
        assert_ne!(course.step(&lesson).unwrap(), Step::CutShort);
        let (saved, lasting) = (course.save().unwrap(), course.lasting().unwrap());
        if ["linear", "network"].contains(&name) {
            assert!(3 * lasting.len() < saved.len() + 200, "{name}: {} of {}", lasting.len(), saved.len());
            assert!(algorithm.resume(&lesson, &lasting).is_err(), "{name}: nobody goes on from that");
        } else {
            assert_eq!(saved, lasting, "{name}");
        }
        let recalled = algorithm.recall(&lasting).unwrap();
        assert_eq!(recalled.predict(data.test()), course.predict(data.test()), "{name}");
    }
}
