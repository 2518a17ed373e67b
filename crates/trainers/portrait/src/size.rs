//! How large a model is.

/// How many pixels a side the pictures of a model have: 32 to 128.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Side(u16);

impl Side {
    /// 64 pixels.
    pub const USUAL: Self = Self(64);

    /// So many.
    ///
    /// # Errors
    /// [`NoSize`] when it is not within 32 to 128.
    pub const fn new(pixels: u16) -> Result<Self, NoSize> {
        if pixels < 32 || pixels > 128 { Err(NoSize) } else { Ok(Self(pixels)) }
    }

    /// How many.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    pub(crate) fn pixels(self) -> usize {
        usize::from(self.0)
    }

    /// One of a model that was stored.
    pub(crate) const fn stored(pixels: u16) -> Option<Self> {
        if pixels < STORED_LEAST || pixels > 128 { None } else { Some(Self(pixels)) }
    }
}

impl Default for Side {
    fn default() -> Self {
        Self::USUAL
    }
}

/// How large a model is: its pictures, the layer between those and a code, and the code, which is all that it knows of
/// one picture.
///
/// A model takes about `24 × side² × hidden` bytes in its file, four times that while it is trained, and as much time.
///
/// ```
/// use trainyard_portrait::{Side, Size};
///
/// let size = Size::new(Side::new(48)?, 64, 24)?;
/// assert_eq!(size.code(), 24);
/// # Ok::<(), trainyard_portrait::NoSize>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    side: Side,
    hidden: u16,
    code: u16,
}

impl Size {
    /// 64 pixels a side, 128 units, 48 numbers a code.
    pub const USUAL: Self = Self { side: Side::USUAL, hidden: 128, code: 48 };
    /// 32 pixels a side, 48 units, 24 numbers a code: trained in a moment, for tests.
    pub const SMALL: Self = Self { side: Side(32), hidden: 48, code: 24 };

    /// With 1 to 512 units between picture and code, and 1 to 256 numbers a code.
    ///
    /// # Errors
    /// [`NoSize`] when it is not within that.
    pub const fn new(side: Side, hidden: u16, code: u16) -> Result<Self, NoSize> {
        if hidden == 0 || hidden > 512 || code == 0 || code > 256 {
            return Err(NoSize);
        }
        Ok(Self { side, hidden, code })
    }

    /// Of the pictures.
    #[must_use]
    pub const fn side(self) -> Side {
        self.side
    }

    /// Units between picture and code, on either way.
    #[must_use]
    pub const fn hidden(self) -> u16 {
        self.hidden
    }

    /// Numbers a code.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.code
    }

    /// The numbers of a picture: three colours a pixel.
    pub(crate) fn colours(self) -> u64 {
        let side = u64::from(self.side.get());
        3 * side * side
    }

    /// The weights of both nets, those without an input among them.
    pub(crate) fn weights(self) -> u64 {
        let (colours, hidden, code) = (self.colours(), u64::from(self.hidden), u64::from(self.code));
        let layer = |inputs: u64, outputs: u64| (inputs + 1) * outputs;
        layer(colours, hidden) + layer(hidden, code) + layer(code, hidden) + layer(hidden, colours)
    }
}

impl Default for Size {
    fn default() -> Self {
        Self::USUAL
    }
}

/// A model cannot be of this size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a model has 32 to 128 pixels a side, 1 to 512 units, and 1 to 256 numbers a code")]
pub struct NoSize;

/// Models of tests are kept as files, and need not be large for that.
const STORED_LEAST: u16 = 8;
