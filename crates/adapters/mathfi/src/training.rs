//! Training: started, read, followed, cancelled.

use std::sync::Arc;

use trainyard_core::port::Handle;
use trainyard_core::{
    Admission, CandidateId, Class, ContestPlan, Entrant, JobId, Reason, Resource, Submission,
};
use trainyard_http::{Request, Response, StatusCode};
use uuid::Uuid;

use crate::fault::Fault;
use crate::host::{Dataset, DatasetId, DatasetState, Host, Shape, UserId};
use crate::map;
use crate::parameters::TrainParameters;
use crate::seen::Seen;
use crate::service::{Edge, MathFi};
use crate::told::Progress;
use crate::wire::answers::{TrainingStarted, TrainingStatus};
use crate::wire::requests::NewTraining;

/// What a node has of, and a contest needs for its dataset.
const MEMORY: &str = "memory_mib";

impl<H: Handle + ?Sized, S: Host + ?Sized> MathFi<H, S> {
    pub(crate) async fn start_training(
        &self,
        user: UserId,
        id: DatasetId,
        request: Request,
    ) -> Result<Response, Fault> {
        let wanted: NewTraining = self.json(request).await?;
        let submission = self.work(move |edge| edge.prepare_training(user, id, &wanted)).await?;
        let job = submission.job;
        let url = self.edge.url(&format!("training/{job}/progress"))?;
        self.edge.handle.submit(submission).await.map_err(|error| map::unanswered(&error))?;
        let answer = TrainingStarted {
            training_job_key: job.as_uuid(),
            dataset_key: id.as_uuid(),
            // When it was taken in; it may be at work by now.
            status: TrainingStatus::Pending,
            training_job_progress_url: url,
        };
        Ok(Response::json(StatusCode::CREATED, &answer))
    }

    pub(crate) fn read_training(&self, user: UserId, key: Uuid) -> Result<Response, Fault> {
        let seen = self.edge.seen(user, JobId::new(key))?;
        Ok(Response::json(StatusCode::OK, &seen.read()))
    }

    pub(crate) fn training_progress(&self, user: UserId, key: Uuid) -> Result<Response, Fault> {
        let edge = &*self.edge;
        edge.is_going()?;
        let Progress { dataset, json } = edge.progress(JobId::new(key))?;
        edge.owned(user, dataset, TRAINING_JOB)?;
        Ok(Response::bytes(StatusCode::OK, "application/json", json))
    }

    pub(crate) async fn cancel_training(&self, user: UserId, key: Uuid) -> Result<Response, Fault> {
        let job = JobId::new(key);
        self.edge.seen(user, job)?;
        let reason = Reason::new("cancelled by the user");
        self.edge.handle.cancel(job, reason).await.map_err(|error| map::unanswered(&error))?;
        // It is cancelled: nothing that breaks from here on may say otherwise.
        Ok(Response::json(StatusCode::OK, &self.edge.look(job)?.progress()))
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    /// A contest about a dataset of this user.
    fn seen(&self, user: UserId, job: JobId) -> Result<Seen, Fault> {
        self.is_going()?;
        let seen = self.look(job)?;
        self.owned(user, seen.dataset, TRAINING_JOB)?;
        Ok(seen)
    }

    /// A contest, all of it at one moment.
    fn look(&self, job: JobId) -> Result<Seen, Fault> {
        let mut seen = None;
        self.handle.read(&mut |yard| seen = Seen::look(yard, job, &self.settings.class().kind));
        seen.ok_or_else(|| map::not_found(TRAINING_JOB))
    }

    /// The progress of a contest, all of it at one moment. Of one that is over it is put into words once.
    fn progress(&self, job: JobId) -> Result<Progress, Fault> {
        let kind = &self.settings.class().kind;
        let (mut known, mut fresh) = (None, None);
        self.handle.read(&mut |yard| {
            let there = yard.job(job).filter(|job| job.class.kind == *kind);
            let is_over = there.is_some_and(|job| job.is_finished() && job.draining().is_none());
            known = is_over.then(|| self.told.find(job)).flatten();
            if known.is_none() {
                fresh = Seen::look(yard, job, kind).map(|seen| (seen, is_over));
            }
        });
        if let Some(known) = known {
            return Ok(known);
        }
        let (seen, is_over) = fresh.ok_or_else(|| map::not_found(TRAINING_JOB))?;
        let dataset = seen.dataset;
        let progress = Progress { dataset, json: seen.progress().to_json() };
        if is_over {
            self.told.keep(job, progress.clone());
        }
        Ok(progress)
    }

    fn prepare_training(
        &self,
        user: UserId,
        id: DatasetId,
        wanted: &NewTraining,
    ) -> Result<Submission, Fault> {
        let dataset = self.dataset(user, id)?;
        let shape = ready(&dataset)?;
        let (needed, most) = (shape.memory_mib, self.host.training_memory_mib());
        if needed > most {
            let words = "MiB of memory for a training, and this service has";
            return Err(Fault::conflict(format!("The dataset needs {needed} {words} {most} MiB")));
        }
        let parameters = TrainParameters { scaling_factor: wanted.scaling_factor, buckets: dataset.buckets }
            .to_parameters();
        let entrants = self.settings.line_up(shape.classes).labels().iter().map(|label| Entrant {
            id: CandidateId::new(self.handle.job_id().as_uuid()),
            label: label.clone(),
            parameters: parameters.clone(),
        });
        let plan = ContestPlan {
            target: wanted.target,
            candidates: entrants.collect(),
            median: self.settings.median(),
        };
        let class = Arc::new(self.class_for(&shape));
        let mut submission = Submission::new(self.handle.job_id(), id.subject(), class);
        submission.parameters = parameters;
        submission.admission = Admission::Queue;
        submission.watermark = Some(shape.rows);
        submission.contest = Some(Arc::new(plan));
        Ok(submission)
    }

    fn class_for(&self, shape: &Shape) -> Class {
        let mut class = self.settings.class().clone();
        let memory = Resource::new(MEMORY).expect("a short word is a resource");
        class.resources = class.resources.with(memory, shape.memory_mib);
        // The dataset's own: that is where its models are looked for.
        class.registry = None;
        class
    }
}

const TRAINING_JOB: &str = "Training job";

fn ready(dataset: &Dataset) -> Result<Shape, Fault> {
    let words = match &dataset.state {
        DatasetState::Completed(shape) => return Ok(*shape),
        DatasetState::Pending => "The dataset has no data yet",
        DatasetState::Processing => "The dataset is being prepared",
        DatasetState::Failed { .. } => "The data of the dataset cannot be used",
    };
    Err(Fault::conflict(words))
}
