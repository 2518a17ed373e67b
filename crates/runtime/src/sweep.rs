//! Nothing is left behind on disk that no record names.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use trainyard_core::{CandidatePhase, Event, Fact, Job, JobId, Lease, Model, ModelId, Phase, Run, Yard};
use trainyard_journal::failpoint;

use crate::context::Wiring;
use crate::folder::DataFolder;
use crate::pool::{Afterwards, Pool};
use crate::sync::{Arc, Condvar, Mutex};
use crate::telemetry;

/// The folders of attempts, and what needs them.
///
/// A folder is needed by the run that writes in it, by one that went on from it, by the checkpoint of an unfinished
/// job, by what a candidate of such a job has handed over, and by a model.
pub(crate) struct Folders {
    /// Which there are, or may be, and the models in them.
    models: BTreeMap<Run, BTreeSet<ModelId>>,
    owners: BTreeMap<ModelId, Run>,
}

impl Folders {
    /// Looks what is there.
    pub(crate) fn open(folder: &DataFolder, yard: &Yard) -> io::Result<Self> {
        let models = folder.runs()?.into_iter().map(|run| (run, BTreeSet::new())).collect();
        let mut folders = Self { models, owners: BTreeMap::new() };
        for model in yard.registries().flat_map(|registry| yard.models(registry)) {
            folders.add_model(model);
        }
        Ok(folders)
    }

    /// A run has made one.
    pub(crate) fn add(&mut self, run: Run) {
        self.models.entry(run).or_default();
    }

    /// Those that nobody needs once these facts are durable; they are forgotten here. `in_use` are the folders that
    /// runs of this process need.
    pub(crate) fn orphans(
        &mut self,
        yard: &Yard,
        facts: &[Fact],
        ended: &[JobId],
        in_use: &BTreeSet<Run>,
    ) -> Vec<Run> {
        let mut jobs: BTreeSet<JobId> = ended.iter().copied().collect();
        for fact in facts {
            self.touched(&fact.event, &mut jobs);
        }
        let touched = jobs.into_iter().flat_map(|job| self.of_job(job)).collect();
        self.forget_unneeded(yard, touched, in_use)
    }

    /// The same for all of them.
    pub(crate) fn all_orphans(&mut self, yard: &Yard, in_use: &BTreeSet<Run>) -> Vec<Run> {
        for model in yard.registries().flat_map(|registry| yard.models(registry)) {
            self.add_model(model);
        }
        let all = self.models.keys().copied().collect();
        self.forget_unneeded(yard, all, in_use)
    }

    fn add_model(&mut self, model: &Model) {
        if let Some(run) = DataFolder::run_of(&model.artifact) {
            self.models.entry(run).or_default().insert(model.id);
            self.owners.insert(model.id, run);
        }
    }

    /// The jobs whose folders an event may have made superfluous.
    fn touched(&mut self, event: &Event, jobs: &mut BTreeSet<JobId>) {
        match event {
            Event::Checkpointed { job, .. }
            | Event::CandidateEnded { job, .. }
            | Event::Interrupted { job, .. }
            | Event::Retried { job, .. }
            | Event::Finished { job, .. }
            | Event::Released { job, .. } => drop(jobs.insert(*job)),
            Event::ModelRegistered { model } => self.add_model(model),
            Event::ModelsForgotten { models } => {
                jobs.extend(models.iter().filter_map(|model| self.owners.get(model)).map(|run| run.job));
            }
            Event::Retired { .. } => jobs.extend(self.owners.values().map(|run| run.job)),
            Event::Forgotten { jobs: forgotten } => jobs.extend(forgotten),
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
            | Event::Started { .. }
            | Event::Reported { .. }
            | Event::Reached { .. }
            | Event::HandedOver { .. }
            | Event::Held { .. }
            | Event::Unheld { .. }
            | Event::Recovering { .. }
            | Event::Recovered { .. }
            | Event::RuleSet { .. }
            | Event::RuleRemoved { .. }
            | Event::Decided { .. }
            | Event::ModelActivated { .. }
            | Event::Restored(_) => {}
        }
    }

    fn of_job(&self, job: JobId) -> impl Iterator<Item = Run> {
        let first = Run { job, lease: Lease::new(0) };
        let last = Run { job, lease: Lease::new(u64::MAX) };
        self.models.range(first..=last).map(|(run, _)| *run)
    }

    fn forget_unneeded(&mut self, yard: &Yard, candidates: Vec<Run>, in_use: &BTreeSet<Run>) -> Vec<Run> {
        let mut orphans = Vec::new();
        for run in candidates {
            let Some(models) = self.models.get_mut(&run) else {
                continue;
            };
            models.retain(|model| {
                let stays = yard.model(*model).is_some();
                if !stays {
                    self.owners.remove(model);
                }
                stays
            });
            let is_needed = !models.is_empty()
                || in_use.contains(&run)
                || yard.job(run.job).is_some_and(|job| may_write(job, run.lease) || goes_on_from(job, run));
            if !is_needed {
                self.models.remove(&run);
                orphans.push(run);
            }
        }
        orphans
    }
}

fn may_write(job: &Job, lease: Lease) -> bool {
    match &job.phase {
        Phase::Waiting(_) => false,
        Phase::Running(running) => running.live.contains(&lease),
        Phase::Finished(finished) => {
            finished.draining.as_ref().is_some_and(|left| left.live.contains(&lease))
        }
    }
}

/// Whether an unfinished job has a checkpoint in the folder of a run, or something that a candidate has handed over.
fn goes_on_from(job: &Job, run: Run) -> bool {
    let candidates = job.contest().into_iter().flat_map(|contest| &contest.candidates);
    let candidates = candidates.filter(|candidate| !candidate.is_out());
    let standings = candidates.clone().map(|candidate| &candidate.standing).chain(job.standing());
    let checkpoints = standings.filter_map(|standing| standing.checkpoint.as_ref());
    let artifacts = candidates.filter_map(|candidate| match &candidate.phase {
        CandidatePhase::HandedOver { trained, .. } => trained.artifact.as_ref(),
        CandidatePhase::Pending | CandidatePhase::Running { .. } | CandidatePhase::Ended { .. } => None,
    });
    !job.is_finished()
        && checkpoints
            .map(|checkpoint| &checkpoint.reference)
            .chain(artifacts)
            .any(|reference| DataFolder::run_of(reference) == Some(run))
}

/// Removes folders beside everything else.
#[derive(Default)]
pub(crate) struct Broom {
    busy: Arc<(Mutex<usize>, Condvar)>,
}

impl Broom {
    /// Removes these, on a thread of the pool.
    pub(crate) fn sweep(&self, pool: &Pool, wiring: &Arc<Wiring>, runs: Vec<Run>) {
        if runs.is_empty() {
            return;
        }
        let (wiring, busy) = (Arc::clone(wiring), Arc::clone(&self.busy));
        *busy.0.lock() += 1;
        let task = Box::new(move || {
            for run in runs {
                failpoint!(SweepAhead);
                match wiring.folder.remove(run) {
                    Ok(()) => {
                        failpoint!(Swept);
                        wiring.meters.folders_removed.add(1);
                    }
                    Err(error) => telemetry::folder_not_removed(&wiring.folder.of_run(run), &error),
                }
            }
            *busy.0.lock() -= 1;
            busy.1.notify_all();
            Afterwards::Reuse
        });
        if pool.run(task).is_err() {
            // No thread to be had: they are found again at the next open.
            *self.busy.0.lock() -= 1;
        }
    }

    /// Waits until all is swept, but not for ever: what is left is found again at the next open.
    pub(crate) fn rest(&self) {
        let (count, done) = &*self.busy;
        done.wait_while_for(&mut count.lock(), |count| *count > 0, REST_MAX);
    }
}

const REST_MAX: Duration = Duration::from_secs(10);
