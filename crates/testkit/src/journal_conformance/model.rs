//! Random histories, beside a naive model.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use trainyard_core::{Fact, Timestamp};
use trainyard_journal::{Journal, Position, Record, Snapshot};

use crate::arbitrary;

use super::{Log, Read, everything, read_all, read_from};

/// Whatever is done to it, a log holds what a list would.
///
/// # Panics
/// When it does not hold, with the shortest history that shows it.
pub fn any_history_is_that_of_the_model<L: Log>(cases: u32) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec(step(), 0..24);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        play::<L>(steps);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Turn { appends: Vec<(Timestamp, Vec<Fact>)>, snapshot: Option<Vec<Fact>>, end: End },
    Reopen,
    Read { from: prop::sample::Index },
}

#[derive(Debug, Clone, Copy)]
enum End {
    Commit,
    Drop,
}

fn step() -> impl Strategy<Value = Step> {
    let appends = prop::collection::vec((arbitrary::timestamp(), arbitrary::facts(2)), 0..3);
    let snapshot = prop::option::weighted(0.15, arbitrary::facts(3));
    let end = prop_oneof![4 => Just(End::Commit), 1 => Just(End::Drop)];
    let turn =
        (appends, snapshot, end).prop_map(|(appends, snapshot, end)| Step::Turn { appends, snapshot, end });
    prop_oneof![
        6 => turn,
        1 => Just(Step::Reopen),
        2 => any::<prop::sample::Index>().prop_map(|from| Step::Read { from }),
    ]
}

#[derive(Default)]
struct Model {
    head: Position,
    snapshot: Option<Snapshot>,
    records: Vec<Record>,
}

impl Model {
    fn read(&self, from: Position) -> Read {
        let snapshot = self.snapshot.clone().filter(|snapshot| snapshot.position > from);
        Read {
            snapshot,
            records: self.records.iter().filter(|record| record.position > from).cloned().collect(),
        }
    }
}

fn play<L: Log>(steps: Vec<Step>) {
    let mut log = L::fresh();
    let mut journal = log.open();
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Turn { appends, snapshot, end } => turn(&mut *journal, &mut model, appends, snapshot, end),
            Step::Reopen => {
                drop(journal);
                journal = log.open();
            }
            Step::Read { from } => {
                let places = usize::try_from(model.head.get()).expect("a short history") + 1;
                let from = Position::new(from.index(places) as u64);
                assert_eq!(read_from(&mut *journal, from), model.read(from));
            }
        }
        assert_eq!(journal.head(), model.head);
    }
    assert_eq!(everything(&mut *journal), model.read(Position::START));
    drop(journal);
    assert_eq!(everything(&mut *log.open()), model.read(Position::START), "after reopening");
}

fn turn(
    journal: &mut dyn Journal,
    model: &mut Model,
    appends: Vec<(Timestamp, Vec<Fact>)>,
    snapshot: Option<Vec<Fact>>,
    end: End,
) {
    let writer = journal.writer();
    let mut turn = journal.begin().expect("a turn");
    read_all(turn.news().expect("news")).expect("readable news");
    for (at, facts) in &appends {
        turn.append(*at, facts).expect("an append");
    }
    let at = appends.iter().rev().find(|(_, facts)| !facts.is_empty()).map(|(at, _)| *at);
    let compacts = match &snapshot {
        Some(snapshot) => turn.compact(snapshot).is_ok(),
        None => false,
    };
    match end {
        End::Drop => drop(turn),
        End::Commit => {
            let head = turn.commit().expect("the commit works");
            if let Some(at) = at {
                model.head = model.head.next();
                let facts = appends.into_iter().flat_map(|(_, facts)| facts).collect();
                model.records.push(Record { position: model.head, writer, at, facts });
            }
            assert_eq!(head, model.head);
            assert_eq!(compacts, snapshot.is_some() && head > Position::START);
            if let Some(facts) = snapshot.filter(|_| compacts) {
                model.records.clear();
                model.snapshot = Some(Snapshot { position: head, facts });
            }
        }
    }
}
