use std::fmt;
use std::io;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};

use trainyard_trainkit::narrow;

/// A picture to look at: red, green and blue of 8 bits each.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Rendered {
    /// One of so many pixels: red, green and blue, pixel by pixel, row by row. `None` when they are not as many as that,
    /// or it has no pixel, or more than 65,535 a side.
    #[must_use]
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Option<Self> {
        let sides = 1..=u32::from(u16::MAX);
        let count = u64::from(width) * u64::from(height) * 3;
        let fits =
            sides.contains(&width) && sides.contains(&height) && u64::try_from(pixels.len()) == Ok(count);
        fits.then_some(Self { width, height, pixels })
    }

    /// In pixels.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// In pixels.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Red, green and blue, pixel by pixel, row by row.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The same with other sides, 1 to 4,096 pixels each; smooth where it is larger.
    #[must_use]
    pub fn resized(&self, width: u32, height: u32) -> Self {
        let [width, height] = [width, height].map(|side| side.clamp(1, RESIZED_MAX));
        let resized =
            image::imageops::resize(&self.to_image(), width, height, image::imageops::FilterType::CatmullRom);
        Self { width, height, pixels: resized.into_raw() }
    }

    /// The bytes of a PNG.
    ///
    /// # Panics
    /// Never: its pixels are as many as it says, and memory takes all.
    #[must_use]
    pub fn to_png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        PngEncoder::new(&mut bytes)
            .write_image(&self.pixels, self.width, self.height, ExtendedColorType::Rgb8)
            .expect("as many pixels as it says, into memory");
        bytes
    }

    /// The bytes of a JPEG, of a quality of 1 to 100.
    ///
    /// # Panics
    /// Never: its pixels are as many as it says, and memory takes all.
    #[must_use]
    pub fn to_jpeg(&self, quality: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100))
            .write_image(&self.pixels, self.width, self.height, ExtendedColorType::Rgb8)
            .expect("as many pixels as it says, into memory");
        bytes
    }

    /// Writes a PNG.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_png(&self, to: &mut impl io::Write) -> io::Result<()> {
        to.write_all(&self.to_png())
    }

    /// Pictures in rows on white, each in a cell as large as the largest of them, with a gap of so many pixels around.
    /// `None` when there are none, or it would have more than 16,384 pixels a side.
    #[must_use]
    pub fn sheet(rows: &[Vec<Self>], gap: u16) -> Option<Self> {
        let gap = u32::from(gap);
        let all = || rows.iter().flatten();
        let (cell_width, cell_height) = (
            all().map(Self::width).max()?.checked_add(gap)?,
            all().map(Self::height).max()?.checked_add(gap)?,
        );
        let columns = u32::try_from(rows.iter().map(Vec::len).max()?).ok()?;
        let width = columns.checked_mul(cell_width)?.checked_add(gap)?;
        let height = u32::try_from(rows.len()).ok()?.checked_mul(cell_height)?.checked_add(gap)?;
        if width > SHEET_MAX || height > SHEET_MAX {
            return None;
        }
        let mut sheet = RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
        for (row, top) in rows.iter().zip((gap..).step_by(usize::try_from(cell_height).ok()?)) {
            for (picture, left) in row.iter().zip((gap..).step_by(usize::try_from(cell_width).ok()?)) {
                image::imageops::replace(&mut sheet, &picture.to_image(), left.into(), top.into());
            }
        }
        Some(Self { width, height, pixels: sheet.into_raw() })
    }

    /// A square of colours from 0 to 1; what is beyond counts as that.
    pub(crate) fn of(side: usize, colours: &[f32]) -> Self {
        let side = u32::try_from(side).unwrap_or(u32::MAX);
        Self { width: side, height: side, pixels: colours.iter().map(|&colour| byte(colour)).collect() }
    }

    pub(crate) fn to_image(&self) -> RgbImage {
        RgbImage::from_raw(self.width, self.height, self.pixels.clone()).expect("as many pixels as it says")
    }
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rendered({} x {})", self.width, self.height)
    }
}

/// A colour from 0 to 1 in 8 bits.
pub(crate) fn byte(colour: f32) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within 0 to 255")]
    let byte = (narrow(f64::from(colour)).clamp(0.0, 1.0) * 255.0).round() as u8;
    byte
}

const RESIZED_MAX: u32 = 4_096;
/// A sheet takes 805 MB at most.
const SHEET_MAX: u32 = 16_384;
