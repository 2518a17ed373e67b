//! Tables: any bytes as a CSV, learned from when they are one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_fuzz::{file, folder, within};
use trainyard_tabular::{Dataset, Limits, Shares, prepare};

const LIMITS: Limits =
    Limits { columns: 50, rows: 1_000, cells: 10_000, record_bytes: 4_096, cell_bytes: 512, classes: 8 };

fuzz_target!(|bytes: &[u8]| {
    let (csv, table) = (file("csv", bytes), folder().join("table"));
    within(32 << 20, || {
        let Ok(prepared) = prepare(&csv, &table, &LIMITS, &|| false) else { return };
        assert!(prepared.rows <= LIMITS.rows && (2..=8).contains(&prepared.schema.classes().len()));
        assert!(prepared.schema.features().len() + 2 <= LIMITS.columns);
        let data = Dataset::open(&table, &Shares::default(), 7, &|| false).expect("it was just written");
        assert_eq!(data.schema(), &prepared.schema);
        let parts = [data.train(), data.validation(), data.test()];
        assert_eq!(parts.iter().map(|rows| rows.len() as u64).sum::<u64>(), prepared.rows);
        for rows in parts {
            assert!(rows.vectors().iter().all(|number| number.is_finite()));
        }
    });
});
