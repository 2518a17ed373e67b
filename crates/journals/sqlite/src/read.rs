//! Reading records and snapshots, and checking what is read.

use std::collections::VecDeque;

use rusqlite::{Connection, Row};
use trainyard_core::{Fact, Timestamp};
use trainyard_journal::{JournalError, Position, Reading, Record, Records, Snapshot, WriterId, codec};
use uuid::Uuid;

use crate::error::{failure, undecodable};
use crate::schema::{from_position, meta, to_position};

/// Reads what was written after `from`, and moves the mark along.
pub(crate) fn read<'a>(
    connection: &'a Connection,
    name: &'a str,
    head: Position,
    from: Position,
    handed: &'a mut Position,
) -> Result<Reading<'a>, JournalError> {
    if from > head {
        return Err(JournalError::failed(format!("{name} ends at {head}, before {from}")));
    }
    let compacted = meta(connection, "snapshot_position")
        .and_then(|position| position.map(to_position).transpose())
        .map_err(|error| failure("read", name, error))?;
    let (from, snapshot) = match compacted {
        Some(position) if from < position => {
            let facts = snapshot(connection, name, position)?;
            *handed = position.max(*handed);
            (position, Some(Snapshot { position, facts }))
        }
        Some(_) | None => (from, None),
    };
    let pages = Pages { connection, name, last: from, head, page: VecDeque::new() };
    let records = pages.map(|record| {
        record.inspect(|record| {
            if record.position == handed.next() {
                *handed = record.position;
            }
        })
    });
    Ok(Reading { snapshot, records: Records::new(records) })
}

fn snapshot(connection: &Connection, name: &str, position: Position) -> Result<Vec<Fact>, JournalError> {
    let failed = |error| failure("read", name, error);
    let place = || format!("the snapshot of {name}");
    let expected = meta(connection, "snapshot_checksum").map_err(failed)?;
    let mut seal = Seal::new(position);
    let mut facts = Vec::new();
    let mut statement =
        connection.prepare_cached("SELECT facts FROM snapshot ORDER BY part").map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let part = row.get_ref(0).map_err(failed)?.as_blob().map_err(|_| JournalError::corrupt(place()))?;
        seal.add(part);
        facts.extend(codec::decode(part).map_err(|error| undecodable(&place(), error))?);
    }
    if expected == Some(seal.finish()) { Ok(facts) } else { Err(JournalError::corrupt(place())) }
}

/// The checksum over what the codec does not see: where something stands, and that all its parts are there. Of the
/// parts it takes the headers, which have checksums of the rest.
pub(crate) struct Seal(crc32fast::Hasher);

impl Seal {
    pub(crate) fn new(position: Position) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&position.get().to_le_bytes());
        Self(hasher)
    }

    pub(crate) fn add(&mut self, part: &[u8]) {
        self.0.update(&part[..part.len().min(HEADER)]);
    }

    pub(crate) fn finish(self) -> i64 {
        i64::from(self.0.finalize())
    }

    pub(crate) fn of_record(position: Position, writer: WriterId, at: Timestamp, facts: &[u8]) -> i64 {
        let mut seal = Self::new(position);
        seal.0.update(writer.as_uuid().as_bytes());
        seal.0.update(&at.as_millis().to_le_bytes());
        seal.add(facts);
        seal.finish()
    }
}

const HEADER: usize = 6;

/// Records in pages of about a mebibyte, so that a long log does not have to fit into memory.
struct Pages<'a> {
    connection: &'a Connection,
    name: &'a str,
    last: Position,
    head: Position,
    page: VecDeque<Record>,
}

impl Iterator for Pages<'_> {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && self.last < self.head {
            match self.fetch() {
                Ok(()) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        self.page.pop_front().map(Ok)
    }
}

impl Pages<'_> {
    /// Fills the page. What comes before something that cannot be read is handed out first.
    fn fetch(&mut self) -> Result<(), JournalError> {
        let failed = |error| failure("read", self.name, error);
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT position, writer, at, checksum, facts FROM records WHERE position > ?1 ORDER BY position",
            )
            .map_err(failed)?;
        let mut rows = statement.query([from_position(self.last)]).map_err(failed)?;
        let mut bytes = 0;
        while bytes < PAGE_BYTES && self.last < self.head {
            let row = match rows.next() {
                Ok(row) => row,
                Err(_) if !self.page.is_empty() => break,
                Err(error) => return Err(failed(error)),
            };
            match row.map_or_else(|| self.missing(), |row| self.record(row)) {
                Ok((record, length)) => {
                    self.last = record.position;
                    self.page.push_back(record);
                    bytes += length;
                }
                Err(_) if !self.page.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn record(&self, row: &Row<'_>) -> Result<(Record, usize), JournalError> {
        let failed = |error| failure("read", self.name, error);
        let position = row.get(0).and_then(to_position).map_err(failed)?;
        if position != self.last.next() {
            return self.missing();
        }
        let place = || format!("record {position} of {}", self.name);
        let blob = |column| {
            let value = row.get_ref(column).map_err(failed)?;
            value.as_blob().map_err(|error| JournalError::corrupt(place()).with_source(error))
        };
        let writer = Uuid::from_slice(blob(1)?).map_err(|_| JournalError::corrupt(place()))?;
        let writer = WriterId::new(writer);
        let at = Timestamp::from_millis(row.get(2).map_err(failed)?);
        let checksum: i64 = row.get(3).map_err(failed)?;
        let facts = blob(4)?;
        let decoded = codec::decode(facts).map_err(|error| undecodable(&place(), error))?;
        if checksum != Seal::of_record(position, writer, at, facts) {
            return Err(JournalError::corrupt(place()).with_source("the checksum of the row does not match"));
        }
        Ok((Record { position, writer, at, facts: decoded }, facts.len()))
    }

    fn missing<T>(&self) -> Result<T, JournalError> {
        let place = format!("record {} of {}", self.last.next(), self.name);
        Err(JournalError::corrupt(place).with_source("it is missing"))
    }
}

const PAGE_BYTES: usize = 1 << 20;
