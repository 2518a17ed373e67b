//! How a simulation is put together.

use std::time::Duration;

use trainyard_core::{QueueSettings, Resource, Resources, Settings};

use super::checker::Violation;
use super::everything::Everything;
use super::faults::Faults;
use super::report::Report;
use super::trainer::{TrainerModel, Unruly};
use super::workload::Workload;
use super::world::World;

/// A yard in a world of its own: nodes, trainers, users and a disk, in virtual time, from one seed.
///
/// The same seed and the same settings lead to the same events, on every machine. Nothing is read from outside, no
/// thread is started, and nothing waits.
///
/// ```
/// use trainyard_testkit::simulator::Simulation;
///
/// let report = Simulation::new(7).with_nodes(3).with_events(3_000).run()?;
/// assert!(report.events >= 3_000 && report.faults().total() > 0);
/// assert_eq!(Simulation::new(7).with_nodes(3).with_events(3_000).run()?, report, "as ever");
/// # Ok::<(), trainyard_testkit::simulator::Violation>(())
/// ```
pub struct Simulation {
    pub(super) plan: Plan,
    pub(super) workload: Box<dyn Workload>,
    pub(super) trainer: Box<dyn TrainerModel>,
}

/// What is fixed.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) nodes: usize,
    pub(super) capacity: Resources,
    pub(super) events: u64,
    pub(super) audit_every: u64,
    pub(super) drain_max: Duration,
    pub(super) faults: Faults,
    pub(super) settings: Settings,
    pub(super) queues: Vec<(String, QueueSettings)>,
    pub(super) compact_min: usize,
    pub(super) record_facts: usize,
    pub(super) has_journal_clock: bool,
}

impl Simulation {
    /// How many nodes there may be.
    pub const NODES_MAX: usize = 64;

    /// A world of two nodes with everything that can happen in it.
    ///
    /// # Panics
    /// Never: what it names are names.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let gpu = Resource::new("gpu").expect("a short word");
        let settings =
            Settings { finished_max: 48, models_max: 3, unfinished_max: 16, ..Settings::default() };
        let plan = Plan {
            seed,
            nodes: 2,
            capacity: Resources::slots(3).with(gpu, 2),
            events: 10_000,
            audit_every: 10_000,
            drain_max: Duration::from_secs(7 * 86_400),
            faults: Faults::default(),
            settings,
            queues: Vec::new(),
            compact_min: 1_000,
            record_facts: 100_000,
            has_journal_clock: false,
        };
        Self { plan, workload: Box::new(Everything::default()), trainer: Box::new(Unruly::default()) }
    }

    /// With so many nodes that share the journal, 1 to [`Simulation::NODES_MAX`]. Default: 2.
    #[must_use]
    pub fn with_nodes(mut self, nodes: usize) -> Self {
        self.plan.nodes = nodes.clamp(1, Self::NODES_MAX);
        self
    }

    /// With so many slots on each node, and nothing else there. Default: 3 slots, and 2 of `gpu`.
    #[must_use]
    pub fn with_slots(self, slots: u64) -> Self {
        self.with_capacity(Resources::slots(slots))
    }

    /// With this on each node. Default: 3 slots, and 2 of `gpu`.
    #[must_use]
    pub fn with_capacity(mut self, capacity: Resources) -> Self {
        self.plan.capacity = capacity;
        self
    }

    /// With these users. Default: [`Everything`].
    #[must_use]
    pub fn with_workload(mut self, workload: impl Workload + 'static) -> Self {
        self.workload = Box::new(workload);
        self
    }

    /// With these trainers. Default: [`Unruly`].
    #[must_use]
    pub fn with_trainer(mut self, trainer: impl TrainerModel + 'static) -> Self {
        self.trainer = Box::new(trainer);
        self
    }

    /// With these faults. Default: [`Faults::default`].
    #[must_use]
    pub const fn with_faults(mut self, faults: Faults) -> Self {
        self.plan.faults = faults;
        self
    }

    /// After so many events, or when the users want nothing any more and the faults have had their time, faults stop,
    /// trainers behave, an operator releases what is held, and everything must end. Default: 10,000.
    #[must_use]
    pub const fn with_events(mut self, events: u64) -> Self {
        self.plan.events = events;
        self
    }

    /// Looks at everything at once every so many events, at least every one, and at the end. Default: 10,000.
    #[must_use]
    pub const fn with_audit_every(mut self, events: u64) -> Self {
        self.plan.audit_every = if events == 0 { 1 } else { events };
        self
    }

    /// Everything must have ended so much virtual time after the faults have stopped. Default: 7 days.
    #[must_use]
    pub const fn with_drain_max(mut self, time: Duration) -> Self {
        self.plan.drain_max = time;
        self
    }

    /// With these settings of the yard. Default: 48 finished jobs of a queue, 3 models of a registry and 16 unfinished
    /// jobs of a subject, and otherwise those of [`Settings`]: a simulation forgets early, so that forgetting is seen.
    #[must_use]
    pub const fn with_settings(mut self, settings: Settings) -> Self {
        self.plan.settings = settings;
        self
    }

    /// With a queue of this name that has these settings from the start.
    ///
    /// # Panics
    /// When it cannot be the name of a queue.
    #[must_use]
    pub fn with_queue(mut self, name: &str, settings: QueueSettings) -> Self {
        assert!(trainyard_core::QueueName::new(name).is_ok(), "{name:?} is no name of a queue");
        self.plan.queues.push((name.to_owned(), settings));
        self
    }

    /// A log of fewer facts than this is not compacted. Default: 1,000.
    #[must_use]
    pub const fn with_compact_min(mut self, facts: usize) -> Self {
        self.plan.compact_min = facts;
        self
    }

    /// About so many facts share a record at most, at least one. Default: 100,000.
    #[must_use]
    pub const fn with_record_facts(mut self, facts: usize) -> Self {
        self.plan.record_facts = facts;
        self
    }

    /// The journal has a clock of its own, which all nodes go by, as that of a database. Default: it has none.
    #[must_use]
    pub const fn with_journal_clock(mut self) -> Self {
        self.plan.has_journal_clock = true;
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// [`Violation`] when something does not hold that has to.
    pub fn run(self) -> Result<Report, Violation> {
        World::new(self).run()
    }
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation").field("plan", &self.plan).finish_non_exhaustive()
    }
}
