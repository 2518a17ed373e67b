//! What is durable about a process.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trainyard_core::{JobId, Lease, Run};

use crate::formats::Format;
use crate::system::Identity;
use crate::{Exit, Launch};

/// What the next process of this service has to know to go on where this one was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) process: Identity,
    /// The attempt's folder.
    pub(crate) folder: PathBuf,
    pub(crate) working_dir: PathBuf,
    pub(crate) grace: Duration,
    pub(crate) log_bytes_max: u64,
    pub(crate) formats: Vec<Format>,
    pub(crate) result: Option<PathBuf>,
}

/// The folder of the records, `<job>.<lease>.json`, and of what the processes end with, `<job>.<lease>.exit`.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    folder: PathBuf,
}

impl Records {
    /// Opens it, or makes it.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let folder = fs::canonicalize(folder)?;
        sync(&folder)?;
        if let Some(above) = folder.parent() {
            sync(above)?;
        }
        Ok(Self { folder })
    }

    /// Makes a record durable, all of it or nothing.
    pub(crate) fn write(&self, run: Run, record: &Record) -> io::Result<()> {
        let draft = self.draft_path(run);
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(record)?)?;
        file.sync_all()?;
        fs::rename(&draft, self.path(run))?;
        sync(&self.folder)
    }

    /// Reads one; `None` when there is none.
    pub(crate) fn read(&self, run: Run) -> io::Result<Option<Record>> {
        match fs::read(self.path(run)) {
            Ok(bytes) => {
                let record: Record = serde_json::from_slice(&bytes)?;
                Ok(Some(Record { grace: record.grace.min(Launch::GRACE_MAX), ..record }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The runs of which there is a record, or what a start that was cut short has left.
    pub(crate) fn runs(&self) -> io::Result<BTreeSet<Run>> {
        let mut runs = BTreeSet::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            runs.extend(name.to_str().and_then(|name| run_of(name.rsplit_once('.')?.0)));
        }
        Ok(runs)
    }

    /// Removes one, with what the process has ended with.
    pub(crate) fn remove(&self, run: Run) -> io::Result<()> {
        for path in [self.path(run), self.exit_path(run), self.draft_path(run)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Makes the file into which the shell around the process writes what it has ended with. There is something in
    /// it from the start, so that a full disk cannot keep it from being written over.
    pub(crate) fn make_exit(&self, run: Run) -> io::Result<PathBuf> {
        let path = self.exit_path(run);
        fs::write(&path, "at work\n")?;
        Ok(path)
    }

    /// What a process that is gone has ended with.
    pub(crate) fn exit(&self, run: Run) -> Exit {
        let text = fs::read_to_string(self.exit_path(run)).unwrap_or_default();
        let code = text.split_once('\n').and_then(|(first, _)| first.parse().ok());
        code.map_or(Exit::Lost, Exit::Code)
    }

    fn path(&self, run: Run) -> PathBuf {
        self.folder.join(format!("{}.json", name(run)))
    }

    fn draft_path(&self, run: Run) -> PathBuf {
        self.folder.join(format!("{}.new", name(run)))
    }

    fn exit_path(&self, run: Run) -> PathBuf {
        self.folder.join(format!("{}.exit", name(run)))
    }
}

/// A run by one name.
pub(crate) fn name(run: Run) -> String {
    format!("{}.{}", run.job, run.lease)
}

fn run_of(name: &str) -> Option<Run> {
    let (job, lease) = name.split_once('.')?;
    Some(Run { job: JobId::new(job.parse().ok()?), lease: Lease::new(lease.parse().ok()?) })
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(lease: u64) -> Run {
        Run { job: JobId::from_u128(7), lease: Lease::new(lease) }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path().join("processes")).unwrap();
        let record = Record {
            process: Identity { pid: 7, start: 8, boot: "b".into() },
            folder: "/f".into(),
            working_dir: "/w".into(),
            grace: Duration::from_millis(1_500),
            log_bytes_max: 9,
            formats: vec![Format::Mlx, Format::Phases],
            result: None,
        };
        records.write(run(1), &record).unwrap();
        records.write(run(2), &record).unwrap();
        assert_eq!(records.read(run(1)).unwrap(), Some(record));
        records.make_exit(run(1)).unwrap();
        records.remove(run(1)).unwrap();
        records.remove(run(1)).unwrap();
        assert_eq!(records.read(run(1)).unwrap(), None);
        assert_eq!(records.runs().unwrap(), BTreeSet::from([run(2)]));
        assert_eq!(fs::read_dir(&records.folder).unwrap().count(), 1, "nothing is left of the other");
    }

    #[test]
    fn what_a_start_that_was_cut_short_has_left_is_found_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path().into()).unwrap();
        records.make_exit(run(1)).unwrap();
        fs::write(records.draft_path(run(2)), "{\"proc").unwrap();
        fs::write(records.path(run(3)), "{\"proc").unwrap();
        fs::write(records.folder.join("note.txt"), "of somebody else").unwrap();
        assert!(records.read(run(3)).is_err());
        assert_eq!(records.read(run(2)).unwrap(), None);
        let runs = records.runs().unwrap();
        assert_eq!(runs, BTreeSet::from([run(1), run(2), run(3)]));
        runs.into_iter().for_each(|run| records.remove(run).unwrap());
        assert_eq!(fs::read_dir(&records.folder).unwrap().count(), 1, "only the note is left");
    }

    #[test]
    fn only_a_whole_line_is_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path().into()).unwrap();
        assert_eq!(records.exit(run(1)), Exit::Lost);
        let path = records.make_exit(run(1)).unwrap();
        for (text, exit) in [
            ("at work\n", Exit::Lost),
            ("143\nrk\n", Exit::Code(143)),
            ("0\nwork\n", Exit::Code(0)),
            ("14", Exit::Lost),
            ("", Exit::Lost),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(records.exit(run(1)), exit, "{text:?}");
        }
    }
}
