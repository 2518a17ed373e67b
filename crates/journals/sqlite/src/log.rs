//! What a write-ahead log shows that SQLite does not look for.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use trainyard_journal::JournalError;

use crate::lock::beside;

/// Refuses a log with a hole: a frame that is damaged, and a commit after it that is whole.
///
/// SQLite takes the first frame that is not whole for the end, as after a crash, when the last commit may be torn. But
/// a commit is synced before the next one begins. So whatever a later commit follows was whole once, and was
/// acknowledged.
pub(crate) fn check_log(journal: &Path, name: &str) -> Result<(), JournalError> {
    let hole = File::open(beside(journal, "-wal")).and_then(|log| find_hole(BufReader::new(log)));
    match hole {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => {
            let text = format!("could not read the write-ahead log of {name}");
            Err(JournalError::failed(text).with_source(error))
        }
        Ok(None) => Ok(()),
        Ok(Some(0)) => {
            Err(JournalError::corrupt(name).with_source("the header of its write-ahead log is damaged"))
        }
        Ok(Some(frame)) => {
            let text =
                format!("frame {frame} of its write-ahead log is damaged, and commits follow that are whole");
            Err(JournalError::corrupt(name).with_source(text))
        }
    }
}

/// The frame that is damaged, from 1; 0 for the header.
fn find_hole(mut log: impl Read) -> std::io::Result<Option<u64>> {
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(None); // it was never begun
    }
    let order = if word(&header, 0) & 1 == 1 { u32::from_be_bytes } else { u32::from_le_bytes };
    let page = word(&header, 8) as usize;
    if word(&header, 0) | 1 != MAGIC | 1 || !(512..=65_536).contains(&page) || !page.is_power_of_two() {
        let is_blank = header.iter().all(|byte| *byte == 0);
        return Ok((!is_blank).then_some(0));
    }
    let mut before = Sums { stored: pair(&header, 24), found: sum(order, (0, 0), &header[..24]) };
    let is_header_whole = before.stored == before.found;
    let salt = pair(&header, 16);
    let mut damaged = (!is_header_whole).then_some(0);
    // Whether the commit that the damage is in, or one after it, has come to its end.
    let mut is_followed = !is_header_whole;

    let mut frame = vec![0; FRAME + page];
    for number in 1.. {
        if !fill(&mut log, &mut frame)? {
            break;
        }
        let goes_on = |from| sum(order, sum(order, from, &frame[..8]), &frame[FRAME..]);
        let stored = pair(&frame, 16);
        let found = goes_on(before.stored);
        // What comes after something damaged goes on from what that says, or from what it should say.
        let is_next = found == stored || (damaged.is_some() && goes_on(before.found) == stored);
        let is_salted = pair(&frame, 8) == salt || !is_header_whole;
        if is_next && is_salted && is_followed {
            return Ok(damaged);
        }
        let is_first_damage = damaged.is_none() && !(is_next && is_salted);
        if is_first_damage {
            damaged = Some(number);
        }
        let ends_commit = word(&frame, 4) != 0;
        // What an earlier log has left is no end: in a commit that was torn, a part may not have been written over it.
        // Both of its salts are other ones; damage is to one of them.
        let is_of_this = is_salted || (is_first_damage && is_half_salted(&frame, salt));
        is_followed |= damaged.is_some() && ends_commit && is_of_this;
        before = Sums { stored, found };
    }
    Ok(None)
}

/// What a frame says is the sum of all up to it, and what it is.
struct Sums {
    stored: (u32, u32),
    found: (u32, u32),
}

fn is_half_salted(frame: &[u8], salt: (u32, u32)) -> bool {
    let (first, second) = pair(frame, 8);
    first == salt.0 || second == salt.1
}

/// SQLite's checksum, going on from that of what came before.
fn sum(order: fn([u8; 4]) -> u32, from: (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let word = |bytes: &[u8]| order([bytes[0], bytes[1], bytes[2], bytes[3]]);
    bytes.chunks_exact(8).fold(from, |(first, second), pair| {
        let first = first.wrapping_add(word(pair)).wrapping_add(second);
        (first, second.wrapping_add(word(&pair[4..])).wrapping_add(first))
    })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn pair(bytes: &[u8], at: usize) -> (u32, u32) {
    (word(bytes, at), word(bytes, at + 4))
}

/// Whether there was enough to fill it.
fn fill(log: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<bool> {
    match log.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

const HEADER: usize = 32;
const FRAME: usize = 24;
const MAGIC: u32 = 0x377f_0682;
