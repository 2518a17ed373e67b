//! From CSV to a table file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::coding::Coding;
use super::encoding::{Room, Wanted};
use trainyard_trainkit::write_beside;

use super::file::{Header, TableWriter};
use super::reading::{Records, Trouble};
use super::survey::Survey;
use super::{Fields, Limits, Refusal, Schema, TableError};
use crate::learners::{Needs, Shape};

/// What a table that is ready is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// How many rows it has.
    pub rows: u64,
    /// What its columns are, with its classes.
    pub schema: Schema,
    /// How much memory a contest of four learners on it takes at most, about, in bytes: its rows in all their forms,
    /// what is learned from them at its largest, and the copies of that on their way into checkpoints.
    pub training_bytes: u64,
}

/// Makes a CSV ready to be learned from: writes what is needed of it to the table file `to`, for
/// [`Dataset::open`](crate::Dataset::open).
///
/// The first row of the CSV names the columns. The first column is an id, never learned from, of which no two are
/// the same; the last one is the class; those between are features. A feature is of numbers when all its fields that
/// are not missing are finite numbers, else of texts. A field is missing when it is empty, or nothing but spaces.
/// Fields may be quoted, lines may end in CRLF, a byte-order mark is fine, and empty lines are passed over.
///
/// The file is read twice, or three times where there are texts, and must not change meanwhile. `over` is asked every
/// few milliseconds whether to stop. When this returns `Ok`, the table file is whole and durable; otherwise there is
/// none, or the one that was there before.
///
/// ```
/// use trainyard_tabular::{Dataset, Limits, Shares, made, prepare};
///
/// let folder = tempfile::tempdir()?;
/// let (csv, table) = (folder.path().join("trees.csv"), folder.path().join("trees.table"));
/// made::mixed(7, 300).write_csv(&mut std::fs::File::create(&csv)?)?;
///
/// let prepared = prepare(&csv, &table, &Limits::default(), &|| false)?;
/// assert_eq!(prepared.schema.classes(), ["\"birch\", white", "oak", "élan"]);
/// let data = Dataset::open(&table, &Shares::default(), 1, &|| false)?;
/// assert_eq!(data.train().len() + data.validation().len() + data.test().len(), 300);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TableError::Refused`] says what is wrong with the CSV; memory stays bounded whatever is in it.
pub fn prepare(
    csv: &Path,
    to: &Path,
    limits: &Limits,
    over: &dyn Fn() -> bool,
) -> Result<Prepared, TableError> {
    prepare_from(|| File::open(csv), to, limits, over)
}

/// The same, from whatever can be read more than once.
fn prepare_from<R: Read>(
    open: impl Fn() -> io::Result<R>,
    to: &Path,
    limits: &Limits,
    over: &dyn Fn() -> bool,
) -> Result<Prepared, TableError> {
    let open = || open().map_err(Trouble::Io);
    let survey = Survey::take(Records::open(open()?, limits, over)?, limits)?;
    let features = survey.dictionaries(open, limits, over)?;
    let needs = needs(&survey, &features.iter().map(|f| &f.fields).collect::<Vec<_>>());
    let Survey { mut names, rows, classes, .. } = survey;
    let read = names.clone();
    let class = names.pop().expect("there are three columns or more");
    let id = names.swap_remove(0);
    let (classes, counts) = classes.into_iter().unzip();
    let schema = Schema { id, features, class, classes };
    let header = Header { schema, rows, counts };
    let records = Records::open(open()?, limits, over)?;
    if records.names() != read {
        return Err(Refusal::Changed.into());
    }
    write_beside(to, |file| -> Result<(), Written> {
        let mut writer = TableWriter::new(file, &header)?;
        encode(records, &header, &mut writer)?;
        Ok(writer.finish()?)
    })
    .map_err(|error| match error {
        Written::Not(error) => TableError::io("write the table file")(error),
        Written::Trouble(trouble) => trouble.into(),
    })?;
    Ok(Prepared { rows, schema: header.schema, training_bytes: needs.total() })
}

/// Reads all rows once more, and writes them.
fn encode<R: Read, W: io::Write>(
    mut records: Records<'_, R>,
    header: &Header,
    writer: &mut TableWriter<W>,
) -> Result<(), Written> {
    let Header { schema, rows, counts } = header;
    let codings: Vec<Coding> = schema.features.iter().map(Coding::of).collect();
    let changed = || Written::Trouble(Refusal::Changed.into());
    let mut left = counts.clone();
    while records.advance().map_err(Written::Trouble)? {
        let record = records.record();
        let class = schema.classes.binary_search_by(|class| (**class).cmp(&record[codings.len() + 1]));
        let class = class.map_err(|_| changed())?;
        left[class] = left[class].checked_sub(1).ok_or_else(changed)?;
        let class = u16::try_from(class).expect("there are few classes");
        writer.push(|nth| codings[nth].code(&record[nth + 1]).ok_or_else(changed), class)?;
    }
    if records.rows() == *rows { Ok(()) } else { Err(changed()) }
}

/// Why a table file was not written.
enum Written {
    Not(io::Error),
    Trouble(Trouble),
}

impl From<io::Error> for Written {
    fn from(error: io::Error) -> Self {
        Self::Not(error)
    }
}

/// What a contest of four learners takes at most, about, in bytes.
struct TrainingNeeds {
    /// The columns as they are, as vectors, and the classes.
    data: u64,
    learners: Needs,
}

impl TrainingNeeds {
    fn total(&self) -> u64 {
        let Self { data, learners: Needs { learned, notes } } = self;
        [*data, *learned, *notes].into_iter().fold(BASE_BYTES, u64::saturating_add)
    }
}

fn needs(survey: &Survey, fields: &[&Fields]) -> TrainingNeeds {
    let texts = |fields: &Fields| match fields {
        Fields::Numbers => None,
        Fields::Texts(texts) => Some(texts.len()),
    };
    let columns = survey.features.iter().zip(fields);
    let wanted: Vec<Wanted> =
        columns.map(|(seen, fields)| Wanted { texts: texts(fields), missing: seen.missing }).collect();
    let rows = usize::try_from(survey.rows).unwrap_or(usize::MAX);
    let shape = Shape {
        rows,
        features: wanted.len(),
        places: fields.iter().filter_map(|fields| texts(fields)).max().map_or(0, |longest| longest + 1),
        width: Room::width_max(&wanted, rows),
        classes: survey.classes.len(),
    };
    let row = 4 * shape.features as u64 + 4 * shape.width as u64 + 2;
    TrainingNeeds { data: row.saturating_mul(survey.rows), learners: shape.needs() }
}

/// What a contest takes beside that, on the smallest table as well: threads with the rows they predict for, files on
/// their way, and the rest of the process.
const BASE_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;

    use super::*;
    use crate::{Dataset, Knobs, Lesson, Lineup, Shares};

    const ROWS: &str = "id,a,b,class\n1,1,x,n\n2,2,y,n\n3,3,x,n\n4,4,y,y\n5,5,x,y\n6,6,y,y\n";

    /// Prepares what is this at the first look, that at the second, and so on.
    fn prepare_looks(looks: &[&str]) -> Result<Prepared, TableError> {
        let folder = tempfile::tempdir().unwrap();
        let looks: RefCell<VecDeque<Vec<u8>>> =
            RefCell::new(looks.iter().map(|look| look.as_bytes().to_vec()).collect());
        let open = || Ok(io::Cursor::new(looks.borrow_mut().pop_front().expect("three looks are enough")));
        let prepared = prepare_from(open, &folder.path().join("table"), &Limits::default(), &|| false);
        assert!(looks.borrow().is_empty() || prepared.is_err());
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, usize::from(prepared.is_ok()), "there is a table or nothing");
        prepared
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_refused() {
        assert_eq!(prepare_looks(&[ROWS, ROWS, ROWS]).unwrap().rows, 6);
        let changed = [
            ROWS.replace("3,3,x,n", "3,three,x,n"),
            ROWS.replace("3,3,x,n", "3,3,x,y"),
            ROWS.replace("3,3,x,n", "3,3,x,z"),
            ROWS.replace("3,3,x,n\n", ""),
            ROWS.replace("6,6,y,y\n", "6,6,y,y\n7,7,z,y\n"),
            ROWS.replace("a,b", "b,a"),
        ];
        for changed in &changed {
            let error = prepare_looks(&[ROWS, ROWS, changed]).unwrap_err();
            assert_eq!(error.refusal(), Some(&Refusal::Changed), "{changed}");
        }
        let error = prepare_looks(&[ROWS, &changed[5]]).unwrap_err();
        assert_eq!(error.refusal(), Some(&Refusal::Changed));
        assert_eq!(error.to_string(), "the file changed while it was read");
        let error = prepare_looks(&[ROWS, ""]).unwrap_err();
        assert_eq!(error.refusal(), Some(&Refusal::Empty));
    }

    /// What a training is said to take, without its base, beside what is really there: few rows, very many texts, very
    /// many classes.
    #[test]
    fn what_a_training_takes_is_what_is_said_and_not_much_less() {
        const ROW_COUNT: usize = 600;
        let folder = tempfile::tempdir().unwrap();
        let (csv, table) = (folder.path().join("rows.csv"), folder.path().join("table"));
        for (columns, classes) in [(9_998, 256), (40, 2), (400, 2)] {
            let mut text = "id".to_owned();
            (0..columns).for_each(|column| text.push_str(&format!(",f{column}")));
            text.push_str(",class\n");
            for row in 0..ROW_COUNT {
                text.push_str(&row.to_string());
                // two texts, and one that is missing here and there
                (0..columns).for_each(|column| {
                    text.push_str([",x", ",y", ","][(row * 31 + column * 7 + row * column) % 3])
                });
                text.push_str(&format!(",c{}\n", row % classes));
            }
            std::fs::write(&csv, text).unwrap();
            let limits = Limits::default();
            let open = || File::open(&csv).map_err(Trouble::Io);
            let survey =
                Survey::take(Records::open(open().unwrap(), &limits, &|| false).unwrap(), &limits).unwrap();
            let features = survey.dictionaries(open, &limits, &|| false).unwrap();
            let said = needs(&survey, &features.iter().map(|f| &f.fields).collect::<Vec<_>>());
            let prepared = prepare(&csv, &table, &limits, &|| false).unwrap();
            assert_eq!(prepared.training_bytes - BASE_BYTES, said.total() - BASE_BYTES);

            let data = Dataset::open(&table, &Shares::default(), 1, &|| false).unwrap();
            let within = |what: &str, said: u64, real: u64, times: u64| {
                assert!(
                    real <= said && said <= times * real,
                    "{columns} {what}: {said} said, {real} are there"
                );
            };
            within("data", said.data, data.bytes(), 2);
            let over = || false;
            let lesson = Lesson {
                train: data.train(),
                train_classes: data.train_classes(),
                validation: data.validation(),
                validation_classes: data.validation_classes(),
                classes: data.classes(),
                knobs: Knobs::default(),
                seed: 1,
                threads: std::num::NonZeroUsize::MIN,
                over: &over,
            };
            let lineup = Lineup::standard();
            let stored = ["linear", "network"].map(|name| {
                let course = lineup.find(name).unwrap().begin(&lesson).unwrap();
                course.save().unwrap().len() as u64
            });
            // Held, once more while a step is at work, and twice on their way to disk; the rest is for trees.
            let weights: u64 = stored.iter().map(|stored| 4 * stored).sum();
            assert!(
                weights <= said.learners.learned,
                "{columns}: {} said of {weights}",
                said.learners.learned
            );
            let trees = said.learners.learned - weights;
            assert!(
                trees <= 200 << 20 || trees <= 2 * weights,
                "{columns}: {trees} for trees beside {weights}"
            );
        }
    }

    #[test]
    fn numbers_alone_are_looked_at_twice() {
        let numbers = ROWS.replace('x', "1").replace("y,", "2,");
        prepare_looks(&[&numbers, &numbers]).unwrap();
    }

    /// Rows without end, each about a hundred bytes; counts what is read.
    struct Endless<'c> {
        left: VecDeque<u8>,
        row: u64,
        read: &'c Cell<u64>,
    }

    impl Read for Endless<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            while self.left.len() < into.len() {
                self.row += 1;
                let row = format!("{},{:090},{}\n", self.row, self.row, self.row % 2);
                self.left.extend(row.as_bytes());
            }
            let read = self.left.read(into)?;
            self.read.set(self.read.get() + read as u64);
            Ok(read)
        }
    }

    #[test]
    fn rows_without_end_are_refused_where_there_are_too_many() {
        let read = Cell::new(0);
        let folder = tempfile::tempdir().unwrap();
        let open = || Ok(Endless { left: b"id,a,class\n".iter().copied().collect(), row: 0, read: &read });
        let table = folder.path().join("table");
        for (limits, message) in [
            (Limits { rows: 2_000, ..Limits::default() }, "there are more than 2000 rows"),
            (
                Limits { cells: 2_000, ..Limits::default() },
                "the rows have more than 2000 fields to learn from, 1 each",
            ),
        ] {
            read.set(0);
            let error = prepare_from(open, &table, &limits, &|| false).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(read.get() < 400_000, "{} bytes were read", read.get());
        }
    }
}
