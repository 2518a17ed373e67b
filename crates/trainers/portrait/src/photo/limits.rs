/// How large a photo may be. One beyond that is refused before its pixels take any memory.
///
/// It bounds one photo. How many are read at once is for the caller to bound: each takes at most `memory_bytes`,
/// twice the length of its file, and 8 MiB for what a PNG has beside its pixels and for the rows at work.
///
/// ```
/// use trainyard_portrait::Limits;
///
/// let limits = Limits { least: 512, ..Limits::default() };
/// assert_eq!(limits.file_bytes, 10 << 20);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The length of its file. Default: 10 MiB.
    pub file_bytes: u64,
    /// Its width and its height, in pixels. Default: 8,192.
    pub across: u32,
    /// What its pixels take while they are read, in bytes. One pixel is 1 to 4 bytes, twice that in a picture of 16
    /// bits, and 5 to 11 in a JPEG that comes in several scans ("progressive"). Default: 64 MiB, which is 22 million
    /// pixels, or 7 million in several scans.
    pub memory_bytes: u64,
    /// The least width and the least height, in pixels; below 16 it is as if it said 16. Default: 32. For good
    /// portraits 512 are recommended.
    pub least: u32,
}

impl Limits {
    pub(crate) const fn least_side(&self) -> u32 {
        if self.least < LEAST { LEAST } else { self.least }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 10 << 20, across: 8_192, memory_bytes: 64 << 20, least: 32 }
    }
}

const LEAST: u32 = 16;
