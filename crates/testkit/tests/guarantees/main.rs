//! Every guarantee names tests, and the tests are there.
//!
//! The list is in `list.rs` and `faults.rs`: a new promise is a row there. `docs/SAFETY.md` is made from it, with
//! `TRAINYARD_RENEW_FIXTURES=1 cargo test -p trainyard-testkit --test guarantees`.

mod check;
mod doctored;
mod faults;
mod list;
mod packages;
mod page;
mod row;
mod script;
mod source;

use std::path::{Path, PathBuf};
use std::{env, fs};

use check::Checker;
use list::rows;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("it is in `crates/`").to_owned()
}

#[test]
fn every_guarantee_names_tests_that_are_there_and_run() {
    let complaints = Checker::of(&repository()).unwrap().complaints(&rows());
    assert!(complaints.is_empty(), "the list of guarantees is wrong:\n{}", complaints.join("\n"));
}

#[test]
fn the_page_says_what_the_list_says() {
    let path = repository().join("docs/SAFETY.md");
    let page = fs::read_to_string(&path).unwrap();
    let expected = page::renewed(&page, &rows(), &Checker::of(&repository()).unwrap()).unwrap();
    if env::var_os("TRAINYARD_RENEW_FIXTURES").is_some_and(|value| value == "1") {
        fs::write(&path, expected).unwrap();
        return;
    }
    assert!(
        page == expected,
        "docs/SAFETY.md is not that of the list; renew it with TRAINYARD_RENEW_FIXTURES=1"
    );
}
