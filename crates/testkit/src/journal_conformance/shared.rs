//! Properties of a log with several holders.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use trainyard_journal::{Position, Snapshot};

use super::{Log, Read, commit, commit_numbered, compact, everything, news, numbered, read_all};

/// What one writes, the others are handed once, in order.
///
/// # Panics
/// When it does not hold.
pub fn news_comes_to_the_others(log: &mut impl Log) {
    let (mut one, mut other) = (log.open(), log.open());
    commit_numbered(&mut *one, 1);
    commit_numbered(&mut *one, 2);
    let read = news(&mut *other);
    assert!(read.records.iter().map(|record| record.position.get()).eq(1..=2));
    assert!(read.records.iter().all(|record| record.writer == one.writer()));
    assert!(news(&mut *other).records.is_empty());
    commit_numbered(&mut *other, 3);
    let read = news(&mut *one);
    assert!(read.records.iter().map(|record| record.position.get()).eq([3]));
    assert_eq!(everything(&mut *one), everything(&mut *other));
}

/// Every holder writes under an id of its own.
///
/// # Panics
/// When it does not hold.
pub fn writers_are_told_apart(log: &mut impl Log) {
    let (mut one, mut other) = (log.open(), log.open());
    assert_ne!(one.writer(), other.writer());
    commit_numbered(&mut *one, 1);
    commit_numbered(&mut *other, 2);
    let writers: Vec<_> = everything(&mut *one).records.iter().map(|record| record.writer).collect();
    assert_eq!(writers, [one.writer(), other.writer()]);
}

/// Who waits for a notice gets one when another has written, and one only however much that was; none of its own.
///
/// # Panics
/// When it does not hold.
pub fn notices_are_sent_and_coalesced(log: &mut impl Log) {
    let (mut one, other) = (log.open(), log.open());
    let (mine, theirs) = (one.watch(), other.watch());
    assert!(theirs.try_recv().is_err());
    for n in 1..=3 {
        commit_numbered(&mut *one, n);
    }
    let notice = theirs.recv_timeout(PATIENCE).expect("a notice");
    assert!((1..=3).contains(&notice.get()), "{notice} was reached");
    // One more may have been on its way when the first was taken out.
    let more = std::iter::from_fn(|| theirs.recv_timeout(Duration::from_millis(100)).ok()).count();
    assert!(more <= 1, "{more} more notices");
    assert!(mine.try_recv().is_err(), "its own writing is no news");
}

/// Two that write at the same time take turns: no number is given twice, and nobody misses anything.
///
/// # Panics
/// When it does not hold.
pub fn turns_are_exclusive(log: &mut impl Log) {
    const WRITERS: u64 = 4;
    const COMMITS: u64 = 25;
    let inside = &AtomicU64::new(0);
    let journals: Vec<_> = (0..WRITERS).map(|_| log.open()).collect();
    thread::scope(|scope| {
        for (writer, mut journal) in (0..).zip(journals) {
            scope.spawn(move || {
                let mut known = 0;
                for n in 0..COMMITS {
                    let mut turn = journal.begin().expect("a turn");
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "somebody else has the turn");
                    let read = read_all(turn.news().expect("news")).expect("readable news");
                    for record in read.records {
                        assert_eq!(record.position.get(), known + 1, "nothing is missed");
                        known = record.position.get();
                    }
                    let fact = numbered(writer * COMMITS + n);
                    turn.append(fact.at, &[fact]).expect("an append");
                    inside.fetch_sub(1, Ordering::SeqCst);
                    known += 1;
                    assert_eq!(turn.commit().expect("the commit works"), Position::new(known));
                }
            });
        }
    });
    let read = everything(&mut *log.open());
    assert!(read.records.iter().map(|record| record.position.get()).eq(1..=WRITERS * COMMITS));
    let mut facts: Vec<_> =
        read.records.into_iter().flat_map(|record| record.facts).map(|fact| fact.at).collect();
    facts.sort_unstable();
    facts.dedup();
    assert_eq!(facts.len() as u64, WRITERS * COMMITS, "every fact is there once");
}

/// A holder that looks again after the others have compacted starts over from the snapshot.
///
/// # Panics
/// When it does not hold.
pub fn who_missed_a_compaction_gets_the_snapshot(log: &mut impl Log) {
    let (mut one, mut other) = (log.open(), log.open());
    commit_numbered(&mut *one, 1);
    assert_eq!(news(&mut *other).records.len(), 1);
    commit_numbered(&mut *one, 2);
    compact(&mut *one, &[numbered(20)]);
    commit_numbered(&mut *one, 3);
    let mut turn = other.begin().expect("a turn");
    assert!(turn.append(numbered(4).at, &[numbered(4)]).expect_err("there is news").is_behind());
    drop(turn);
    let Read { snapshot, records } = news(&mut *other);
    assert_eq!(snapshot, Some(Snapshot { position: Position::new(2), facts: vec![numbered(20)] }));
    assert!(records.iter().map(|record| record.position.get()).eq([3]));
    commit(&mut *other, numbered(4).at, &[numbered(4)]).expect("nothing is unseen");

    compact(&mut *other, &[numbered(40)]);
    let Read { snapshot, records } = news(&mut *one);
    assert_eq!(snapshot, Some(Snapshot { position: Position::new(4), facts: vec![numbered(40)] }));
    assert!(records.is_empty());
}

/// How long a notice may take, on a slow machine too.
const PATIENCE: Duration = Duration::from_secs(300);
