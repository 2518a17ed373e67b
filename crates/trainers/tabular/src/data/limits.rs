//! How large a table may be.

use super::schema::CLASSES_MAX;

/// How large a table may be. Files beyond that are refused, early, and in bounded memory.
///
/// ```
/// use trainyard_tabular::Limits;
///
/// let limits = Limits { rows: 10_000, ..Limits::default() };
/// assert_eq!(limits.columns, 10_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The columns of a file, with id and class. Default: 10,000.
    pub columns: usize,
    /// The rows, without the header: looking for ids that come twice takes about 30 bytes of memory for each. Default:
    /// 10,000,000.
    pub rows: u64,
    /// Rows times features. Default: 150,000,000. Not for predictions, which hold few rows at once.
    pub cells: u64,
    /// What one row takes in the file, header or not, in bytes, its quotes and commas included. Default: 1 MiB.
    pub record_bytes: usize,
    /// What one field takes, in bytes of UTF-8 without its quotes. Default: 32 KiB.
    pub cell_bytes: usize,
    /// The classes; above 256 it is as if it said 256. Default: 256.
    pub classes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            columns: 10_000,
            rows: 10_000_000,
            cells: 150_000_000,
            record_bytes: 1 << 20,
            cell_bytes: 32 << 10,
            classes: CLASSES_MAX,
        }
    }
}
