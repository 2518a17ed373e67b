//! Examples that need the facade alone. In learning order: `first_job`, `survive_a_crash`,
//! `retrain_when_it_grows`.

mod chart;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

pub use crate::chart::chart;

/// A folder below the system's own for temporary files, empty at first and gone when this is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(name: &str) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("trainyard-{name}-{}", process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}
