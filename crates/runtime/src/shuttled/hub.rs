//! Something is told while a subscriber begins to wait for it.

use std::sync::Arc;

use shuttle::future::block_on;
use shuttle::thread;
use trainyard_core::port::{Change, Changes};
use trainyard_core::{Event, Fact, Timestamp};

use super::check;
use crate::hub::{Hub, Subscription};

/// Tells two facts, one after the other, and ends, while somebody listens.
fn tell(listen: fn(&mut Subscription) -> Option<Change>) {
    let hub = Arc::new(Hub::default());
    let mut changes = hub.subscribe(10);
    let listening = thread::spawn(move || std::iter::from_fn(|| listen(&mut changes)).count());
    let now = Timestamp::from_millis(0);
    for revision in 1..=2 {
        hub.publish(revision, vec![Fact { at: now, event: Event::Ticked }]);
    }
    hub.close();
    assert_eq!(listening.join().unwrap(), 2);
}

#[test]
fn a_thread_that_begins_to_wait_is_woken() {
    check(2_000, || tell(Subscription::next_blocking));
}

#[test]
fn a_future_that_begins_to_wait_is_woken() {
    check(2_000, || tell(|changes| block_on(changes.next())));
}
