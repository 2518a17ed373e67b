#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;
use trainyard_tabular::{Dataset, Limits, Prepared, Shares, TableError, prepare};

/// How a CSV is written; what is in it stays the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) mark: bool,
    pub(crate) crlf: bool,
    pub(crate) quote_all: bool,
    pub(crate) last_line_end: bool,
    pub(crate) empty_lines: bool,
}

pub(crate) const PLAIN: Style =
    Style { mark: false, crlf: false, quote_all: false, last_line_end: true, empty_lines: false };

pub(crate) fn style() -> impl Strategy<Value = Style> {
    any::<[bool; 5]>().prop_map(|[mark, crlf, quote_all, last_line_end, empty_lines]| Style {
        mark,
        crlf,
        quote_all,
        last_line_end,
        empty_lines,
    })
}

/// Any field: numbers in many spellings, texts with all that needs quotes, and nothing.
pub(crate) fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "-?[0-9]{1,3}(\\.[0-9]{1,3})?",
        1 => prop::sample::select(&["1e300", "-1e39", " 7 ", "+.5", "1e-9", "0", "-0"][..]).prop_map(str::to_owned),
        1 => prop::sample::select(&["nan", "inf", "1e999", "NULL", "?", "1,5", "0x10"][..]).prop_map(str::to_owned),
        2 => "[a-c\",\r\n é]{0,4}",
        2 => Just(String::new()),
    ]
}

/// Rows with an id, features, and a class, the header first. Two classes have three rows or more.
pub(crate) fn table() -> impl Strategy<Value = Vec<Vec<String>>> {
    let sizes = (1..4_usize, 6..30_usize);
    sizes.prop_flat_map(|(features, rows)| {
        // a column is of numbers often, and of anything else as often
        let cells = move |kind: bool| {
            let any = prop::collection::vec(field(), rows);
            let numbers =
                prop::collection::vec(prop_oneof![4 => "[0-9]{1,4}", 1 => Just(String::new())], rows);
            if kind { any.boxed() } else { numbers.boxed() }
        };
        let columns = prop::collection::vec(any::<bool>().prop_flat_map(cells), features);
        let classes = prop::collection::vec(prop::sample::select(&["a", "\"b\", c", "é\n", "1"][..]), rows);
        (columns, classes, "[a-z\",\n ]{0,3}").prop_map(|(columns, mut classes, prefix)| {
            for row in 0..6 {
                classes[row] = ["a", "1"][row % 2];
            }
            let names = (0..columns.len()).map(|nth| format!("{prefix}{nth}"));
            let mut rows: Vec<Vec<String>> = vec![
                std::iter::once("id".to_owned()).chain(names).chain(["the, class".to_owned()]).collect(),
            ];
            for (row, class) in classes.iter().enumerate() {
                let fields = columns.iter().map(|column| column[row].clone());
                let id = format!("{prefix}#{row}");
                rows.push(std::iter::once(id).chain(fields).chain([(*class).to_owned()]).collect());
            }
            // a feature that is not the same everywhere
            rows[1][1] = "1".to_owned();
            rows[2][1] = "2".to_owned();
            rows
        })
    })
}

pub(crate) fn csv(rows: &[Vec<String>], style: Style) -> Vec<u8> {
    let end = if style.crlf { "\r\n" } else { "\n" };
    let mut text = String::new();
    if style.mark {
        text.push('\u{feff}');
    }
    for (nth, row) in rows.iter().enumerate() {
        let fields = row.iter().map(|field| {
            if style.quote_all || field.contains([',', '"', '\r', '\n']) {
                format!("\"{}\"", field.replace('"', "\"\""))
            } else {
                field.clone()
            }
        });
        text.push_str(&fields.collect::<Vec<_>>().join(","));
        if style.empty_lines && nth % 3 == 0 {
            text.push_str(end);
        }
        if nth + 1 < rows.len() || style.last_line_end {
            text.push_str(end);
        }
    }
    text.into_bytes()
}

/// A folder with a CSV, and room for its table.
pub(crate) struct Desk {
    folder: TempDir,
}

impl Desk {
    pub(crate) fn new(csv: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rows.csv"), csv).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn csv(&self) -> PathBuf {
        self.path().join("rows.csv")
    }

    pub(crate) fn table(&self) -> PathBuf {
        self.path().join("table")
    }

    pub(crate) fn prepare(&self, limits: &Limits) -> Result<Prepared, TableError> {
        prepare(&self.csv(), &self.table(), limits, &|| false)
    }

    pub(crate) fn open(&self, shares: Shares, seed: u64) -> Dataset {
        Dataset::open(&self.table(), &shares, seed, &|| false).unwrap()
    }
}

/// The rows of a part: class and fields, missing ones as `None`.
pub(crate) fn labelled(rows: &trainyard_tabular::Rows, classes: &[u16]) -> Vec<(u16, Vec<Option<u32>>)> {
    assert_eq!(rows.len(), classes.len());
    let field = |x: f32| if x.is_nan() { None } else { Some((x + 0.0).to_bits()) };
    let row = |nth: usize| rows.columns().iter().map(|column| field(column[nth])).collect();
    classes.iter().enumerate().map(|(nth, &class)| (class, row(nth))).collect()
}

/// All rows of a dataset, in order of their content.
pub(crate) fn all(data: &Dataset) -> Vec<(u16, Vec<Option<u32>>)> {
    let mut all = labelled(data.train(), data.train_classes());
    all.extend(labelled(data.validation(), data.validation_classes()));
    all.extend(labelled(data.test(), data.test_classes()));
    all.sort();
    all
}
