//! Bytes to pixels, within bounds.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use image::codecs::png::PngDecoder;
use image::error::ImageError;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, RgbImage};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::jpeg::Survey;
use super::{Limits, Picture, Unfit, png};

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
            let read = png_pixels(&bytes, limits);
            if !png::has_end(&bytes) && matches!(read, Ok(_) | Err(Unfit::Damaged)) {
                return Err(Unfit::Truncated);
            }
            (read?, png::orientation(&bytes))
        }
        Format::Jpeg => {
            let survey = Survey::of(&bytes)?;
            keeps_to(survey.size(), survey.held_bytes(), limits)?;
            let (picture, orientation) = (survey.picture(), survey.orientation);
            drop(bytes);
            (jpeg_pixels(&picture, limits)?, orientation)
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
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
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
fn png_pixels(bytes: &[u8], limits: &Limits) -> Result<DynamicImage, Unfit> {
    let size = png::size(bytes).ok_or(Unfit::Truncated)?;
    if !png::has_whole_colours(bytes) {
        return Err(Unfit::Damaged);
    }
    let failed = |error: ImageError| unfit(&error, limits, size);
    let mut decoder =
        PngDecoder::with_limits(Cursor::new(bytes), bounds(limits, BESIDE_BYTES)).map_err(failed)?;
    keeps_to(decoder.dimensions(), decoder.total_bytes(), limits)?;
    decoder.set_limits(bounds(limits, limits.memory_bytes)).map_err(failed)?;
    DynamicImage::from_decoder(decoder).map_err(failed)
}

/// Decodes all of a picture that is known to keep within the limits. One that ends before its last pixel is refused, not
/// filled up.
fn jpeg_pixels(picture: &[u8], limits: &Limits) -> Result<DynamicImage, Unfit> {
    let across = usize::try_from(limits.across).unwrap_or(usize::MAX);
    let options = DecoderOptions::default().set_strict_mode(true);
    let options = options.set_max_width(across).set_max_height(across);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(picture), options);
    decoder.decode_headers().map_err(unread)?;
    let is_grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let colours = if is_grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    let mut pixels = vec![0; decoder.output_buffer_size().ok_or(Unfit::Damaged)?];
    decoder.decode_into(&mut pixels).map_err(unread)?;
    let (width, height) = decoder.dimensions().ok_or(Unfit::Damaged)?;
    let [Ok(width), Ok(height)] = [width, height].map(u32::try_from) else { return Err(Unfit::Damaged) };
    let image = if is_grey {
        GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    };
    image.ok_or(Unfit::Damaged)
}

/// In our words what the decoder says of a JPEG.
fn unread(error: DecodeErrors) -> Unfit {
    if matches!(error, DecodeErrors::ExhaustedData) { Unfit::Truncated } else { Unfit::Damaged }
}

/// Whether a picture of this size, which takes so much memory, is within the limits.
fn keeps_to((width, height): (u32, u32), needed: u64, limits: &Limits) -> Result<(), Unfit> {
    fits((width, height), limits)?;
    let max = limits.memory_bytes;
    if needed > max { Err(Unfit::Memory { width, height, needed, max }) } else { Ok(()) }
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

/// In our words what the decoder says of a PNG.
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

/// What a PNG may take beside its pixels, for colour profiles and texts.
pub(crate) const BESIDE_BYTES: u64 = 8 << 20;
