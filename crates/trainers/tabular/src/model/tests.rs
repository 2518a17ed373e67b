use std::fs;
use std::io::Write;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use trainyard_trainkit::seal;

use super::*;
use crate::{LearnError, Learner, Lesson, Limits, PredictError, Rows, Shares, Step, made, prepare};

/// Says of each row how far its first feature is above a bound; the classes beyond the second share nothing.
struct Bound;

#[derive(Serialize, Deserialize)]
struct Learned {
    bound: f32,
    classes: usize,
}

impl Learner for Bound {
    type Learned = Learned;
    type Notes = ();

    fn begin(&self, lesson: &Lesson<'_>) -> Result<Learned, LearnError> {
        Ok(Learned { bound: 10.0, classes: lesson.classes })
    }

    fn prepare(&self, _: &Lesson<'_>, _: &Learned) -> Result<(), LearnError> {
        Ok(())
    }

    fn step(&self, _: &Lesson<'_>, _: &mut (), _: &mut Learned) -> Result<Step, LearnError> {
        Ok(Step::Exhausted)
    }

    fn validate(&self, lesson: &Lesson<'_>, _: &mut (), _: &Learned) -> Vec<u16> {
        vec![0; lesson.validation.len()]
    }

    fn predict(&self, learned: &Learned, rows: &Rows) -> Vec<f32> {
        let probabilities = rows.columns()[0].iter().flat_map(|&x| {
            let above = if x > learned.bound { 0.75 } else { 0.25 };
            let mut row = vec![0.0; learned.classes];
            row[0] = 1.0 - above;
            row[1] = above;
            row
        });
        probabilities.collect()
    }
}

struct Desk {
    folder: TempDir,
    lineup: Lineup,
}

impl Desk {
    fn new(training: &[u8]) -> Self {
        Self::with(training, &Learned { bound: 10.0, classes: 2 })
    }

    fn with(training: &[u8], learned: &Learned) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap(), lineup: Lineup::new().with("bound", Bound) };
        fs::write(desk.path("train.csv"), training).unwrap();
        prepare(&desk.path("train.csv"), &desk.path("table"), &Limits::default(), &|| false).unwrap();
        let data = Dataset::open(&desk.path("table"), &Shares::default(), 1, &|| false).unwrap();
        let learned = postcard::to_allocvec(learned).unwrap();
        Model::save(&desk.path("model"), "bound", &data, &learned).unwrap();
        desk
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn model(&self) -> Model {
        Model::open(&self.path("model"), &self.lineup).unwrap()
    }

    fn predict_within(&self, rows: impl AsRef<[u8]>, limits: &Limits) -> Result<(u64, String), PredictError> {
        fs::write(self.path("rows.csv"), rows).unwrap();
        let mut out = Vec::new();
        let count = self.model().predict_csv(&self.path("rows.csv"), &mut out, limits, &|| false)?;
        Ok((count, String::from_utf8(out).unwrap()))
    }

    fn refused(&self, rows: impl AsRef<[u8]>, message: &str) {
        let error = self.predict_within(rows, &Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(error.refusal().is_some());
    }
}

/// Two classes by the first feature: an age, a town, some of either missing.
fn people() -> Vec<u8> {
    let mut text = "id,age,\"town, or so\",class\r\n".to_owned();
    for row in 0..20 {
        let town = ["\"Ulm\"", "", "\"a \"\"b\"\", c\""][row % 3];
        text.push_str(&format!("{row},{row},{town},{}\r\n", ["no", "\"yes, sir\""][usize::from(row > 10)]));
    }
    text.into_bytes()
}

#[test]
fn rows_come_back_as_they_were_with_two_columns_more() {
    let desk = Desk::new(&people());
    let rows =
        "\u{feff}id,age,\"town, or so\"\r\nb,11,nowhere\r\nb, 9.50 ,\"a \"\"b\"\", c\"\r\n ,,\"two\nlines\"";
    let (count, text) = desk.predict_within(rows, &Limits::default()).unwrap();
    assert_eq!(count, 3);
    let expected = "id,age,\"town, or so\",prediction,probability\n\
        b,11,nowhere,\"yes, sir\",0.750000\n\
        b, 9.50 ,\"a \"\"b\"\", c\",no,0.750000\n \
        ,,\"two\nlines\",no,0.750000\n";
    assert_eq!(text, expected);
}

#[test]
fn other_columns_are_refused_and_named() {
    let desk = Desk::new(&people());
    let town = "\"town, or so\"";
    desk.refused("", "the file is empty");
    desk.refused(format!("id,age,{town}\n"), "the file has a header, but no rows");
    desk.refused(
        format!("id,{town},age\n1,2,3\n"),
        "column 2 is \"town, or so\", and the model was trained on \"age\" there",
    );
    desk.refused(
        format!("key,age,{town}\n1,2,3\n"),
        "column 1 is \"key\", and the model was trained on \"id\" there",
    );
    let columns = "the model needs 3: the id and the features, without the class";
    desk.refused(people(), &format!("the header has 4 columns, and {columns}"));
    desk.refused("id,age\n1,2\n", &format!("the header has 2 columns, and {columns}"));
    desk.refused("id\n1\n", &format!("the header has 1 columns, and {columns}"));
}

#[test]
fn rows_that_do_not_fit_are_refused_and_named() {
    let desk = Desk::new(&people());
    let with = |rows: &str| format!("id,age,\"town, or so\"\n1,2,3\n{rows}");
    desk.refused(
        with("2,old,x\n"),
        "row 3, column 2 (\"age\") is \"old\", and the model was trained on numbers there",
    );
    desk.refused(
        with("2,NaN,x\n"),
        "row 3, column 2 (\"age\") is \"NaN\", and the model was trained on numbers there",
    );
    desk.refused(with("2,3\n"), "row 3 has 2 fields, and the header has 3");
    desk.refused(b"PK\x03\x04", "the file is a zip archive or a spreadsheet, and not a csv in utf-8");
    let limits = Limits { rows: 1, ..Limits::default() };
    let error = desk.predict_within(with("2,3,4\n"), &limits).unwrap_err();
    assert_eq!(error.to_string(), "there are more than 1 rows");
    let limits = Limits { cells: 1, ..Limits::default() };
    desk.predict_within(with("2,3,4\n"), &limits).expect("few rows are held at once");
}

#[test]
fn more_rows_than_are_held_at_once_keep_their_order() {
    let desk = Desk::new(&people());
    let rows: String = (0..10_000).map(|row| format!("{row},{},t{row}\n", row % 23)).collect();
    let (count, text) =
        desk.predict_within("id,age,\"town, or so\"\n".to_owned() + &rows, &Limits::default()).unwrap();
    assert_eq!(count, 10_000);
    let mut lines = text.lines().skip(1);
    for row in 0..10_000 {
        let class = if row % 23 > 10 { "\"yes, sir\"" } else { "no" };
        assert_eq!(lines.next().unwrap(), format!("{row},{},t{row},{class},0.750000", row % 23));
    }
    assert_eq!(lines.next(), None);
}

proptest! {
    #[test]
    fn any_fields_come_back(
        rows in prop::collection::vec(("[0-9]{0,2}", "[a\",\r\n é]{0,5}", "[a\",\r\n é]{1,5}"), 1..20),
    ) {
        let desk = Desk::new(&people());
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["id", "age", "town, or so"]).unwrap();
        for (age, town, id) in &rows {
            csv.write_record([id, age, town]).unwrap();
        }
        let (count, text) = desk.predict_within(csv.into_inner().unwrap(), &Limits::default()).unwrap();
        prop_assert_eq!(count, rows.len() as u64);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        for ((age, town, id), record) in rows.iter().zip(reader.records()) {
            let class = if age.parse().is_ok_and(|age: f32| age > 10.0) { "yes, sir" } else { "no" };
            prop_assert_eq!(record.unwrap(), vec![&**id, age, town, class, "0.750000"]);
        }
    }

    #[test]
    fn arbitrary_rows_are_predicted_for_or_refused(
        text in "(id,age,\"town, or so\"\n)?([0-9a\",\r\n\0é]|,x,|\n[0-9],){0,60}",
    ) {
        let desk = Desk::new(&people());
        if let Err(error) = desk.predict_within(text, &Limits::default()) {
            prop_assert!(error.refusal().is_some(), "{error}");
        }
    }
}

#[test]
fn it_stops_when_told() {
    let desk = Desk::new(&people());
    let rows: String =
        (0..9_000).map(|row| format!("{row},1,a rather long name for a town {row}\n")).collect();
    fs::write(desk.path("rows.csv"), "id,age,\"town, or so\"\n".to_owned() + &rows).unwrap();
    let model = desk.model();
    for calls in 0..9 {
        let asked = std::cell::Cell::new(0);
        let over = || asked.replace(asked.get() + 1) >= calls;
        let mut out = Vec::new();
        let stopped = model.predict_csv(&desk.path("rows.csv"), &mut out, &Limits::default(), &over);
        assert!(matches!(stopped, Err(PredictError::Stopped)), "after {calls} calls: {stopped:?}");
    }
}

#[test]
fn a_full_disk_is_told() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let desk = Desk::new(&people());
    let rows: String = (0..9_000).map(|row| format!("{row},1,x\n")).collect();
    fs::write(desk.path("rows.csv"), "id,age,\"town, or so\"\n".to_owned() + &rows).unwrap();
    for room in [0, 50_000] {
        let told =
            desk.model().predict_csv(&desk.path("rows.csv"), &mut Full(room), &Limits::default(), &|| false);
        let Err(PredictError::Io { operation, source }) = told else { panic!("{told:?}") };
        assert_eq!((operation, source.kind()), ("write the predictions", std::io::ErrorKind::StorageFull));
    }
}

#[test]
fn every_flipped_byte_and_every_cut_of_a_model_shows() {
    let desk = Desk::new(&people());
    let bytes = fs::read(desk.path("model")).unwrap();
    let open = |bytes: &[u8]| {
        fs::write(desk.path("model"), bytes).unwrap();
        Model::open(&desk.path("model"), &desk.lineup)
    };
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let error = open(&flipped).unwrap_err();
        let is_expected = match at {
            8..12 => matches!(error, ModelError::UnknownFormat { .. }),
            _ => matches!(error, ModelError::Damaged { .. }),
        };
        assert!(is_expected, "byte {at}: {error}");
        assert!(matches!(open(&bytes[..at]), Err(ModelError::Damaged { .. })), "cut at {at}");
    }
    open(&bytes).unwrap();
}

proptest! {
    #[test]
    fn a_forged_model_is_refused_or_predicts(changes in prop::collection::vec((12..600_usize, any::<u8>()), 1..4)) {
        let desk = Desk::new(&people());
        let mut bytes = fs::read(desk.path("model")).unwrap();
        bytes.truncate(bytes.len() - 32);
        for (at, value) in changes {
            let len = bytes.len();
            bytes[12 + at % (len - 12)] = value;
        }
        fs::write(desk.path("model"), seal(MAGIC, FORMAT, &bytes[12..])).unwrap();
        if let Ok(model) = Model::open(&desk.path("model"), &desk.lineup) {
            let rows: Vec<Vec<f32>> = model.schema().features().iter().map(|_| vec![1.0, f32::NAN, 0.0]).collect();
            let vectors = model.encoding.vectors_unless(&rows, 3, &|| false).unwrap();
            prop_assert!(vectors.iter().all(|x| x.is_finite()));
        }
    }
}

#[test]
fn a_model_needs_its_algorithm() {
    let desk = Desk::new(&people());
    let error = Model::open(&desk.path("model"), &Lineup::new()).unwrap_err();
    assert_eq!(error.to_string(), "the model was learned by \"bound\", which is not in the line-up");
    let error = Model::open(&desk.path("nothing"), &desk.lineup).unwrap_err();
    assert_eq!(error.to_string(), "could not open the model");
    assert_eq!(desk.model().algorithm(), "bound");
    assert_eq!(desk.model().schema().classes(), ["no", "yes, sir"]);

    let data = Dataset::open(&desk.path("table"), &Shares::default(), 1, &|| false).unwrap();
    Model::save(&desk.path("model"), "bound", &data, b"").unwrap();
    let error = Model::open(&desk.path("model"), &desk.lineup).unwrap_err();
    assert_eq!(error.to_string(), "the model's algorithm cannot make use of it");
}

#[test]
fn an_algorithm_that_miscounts_is_told_apart() {
    let desk = Desk::with(&people(), &Learned { bound: 10.0, classes: 3 });
    let error = desk.predict_within("id,age,\"town, or so\"\n1,2,3\n", &Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "the model's algorithm gave 3 probabilities, expected 2");
}

#[test]
fn a_made_set_without_its_class_is_predicted_for() {
    let mut training = Vec::new();
    made::mixed(1, 200).write_csv(&mut training).unwrap();
    let desk = Desk::with(&training, &Learned { bound: 17.0, classes: 3 });
    let mut reader = csv::Reader::from_reader(&*training);
    let mut asked = csv::Writer::from_writer(Vec::new());
    let header = reader.headers().unwrap().clone();
    asked.write_record(header.iter().take(6)).unwrap();
    for record in reader.records() {
        asked.write_record(record.unwrap().iter().take(6)).unwrap();
    }
    let (count, text) = desk.predict_within(asked.into_inner().unwrap(), &Limits::default()).unwrap();
    assert_eq!(count, 200);
    let classes = desk.model().schema().classes().to_vec();
    for record in csv::Reader::from_reader(text.as_bytes()).records() {
        assert!(classes.contains(&record.unwrap()[6].to_owned()));
    }
}
