//! Tables in memory: the candidates of a contest share one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use trainyard_mathfi::DatasetId;
use trainyard_tabular::{Dataset, Shares, TableError};

/// The tables that somebody works on. Read into memory one at a time, gone with the last one who does.
#[derive(Default)]
pub(crate) struct Tables(Mutex<BTreeMap<DatasetId, Weak<Dataset>>>);

impl Tables {
    /// The table of a dataset, split as it always is.
    pub(crate) fn get(&self, id: DatasetId, path: &Path) -> Result<Arc<Dataset>, TableError> {
        let mut tables = self.0.lock();
        if let Some(table) = tables.get(&id).and_then(Weak::upgrade) {
            return Ok(table);
        }
        tables.retain(|_, table| table.strong_count() > 0);
        let table = Arc::new(Dataset::open(path, &Shares::default(), seed(id))?);
        tables.insert(id, Arc::downgrade(&table));
        Ok(table)
    }
}

/// By which a dataset is split: the same for all its trainings, so that they are judged on the same rows.
fn seed(id: DatasetId) -> u64 {
    let (high, low) = id.as_uuid().as_u64_pair();
    high ^ low.rotate_left(32)
}
