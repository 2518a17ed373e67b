//! Properties that need one holder only.

use trainyard_core::{Event, Fact, JobId, Parameters};
use trainyard_journal::{Position, Record, Snapshot};

use crate::arbitrary::one_of_each;

use super::{Log, Read, at, commit, commit_numbered, compact, everything, news, numbered, read_from};

/// Nothing was ever written, so there is nothing to read.
///
/// # Panics
/// When it does not hold.
pub fn a_fresh_log_is_empty(log: &mut impl Log) {
    let mut journal = log.open();
    assert_eq!(journal.head(), Position::START);
    assert_eq!(everything(&mut *journal), Read { snapshot: None, records: Vec::new() });
    assert_eq!(news(&mut *journal), Read { snapshot: None, records: Vec::new() });
}

/// Records are numbered from 1 in the order of their commits, and come back as they were written.
///
/// # Panics
/// When it does not hold.
pub fn a_commit_is_read_back(log: &mut impl Log) {
    let mut journal = log.open();
    for n in 1..=3 {
        let position =
            commit(&mut *journal, at(n), &[numbered(n), numbered(n + 100)]).expect("the commit works");
        assert_eq!(position, Position::new(n));
        assert_eq!(journal.head(), position);
    }
    let writer = journal.writer();
    let expected = (1..=3).map(|n| Record {
        position: Position::new(n),
        writer,
        at: at(n),
        facts: vec![numbered(n), numbered(n + 100)],
    });
    assert_eq!(everything(&mut *journal), Read { snapshot: None, records: expected.collect() });
}

/// A turn makes one record, of all that it appends, at the time of the last append.
///
/// # Panics
/// When it does not hold.
pub fn appends_of_one_turn_are_one_record(log: &mut impl Log) {
    let mut journal = log.open();
    let mut turn = journal.begin().expect("a turn");
    turn.append(at(1), &[numbered(1)]).expect("an append");
    turn.append(at(2), &[numbered(2), numbered(3)]).expect("an append");
    assert_eq!(turn.commit().expect("the commit works"), Position::new(1));
    let read = everything(&mut *journal);
    assert_eq!(read.records.len(), 1);
    assert_eq!(read.records[0].facts, [numbered(1), numbered(2), numbered(3)]);
    assert_eq!(read.records[0].at, at(2));
}

/// A commit of nothing writes no record.
///
/// # Panics
/// When it does not hold.
pub fn turns_without_facts_write_nothing(log: &mut impl Log) {
    let mut journal = log.open();
    assert_eq!(journal.begin().expect("a turn").commit().expect("the commit works"), Position::START);
    let mut turn = journal.begin().expect("a turn");
    turn.append(at(1), &[]).expect("an append");
    assert_eq!(turn.commit().expect("the commit works"), Position::START);
    commit_numbered(&mut *journal, 1);
    assert_eq!(journal.begin().expect("a turn").commit().expect("the commit works"), Position::new(1));
    assert_eq!(everything(&mut *journal).records.len(), 1);
}

/// What was not committed was never there.
///
/// # Panics
/// When it does not hold.
pub fn a_dropped_turn_changes_nothing(log: &mut impl Log) {
    let mut journal = log.open();
    commit_numbered(&mut *journal, 1);
    let before = everything(&mut *journal);
    let mut turn = journal.begin().expect("a turn");
    turn.append(at(2), &[numbered(2)]).expect("an append");
    drop(turn);
    assert_eq!(journal.head(), Position::new(1));
    assert_eq!(everything(&mut *journal), before);
    assert_eq!(commit_numbered(&mut *journal, 3), Position::new(2), "and its number is not spent");
}

/// Reading may begin after any record.
///
/// # Panics
/// When it does not hold.
pub fn reading_from_anywhere(log: &mut impl Log) {
    let mut journal = log.open();
    for n in 1..=5 {
        commit_numbered(&mut *journal, n);
    }
    for from in 0..=5 {
        let positions =
            read_from(&mut *journal, Position::new(from)).records.into_iter().map(|record| record.position);
        assert!(positions.eq((from + 1..=5).map(Position::new)), "after {from}");
    }
}

/// A place that the log has not reached is a mistake, not an empty answer.
///
/// # Panics
/// When it does not hold.
pub fn reading_beyond_the_end_is_refused(log: &mut impl Log) {
    let mut journal = log.open();
    commit_numbered(&mut *journal, 1);
    assert!(journal.read(Position::new(2)).is_err());
}

/// News is what was not handed out yet; nothing is handed out twice, and a holder's own records are none.
///
/// # Panics
/// When it does not hold.
pub fn news_is_handed_once(log: &mut impl Log) {
    let mut journal = log.open();
    commit_numbered(&mut *journal, 1);
    assert!(news(&mut *journal).records.is_empty(), "its own");
    drop(journal);
    let mut journal = log.open();
    assert_eq!(news(&mut *journal).records.len(), 1, "of its former self");
    assert!(news(&mut *journal).records.is_empty(), "once");
    drop(journal);
    let mut journal = log.open();
    assert_eq!(everything(&mut *journal).records.len(), 1);
    assert!(news(&mut *journal).records.is_empty(), "read already");
}

/// Who has not been handed everything decides on an old state, and may not write.
///
/// # Panics
/// When it does not hold.
pub fn unseen_records_keep_a_turn_from_writing(log: &mut impl Log) {
    let mut journal = log.open();
    commit_numbered(&mut *journal, 1);
    commit_numbered(&mut *journal, 2);
    drop(journal);

    let mut journal = log.open();
    let mut turn = journal.begin().expect("a turn");
    assert!(turn.append(at(3), &[numbered(3)]).expect_err("two are unseen").is_behind());
    assert!(turn.compact(&[numbered(3)]).expect_err("two are unseen").is_behind());
    let first = turn.news().expect("news").records.next();
    assert!(first.is_some_and(|record| record.is_ok()));
    assert!(turn.append(at(3), &[numbered(3)]).expect_err("one is unseen").is_behind());
    assert_eq!(turn.news().expect("news").records.count(), 1, "it goes on where it was");
    turn.append(at(3), &[numbered(3)]).expect("nothing is unseen");
    assert_eq!(turn.commit().expect("the commit works"), Position::new(3));
}

/// Closing and opening loses nothing, and the new holder is another writer.
///
/// # Panics
/// When it does not hold.
pub fn what_was_committed_is_there_after_reopening(log: &mut impl Log) {
    let mut journal = log.open();
    commit_numbered(&mut *journal, 1);
    commit_numbered(&mut *journal, 2);
    let (before, writer) = (everything(&mut *journal), journal.writer());
    drop(journal);
    let mut journal = log.open();
    assert_eq!(journal.head(), Position::new(2));
    assert_ne!(journal.writer(), writer);
    assert_eq!(everything(&mut *journal), before);
    assert_eq!(commit_numbered(&mut *journal, 3), Position::new(3));
}

/// After a compaction the log is a snapshot and what came after it, now and after reopening.
///
/// # Panics
/// When it does not hold.
pub fn a_compacted_log_starts_at_its_snapshot(log: &mut impl Log) {
    let mut journal = log.open();
    for n in 1..=4 {
        commit_numbered(&mut *journal, n);
    }
    let facts = vec![numbered(40), numbered(41)];
    assert_eq!(compact(&mut *journal, &facts), Position::new(4));
    let snapshot = Some(Snapshot { position: Position::new(4), facts });
    assert_eq!(everything(&mut *journal), Read { snapshot: snapshot.clone(), records: Vec::new() });

    assert_eq!(commit_numbered(&mut *journal, 5), Position::new(5));
    drop(journal);
    let mut journal = log.open();
    assert_eq!(journal.head(), Position::new(5));
    for from in 0..4 {
        let read = read_from(&mut *journal, Position::new(from));
        assert_eq!(read.snapshot, snapshot, "after {from}");
        assert_eq!(read.records.len(), 1);
    }
    let read = read_from(&mut *journal, Position::new(4));
    assert_eq!(read.snapshot, None, "the reader has what the snapshot stands for");
    assert_eq!(read.records[0].facts, [numbered(5)]);
    assert_eq!(read_from(&mut *journal, Position::new(5)), Read { snapshot: None, records: Vec::new() });

    assert_eq!(compact(&mut *journal, &[]), Position::new(5));
    let empty = Some(Snapshot { position: Position::new(5), facts: Vec::new() });
    assert_eq!(
        everything(&mut *journal),
        Read { snapshot: empty, records: Vec::new() },
        "an empty one is one too"
    );
}

/// The snapshot of a turn stands for what the turn appends, too.
///
/// # Panics
/// When it does not hold.
pub fn a_turn_may_append_and_compact_at_once(log: &mut impl Log) {
    let mut journal = log.open();
    let mut turn = journal.begin().expect("a turn");
    turn.append(at(1), &[numbered(1)]).expect("an append");
    turn.compact(&[numbered(10)]).expect("a compaction");
    assert_eq!(turn.commit().expect("the commit works"), Position::new(1));
    let snapshot = Some(Snapshot { position: Position::new(1), facts: vec![numbered(10)] });
    assert_eq!(everything(&mut *journal), Read { snapshot, records: Vec::new() });
    assert!(news(&mut *journal).snapshot.is_none(), "it is its own");
}

/// A compaction takes effect with its commit, or not at all.
///
/// # Panics
/// When it does not hold.
pub fn a_compaction_that_was_dropped_changes_nothing(log: &mut impl Log) {
    let mut journal = log.open();
    commit_numbered(&mut *journal, 1);
    let before = everything(&mut *journal);
    let mut turn = journal.begin().expect("a turn");
    turn.append(at(2), &[numbered(2)]).expect("an append");
    turn.compact(&[numbered(10)]).expect("a compaction");
    drop(turn);
    assert_eq!(everything(&mut *journal), before);
    drop(journal);
    assert_eq!(everything(&mut *log.open()), before);
}

/// A snapshot stands for something.
///
/// # Panics
/// When it does not hold.
pub fn compacting_nothing_is_refused(log: &mut impl Log) {
    let mut journal = log.open();
    let mut turn = journal.begin().expect("a turn");
    assert!(turn.compact(&[numbered(1)]).is_err());
    assert_eq!(turn.commit().expect("the commit works"), Position::START);
}

/// Every event comes back as it was written, from a record and from a snapshot.
///
/// # Panics
/// When it does not hold.
pub fn every_event_survives(log: &mut impl Log) {
    let facts = one_of_each();
    let mut journal = log.open();
    commit(&mut *journal, at(1), &facts).expect("the commit works");
    drop(journal);
    let mut journal = log.open();
    assert_eq!(everything(&mut *journal).records[0].facts, facts);
    compact(&mut *journal, &facts);
    drop(journal);
    assert_eq!(everything(&mut *log.open()).snapshot.expect("a snapshot").facts, facts);
}

/// The longest parameters, and many facts at once.
///
/// # Panics
/// When it does not hold.
pub fn large_records_survive(log: &mut impl Log) {
    let parameters = Parameters::new(vec![7; Parameters::BYTES_MAX]).expect("just as many as there may be");
    let updated = Event::Updated { job: JobId::from_u128(1), parameters, watermark: None };
    let mut facts = vec![Fact { at: at(1), event: updated }; 8];
    facts.extend((0..5_000).map(numbered));
    let mut journal = log.open();
    commit(&mut *journal, at(1), &facts).expect("the commit works");
    compact(&mut *journal, &facts);
    commit(&mut *journal, at(2), &facts).expect("the commit works");
    drop(journal);
    let read = everything(&mut *log.open());
    assert!(read.snapshot.expect("a snapshot").facts == facts, "the snapshot is not what was written");
    assert!(read.records[0].facts == facts, "the record is not what was written");
}
