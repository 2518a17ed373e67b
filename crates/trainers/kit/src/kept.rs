//! The last checkpoint of a run.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use trainyard_runtime::{Context, Stop, TrainError};

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
    const fn is_news(&self, step: u64) -> bool {
        step > self.step
    }

    /// Makes what is known after this step the state to go on from, unless that is no news: `write` writes it under the
    /// path that it is given.
    ///
    /// # Errors
    /// That of `write`, or why it could not be made the one to go on from; then the checkpoint before stays the last.
    pub fn keep<E: Into<TrainError>>(
        &mut self,
        cx: &Context,
        step: u64,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), TrainError> {
        if !self.is_news(step) {
            return Ok(());
        }
        let write = |path: &Path| write(path).map_err(Into::into);
        self.keep_in(cx.dir()?, step, write, |name| cx.checkpoint(name, step))
    }

    /// The same in a folder: `write` writes it, `note` makes its file name the checkpoint, and then the file before it is
    /// removed.
    fn keep_in<E>(
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

/// What a trainer returns when it was told to stop. When the process shuts down, `keep` makes what is known the state to go
/// on from first.
pub fn cut_short(stop: Stop, keep: impl FnOnce() -> Result<(), TrainError>) -> TrainError {
    if stop != Stop::ShuttingDown {
        return stop.into();
    }
    match keep() {
        Ok(()) => TrainError::interrupted(stop.to_string()),
        Err(error) => TrainError::interrupted(format!("{stop}; the last steps were not kept: {error}")),
    }
}

/// Logs that a checkpoint was not kept, if so; the training goes on, and would only have further to go after a crash.
pub fn log_unkept(kept: Result<(), TrainError>) {
    if let Err(error) = kept {
        tracing::warn!(error = &error as &dyn std::error::Error, "a checkpoint was not kept");
    }
}

/// What an earlier attempt has left to go on from, read from the bytes of its file, of which so many count; `None` to
/// begin anew. That it is of no use is logged.
pub fn resume<C, E: std::fmt::Display>(
    cx: &Context,
    bytes_max: u64,
    read: impl FnOnce(&[u8]) -> Result<C, E>,
) -> Option<C> {
    let path = cx.resume_path()?;
    let bytes = bytes_of(&path, bytes_max).map_err(|error| error.to_string());
    bytes
        .and_then(|bytes| read(&bytes).map_err(|error| error.to_string()))
        .inspect_err(|error| tracing::warn!(error, "a checkpoint is of no use; the training begins anew"))
        .ok()
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
        kept.keep_in(folder.path(), 3, write, |_| panic!("it is no news")).unwrap();
        assert!(names().is_empty());
        for step in [4, 6] {
            kept.keep_in(folder.path(), step, write, |name| {
                assert_eq!(name, format!("state-{step}"));
                Ok(())
            })
            .unwrap();
            assert_eq!(names(), [format!("state-{step}")]);
        }
        kept.keep_in(folder.path(), 7, |_| Err(io::Error::other("full")), |_| Ok(())).unwrap_err();
        assert_eq!(names(), ["state-6"]);
        assert_eq!(bytes_of(&folder.path().join("state-6"), 3).unwrap(), b"sta");
    }
}
