//! A whole yard in a world of its own: nodes, trainers, users and a disk in virtual time, from one seed.
//!
//! What runs is real: the core, the [`Driver`](trainyard_runtime::Driver) with its turns, and the codec of the journal,
//! through which every record goes. What is simulated is the world around it: a [`Disk`] that fails, is late, and tears
//! what was not synced; nodes that are killed at any moment, and whose clocks jump; trainers that hang, crash, and lie;
//! and users who do everything at once. After every event a [`Checker`] looks whether what must hold does: it keeps
//! small books of its own from what is in the journal, see [`Invariant`]. Then the faults stop, and everything has to end.
//!
//! So a policy can be tried before it is used: put in a [`Workload`], a [`TrainerModel`], limits, queues, and [`Faults`],
//! and read the [`Report`]. Does this cooldown hold, whatever happens?
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use trainyard_core::{Admission, Command, Observation, Parameters, RetrainRule, Template, Trigger};
//! use trainyard_testkit::simulator::{Simulation, UserScene, Wish, Workload, plain_class, subject};
//!
//! /// Ten vectors a second, and a rule that trains on a thousand new ones, but at most every half hour.
//! struct Growing;
//!
//! impl Workload for Growing {
//!     fn next(&mut self, scene: &mut UserScene<'_>) -> Option<Wish> {
//!         let subject = subject(1);
//!         let command = if scene.number == 0 {
//!             let rule = RetrainRule::new(Trigger::Fresh { at_least: 1_000 })
//!                 .with_cooldown(Duration::from_secs(1_800));
//!             let (class, parameters) = (plain_class("indexes"), Parameters::default());
//!             let template = Arc::new(Template { class, parameters, admission: Admission::Join });
//!             Command::SetRule { subject, rule, template }
//!         } else {
//!             let observation = Observation { total: scene.number * 50, lists: None };
//!             let job = scene.job_id();
//!             Command::Observe { subject, observation, job, repeats: 0 }
//!         };
//!         Some(Wish::new(Duration::from_secs(5), command))
//!     }
//! }
//!
//! let report = Simulation::new(3).with_workload(Growing).with_events(4_000).run()?;
//! let half_hours = report.virtual_time.as_secs() / 1_800;
//! assert!(report.fired >= 1 && report.fired <= half_hours + 1, "{report}");
//! # Ok::<(), trainyard_testkit::simulator::Violation>(())
//! ```
//!
//! A [`Violation`] names the seed, the event, and what does not hold; the same seed and settings lead there again. What
//! a simulation cannot show: threads, and the SQLite journal. They have tests of their own.

mod asking;
mod calendar;
mod chance;
mod checker;
mod disk;
mod everything;
mod faults;
mod frames;
mod hands;
mod journal;
mod node;
mod opening;
mod report;
mod simulation;
mod trainer;
mod turns;
mod workload;
mod world;

pub use chance::{Chance, Odds};
pub use checker::{Before, Breach, Checker, Invariant, Violation};
pub use disk::{Disk, Fate, Tail};
pub use everything::Everything;
pub use faults::{Fault, Faults, Injected};
pub use journal::SimJournal;
pub use report::{Outcomes, Report, Waits};
pub use simulation::Simulation;
pub use trainer::{Act, Deed, End, Scene, Steady, TrainerModel, Unruly};
pub use workload::{UserScene, Wish, Workload, inside, outside, plain_class, subject};
