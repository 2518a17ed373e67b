//! Nodes take turns, and tell what has come of them.

use std::time::Duration;

use trainyard_core::{Answer, Command, Event, Fact, Timestamp};
use trainyard_runtime::{DriveError, Turned};

use super::calendar::Happening;
use super::checker::{Before, Breach, Checker, Invariant};
use super::disk::Fate;
use super::faults::{Fault, Faults};
use super::node::{Call, Flight, Up};
use super::world::{World, unexpected};

impl World {
    /// Somebody says something to a node.
    pub(super) fn call(&mut self, node: usize, command: Command, is_users: bool) {
        if let Some(up) = &mut self.nodes[node].up {
            up.inbox.push(Call { command, is_users });
            self.wake_at(node, self.now);
        }
    }

    /// A node is told to leave politely, if it can be.
    pub(super) fn leave(&mut self, node: usize) {
        let id = self.nodes[node].id;
        let Some(up) = self.nodes[node].up.as_mut().filter(|up| !up.is_leaving && up.epoch.get() > 0) else {
            return;
        };
        up.is_leaving = true;
        let leave = Command::LeaveNode { node: id, epoch: up.epoch };
        self.report.faults.add(Fault::Left);
        self.call(node, leave, false);
    }

    /// A node looks whether there is anything to do.
    pub(super) fn wake(&mut self, node: usize, life: u64) -> Result<bool, Breach> {
        let now = self.now;
        let this = &mut self.nodes[node];
        if this.life != life || this.wake_at != Some(now) {
            return Ok(false);
        }
        this.wake_at = None;
        // Whoever shares a clock goes by it, whatever its own shows.
        let clock = if self.plan.has_journal_clock { now } else { this.clock(now) };
        let Some(up) = this.up.as_mut().filter(|up| up.flight.is_none()) else { return Ok(false) };
        up.time = up.time.max(clock);
        let is_due = up.driver.next_deadline().is_some_and(|deadline| deadline <= up.time);
        let renews = up.renew_at.is_some_and(|at| at <= up.time);
        if !is_due && !renews && !up.is_noticed && up.inbox.is_empty() {
            self.sleep(node);
            return Ok(false);
        }
        if let Some((until, _)) = self.turn {
            // Somebody else has the turn: it waits.
            self.wake_at(node, until);
            return Ok(false);
        }
        self.take_turn(node, renews)?;
        Ok(true)
    }

    /// It looks again when something is due.
    pub(super) fn sleep(&mut self, node: usize) {
        let this = &self.nodes[node];
        let Some(up) = &this.up else { return };
        let at = [up.driver.next_deadline(), up.renew_at].into_iter().flatten().min();
        if let Some(at) = at {
            let shown = if self.plan.has_journal_clock { at } else { this.when(at) };
            let at =
                if at <= up.time { self.now } else { shown.max(self.now.after(Duration::from_millis(1))) };
            self.wake_at(node, at);
        }
    }

    fn take_turn(&mut self, node: usize, renews: bool) -> Result<(), Breach> {
        let id = self.nodes[node].id;
        let shown = self.nodes[node].clock(self.now);
        let Some(up) = &mut self.nodes[node].up else { return Ok(()) };
        let taken = up.inbox.len().min(BATCH_MAX);
        let mut calls: Vec<Call> = up.inbox.drain(..taken).collect();
        if renews {
            up.renew_at = None;
            calls.push(Call { command: Command::RenewNode { node: id, epoch: up.epoch }, is_users: false });
        }
        up.is_noticed = false;
        let now = if self.plan.has_journal_clock { shown } else { up.time };
        let (commands, users): (Vec<Command>, Vec<bool>) =
            calls.into_iter().map(|call| (call.command, call.is_users)).unzip();
        let before: Vec<Before> = commands.iter().map(|command| self.checker.before(command)).collect();
        let fault = self.plan_fault();
        let begins = self.disk.begins();
        if self.plan.has_journal_clock {
            self.disk.set_clock(Some(self.now));
        }
        self.report.turns += 1;
        let Some(up) = &mut self.nodes[node].up else { return Ok(()) };
        let turned = up.driver.turn(now, &commands);
        let is_begun = self.disk.begins() > begins;
        let has_struck = self.disk.unplan();
        let calls =
            commands.into_iter().zip(users).map(|(command, is_users)| Call { command, is_users }).collect();
        match turned {
            // What was planned for a later commit than there was has not happened.
            Ok(turned) => self.fly(node, Flight { calls, before, turned }),
            Err(DriveError::Journal(error)) if error.is_locked() && !is_begun => self.try_again(node, calls),
            Err(error) if fault.is_some() && has_struck => {
                if matches!(error, DriveError::Journal(_)) {
                    self.report.faults.add(fault.unwrap_or(Fault::FailedBefore));
                    up.inbox.splice(0..0, calls);
                    self.disk.sync();
                    self.feed()?;
                    self.go_down(node);
                    return Ok(());
                }
                Err(unexpected(format!("{error:?}")))
            }
            Err(error) => Err(unexpected(format!("{error:?}"))),
        }
    }

    /// What is to go wrong in the next turn.
    fn plan_fault(&mut self) -> Option<Fault> {
        let Faults { fails_before, fails_after, conflicts, locked, .. } = self.faults;
        if self.chance.hits(locked) {
            self.disk.lock_once();
        }
        for (odds, fate, fault) in [
            (fails_before, Fate::FailsBefore, Fault::FailedBefore),
            (fails_after, Fate::FailsAfter, Fault::FailedAfter),
            (conflicts, Fate::Conflicts, Fault::Conflict),
        ] {
            if self.chance.hits(odds) {
                let n = 1 + self.chance.below(2);
                self.disk.plan(n, fate);
                return Some(fault);
            }
        }
        None
    }

    /// Somebody else has the journal: so often it is tried again, and then the process gives up.
    fn try_again(&mut self, node: usize, calls: Vec<Call>) -> Result<(), Breach> {
        self.report.faults.add(Fault::Locked);
        let wait = Duration::from_millis(50) + self.chance.up_to(Duration::from_secs(2));
        let Some(up) = &mut self.nodes[node].up else { return Ok(()) };
        up.inbox.splice(0..0, calls);
        up.tries += 1;
        if up.tries >= BEGIN_TRIES {
            self.go_down(node);
        } else {
            self.wake_at(node, self.now.after(wait));
        }
        Ok(())
    }

    /// A turn is taken; what has come of it is told when its commit is over.
    fn fly(&mut self, node: usize, flight: Flight) -> Result<(), Breach> {
        let Faults { late, late_max, crash_in_commit, .. } = self.faults;
        let head = self.disk.head().get();
        let (now, life) = (self.now, self.nodes[node].life);
        let Some(up) = &mut self.nodes[node].up else { return Ok(()) };
        let Turned { now: then, own, compacted, .. } = flight.turned;
        if then < up.time && !self.plan.has_journal_clock {
            return Err(Breach::new(
                Invariant::TimeGoesOn,
                format!("a turn at {:?} is at {then:?}", up.time),
            ));
        }
        (up.tries, up.head) = (0, head);
        if !self.plan.has_journal_clock {
            up.time = up.time.max(then);
        }
        up.flight = Some(flight);
        if own == 0 && !compacted {
            self.told(node, life)?;
            return Ok(());
        }
        let mut latency = Duration::from_millis(1 + self.chance.below(4));
        if self.chance.hits(late) {
            self.report.faults.add(Fault::Late);
            latency = self.chance.up_to(late_max).max(latency);
        }
        let until = now.after(latency);
        self.turn = Some((until, node));
        self.calendar.put(until, Happening::Told { node, life });
        if self.chance.hits(crash_in_commit) {
            let after = self.chance.up_to(latency.saturating_sub(Duration::from_millis(1)));
            self.calendar.put(now.after(after), Happening::Kill { node, life });
        }
        Ok(())
    }

    /// A commit is over: what has come of the turn is told, and what follows from it is done.
    pub(super) fn told(&mut self, node: usize, life: u64) -> Result<bool, Breach> {
        if self.nodes[node].life != life {
            return Ok(false);
        }
        let Some(up) = &mut self.nodes[node].up else { return Ok(false) };
        let Some(flight) = up.flight.take() else { return Ok(false) };
        let Flight { calls, before, turned } = flight;
        if turned.own > 0 || turned.compacted {
            self.turn = None;
            self.disk.sync();
        }
        let fresh = self.feed()?;
        let own = &turned.facts[turned.facts.len() - turned.own..];
        if !fresh.ends_with(own) {
            return Err(Breach::new(
                Invariant::ReplayIsTheSame,
                format!("{own:?} was written, and {fresh:?} is there"),
            ));
        }
        self.report.compactions += u64::from(turned.compacted);
        let mut has_left = false;
        for ((call, before), answer) in calls.iter().zip(before).zip(&turned.answers) {
            self.report.answers += 1;
            self.report.refused += u64::from(answer.is_err());
            self.checker.told(&call.command, before, answer)?;
            if call.is_users {
                self.users.workload.hear(&call.command, answer);
            }
            match (answer, &call.command) {
                (Ok(Answer::Admitted { job, .. }), _) => self.users.jobs.push(*job),
                (Ok(Answer::Decided { job: Some(job), .. }), _) => self.users.jobs.push(*job),
                (Ok(Answer::Joined { epoch }), _) => {
                    if let Some(up) = &mut self.nodes[node].up {
                        up.epoch = *epoch;
                    }
                }
                (_, Command::LeaveNode { .. }) => has_left = true,
                (_, _) => {}
            }
        }
        self.checker.clear_forgotten();
        if has_left {
            self.go_down(node);
        } else {
            self.settle(node, &turned)?;
        }
        if turned.own > 0 {
            self.notify(node);
        }
        Ok(true)
    }

    /// Everything that follows from what is durable now.
    fn settle(&mut self, node: usize, turned: &Turned) -> Result<(), Breach> {
        let join = self.join(node);
        let this = &mut self.nodes[node];
        let Some(up) = this.up.take() else { return Ok(()) };
        let (consequences, alive_until, lease) = up.driver.look(|yard| {
            let me = yard.node(this.id).filter(|me| me.epoch == up.epoch);
            let lease = yard.settings().node_lease;
            let consequences = this.review(yard, (&turned.facts, up.epoch), turned.rebuilt.is_some());
            (consequences, me.and_then(|me| me.alive_until), lease)
        });
        if is_settled(&up) {
            up.driver.look(|yard| explain_some(yard, &turned.facts))?;
        }
        this.up = Some(up);
        let Some(up) = &mut this.up else { return Ok(()) };
        let lead = i64::try_from(super::chance::millis(lease) / 3 * 2).unwrap_or(i64::MAX);
        up.renew_at = alive_until.map(|until| Timestamp::from_millis(until.as_millis().saturating_sub(lead)));
        let knows_join = up.inbox.iter().any(|call| matches!(call.command, Command::JoinNode { .. }));
        if alive_until.is_none() && !up.is_leaving && !knows_join {
            up.inbox.push(Call { command: join, is_users: false });
        }
        up.inbox.extend(consequences.commands.into_iter().map(|command| Call { command, is_users: false }));
        for (run, hand) in consequences.starts {
            self.checker.began(self.nodes[node].id, run)?;
            self.report.starts += 1;
            self.runs.push(run);
            self.begin(node, run, hand);
        }
        for run in consequences.attached {
            self.checker.began(self.nodes[node].id, run)?;
            self.act_next(node, run);
        }
        for run in consequences.stops {
            self.tell_to_stop(node, run);
        }
        let has_more = self.nodes[node].up.as_ref().is_some_and(|up| !up.inbox.is_empty() || up.is_noticed);
        if has_more {
            self.wake_at(node, self.now)
        } else {
            self.sleep(node)
        }
        Ok(())
    }

    /// The others hear that there is news.
    fn notify(&mut self, writer: usize) {
        for node in 0..self.nodes.len() {
            if node == writer {
                continue;
            }
            if let Some(up) = self.nodes[node].up.as_mut().filter(|up| !up.is_noticed) {
                up.is_noticed = true;
                let after = Duration::from_millis(self.chance.below(20));
                self.wake_at(node, self.now.after(after));
            }
        }
    }
}

/// Whether its last turn has left nothing that was due.
pub(super) fn is_settled(up: &Up) -> bool {
    let now = up.driver.look(trainyard_core::Yard::now);
    up.driver.next_deadline().is_none_or(|deadline| deadline > now)
}

/// Of the jobs that these facts put into line, the first few are asked why they wait.
fn explain_some(yard: &trainyard_core::Yard, facts: &[Fact]) -> Result<(), Breach> {
    let waiting = facts.iter().filter_map(|fact| {
        if let Event::Submitted { submission } = &fact.event {
            return Some(submission.job);
        }
        if let Event::Interrupted { job, .. } | Event::Retried { job, .. } | Event::Unheld { job } =
            &fact.event
        {
            return Some(*job);
        }
        None
    });
    waiting.take(2).filter_map(|job| yard.job(job)).try_for_each(|job| Checker::explained(yard, job))
}

/// So many commands share a commit at most.
const BATCH_MAX: usize = 64;

/// How often a turn is begun, when somebody else has the journal, before the process gives up.
const BEGIN_TRIES: u32 = 5;
