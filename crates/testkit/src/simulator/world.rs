//! Everything there is in a simulation, and what happens in it, one event after the other.

use std::collections::HashMap;
use std::time::Duration;

use trainyard_core::{Command, JobId, ModelId, NodeId, Priority, Run, Timestamp};
use trainyard_journal::Position;

use super::calendar::{Calendar, Happening};
use super::chance::Chance;
use super::checker::{Breach, Checker, Invariant, Violation};
use super::disk::{Disk, Tail};
use super::faults::{Fault, Faults};
use super::node::Node;
use super::report::Report;
use super::simulation::{Plan, Simulation};
use super::trainer::TrainerModel;
use super::workload::Workload;

/// A simulation that runs.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) now: Timestamp,
    pub(super) events: u64,
    pub(super) calendar: Calendar,
    pub(super) disk: Disk,
    pub(super) nodes: Vec<Node>,
    pub(super) checker: Checker,
    /// How far in the journal the checker is.
    pub(super) heard: Position,
    /// None, once they have stopped.
    pub(super) faults: Faults,
    pub(super) chance: Chance,
    pub(super) users: Users,
    pub(super) trainer: Box<dyn TrainerModel>,
    pub(super) trainers: Chance,
    /// Runs that there were or are.
    pub(super) runs: Ring<Run>,
    pub(super) ids: u128,
    /// Who has the turn, and until when.
    pub(super) turn: Option<(Timestamp, usize)>,
    /// Since when everything is to end.
    pub(super) calm_since: Option<Timestamp>,
    pub(super) is_drained: bool,
    pub(super) audit_at: u64,
    /// When jobs that have not been started could have been.
    pub(super) waiting: HashMap<JobId, (Timestamp, Priority)>,
    pub(super) report: Report,
}

/// Those who ask.
pub(super) struct Users {
    pub(super) workload: Box<dyn Workload>,
    pub(super) chance: Chance,
    pub(super) next: Option<Command>,
    /// What was never answered, and is asked again.
    pub(super) again: Vec<Command>,
    pub(super) is_asking_again: bool,
    pub(super) wishes: u64,
    pub(super) jobs: Ring<JobId>,
    pub(super) models: Ring<ModelId>,
}

/// The newest few of many.
#[derive(Debug)]
pub(super) struct Ring<T>(Vec<T>);

impl<T> Ring<T> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn push(&mut self, thing: T) {
        if self.0.len() >= 2 * super::workload::UserScene::KNOWN_MAX {
            self.0.drain(..super::workload::UserScene::KNOWN_MAX);
        }
        self.0.push(thing);
    }

    pub(super) fn newest(&self) -> &[T] {
        let skip = self.0.len().saturating_sub(super::workload::UserScene::KNOWN_MAX);
        &self.0[skip..]
    }
}

impl World {
    pub(super) fn new(simulation: Simulation) -> Self {
        let Simulation { plan, workload, trainer } = simulation;
        let seed = plan.seed;
        let nodes = (0..plan.nodes).map(|n| Node {
            id: NodeId::from_u128(n as u128 + 1),
            life: 0,
            skew: 0,
            up: None,
            hands: std::collections::BTreeMap::new(),
            wake_at: None,
        });
        Self {
            now: Timestamp::from_millis(START),
            events: 0,
            calendar: Calendar::default(),
            disk: Disk::lazy(),
            nodes: nodes.collect(),
            checker: Checker::new(),
            heard: Position::START,
            faults: plan.faults,
            chance: Chance::new(seed, 0),
            users: Users {
                workload,
                chance: Chance::new(seed, 1),
                next: None,
                again: Vec::new(),
                is_asking_again: false,
                wishes: 0,
                jobs: Ring::new(),
                models: Ring::new(),
            },
            trainer,
            trainers: Chance::new(seed, 2),
            runs: Ring::new(),
            ids: 1 << 64,
            turn: None,
            calm_since: None,
            is_drained: false,
            audit_at: plan.audit_every,
            waiting: HashMap::new(),
            report: Report { seed, ..Report::default() },
            plan,
        }
    }

    pub(super) fn run(mut self) -> Result<Report, Violation> {
        match self.go_on() {
            Ok(()) => Ok(self.report()),
            Err(breach) => Err(Violation { seed: self.plan.seed, event: self.events, at: self.now, breach }),
        }
    }

    fn go_on(&mut self) -> Result<(), Breach> {
        for node in 0..self.nodes.len() {
            self.calendar.put(self.now, Happening::Open { node, life: 0 });
        }
        self.users.again.extend(self.opening_orders());
        self.ask_again_at(self.now);
        self.wish_next();
        let mut spins = 0;
        while !self.is_drained {
            let Some((at, what)) = self.calendar.next() else {
                self.calm_down();
                continue;
            };
            if at > self.now {
                (self.now, spins) = (at, 0);
            }
            spins += 1;
            if spins > SPINS_MAX {
                return Err(Breach::new(
                    Invariant::EverythingEnds,
                    format!("it goes round and round: {what:?}"),
                ));
            }
            if !self.happen(what)? {
                continue;
            }
            self.events += 1;
            self.misfortune()?;
            if self.events >= self.plan.events && self.calm_since.is_none() {
                self.calm_down();
            }
            // Only between commits is what is written all there is.
            if self.events >= self.audit_at && self.turn.is_none() {
                self.audit_at = self.events + self.plan.audit_every;
                self.audit()?;
            }
        }
        self.audit()
    }

    /// Lets something happen; says whether it was an event, or something that was not meant any more.
    fn happen(&mut self, what: Happening) -> Result<bool, Breach> {
        match what {
            Happening::Wish => Ok(self.wish()),
            Happening::Again => Ok(self.ask_again()),
            Happening::Act { node, run, token } => self.act(node, run, token),
            Happening::Wake { node, life } => self.wake(node, life),
            Happening::Told { node, life } => self.told(node, life),
            Happening::Kill { node, life } => {
                if self.nodes[node].life != life || self.nodes[node].up.is_none() {
                    return Ok(false);
                }
                self.kill(node)?;
                Ok(true)
            }
            Happening::Open { node, life } => self.open(node, life),
            Happening::Operate => self.operate(),
        }
    }

    /// What goes wrong by itself.
    fn misfortune(&mut self) -> Result<(), Breach> {
        let Faults { crash, leave, jump, jump_max, .. } = self.faults;
        if self.chance.hits(crash) {
            let node = self.any_node();
            if self.nodes[node].up.is_some() {
                self.report.faults.add(Fault::Crash);
                self.kill(node)?;
            }
        }
        if self.chance.hits(leave) {
            let node = self.any_node();
            self.leave(node);
        }
        if self.chance.hits(jump) {
            let node = self.any_node();
            let by = i64::try_from(super::chance::millis(self.chance.up_to(jump_max))).unwrap_or(0);
            let forth = self.chance.below(2) == 0;
            self.report.faults.add(if forth { Fault::JumpedForth } else { Fault::JumpedBack });
            // Around the true time, so that clocks do not wander off.
            self.nodes[node].skew = if forth { by } else { -by };
            self.wake_at(node, self.now);
        }
        Ok(())
    }

    /// A process is killed, whatever it is doing.
    pub(super) fn kill(&mut self, node: usize) -> Result<(), Breach> {
        let has_turn = self.turn.take_if(|(_, who)| *who == node).is_some();
        if has_turn {
            let (tail, fault) = match self.chance.below(3) {
                0 => (Tail::Kept, Fault::TailKept),
                1 => (Tail::Lost, Fault::TailLost),
                _ => {
                    let thousandths = u16::try_from(self.chance.below(1_000)).unwrap_or(0);
                    (Tail::Torn { thousandths }, Fault::TailTorn)
                }
            };
            self.report.faults.add(fault);
            self.disk.crash(tail);
            self.feed()?;
        }
        self.go_down(node);
        Ok(())
    }

    /// The process is gone. What was not answered never will be, and after a while it is started again.
    pub(super) fn go_down(&mut self, node: usize) {
        let up = self.nodes[node].die();
        let calls = up
            .into_iter()
            .flat_map(|up| up.flight.into_iter().flat_map(|flight| flight.calls).chain(up.inbox));
        let calls: Vec<_> = calls.filter(|call| call.is_users).collect();
        for call in calls {
            if self.chance.hits(self.faults.asks_again) {
                self.report.faults.add(Fault::AskedAgain);
                self.users.again.push(call.command);
            }
        }
        let after = self.chance.up_to(Duration::from_secs(5));
        self.ask_again_at(self.now.after(after));
        let after = Duration::from_millis(10) + self.chance.around(self.faults.away_max / 16);
        let life = self.nodes[node].life;
        self.calendar.put(self.now.after(after), Happening::Open { node, life });
    }

    pub(super) fn any_node(&mut self) -> usize {
        usize::try_from(self.chance.below(self.nodes.len() as u64)).unwrap_or(0)
    }

    pub(super) fn id(&mut self) -> u128 {
        self.ids += 1;
        self.ids
    }

    /// A node looks at this moment, at the latest, whether there is anything to do.
    pub(super) fn wake_at(&mut self, node: usize, at: Timestamp) {
        let at = at.max(self.now);
        let this = &mut self.nodes[node];
        if this.up.as_ref().is_none_or(|up| up.flight.is_some())
            || this.wake_at.is_some_and(|sooner| sooner <= at)
        {
            return;
        }
        this.wake_at = Some(at);
        let life = this.life;
        self.calendar.put(at, Happening::Wake { node, life });
    }

    fn report(self) -> Report {
        let start = Timestamp::from_millis(START);
        let drained_in = self.calm_since.map(|since| self.now.since(since)).unwrap_or_default();
        Report { events: self.events, virtual_time: self.now.since(start), drained_in, ..self.report }
    }
}

pub(super) fn unexpected(what: impl std::fmt::Display) -> Breach {
    Breach::new(Invariant::NothingFailsByItself, what.to_string())
}

/// So much may happen at one moment.
const SPINS_MAX: u64 = 1_000_000;

/// When a simulation starts: some day, so that nothing depends on the time being small.
const START: i64 = 1_700_000_000_000;
