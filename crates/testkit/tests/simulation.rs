//! Simulations of everything that can happen: thousands of seeds, a soak with `TRAINYARD_LONG=1`, the speed, and every
//! seed that has ever found something.
//!
//! `TRAINYARD_SEED=n cargo test -p trainyard-testkit --test simulation again` runs one of them again and prints it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use trainyard_core::{Admission, Command, Observation, Parameters, RetrainRule, Template, Trigger};
use trainyard_testkit::simulator::{
    Faults, Odds, Report, Simulation, Steady, UserScene, Violation, Wish, Workload, plain_class, subject,
};

/// A world of its own kind for each seed.
fn world(seed: u64, events: u64) -> Simulation {
    let nodes = usize::try_from(1 + seed % 4).unwrap();
    let mut simulation = Simulation::new(seed).with_nodes(nodes).with_events(events);
    if seed.is_multiple_of(3) {
        simulation = simulation.with_compact_min(60);
    }
    if seed.is_multiple_of(5) {
        simulation = simulation.with_record_facts(3);
    }
    if seed.is_multiple_of(7) {
        simulation = simulation.with_journal_clock();
    }
    match seed % 11 {
        0 => simulation.with_trainer(Steady::default()),
        1 => simulation.with_faults(Faults::none()),
        2 => simulation.with_faults(Faults {
            crash: Odds::one_in(40),
            crash_in_commit: Odds::one_in(20),
            fails_before: Odds::one_in(40),
            fails_after: Odds::one_in(40),
            conflicts: Odds::one_in(40),
            ..Faults::default()
        }),
        _ => simulation,
    }
}

/// Runs it, whatever it does.
fn outcome(simulation: Simulation, seed: u64) -> Result<Report, String> {
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| simulation.run()));
    match ran {
        Ok(ran) => ran.map_err(|violation: Violation| violation.to_string()),
        Err(_) => Err(format!("seed {seed} panics (run it again with TRAINYARD_SEED={seed})")),
    }
}

/// Runs all of these, and says how many events there were.
fn hold(seeds: impl Iterator<Item = u64>, events: u64) -> u64 {
    let (mut all, mut failed) = (0, Vec::new());
    for seed in seeds {
        match outcome(world(seed, events).with_audit_every(events / 4), seed) {
            Ok(report) => all += report.events,
            Err(what) => failed.push(what),
        }
        assert!(failed.len() < 4, "{failed:#?}");
    }
    assert!(failed.is_empty(), "{failed:#?}");
    all
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn thousands_of_seeds_hold() {
    let seeds = variable("SEEDS").unwrap_or(3_000);
    let events = hold(1..=seeds, 300);
    println!("{seeds} seeds, {events} events");
    assert!(events > seeds * 300);
}

/// Subjects that grow, with rules that have a cooldown, and trainers that are done soon.
struct Growing;

impl Workload for Growing {
    fn next(&mut self, scene: &mut UserScene<'_>) -> Option<Wish> {
        let about = subject(scene.number % 3);
        let command = if scene.number < 3 {
            let rule =
                RetrainRule::new(Trigger::Fresh { at_least: 20 }).with_cooldown(Duration::from_secs(300));
            let (class, parameters) = (plain_class("indexes"), Parameters::default());
            let template = Arc::new(Template { class, parameters, admission: Admission::Trail });
            Command::SetRule { subject: about, rule, template }
        } else {
            let observation = Observation { total: scene.number, lists: None };
            Command::Observe { subject: about, observation, job: scene.job_id(), repeats: 0 }
        };
        Some(Wish::new(scene.chance.around(Duration::from_secs(4)), command))
    }
}

#[test]
fn cooldowns_hold_whatever_fails() {
    let mut fired = 0;
    for seed in 1..=100 {
        let simulation = world(seed, 1_500).with_workload(Growing).with_trainer(Steady::default());
        let report = outcome(simulation, seed).unwrap_or_else(|what| panic!("{what}"));
        // Each of the three at once, and then every five minutes at most.
        assert!(report.fired <= 3 * (report.virtual_time.as_secs() / 300 + 1), "{report}");
        fired += report.fired;
    }
    assert!(fired > 300, "{fired}");
}

#[test]
fn longer_lives_hold() {
    let events = hold(1..=40, 8_000);
    println!("40 seeds, {events} events");
}

/// With `TRAINYARD_LONG=1` for three minutes, or as many seconds as `TRAINYARD_SOAK` says, from a seed that nobody has
/// seen yet, or from that in `TRAINYARD_SEED`.
#[test]
fn fresh_seeds_hold_for_minutes() {
    if std::env::var_os("TRAINYARD_LONG").is_none_or(|value| value != "1") {
        return;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let base = variable("TRAINYARD_SEED").unwrap_or(now * 100_000);
    let soak = Duration::from_secs(variable("TRAINYARD_SOAK").unwrap_or(180));
    println!("the soak begins at seed {base}");
    let begun = Instant::now();
    let (mut seeds, mut events) = (0, 0);
    while begun.elapsed() < soak {
        events += hold(base + seeds..base + seeds + 20, 4_000);
        seeds += 20;
    }
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    #[expect(clippy::cast_precision_loss, reason = "it is shown")]
    let rate = events as f64 / minutes / 1e6;
    println!("{seeds} seeds from {base}, {events} events, {rate:.1} million a minute");
}

/// Prints how many events a second there are: `cargo test --release -p trainyard-testkit --test simulation speed --
/// --nocapture`.
#[test]
fn speed() {
    let events = if cfg!(debug_assertions) { 20_000 } else { 300_000 };
    for (what, nodes) in [("one node", 1), ("two nodes", 2), ("four nodes", 4)] {
        let simulation = Simulation::new(1).with_nodes(nodes).with_events(events);
        let (begun, busy) = (Instant::now(), busy());
        let report = simulation.run().unwrap_or_else(|violation| panic!("{violation}"));
        let (took, used) = (begun.elapsed(), self::busy().zip(busy).map(|(after, before)| after - before));
        #[expect(clippy::cast_precision_loss, reason = "it is shown")]
        let per_second = |time: Duration| report.events as f64 / time.as_secs_f64();
        println!(
            "{what}: {:.0} events a second of the processor, {:.0} of the wall",
            used.map_or(0.0, per_second),
            per_second(took)
        );
        print!("{report}");
        assert!(report.faults().total() > 100, "{report}");
    }
}

/// How long this thread has been at work, where the system tells.
fn busy() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(told.split_whitespace().next()?.parse().ok()?))
}

#[test]
fn again() {
    let seed = variable("TRAINYARD_SEED").unwrap_or(1);
    let events = variable("TRAINYARD_EVENTS").unwrap_or(300);
    match outcome(world(seed, events).with_audit_every(events / 4), seed) {
        Ok(report) => println!("{report}"),
        Err(what) => panic!("{what}"),
    }
}

/// Those that have found something, in whatever it was.
fn found(seed: u64, events: u64) {
    outcome(world(seed, events).with_audit_every(events / 4), seed).unwrap_or_else(|what| panic!("{what}"));
}

#[test]
fn seed_5_a_full_record_leaves_a_start_for_the_next_turn() {
    found(5, 2_000);
}

#[test]
fn seed_7_whoever_opens_reads_nothing_that_is_not_synced() {
    found(7, 2_000);
}

#[test]
fn seed_38_a_job_that_was_read_and_then_lost_does_not_end_twice() {
    found(38, 2_000);
}

#[test]
fn seed_123_a_compaction_without_facts_is_a_commit() {
    found(123, 300);
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 1..=20 {
        assert_eq!(outcome(world(seed, 600), seed), outcome(world(seed, 600), seed));
    }
    assert_ne!(outcome(world(3, 600), 3), outcome(world(7, 600), 7));
}

#[test]
fn every_fault_is_injected() {
    use trainyard_testkit::simulator::Fault;
    let faults = Faults { leave: Odds::one_in(200), ..Faults::default() };
    let report = Simulation::new(5).with_nodes(3).with_faults(faults).with_events(60_000).run().unwrap();
    for fault in [
        Fault::FailedBefore,
        Fault::FailedAfter,
        Fault::Conflict,
        Fault::Locked,
        Fault::Late,
        Fault::Crash,
        Fault::TailKept,
        Fault::TailLost,
        Fault::TailTorn,
        Fault::Left,
        Fault::JumpedForth,
        Fault::JumpedBack,
        Fault::FlippedBit,
        Fault::Panic,
        Fault::Hang,
        Fault::IgnoredStop,
        Fault::KilledNode,
        Fault::NotANumber,
        Fault::Lie,
        Fault::AskedAgain,
    ] {
        assert!(report.faults().count(fault) > 0, "{fault:?} never happened: {report}");
    }
    let outcomes = report.outcomes();
    for count in
        [outcomes.completed, outcomes.timed_out, outcomes.stalled, outcomes.cancelled, outcomes.failed]
    {
        assert!(count > 0, "{outcomes:?}");
    }
    assert!(report.fired > 0 && report.compactions > 0 && report.starts > 0, "{report}");
}
