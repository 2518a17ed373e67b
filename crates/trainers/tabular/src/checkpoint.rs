//! What a candidate goes on from after a crash, and how often it is written.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Dataset, Lesson};
use trainyard_trainkit::{seal, unseal, write_beside};

/// What is in the file. What is borrowed lies in the bytes that it was read from.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved<'a> {
    /// Who has learned.
    pub(crate) algorithm: &'a str,
    /// From what, see [`fingerprint`].
    pub(crate) lesson: [u8; 32],
    /// After how many steps.
    pub(crate) step: u64,
    /// What.
    pub(crate) learned: &'a [u8],
}

impl<'a> Saved<'a> {
    /// Writes it: all of it, or nothing.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let content = postcard::to_allocvec(self).map_err(io::Error::other)?;
        write_beside(path, |to| to.write_all(&seal(MAGIC, FORMAT, &content)))
    }

    /// Reads it from the bytes of a file, if it is about this algorithm and this lesson.
    pub(crate) fn read(bytes: &'a [u8], algorithm: &str, lesson: &[u8; 32]) -> Result<Self, Useless> {
        let content = match unseal(MAGIC, FORMAT, bytes) {
            Some(Ok(content)) => content,
            Some(Err(format)) => return Err(Useless::Format(format)),
            None => return Err(Useless::Damaged),
        };
        let saved: Self = match postcard::take_from_bytes(content) {
            Ok((saved, [])) => saved,
            Ok(_) | Err(_) => return Err(Useless::Damaged),
        };
        if saved.algorithm != algorithm {
            return Err(Useless::Algorithm(saved.algorithm.into()));
        }
        if saved.lesson != *lesson {
            return Err(Useless::Lesson);
        }
        Ok(saved)
    }
}

/// Why a checkpoint is of no use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Useless {
    #[error("it is damaged")]
    Damaged,
    #[error("it has format {0}, which this version does not know")]
    Format(u32),
    #[error("it is from {0}")]
    Algorithm(String),
    #[error("it was learned from other rows, or with other knobs")]
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

/// A digest of what is learned from: columns, classes, the first rows, the knobs and the seed.
pub(crate) fn fingerprint(data: &Dataset, lesson: &Lesson<'_>) -> [u8; 32] {
    let mut digest = Sha256::new();
    let schema = postcard::to_allocvec(data.schema()).unwrap_or_default();
    digest.update((schema.len() as u64).to_le_bytes());
    digest.update(&schema);
    digest.update(lesson.seed.to_le_bytes());
    digest.update(lesson.knobs.scaling_factor.to_le_bytes());
    digest.update(lesson.knobs.buckets.to_le_bytes());
    let parts = [(lesson.train, lesson.train_classes), (lesson.validation, lesson.validation_classes)];
    for (rows, classes) in parts {
        digest.update((rows.len() as u64).to_le_bytes());
        classes.iter().for_each(|class| digest.update(class.to_le_bytes()));
        for column in rows.columns() {
            column.iter().take(ROWS_LOOKED_AT).for_each(|value| digest.update(value.to_bits().to_le_bytes()));
        }
    }
    digest.finalize().into()
}

const MAGIC: &[u8; 8] = b"TYARDCAN";
const FORMAT: u32 = 1;
/// The longest checkpoint that is read: 1 GiB.
const BYTES_MAX: u64 = 1 << 30;
/// Rows of each part that go into a digest.
const ROWS_LOOKED_AT: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_or_of_something_else_is_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state-7");
        let saved = Saved { algorithm: "linear", lesson: [3; 32], step: 7, learned: &[1, 2, 3] };
        saved.write(&path).unwrap();
        let bytes = bytes_of(&path).unwrap();
        assert_eq!(Saved::read(&bytes, "linear", &[3; 32]), Ok(saved));
        assert_eq!(Saved::read(&bytes, "network", &[3; 32]), Err(Useless::Algorithm("linear".into())));
        assert_eq!(Saved::read(&bytes, "linear", &[4; 32]), Err(Useless::Lesson));
        for at in 0..bytes.len() {
            assert!(Saved::read(&bytes[..at], "linear", &[3; 32]).is_err(), "cut at {at}");
            let mut bent = bytes.clone();
            bent[at] ^= 0x10;
            assert!(Saved::read(&bent, "linear", &[3; 32]).is_err(), "bent at {at}");
        }
    }
}
