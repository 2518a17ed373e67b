use std::io;

/// Why a file is of no use as a photo. The texts are for its owner.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// It is longer than [`Limits::file_bytes`](crate::Limits::file_bytes).
    #[error("the file has more than {max} bytes, the most that a photo may have")]
    TooLong {
        /// The most.
        max: u64,
    },
    /// Its first bytes are those of no picture that is read here.
    #[error("the file is neither a png nor a jpeg")]
    Format,
    /// It ends before the picture does.
    #[error("the picture is cut off: the file ends before it does")]
    Truncated,
    /// It begins as a picture, but cannot be read as one.
    #[error("the picture is damaged, or of a kind that is not read here")]
    Damaged,
    /// It has more pixels across than [`Limits::across`](crate::Limits::across).
    #[error("the picture has {width} x {height} pixels, at most {max} x {max} are read")]
    TooLarge {
        /// As it is stored.
        width: u32,
        /// As it is stored.
        height: u32,
        /// The most for each of them.
        max: u32,
    },
    /// Reading it would take more than [`Limits::memory_bytes`](crate::Limits::memory_bytes).
    #[error("a picture of {width} x {height} pixels takes {needed} bytes to read, at most {max} are allowed")]
    Memory {
        /// As it is stored.
        width: u32,
        /// As it is stored.
        height: u32,
        /// What it takes.
        needed: u64,
        /// The most.
        max: u64,
    },
    /// It has fewer pixels across than [`Limits::least`](crate::Limits::least).
    #[error("the picture has {width} x {height} pixels, at least {least} x {least} are needed")]
    TooSmall {
        /// As it is stored.
        width: u32,
        /// As it is stored.
        height: u32,
        /// The least for each of them.
        least: u32,
    },
    /// It is made of more passes than any real picture: only built to keep its reader busy.
    #[error("the picture is made of more than {max} scans, the most that are read")]
    Scans {
        /// The most.
        max: u32,
    },
    /// It has more marked parts than any real picture: only built to keep its reader busy.
    #[error("the picture is made of more than {max} segments, the most that are read")]
    Segments {
        /// The most.
        max: u32,
    },
    /// Nothing can be made out in the square in its middle.
    #[error("the middle of the picture shows a single colour, there is nothing to be learned from it")]
    Blank,
    /// There is no such file, or it is none.
    #[error("there is no such file")]
    Missing,
    /// The disk did not do its part.
    #[error("could not read the file")]
    Io(#[source] io::Error),
}

impl Unfit {
    /// Whether the disk is at fault, and not the photo; it may be read another time.
    #[must_use]
    pub const fn is_io(&self) -> bool {
        matches!(self, Self::Io(_))
    }
}
