//! Where the files of datasets and predictions lie.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use trainyard_mathfi::{DatasetId, PredictionId};

use crate::incoming::{self, Inbox};

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

    /// Clears away all files that are none of these; says how many.
    pub(crate) fn clear_all_but(&self, known: &BTreeSet<PathBuf>) -> io::Result<usize> {
        let folders = [DATASETS, PREDICTIONS].map(|folder| self.root.join(folder));
        folders.iter().map(|folder| incoming::clear_all_but(folder, known)).sum()
    }
}

const INCOMING: &str = "incoming";
const DATASETS: &str = "datasets";
const PREDICTIONS: &str = "predictions";
const CSV: &str = "csv";
const TABLE: &str = "table";
const RESULT: &str = "result";
