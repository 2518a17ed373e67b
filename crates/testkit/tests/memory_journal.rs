//! The journal in memory, and the one that fails, do what every journal must.

use trainyard_journal::{Journal, MemoryJournal, Position};
use trainyard_testkit::failing_journal::{FailingJournal, Faults, When};
use trainyard_testkit::journal_conformance::{self as conformance, Holders, Log, numbered};

struct InMemory(MemoryJournal);

impl Log for InMemory {
    const HOLDERS: Holders = Holders::Many;

    fn fresh() -> Self {
        Self(MemoryJournal::new())
    }

    fn open(&mut self) -> Box<dyn Journal> {
        Box::new(self.0.holder())
    }
}

#[test]
fn the_journal_in_memory_conforms() {
    conformance::check::<InMemory>();
}

struct Sound(MemoryJournal);

impl Log for Sound {
    const HOLDERS: Holders = Holders::Many;

    fn fresh() -> Self {
        Self(MemoryJournal::new())
    }

    fn open(&mut self) -> Box<dyn Journal> {
        Box::new(FailingJournal::new(self.0.holder()).0)
    }
}

#[test]
fn a_failing_journal_without_faults_conforms() {
    conformance::check::<Sound>();
}

#[test]
fn a_commit_whose_end_is_unknown_is_found_by_its_writer() {
    for (when, effect) in [(When::BeforeEffect, false), (When::AfterEffect, true)] {
        let log = MemoryJournal::new();
        let faults = Faults::new();
        let mut journal = FailingJournal::with_faults(log.holder(), faults.clone());
        conformance::commit(&mut journal, numbered(1).at, &[numbered(1)]).unwrap();
        faults.fail_next_commit(when);
        let (head, writer) = (journal.head(), journal.writer());
        conformance::commit(&mut journal, numbered(2).at, &[numbered(2)]).unwrap_err();
        assert!(journal.begin().err().unwrap().is_stopped());
        assert!(journal.read(Position::START).unwrap_err().is_stopped());

        let mut journal = FailingJournal::with_faults(log.holder(), faults.clone());
        let after = conformance::read_all(journal.read(head).unwrap()).unwrap().records;
        assert_eq!(after.first().is_some_and(|record| record.writer == writer), effect);
        conformance::commit(&mut journal, numbered(3).at, &[numbered(3)]).unwrap();
        assert_eq!(faults.commits(), 3);
    }
}

#[test]
fn a_turn_that_fails_to_begin_changes_nothing() {
    let (mut journal, faults) = FailingJournal::new(MemoryJournal::new());
    faults.fail_begin(1);
    assert!(journal.begin().is_err());
    conformance::commit(&mut journal, numbered(1).at, &[numbered(1)]).unwrap();
    assert_eq!((faults.begins(), faults.commits()), (2, 1));
}
