//! From CSV to table file and back into memory, against a reading by hand.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may fail")]

#[path = "data/tables.rs"]
mod tables;

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;
use sha2::{Digest, Sha256};
use tables::{Desk, PLAIN, all, csv, style, table};
use trainyard_tabular::{Dataset, Fields, Limits, Shares, TableError, made, prepare};

/// What a field is as a number, if it is one; the outer `None` is for texts.
fn by_hand(field: &str) -> Option<Option<f32>> {
    let field = field.trim_matches([' ', '\t', '\r', '\n']);
    if field.is_empty() {
        return Some(None);
    }
    let number: f64 = field.parse().ok().filter(|x: &f64| x.is_finite())?;
    Some(Some(number.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32))
}

/// What a training on any table takes, beside what its rows take.
const BASE_BYTES: u64 = 64 << 20;

proptest! {
    #[test]
    fn what_is_written_is_read_whatever_the_style(rows in table(), style in style(), seed: u64) {
        let desk = Desk::new(csv(&rows, style));
        let prepared = desk.prepare(&Limits::default()).unwrap();
        let data = desk.open(Shares::default(), seed);
        let (header, rows) = rows.split_first().unwrap();
        let last = header.len() - 1;

        prop_assert_eq!(prepared.rows, rows.len() as u64);
        prop_assert_eq!(data.schema(), &prepared.schema);
        prop_assert_eq!(data.schema().id(), &header[0]);
        prop_assert_eq!(data.schema().class(), &header[last]);
        let classes: BTreeSet<&String> = rows.iter().map(|row| &row[last]).collect();
        let classes: Vec<&String> = classes.into_iter().collect();
        prop_assert_eq!(data.schema().classes().iter().collect::<Vec<_>>(), classes.clone());

        let mut expected: Vec<(u16, Vec<Option<u32>>)> = rows
            .iter()
            .map(|row| (classes.iter().position(|class| **class == row[last]).unwrap() as u16, Vec::new()))
            .collect();
        for column in 1..last {
            let feature = &data.schema().features()[column - 1];
            prop_assert_eq!(feature.name(), &header[column]);
            let numbers: Option<Vec<Option<f32>>> = rows.iter().map(|row| by_hand(&row[column])).collect();
            let codes: Vec<Option<f32>> = if let Some(numbers) = numbers {
                prop_assert_eq!(feature.fields(), &Fields::Numbers);
                prop_assert_eq!(data.encoding().codes(column - 1), None);
                numbers
            } else {
                let texts: BTreeSet<&String> =
                    rows.iter().map(|row| &row[column]).filter(|field| by_hand(field) != Some(None)).collect();
                let texts: Vec<&String> = texts.into_iter().collect();
                prop_assert_eq!(feature.fields(), &Fields::Texts(texts.iter().map(|text| (*text).clone()).collect()));
                prop_assert_eq!(data.encoding().codes(column - 1), Some(texts.len() + 1));
                rows.iter().map(|row| texts.iter().position(|text| **text == row[column]).map(|at| at as f32)).collect()
            };
            for (row, code) in expected.iter_mut().zip(codes) {
                row.1.push(code.map(|x| (x + 0.0).to_bits()));
            }
        }
        expected.sort();
        prop_assert_eq!(all(&data), expected);
        for part in [data.train(), data.validation(), data.test()] {
            prop_assert_eq!(part.vectors().len(), part.len() * data.encoding().width());
            prop_assert!(part.vectors().iter().all(|x| x.is_finite()));
        }
        prop_assert!(data.bytes() <= prepared.training_bytes - BASE_BYTES);
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_read_and_never_more(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let desk = Desk::new(&bytes);
        if let Err(error) = desk.prepare(&Limits::default()) {
            prop_assert!(error.refusal().is_some(), "{error}");
            prop_assert_eq!(fs::read_dir(desk.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn bytes_that_look_like_a_csv_are_refused_or_read_and_never_more(
        text in "(id,a,b,c\n)?([0-9a\",\r\n\0é]|,x,|\n[0-9],){0,60}",
        limits in (3..6_usize, 1..20_u64, 8..60_usize, 1..20_usize),
    ) {
        let (columns, rows, record_bytes, cell_bytes) = limits;
        let limits = Limits { columns, rows, record_bytes, cell_bytes, ..Limits::default() };
        let desk = Desk::new(text);
        match desk.prepare(&limits) {
            Err(error) => prop_assert!(error.refusal().is_some(), "{error}"),
            Ok(prepared) => {
                prop_assert!(prepared.rows <= rows);
                prop_assert_eq!(all(&desk.open(Shares::default(), 1)).len() as u64, prepared.rows);
            }
        }
    }

    #[test]
    fn a_forged_table_is_refused_or_read_and_never_panics(
        changes in prop::collection::vec((0..4_000_usize, any::<u8>()), 1..4),
        cut in prop::option::of(0..2_000_usize),
    ) {
        let desk = mixed(30);
        let mut bytes = fs::read(desk.table()).unwrap();
        bytes.truncate(bytes.len() - 32);
        if let Some(cut) = cut {
            bytes.truncate(cut.min(bytes.len()));
        }
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.extend_from_slice(&Sha256::digest(&bytes));
        fs::write(desk.table(), bytes).unwrap();
        match Dataset::open(&desk.table(), &Shares::default(), 1, &|| false) {
            Ok(data) => prop_assert!(data.train().vectors().iter().all(|x| x.is_finite())),
            Err(TableError::Damaged { .. } | TableError::UnknownFormat { .. }) => {}
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}

fn mixed(rows: usize) -> Desk {
    let mut text = Vec::new();
    made::mixed(3, rows).write_csv(&mut text).unwrap();
    let desk = Desk::new(text);
    desk.prepare(&Limits::default()).unwrap();
    desk
}

#[test]
fn every_flipped_byte_and_every_cut_of_a_table_shows() {
    let desk = mixed(20);
    let bytes = fs::read(desk.table()).unwrap();
    let open = |bytes: &[u8]| {
        fs::write(desk.table(), bytes).unwrap();
        Dataset::open(&desk.table(), &Shares::default(), 1, &|| false)
    };
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let error = open(&flipped).unwrap_err();
        let is_expected = match at {
            8..12 => matches!(error, TableError::UnknownFormat { .. }),
            _ => matches!(error, TableError::Damaged { .. }),
        };
        assert!(is_expected, "byte {at}: {error}");
        assert!(matches!(open(&bytes[..at]), Err(TableError::Damaged { .. })), "cut at {at}");
    }
    assert!(matches!(open(&[&*bytes, b"x"].concat()), Err(TableError::Damaged { .. })));
    open(&bytes).unwrap();
}

#[test]
fn a_table_with_a_true_checksum_and_wrong_content_is_refused() {
    let desk = mixed(20);
    let whole = fs::read(desk.table()).unwrap();
    let body = &whole[..whole.len() - 32];
    // two classes are there; the last of the file are the columns `bark`, of texts, `leaves` and `constant`, of numbers, and the classes
    let classes = body.len() - 2 * 20;
    let (constant, bark) = (classes - 4 * 20, classes - 3 * 4 * 20);
    let refused = |at: usize, bytes: &[u8], what: &str| {
        let mut body = body.to_vec();
        body[at..][..bytes.len()].copy_from_slice(bytes);
        body.extend_from_slice(&Sha256::digest(&body));
        fs::write(desk.table(), body).unwrap();
        let error = Dataset::open(&desk.table(), &Shares::default(), 1, &|| false).unwrap_err();
        assert_eq!(error.to_string(), format!("it is no table file, or it is damaged: {what}"));
    };
    refused(constant, &f32::INFINITY.to_le_bytes(), "a field");
    for place in [99.0_f32, 0.5, -1.0, f32::INFINITY] {
        refused(bark, &place.to_le_bytes(), "a field");
    }
    refused(classes, &3_u16.to_le_bytes(), "a class");
    let class = u16::from_le_bytes([body[classes], body[classes + 1]]);
    refused(classes, &(1 - class).to_le_bytes(), "its classes");
    // classes stand in the order of their bytes
    let oak = body.windows(3).position(|bytes| bytes == b"oak").unwrap();
    refused(oak, b"!ak", "its header");
}

#[test]
fn the_same_csv_gives_the_same_table_and_a_new_one_takes_its_place() {
    let desk = mixed(50);
    let first = fs::read(desk.table()).unwrap();
    desk.prepare(&Limits::default()).unwrap();
    assert_eq!(fs::read(desk.table()).unwrap(), first);
    let names = fs::read_dir(desk.path()).unwrap();
    assert_eq!(names.count(), 2, "nothing is left lying about");
}

#[test]
fn a_table_of_another_format_is_told_apart() {
    let desk = mixed(20);
    let mut bytes = fs::read(desk.table()).unwrap();
    bytes[8] = 9;
    fs::write(desk.table(), bytes).unwrap();
    let error = Dataset::open(&desk.table(), &Shares::default(), 1, &|| false).unwrap_err();
    assert_eq!(error.to_string(), "the table file has format 9, which this version does not know");
}

#[test]
fn it_stops_when_told_wherever_it_is_and_leaves_nothing() {
    let mut text = Vec::new();
    made::mixed(1, 8_000).write_csv(&mut text).unwrap();
    let desk = Desk::new(text);
    for calls in 0..12 {
        let asked = std::cell::Cell::new(0);
        let over = || asked.replace(asked.get() + 1) >= calls;
        let stopped = prepare(&desk.csv(), &desk.table(), &Limits::default(), &over);
        assert!(matches!(stopped, Err(TableError::Stopped)), "after {calls} calls: {stopped:?}");
        assert_eq!(fs::read_dir(desk.path()).unwrap().count(), 1, "after {calls} calls");
    }
}

#[test]
fn reading_a_table_stops_when_told_wherever_it_is() {
    let desk = mixed(30);
    // a block, then five features counted, and five fitted
    for calls in 0..11 {
        let asked = std::cell::Cell::new(0);
        let over = || asked.replace(asked.get() + 1) >= calls;
        let stopped = Dataset::open(&desk.table(), &Shares::default(), 1, &over);
        assert!(matches!(stopped, Err(TableError::Stopped)), "after {calls} calls: {stopped:?}");
    }
}

#[test]
fn files_that_are_not_there_are_no_refusal() {
    let desk = Desk::new("");
    fs::remove_file(desk.csv()).unwrap();
    let error = desk.prepare(&Limits::default()).unwrap_err();
    assert!(error.refusal().is_none());
    assert_eq!(error.to_string(), "could not read the csv");
    let error = Dataset::open(&desk.table(), &Shares::default(), 1, &|| false).unwrap_err();
    assert_eq!(error.to_string(), "could not open the table file");
}

#[test]
fn rare_texts_share_a_place_beyond_the_dictionary() {
    // 1,500 different texts; those with a small number are there twice
    let mut rows = vec![["id", "word", "class"].map(str::to_owned).to_vec()];
    for nth in 0..2_500 {
        let word = if nth < 1_500 { nth } else { nth - 1_500 };
        rows.push(vec![format!("{nth}"), format!("w{word:04}"), ["n", "y"][nth % 2].to_owned()]);
    }
    let desk = Desk::new(csv(&rows, PLAIN));
    let prepared = desk.prepare(&Limits::default()).unwrap();
    let kept: Vec<String> = (0..1_000).map(|word| format!("w{word:04}")).collect();
    assert_eq!(prepared.schema.features()[0].fields(), &Fields::Texts(kept));
    let rare = all(&desk.open(Shares::default(), 1));
    assert_eq!(rare.iter().filter(|(_, row)| row[0] == Some(1_000_f32.to_bits())).count(), 500);
}

#[test]
fn made_sets_are_the_same_for_ever() {
    let digest = |made: made::Made| {
        let mut text = Vec::new();
        made.write_csv(&mut text).unwrap();
        let digest = Sha256::digest(&text);
        digest[..6].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(digest(made::mixed(7, 100)), "cd86f03f6f7c");
    assert_eq!(digest(made::crossing(7, 100)), "02f73d4bf902");
    assert_ne!(digest(made::crossing(8, 100)), digest(made::crossing(7, 100)));
}

#[test]
fn the_hard_set_has_about_as_many_positives_as_it_says() {
    let mut text = Vec::new();
    made::crossing(5, 5_000).write_csv(&mut text).unwrap();
    let desk = Desk::new(text);
    desk.prepare(&Limits::default()).unwrap();
    let data = desk.open(Shares::default(), 1);
    let ones = all(&data).iter().filter(|(class, _)| *class == 1).count();
    // 30 % of which 3 % are turned, and 3 % of the others: 31.2 %
    assert!((1_460..1_660).contains(&ones), "{ones}");
    assert_eq!(data.schema().features().len(), 40);
}
