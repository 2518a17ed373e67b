//! Which datasets there are.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::{DatasetId, HIDDEN, Layout, OpenError, Record};

/// What was found below the folder of all datasets.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Opened {
    /// The datasets that are whole, newest first.
    pub datasets: Vec<Record>,
    /// How many were cleared away, since whoever built them was killed.
    pub cleared: usize,
    /// The names of what is there and is no dataset of this version. It is left as it is.
    pub strange: Vec<String>,
}

/// Clears away what was not built to its end, and lists the rest. For the start, when nobody builds there.
///
/// A folder that is not there yet holds nothing.
///
/// # Errors
/// [`OpenError`] when the disk does not do its part.
pub fn open(root: &Path) -> Result<Opened, OpenError> {
    let mut opened = Opened::default();
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(opened),
        Err(error) => return Err(OpenError::io("list the datasets")(error)),
    };
    for entry in entries {
        let entry = entry.map_err(OpenError::io("list the datasets"))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_half(&name) && entry.file_type().map_err(OpenError::io("list the datasets"))?.is_dir() {
            fs::remove_dir_all(entry.path()).map_err(OpenError::io("clear away half a dataset"))?;
            opened.cleared += 1;
            continue;
        }
        match record(root, &name) {
            Some(record) => opened.datasets.push(record),
            None => opened.strange.push(name),
        }
    }
    opened.datasets.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| b.id.cmp(&a.id)));
    opened.strange.sort();
    Ok(opened)
}

/// Removes a dataset. Whatever happens meanwhile, it is whole before and not listed afterwards: what is left over after
/// a crash, [`open`] clears away.
///
/// # Errors
/// When the disk does not do its part, or there is none.
pub fn remove(root: &Path, id: &DatasetId) -> io::Result<()> {
    let (whole, hidden) = (Layout::new(root, id), Layout::hidden(root, id));
    match fs::remove_dir_all(hidden.folder()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs::rename(whole.folder(), hidden.folder())?;
    #[cfg(unix)]
    File::open(root)?.sync_all()?;
    fs::remove_dir_all(hidden.folder())
}

/// Whether a folder of that name is a dataset that was not built to its end, and not somebody else's.
fn is_half(name: &str) -> bool {
    let id = name.strip_prefix(HIDDEN.0).and_then(|name| name.strip_suffix(HIDDEN.1));
    id.is_some_and(|id| id.parse::<DatasetId>().is_ok())
}

/// The record of a dataset; `None` when there is none, or it belongs to another.
fn record(root: &Path, name: &str) -> Option<Record> {
    let id = name.parse().ok()?;
    let file = File::open(Layout::new(root, &id).record()).ok()?;
    let mut text = Vec::new();
    file.take(RECORD_BYTES_MAX).read_to_end(&mut text).ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    (record.version == Record::VERSION && record.id == id).then_some(record)
}

const RECORD_BYTES_MAX: u64 = 64 << 10;
