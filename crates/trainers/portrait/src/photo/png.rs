//! What a PNG says of itself beside its pixels (PNG, third edition, chapter 11).

use image::metadata::Orientation;

/// What its header says, which is always its first chunk: width and height.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    Some((number(bytes, 16)?, number(bytes, 20)?))
}

/// How it is to be turned. That may stand before its pixels or after them.
pub(super) fn orientation(bytes: &[u8]) -> Orientation {
    let mut at = SIGNATURE_BYTES;
    while let (Some(length), Some(name)) = (number(bytes, at), bytes.get(at + 4..at + 8)) {
        let Some(end) = usize::try_from(length).ok().and_then(|length| (at + 8).checked_add(length)) else {
            break;
        };
        if name == b"eXIf" {
            let turned = bytes.get(at + 8..end).and_then(Orientation::from_exif_chunk);
            return turned.unwrap_or(Orientation::NoTransforms);
        }
        let Some(next) = end.checked_add(CHECKSUM_BYTES) else { break };
        at = next;
        if name == b"IEND" {
            break;
        }
    }
    Orientation::NoTransforms
}

/// Whether it has its last chunk.
pub(super) fn has_end(bytes: &[u8]) -> bool {
    bytes.windows(END.len()).any(|window| window == END)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}

const SIGNATURE_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 4;
/// The last chunk, without the length, which is naught.
const END: [u8; 8] = *b"IEND\xAE\x42\x60\x82";
