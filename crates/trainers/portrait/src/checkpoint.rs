//! What a training goes on from after a crash.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use trainyard_trainkit::{seal, unseal, write_beside};

use crate::course::{Course, Lesson};

/// What is in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Saved<C> {
    /// From what it was learned, see [`fingerprint`].
    lesson: [u8; 32],
    course: C,
}

/// Writes a checkpoint: all of it, or nothing.
pub(crate) fn write(path: &Path, lesson: &Lesson<'_>, course: &Course) -> io::Result<()> {
    let saved = Saved { lesson: fingerprint(lesson), course };
    let content = postcard::to_allocvec(&saved).map_err(io::Error::other)?;
    write_beside(path, |to| to.write_all(&seal(MAGIC, FORMAT, &content)))
}

/// Reads a checkpoint from the bytes of a file, if it is about this lesson.
pub(crate) fn read(bytes: &[u8], lesson: &Lesson<'_>) -> Result<Course, Useless> {
    let content = match unseal(MAGIC, FORMAT, bytes) {
        Some(Ok(content)) => content,
        Some(Err(format)) => return Err(Useless::Format(format)),
        None => return Err(Useless::Damaged),
    };
    let saved: Saved<Course> = match postcard::take_from_bytes(content) {
        Ok((saved, [])) => saved,
        Ok(_) | Err(_) => return Err(Useless::Damaged),
    };
    if saved.lesson != fingerprint(lesson) {
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
    #[error("it was learned from other photos, in another order, or to another size")]
    Lesson,
}

/// The bytes of a file, if it is not far too long.
pub(crate) fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Removes a checkpoint that no record names any more; what is left of it goes with its folder.
pub(crate) fn forget(path: &Path) {
    let _ = fs::remove_file(path);
}

/// A digest of all that is learned from: the photos in their order, the size, the steps and the seed.
fn fingerprint(lesson: &Lesson<'_>) -> [u8; 32] {
    let Lesson { photos, size, total, seed, threads: _ } = lesson;
    let mut digest = Sha256::new();
    for number in [size.side().get(), size.hidden(), size.code()] {
        digest.update(number.to_le_bytes());
    }
    digest.update(total.to_le_bytes());
    digest.update(seed.to_le_bytes());
    digest.update((photos.len() as u64).to_le_bytes());
    let colours = photos.iter().flat_map(|photo| photo.pixels());
    colours.for_each(|colour| digest.update(colour.to_bits().to_le_bytes()));
    digest.finalize().into()
}

const MAGIC: &[u8; 8] = b"TYARDPOC";
const FORMAT: u32 = 1;
/// The longest checkpoint that is read: 1 GiB.
const BYTES_MAX: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::Desk;
    use crate::made::Person;
    use crate::{Photo, Side, Size};

    #[test]
    fn what_is_damaged_or_of_something_else_is_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state-1");
        let size = Size::new(Side::new(32).unwrap(), 1, 1).unwrap();
        let photos = [0, 1].map(|number| Photo::of(&Person::new(1).photo(number, 32), size.side()));
        let lesson =
            Lesson { photos: &photos, size, total: 2, seed: 1, threads: std::num::NonZeroUsize::MIN };
        let mut course = Course::begin(&lesson);
        course.learn(&lesson, &mut Desk::new());
        write(&path, &lesson, &course).unwrap();
        let bytes = bytes_of(&path).unwrap();
        assert_eq!(read(&bytes, &lesson), Ok(course));
        let turned = [photos[1].clone(), photos[0].clone()];
        let wider = Size::new(size.side(), 2, 1).unwrap();
        for other in [
            Lesson { photos: &photos[..1], ..lesson },
            Lesson { photos: &turned, ..lesson },
            Lesson { size: wider, ..lesson },
            Lesson { total: 3, ..lesson },
            Lesson { seed: 2, ..lesson },
        ] {
            assert_eq!(read(&bytes, &other), Err(Useless::Lesson));
        }
        for at in (0..bytes.len()).step_by(997).chain(0..64).chain(bytes.len() - 64..bytes.len()) {
            assert!(read(&bytes[..at], &lesson).is_err(), "cut at {at}");
            let mut bent = bytes.clone();
            bent[at] ^= 0x10;
            assert!(read(&bent, &lesson).is_err(), "bent at {at}");
        }
    }
}
