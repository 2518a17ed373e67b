//! Models and adapters as other tools know them: safetensors beside a JSON that says what shape they have.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use trainyard_trainkit::write_beside;

mod config;
mod error;
mod tensors;

pub(crate) use self::config::{ADAPTER_CONFIG, AdapterConfig, MODEL_CONFIG, ModelConfig, read_json};
pub use self::error::ModelError;
pub(crate) use self::tensors::{Stored, write};

/// Writes a small JSON file: all of it, or nothing.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    write_beside(path, |to| to.write_all(&bytes))
}

/// Where a folder is written before it is all there: no other run of this process, and no other process, writes there.
pub(crate) fn beside(folder: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = folder.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".new-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    folder.with_file_name(name)
}
