//! Rows as learners see them.

use std::sync::{Arc, OnceLock};

use super::encoding::Encoding;

/// Some rows of a table, column by column, and encoded for learners that want vectors.
///
/// A column of numbers holds them as they are, NaN where one is missing. A column of texts holds the place of each
/// text in its feature's dictionary, from 0; one more than the last place for a text that is not in there; NaN where
/// it is missing. [`Encoding::codes`] says which columns are of texts.
#[derive(Debug)]
pub struct Rows {
    len: usize,
    columns: Vec<Vec<f32>>,
    encoding: Arc<Encoding>,
    vectors: OnceLock<Vec<f32>>,
}

impl Rows {
    pub(crate) fn new(len: usize, columns: Vec<Vec<f32>>, encoding: Arc<Encoding>) -> Self {
        debug_assert!(columns.iter().all(|column| column.len() == len));
        Self { len, columns, encoding, vectors: OnceLock::new() }
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The columns, one per feature.
    #[must_use]
    pub fn columns(&self) -> &[Vec<f32>] {
        &self.columns
    }

    /// How columns become vectors.
    #[must_use]
    pub fn encoding(&self) -> &Arc<Encoding> {
        &self.encoding
    }

    /// One vector per row, row after row, each of [`Encoding::width`] finite numbers: numbers standardised by the
    /// rows learned from, texts as one of many. Worked out once, when it is first asked for.
    #[must_use]
    pub fn vectors(&self) -> &[f32] {
        self.vectors.get_or_init(|| self.encoding.vectors(&self.columns, self.len))
    }
}
