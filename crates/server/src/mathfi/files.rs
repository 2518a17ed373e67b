//! Files of datasets and predictions: nothing has its name before it is whole and on the disk.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use trainyard_mathfi::{DatasetId, PredictionId};
use uuid::Uuid;

use super::key::sync_folder_of;

/// Where everything lies.
///
/// | | |
/// |---|---|
/// | `incoming/` | what is on its way; cleared at every start |
/// | `datasets/<id>.csv` | the data of a dataset until it is ready |
/// | `datasets/<id>.table` | the same, ready |
/// | `predictions/<id>.csv` | rows to predict for, until that has ended |
/// | `predictions/<id>.result` | the rows with their predictions |
pub(crate) struct Files {
    root: PathBuf,
    incoming: Arc<AtomicUsize>,
    incoming_max: usize,
}

/// A file on its way in. Dropped before it is kept, it is gone.
pub(crate) struct Incoming {
    file: File,
    path: PathBuf,
    is_kept: bool,
    /// One that somebody sends has one.
    _place: Option<Place>,
}

/// One of the places for files on their way in.
struct Place(Arc<AtomicUsize>);

impl Files {
    /// Makes the folders, and clears what was on its way.
    pub(crate) fn open(root: &Path, incoming_max: usize) -> io::Result<Self> {
        let incoming = root.join(INCOMING);
        match fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        for folder in [INCOMING, DATASETS, PREDICTIONS] {
            fs::create_dir_all(root.join(folder))?;
        }
        sync_folder_of(&incoming)?;
        Ok(Self { root: root.to_owned(), incoming: Arc::default(), incoming_max })
    }

    /// A new file that somebody sends; `None` when there are as many as may be.
    pub(crate) fn begin(&self) -> io::Result<Option<Incoming>> {
        let is_free = |count: usize| (count < self.incoming_max).then_some(count + 1);
        if self.incoming.fetch_update(Ordering::AcqRel, Ordering::Acquire, is_free).is_err() {
            return Ok(None);
        }
        let place = Place(Arc::clone(&self.incoming));
        self.make(Some(place)).map(Some)
    }

    /// A new file that is made here.
    pub(crate) fn begin_own(&self) -> io::Result<Incoming> {
        self.make(None)
    }

    fn make(&self, place: Option<Place>) -> io::Result<Incoming> {
        let path = self.root.join(INCOMING).join(Uuid::new_v4().to_string());
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Incoming { file, path, is_kept: false, _place: place })
    }

    /// The data of a dataset, as it came.
    pub(crate) fn data(&self, id: DatasetId) -> PathBuf {
        self.root.join(DATASETS).join(format!("{id}.{CSV}"))
    }

    /// The data of a dataset, ready.
    pub(crate) fn table(&self, id: DatasetId) -> PathBuf {
        self.root.join(DATASETS).join(format!("{id}.{TABLE}"))
    }

    /// Rows to predict for, as they came.
    pub(crate) fn rows(&self, id: PredictionId) -> PathBuf {
        self.root.join(PREDICTIONS).join(format!("{id}.{CSV}"))
    }

    /// The result of a prediction.
    pub(crate) fn result(&self, id: PredictionId) -> PathBuf {
        self.root.join(PREDICTIONS).join(format!("{id}.{RESULT}"))
    }

    /// Clears away all files that are none of these; says how many.
    pub(crate) fn clear_all_but(&self, known: &BTreeSet<PathBuf>) -> io::Result<usize> {
        let mut cleared = 0;
        for folder in [DATASETS, PREDICTIONS] {
            for entry in fs::read_dir(self.root.join(folder))? {
                let path = entry?.path();
                if !known.contains(&path) {
                    fs::remove_file(&path)?;
                    cleared += 1;
                }
            }
        }
        Ok(cleared)
    }
}

/// Removes a file that nobody needs any more. One that cannot be removed goes at the next start.
pub(crate) fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(file = %path.display(), error, "a file is cleared away at the next start");
        }
        Ok(()) | Err(_) => {}
    }
}

impl Incoming {
    /// Puts on the disk what there is so far, which may take a while.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Makes it durable, and gives it its name. What was there under this name is replaced.
    ///
    /// # Errors
    /// When the disk fails or is full; then nothing is left of it.
    pub(crate) fn keep(mut self, to: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, to)?;
        self.is_kept = true;
        sync_folder_of(to)
    }
}

impl Write for Incoming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.is_kept {
            remove(&self.path);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

const INCOMING: &str = "incoming";
const DATASETS: &str = "datasets";
const PREDICTIONS: &str = "predictions";
const CSV: &str = "csv";
const TABLE: &str = "table";
const RESULT: &str = "result";

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_not_kept_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::open(folder.path(), 2).unwrap();
        let id = DatasetId::new(Uuid::from_u128(1));
        let mut kept = files.begin().unwrap().unwrap();
        kept.write_all(b"whole").unwrap();
        let mut cut = files.begin().unwrap().unwrap();
        cut.write_all(b"ha").unwrap();
        assert!(files.begin().unwrap().is_none(), "two is all");
        drop(cut);
        kept.keep(&files.data(id)).unwrap();
        assert!(names(&folder.path().join(INCOMING)).is_empty());
        assert_eq!(fs::read(files.data(id)).unwrap(), b"whole");
        assert!(files.begin().unwrap().is_some() && files.begin().unwrap().is_some(), "places come back");
    }

    #[test]
    fn what_cannot_get_its_name_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::open(folder.path(), 1).unwrap();
        let incoming = files.begin().unwrap().unwrap();
        incoming.keep(&folder.path().join("no such folder/a")).unwrap_err();
        assert!(names(&folder.path().join(INCOMING)).is_empty());
        assert!(files.begin().unwrap().is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_of_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::open(folder.path(), 1).unwrap();
        let mut incoming = files.begin().unwrap().unwrap();
        incoming.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = incoming.write_all(b"id,a,class\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        drop(incoming);
        assert!(names(&folder.path().join(INCOMING)).is_empty());
    }

    #[test]
    fn a_start_clears_what_nobody_knows() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::open(folder.path(), 1).unwrap();
        let id = DatasetId::new(Uuid::from_u128(1));
        let mut incoming = files.begin().unwrap().unwrap();
        incoming.write_all(b"ha").unwrap();
        std::mem::forget(incoming); // as a crash does
        let ids = [1, 2].map(|n| PredictionId::new(Uuid::from_u128(n)));
        for path in [files.table(id), files.data(id), files.rows(ids[0]), files.result(ids[1])] {
            fs::write(path, "x").unwrap();
        }
        let files = Files::open(folder.path(), 1).unwrap();
        assert!(names(&folder.path().join(INCOMING)).is_empty());
        let known = BTreeSet::from([files.table(id), files.rows(ids[0])]);
        assert_eq!(files.clear_all_but(&known).unwrap(), 2);
        assert_eq!(names(&folder.path().join(DATASETS)), [format!("{id}.table")]);
        assert_eq!(names(&folder.path().join(PREDICTIONS)), [format!("{}.csv", ids[0])]);
        assert_eq!(files.clear_all_but(&known).unwrap(), 0);
    }
}
