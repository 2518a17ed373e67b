//! What follows from what is durable.

use std::collections::BTreeSet;

use trainyard_core::{Answer, Command, Event, Fact, Rejection, Run, Timestamp, Yard};
use trainyard_journal::failpoint;

use super::Engine;
use crate::call::Reply;
use crate::house::House;
use crate::sync::Arc;
use crate::{DriveError, Turned, telemetry};

impl Engine {
    /// Everything that follows from what is durable now.
    pub(crate) fn settle(&mut self, turned: Turned) -> Result<(), DriveError> {
        let Turned { facts, rebuilt, answers, .. } = &turned;
        let house = Arc::clone(&self.house);
        let yard = house.committed.read();
        for answer in answers {
            if let Ok(Answer::Joined { epoch }) = answer {
                self.floor.epoch = *epoch;
            }
        }
        let me = yard.node(self.floor.node);
        if me.is_none_or(|me| me.epoch != self.floor.epoch) {
            return Err(DriveError::Replaced(self.floor.node));
        }
        let alive_until = me.and_then(|me| me.alive_until);
        self.agenda.renew_at = alive_until.map(|until| {
            let lead = i64::try_from(yard.settings().node_lease.as_millis() / 3 * 2).unwrap_or(i64::MAX);
            Timestamp::from_millis(until.as_millis().saturating_sub(lead))
        });
        let consequences = self.floor.review(&yard, facts, rebuilt.is_some());
        let in_use = self.folders_in_use();
        let ended = std::mem::take(&mut self.agenda.ended);
        let orphans = match rebuilt {
            Some(_) => self.folders.all_orphans(&yard, &in_use),
            None => self.folders.orphans(&yard, facts, &ended, &in_use),
        };
        if let Some(skipped) = rebuilt {
            tell_anew(&house, &yard);
            house.hub.skip(*skipped as u64);
        }
        drop(yard);

        self.count(&turned);
        let Turned { facts, first, answers, .. } = turned;
        let replies = std::mem::take(&mut self.agenda.unanswered);
        self.count_repeats(&facts, &replies, &answers);
        for fact in &facts {
            if let Event::Finished { job, outcome, .. } = &fact.event {
                house.waiters.over(*job, Ok(outcome));
            }
        }
        house.hub.publish(first, facts);
        failpoint!(AnswersAhead);
        let mut answers = answers.into_iter();
        for reply in replies {
            reply.answer(&mut answers);
            failpoint!(Answered);
        }
        failpoint!(StartsAhead);
        let commands = consequences.commands.into_iter();
        let broken =
            consequences.starts.into_iter().filter_map(|start| self.floor.start(start)).collect::<Vec<_>>();
        for end in commands.chain(broken) {
            self.agenda.planned.push(end, Reply::Nobody("end of a run"));
        }
        if alive_until.is_none() && !self.floor.is_closing {
            telemetry::rejoined();
            let join = Command::JoinNode { node: self.floor.node, abilities: self.abilities.clone() };
            self.agenda.planned.push(join, Reply::Joined);
        }
        self.broom.sweep(&self.floor.pool, &self.floor.wiring, orphans);
        Ok(())
    }

    /// The folders that the runs of this process write in, or went on from.
    fn folders_in_use(&self) -> BTreeSet<Run> {
        let runs = &self.floor.runs;
        runs.keys().copied().chain(runs.values().filter_map(|runner| runner.resumed)).collect()
    }

    fn count(&self, turned: &Turned) {
        let meters = &self.floor.wiring.meters;
        let own = turned.own;
        meters.commands.add(turned.answers.len());
        meters.rejections.add(turned.answers.iter().filter(|answer| answer.is_err()).count());
        meters.commits.add(usize::from(own > 0));
        meters.facts.add(own);
        meters.news.add(turned.facts.len().saturating_sub(own));
        meters.compactions.add(usize::from(turned.compacted));
    }

    /// Counts how often each rule has said what it said before.
    fn count_repeats(&mut self, facts: &[Fact], replies: &[Reply], answers: &[Result<Answer, Rejection>]) {
        let repeats = &mut self.agenda.repeats;
        let mut answers = answers.iter();
        for reply in replies {
            let mine = answers.by_ref().take(reply.commands());
            if let Reply::Observed(subject, _) = reply {
                *repeats.entry(subject.clone()).or_default() +=
                    mine.filter(|answer| answer.is_ok()).count() as u64;
            } else {
                mine.for_each(drop);
            }
        }
        for fact in facts {
            if let Event::Decided { subject, .. }
            | Event::RuleRemoved { subject }
            | Event::Retired { subject } = &fact.event
            {
                repeats.remove(subject);
            }
        }
    }
}

/// Whoever waits is told what was missed, when what happened in between is not known fact by fact.
fn tell_anew(house: &House, yard: &Yard) {
    for job in house.waiters.jobs() {
        match yard.job(job).map(|job| job.outcome()) {
            Some(None) => {}
            Some(Some(outcome)) => house.waiters.over(job, Ok(outcome)),
            None => house.waiters.over(job, Err(Rejection::NoJob(job))),
        }
    }
}
