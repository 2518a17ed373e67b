//! A process that is killed at any boundary, over and over on one data folder, loses nothing that it acknowledged,
//! runs nothing twice at once and nothing again that is over.
//!
//! It really is a process, and really is killed, while it works on a real journal in a real folder. `TRAINYARD_LONG=1`
//! kills 2,000 times; `TRAINYARD_SEED` repeats the chances of a run, though not the order of its threads.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic; its numbers are small"
)]

mod audit;
mod child;
mod dice;
mod life;

use std::time::Duration;

use trainyard::journal::failpoints::Failpoint;

use audit::World;
use dice::Dice;
use life::{End, Plan};

/// Nothing, unless this binary was started by [`life::live`]: then one life, until it is killed or over.
#[test]
fn child() {
    if let Some(orders) = child::Orders::read() {
        child::obey(&orders);
    }
}

/// Without debug assertions there are no failpoints, see the test below.
#[cfg(debug_assertions)]
#[test]
fn whoever_is_killed_at_any_boundary_loses_nothing() {
    let kills_min = if std::env::var_os("TRAINYARD_LONG").is_some() { 2_000 } else { 100 };
    let mut dice = Dice::of_this_run();
    let mut world = World::new();
    let mut kills = 0;

    // Two lives that nobody ends: the first makes the folder, the second finds it.
    let [first, second] = [(), ()].map(|()| world.live(&mut dice, Plan::Survey));
    assert_eq!((first.end, second.end), (End::ByItself, End::ByItself));
    let often = |point: Failpoint| second.passed[point.name()].clamp(1, 60);
    // Every boundary: the first time it is passed, and some other time.
    for point in Failpoint::ALL.iter().copied() {
        if is_of_birth(point) {
            let mut fresh = World::new();
            let life = fresh.live(&mut dice, Plan::At { point, nth: 1 });
            assert_eq!(life.end, End::Killed, "nobody gets to {point:?}");
            kills += 1;
            fresh.drain(&mut dice);
            continue;
        }
        let nth = 1 + dice.below(often(point));
        kills += u64::from(world.live(&mut dice, Plan::At { point, nth }).end == End::Killed);
        // Not every life is long enough for a compaction.
        let mut tries = (0..TRIES).map(|_| world.live(&mut dice, Plan::At { point, nth: 1 }).end);
        assert!(tries.any(|end| end == End::Killed), "nobody gets to {point:?}");
        kills += 1;
    }
    // And any time in between.
    while kills < kills_min {
        let plan = if dice.below(3) == 0 {
            let point = Failpoint::ALL[dice.below(Failpoint::ALL.len() as u64) as usize];
            Plan::At { point, nth: 1 + dice.below(often(point)) }
        } else {
            let after = Duration::from_micros(dice.below(5_000));
            Plan::After { words: dice.below(60), wait: after }
        };
        kills += u64::from(world.live(&mut dice, plan).end == End::Killed);
    }
    world.drain(&mut dice);
    println!("{kills} kills; {world}");
}

/// What only the first life of a folder passes.
#[cfg(debug_assertions)]
const fn is_of_birth(point: Failpoint) -> bool {
    matches!(point, Failpoint::NodeIdDrafted | Failpoint::JournalDrafted | Failpoint::JournalCreated)
}

/// How many lives may pass before one is long enough.
#[cfg(debug_assertions)]
const TRIES: u32 = 20;

#[cfg(not(debug_assertions))]
#[test]
fn a_release_has_no_failpoint() {
    let mut dice = Dice::of_this_run();
    let mut world = World::new();
    let point = Failpoint::TurnAhead;
    let life = world.live(&mut dice, Plan::At { point, nth: 1 });
    assert_eq!(life.end, End::ByItself, "it was killed at {point:?}");
    assert!(life.passed.values().all(|times| *times == 0), "{:?}", life.passed);
    assert_eq!(world.live(&mut dice, Plan::Survey).end, End::ByItself);
    // It can still be killed at any other time.
    for _ in 0..5 {
        let plan = Plan::After { words: dice.below(60), wait: Duration::from_micros(dice.below(5_000)) };
        world.live(&mut dice, plan);
    }
    world.drain(&mut dice);
}
