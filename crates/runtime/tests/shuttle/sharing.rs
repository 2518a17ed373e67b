//! Two yards on one journal, as two processes would be.

use std::time::Duration;

use crossbeam_channel::Receiver;
use trainyard_journal::{Journal, JournalError, MemoryJournal, Position, Reading, Turn, WriterId};
use trainyard_runtime::Trainyard;
use trainyard_testkit::clock::ManualClock;
use trainyard_testkit::failing_journal::commit_with;

use crate::rig::{DONE, Rig, answer, check, id, kind, quick, shut_down, submit};

/// Notices are no part of what shuttle decides, so whoever has written wakes all who share the clock.
struct Loud {
    inner: MemoryJournal,
    clock: ManualClock,
}

impl Journal for Loud {
    fn begin(&mut self) -> Result<Box<dyn Turn + '_>, JournalError> {
        Ok(commit_with(self.inner.begin()?, |turn| {
            let position = turn.commit()?;
            self.clock.advance(Duration::ZERO);
            Ok(position)
        }))
    }

    fn read(&mut self, from: Position) -> Result<Reading<'_>, JournalError> {
        self.inner.read(from)
    }

    fn watch(&self) -> Receiver<Position> {
        self.inner.watch()
    }

    fn head(&self) -> Position {
        self.inner.head()
    }

    fn writer(&self) -> WriterId {
        self.inner.writer()
    }
}

fn start(rig: &Rig, node: u128) -> Trainyard {
    let journal = Loud { inner: rig.log.holder(), clock: rig.clock.clone() };
    rig.builder_of(node, journal).trainer(kind(), quick).start().unwrap().0
}

#[test]
fn whoever_asks_at_one_hears_of_what_the_other_has_done() {
    check(300, |rig| {
        let yards = [start(rig, 1), start(rig, 2)];
        for (job, yard) in (1..).zip(&yards) {
            submit(yard, job).wait().unwrap();
        }
        // Each is asked for the other's.
        for (job, yard) in (1..).zip(yards.iter().rev()) {
            let told = loop {
                // It may not have read that there is such a job yet.
                match answer(job, yard.finished(id(job))) {
                    Err(trainyard_core::port::HandleError::Rejected(_)) => shuttle::thread::yield_now(),
                    told => break told,
                }
            };
            assert_eq!(told, Ok(DONE));
        }
        for yard in &yards {
            shut_down(yard);
        }
        let [one, other] = yards.map(|yard| yard.counters().runs_started);
        assert_eq!(one + other, 2, "each is trained once, wherever");
        assert!([1, 2].into_iter().all(|job| rig.end(id(job)) == Some(DONE)));
    });
}
