//! The rows of a CSV, in bounded memory.

use std::collections::HashMap;
use std::io::{self, Read};

use csv::StringRecord;

use super::error::beginning;
use super::{Limits, Place, Refusal, TableError};

/// The rows of a CSV, one after the other. At most one of them is in memory.
pub(crate) struct Records<'a, R> {
    reader: csv::Reader<Gate<'a, R>>,
    limits: Limits,
    names: Vec<String>,
    record: StringRecord,
    row: u64,
}

/// Why there is no next row.
#[derive(Debug)]
pub(crate) enum Trouble {
    Refused(Refusal),
    Stopped,
    Io(io::Error),
}

impl<'a, R: Read> Records<'a, R> {
    /// Reads the header. Asks `over` every 64 KiB whether to go on.
    pub(crate) fn open(mut source: R, limits: &Limits, over: &'a dyn Fn() -> bool) -> Result<Self, Trouble> {
        let (first, len) = peek(&mut source).map_err(Trouble::Io)?;
        if let Some(what) = foreign(&first[..len]) {
            return Err(Refusal::NotCsv { what }.into());
        }
        let gate =
            Gate { source, over, first, unread: 0..len, given: 0, max: limits.record_bytes, shut: None };
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(gate);
        let mut records =
            Self { reader, limits: *limits, names: Vec::new(), record: StringRecord::new(), row: 0 };
        if !records.read()? {
            return Err(Refusal::Empty.into());
        }
        records.take_header()?;
        Ok(records)
    }

    /// Reads the next row, and says whether there was one.
    pub(crate) fn advance(&mut self) -> Result<bool, Trouble> {
        if !self.read()? {
            return Ok(false);
        }
        let (fields, columns) = (self.record.len(), self.names.len());
        if fields != columns {
            return Err(Refusal::Ragged { row: self.row, fields, columns }.into());
        }
        if self.row - 1 > self.limits.rows {
            return Err(Refusal::TooManyRows { max: self.limits.rows }.into());
        }
        Ok(true)
    }

    /// The row that was read last, with as many fields as there are [names](Records::names).
    pub(crate) const fn record(&self) -> &StringRecord {
        &self.record
    }

    /// How the columns are called; all are called differently.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// How many rows were read, without the header.
    pub(crate) const fn rows(&self) -> u64 {
        self.row - 1
    }

    /// Where a column, counted from 0, is in the row that was read last.
    pub(crate) fn place(&self, column: usize) -> Place {
        let name = self.names.get(column).map_or_else(String::new, |name| beginning(name));
        Place { row: self.row, column: column + 1, name }
    }

    fn read(&mut self) -> Result<bool, Trouble> {
        self.row += 1;
        let max = self.limits.record_bytes;
        self.reader.get_mut().given = 0;
        let start = self.reader.position().byte();
        let read = match self.reader.read_record(&mut self.record) {
            Ok(read) => read,
            Err(error) => return Err(self.trouble(error)),
        };
        if !read {
            self.row -= 1;
            return Ok(false);
        }
        if self.reader.position().byte() - start > max as u64 {
            return Err(Refusal::RowTooLong { row: self.row, max }.into());
        }
        self.check_fields()?;
        Ok(true)
    }

    fn check_fields(&self) -> Result<(), Trouble> {
        let max = self.limits.cell_bytes;
        if let Some((column, field)) = self.record.iter().enumerate().find(|(_, field)| field.len() > max) {
            return Err(Refusal::FieldTooLong { place: self.place(column), bytes: field.len(), max }.into());
        }
        if self.record.as_slice().as_bytes().contains(&0) {
            let column = self.record.iter().position(|field| field.as_bytes().contains(&0));
            return Err(Refusal::ZeroByte { place: self.place(column.unwrap_or(0)) }.into());
        }
        Ok(())
    }

    fn trouble(&self, error: csv::Error) -> Trouble {
        match self.reader.get_ref().shut {
            Some(Shut::TooLong) => {
                return Refusal::RowTooLong { row: self.row, max: self.limits.record_bytes }.into();
            }
            Some(Shut::Over) => return Trouble::Stopped,
            None => {}
        }
        if let csv::ErrorKind::Utf8 { err, .. } = error.kind() {
            return Refusal::NotUtf8 { place: self.place(err.field()) }.into();
        }
        Trouble::Io(io_error(error))
    }

    fn take_header(&mut self) -> Result<(), Trouble> {
        let (columns, max) = (self.record.len(), self.limits.columns);
        if columns > max {
            return Err(Refusal::TooManyColumns { columns, max }.into());
        }
        let mut seen: HashMap<&str, usize> = HashMap::with_capacity(columns);
        for (column, name) in self.record.iter().enumerate() {
            if let Some(first) = seen.insert(name, column) {
                let (first, second) = (first + 1, column + 1);
                return Err(Refusal::SameName { first, second, name: beginning(name) }.into());
            }
        }
        self.names = self.record.iter().map(str::to_owned).collect();
        Ok(())
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Trouble> for TableError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused(refusal) => Self::Refused(refusal),
            Trouble::Stopped => Self::Stopped,
            Trouble::Io(error) => Self::io("read the csv")(error),
        }
    }
}

/// What the disk said.
pub(crate) fn io_error(error: csv::Error) -> io::Error {
    let told = error.to_string();
    if let csv::ErrorKind::Io(error) = error.into_kind() { error } else { io::Error::other(told) }
}

/// Lets no more through than one row may take, and nothing once it is over.
struct Gate<'a, R> {
    source: R,
    over: &'a dyn Fn() -> bool,
    /// The first bytes were looked at before they were needed.
    first: [u8; MAGIC_BYTES_MAX],
    unread: std::ops::Range<usize>,
    /// What was let through since the row began.
    given: usize,
    max: usize,
    shut: Option<Shut>,
}

#[derive(Debug, Clone, Copy)]
enum Shut {
    TooLong,
    Over,
}

impl<R: Read> Read for Gate<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if (self.over)() {
            return Err(self.shut(Shut::Over));
        }
        // all that was let through is used up, and still the row has no end
        if self.given > self.max {
            return Err(self.shut(Shut::TooLong));
        }
        let read = if self.unread.is_empty() {
            read_some(&mut self.source, into)?
        } else {
            let read = (&self.first[self.unread.clone()]).read(into)?;
            self.unread.start += read;
            read
        };
        self.given += read;
        Ok(read)
    }
}

impl<R> Gate<'_, R> {
    fn shut(&mut self, why: Shut) -> io::Error {
        self.shut = Some(why);
        io::Error::other("the gate is shut")
    }
}

fn read_some(source: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// The first bytes, and how many there are.
fn peek(source: &mut impl Read) -> io::Result<([u8; MAGIC_BYTES_MAX], usize)> {
    let mut first = [0; MAGIC_BYTES_MAX];
    let mut len = 0;
    while len < first.len() {
        match read_some(source, &mut first[len..])? {
            0 => break,
            read => len += read,
        }
    }
    Ok((first, len))
}

/// What a file is, when its first bytes are those of something else.
fn foreign(first: &[u8]) -> Option<&'static str> {
    MAGICS.iter().find(|(magic, _)| first.starts_with(magic)).map(|(_, what)| *what)
}

const MAGICS: [(&[u8], &str); 10] = [
    (b"PK\x03\x04", "a zip archive or a spreadsheet"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"\xfd7zX", "compressed by xz"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet"),
    (b"PAR1", "a parquet file"),
    (b"%PDF", "a pdf"),
    (b"\xff\xfe", "in utf-16"),
    (b"\xfe\xff", "in utf-16"),
];
const MAGIC_BYTES_MAX: usize = 4;
/// How much is read at once.
const BUFFER_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Counts what is read of it.
    struct Counted<'c, R>(R, &'c Cell<u64>);

    impl<R: Read> Read for Counted<'_, R> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read(into)?;
            self.1.set(self.1.get() + read as u64);
            Ok(read)
        }
    }

    /// Reads all of it, and says what was wrong and how many bytes were looked at.
    fn read_all(source: impl Read) -> (Result<u64, Refusal>, u64) {
        let count = Cell::new(0);
        let read = || {
            let mut records = Records::open(Counted(source, &count), &Limits::default(), &|| false)?;
            while records.advance()? {}
            Ok(records.rows())
        };
        let rows = read().map_err(|trouble: Trouble| match trouble {
            Trouble::Refused(refusal) => refusal,
            Trouble::Stopped => panic!("nobody said stop"),
            Trouble::Io(error) => panic!("{error}"),
        });
        (rows, count.get())
    }

    fn times(text: &'static str, times: usize) -> impl Read {
        let mut left = text.len() * times;
        let mut texts = text.as_bytes().iter().cycle();
        readable(move |into| {
            let len = into.len().min(left);
            left -= len;
            into[..len].iter_mut().zip(&mut texts).for_each(|(to, byte)| *to = *byte);
            len
        })
    }

    fn readable(read: impl FnMut(&mut [u8]) -> usize) -> impl Read {
        struct By<F>(F);
        impl<F: FnMut(&mut [u8]) -> usize> Read for By<F> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                Ok((self.0)(into))
            }
        }
        By(read)
    }

    /// What may be read of a file whose row `row` has no end: that row and the buffer, after what is before.
    fn is_early(read: u64, before: usize) -> bool {
        read <= (before + Limits::default().record_bytes + 2 * BUFFER_BYTES) as u64
    }

    #[test]
    fn a_field_without_end_is_refused_early() {
        let before = "id,a,class\n1,2,3\n2,\"";
        let (refusal, read) = read_all(before.as_bytes().chain(times("x,\n", 50 << 20)));
        assert_eq!(refusal, Err(Refusal::RowTooLong { row: 3, max: 1 << 20 }));
        assert!(is_early(read, before.len()), "{read} bytes were read");
    }

    #[test]
    fn a_header_of_a_million_columns_is_refused_early() {
        let (refusal, read) = read_all(times("name,", 1_000_000));
        assert_eq!(refusal, Err(Refusal::RowTooLong { row: 1, max: 1 << 20 }));
        assert!(is_early(read, 0), "{read} bytes were read");
        let (refusal, read) = read_all(times(",", 500_000).chain(&b"\n1\n"[..]));
        assert_eq!(refusal, Err(Refusal::TooManyColumns { columns: 500_001, max: 10_000 }));
        assert!(is_early(read, 0), "{read} bytes were read");
    }

    #[test]
    fn zeros_and_line_ends_without_end_are_refused_or_passed_over_in_little_memory() {
        let (refusal, read) = read_all(io::repeat(0).take(50 << 20));
        assert_eq!(refusal, Err(Refusal::RowTooLong { row: 1, max: 1 << 20 }));
        assert!(is_early(read, 0), "{read} bytes were read");
        let (refusal, read) = read_all("id,a\n1,2\n".as_bytes().chain(times("\n", 5 << 20)));
        assert!(matches!(refusal, Err(Refusal::RowTooLong { row: 3, .. })), "{refusal:?}");
        assert!(is_early(read, 9), "{read} bytes were read");
    }

    #[test]
    fn rows_of_any_number_may_be_as_long_as_allowed() {
        // the last bytes that fit, and one more; with the quotes, the commas and the line end
        let max = Limits::default().record_bytes;
        let fields = max / 8;
        let row = |more: &'static str| {
            times("\"12345\",", fields - 1).chain(&b"1234567"[..]).chain(more.as_bytes())
        };
        let header = || (0..fields).map(|nth| format!("{nth:x},")).collect::<String>();
        let limits = Limits { columns: fields, ..Limits::default() };
        let read = |more: &'static str| {
            let header = header();
            let header = header.trim_end_matches(',').as_bytes().chain(&b"\n"[..]);
            let mut records = Records::open(header.chain(row(more)).chain(row(more)), &limits, &|| false)?;
            while records.advance()? {}
            Ok(records.rows())
        };
        assert!(matches!(read("\n"), Ok(2)));
        let trouble: Result<u64, Trouble> = read("8\n");
        assert!(matches!(trouble, Err(Trouble::Refused(Refusal::RowTooLong { row: 2, .. }))), "{trouble:?}");
    }

    #[test]
    fn a_mark_that_comes_byte_by_byte_is_no_part_of_the_first_name() {
        let mut bytes = "\u{feff}id,a,class\r\n1,2,3\r\n".bytes();
        let slow = readable(move |into| {
            bytes.next().map_or(0, |byte| {
                into[0] = byte;
                1
            })
        });
        let mut records = Records::open(slow, &Limits::default(), &|| false).unwrap();
        assert_eq!(records.names(), ["id", "a", "class"]);
        assert!(records.advance().unwrap());
        assert_eq!(records.record().iter().collect::<Vec<_>>(), ["1", "2", "3"]);
        assert!(!records.advance().unwrap() && !records.advance().unwrap());
        assert_eq!(records.rows(), 1);
    }

    #[test]
    fn what_the_disk_says_is_passed_on() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::TimedOut.into())
            }
        }
        let mut records = Records::open(b"id,a\n".chain(Broken), &Limits::default(), &|| false).unwrap();
        let trouble = records.advance();
        assert!(matches!(&trouble, Err(Trouble::Io(error)) if error.kind() == io::ErrorKind::TimedOut));
    }
}
