//! Where the files of datasets and predictions lie.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use trainyard_mathfi::{DatasetId, PredictionId};

use crate::incoming::{self, Inbox, sync_folder_of};

/// Where everything lies.
///
/// | | |
/// |---|---|
/// | `incoming/` | what is on its way; cleared at every start |
/// | `datasets/<id>.csv` | the data of a dataset until it is ready |
/// | `datasets/<id>.table` | the same, ready |
/// | `predictions/<id>.csv` | rows to predict for, until that has ended |
/// | `predictions/<id>.result` | the rows with their predictions |
/// | `kept` | the names of files that were there before the catalogue was, and are left alone |
pub(crate) struct Files {
    root: PathBuf,
    pub(crate) inbox: Inbox,
}

impl Files {
    /// Makes the folders, and clears what was on its way.
    pub(crate) fn open(root: &Path, incoming_max: usize) -> io::Result<Self> {
        for folder in [DATASETS, PREDICTIONS] {
            fs::create_dir_all(root.join(folder))?;
        }
        Ok(Self { root: root.to_owned(), inbox: Inbox::open(root.join(INCOMING), incoming_max)? })
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

    /// How long the files of a dataset are, in bytes.
    pub(crate) fn dataset_bytes(&self, id: DatasetId) -> u64 {
        bytes(&self.data(id)).saturating_add(bytes(&self.table(id)))
    }

    /// How long the files of a prediction are, in bytes.
    pub(crate) fn prediction_bytes(&self, id: PredictionId) -> u64 {
        bytes(&self.rows(id)).saturating_add(bytes(&self.result(id)))
    }

    /// Clears away all files of ours that are none of these; says how many. What is not named as we name files stays,
    /// and so does what was [kept](Files::keep_all).
    pub(crate) fn clear_all_but(&self, known: &BTreeSet<PathBuf>) -> io::Result<usize> {
        let kept = self.kept()?;
        let mut cleared = 0;
        for folder in self.folders() {
            cleared += incoming::clear(&folder, |path, name| {
                is_ours(name) && !known.contains(path) && !kept.contains(path)
            })?;
        }
        Ok(cleared)
    }

    /// Leaves alone, from now on, whatever there is: another catalogue than the one that is about to be made may name
    /// it. Says how many files that are.
    pub(crate) fn keep_all(&self) -> io::Result<usize> {
        let mut names = Vec::new();
        for folder in self.folders() {
            names.extend(incoming::files(&folder)?.into_iter().filter(|(_, name)| is_ours(name)));
        }
        if !names.is_empty() {
            let path = self.root.join(KEPT);
            let mut file = File::options().append(true).create(true).open(&path)?;
            let lines: String = names.iter().map(|(_, name)| format!("{name}\n")).collect();
            file.write_all(lines.as_bytes())?;
            file.sync_all()?;
            sync_folder_of(&path)?;
        }
        Ok(names.len())
    }

    /// What was left alone at an earlier opening. A name is in one of the folders only.
    fn kept(&self) -> io::Result<BTreeSet<PathBuf>> {
        let text = match fs::read_to_string(self.root.join(KEPT)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            text => text?,
        };
        Ok(text.lines().flat_map(|name| self.folders().map(|folder| folder.join(name))).collect())
    }

    fn folders(&self) -> [PathBuf; 2] {
        [DATASETS, PREDICTIONS].map(|folder| self.root.join(folder))
    }
}

/// Whether a file of this name is one that was made here, whole or half.
fn is_ours(name: &str) -> bool {
    let made = [CSV, TABLE, RESULT];
    incoming::ending(name)
        .is_some_and(|ending| made.contains(&ending) || ending.strip_suffix(".new") == Some(TABLE))
}

/// How long a file is; one that is not there, or just went, is none.
fn bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

const INCOMING: &str = "incoming";
const DATASETS: &str = "datasets";
const PREDICTIONS: &str = "predictions";
const KEPT: &str = "kept";
const CSV: &str = "csv";
const TABLE: &str = "table";
const RESULT: &str = "result";
