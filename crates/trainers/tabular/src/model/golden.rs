//! Files of earlier versions open for ever: one table, and a model of each learner with what it says.
//!
//! They are in `tests/golden`. Who changes a format on purpose raises its number, keeps a way to read the old one or
//! says in `CHANGELOG.md` that there is none, and makes them anew:
//! `TRAINYARD_MAKE_GOLDEN=1 cargo test -p trainyard-tabular golden`.

use std::path::PathBuf;

use super::*;
use crate::{Knobs, Lesson, Limits, Rows, Shares, Step, made, prepare};

const NAMES: [&str; 4] = ["boosting", "extra-trees", "linear", "network"];
/// As many as make every file small.
const STEPS: usize = 2;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn data() -> Dataset {
    Dataset::open(&path("mixed.table"), &Shares::default(), 1, &|| false).unwrap()
}

/// What a model says of the rows for the test, as it is kept: a line of probabilities for each.
fn said(probabilities: &[f32], classes: usize) -> String {
    let line = |row: &[f32]| row.iter().map(|share| format!("{share:.6}")).collect::<Vec<_>>().join(" ");
    probabilities.chunks(classes).map(|row| line(row) + "\n").collect()
}

fn make() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("made.csv");
    made::mixed(7, 90).write_csv(&mut File::create(&csv).unwrap()).unwrap();
    prepare(&csv, &path("mixed.table"), &Limits::default(), &|| false).unwrap();
    let data = data();
    let lesson = Lesson {
        train: data.train(),
        train_classes: data.train_classes(),
        validation: data.validation(),
        validation_classes: data.validation_classes(),
        classes: data.classes(),
        knobs: Knobs::default(),
        seed: 3,
        threads: std::num::NonZeroUsize::MIN,
        over: &|| false,
    };
    for name in NAMES {
        let mut course = Lineup::standard().find(name).unwrap().begin(&lesson).unwrap();
        (0..STEPS).for_each(|_| assert_eq!(course.step(&lesson).unwrap(), Step::Again));
        Model::save(&path(&format!("{name}.model")), name, &data, &course.lasting().unwrap()).unwrap();
        let said = said(&course.predict(data.test()), data.classes());
        std::fs::write(path(&format!("{name}.said")), said).unwrap();
    }
}

#[test]
fn golden_files_open_and_say_what_they_said() {
    if std::env::var_os("TRAINYARD_MAKE_GOLDEN").is_some() {
        make();
    }
    let data = data();
    assert_eq!(data.train().len() + data.validation().len() + data.test().len(), 90);
    assert_eq!(data.schema().classes(), ["\"birch\", white", "oak", "élan"]);
    let test: Vec<u64> = data.test().columns()[0].iter().map(|x| u64::from(x.to_bits())).collect();
    assert_eq!(test.iter().sum::<u64>(), TEST_BITS, "the rows for the test are those they were");
    for name in NAMES {
        let model = Model::open(&path(&format!("{name}.model")), &Lineup::standard()).unwrap();
        assert_eq!((model.algorithm(), model.schema()), (name, data.schema()));
        let rows = Rows::new(data.test().len(), data.test().columns().to_vec(), Arc::clone(&model.encoding));
        let now = model.predictor.predict(&rows);
        let text = std::fs::read_to_string(path(&format!("{name}.said"))).unwrap();
        let then: Vec<f32> = text.split_whitespace().map(|share| share.parse().unwrap()).collect();
        assert_eq!(now.len(), then.len());
        // The last digits of products are those of the machine.
        for (now, then) in now.iter().zip(&then) {
            assert!((now - then).abs() < 1e-4, "{name}: {now} now, {then} then");
        }
    }
}

/// The sum of the bits of the first column of the rows for the test.
const TEST_BITS: u64 = 23_962_719_354;
