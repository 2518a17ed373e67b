//! Nodes open the journal and join.

use trainyard_core::{Abilities, Command, Placement};
use trainyard_runtime::Driver;

use super::calendar::Happening;
use super::checker::{Breach, Invariant};
use super::faults::Fault;
use super::node::{Call, Up};
use super::workload::{inside, outside};
use super::world::World;

impl World {
    /// A process opens the journal and joins.
    pub(super) fn open(&mut self, node: usize, life: u64) -> Result<bool, Breach> {
        if self.nodes[node].life != life || self.nodes[node].up.is_some() {
            return Ok(false);
        }
        // What is not synced is nobody's to read.
        if let Some((until, _)) = self.turn {
            self.calendar.put(until.max(self.now), Happening::Open { node, life });
            return Ok(false);
        }
        if self.chance.hits(self.faults.betrays) {
            self.disk.forget();
        }
        if self.chance.hits(self.faults.flip) {
            self.open_damaged()?;
        }
        let journal =
            self.disk.open().map_err(|error| Breach::new(Invariant::TheDiskIsRead, format!("{error:?}")))?;
        let driver = Driver::open(journal)
            .map_err(|error| Breach::new(Invariant::TheDiskIsRead, format!("{error:?}")))?;
        let driver = driver
            .with_compact_min(self.plan.compact_min)
            .with_record_max(usize::MAX, self.plan.record_facts);
        self.report.openings += 1;
        let last = driver.look(trainyard_core::Yard::now);
        let join = self.join(node);
        let this = &mut self.nodes[node];
        this.life += 1;
        let time = if self.plan.has_journal_clock { self.now } else { this.clock(self.now) }.max(last);
        this.up = Some(Up {
            driver,
            epoch: trainyard_core::Epoch::default(),
            inbox: vec![Call { command: join, is_users: false }],
            flight: None,
            renew_at: None,
            time,
            head: 0,
            tries: 0,
            is_noticed: false,
            is_leaving: false,
        });
        self.wake_at(node, self.now);
        Ok(true)
    }

    /// Damage is refused, wherever it is.
    fn open_damaged(&mut self) -> Result<(), Breach> {
        let bit = self.chance.any();
        let Some(damaged) = self.disk.flipped(bit) else { return Ok(()) };
        match damaged.open().map(Driver::open) {
            Err(error) if error.is_corrupt() || error.is_unknown_version() => {
                self.report.faults.add(Fault::FlippedBit);
                Ok(())
            }
            Err(error) => {
                Err(Breach::new(Invariant::TheDiskIsRead, format!("bit {bit} is flipped, and {error:?}")))
            }
            Ok(_) => Err(Breach::new(
                Invariant::TheDiskIsRead,
                format!("bit {bit} is flipped, and nobody notices"),
            )),
        }
    }

    pub(super) fn join(&self, node: usize) -> Command {
        let kinds = [(inside(), Placement::InProcess), (outside(), Placement::External)].into();
        let abilities = Abilities { kinds, capacity: self.plan.capacity.clone() };
        Command::JoinNode { node: self.nodes[node].id, abilities }
    }
}
