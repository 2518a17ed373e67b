#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fmt::Write;
use std::num::NonZeroUsize;

use trainyard_tabular::{
    Algorithm, Course, Dataset, Knobs, Lesson, Limits, Lineup, Shares, Step, balanced_accuracy, made, prepare,
};

pub(crate) const NAMES: [&str; 4] = ["extra-trees", "linear", "network", "boosting"];

/// Numbers that look random and are the same on every run: splitmix64.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Uniform in -1 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap()) / f64::from(1_u32 << 31) - 1.0
    }
}

/// A table of so many rows; a row is its features and its class.
pub(crate) fn table(rows: usize, mut row: impl FnMut(usize) -> (Vec<String>, String)) -> String {
    let mut csv = String::new();
    for number in 0..rows {
        let (features, class) = row(number);
        if number == 0 {
            let names: Vec<String> = (0..features.len()).map(|place| format!("f{place}")).collect();
            writeln!(csv, "id,{},class", names.join(",")).unwrap();
        }
        writeln!(csv, "r{number},{},{class}", features.join(",")).unwrap();
    }
    csv
}

pub(crate) fn dataset(csv: &str) -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("rows.csv"), folder.path().join("rows.table"));
    std::fs::write(&from, csv).unwrap();
    prepare(&from, &to, &Limits::default(), &|| false).unwrap();
    Dataset::open(&to, &Shares::default(), 11, &|| false).unwrap()
}

pub(crate) fn made_dataset(set: &made::Made) -> Dataset {
    let mut csv = Vec::new();
    set.write_csv(&mut csv).unwrap();
    dataset(&String::from_utf8(csv).unwrap())
}

pub(crate) fn lesson<'a>(data: &'a Dataset, seed: u64, over: &'a (dyn Fn() -> bool + Sync)) -> Lesson<'a> {
    Lesson {
        train: data.train(),
        train_classes: data.train_classes(),
        validation: data.validation(),
        validation_classes: data.validation_classes(),
        classes: data.classes(),
        knobs: Knobs::default(),
        seed,
        threads: NonZeroUsize::MIN,
        over,
    }
}

pub(crate) fn algorithm(name: &str) -> Algorithm {
    Lineup::standard().find(name).unwrap().clone()
}

/// So many steps, or until there is nothing more to gain; the performance after each.
pub(crate) fn learn(name: &str, lesson: &Lesson<'_>, steps: usize) -> (Course, Vec<f64>) {
    let mut course = algorithm(name).begin(lesson).unwrap();
    let curve = go_on(&mut course, lesson, steps);
    (course, curve)
}

pub(crate) fn go_on(course: &mut Course, lesson: &Lesson<'_>, steps: usize) -> Vec<f64> {
    let mut curve = Vec::new();
    for _ in 0..steps {
        let step = course.step(lesson).unwrap();
        assert_ne!(step, Step::CutShort);
        let said = course.validate(lesson);
        curve.push(balanced_accuracy(lesson.validation_classes, &said, lesson.classes));
        if step == Step::Exhausted {
            break;
        }
    }
    curve
}

pub(crate) fn best(curve: &[f64]) -> f64 {
    curve.iter().copied().fold(0.0, f64::max)
}
