//! Records of former releases are read for ever.
//!
//! The fixtures are written anew with `TRAINYARD_RENEW_FIXTURES=1`. They only grow: when what was in an old one is
//! not the beginning of the new one, an old letter has changed its meaning, and the renewal is refused.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use trainyard_journal::{codec, render};
use trainyard_testkit::arbitrary::{EVENTS, event_number, one_of_each};

#[test]
fn version_1_decodes_to_what_it_was() {
    let expected = one_of_each();
    let path = fixture("v1.bin");
    if let Ok(bytes) = fs::read(&path) {
        let facts = codec::decode(&bytes).unwrap();
        assert!(expected.starts_with(&facts), "an old letter has changed its meaning");
    }
    if renew() {
        fs::write(&path, codec::encode(&expected).unwrap()).unwrap();
    }
    assert_eq!(
        codec::decode(&fs::read(&path).unwrap()).unwrap(),
        expected,
        "a new letter needs the fixture renewed"
    );
}

#[test]
fn every_event_is_in_the_fixture() {
    let there: BTreeSet<usize> = one_of_each().iter().map(|fact| event_number(&fact.event)).collect();
    assert!(there.into_iter().eq(0..EVENTS));
}

#[test]
fn facts_are_shown_as_they_were() {
    let lines = one_of_each().iter().fold(String::new(), |mut lines, fact| {
        writeln!(lines, "{}", render::to_json(fact)).unwrap();
        lines
    });
    let path = fixture("v1.jsonl");
    if renew() {
        fs::write(&path, &lines).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), lines);
}

fn renew() -> bool {
    env::var_os("TRAINYARD_RENEW_FIXTURES").is_some_and(|value| value == "1")
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}
