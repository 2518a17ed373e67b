//! A table in memory, in its three parts.

use std::path::Path;
use std::sync::Arc;

use super::encoding::Encoding;
use super::file::{Block, TableReader};
use super::shares::{Part, Shares};
use super::{Rows, Schema, TableError};

/// A table in memory, in three parts: rows to learn from, rows to validate by, and rows for the test.
///
/// The parts are drawn by a seed, class by class, so that each class has its share in every part; one of fewer than
/// 3 rows is only learned from. They are for ever the same for the same file, shares and seed. Rows keep the order of
/// the file.
#[derive(Debug)]
pub struct Dataset {
    schema: Schema,
    origin: Origin,
    encoding: Arc<Encoding>,
    train: Labelled,
    validation: Labelled,
    test: Labelled,
}

/// What all of a dataset comes from: the same origin, the same rows in the same parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    /// The SHA-256 of the table file.
    pub(crate) digest: [u8; 32],
    pub(crate) shares: Shares,
    /// By which the parts were drawn.
    pub(crate) seed: u64,
}

/// Rows with their classes.
#[derive(Debug)]
struct Labelled {
    rows: Rows,
    classes: Vec<u16>,
}

impl Dataset {
    /// Reads a table file that [`prepare`](crate::prepare) has written.
    ///
    /// `over` is asked every few milliseconds whether to stop.
    ///
    /// # Errors
    /// [`TableError`] when it cannot be read, is not as it was written, or was stopped. Memory stays in proportion to
    /// the length of the file, whatever is in it.
    pub fn open(
        path: &Path,
        shares: &Shares,
        seed: u64,
        over: &dyn Fn() -> bool,
    ) -> Result<Self, TableError> {
        let mut table = TableReader::open(path)?;
        let split = shares.split(table.counts(), seed);
        let mut next = vec![0_usize; split.len()];
        let features = table.schema().features.len();
        let sizes = [Part::Train, Part::Validation, Part::Test]
            .map(|part| split.iter().flatten().filter(|&&other| other == part).count());
        let [mut train, mut validation, mut test] = sizes.map(|rows| Heap::new(features, rows));
        let mut parts = Vec::new();
        while let Some(block) = table.next_block()? {
            if over() {
                return Err(TableError::Stopped);
            }
            parts.clear();
            for &class in &block.classes {
                let nth = &mut next[usize::from(class)];
                let part = *split[usize::from(class)]
                    .get(*nth)
                    .ok_or(TableError::Damaged { what: "its classes" })?;
                *nth += 1;
                parts.push(part);
            }
            for (heap, part) in
                [(&mut train, Part::Train), (&mut validation, Part::Validation), (&mut test, Part::Test)]
            {
                heap.take(block, |row| parts[row] == part);
            }
        }
        let (schema, rows, digest) = table.finish()?;
        let fields = schema.features.iter().map(|feature| &feature.fields);
        let encoding = Encoding::fit(fields, &train.columns, rows, over).ok_or(TableError::Stopped)?;
        let encoding = Arc::new(encoding);
        let [train, validation, test] =
            [train, validation, test].map(|heap| heap.finish(Arc::clone(&encoding)));
        Ok(Self {
            schema,
            origin: Origin { digest, shares: *shares, seed },
            encoding,
            train,
            validation,
            test,
        })
    }

    /// The rows to learn from.
    #[must_use]
    pub fn train(&self) -> &Rows {
        &self.train.rows
    }

    /// The classes of the rows to learn from.
    #[must_use]
    pub fn train_classes(&self) -> &[u16] {
        &self.train.classes
    }

    /// The rows to validate by.
    #[must_use]
    pub fn validation(&self) -> &Rows {
        &self.validation.rows
    }

    /// The classes of the rows to validate by.
    #[must_use]
    pub fn validation_classes(&self) -> &[u16] {
        &self.validation.classes
    }

    /// The rows for the test; there may be none.
    #[must_use]
    pub fn test(&self) -> &Rows {
        &self.test.rows
    }

    /// The classes of the rows for the test.
    #[must_use]
    pub fn test_classes(&self) -> &[u16] {
        &self.test.classes
    }

    /// What the columns are.
    #[must_use]
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// How many classes there are: 2 to 256.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.schema.classes.len()
    }

    /// What it comes from.
    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How columns become vectors, as learned from [`Dataset::train`].
    #[must_use]
    pub const fn encoding(&self) -> &Arc<Encoding> {
        &self.encoding
    }

    /// How much memory all rows take, in bytes, once every part has been asked for its vectors.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let rows = (self.train.rows.len() + self.validation.rows.len() + self.test.rows.len()) as u64;
        rows * (4 * self.schema.features.len() as u64 + 4 * self.encoding.width() as u64 + 2)
    }
}

/// Rows on their way in.
struct Heap {
    columns: Vec<Vec<f32>>,
    classes: Vec<u16>,
}

impl Heap {
    fn new(features: usize, rows: usize) -> Self {
        let columns = (0..features).map(|_| Vec::with_capacity(rows)).collect();
        Self { columns, classes: Vec::with_capacity(rows) }
    }

    /// Takes some rows of a block.
    fn take(&mut self, block: &Block, is_taken: impl Fn(usize) -> bool) {
        let rows: Vec<usize> = (0..block.classes.len()).filter(|&row| is_taken(row)).collect();
        self.classes.extend(rows.iter().map(|&row| block.classes[row]));
        for (column, from) in self.columns.iter_mut().zip(&block.columns) {
            column.extend(rows.iter().map(|&row| from[row]));
        }
    }

    fn finish(self, encoding: Arc<Encoding>) -> Labelled {
        let Self { columns, classes } = self;
        Labelled { rows: Rows::new(classes.len(), columns, encoding), classes }
    }
}
