//! What a JPEG says of itself, before any of it is decoded (ITU-T T.81, annex B).

use super::Unfit;

/// What counts for the memory that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Survey {
    width: u16,
    height: u16,
    components: u8,
    /// Whether all of it must be held before the first pixel is known.
    is_held: bool,
}

impl Survey {
    /// Walks from mark to mark to the end of the picture. What follows the end is not looked at: cameras put more
    /// pictures there.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Unfit> {
        let mut frame = None;
        let mut scans = 0;
        let mut at = 2;
        loop {
            let (mark, after) = next_mark(bytes, at).ok_or(Unfit::Truncated)?;
            at = after;
            if mark == END {
                break;
            }
            if ALONE.contains(&mark) || mark == ALONE_TOO {
                continue;
            }
            let length = bytes.get(at..at + 2).ok_or(Unfit::Truncated)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            let body = bytes.get(at + 2..at + length.max(2)).ok_or(Unfit::Truncated)?;
            if FRAMES.contains(&mark) && !NO_FRAMES.contains(&mark) {
                let [_, h1, h0, w1, w0, components, ..] = *body else { return Err(Unfit::Damaged) };
                let (height, width) = (u16::from_be_bytes([h1, h0]), u16::from_be_bytes([w1, w0]));
                let is_held = mark == PROGRESSIVE || components > 3;
                // Of two frames a reader may heed either: only one picture is meant.
                if frame.replace(Self { width, height, components, is_held }).is_some() {
                    return Err(Unfit::Damaged);
                }
            } else if mark == SCAN {
                scans += 1;
                if scans > SCANS_MAX {
                    return Err(Unfit::Scans { max: SCANS_MAX });
                }
            }
            at += length.max(2);
        }
        match frame {
            Some(frame) if scans > 0 => Ok(Self { is_held: frame.is_held || scans > 1, ..frame }),
            Some(_) | None => Err(Unfit::Damaged),
        }
    }

    /// Width and height.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.width.into(), self.height.into())
    }

    /// What is held beside the pixels: a number of two bytes for each of them and each component.
    pub(super) fn held_bytes(&self) -> u64 {
        let padded = |across: u16| u64::from(across).next_multiple_of(BLOCK);
        let numbers = padded(self.width) * padded(self.height) * u64::from(self.components);
        if self.is_held { 2 * numbers } else { 0 }
    }
}

/// The next mark from there, and where what belongs to it begins. Within a scan 0xFF stands before 0 when it is no
/// mark.
fn next_mark(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xFF)?;
        at += bytes[at..].iter().position(|&byte| byte != 0xFF)?;
        if bytes[at] != 0 {
            return Some((bytes[at], at + 1));
        }
    }
}

const END: u8 = 0xD9;
const SCAN: u8 = 0xDA;
const PROGRESSIVE: u8 = 0xC2;
const FRAMES: std::ops::RangeInclusive<u8> = 0xC0..=0xCF;
/// Tables between them, which are no frames.
const NO_FRAMES: [u8; 3] = [0xC4, 0xC8, 0xCC];
/// Marks that nothing belongs to.
const ALONE: std::ops::RangeInclusive<u8> = 0xD0..=0xD8;
const ALONE_TOO: u8 = 0x01;
/// Cameras and editors make ten or so.
const SCANS_MAX: u32 = 100;
/// What a side is padded to at most: 4 blocks of 8 pixels.
const BLOCK: u64 = 32;
