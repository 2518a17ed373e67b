//! What a training goes on from after a crash.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use trainyard_trainkit::{unseal, write_sealed};

use crate::lesson::{Course, Lesson};

/// What is in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Saved<C> {
    /// From what it was learned, see [`Lesson::fingerprint`].
    lesson: [u8; 32],
    course: C,
}

/// Writes a checkpoint of what was learned from something of this fingerprint: all of it, or nothing.
pub(crate) fn write(path: &Path, lesson: [u8; 32], course: &Course) -> io::Result<()> {
    let saved = Saved { lesson, course };
    write_sealed(path, MAGIC, FORMAT, |to| postcard::to_io(&saved, to).map(|_| ()).map_err(io::Error::other))
}

/// Reads a checkpoint from the bytes of a file, if it is about this lesson, which has this fingerprint.
pub(crate) fn read(bytes: &[u8], lesson: &Lesson<'_>, print: [u8; 32]) -> Result<Course, Useless> {
    let content = match unseal(MAGIC, FORMAT, bytes) {
        Some(Ok(content)) => content,
        Some(Err(format)) => return Err(Useless::Format(format)),
        None => return Err(Useless::Damaged),
    };
    let saved: Saved<Course> = match postcard::take_from_bytes(content) {
        Ok((saved, [])) => saved,
        Ok(_) | Err(_) => return Err(Useless::Damaged),
    };
    if saved.lesson != print {
        return Err(Useless::Lesson);
    }
    if saved.course.fits(lesson) { Ok(saved.course) } else { Err(Useless::Damaged) }
}

/// Why a checkpoint is of no use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Useless {
    #[error("it is damaged")]
    Damaged,
    #[error("it has format {0}, which this version does not know")]
    Format(u32),
    #[error("it was learned from other rows, beside another base, or in another order")]
    Lesson,
}

const MAGIC: &[u8; 8] = b"TYARDLMC";
const FORMAT: u32 = 1;
/// The longest checkpoint that is read: 1 GiB.
pub(crate) const BYTES_MAX: u64 = 1 << 30;
