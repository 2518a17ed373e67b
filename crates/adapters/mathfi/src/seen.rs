//! A training job as it stands: one consistent look at the yard.

use trainyard_core::{Candidate, CandidateId, Job, JobId, Kind, Metric, ModelId, Outcome, Score, Yard};

use crate::host::DatasetId;
use crate::map::{self, Begun, TEST_PERFORMANCE, TRAINING_PERFORMANCE};
use crate::parameters::TrainParameters;
use crate::wire::answers::{ChildProgress, TrainingProgress, TrainingRead, TrainingStatus, rounded};

/// What of a contest matters here, taken at one moment.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) job: JobId,
    pub(crate) dataset: DatasetId,
    status: TrainingStatus,
    target: Score,
    scaling_factor: Option<u16>,
    children: Vec<Child>,
    won: Option<Won>,
}

#[derive(Debug)]
struct Child {
    id: CandidateId,
    algorithm: String,
    status: TrainingStatus,
    recent: Vec<Score>,
}

/// What a completed contest has brought.
#[derive(Debug)]
struct Won {
    model: ModelId,
    achieved: Option<Score>,
    training: Option<Score>,
    test: Option<Score>,
}

impl Seen {
    /// The contest of this id; `None` when there is none, or no more, or it is another sort of job.
    pub(crate) fn look(yard: &Yard, job: JobId, kind: &Kind) -> Option<Self> {
        let job = yard.job(job).filter(|job| job.class.kind == *kind)?;
        let contest = job.contest()?;
        let dataset = DatasetId::of(&job.subject)?;
        let begun = if job.attempts.get() > 0 { Begun::Yes } else { Begun::No };
        let scaling_factor = TrainParameters::from_bytes(job.parameters.as_bytes()).ok();
        Some(Self {
            job: job.id,
            dataset,
            status: map::job_status(&job.phase, begun),
            target: contest.target,
            scaling_factor: scaling_factor.map(|parameters| parameters.scaling_factor),
            children: contest
                .candidates
                .iter()
                .map(|candidate| Child::of(candidate, job.outcome(), begun))
                .collect(),
            won: Won::look(yard, job),
        })
    }

    pub(crate) fn read(&self) -> TrainingRead {
        let shown = |score: Option<Score>| score.map(|score| rounded(score.get()));
        let won = self.won.as_ref();
        TrainingRead {
            training_job_key: self.job.as_uuid(),
            dataset_key: self.dataset.as_uuid(),
            status: self.status,
            target_performance: self.target.get(),
            scaling_factor: self.scaling_factor,
            achieved_performance: shown(won.and_then(|won| won.achieved)),
            training_performance: shown(won.and_then(|won| won.training)),
            test_performance: shown(won.and_then(|won| won.test)),
            model_key: won.map(|won| won.model.as_uuid()),
        }
    }

    pub(crate) fn progress(self) -> TrainingProgress {
        TrainingProgress {
            status: self.status,
            target_performance: Some(self.target.get()),
            jobs: self.children.into_iter().map(Child::progress).collect(),
        }
    }
}

impl Child {
    fn of(candidate: &Candidate, whole: Option<&Outcome>, begun: Begun) -> Self {
        Self {
            id: candidate.id,
            algorithm: candidate.label.to_string(),
            status: map::part_status(&candidate.phase, whole, begun),
            recent: candidate.standing.window.recent().to_vec(),
        }
    }

    fn progress(self) -> ChildProgress {
        let recent: Vec<f64> = self.recent.iter().map(|score| rounded(score.get())).collect();
        ChildProgress {
            training_job_key: self.id.as_uuid(),
            algorithm: self.algorithm,
            status: self.status,
            latest_performance: recent.last().copied(),
            recent_performances: recent,
        }
    }
}

impl Won {
    /// A model that is forgotten is still the one that was made; only its figures are not known any more.
    fn look(yard: &Yard, job: &Job) -> Option<Self> {
        let Some(Outcome::Completed { model: Some(model) }) = job.outcome() else {
            return None;
        };
        let figures = yard.model(*model);
        let figure = |name: &str| figures?.metrics.get(&Metric::new(name).ok()?).copied();
        let champion = job.contest().and_then(|contest| contest.champion());
        Some(Self {
            model: *model,
            achieved: champion.and_then(|champion| champion.standing.window.latest()),
            training: figure(TRAINING_PERFORMANCE),
            test: figure(TEST_PERFORMANCE),
        })
    }
}
