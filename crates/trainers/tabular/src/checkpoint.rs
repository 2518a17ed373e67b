//! What a candidate goes on from after a crash, and how often it is written.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data::Origin;
use crate::{Dataset, Knobs, Lesson};
use trainyard_trainkit::{unseal, write_sealed};

/// What is in the file. What is borrowed lies in the bytes that it was read from.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saved<'a> {
    /// Who has learned.
    pub(crate) algorithm: &'a str,
    /// From what, see [`fingerprint`].
    pub(crate) lesson: [u8; 32],
    /// After how many steps.
    pub(crate) step: u64,
    /// Whether nothing more will be gained.
    pub(crate) exhausted: bool,
    /// What, to go on from.
    pub(crate) learned: &'a [u8],
    /// The best of all steps, where that is handed over in the end.
    #[serde(borrow)]
    pub(crate) best: Option<Best<&'a [u8]>>,
}

/// What was learned when it did best on the rows to be judged by.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best<L> {
    /// How well.
    pub(crate) performance: f64,
    /// What, to predict by.
    pub(crate) lasting: L,
}

impl<'a> Saved<'a> {
    /// Writes it: all of it, or nothing.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        write_sealed(path, MAGIC, FORMAT, |to| {
            postcard::to_io(self, to).map(|_| ()).map_err(io::Error::other)
        })
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

/// A digest of what is learned from: the table file and how it was divided, the knobs and the seed.
pub(crate) fn fingerprint(data: &Dataset, lesson: &Lesson<'_>) -> [u8; 32] {
    let Origin { digest: table, shares, seed } = data.origin();
    let Knobs { scaling_factor, buckets } = lesson.knobs;
    let mut digest = Sha256::new();
    digest.update(table);
    digest.update(shares.percents());
    digest.update(seed.to_le_bytes());
    digest.update(lesson.seed.to_le_bytes());
    digest.update(scaling_factor.to_le_bytes());
    digest.update(buckets.to_le_bytes());
    digest.finalize().into()
}

const MAGIC: &[u8; 8] = b"TYARDCAN";
const FORMAT: u32 = 2;
/// The longest checkpoint that is read: 1 GiB.
pub(crate) const BYTES_MAX: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use trainyard_trainkit::bytes_of;

    use super::*;
    use crate::{Limits, Shares, prepare};

    #[test]
    fn whatever_is_learned_from_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (csv, table) = (folder.path().join("rows.csv"), folder.path().join("table"));
        let of = |last: &str, shares: Shares, split: u64, seed: u64, knobs: Knobs| {
            let rows = |row: usize| format!("{row},{},c{}\n", row % 7, row % 2);
            let rows: String = (0..5_000).map(rows).collect();
            fs::write(&csv, format!("id,a,class\n{rows}last,{last},c1\n")).unwrap();
            prepare(&csv, &table, &Limits::default(), &|| false).unwrap();
            let data = Dataset::open(&table, &shares, split, &|| false).unwrap();
            let lesson = Lesson {
                train: data.train(),
                train_classes: data.train_classes(),
                validation: data.validation(),
                validation_classes: data.validation_classes(),
                classes: data.classes(),
                knobs,
                seed,
                threads: std::num::NonZeroUsize::MIN,
                over: &|| false,
            };
            fingerprint(&data, &lesson)
        };
        let (shares, knobs) = (Shares::default(), Knobs::default());
        let all = [
            of("1", shares, 1, 1, knobs),
            of("2", shares, 1, 1, knobs),
            of("1", Shares::percent(20, 19).unwrap(), 1, 1, knobs),
            of("1", shares, 2, 1, knobs),
            of("1", shares, 1, 2, knobs),
            of("1", shares, 1, 1, Knobs { buckets: 21, ..knobs }),
            of("1", shares, 1, 1, Knobs { scaling_factor: 20, ..knobs }),
        ];
        assert_eq!(of("1", shares, 1, 1, knobs), all[0]);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn what_is_damaged_or_of_something_else_is_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state-7");
        let saved = Saved {
            algorithm: "linear",
            lesson: [3; 32],
            step: 7,
            exhausted: true,
            learned: &[1, 2, 3],
            best: Some(Best { performance: 0.5, lasting: &[4, 5][..] }),
        };
        saved.write(&path).unwrap();
        let bytes = bytes_of(&path, BYTES_MAX).unwrap();
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
