//! What a PNG says of itself beside its pixels (PNG, third edition, chapter 11).

use image::metadata::Orientation;

/// What its header says, which is always its first chunk: width and height.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    Some((number(bytes, 16)?, number(bytes, 20)?))
}

/// How it is to be turned. That may stand before its pixels or after them.
pub(super) fn orientation(bytes: &[u8]) -> Orientation {
    let turned = chunks(bytes).find(|(name, _)| name == b"eXIf");
    let turned = turned.and_then(|(_, content)| Orientation::from_exif_chunk(content?));
    turned.unwrap_or(Orientation::NoTransforms)
}

/// Whether its colours, if it lists them, are all of three bytes. The decoder panics over half a colour.
pub(super) fn has_whole_colours(bytes: &[u8]) -> bool {
    let mut lists = chunks(bytes).filter(|(name, _)| name == b"PLTE");
    lists.all(|(_, content)| content.is_none_or(|colours| colours.len() % 3 == 0))
}

/// Its chunks up to the last, by name; without content where that is cut short.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], Option<&[u8]>)> {
    let mut at = Some(SIGNATURE_BYTES);
    std::iter::from_fn(move || {
        let start = at.take()?;
        let length = usize::try_from(number(bytes, start)?).ok()?;
        let name: [u8; 4] = bytes.get(start + 4..start + 8)?.try_into().ok()?;
        let end = (start + 8).checked_add(length)?;
        at = end.checked_add(CHECKSUM_BYTES).filter(|_| name != *b"IEND");
        Some((name, bytes.get(start + 8..end)))
    })
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
