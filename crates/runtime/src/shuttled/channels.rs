//! The checked channels do what crossbeam's do.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel as real;
use proptest::prelude::*;
use shuttle::scheduler::RandomScheduler;
use shuttle::{Runner, thread};

use super::{check, config};
use crate::sync as checked;

/// One step of somebody who is alone, so that nothing may wait for anybody else.
#[derive(Debug, Clone)]
enum Step {
    CloneSender,
    DropSender(usize),
    CloneReceiver,
    DropReceiver(usize),
    TrySend(usize),
    /// Left out where it would wait.
    Send(usize),
    SendAtOnce(usize),
    TryRecv(usize),
    RecvAtOnce(usize),
    TakeAll(usize),
    IsEmpty(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = 0_usize..8;
    let step = prop_oneof![
        1 => Just(Step::CloneSender),
        1 => place.clone().prop_map(Step::DropSender),
        1 => Just(Step::CloneReceiver),
        1 => place.clone().prop_map(Step::DropReceiver),
        4 => place.clone().prop_map(Step::TrySend),
        2 => place.clone().prop_map(Step::Send),
        2 => place.clone().prop_map(Step::SendAtOnce),
        4 => place.clone().prop_map(Step::TryRecv),
        2 => place.clone().prop_map(Step::RecvAtOnce),
        1 => place.clone().prop_map(Step::TakeAll),
        1 => place.prop_map(Step::IsEmpty),
    ];
    prop::collection::vec(step, 0..40)
}

/// Something to send. Whoever still has it counts, so that what is dropped and when is compared, too.
type Parcel = Arc<usize>;

/// Takes the same steps with both.
fn compare(capacity: usize, steps: &[Step]) {
    let (sender, receiver) = real::bounded::<Parcel>(capacity);
    let mut theirs = (vec![sender], vec![receiver]);
    let (sender, receiver) = checked::bounded::<Parcel>(capacity);
    let mut ours = (vec![sender], vec![receiver]);
    let mut parcels: Vec<[Parcel; 2]> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let [one, other] = [Arc::new(number), Arc::new(number)];
        parcels.push([Arc::clone(&one), Arc::clone(&other)]);
        match *step {
            Step::CloneSender => {
                theirs.0.extend(theirs.0.first().cloned());
                ours.0.extend(ours.0.first().cloned());
            }
            Step::DropSender(place) if place < theirs.0.len() => {
                drop((theirs.0.remove(place), ours.0.remove(place)));
            }
            Step::CloneReceiver => {
                theirs.1.extend(theirs.1.first().cloned());
                ours.1.extend(ours.1.first().cloned());
            }
            Step::DropReceiver(place) if place < theirs.1.len() => {
                drop((theirs.1.remove(place), ours.1.remove(place)));
            }
            Step::TrySend(place) if place < theirs.0.len() => {
                assert_eq!(theirs.0[place].try_send(one), ours.0[place].try_send(other));
            }
            Step::Send(place) if place < theirs.0.len() => {
                if theirs.1.is_empty() || !theirs.0[place].is_full() {
                    assert_eq!(theirs.0[place].send(one), ours.0[place].send(other));
                }
            }
            Step::SendAtOnce(place) if place < theirs.0.len() => {
                let theirs = theirs.0[place].send_timeout(one, Duration::ZERO).map_err(|error| match error {
                    real::SendTimeoutError::Timeout(parcel) => real::TrySendError::Full(parcel),
                    real::SendTimeoutError::Disconnected(parcel) => real::TrySendError::Disconnected(parcel),
                });
                assert_eq!(theirs, ours.0[place].send_timeout(other, Duration::ZERO));
            }
            Step::TryRecv(place) if place < theirs.1.len() => {
                assert_eq!(theirs.1[place].try_recv(), ours.1[place].try_recv());
            }
            Step::RecvAtOnce(place) if place < theirs.1.len() => {
                let bound = Duration::ZERO;
                assert_eq!(theirs.1[place].recv_timeout(bound), ours.1[place].recv_timeout(bound));
            }
            Step::TakeAll(place) if place < theirs.1.len() => {
                assert!(theirs.1[place].try_iter().eq(ours.1[place].try_iter()));
            }
            Step::IsEmpty(place) if place < theirs.1.len() => {
                assert_eq!(theirs.1[place].is_empty(), ours.1[place].is_empty());
            }
            // There is no such end any more.
            Step::DropSender(_)
            | Step::DropReceiver(_)
            | Step::TrySend(_)
            | Step::Send(_)
            | Step::SendAtOnce(_)
            | Step::TryRecv(_)
            | Step::RecvAtOnce(_)
            | Step::TakeAll(_)
            | Step::IsEmpty(_) => {}
        }
        for [one, other] in &parcels {
            assert_eq!(Arc::strong_count(one), Arc::strong_count(other), "{one} after step {number}");
        }
    }
}

proptest! {
    #[test]
    fn one_alone_cannot_tell_them_from_crossbeams(capacity in 0_usize..4, steps in steps()) {
        Runner::new(RandomScheduler::new(1), config()).run(move || compare(capacity, &steps));
    }
}

const SENDERS: usize = 2;
const EACH: usize = 3;

/// What was sent by several arrives once, and in each one's order.
fn deliver(capacity: usize) {
    let (sender, receiver) = checked::bounded(capacity);
    let send = |me: usize| {
        let sender = sender.clone();
        thread::spawn(move || (0..EACH).for_each(|number| sender.send((me, number)).unwrap()))
    };
    let senders: Vec<_> = (0..SENDERS).map(send).collect();
    drop(sender);
    let receive = || {
        let receiver = receiver.clone();
        thread::spawn(move || {
            let mut received = Vec::new();
            loop {
                match receiver.recv_timeout(Duration::from_secs(1)) {
                    Ok(parcel) => received.push(parcel),
                    Err(real::RecvTimeoutError::Timeout) => thread::yield_now(),
                    Err(real::RecvTimeoutError::Disconnected) => return received,
                }
            }
        })
    };
    let receivers = [receive(), receive()];
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let received = receivers.map(|receiver| receiver.join().unwrap());
    for received in &received {
        for me in 0..SENDERS {
            assert!(received.iter().filter(|(sender, _)| *sender == me).is_sorted());
        }
    }
    let mut all: Vec<_> = received.concat();
    all.sort_unstable();
    let sent: Vec<_> = (0..SENDERS).flat_map(|me| (0..EACH).map(move |number| (me, number))).collect();
    assert_eq!(all, sent);
}

#[test]
fn what_is_sent_arrives_once() {
    check(2_000, || deliver(1));
}

#[test]
fn what_is_handed_over_arrives_once() {
    check(2_000, || deliver(0));
}

/// Whoever is told that it was handed over can rely on it; whoever is told that nobody waits has it back.
#[test]
fn what_is_handed_over_is_received_even_when_patience_ends() {
    check(4_000, || {
        let (sender, receiver) = checked::bounded(0);
        let receiving = thread::spawn(move || receiver.recv_timeout(Duration::from_secs(1)));
        let handed = loop {
            match sender.try_send(7) {
                Err(real::TrySendError::Full(7)) => thread::yield_now(),
                handed => break handed,
            }
        };
        match (handed, receiving.join().unwrap()) {
            (Ok(()), Ok(7))
            | (Err(real::TrySendError::Disconnected(7)), Err(real::RecvTimeoutError::Timeout)) => {}
            told => panic!("{told:?}"),
        }
    });
}

/// A ring before, while or after somebody begins to wait wakes it.
#[test]
fn whoever_waits_for_several_is_woken_by_each() {
    check(4_000, || {
        let (call, calls) = checked::bounded(4);
        let (ring, alarm) = checked::bounded(1);
        let notices = real::never::<()>();
        let calling = thread::spawn(move || (0..2).for_each(|number| call.send(number).unwrap()));
        let ringing = thread::spawn(move || ring.try_send(()).unwrap());
        let (mut called, mut is_rung) = (Vec::new(), false);
        let mut ends = (false, false);
        let mut alarm = alarm;
        let mut calls = calls;
        while ends != (true, true) {
            match checked::first_of(&calls, &notices, &alarm, None) {
                checked::First::Call(Ok(number)) => called.push(number),
                checked::First::Alarm(Ok(())) => is_rung = true,
                checked::First::Call(Err(_)) => {
                    ends.0 = true;
                    calls = checked::never();
                }
                checked::First::Alarm(Err(_)) => {
                    ends.1 = true;
                    alarm = checked::never();
                }
                checked::First::Notice(_) | checked::First::Timer => panic!("there is none"),
            }
        }
        assert_eq!((called, is_rung), (vec![0, 1], true));
        calling.join().unwrap();
        ringing.join().unwrap();
    });
}
