//! Somebody calls while the driver leaves.

use std::sync::Arc;
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;
use trainyard_core::port::HandleError;
use trainyard_core::{JobId, Reason, Timestamp};

use super::check;
use crate::Ticket;
use crate::call::{Call, Reply};
use crate::inbox::inbox;
use crate::sync::TrySendError;

/// Found by shuttle: what went in between the driver's last look and its end stayed in the channel, which keeps what
/// nobody takes out, and its caller waited for ever.
#[test]
fn a_call_that_comes_while_the_inbox_is_closed_is_answered() {
    check(4_000, || {
        let (inbox, calls) = inbox(thread_rng().gen_range(1..4));
        let inbox = Arc::new(inbox);
        let ask = |number: u128| {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || {
                let (ticket, promise) = Ticket::new();
                let command = trainyard_core::Command::Unhold { job: JobId::from_u128(number) };
                match inbox.try_send(Call::Ask(command, Reply::Done(promise))) {
                    Ok(()) => {}
                    Err(TrySendError::Disconnected(call)) => call.refuse(&Reason::new("late")),
                    Err(TrySendError::Full(_)) => return,
                }
                let told = ticket.wait();
                assert!(matches!(told, Err(HandleError::Stopped { .. })), "{told:?}");
            })
        };
        let asking = [ask(1), ask(2)];
        // One of those who wait for room, like trainers.
        let (ticket, promise) = Ticket::new();
        let sending = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || inbox.send(Call::Close(Timestamp::from_millis(0), promise)).is_ok())
        };
        match thread_rng().gen_bool(0.5) {
            true => calls.close(&Reason::new("closed")),
            false => drop(calls),
        }
        asking.into_iter().for_each(|asking| asking.join().unwrap());
        sending.join().unwrap();
        let told = ticket.wait_timeout(Duration::ZERO).expect("it is answered, or its promise is dropped");
        assert!(matches!(told, Err(HandleError::Stopped { .. })), "{told:?}");
        assert!(
            inbox
                .try_send(Call::Shown(trainyard_core::Run {
                    job: JobId::from_u128(3),
                    lease: trainyard_core::Lease::new(1)
                }))
                .is_err()
        );
    });
}
