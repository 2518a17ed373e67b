//! What cannot be learned from, and what is said about it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "data/tables.rs"]
mod tables;

use std::fs;

use tables::Desk;
use trainyard_tabular::{Limits, Refusal};

/// Is refused with this message, and leaves nothing behind.
fn refused(csv: impl AsRef<[u8]>, limits: &Limits, message: &str) {
    let desk = Desk::new(csv);
    let error = desk.prepare(limits).unwrap_err();
    assert_eq!(error.to_string(), message);
    assert!(error.refusal().is_some());
    assert_eq!(fs::read_dir(desk.path()).unwrap().count(), 1);
}

fn usual(csv: impl AsRef<[u8]>, message: &str) {
    refused(csv, &Limits::default(), message);
}

/// Ten rows with two classes; what is wrong comes after them.
fn with(lines: &str) -> String {
    let mut text = "id,age,town,class\n".to_owned();
    for row in 0..10 {
        text.push_str(&format!("{row},{row}.5,t{},{}\n", row % 3, row % 2));
    }
    text + lines
}

#[test]
fn ten_rows_are_fine() {
    let desk = Desk::new(with(""));
    assert_eq!(desk.prepare(&Limits::default()).unwrap().rows, 10);
}

#[test]
fn files_without_rows() {
    usual("", "the file is empty");
    usual("\n\r\n\n", "the file is empty");
    usual("\u{feff}", "the file is empty");
    usual("id,a,class", "the file has a header, but no rows");
    usual("id,a,class\n\n\n", "the file has a header, but no rows");
}

#[test]
fn headers() {
    usual("id\n1\n", "the header has 1 columns, and needs an id, one feature or more, and a class");
    usual("id,class\n1,a\n", "the header has 2 columns, and needs an id, one feature or more, and a class");
    usual("id,a,b,a\n1,2,3,4\n", "columns 2 and 4 are both called \"a\"");
    usual("id,,\n1,2,3\n", "columns 2 and 3 are both called \"\"");
    let limits = Limits { columns: 3, ..Limits::default() };
    refused(with(""), &limits, "the header has 4 columns, and may have 3");
}

#[test]
fn ragged_rows() {
    usual(with("10,1,t\n"), "row 12 has 3 fields, and the header has 4");
    usual(with("10,1,t,0,0\n"), "row 12 has 5 fields, and the header has 4");
    usual(with("   \n"), "row 12 has 1 fields, and the header has 4");
    usual(with("10,\"1,t,0\n11,2,t,0\n"), "row 12 has 2 fields, and the header has 4");
}

#[test]
fn other_files() {
    let zip = "the file is a zip archive or a spreadsheet, and not a csv in utf-8";
    usual(b"PK\x03\x04\x14\x00", zip);
    usual(b"\x1f\x8b\x08\x00", "the file is compressed by gzip, and not a csv in utf-8");
    usual(b"\xff\xfei\x00d\x00", "the file is in utf-16, and not a csv in utf-8");
    usual([with("").as_bytes(), b"10,1,\xff,0\n"].concat(), "row 12, column 3 (\"town\") is not utf-8");
    usual(b"id,a,cl\xc3\n1,2,3\n", "row 1, column 3 is not utf-8");
    usual(with("10,1,\0,0\n"), "row 12, column 3 (\"town\") has a zero byte in it");
    usual("id,\0,class\n", "row 1, column 2 has a zero byte in it");
}

#[test]
fn ids_and_classes() {
    usual(with("3,1,t,0\n"), "row 12, column 1 (\"id\"), the id, is that of an earlier row");
    usual(with(" ,1,t,0\n"), "row 12, column 1 (\"id\"), the id, is empty");
    usual(with("10,1,t,\n"), "row 12, column 4 (\"class\"), the class, is empty");
    usual("id,a,class\n1,1,x\n2,2,x\n3,3,x\n", "all rows are of one class, \"x\"");
    let two = "at least two classes need 3 rows or more";
    usual("id,a,class\n1,1,x\n2,2,x\n3,3,x\n4,4,y\n5,5,y\n6,5,z\n7,5,z\n", two);
    let limits = Limits { classes: 2, ..Limits::default() };
    let third = "row 12, column 4 (\"class\") is one more class than the 2 there may be";
    refused(with("10,1,t,2\n"), &limits, third);
    let many: String = (0..257).map(|row| format!("{row},1,t,c{row}\n")).collect();
    let limits = Limits { classes: 1_000, ..Limits::default() };
    let message = "row 258, column 4 (\"class\") is one more class than the 256 there may be";
    refused("id,age,town,class\n".to_owned() + &many, &limits, message);
}

#[test]
fn features_that_say_nothing() {
    let message = "every feature is the same in all rows, or empty";
    let rows = |a: &str, b: &str| -> String {
        let rows = (0..8).map(|row| format!("{row},{a},{b},{}\n", row % 2));
        "id,a,b,class\n".to_owned() + &rows.collect::<String>()
    };
    usual(rows("", ""), message);
    usual(rows("5", "x"), message);
    usual(rows("", "x"), message);
    usual(rows(" ", "") + "8,,  ,1\n", message);
    let desk = Desk::new(rows("", "x") + "8,,,1\n");
    desk.prepare(&Limits::default()).expect("that something is missing may say something");
}

#[test]
fn bounds() {
    let limits = Limits { rows: 9, ..Limits::default() };
    refused(with(""), &limits, "there are more than 9 rows");
    let limits = Limits { cells: 19, ..Limits::default() };
    refused(with(""), &limits, "the rows have more than 19 fields to learn from, 2 each");
    let limits = Limits { cell_bytes: 5, ..Limits::default() };
    let long = "row 12, column 3 (\"town\") takes 6 bytes, and may take 5";
    refused(with("10,1,\"é,éé\",0\n").replace(",éé", "éé"), &limits, long);
    let limits = Limits { record_bytes: 19, ..Limits::default() };
    refused(with("10,1,\"0123456789\",0\n"), &limits, "row 12 takes more than 19 bytes");
    refused(with("10,1,\"01234567\",0\n9,9"), &limits, "row 13 has 2 fields, and the header has 4");
    let exactly = Limits { rows: 10, cells: 20, columns: 4, classes: 2, ..Limits::default() };
    assert_eq!(Desk::new(with("")).prepare(&exactly).unwrap().rows, 10);
}

#[test]
fn long_names_are_cut_short_in_messages() {
    let name = "é".repeat(500);
    let desk = Desk::new(format!("id,{name},{name}\n1,2,3\n"));
    let error = desk.prepare(&Limits::default()).unwrap_err();
    let Some(Refusal::SameName { name, .. }) = error.refusal() else { panic!("{error}") };
    assert_eq!(*name, format!("{}…", "é".repeat(40)));
}
