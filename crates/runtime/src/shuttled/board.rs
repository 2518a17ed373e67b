//! A run says something while it is taken off the board.

use std::sync::Arc;

use shuttle::thread;
use trainyard_core::port::Change;
use trainyard_core::{Event, Fact, JobId, Lease, Progress, Run, Timestamp};

use super::check;
use crate::board::Board;
use crate::hub::Hub;

#[test]
fn nothing_is_told_of_a_run_that_has_left() {
    check(4_000, || {
        let hub = Arc::new(Hub::default());
        let board = Arc::new(Board::new(Arc::clone(&hub)));
        let run = Run { job: JobId::from_u128(1), lease: Lease::new(1) };
        board.open(run);
        let mut changes = hub.subscribe(10);
        let saying = {
            let board = Arc::clone(&board);
            thread::spawn(move || (1..=3).for_each(|step| board.report(run, Progress::step(step, 3))))
        };
        board.close(run);
        let now = Timestamp::from_millis(0);
        hub.publish(1, vec![Fact { at: now, event: Event::Ticked }]);
        assert_eq!(board.progress(run.job), None);
        saying.join().unwrap();
        hub.close();
        let told: Vec<_> = std::iter::from_fn(|| changes.next_blocking()).collect();
        assert!(matches!(told.last(), Some(Change::Happened { revision: 1, .. })), "{told:?}");
    });
}
