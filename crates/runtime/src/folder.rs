//! The folder that everything on disk is in: attempts write in folders of their own below it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use trainyard_core::{JobId, Lease, NodeId, Reference, Run};
use trainyard_journal::failpoint;
use uuid::Uuid;

use crate::OpenError;

/// A reference that is no path within the data folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reference} is not a path within the data folder")]
pub struct OutsideDataFolder {
    /// What it says.
    pub reference: Reference,
}

/// Why something cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotKept {
    #[error(transparent)]
    Outside(#[from] OutsideDataFolder),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The data folder of one node.
#[derive(Debug, Clone)]
pub(crate) struct DataFolder {
    root: PathBuf,
}

impl DataFolder {
    pub(crate) fn open(root: PathBuf) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Folder { verb: "make the data folder", path: root.clone(), source };
        fs::create_dir_all(root.join(WORK)).map_err(failed)?;
        let root = fs::canonicalize(&root).map_err(failed)?;
        Ok(Self { root })
    }

    /// The id that is kept in the folder, so that a node is the same after a restart; made if there is none yet.
    pub(crate) fn node_id(&self) -> Result<NodeId, OpenError> {
        let path = self.root.join("node");
        let failed = |verb, source| OpenError::Folder { verb, path: path.clone(), source };
        match fs::read_to_string(&path) {
            Ok(text) => {
                let id =
                    Uuid::parse_str(text.trim()).map_err(|_| OpenError::BadNodeId { path: path.clone() })?;
                Ok(NodeId::new(id))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let id = Uuid::new_v4();
                // Written beside and moved, so that a crash leaves no half of it.
                let draft = self.root.join("node.new");
                let mut file = File::create(&draft).map_err(|error| failed("write", error))?;
                writeln!(file, "{id}")
                    .and_then(|()| file.sync_all())
                    .map_err(|error| failed("write", error))?;
                failpoint!(NodeIdDrafted);
                fs::rename(&draft, &path)
                    .and_then(|()| sync_folder(&self.root))
                    .map_err(|error| failed("write", error))?;
                Ok(NodeId::new(id))
            }
            Err(error) => Err(failed("read", error)),
        }
    }

    /// The folder of one run, whether or not it is there.
    pub(crate) fn of_run(&self, run: Run) -> PathBuf {
        self.root.join(WORK).join(run.job.to_string()).join(run.lease.to_string())
    }

    /// Leaves the folders that are here alone from now on, whatever the journal says, and says how many they are.
    pub(crate) fn keep_all(&self) -> io::Result<usize> {
        let runs = self.runs()?;
        if !runs.is_empty() {
            let path = self.root.join(KEPT);
            let mut file = File::options().append(true).create(true).open(path)?;
            let lines: String = runs.iter().map(|run| format!("{}/{}\n", run.job, run.lease)).collect();
            file.write_all(lines.as_bytes())?;
            file.sync_all()?;
            sync_folder(&self.root)?;
        }
        Ok(runs.len())
    }

    /// What was left alone at an earlier opening.
    fn kept(&self) -> io::Result<BTreeSet<Run>> {
        let text = match fs::read_to_string(self.root.join(KEPT)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            text => text?,
        };
        Ok(text.lines().filter_map(|line| Self::run_of(&Reference::new(format!("{WORK}/{line}")))).collect())
    }

    /// The runs that have a folder, without those that are to be left alone.
    pub(crate) fn runs(&self) -> io::Result<Vec<Run>> {
        let kept = self.kept()?;
        let mut runs = Vec::new();
        for job in fs::read_dir(self.root.join(WORK))? {
            let job = job?;
            let Some(id) = job.file_name().to_str().and_then(|name| Uuid::parse_str(name).ok()) else {
                continue;
            };
            if !job.file_type()?.is_dir() {
                continue;
            }
            for lease in fs::read_dir(job.path())? {
                let name = lease?.file_name();
                let Some(lease) = name.to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                let run = Run { job: JobId::new(id), lease: Lease::new(lease) };
                if !kept.contains(&run) {
                    runs.push(run);
                }
            }
        }
        Ok(runs)
    }

    /// Makes the folder of a run, so that it survives a crash of the machine.
    pub(crate) fn make(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(path)?;
        self.sync_above(path)
    }

    /// The names of everything on the way from the data folder to a path.
    fn sync_above(&self, path: &Path) -> io::Result<()> {
        let above = path.ancestors().skip(1);
        above.take_while(|folder| folder.starts_with(&self.root)).try_for_each(sync_folder)
    }

    /// Makes what a reference leads to survive a crash of the machine, and gives the reference in the one spelling
    /// by which its folder is known.
    pub(crate) fn keep(&self, reference: &Reference) -> Result<Reference, NotKept> {
        let outside = || OutsideDataFolder { reference: reference.clone() };
        let path = self.resolve(reference)?;
        sync_all(&path)?;
        // The file system has the last word on links on the way, and on upper and lower case.
        let path = fs::canonicalize(&path)?;
        let kept = self.refer(&self.root, &path)?;
        let mut parts = kept.as_str().split('/');
        if parts.next() == Some(WORK) {
            let is_everything =
                parts.next().is_none_or(|job| Uuid::parse_str(job).is_ok() && parts.next().is_none());
            // Spelled otherwise than we do, it would be taken for the folder of a run, and is not.
            let is_strange = Self::run_of(&kept).is_some_and(|run| !path.starts_with(self.of_run(run)));
            if is_everything || is_strange {
                return Err(outside().into());
            }
        }
        self.sync_above(&path)?;
        Ok(kept)
    }

    /// Removes the folder of a run, and that of its job if it was the last in there.
    pub(crate) fn remove(&self, run: Run) -> io::Result<()> {
        let path = self.of_run(run);
        match fs::remove_dir_all(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        failpoint!(SweepHalfway);
        if let Some(job) = path.parent() {
            // Fails when something else is in there, as it should.
            let _ = fs::remove_dir(job);
        }
        Ok(())
    }

    /// Where a reference leads.
    pub(crate) fn resolve(&self, reference: &Reference) -> Result<PathBuf, OutsideDataFolder> {
        let path = Path::new(reference.as_str());
        let is_inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_inside || reference.as_str().is_empty() || is_url(reference) {
            return Err(OutsideDataFolder { reference: reference.clone() });
        }
        Ok(self.root.join(path))
    }

    /// The reference to a path; `base` is where relative ones begin.
    pub(crate) fn refer(&self, base: &Path, path: &Path) -> Result<Reference, OutsideDataFolder> {
        let full = base.join(path);
        let outside = || OutsideDataFolder { reference: Reference::new(full.to_string_lossy()) };
        let inside = full.strip_prefix(&self.root).map_err(|_| outside())?;
        let parts: Option<Vec<&str>> = inside
            .components()
            .map(|part| match part {
                Component::Normal(name) => name.to_str(),
                Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
            })
            .collect();
        let text = parts.ok_or_else(outside)?.join("/");
        if text.is_empty() || text.len() > Reference::BYTES_MAX {
            return Err(outside());
        }
        Ok(Reference::new(text))
    }

    /// The run in whose folder a reference leads, if it does.
    pub(crate) fn run_of(reference: &Reference) -> Option<Run> {
        let mut parts = reference.as_str().split('/');
        let (work, job, lease) = (parts.next()?, parts.next()?, parts.next()?);
        let job = Uuid::parse_str(job).ok()?;
        (work == WORK).then_some(Run { job: JobId::new(job), lease: Lease::new(lease.parse().ok()?) })
    }
}

/// Whether a reference leads to another place by name, such as `s3://bucket/key`.
pub(crate) fn is_url(reference: &Reference) -> bool {
    reference.as_str().contains("://")
}

/// Makes a file, or everything in a folder, survive a crash of the machine. A link does not: what it leads to may
/// change or go, so it is refused.
fn sync_all(path: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_file() {
        File::open(path)?.sync_all()?;
    } else if kind.is_dir() {
        for entry in fs::read_dir(path)? {
            sync_all(&entry?.path())?;
        }
        sync_folder(path)?;
    } else {
        let text = format!("{} is neither a file nor a folder", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(())
}

/// The names in a folder; some systems cannot do it, and do not need to.
fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(path)?.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        synced => synced,
    }
}

const WORK: &str = "work";

/// The file that says which folders are left alone.
const KEPT: &str = "kept";

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> DataFolder {
        DataFolder { root: PathBuf::from("/data") }
    }

    #[test]
    fn references_stay_inside() {
        let folder = folder();
        assert_eq!(folder.resolve(&Reference::new("work/a/b")).unwrap(), folder.root.join("work/a/b"));
        for bad in ["", "/etc/passwd", "../x", "work/../../x", "./x", "s3://bucket/key"] {
            assert!(folder.resolve(&Reference::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_become_references() {
        let folder = folder();
        let base = &folder.root.join("work/j/1");
        assert_eq!(folder.refer(base, Path::new("model.bin")).unwrap().as_str(), "work/j/1/model.bin");
        assert_eq!(folder.refer(base, &folder.root.join("shared/m")).unwrap().as_str(), "shared/m");
        assert_eq!(folder.refer(base, Path::new("")).unwrap().as_str(), "work/j/1");
        for bad in ["/etc/passwd", "../../../../x", "a/../b"] {
            assert!(folder.refer(base, Path::new(bad)).is_err(), "{bad}");
        }
        assert!(folder.refer(base, Path::new(&"x".repeat(2_000))).is_err(), "it would be cut");
    }

    #[test]
    fn a_reference_knows_its_run() {
        let run = Run { job: JobId::from_u128(7), lease: Lease::new(3) };
        let path = folder().of_run(run).join("model");
        let reference = folder().refer(Path::new("/"), &path).unwrap();
        assert_eq!(DataFolder::run_of(&reference), Some(run));
        assert_eq!(DataFolder::run_of(&Reference::new("shared/m/3")), None);
    }
}
