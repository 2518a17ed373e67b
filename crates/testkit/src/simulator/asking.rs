//! Users ask, and an operator clears up.

use std::time::Duration;

use trainyard_core::{Command, Event, Fact, Phase, QueueName, QueueSettings, Run, Timestamp};
use trainyard_journal::codec;

use super::calendar::Happening;
use super::checker::{Breach, Checker, Invariant};
use super::faults::Faults;
use super::turns::is_settled;
use super::workload::{UserScene, Wish};
use super::world::{World, unexpected};

impl World {
    /// What is asked for before anybody else asks for anything.
    pub(super) fn opening_orders(&self) -> Vec<Command> {
        let queue = |(name, settings): &(String, QueueSettings)| {
            let queue = QueueName::new(name.as_str()).ok()?;
            Some(Command::ConfigureQueue { queue, settings: *settings })
        };
        let configure = Command::Configure(self.plan.settings);
        std::iter::once(configure).chain(self.plan.queues.iter().filter_map(queue)).collect()
    }

    /// Users think of the next thing.
    pub(super) fn wish_next(&mut self) {
        let users = &mut self.users;
        let mut scene = UserScene {
            now: self.now,
            number: users.wishes,
            jobs: users.jobs.newest(),
            models: users.models.newest(),
            chance: &mut users.chance,
            ids: &mut self.ids,
        };
        users.next = users.workload.next(&mut scene).map(|Wish { after, command }| {
            self.calendar.put(self.now.after(after), Happening::Wish);
            command
        });
    }

    pub(super) fn wish(&mut self) -> bool {
        if self.calm_since.is_some() {
            return false;
        }
        let Some(command) = self.users.next.take() else { return false };
        self.users.wishes += 1;
        self.say(command);
        self.wish_next();
        true
    }

    /// What was never answered is asked again at this moment, or sooner if that is so already.
    pub(super) fn ask_again_at(&mut self, at: Timestamp) {
        if !self.users.again.is_empty() && !std::mem::replace(&mut self.users.is_asking_again, true) {
            self.calendar.put(at, Happening::Again);
        }
    }

    pub(super) fn ask_again(&mut self) -> bool {
        self.users.is_asking_again = false;
        let again = std::mem::take(&mut self.users.again);
        let is_any = !again.is_empty();
        again.into_iter().for_each(|command| self.say(command));
        is_any
    }

    /// Somebody says something to any node that is there, or later when none is.
    fn say(&mut self, command: Command) {
        let count = self.nodes.len();
        let first = self.any_node();
        let there = (0..count)
            .map(|n| (first + n) % count)
            .find(|node| self.nodes[*node].up.as_ref().is_some_and(|up| !up.is_leaving));
        match there {
            Some(node) => self.call(node, command, true),
            None => {
                self.users.again.push(command);
                self.ask_again_at(self.now.after(Duration::from_secs(1)));
            }
        }
    }

    /// Faults and wishes stop, and everything has to end.
    pub(super) fn calm_down(&mut self) {
        self.faults = Faults::none();
        self.calm_since = Some(self.now);
        let hands = |(node, this): (usize, &super::node::Node)| -> Vec<(usize, Run)> {
            this.hands.iter().filter(|(_, hand)| hand.is_attached).map(|(run, _)| (node, *run)).collect()
        };
        let hands: Vec<(usize, Run)> = self.nodes.iter().enumerate().flat_map(hands).collect();
        for (node, run) in hands {
            if self.nodes[node].hands.get(&run).is_some_and(|hand| hand.is_told) {
                self.tell_to_stop(node, run);
            } else {
                self.act_next(node, run);
            }
        }
        self.calendar.put(self.now, Happening::Operate);
    }

    /// What is paused goes on, what is held is released, and no queue is closed.
    pub(super) fn operate(&mut self) -> Result<bool, Breach> {
        let since = self.calm_since.unwrap_or(self.now);
        let is_up = |node: &super::node::Node| {
            node.up
                .as_ref()
                .is_some_and(|up| up.flight.is_none() && up.inbox.is_empty() && up.epoch.get() > 0)
        };
        let all_up = self.nodes.iter().all(is_up);
        self.is_drained = all_up && self.users.again.is_empty() && self.checker.left().next().is_none();
        if self.is_drained {
            return Ok(true);
        }
        if self.now.since(since) > self.plan.drain_max {
            return Err(self.stuck());
        }
        let Some(up) = self.nodes.iter().find_map(|node| node.up.as_ref().filter(|up| up.epoch.get() > 0))
        else {
            self.calendar.put(self.now.after(OPERATE_EVERY), Happening::Operate);
            return Ok(true);
        };
        let mut orders = Vec::new();
        up.driver.look(|yard| {
            for (name, queue) in yard.queues() {
                if queue.paused.is_some() {
                    orders.push(Command::ResumeQueue { queue: name.clone() });
                }
                if queue.settings.running_max.is_some() {
                    let settings = QueueSettings { running_max: None, ..queue.settings };
                    orders.push(Command::ConfigureQueue { queue: name.clone(), settings });
                }
            }
            for job in yard.jobs() {
                if let Phase::Waiting(waiting) = &job.phase
                    && waiting.held.is_some()
                {
                    orders.push(Command::Unhold { job: job.id });
                }
            }
        });
        orders.into_iter().for_each(|order| self.say(order));
        self.calendar.put(self.now.after(OPERATE_EVERY), Happening::Operate);
        Ok(true)
    }

    fn stuck(&self) -> Breach {
        let left: Vec<_> = self.checker.left().collect();
        let first = left.first().and_then(|id| {
            let up = self.nodes.iter().find_map(|node| node.up.as_ref())?;
            up.driver.look(|yard| {
                Some(format!("{:?}, kept by {:?}", yard.job(*id)?, yard.explain(yard.now(), *id)?))
            })
        });
        let after = self.plan.drain_max;
        Breach::new(
            Invariant::EverythingEnds,
            format!(
                "{} jobs are left {after:?} after the faults have stopped, such as {first:?}",
                left.len()
            ),
        )
    }

    /// The checker takes in what has become durable, as it is on the disk.
    pub(super) fn feed(&mut self) -> Result<Vec<Fact>, Breach> {
        let mut fresh = Vec::new();
        for (position, bytes) in self.disk.take_tape() {
            if position != self.heard.next() {
                let what = format!("record {position} comes after {}", self.heard);
                return Err(Breach::new(Invariant::TheDiskIsRead, what));
            }
            self.heard = position;
            let facts =
                codec::decode(&bytes).map_err(|error| unexpected(format!("record {position}: {error}")))?;
            self.report.records += 1;
            for fact in &facts {
                self.checker.take(fact)?;
                self.count(fact);
            }
            fresh.extend(facts);
        }
        self.report.facts += fresh.len() as u64;
        Ok(fresh)
    }

    fn count(&mut self, fact: &Fact) {
        let Fact { at, event } = fact;
        if let Event::Submitted { submission } = event {
            let could = submission.not_before.unwrap_or(*at).max(*at);
            self.waiting.insert(submission.job, (could, submission.priority));
        } else if let Event::Started { job, .. } = event {
            if let Some((since, priority)) = self.waiting.remove(job) {
                self.report.waits.entry(priority).or_default().add(at.since(since));
            }
        } else if let Event::Finished { job, outcome, .. } = event {
            self.waiting.remove(job);
            self.report.outcomes.add(outcome);
        } else if let Event::Decided { decision, .. } = event {
            self.report.decisions += 1;
            self.report.fired += u64::from(matches!(decision.verdict, trainyard_core::Verdict::Train(_)));
        } else if let Event::ModelRegistered { model } = event {
            self.users.models.push(model.id);
        }
    }

    /// Looks at everything at once: the journal is read anew from its bytes.
    pub(super) fn audit(&mut self) -> Result<(), Breach> {
        self.report.audits += 1;
        let facts =
            self.disk.facts().map_err(|error| Breach::new(Invariant::TheDiskIsRead, format!("{error:?}")))?;
        let yard = Checker::replay(&facts)?;
        self.checker.audit(&yard)?;
        let head = self.disk.head().get();
        for up in self.nodes.iter().filter_map(|node| node.up.as_ref()) {
            if up.head == head && up.flight.is_none() {
                up.driver.look(|replica| Checker::same(Invariant::ReplicasAgree, replica, &yard))?;
                if is_settled(up) {
                    Checker::settled(&yard)?;
                }
            }
        }
        Ok(())
    }
}

/// How often the operator looks.
const OPERATE_EVERY: Duration = Duration::from_secs(5);
