//! Bytes to pixels, within bounds.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::error::ImageError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder};

use super::jpeg::Survey;
use super::{Limits, Picture, Unfit};

/// What the content of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// What cameras write.
    Jpeg,
}

impl Format {
    /// Its name for `Content-Type`.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }

    /// What the first bytes say.
    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some(Self::Png),
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            _ => None,
        }
    }
}

/// As it is stored, with how to turn it.
pub(super) struct Decoded {
    format: Format,
    pub(super) image: DynamicImage,
    pub(super) orientation: Orientation,
}

impl Decoded {
    pub(super) fn picture(&self) -> Picture {
        let (width, height) = (self.image.width(), self.image.height());
        let is_turned = matches!(
            self.orientation,
            Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH
        );
        let (width, height) = if is_turned { (height, width) } else { (width, height) };
        Picture { format: self.format, width, height }
    }
}

pub(super) fn decode(path: &Path, limits: &Limits) -> Result<Decoded, Unfit> {
    let bytes = bytes_of(path, limits)?;
    let format = Format::of(&bytes).ok_or(Unfit::Format)?;
    let (image, orientation) = match format {
        Format::Png => {
            let size = png_size(&bytes).ok_or(Unfit::Truncated)?;
            let is_whole = bytes.windows(PNG_END.len()).any(|window| window == PNG_END);
            let bounds = bounds(limits, BESIDE_BYTES);
            let decoder = PngDecoder::with_limits(Cursor::new(&bytes[..]), bounds);
            let read = decoder.map_err(|error| unfit(&error, limits, size));
            let read = read.and_then(|decoder| pixels(decoder, 0, limits));
            if !is_whole && matches!(read, Ok(_) | Err(Unfit::Damaged)) {
                return Err(Unfit::Truncated);
            }
            read?
        }
        Format::Jpeg => {
            let survey = Survey::of(&bytes)?;
            fits(survey.size(), limits)?;
            let decoder = JpegDecoder::new(Cursor::new(&bytes[..]));
            let decoder = decoder.map_err(|error| unfit(&error, limits, survey.size()))?;
            pixels(decoder, survey.held_bytes(), limits)?
        }
    };
    Ok(Decoded { format, image, orientation })
}

/// The bytes of a file that is not too long.
fn bytes_of(path: &Path, limits: &Limits) -> Result<Vec<u8>, Unfit> {
    let failed = |error: io::Error| {
        let missing = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory, io::ErrorKind::InvalidInput];
        if missing.contains(&error.kind()) { Unfit::Missing } else { Unfit::Io(error) }
    };
    let length = match std::fs::metadata(path) {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return Err(Unfit::Missing),
        Err(error) => return Err(failed(error)),
    };
    let max = limits.file_bytes;
    if length > max {
        return Err(Unfit::TooLong { max });
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(Unfit::Io)?;
    if bytes.is_empty() {
        return Err(Unfit::Empty);
    }
    // It may have grown since.
    if u64::try_from(bytes.len()).is_ok_and(|length| length > max) {
        Err(Unfit::TooLong { max })
    } else {
        Ok(bytes)
    }
}

/// Decodes all of it, once it is known to keep within the limits.
fn pixels(
    mut decoder: impl ImageDecoder,
    held_bytes: u64,
    limits: &Limits,
) -> Result<(DynamicImage, Orientation), Unfit> {
    let (width, height) = decoder.dimensions();
    fits((width, height), limits)?;
    let needed = decoder.total_bytes().saturating_add(held_bytes);
    if needed > limits.memory_bytes {
        return Err(Unfit::Memory { width, height, needed, max: limits.memory_bytes });
    }
    let failed = |error: &ImageError| unfit(error, limits, (width, height));
    decoder.set_limits(bounds(limits, limits.memory_bytes)).map_err(|error| failed(&error))?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(|error| failed(&error))?;
    Ok((image, orientation))
}

fn fits((width, height): (u32, u32), limits: &Limits) -> Result<(), Unfit> {
    let (max, least) = (limits.across, limits.least_side());
    if width > max || height > max {
        return Err(Unfit::TooLarge { width, height, max });
    }
    if width < least || height < least {
        return Err(Unfit::TooSmall { width, height, least });
    }
    Ok(())
}

/// What the decoder is told: the same again, should it come to think otherwise.
fn bounds(limits: &Limits, bytes: u64) -> image::Limits {
    let mut bounds = image::Limits::no_limits();
    bounds.max_image_width = Some(limits.across);
    bounds.max_image_height = Some(limits.across);
    bounds.max_alloc = Some(bytes);
    bounds
}

/// In our words what the decoder says.
fn unfit(error: &ImageError, limits: &Limits, size: (u32, u32)) -> Unfit {
    if let Err(unfit) = fits(size, limits) {
        return unfit;
    }
    match error {
        ImageError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => Unfit::Truncated,
        ImageError::IoError(_)
        | ImageError::Decoding(_)
        | ImageError::Encoding(_)
        | ImageError::Parameter(_)
        | ImageError::Limits(_)
        | ImageError::Unsupported(_) => Unfit::Damaged,
    }
}

/// What the header of a PNG says, which is always its first chunk.
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    Some((number(16)?, number(20)?))
}

/// The last chunk of a PNG, without the length, which is naught.
const PNG_END: [u8; 8] = *b"IEND\xAE\x42\x60\x82";
/// What a PNG may take beside its pixels, for colour profiles and texts.
const BESIDE_BYTES: u64 = 8 << 20;
