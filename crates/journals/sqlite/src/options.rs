//! How a journal is opened.

use std::time::Duration;

/// How a journal is opened.
///
/// ```
/// use trainyard_sqlite::SqliteOptions;
///
/// let options = SqliteOptions::new().with_bytes_max(10 << 30).without_readable();
/// assert_eq!(options.bytes_max(), Some(10 << 30));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    bytes_max: Option<u64>,
    busy_timeout: Duration,
    readable: bool,
}

impl SqliteOptions {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes_max: None, busy_timeout: Duration::from_secs(60), readable: true }
    }

    /// With a bound on the size of the file, in bytes, rounded up to a page of 4,096; the write-ahead log beside it
    /// is not counted. A commit that needs more fails, see
    /// [`JournalError::is_full`](trainyard_journal::JournalError::is_full). Default: no bound but the disk's.
    #[must_use]
    pub const fn with_bytes_max(mut self, bytes: u64) -> Self {
        self.bytes_max = Some(bytes);
        self
    }

    /// With another wait for a `sqlite3` shell that is writing, before a turn fails to begin. Default: 60 seconds.
    #[must_use]
    pub const fn with_busy_timeout(mut self, wait: Duration) -> Self {
        self.busy_timeout = wait;
        self
    }

    /// Without the JSON text beside each record: the view `facts` shows nothing, and the file is smaller.
    #[must_use]
    pub const fn without_readable(mut self) -> Self {
        self.readable = false;
        self
    }

    /// The bound on the size of the file, in bytes.
    #[must_use]
    pub const fn bytes_max(&self) -> Option<u64> {
        self.bytes_max
    }

    /// How long a turn waits for a shell that is writing.
    #[must_use]
    pub const fn busy_timeout(&self) -> Duration {
        self.busy_timeout
    }

    /// Whether a JSON text is written beside each record.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        self.readable
    }
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self::new()
    }
}
