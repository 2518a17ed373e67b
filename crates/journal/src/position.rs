//! Places in a log, and who wrote there.

use std::fmt;

use uuid::Uuid;

/// How many records have ever been written: a place in the log, and the number of the record that ends there.
///
/// It grows by one with every record and never goes back; compaction does not change it.
///
/// ```
/// use trainyard_journal::Position;
///
/// assert_eq!(Position::START.next(), Position::new(1));
/// assert!(Position::new(2) > Position::new(1));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(u64);

impl Position {
    /// Before the first record.
    pub const START: Self = Self(0);

    /// The place after so many records.
    #[must_use]
    pub const fn new(records: u64) -> Self {
        Self(records)
    }

    /// How many records lie before it.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The place one record later.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Position({})", self.0)
    }
}

/// Who wrote a record: one holder of the journal between its opening and its closing.
///
/// Every opening gets another one, so that after a commit whose end is unknown a holder recognises its own
/// record, see [`Turn::commit`](crate::Turn::commit).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriterId(Uuid);

impl WriterId {
    /// Takes an id that a journal has drawn.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// An id from a number, for tests and simulations.
    #[must_use]
    pub const fn from_u128(id: u128) -> Self {
        Self(Uuid::from_u128(id))
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriterId({})", self.0)
    }
}
