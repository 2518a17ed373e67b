//! A process that has the journal open, and what works in it.

use std::collections::BTreeMap;

use trainyard_core::{
    Command, Contact, Epoch, Event, Fact, Job, JobId, Kind, Lease, NodeId, Parameters, Phase, Placement, Run,
    RunEnd, Score, Subject, Timestamp, Yard,
};
use trainyard_runtime::{Driver, Turned};

use super::checker::Before;
use super::trainer::Deed;

/// One node, up or not.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    /// How often it has come up or gone down.
    pub(super) life: u64,
    /// By how many milliseconds its clock is wrong.
    pub(super) skew: i64,
    pub(super) up: Option<Up>,
    /// What works here. What works outside of the process stays when it dies.
    pub(super) hands: BTreeMap<Run, Hand>,
    /// When it looks next whether there is anything to do.
    pub(super) wake_at: Option<Timestamp>,
}

/// A process.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) driver: Driver,
    pub(super) epoch: Epoch,
    pub(super) inbox: Vec<Call>,
    pub(super) flight: Option<Flight>,
    pub(super) renew_at: Option<Timestamp>,
    /// Its own time, which never goes back.
    pub(super) time: Timestamp,
    /// How far in the journal it was after its last turn.
    pub(super) head: u64,
    /// How often its turn has failed to begin.
    pub(super) tries: u32,
    pub(super) is_noticed: bool,
    pub(super) is_leaving: bool,
}

/// A turn whose commit is under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) calls: Vec<Call>,
    pub(super) before: Vec<Before>,
    pub(super) turned: Turned,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) command: Command,
    pub(super) is_users: bool,
}

/// A run whose trainer has not returned.
#[derive(Debug)]
pub(super) struct Hand {
    pub(super) kind: Kind,
    pub(super) subject: Subject,
    pub(super) parameters: Parameters,
    pub(super) watermark: Option<u64>,
    pub(super) attempt: u32,
    pub(super) candidate: Option<(usize, Score)>,
    pub(super) step: u64,
    pub(super) acts: u32,
    pub(super) memory: u64,
    pub(super) epoch: Epoch,
    /// Which of its acts in the calendar is meant.
    pub(super) token: u64,
    pub(super) deed: Option<Deed>,
    pub(super) is_told: bool,
    /// It was told to stop and has not, and its slot was given away.
    pub(super) is_given_up: bool,
    pub(super) is_outside: bool,
    /// Whether its process is there to speak for it.
    pub(super) is_attached: bool,
}

/// What committed facts mean for a node.
#[derive(Debug, Default)]
pub(super) struct Consequences {
    pub(super) starts: Vec<(Run, Hand)>,
    pub(super) attached: Vec<Run>,
    pub(super) stops: Vec<Run>,
    pub(super) commands: Vec<Command>,
}

impl Node {
    /// What its clock shows.
    pub(super) const fn clock(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(now.as_millis().saturating_add(self.skew))
    }

    /// When its clock shows this.
    pub(super) const fn when(&self, shown: Timestamp) -> Timestamp {
        Timestamp::from_millis(shown.as_millis().saturating_sub(self.skew))
    }

    /// The process is gone, and what worked in it.
    pub(super) fn die(&mut self) -> Option<Up> {
        self.life += 1;
        self.wake_at = None;
        self.hands.retain(|_, hand| hand.is_outside && !hand.is_given_up);
        for hand in self.hands.values_mut() {
            hand.is_attached = false;
            hand.token += 1;
        }
        self.up.take()
    }

    /// Compares what works here with the yard as these facts have left it.
    pub(super) fn review(
        &mut self,
        yard: &Yard,
        (facts, epoch): (&[Fact], Epoch),
        all: bool,
    ) -> Consequences {
        let mut consequences = Consequences::default();
        let mut touched: Vec<JobId> = facts.iter().filter_map(|fact| job_of(&fact.event)).collect();
        let mut begun: Vec<JobId> = facts.iter().filter_map(|fact| begins(&fact.event, self.id)).collect();
        if all {
            touched.extend(self.hands.keys().map(|run| run.job));
            begun.extend(yard.occupying().map(|job| job.id));
        }
        touched.sort_unstable();
        touched.dedup();
        begun.sort_unstable();
        begun.dedup();
        let me = (self.id, epoch);
        for id in touched {
            let job = yard.job(id);
            let first = Run { job: id, lease: Lease::new(0) };
            let last = Run { job: id, lease: Lease::new(u64::MAX) };
            for (run, hand) in self.hands.range_mut(first..=last) {
                if !job.is_some_and(|job| live(job, me).contains(&run.lease)) {
                    hand.is_given_up |= hand.is_attached;
                } else if !hand.is_told
                    && hand.is_attached
                    && job.is_some_and(|job| must_stop(job, run.lease))
                {
                    hand.is_told = true;
                    consequences.stops.push(*run);
                }
            }
        }
        for job in begun.into_iter().filter_map(|job| yard.job(job)) {
            self.begin(job, me, &mut consequences);
        }
        // Of those nobody has hold of, whoever is not to be looked for is cleared away.
        self.hands.retain(|run, hand| {
            hand.is_attached || yard.job(run.job).is_some_and(|job| live(job, me).contains(&run.lease))
        });
        consequences
    }

    fn begin(&mut self, job: &Job, me: (NodeId, Epoch), consequences: &mut Consequences) {
        let is_lost = job.running().is_some_and(|running| running.contact == Contact::Recovering);
        for lease in live(job, me) {
            let run = Run { job: job.id, lease: *lease };
            let is_over = must_stop(job, *lease);
            match self.hands.get_mut(&run) {
                Some(hand) => {
                    if !hand.is_attached {
                        hand.is_attached = true;
                        consequences.attached.push(run);
                        if is_over && !hand.is_told {
                            hand.is_told = true;
                            consequences.stops.push(run);
                        }
                    }
                    hand.epoch = me.1;
                }
                // It was over in the same commit.
                None if is_over => consequences.commands.push(Command::Finish { run, end: RunEnd::Stopped }),
                None => consequences.starts.push((run, hand(job, run, me.1))),
            }
            if is_lost && !is_over {
                consequences.commands.push(Command::Recover { run, epoch: me.1 });
            }
        }
    }
}

fn hand(job: &Job, run: Run, epoch: Epoch) -> Hand {
    let candidate = job.contest().and_then(|contest| {
        let place = contest.candidates.iter().position(|one| one.lease() == Some(run.lease))?;
        Some((place, contest.target, &contest.candidates[place]))
    });
    let standing = candidate.map(|(_, _, one)| &one.standing).or_else(|| job.standing());
    let checkpoint = standing.and_then(|standing| standing.checkpoint.as_ref());
    Hand {
        kind: job.class.kind.clone(),
        subject: job.subject.clone(),
        parameters: candidate.map_or(&job.parameters, |(_, _, one)| &one.parameters).clone(),
        watermark: job.watermark(),
        attempt: job.attempts.get(),
        candidate: candidate.map(|(place, target, _)| (place, target)),
        step: checkpoint.map_or(0, |checkpoint| checkpoint.step),
        acts: 0,
        memory: 0,
        epoch,
        token: 0,
        deed: None,
        is_told: false,
        is_given_up: false,
        is_outside: job.running().is_some_and(|running| running.placement == Placement::External),
        is_attached: true,
    }
}

/// The leases of a job that are at work on this node in this life.
fn live(job: &Job, me: (NodeId, Epoch)) -> &[Lease] {
    let (node, epoch, live) = match &job.phase {
        Phase::Waiting(_) => return &[],
        Phase::Running(running) => (running.node, running.epoch, &running.live),
        Phase::Finished(finished) => match &finished.draining {
            Some(draining) => (draining.node, draining.epoch, &draining.live),
            None => return &[],
        },
    };
    if (node, epoch) == me { live } else { &[] }
}

/// Whether a run that is still at work is to stop.
fn must_stop(job: &Job, lease: Lease) -> bool {
    match &job.phase {
        Phase::Waiting(_) | Phase::Finished(_) => true,
        Phase::Running(_) => job.contest().is_some_and(|contest| contest.by_lease(lease).is_none()),
    }
}

/// The job whose attempt begins here, or has to be found here.
fn begins(event: &Event, me: NodeId) -> Option<JobId> {
    if let Event::Started { job, node, .. } = event {
        return (*node == me).then_some(*job);
    }
    if let Event::Recovering { job } = event { Some(*job) } else { None }
}

/// The job whose runs an event may concern.
fn job_of(event: &Event) -> Option<JobId> {
    if let Event::CandidateEnded { job, .. }
    | Event::Interrupted { job, .. }
    | Event::Retried { job, .. }
    | Event::Recovering { job }
    | Event::Finished { job, .. }
    | Event::Released { job, .. } = event
    {
        return Some(*job);
    }
    None
}
