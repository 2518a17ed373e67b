//! The runs of this node: derived from committed facts, never from what was decided and not yet durable.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use trainyard_core::{
    Advice, Candidate, Command, Contact, Epoch, Event, Fact, Failure, Gain, Job, JobId, Kind, Lease, NodeId,
    Outcome, Phase, Placement, Reason, Resources, Run, RunEnd, Timestamp, Yard,
};
use trainyard_journal::failpoint;

use crate::context::Wiring;
use crate::folder::DataFolder;
use crate::pool::Pool;
use crate::run::{Shared, Shown};
use crate::sync::{Arc, Mutex};
use crate::{CandidateToTrain, Context, JobToTrain, Stop, Trainer, telemetry, worker};

/// What works here.
pub(crate) struct Floor {
    pub(crate) node: NodeId,
    pub(crate) epoch: Epoch,
    pub(crate) trainers: BTreeMap<Kind, Registered>,
    pub(crate) threads: NonZeroUsize,
    pub(crate) capacity: Resources,
    pub(crate) pool: Arc<Pool>,
    pub(crate) wiring: Arc<Wiring>,
    /// Whether nothing is started any more.
    pub(crate) is_closing: bool,
    /// The runs whose trainer has not returned yet.
    pub(crate) runs: BTreeMap<Run, Runner>,
}

/// What trains a kind here.
pub(crate) struct Registered {
    pub(crate) placement: Placement,
    pub(crate) trainer: Arc<dyn Trainer>,
}

/// One run whose trainer has not returned yet.
pub(crate) struct Runner {
    pub(crate) shared: Arc<Shared>,
    /// The run from whose folder this one went on.
    pub(crate) resumed: Option<Run>,
    /// In which life of this node it was started.
    pub(crate) epoch: Epoch,
    /// When it may report durably again.
    pub(crate) report_after: Timestamp,
}

/// A run that is ready to be started.
pub(crate) struct Start {
    trainer: Arc<dyn Trainer>,
    context: Context,
    job: JobToTrain,
}

/// What committed facts mean for this node.
#[derive(Default)]
pub(crate) struct Consequences {
    pub(crate) starts: Vec<Start>,
    /// What the yard has to be told: runs that were over before they began, and those that were here all along.
    pub(crate) commands: Vec<Command>,
}

impl Floor {
    /// Compares the runs here with the yard as these facts have left it. Whoever has to stop is told so at once.
    pub(crate) fn review(&mut self, yard: &Yard, facts: &[Fact], all: bool) -> Consequences {
        let mut started = BTreeSet::new();
        let mut touched = BTreeSet::new();
        let mut recovering = BTreeSet::new();
        for fact in facts {
            touched.extend(job_of(&fact.event));
            if let Event::Started { job, node, .. } = &fact.event
                && *node == self.node
            {
                started.insert(*job);
            }
            if let Event::Recovering { job } = &fact.event {
                recovering.insert(*job);
            }
            if let Event::CandidateEnded { job, lease, outcome } = &fact.event
                && let Some(runner) = self.runs.get(&Run { job: *job, lease: *lease })
            {
                runner.shared.stop.raise(stop_by(outcome));
            }
        }
        if all {
            touched.extend(self.runs.keys().map(|run| run.job));
            started.extend(yard.occupying().map(|job| job.id));
            recovering.extend(yard.occupying().filter(|job| is_recovering(job)).map(|job| job.id));
        }
        started.extend(&recovering);
        for job in &touched {
            self.stop_whoever_must(yard, *job);
        }
        let mut consequences = Consequences::default();
        let is_alive = yard.node(self.node).is_some_and(|me| me.is_alive());
        for job in started.into_iter().filter_map(|job| yard.job(job)) {
            self.start_whoever_may(job, recovering.contains(&job.id), &mut consequences);
            if is_alive && is_recovering(job) {
                consequences.commands.extend(self.recover_whoever_is_here(job));
            }
        }
        consequences
    }

    /// Begins to train.
    pub(crate) fn start(&mut self, start: Start) -> Option<Command> {
        let Start { trainer, context, job } = start;
        let run = job.run;
        self.wiring.meters.runs_started.add(1);
        failpoint!(StartAhead);
        let begun = self.pool.run(Box::new(move || worker::work(&*trainer, context, &job)));
        let error = begun.err()?;
        self.leave(run);
        let reason = Reason::new(format!("no thread could be started for it: {error}"));
        Some(Command::Finish { run, end: RunEnd::Failed(Failure { reason, advice: Advice::Retry }) })
    }

    /// A trainer has returned.
    pub(crate) fn leave(&mut self, run: Run) -> Option<Runner> {
        let runner = self.runs.remove(&run)?;
        self.wiring.board.close(run);
        self.wiring.meters.runs_ended.add(1);
        if runner.shared.stop.is_given_up() {
            self.wiring.meters.stuck_threads.sub(1);
            telemetry::run_came_back(run);
        }
        Some(runner)
    }

    /// Everybody here is to stop; nobody is started any more.
    pub(crate) fn close(&mut self) {
        self.is_closing = true;
        for (run, runner) in &self.runs {
            runner.shared.stop.raise(Stop::ShuttingDown);
            telemetry::run_told_to_stop(*run, Stop::ShuttingDown);
        }
    }

    /// The run's newest, if it is to be made durable now; else when.
    pub(crate) fn fetch(
        &mut self,
        run: Run,
        now: Timestamp,
        next: Timestamp,
    ) -> Result<Option<Shown>, Timestamp> {
        let Some(runner) = self.runs.get_mut(&run) else {
            return Ok(None);
        };
        if now < runner.report_after {
            return Err(runner.report_after);
        }
        let shown = runner.shared.take_unsent();
        if shown.is_some() {
            runner.report_after = next;
        }
        Ok(shown)
    }

    fn stop_whoever_must(&self, yard: &Yard, job: JobId) {
        let first = Run { job, lease: Lease::new(0) };
        let last = Run { job, lease: Lease::new(u64::MAX) };
        for (run, runner) in self.runs.range(first..=last) {
            let job = yard.job(job);
            if !job.is_some_and(|job| self.live(job).contains(&run.lease)) {
                self.give_up_one(*run, runner);
            } else if let Some(stop) = job.and_then(|job| stop_for(job, run.lease)) {
                runner.shared.stop.raise(stop);
                self.wiring.board.close(*run);
                telemetry::run_told_to_stop(*run, stop);
            }
        }
    }

    fn give_up_one(&self, run: Run, runner: &Runner) {
        self.wiring.board.close(run);
        if runner.shared.stop.give_up() {
            self.wiring.meters.stuck_threads.add(1);
            telemetry::run_given_up(run);
        }
    }

    /// `is_outside`: it was at work outside of an earlier process of this node, and has yet to be found.
    fn start_whoever_may(&mut self, job: &Job, is_outside: bool, consequences: &mut Consequences) {
        let live: Vec<Lease> = self.live(job).to_vec();
        let sharing = live.len();
        for lease in live {
            let run = Run { job: job.id, lease };
            if self.runs.contains_key(&run) || self.is_closing {
                continue;
            }
            let stop = stop_for(job, lease);
            let end = match (stop, self.trainers.get(&job.class.kind)) {
                // Over or not, what is at work outside has to be found: nobody else can stop it.
                (_, Some(Registered { placement: Placement::External, trainer })) if is_outside => {
                    let trainer = Arc::clone(trainer);
                    let start = self.prepare(trainer, job, run, sharing, Contact::Recovering);
                    if let Some(stop) = stop {
                        start.context.shared.stop.raise(stop);
                    }
                    consequences.starts.push(start);
                    continue;
                }
                (None, Some(_)) if is_outside => {
                    let reason = format!("{} is trained inside of the process now", job.class.kind);
                    RunEnd::Interrupted { reason: Reason::new(reason) }
                }
                (None, Some(Registered { trainer, .. })) => {
                    let start = self.prepare(Arc::clone(trainer), job, run, sharing, Contact::Held);
                    consequences.starts.push(start);
                    continue;
                }
                // It was over in the same commit.
                (Some(_), _) => RunEnd::Stopped,
                (None, None) => {
                    let reason =
                        Reason::new(format!("no trainer for {} was registered here", job.class.kind));
                    RunEnd::Failed(Failure { reason, advice: Advice::GiveUp })
                }
            };
            consequences.commands.push(Command::Finish { run, end });
        }
    }

    /// This process was not heard of for a while, and its runs were here all along.
    fn recover_whoever_is_here(&self, job: &Job) -> Option<Command> {
        let run = Run { job: job.id, lease: *self.live(job).first()? };
        let was_here = self.runs.get(&run).is_some_and(|runner| runner.epoch != self.epoch);
        was_here.then_some(Command::Recover { run, epoch: self.epoch })
    }

    fn prepare(
        &mut self,
        trainer: Arc<dyn Trainer>,
        job: &Job,
        run: Run,
        sharing: usize,
        contact: Contact,
    ) -> Start {
        let candidate = job.contest().and_then(|contest| Some((contest, contest.by_lease(run.lease)?)));
        let standing = candidate.map(|(_, candidate)| &candidate.standing).or(job.standing());
        let resume = standing.and_then(|standing| standing.checkpoint.clone());
        let resumed = resume.as_ref().and_then(|checkpoint| DataFolder::run_of(&checkpoint.reference));
        let shared = Arc::new(Shared::new(run));
        let context = Context {
            shared: Arc::clone(&shared),
            wiring: Arc::clone(&self.wiring),
            dir: self.wiring.folder.of_run(run),
            resume,
            contact,
            target: candidate.map(|(contest, _)| contest.target),
            steps_count: job.class.limits.stall.is_some_and(|rule| matches!(rule.gain, Gain::Steps(_))),
            threads: self.share(&job.class.resources, sharing),
            seed: seed(job.id, candidate.map(|(_, candidate)| candidate)),
            metrics: Mutex::default(),
            said: Mutex::default(),
        };
        let job = JobToTrain {
            id: job.id,
            subject: job.subject.clone(),
            kind: job.class.kind.clone(),
            parameters: job.parameters.clone(),
            attempt: job.attempts,
            run,
            watermark: job.watermark(),
            candidate: candidate.map(|(contest, candidate)| CandidateToTrain {
                id: candidate.id,
                label: candidate.label.clone(),
                parameters: candidate.parameters.clone(),
                target: contest.target,
            }),
        };
        self.wiring.board.open(run);
        self.runs.insert(run, Runner { shared, resumed, epoch: self.epoch, report_after: Timestamp::MIN });
        Start { trainer, context, job }
    }

    /// The leases of a job that are at work on this node in its present life.
    fn live<'a>(&self, job: &'a Job) -> &'a [Lease] {
        let (node, epoch, live) = match &job.phase {
            Phase::Waiting(_) => return &[],
            Phase::Running(running) => (running.node, running.epoch, &running.live),
            Phase::Finished(finished) => match &finished.draining {
                Some(draining) => (draining.node, draining.epoch, &draining.live),
                None => return &[],
            },
        };
        if (node, epoch) == (self.node, self.epoch) { live } else { &[] }
    }

    /// A run's part of the threads: as large as the job's part of the slots, shared among its candidates.
    fn share(&self, needs: &Resources, sharing: usize) -> NonZeroUsize {
        let slots = self.capacity.amount(Resources::SLOT).max(1);
        let mine = u128::from(needs.amount(Resources::SLOT).clamp(1, slots));
        let threads = self.threads.get() as u128 * mine / u128::from(slots) / sharing.max(1) as u128;
        NonZeroUsize::new(usize::try_from(threads).unwrap_or(1)).unwrap_or(NonZeroUsize::MIN)
    }
}

fn is_recovering(job: &Job) -> bool {
    job.running().is_some_and(|running| running.contact == Contact::Recovering)
}

/// Why a run that is still at work has to stop, if it has.
fn stop_for(job: &Job, lease: Lease) -> Option<Stop> {
    match &job.phase {
        Phase::Waiting(_) => Some(Stop::FencedOff),
        Phase::Finished(finished) => Some(stop_by(&finished.outcome)),
        Phase::Running(running) => {
            let is_in = match job.contest() {
                None => lease == running.lease,
                Some(contest) => contest.by_lease(lease).is_some(),
            };
            // A candidate that is out was told why when it was put out; this is the mildest of those reasons.
            (!is_in).then_some(Stop::Superseded)
        }
    }
}

fn stop_by(outcome: &Outcome) -> Stop {
    match outcome {
        Outcome::Completed { .. } | Outcome::Superseded => Stop::Superseded,
        Outcome::TimedOut(_) => Stop::OutOfTime,
        Outcome::Stalled => Stop::Stalled,
        Outcome::Cancelled { .. } => Stop::Cancelled,
        Outcome::Failed { .. } => Stop::FencedOff,
    }
}

/// The job whose runs an event may concern.
fn job_of(event: &Event) -> Option<JobId> {
    match event {
        Event::Started { job, .. }
        | Event::CandidateEnded { job, .. }
        | Event::Interrupted { job, .. }
        | Event::Retried { job, .. }
        | Event::Recovering { job }
        | Event::Finished { job, .. }
        | Event::Released { job, .. } => Some(*job),
        Event::Ticked
        | Event::Configured(_)
        | Event::NodeJoined { .. }
        | Event::NodeAlive { .. }
        | Event::NodeLost { .. }
        | Event::QueueConfigured { .. }
        | Event::RetentionSet { .. }
        | Event::QueuePaused { .. }
        | Event::QueueResumed { .. }
        | Event::Submitted { .. }
        | Event::Updated { .. }
        | Event::Reported { .. }
        | Event::Reached { .. }
        | Event::HandedOver { .. }
        | Event::Checkpointed { .. }
        | Event::Held { .. }
        | Event::Unheld { .. }
        | Event::Recovered { .. }
        | Event::RuleSet { .. }
        | Event::RuleRemoved { .. }
        | Event::Decided { .. }
        | Event::ModelRegistered { .. }
        | Event::ModelActivated { .. }
        | Event::ModelsForgotten { .. }
        | Event::Retired { .. }
        | Event::Forgotten { .. }
        | Event::Restored(_) => None,
    }
}

/// The same for every attempt of a job, another one for every job and candidate.
fn seed(job: JobId, candidate: Option<&Candidate>) -> u64 {
    let (high, low) = job.as_uuid().as_u64_pair();
    let (third, fourth) = candidate.map_or((0, 0), |candidate| candidate.id.as_uuid().as_u64_pair());
    [high, low, third, fourth].into_iter().fold(0, |seed, part| mix(seed ^ part))
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
const fn mix(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}
