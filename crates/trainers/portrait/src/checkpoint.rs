//! What a training goes on from after a crash.

use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};
use trainyard_trainkit::{Useless, read_checkpoint, write_checkpoint};

use crate::course::{Course, Lesson};

/// Writes a checkpoint of what was learned from something of this [`fingerprint`]: all of it, or nothing.
pub(crate) fn write(path: &Path, lesson: [u8; 32], course: &Course) -> io::Result<()> {
    write_checkpoint(path, MAGIC, FORMAT, lesson, course)
}

/// Reads a checkpoint from the bytes of a file, if it is about this lesson, which has this [`fingerprint`].
pub(crate) fn read(bytes: &[u8], lesson: &Lesson<'_>, print: [u8; 32]) -> Result<Course, Useless> {
    let course: Course = read_checkpoint(MAGIC, FORMAT, bytes, print)?;
    if course.fits(lesson) { Ok(course) } else { Err(Useless::Damaged) }
}

/// A digest of all that is learned from: the photos in their order, the size, the steps and the seed.
pub(crate) fn fingerprint(lesson: &Lesson<'_>) -> [u8; 32] {
    let Lesson { photos, size, total, seed, threads: _ } = lesson;
    let mut digest = Sha256::new();
    for number in [size.side().get(), size.hidden(), size.code()] {
        digest.update(number.to_le_bytes());
    }
    digest.update(total.to_le_bytes());
    digest.update(seed.to_le_bytes());
    digest.update((photos.len() as u64).to_le_bytes());
    let mut bytes = Vec::with_capacity(4 * SLICE);
    for colours in photos.iter().flat_map(|photo| photo.pixels().chunks(SLICE)) {
        bytes.clear();
        colours.iter().for_each(|colour| bytes.extend(colour.to_bits().to_le_bytes()));
        digest.update(&bytes);
    }
    digest.finalize().into()
}

const MAGIC: &[u8; 8] = b"TYARDPOC";
const FORMAT: u32 = 1;
/// Numbers that are digested at once.
const SLICE: usize = 1_024;
/// The longest checkpoint that is read: 1 GiB.
pub(crate) const BYTES_MAX: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use trainyard_trainkit::bytes_of;

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
        let mut course = Course::begun(&lesson);
        course.learn(&lesson, &mut Desk::new());
        write(&path, fingerprint(&lesson), &course).unwrap();
        let bytes = bytes_of(&path, BYTES_MAX).unwrap();
        let read = |bytes: &[u8], lesson: &Lesson<'_>| read(bytes, lesson, fingerprint(lesson));
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
