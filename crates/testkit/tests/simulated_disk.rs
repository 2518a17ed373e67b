//! The simulated disk does what every journal must, and fails as it is told to.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use trainyard_journal::{Journal, Position};
use trainyard_testkit::journal_conformance::{self as conformance, Holders, Log, numbered};
use trainyard_testkit::simulator::{Disk, Fate};

struct Simulated(Disk);

impl Log for Simulated {
    const HOLDERS: Holders = Holders::Many;

    fn fresh() -> Self {
        Self(Disk::new())
    }

    fn open(&mut self) -> Box<dyn Journal> {
        Box::new(self.0.open().unwrap())
    }
}

#[test]
fn the_journal_on_a_simulated_disk_conforms() {
    conformance::check::<Simulated>();
}

fn written(records: u64) -> Disk {
    let disk = Disk::new();
    let mut journal = disk.open().unwrap();
    for n in 1..=records {
        conformance::commit(&mut journal, numbered(n).at, &[numbered(n)]).unwrap();
    }
    disk
}

#[test]
fn a_commit_whose_end_is_unknown_is_found_by_its_writer() {
    for (fate, effect) in [(Fate::FailsBefore, false), (Fate::FailsAfter, true), (Fate::Conflicts, false)] {
        let disk = written(1);
        let mut journal = disk.open().unwrap();
        conformance::read_all(journal.read(Position::START).unwrap()).unwrap();
        disk.plan(1, fate);
        let (head, writer) = (journal.head(), journal.writer());
        conformance::commit(&mut journal, numbered(2).at, &[numbered(2)]).unwrap_err();
        assert!(journal.begin().err().unwrap().is_stopped());
        let mut journal = disk.open().unwrap();
        let after = conformance::read_all(journal.read(head).unwrap()).unwrap().records;
        assert_eq!(after.first().is_some_and(|record| record.writer == writer), effect, "{fate:?}");
        assert_eq!(after.len(), usize::from(fate != Fate::FailsBefore), "somebody else wrote, or it did");
    }
}

#[test]
fn a_locked_journal_is_so_once() {
    let disk = written(1);
    let mut journal = disk.open().unwrap();
    disk.lock_once();
    assert!(journal.begin().err().unwrap().is_locked());
    assert!(journal.begin().is_ok());
}

proptest! {
    #[test]
    fn any_flipped_bit_is_refused(records in 1_u64..6, bit: u64) {
        let damaged = written(records).flipped(bit).unwrap();
        prop_assert!(damaged.open().unwrap_err().is_corrupt());
    }
}
