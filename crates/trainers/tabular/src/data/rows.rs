//! Rows as learners see them.

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

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
    /// Held by whoever works the vectors out.
    at_work: Mutex<()>,
}

impl Rows {
    pub(crate) fn new(len: usize, columns: Vec<Vec<f32>>, encoding: Arc<Encoding>) -> Self {
        debug_assert!(columns.iter().all(|column| column.len() == len));
        Self { len, columns, encoding, vectors: OnceLock::new(), at_work: Mutex::new(()) }
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
    ///
    /// # Panics
    /// Never: what nothing cuts short comes to its end.
    #[must_use]
    pub fn vectors(&self) -> &[f32] {
        self.vectors_unless(&|| false).expect("nothing cuts it short")
    }

    /// The same, unless it is cut short: `over` is asked every few milliseconds, also while another thread is at it.
    pub(crate) fn vectors_unless(&self, over: &dyn Fn() -> bool) -> Option<&[f32]> {
        loop {
            if let Some(vectors) = self.vectors.get() {
                return Some(vectors);
            }
            if over() {
                return None;
            }
            let Some(_at_work) = self.at_work.try_lock_for(LOOK_EVERY) else {
                continue;
            };
            if self.vectors.get().is_none() {
                let vectors = self.encoding.vectors_unless(&self.columns, self.len, over)?;
                return Some(self.vectors.get_or_init(|| vectors));
            }
        }
    }

    /// Some of them, for themselves.
    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        let columns = self.columns.iter().map(|column| column[range.clone()].to_vec()).collect();
        Self::new(range.len(), columns, Arc::clone(&self.encoding))
    }

    /// How many are to be predicted for at once, so that their vectors are few megabytes.
    pub(crate) fn block(encoding: &Encoding, features: usize) -> usize {
        (BLOCK_NUMBERS_MAX / features.max(encoding.width()).max(1)).clamp(1, BLOCK_ROWS_MAX)
    }
}

/// How long one thread waits for another that works the vectors out before it looks whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How many rows are predicted for at once, where they are narrow.
const BLOCK_ROWS_MAX: usize = 4_096;
/// How many numbers their columns or vectors have.
const BLOCK_NUMBERS_MAX: usize = 1 << 20;
