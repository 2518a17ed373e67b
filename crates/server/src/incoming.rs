//! Files on their way in: nothing has its name before it is whole and on the disk.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use uuid::Uuid;

/// A folder for files on their way in, and so many places for those that somebody sends.
pub(crate) struct Inbox {
    folder: PathBuf,
    taken: Arc<AtomicUsize>,
    places: usize,
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

impl Inbox {
    /// Makes the folder, and clears what was on its way. What else lies in it stays.
    pub(crate) fn open(folder: PathBuf, places: usize) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        clear(&folder, |_, name| is_id(name))?;
        sync_folder_of(&folder)?;
        Ok(Self { folder, taken: Arc::default(), places })
    }

    /// A new file that somebody sends; `None` when there are as many as may be.
    pub(crate) fn begin(&self) -> io::Result<Option<Incoming>> {
        let is_free = |count: usize| (count < self.places).then_some(count + 1);
        if self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, is_free).is_err() {
            return Ok(None);
        }
        let place = Place(Arc::clone(&self.taken));
        self.make(Some(place)).map(Some)
    }

    /// A new file that is made here.
    pub(crate) fn begin_own(&self) -> io::Result<Incoming> {
        self.make(None)
    }

    fn make(&self, place: Option<Place>) -> io::Result<Incoming> {
        let path = self.folder.join(Uuid::new_v4().to_string());
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Incoming { file, path, is_kept: false, _place: place })
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

/// Clears away all files in a folder that are named as ours, `<uuid>.<ending>`, and are none of these; says how many.
/// Folders, and files of other names, are somebody else's.
pub(crate) fn clear_all_but(folder: &Path, known: &BTreeSet<PathBuf>) -> io::Result<usize> {
    clear(folder, |path, name| ending(name).is_some() && !known.contains(path))
}

/// Clears away the files in a folder that this is true of; says how many.
pub(crate) fn clear(folder: &Path, is_stray: impl Fn(&Path, &str) -> bool) -> io::Result<usize> {
    let mut cleared = 0;
    for (path, name) in files(folder)? {
        if is_stray(&path, &name) {
            fs::remove_file(&path)?;
            cleared += 1;
        }
    }
    Ok(cleared)
}

/// The files in a folder, with their names. What is no file is passed over, as is a name that is no text.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file()
            && let Ok(name) = entry.file_name().into_string()
        {
            files.push((entry.path(), name));
        }
    }
    Ok(files)
}

/// What comes after the id in a name that is `<uuid>.<ending>`.
pub(crate) fn ending(name: &str) -> Option<&str> {
    let (id, ending) = name.split_once('.')?;
    is_id(id).then_some(ending)
}

/// Whether it is written as we write ids.
fn is_id(name: &str) -> bool {
    Uuid::try_parse(name).is_ok_and(|id| id.to_string() == name)
}

/// Makes it durable that a file has its name.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        #[cfg(unix)]
        Some(folder) => fs::File::open(folder)?.sync_all(),
        #[cfg(not(unix))]
        Some(_) => Ok(()),
        None => Ok(()),
    }
}

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

    fn inbox(folder: &Path, places: usize) -> Inbox {
        Inbox::open(folder.join("incoming"), places).unwrap()
    }

    #[test]
    fn what_is_not_kept_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = inbox(folder.path(), 2);
        let mut kept = inbox.begin().unwrap().unwrap();
        kept.write_all(b"whole").unwrap();
        let mut cut = inbox.begin().unwrap().unwrap();
        cut.write_all(b"ha").unwrap();
        assert!(inbox.begin().unwrap().is_none(), "two is all");
        drop(cut);
        let to = folder.path().join("kept");
        kept.keep(&to).unwrap();
        assert!(names(&folder.path().join("incoming")).is_empty());
        assert_eq!(fs::read(&to).unwrap(), b"whole");
        assert!(inbox.begin().unwrap().is_some() && inbox.begin().unwrap().is_some(), "places come back");
    }

    #[test]
    fn what_cannot_get_its_name_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = inbox(folder.path(), 1);
        let incoming = inbox.begin().unwrap().unwrap();
        incoming.keep(&folder.path().join("no such folder/a")).unwrap_err();
        assert!(names(&folder.path().join("incoming")).is_empty());
        assert!(inbox.begin().unwrap().is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_of_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = inbox(folder.path(), 1);
        let mut incoming = inbox.begin().unwrap().unwrap();
        incoming.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = incoming.write_all(b"id,a,class\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        drop(incoming);
        assert!(names(&folder.path().join("incoming")).is_empty());
    }

    #[test]
    fn a_start_clears_what_was_on_its_way_and_what_nobody_knows() {
        let folder = tempfile::tempdir().unwrap();
        let mut incoming = inbox(folder.path(), 1).begin().unwrap().unwrap();
        incoming.write_all(b"ha").unwrap();
        std::mem::forget(incoming); // as a crash does
        fs::create_dir(folder.path().join("incoming/lost+found")).unwrap();
        drop(inbox(folder.path(), 1));
        assert_eq!(names(&folder.path().join("incoming")), ["lost+found"]);
        let kept = folder.path().join("kept");
        fs::create_dir(&kept).unwrap();
        let ours = [1, 2, 3].map(|n| format!("{}.table", Uuid::from_u128(n)));
        let theirs = [
            "note.txt".to_owned(),
            Uuid::from_u128(4).to_string(),
            format!("{}.a", Uuid::from_u128(0xAB)).to_uppercase(),
        ];
        for name in ours.iter().chain(&theirs) {
            fs::write(kept.join(name), "x").unwrap();
        }
        fs::create_dir(kept.join("lost+found")).unwrap();
        fs::create_dir(kept.join(format!("{}.csv", Uuid::from_u128(5)))).unwrap();
        let known = BTreeSet::from([kept.join(&ours[1])]);
        assert_eq!(clear_all_but(&kept, &known).unwrap(), 2);
        let left = names(&kept);
        assert_eq!(left.len(), theirs.len() + 3, "{left:?}");
        assert!(theirs.iter().chain([&ours[1]]).all(|name| left.contains(name)), "{left:?}");
        assert_eq!(clear_all_but(&kept, &known).unwrap(), 0);
    }
}
