//! How records lie in a file.
//!
//! ```text
//! frame     header, then one record of the codec
//! header    kind 1 byte, position 8, writer 16, time 8, length of the record 4, CRC-32 of all that 4; little end first
//! ```
//!
//! The checksum of the header guards the length, so that a frame that ends too early can only be one that was torn:
//! its header is whole, or too short to be one. It is cut off at the next opening. Whatever else is not as it was
//! written is damage, and refused.

use trainyard_core::{Fact, Timestamp};
use trainyard_journal::{JournalError, Position, WriterId, codec};

/// Where a frame is, and what its header says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) kind: u8,
    pub(super) position: Position,
    pub(super) writer: WriterId,
    pub(super) at: Timestamp,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Puts a frame at the end of a file.
pub(super) fn append(
    bytes: &mut Vec<u8>,
    (kind, position, writer, at): (u8, Position, WriterId, Timestamp),
    record: &[u8],
) -> Entry {
    let header = bytes.len();
    bytes.push(kind);
    bytes.extend(position.get().to_le_bytes());
    bytes.extend(writer.as_uuid().as_u128().to_le_bytes());
    bytes.extend(at.as_millis().to_le_bytes());
    bytes.extend(u32::try_from(record.len()).unwrap_or(u32::MAX).to_le_bytes());
    let checksum = crc32fast::hash(&bytes[header..]);
    bytes.extend(checksum.to_le_bytes());
    let start = bytes.len();
    bytes.extend(record);
    Entry { kind, position, writer, at, start, end: bytes.len() }
}

/// The frames of a file after those that are known, and where the last whole one ends; with the records looked into, or
/// not.
pub(super) fn scan(
    bytes: &[u8],
    known: &[Entry],
    looks_inside: bool,
) -> Result<(Vec<Entry>, usize), JournalError> {
    let mut entries = known.to_vec();
    let mut whole = known.last().map_or(0, |entry| entry.end);
    while let Some(header) = bytes.get(whole..whole + HEADER) {
        let after = entries.last().map(|entry| entry.position);
        let place = || format!("the frame after {} of {NAME}", after.unwrap_or_default());
        let (told, checksum) = header.split_at(HEADER - 4);
        if crc32fast::hash(told).to_le_bytes() != checksum {
            return Err(JournalError::corrupt(place()));
        }
        let number = |from: usize, to: usize| {
            told[from..to].iter().rev().fold(0_u128, |number, byte| number << 8 | u128::from(*byte))
        };
        let kind = told[0];
        let position = Position::new(u64::try_from(number(1, 9)).unwrap_or(u64::MAX));
        let writer = WriterId::from_u128(number(9, 25));
        let at = u64::try_from(number(25, 33)).unwrap_or_default();
        let start = whole + HEADER;
        let end = start.saturating_add(usize::try_from(number(33, 37)).unwrap_or(usize::MAX));
        let is_next = match kind {
            SNAPSHOT => after.is_none(),
            RECORD => position == after.unwrap_or_default().next(),
            _ => false,
        };
        if !is_next {
            return Err(JournalError::corrupt(place()));
        }
        let Some(record) = bytes.get(start..end) else { break };
        if looks_inside {
            decode(record, position)?;
        }
        entries.push(Entry {
            kind,
            position,
            writer,
            at: Timestamp::from_millis(at.cast_signed()),
            start,
            end,
        });
        whole = end;
    }
    Ok((entries, whole))
}

pub(super) fn decode(record: &[u8], position: Position) -> Result<Vec<Fact>, JournalError> {
    codec::decode(record).map_err(|error| {
        let place = format!("record {position} of {NAME}");
        match error.unknown_version() {
            Some(version) => JournalError::unknown_version(place, version),
            None => JournalError::corrupt(place).with_source(error),
        }
    })
}

pub(super) const NAME: &str = "the simulated journal";
pub(super) const SNAPSHOT: u8 = 1;
pub(super) const RECORD: u8 = 2;
const HEADER: usize = 41;
