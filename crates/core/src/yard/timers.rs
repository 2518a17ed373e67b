//! Everything that happens by itself, in one table ordered by time.

use crate::contest::{exhausted, out_of_time};
use crate::fact::Interruption;
use crate::{
    Event, Fact, Job, Lease, NodeId, Order, Outcome, Phase, Reason, Release, Running, Subject, TimedOut,
    Timestamp,
};

use super::Yard;
use super::finish::{release_part, released};

/// What is due at its time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A job has waited for too long.
    QueueTime(Order),
    /// A job has run for too long.
    Time(Order),
    /// A job, or one of its candidates, has gained too little.
    Stall(Order),
    /// A trainer that was asked to stop has not.
    Drain(Order),
    /// A node was not heard of.
    NodeLease(NodeId),
    /// A cooldown or its like is over.
    Rule(Subject),
}

impl Yard {
    /// What the timer that is due first leads to.
    pub(super) fn decide_due(&self, now: Timestamp) -> Option<Vec<Fact>> {
        let fact = |event| Fact { at: now, event };
        if self.delayed.first().is_some_and(|(at, _)| *at <= now) {
            return Some(vec![fact(Event::Ticked)]);
        }
        let (_, timer) = self.timers.first().filter(|(at, _)| *at <= now)?;
        Some(match timer {
            Timer::QueueTime(order) => {
                vec![finished(now, &self.jobs[*order], Outcome::TimedOut(TimedOut::Waiting))]
            }
            Timer::Time(order) => self.decide_time(now, &self.jobs[*order]),
            Timer::Stall(order) => self.decide_stall(now, &self.jobs[*order]),
            Timer::Drain(order) => give_up(now, &self.jobs[*order]),
            Timer::NodeLease(node) => {
                let reason = Reason::new("its node was not heard of in time");
                let mut facts = self.interrupt_node(now, *node, Interruption::Abrupt, &reason);
                facts.push(fact(Event::NodeLost { node: *node }));
                facts
            }
            Timer::Rule(subject) => self.reconsider(now, subject),
        })
    }

    /// The time is over. While somebody holds the win only the others are out, and the holders have the grace of the
    /// class to hand over; after that the first who has done so wins.
    fn decide_time(&self, now: Timestamp, job: &Job) -> Vec<Fact> {
        let over = || vec![finished(now, job, out_of_time())];
        let Some(contest) = job.contest().filter(|contest| contest.holder().is_some()) else {
            return over();
        };
        let mut out = contest.without_the_target().peekable();
        if out.peek().is_none() {
            return contest
                .first_handed_over()
                .and_then(|first| self.crown(now, job, first, None))
                .unwrap_or_else(over);
        }
        let ended = |lease| Event::CandidateEnded { job: job.id, lease, outcome: out_of_time() };
        out.map(|lease| Fact { at: now, event: ended(lease) }).collect()
    }

    fn decide_stall(&self, now: Timestamp, job: &Job) -> Vec<Fact> {
        match (job.contest(), &job.class.limits.stall) {
            (Some(contest), Some(rule)) => contest
                .next_stall(rule)
                .map(|(_, lease)| self.end_candidate(now, job, lease, exhausted(), None))
                .unwrap_or_default(),
            (None, _) | (_, None) => vec![finished(now, job, Outcome::Stalled)],
        }
    }

    /// The times at which a job changes by itself, as far as they lie ahead of the yard's time or are due.
    pub(super) fn timers_of(&self, job: &Job) -> [Option<(Timestamp, Timer)>; 3] {
        let limits = &job.class.limits;
        match &job.phase {
            Phase::Waiting(_) => {
                let queue_time = limits.queue_time.filter(|_| job.attempts.get() == 0);
                [
                    queue_time.map(|limit| (job.submitted_at.after(limit), Timer::QueueTime(job.order))),
                    None,
                    None,
                ]
            }
            Phase::Running(running) => {
                let stall = limits.stall.as_ref().and_then(|rule| match job.contest() {
                    Some(contest) => contest.next_stall(rule).map(|(at, _)| at),
                    None => Some(rule.deadline(job.standing()?.mark?)),
                });
                [
                    time_over_at(job).map(|at| (at, Timer::Time(job.order))),
                    stall.map(|at| (at, Timer::Stall(job.order))),
                    next_given_up(job, running).map(|(at, _)| (at, Timer::Drain(job.order))),
                ]
            }
            Phase::Finished(finished) => [
                finished.draining.as_ref().map(|draining| (draining.deadline, Timer::Drain(job.order))),
                None,
                None,
            ],
        }
    }
}

/// When the time of a job is over for those that run: whoever holds the win of a contest has some more.
fn time_over_at(job: &Job) -> Option<Timestamp> {
    let limit = job.time_limit_at()?;
    let holders_only = job
        .contest()
        .is_some_and(|contest| contest.holder().is_some() && contest.without_the_target().next().is_none());
    Some(if holders_only { limit.after(job.class.limits.grace) } else { limit })
}

/// Whoever was asked to stop and has not is given up: all runs of a job that is over; of a contest that goes on the
/// run of a candidate that is out whose grace is over first.
fn give_up(now: Timestamp, job: &Job) -> Vec<Fact> {
    match &job.phase {
        Phase::Waiting(_) => vec![],
        Phase::Running(running) => next_given_up(job, running)
            .map(|(_, lease)| release_part(now, job, running, lease, Release::GivenUp))
            .unwrap_or_default(),
        Phase::Finished(finished) => {
            let live = finished.draining.iter().flat_map(|draining| &draining.live);
            live.map(|lease| released(now, job, *lease, Release::GivenUp)).collect()
        }
    }
}

/// Which run of a candidate that is out is given up first, if it does not stop, and when.
fn next_given_up(job: &Job, running: &Running) -> Option<(Timestamp, Lease)> {
    let contest = job.contest()?;
    if running.live.len() <= contest.candidates.iter().filter(|one| one.lease().is_some()).count() {
        return None;
    }
    let out = running.live.iter().filter(|lease| contest.by_lease(**lease).is_none());
    let since = |lease: &Lease| {
        let known = running.leaving.iter().find(|leaving| leaving.lease == *lease);
        // Snapshots of the first releases did not say whose run it is; it was put out at the latest with the last.
        known.map(|leaving| leaving.since).or_else(|| contest.last_end())
    };
    out.filter_map(|lease| Some((since(lease)?.after(job.class.limits.grace), *lease))).min()
}

/// A job is over; whoever is still at work on it has its grace to stop.
pub(super) fn finished(now: Timestamp, job: &Job, outcome: Outcome) -> Fact {
    finished_with(now, job, outcome, None)
}

/// The same, where one run has ended by itself.
pub(super) fn finished_with(now: Timestamp, job: &Job, outcome: Outcome, released: Option<Lease>) -> Fact {
    let deadline = now.after(job.class.limits.grace);
    Fact { at: now, event: Event::Finished { job: job.id, outcome, released, deadline } }
}
