//! What a JPEG says of itself, before any of it is decoded (ITU-T T.81, annex B).

use image::metadata::Orientation;

use super::Unfit;

/// What counts for the memory that it takes, and the parts that it takes to decode it.
///
/// A decoder gets no others: no comments, and of what applications add only what tells how its colours are meant. So it
/// cannot be kept busy with those.
#[derive(Debug)]
pub(super) struct Survey<'b> {
    frame: Frame,
    /// Whether all of it must be held before the first pixel is known.
    is_held: bool,
    pub(super) orientation: Orientation,
    parts: Vec<&'b [u8]>,
}

impl<'b> Survey<'b> {
    /// Walks from mark to mark to the end of the picture. What follows the end is not looked at: cameras put more
    /// pictures there.
    pub(super) fn of(bytes: &'b [u8]) -> Result<Self, Unfit> {
        let mut found = Found::default();
        let mut parts = Vec::new();
        // Those after the last scan, which matter only when another follows.
        let mut pending = Vec::new();
        let mut scan_from = None;
        let mut segments = 0;
        let mut at = 2;
        loop {
            let Mark { code, from, after } = next_mark(bytes, at, scan_from.is_some())?;
            at = after;
            if ALONE.contains(&code) || code == ALONE_TOO {
                continue;
            }
            parts.extend(scan_from.take().map(|begin: usize| &bytes[begin..from]));
            if code == END {
                break;
            }
            segments += 1;
            if segments > SEGMENTS_MAX {
                return Err(Unfit::Segments { max: SEGMENTS_MAX });
            }
            let length = bytes.get(at..at + 2).ok_or(Unfit::Truncated)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
            let body = bytes.get(at + 2..at + length).ok_or(Unfit::Truncated)?;
            let is_needed = found.take(code, body)?;
            if code == SCAN {
                parts.append(&mut pending);
                scan_from = Some(at - 2);
            } else if is_needed {
                pending.push(&bytes[at - 2..at + length]);
            }
            at += length;
        }
        found.survey(parts)
    }

    /// Width and height.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.frame.width.into(), self.frame.height.into())
    }

    /// What is held: its pixels; and, where all of it comes before the first of them, a number of two bytes for each of
    /// them and each component.
    pub(super) fn held_bytes(&self) -> u64 {
        let Frame { width, height, components, .. } = &self.frame;
        let count = components.len() as u64;
        let colours = if count == 1 { 1 } else { 3 };
        let padded = |across: u16| u64::from(across).next_multiple_of(BLOCK);
        let numbers = padded(*width) * padded(*height) * count;
        u64::from(*width) * u64::from(*height) * colours + if self.is_held { 2 * numbers } else { 0 }
    }

    /// The picture with what it takes to decode it, and nothing else.
    ///
    /// Its last scan goes on with ones. No code consists of ones alone, so a decoder that is not through with the picture
    /// by then cannot go on as if naught followed.
    pub(super) fn picture(&self) -> Vec<u8> {
        let length: usize = self.parts.iter().map(|part| part.len()).sum();
        let mut bytes = Vec::with_capacity(2 + length + 2 * ONES + 2);
        bytes.extend([0xFF, 0xD8]);
        self.parts.iter().for_each(|part| bytes.extend_from_slice(part));
        (0..ONES).for_each(|_| bytes.extend([0xFF, 0]));
        bytes.extend([0xFF, END]);
        bytes
    }
}

/// What was found on the way.
#[derive(Debug, Default)]
struct Found {
    frame: Option<Frame>,
    scans: u32,
    is_held: bool,
    /// Whether a component comes in two scans where it should in one.
    is_doubled: bool,
    orientation: Option<Orientation>,
    is_adobe: bool,
}

impl Found {
    /// Takes a segment in, and says whether a decoder needs it.
    fn take(&mut self, code: u8, body: &[u8]) -> Result<bool, Unfit> {
        if FRAMES.contains(&code) && !NO_FRAMES.contains(&code) {
            // Of two frames a reader may heed either: only one picture is meant.
            if self.frame.replace(Frame::of(code, body)?).is_some() {
                return Err(Unfit::Damaged);
            }
        } else if code == SCAN {
            self.scans += 1;
            if self.scans > SCANS_MAX {
                return Err(Unfit::Scans { max: SCANS_MAX });
            }
            let frame = self.frame.as_mut().ok_or(Unfit::Damaged)?;
            let in_scan = usize::from(*body.first().ok_or(Unfit::Damaged)?);
            self.is_held |= in_scan < frame.components.len();
            self.is_doubled |= frame.scan(in_scan, body).ok_or(Unfit::Damaged)?;
        } else if code == EXIF
            && let Some(exif) = body.strip_prefix(b"Exif\0\0")
        {
            self.orientation = self.orientation.or_else(|| Orientation::from_exif_chunk(exif));
            return Ok(false);
        } else if code == ADOBE && body.starts_with(b"Adobe") {
            return Ok(!std::mem::replace(&mut self.is_adobe, true));
        } else if APPLICATIONS.contains(&code) || code == COMMENT {
            return Ok(false);
        }
        Ok(true)
    }

    fn survey(self, parts: Vec<&[u8]>) -> Result<Survey<'_>, Unfit> {
        let Self { frame, scans, is_held, is_doubled, orientation, is_adobe: _ } = self;
        let frame = frame.ok_or(Unfit::Damaged)?;
        if scans == 0 || is_doubled {
            return Err(Unfit::Damaged);
        }
        if !frame.is_whole() {
            return Err(Unfit::Truncated);
        }
        let is_held = is_held || scans > 1 || frame.is_progressive || frame.components.len() > 3;
        Ok(Survey { frame, is_held, orientation: orientation.unwrap_or(Orientation::NoTransforms), parts })
    }
}

/// The picture as such.
#[derive(Debug)]
struct Frame {
    is_progressive: bool,
    width: u16,
    height: u16,
    components: Vec<Component>,
}

/// A colour, or light.
#[derive(Debug)]
struct Component {
    id: u8,
    /// For each number of a block, how many of its last bits are still to come; `None` when all are.
    to_come: [Option<u8>; 64],
}

impl Frame {
    fn of(code: u8, body: &[u8]) -> Result<Self, Unfit> {
        let [_, h1, h0, w1, w0, count, ids @ ..] = body else { return Err(Unfit::Damaged) };
        let components: Vec<Component> =
            ids.chunks_exact(3).map(|part| Component { id: part[0], to_come: [None; 64] }).collect();
        if components.len() != usize::from(*count) || !(1..=COMPONENTS_MAX).contains(count) {
            return Err(Unfit::Damaged);
        }
        let (height, width) = (u16::from_be_bytes([*h1, *h0]), u16::from_be_bytes([*w1, *w0]));
        Ok(Self { is_progressive: code == PROGRESSIVE, width, height, components })
    }

    /// Notes what comes in a scan, and says whether some of it had come before though it should not; `None` when it is
    /// not like a scan.
    fn scan(&mut self, in_scan: usize, body: &[u8]) -> Option<bool> {
        let ids = body.get(1..1 + 2 * in_scan)?;
        let [first, last, bits, ..] = *body.get(1 + 2 * in_scan..)? else { return None };
        let mut is_doubled = false;
        for id in ids.iter().step_by(2) {
            let component = self.components.iter_mut().find(|component| component.id == *id)?;
            if self.is_progressive {
                component.to_come.get_mut(first.into()..=last.into())?.fill(Some(bits & 0xF));
            } else {
                is_doubled |= component.to_come[0].is_some();
                component.to_come.fill(Some(0));
            }
        }
        Some(is_doubled)
    }

    /// Whether all bits of all its numbers come in a scan.
    fn is_whole(&self) -> bool {
        self.components.iter().all(|component| component.to_come == [Some(0); 64])
    }
}

/// Where a mark is.
struct Mark {
    code: u8,
    /// Its first byte.
    from: usize,
    /// What belongs to it.
    after: usize,
}

/// The next mark from there. Within a scan 0xFF stands before 0 when it is no mark; elsewhere readers do not agree on
/// what that is.
fn next_mark(bytes: &[u8], mut at: usize, is_in_scan: bool) -> Result<Mark, Unfit> {
    let find = |at: usize, is_end: fn(u8) -> bool| {
        let left = bytes.get(at..).ok_or(Unfit::Truncated)?;
        left.iter().position(|&byte| is_end(byte)).map(|far| at + far).ok_or(Unfit::Truncated)
    };
    loop {
        let from = find(at, |byte| byte == 0xFF)?;
        at = find(from, |byte| byte != 0xFF)?;
        if bytes[at] != 0 {
            return Ok(Mark { code: bytes[at], from, after: at + 1 });
        }
        if !is_in_scan {
            return Err(Unfit::Damaged);
        }
    }
}

const END: u8 = 0xD9;
const SCAN: u8 = 0xDA;
const PROGRESSIVE: u8 = 0xC2;
const FRAMES: std::ops::RangeInclusive<u8> = 0xC0..=0xCF;
/// Tables between them, which are no frames.
const NO_FRAMES: [u8; 3] = [0xC4, 0xC8, 0xCC];
/// What applications add, for themselves or for others.
const APPLICATIONS: std::ops::RangeInclusive<u8> = 0xE0..=0xEF;
const EXIF: u8 = 0xE1;
const ADOBE: u8 = 0xEE;
const COMMENT: u8 = 0xFE;
/// Marks that nothing belongs to.
const ALONE: std::ops::RangeInclusive<u8> = 0xD0..=0xD8;
const ALONE_TOO: u8 = 0x01;
const COMPONENTS_MAX: u8 = 4;
/// Cameras and editors make ten or so.
const SCANS_MAX: u32 = 100;
/// A file of 10 MiB has 160 of full length.
const SEGMENTS_MAX: u32 = 1_000;
/// What a side is padded to at most: 4 blocks of 8 pixels.
const BLOCK: u64 = 32;
/// Bytes of ones after the last scan: more than a decoder reads ahead.
const ONES: usize = 32;
