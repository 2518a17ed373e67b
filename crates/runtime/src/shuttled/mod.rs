//! Parts of the runtime with shuttle deciding who goes on. Whole yards are in `tests/shuttle`.
//!
//! ```text
//! cargo test -p trainyard-runtime --features shuttle --lib shuttled
//! ```
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod board;
mod channels;
mod hub;
mod inbox;
mod pool;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

/// Runs a test under so many schedules by chance, and as many by PCT.
fn check(schedules: usize, test: fn()) {
    let schedules = if std::env::var_os("TRAINYARD_LONG").is_some() { 20 * schedules } else { schedules };
    let by_chance = Runner::new(RandomScheduler::new(schedules), config()).run(test);
    let by_pct = Runner::new(PctScheduler::new(3, schedules), config()).run(test);
    assert_eq!((by_chance, by_pct), (schedules, schedules));
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.silence_warnings = true;
    config
}
