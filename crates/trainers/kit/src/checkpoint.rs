//! What a training goes on from after a crash: what was learned, and the fingerprint of what it was learned from.

use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{unseal, write_sealed};

/// What is in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Saved<C> {
    /// From what it was learned.
    lesson: [u8; 32],
    course: C,
}

/// Writes a checkpoint of what was learned from something of this fingerprint: all of it, or nothing. The file is sealed,
/// see [`seal`](crate::seal).
///
/// # Errors
/// What the disk says, or what cannot be written down.
pub fn write_checkpoint(
    path: &Path,
    magic: &[u8; 8],
    format: u32,
    lesson: [u8; 32],
    course: &impl Serialize,
) -> io::Result<()> {
    let saved = Saved { lesson, course };
    write_sealed(path, magic, format, |to| postcard::to_io(&saved, to).map(|_| ()).map_err(io::Error::other))
}

/// Reads a checkpoint from the bytes of a file, if it is about something of this fingerprint.
///
/// # Errors
/// [`Useless`] says why there is nothing to go on from.
pub fn read_checkpoint<C: DeserializeOwned>(
    magic: &[u8; 8],
    format: u32,
    bytes: &[u8],
    lesson: [u8; 32],
) -> Result<C, Useless> {
    let content = match unseal(magic, format, bytes) {
        Some(Ok(content)) => content,
        Some(Err(format)) => return Err(Useless::Format(format)),
        None => return Err(Useless::Damaged),
    };
    let saved: Saved<C> = match postcard::take_from_bytes(content) {
        Ok((saved, [])) => saved,
        Ok(_) | Err(_) => return Err(Useless::Damaged),
    };
    if saved.lesson == lesson { Ok(saved.course) } else { Err(Useless::Lesson) }
}

/// Why a checkpoint is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Useless {
    /// Something else is in the file than was written.
    #[error("it is damaged")]
    Damaged,
    /// Another version has written it.
    #[error("it has format {0}, which this version does not know")]
    Format(u32),
    /// It was learned from something else, or in another way.
    #[error("it was learned from something else, or in another order")]
    Lesson,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes_of;

    #[test]
    fn what_is_damaged_or_of_something_else_is_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state-7");
        let (magic, course) = (b"EXAMPLE\0", (7_u64, vec![1.5_f32, -0.5]));
        write_checkpoint(&path, magic, 3, [1; 32], &course).unwrap();
        let bytes = bytes_of(&path, u64::MAX).unwrap();
        let read = |format, bytes: &[u8], lesson| read_checkpoint(magic, format, bytes, [lesson; 32]);
        assert_eq!(read(3, &bytes, 1), Ok(course.clone()));
        assert_eq!(read(3, &bytes, 2), Err(Useless::Lesson));
        assert_eq!(read(4, &bytes, 1), Err(Useless::Format(3)));
        for at in 0..bytes.len() {
            assert!(read(3, &bytes[..at], 1).is_err(), "cut at {at}");
            let mut bent = bytes.clone();
            bent[at] ^= 0x10;
            assert!(read(3, &bent, 1).is_err(), "bent at {at}");
        }
        // More than was to be there is not what was written, sealed as it may be.
        write_checkpoint(&path, magic, 3, [1; 32], &(course, 0_u8)).unwrap();
        assert_eq!(read(3, &bytes_of(&path, u64::MAX).unwrap(), 1), Err(Useless::Damaged));
    }
}
