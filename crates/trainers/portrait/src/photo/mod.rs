//! Photos: files of strangers, until they have been decoded.

mod decode;
mod jpeg;
mod limits;
mod png;
mod sample;
mod unfit;

use std::path::Path;

pub(crate) use self::decode::BESIDE_BYTES;
pub use self::decode::Format;
pub use self::limits::Limits;
pub use self::unfit::Unfit;
use crate::{Rendered, Side};

/// What is known of a photo that can be trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Picture {
    /// What its content is, whatever its name says.
    pub format: Format,
    /// In pixels, as it is to be seen.
    pub width: u32,
    /// In pixels, as it is to be seen.
    pub height: u32,
}

/// Decodes a photo from its first byte to its last, and says what it is.
///
/// A PNG or a JPEG by content, never by name. An animated PNG counts as its first picture; what follows the end of a
/// picture is not looked at. A photo whose middle square shows a single colour, to a step of 8 bits, is refused:
/// nothing can be learned from it.
///
/// ```
/// use trainyard_portrait::{Format, Limits, Unfit, inspect, made};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("upload");
/// std::fs::write(&path, made::Person::new(7).photo(0, 96).to_png())?;
/// let picture = inspect(&path, &Limits::default())?;
/// assert_eq!((picture.format, picture.width), (Format::Png, 96));
///
/// std::fs::write(&path, "no picture")?;
/// assert!(matches!(inspect(&path, &Limits::default()), Err(Unfit::Format)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Unfit`], with a text for its owner.
pub fn inspect(path: &Path, limits: &Limits) -> Result<Picture, Unfit> {
    Photo::read(path, Side::USUAL, limits).map(|(_, picture)| picture)
}

/// A photo as it is learned from: upright, its middle square, small, red, green and blue from 0 to 1.
///
/// What lets light through lies over white; grey has three equal colours; of CMYK the colours are taken as they print.
/// Colour profiles are not heeded.
#[derive(Debug, Clone, PartialEq)]
pub struct Photo {
    side: Side,
    pixels: Vec<f32>,
}

impl Photo {
    /// Decodes a photo as [`inspect`] does.
    ///
    /// # Errors
    /// [`Unfit`], with a text for its owner.
    pub fn open(path: &Path, side: Side, limits: &Limits) -> Result<Self, Unfit> {
        Self::read(path, side, limits).map(|(photo, _)| photo)
    }

    /// The middle square of a picture.
    #[must_use]
    pub fn of(picture: &Rendered, side: Side) -> Self {
        let pixels = sample::square(&image::DynamicImage::ImageRgb8(picture.to_image()), side.pixels());
        Self { side, pixels }
    }

    /// Its pixels a side.
    #[must_use]
    pub const fn side(&self) -> Side {
        self.side
    }

    /// Red, green and blue, pixel by pixel, row by row.
    #[must_use]
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// As a picture to look at.
    #[must_use]
    pub fn rendered(&self) -> Rendered {
        Rendered::of(self.side.pixels(), &self.pixels)
    }

    fn read(path: &Path, side: Side, limits: &Limits) -> Result<(Self, Picture), Unfit> {
        let decoded = decode::decode(path, limits)?;
        let square = sample::square(&decoded.image, side.pixels());
        if is_blank(&square) {
            return Err(Unfit::Blank);
        }
        let pixels = sample::upright(&square, side.pixels(), decoded.orientation);
        Ok((Self { side, pixels }, decoded.picture()))
    }
}

/// Whether no colour of a middle square differs by a step of 8 bits from one place to another.
fn is_blank(square: &[f32]) -> bool {
    (0..3).all(|colour| {
        let values = || square.iter().skip(colour).step_by(3);
        let (least, most) =
            values().fold((f32::MAX, f32::MIN), |(least, most), &value| (least.min(value), most.max(value)));
        most - least < 1.0 / 255.0
    })
}
