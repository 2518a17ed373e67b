//! The folder that everything on disk is in: attempts write in folders of their own below it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use trainyard_core::{JobId, Lease, NodeId, Reference, Run};
use uuid::Uuid;

use crate::OpenError;

/// A reference that is no path within the data folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reference} is not a path within the data folder")]
pub struct OutsideDataFolder {
    /// What it says.
    pub reference: Reference,
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
                fs::rename(&draft, &path).map_err(|error| failed("write", error))?;
                sync_folder(&self.root);
                Ok(NodeId::new(id))
            }
            Err(error) => Err(failed("read", error)),
        }
    }

    /// The folder of one run, whether or not it is there.
    pub(crate) fn of_run(&self, run: Run) -> PathBuf {
        self.root.join(WORK).join(run.job.to_string()).join(run.lease.to_string())
    }

    /// The runs that have a folder.
    pub(crate) fn runs(&self) -> io::Result<Vec<Run>> {
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
                runs.push(Run { job: JobId::new(id), lease: Lease::new(lease) });
            }
        }
        Ok(runs)
    }

    /// Removes the folder of a run, and that of its job if it was the last in there.
    pub(crate) fn remove(&self, run: Run) -> io::Result<()> {
        let path = self.of_run(run);
        match fs::remove_dir_all(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
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

/// Makes a file, or everything in a folder, survive a crash of the machine.
pub(crate) fn sync_all(path: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_file() {
        File::open(path)?.sync_all()?;
    } else if kind.is_dir() {
        for entry in fs::read_dir(path)? {
            sync_all(&entry?.path())?;
        }
        sync_folder(path);
    }
    Ok(())
}

/// The names in a folder; some systems cannot do it, and do not need to.
pub(crate) fn sync_folder(path: &Path) {
    let _ = File::open(path).and_then(|folder| folder.sync_all());
}

const WORK: &str = "work";

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> DataFolder {
        DataFolder { root: PathBuf::from("/data") }
    }

    #[test]
    fn references_stay_inside() {
        let folder = folder();
        assert_eq!(folder.resolve(&Reference::new("work/a/b")).unwrap(), Path::new("/data/work/a/b"));
        for bad in ["", "/etc/passwd", "../x", "work/../../x", "./x", "s3://bucket/key"] {
            assert!(folder.resolve(&Reference::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_become_references() {
        let folder = folder();
        let base = Path::new("/data/work/j/1");
        assert_eq!(folder.refer(base, Path::new("model.bin")).unwrap().as_str(), "work/j/1/model.bin");
        assert_eq!(folder.refer(base, Path::new("/data/shared/m")).unwrap().as_str(), "shared/m");
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
