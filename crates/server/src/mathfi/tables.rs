//! Tables in memory: the candidates of a contest share one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use trainyard_mathfi::DatasetId;
use trainyard_tabular::{Dataset, Shares, TableError};

/// The tables that somebody works on. Each is read into memory once, and is gone with the last one who works on it; who
/// waits for one holds up nobody who wants another.
#[derive(Default)]
pub(crate) struct Tables(Mutex<BTreeMap<DatasetId, Arc<Cell>>>);

/// One table, held by whoever reads it.
type Cell = Mutex<Weak<Dataset>>;

impl Tables {
    /// The table of a dataset, split as it always is. `over` is asked every few milliseconds whether to stop, also
    /// while another thread reads it.
    pub(crate) fn get(
        &self,
        id: DatasetId,
        path: &Path,
        over: &dyn Fn() -> bool,
    ) -> Result<Arc<Dataset>, TableError> {
        let cell = self.cell(id);
        let mut held = loop {
            if over() {
                return Err(TableError::Stopped);
            }
            if let Some(held) = cell.try_lock_for(LOOK_EVERY) {
                break held;
            }
        };
        if let Some(table) = held.upgrade() {
            return Ok(table);
        }
        let table = Arc::new(Dataset::open(path, &Shares::default(), seed(id), over)?);
        *held = Arc::downgrade(&table);
        Ok(table)
    }

    fn cell(&self, id: DatasetId) -> Arc<Cell> {
        let mut cells = self.0.lock();
        let is_held = |cell: &Cell| cell.try_lock().is_none_or(|table| table.strong_count() > 0);
        cells.retain(|_, cell| Arc::strong_count(cell) > 1 || is_held(cell));
        Arc::clone(cells.entry(id).or_default())
    }
}

/// By which a dataset is split: the same for all its trainings, so that they are judged on the same rows.
fn seed(id: DatasetId) -> u64 {
    let (high, low) = id.as_uuid().as_u64_pair();
    high ^ low.rotate_left(32)
}

/// How long one thread waits for another that reads the table before it looks whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::mpsc::channel;

    use trainyard_tabular::{Limits, made, prepare};
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> DatasetId {
        DatasetId::new(Uuid::from_u128(number))
    }

    #[test]
    fn a_table_that_is_read_holds_up_no_other_and_nobody_who_is_to_stop() {
        let folder = tempfile::tempdir().unwrap();
        let (csv, path) = (folder.path().join("rows.csv"), folder.path().join("table"));
        made::mixed(1, 60).write_csv(&mut std::fs::File::create(&csv).unwrap()).unwrap();
        prepare(&csv, &path, &Limits::default(), &|| false).unwrap();
        let tables = Tables::default();
        let ((reading, is_reading), (go_on, may_go_on)) = (channel(), channel::<()>());
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                // It is asked once before it holds the table, and then while it reads.
                let (asked, reading, may_go_on) = (Cell::new(0), reading, may_go_on);
                let over = || {
                    if asked.replace(asked.get() + 1) == 1 {
                        reading.send(()).unwrap();
                        may_go_on.recv().unwrap();
                    }
                    false
                };
                tables.get(id(1), &path, &over).unwrap()
            });
            is_reading.recv().unwrap();
            tables.get(id(2), &path, &|| false).unwrap();
            let asked = Cell::new(0);
            let stopped = tables.get(id(1), &path, &|| asked.replace(asked.get() + 1) == 3);
            assert!(matches!(stopped, Err(TableError::Stopped)), "it has waited, and was told");
            go_on.send(()).unwrap();
            let first = first.join().unwrap();
            let second = tables.get(id(1), &path, &|| false).unwrap();
            assert!(Arc::ptr_eq(&first, &second), "it is read once");
        });
        tables.get(id(3), &path, &|| false).unwrap();
        assert_eq!(tables.0.lock().len(), 1, "what nobody works on is gone");
    }
}
