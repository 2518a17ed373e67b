//! The last checkpoint of a run.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Rhythm;

/// The last checkpoint of a run: after which step, and when the next is due. There is one file at a time.
#[derive(Debug)]
pub struct Kept {
    rhythm: Rhythm,
    step: u64,
    /// Its file, if this run wrote it.
    file: Option<String>,
    at: Instant,
    cost: Duration,
}

impl Kept {
    /// A run that begins after this step, from a checkpoint or from nothing.
    #[must_use]
    pub fn new(rhythm: Rhythm, step: u64) -> Self {
        Self { rhythm, step, file: None, at: Instant::now(), cost: Duration::ZERO }
    }

    /// Whether one is due after this step.
    #[must_use]
    pub fn is_due(&self, step: u64) -> bool {
        self.rhythm.is_due(step.saturating_sub(self.step), self.at.elapsed(), self.cost)
    }

    /// Whether more is known after this step than the last checkpoint holds.
    #[must_use]
    pub const fn is_news(&self, step: u64) -> bool {
        step > self.step
    }

    /// Makes what is known after this step the state to go on from, unless that is no news: `write` writes it under the
    /// path that it is given, `note` makes this file name the checkpoint, and then the file before it is removed.
    ///
    /// # Errors
    /// Those of `write` and `note`; then the checkpoint before stays the last.
    pub fn keep<E>(
        &mut self,
        dir: &Path,
        step: u64,
        write: impl FnOnce(&Path) -> Result<(), E>,
        note: impl FnOnce(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.is_news(step) {
            return Ok(());
        }
        let begun = Instant::now();
        let name = format!("state-{step}");
        write(&dir.join(&name))?;
        note(&name)?;
        if let Some(old) = self.file.replace(name) {
            // No record names it any more; what is left of it goes with its folder.
            let _ = fs::remove_file(dir.join(old));
        }
        self.step = step;
        self.at = Instant::now();
        self.cost = begun.elapsed();
        Ok(())
    }
}

/// The bytes of a file, if it has not more than so many; what is beyond is left out, so that it does not fit its seal.
///
/// # Errors
/// When it cannot be read.
pub fn bytes_of(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len().min(bytes_max);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_file_and_it_is_the_newest_that_was_noted() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::new(Rhythm { steps: None, every: Duration::ZERO }, 3);
        let names = || -> Vec<String> {
            let entries = fs::read_dir(folder.path()).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let write = |path: &Path| fs::write(path, "state");
        assert!(!kept.is_due(3) && !kept.is_due(2) && kept.is_due(4));
        kept.keep(folder.path(), 3, write, |_| panic!("it is no news")).unwrap();
        assert!(names().is_empty());
        for step in [4, 6] {
            kept.keep(folder.path(), step, write, |name| {
                assert_eq!(name, format!("state-{step}"));
                Ok(())
            })
            .unwrap();
            assert_eq!(names(), [format!("state-{step}")]);
        }
        kept.keep(folder.path(), 7, |_| Err(io::Error::other("full")), |_| Ok(())).unwrap_err();
        assert_eq!(names(), ["state-6"]);
        assert_eq!(bytes_of(&folder.path().join("state-6"), 3).unwrap(), b"sta");
    }
}
