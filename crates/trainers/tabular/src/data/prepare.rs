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

/// What a table that is ready is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// How many rows it has.
    pub rows: u64,
    /// What its columns are, with its classes.
    pub schema: Schema,
    /// How much memory a contest of four learners on it takes at most, about, in bytes.
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
/// let data = Dataset::open(&table, &Shares::default(), 1)?;
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
    let training_bytes = training_bytes(&survey, &features.iter().map(|f| &f.fields).collect::<Vec<_>>());
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
    Ok(Prepared { rows, schema: header.schema, training_bytes })
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

/// The columns as they are, in bins and as vectors, and what learners keep of each row and class.
fn training_bytes(survey: &Survey, fields: &[&Fields]) -> u64 {
    let wanted: Vec<Wanted> = survey
        .features
        .iter()
        .zip(fields)
        .map(|(seen, fields)| Wanted {
            texts: match fields {
                Fields::Numbers => None,
                Fields::Texts(texts) => Some(texts.len()),
            },
            missing: seen.missing,
        })
        .collect();
    let rows = usize::try_from(survey.rows).unwrap_or(usize::MAX);
    let width = Room::share(&wanted, rows).width as u64;
    let classes = survey.classes.len() as u64;
    let row = 6 * wanted.len() as u64 + 4 * width + 40 * classes + 16;
    row.saturating_mul(survey.rows).saturating_add(BASE_BYTES)
}

/// What a contest takes on the smallest table: four learners with what they have learned, and their checkpoints.
const BASE_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;

    use super::*;

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
