//! Jobs: started, followed, taken back; and what there is in numbers.

use std::sync::Arc;

use trainyard_core::port::{Handle, HandleError};
use trainyard_core::{
    Admission, Blocker, Job, JobId, Model, Outcome, Phase, Reason, Rejection, Score, Submission, Timestamp,
    Yard,
};
use trainyard_http::{Bytes, Request, Response, StatusCode};
use uuid::Uuid;

use crate::fault::Fault;
use crate::host::{Backend, DatasetId, Host, ModelNotes, RunNotes, Runtime, Task};
use crate::map;
use crate::marks::Mark;
use crate::parameters::{Source, TrainParameters};
use crate::service::{Edge, Eliza, created, ok};
use crate::told::Telling;
use crate::wire::answers::{self, JobOptions, JobRecord, JobWord, Millis, One, Status};
use crate::wire::requests::{Chosen, NewJob};

impl<H: Handle + ?Sized, S: Host + ?Sized> Eliza<H, S> {
    pub(crate) async fn status(&self) -> Result<Response, Fault> {
        self.work(|edge| {
            edge.is_going()?;
            let datasets = edge.host.datasets().map_err(|error| map::broken(&error))?;
            edge.status(datasets.len())
        })
        .await
    }

    /// The same, when nothing of it blocks.
    pub(crate) fn status_at_once(&self) -> Option<Result<Response, Fault>> {
        Some(self.edge.status(self.edge.host.dataset_count()?))
    }

    pub(crate) async fn list_backends(&self) -> Result<Response, Fault> {
        self.work(|edge| Ok(ok(&One::Backends(answers::backend_list(&edge.host.backends()))))).await
    }

    pub(crate) async fn list_jobs(&self) -> Result<Response, Fault> {
        self.work(|edge| {
            edge.is_going()?;
            let mut lines_left = edge.limits().log_lines_listed;
            let records = edge.sights(edge.limits().jobs_listed, |_| true).into_iter().map(|sight| {
                let mark = edge.mark(sight.job.id);
                let record = edge.job_record(sight, mark, lines_left)?;
                lines_left -= record.logs.len();
                Ok(record)
            });
            Ok(ok(&One::Jobs(records.collect::<Result<Vec<_>, Fault>>()?)))
        })
        .await
    }

    pub(crate) async fn start_job(&self, request: Request) -> Result<Response, Fault> {
        let wanted = NewJob::of(&self.members(request).await?)?;
        // On its way before anything is waited for: a client that hangs up has asked all the same.
        let submitted = self.work(move |edge| {
            edge.is_going()?;
            Ok(edge.handle.submit(edge.prepare(wanted)?))
        });
        let receipt = submitted.await?.await.map_err(|error| map::not_started(&error))?;
        self.work(move |edge| Ok(created(&One::Job(edge.job(receipt.job)?)))).await
    }

    pub(crate) async fn read_job(&self, id: &str) -> Result<Response, Fault> {
        let id = job_id(id)?;
        self.work(move |edge| {
            edge.is_going()?;
            edge.tell_job(id)
        })
        .await
    }

    /// The same, when it was told before and still holds: nothing of that blocks.
    pub(crate) fn read_job_at_once(&self, id: JobId) -> Option<Result<Response, Fault>> {
        if let Err(fault) = self.edge.is_going() {
            return Some(Err(fault));
        }
        let json = self.edge.told_before(id)?;
        Some(Ok(Response::bytes(StatusCode::OK, "application/json", json)))
    }

    /// A job that is over stays as it is. Whatever the body holds, it is not read.
    pub(crate) async fn cancel_job(&self, id: &str) -> Result<Response, Fault> {
        let id = job_id(id)?;
        let cancelled = self.work(move |edge| {
            edge.is_going()?;
            let sight = edge.sight(id)?;
            let reason = || Reason::new("somebody took it back");
            Ok((!sight.job.is_finished()).then(|| edge.handle.cancel(id, reason())))
        });
        if let Some(cancelled) = cancelled.await? {
            match cancelled.await {
                Ok(()) | Err(HandleError::Rejected(Rejection::Over { .. })) => {}
                Err(error) => return Err(map::unanswered(&error)),
            }
        }
        self.work(move |edge| Ok(ok(&One::Job(edge.job(id)?)))).await
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    fn status(&self, dataset_count: usize) -> Result<Response, Fault> {
        self.is_going()?;
        let runtime_available = self.host.runtime() == Runtime::Attached;
        let counted = self.counted.of(&*self.handle, |yard| self.count(yard));
        Ok(ok(&Status { dataset_count, runtime_available, ..counted }))
    }

    /// The jobs and models in the books.
    fn count(&self, yard: &Yard) -> Status {
        let model_count = self.models_in(yard).count();
        Status { model_count, ..self.roll.count(yard, self.handle.edition()) }
    }
}

/// What of a job matters here, taken at one moment.
pub(crate) struct Sight {
    pub(crate) job: Job,
    /// The one that it made, if it is in the books.
    pub(crate) model: Option<Arc<Model>>,
    blockers: Vec<Blocker>,
}

impl Sight {
    fn of(yard: &Yard, job: &Job) -> Self {
        Self { job: job.clone(), model: made(yard, job).cloned(), blockers: Vec::new() }
    }

    /// The same, with what holds it back while it waits.
    fn explained(self, yard: &Yard, now: Timestamp) -> Self {
        let blockers = match &self.job.phase {
            Phase::Waiting(_) => yard.explain(now, self.job.id).unwrap_or_default(),
            Phase::Running(_) | Phase::Finished(_) => Vec::new(),
        };
        Self { blockers, ..self }
    }

    /// When it began, and when it was over.
    pub(crate) fn times(&self) -> (Option<Millis>, Option<Millis>) {
        let job = &self.job;
        match &job.phase {
            Phase::Waiting(_) => (None, None),
            Phase::Running(running) => (Some(running.started_at.as_millis()), None),
            Phase::Finished(finished) => {
                let began = map::began(finished.at, job.ran).max(job.submitted_at.as_millis());
                ((job.attempts.get() > 0).then_some(began), Some(finished.at.as_millis()))
            }
        }
    }

    /// What its trainer is told. A job from elsewhere under a subject of ours is shown with what its subject says.
    pub(crate) fn parameters(&self) -> TrainParameters {
        TrainParameters::from_bytes(self.job.parameters.as_bytes()).unwrap_or_else(|_| {
            let task = Task::of(&self.job.subject).map(Source::Task);
            let dataset = || DatasetId::of(&self.job.subject).map(Source::Dataset);
            let source = task.or_else(dataset).unwrap_or_else(|| {
                Source::Dataset(DatasetId::new("unknown").expect("a short word is an id"))
            });
            let word = self.job.class.kind.as_str().rsplit('/').next().unwrap_or_default();
            TrainParameters::new(source, Backend::of(word).unwrap_or(Backend::Native))
        })
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    /// A training as it was asked for, of a dataset that is there.
    fn prepare(&self, wanted: NewJob) -> Result<Submission, Fault> {
        self.knows_backend(wanted.backend)?;
        let dataset = match wanted.dataset {
            Chosen::None => return Err(map::no_dataset()),
            Chosen::This(id) => {
                let found = self.host.dataset(&id).map_err(|error| map::broken(&error))?;
                found.ok_or_else(map::no_dataset)?
            }
            Chosen::Newest => self.newest_dataset(wanted.trajectories_max)?,
        };
        let subject = dataset.id.subject();
        let class = Arc::new(self.settings.class(wanted.backend).clone());
        let parameters = TrainParameters {
            source: Source::Dataset(dataset.id),
            backend: wanted.backend,
            model: wanted.model,
            trajectories_max: wanted.trajectories_max,
            iterations: wanted.iterations,
            batch_size: wanted.batch_size,
            learning_rate: wanted.learning_rate,
            optimizer: wanted.optimizer,
        };
        self.host.fits(&parameters).map_err(|refused| map::refused(&refused))?;
        let mut submission = Submission::new(self.handle.job_id(), subject, class);
        submission.watermark = Some(dataset.examples);
        submission.admission = Admission::Queue;
        submission.parameters = parameters.to_parameters();
        Ok(submission)
    }

    pub(crate) fn knows_backend(&self, backend: Backend) -> Result<(), Fault> {
        let here = self.host.backends();
        if here.contains(&backend) {
            return Ok(());
        }
        let names: Vec<&str> = here.iter().map(|backend| backend.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(Fault::bad(format!("backend {backend} is not available here; available: {names}")))
    }

    /// A job of ours.
    pub(crate) fn sight(&self, id: JobId) -> Result<Sight, Fault> {
        let (now, mut found) = (self.handle.now(), None);
        self.handle.read(&mut |yard| {
            let job = yard.job(id).filter(|job| map::is_ours(&job.subject));
            found = job.map(|job| Sight::of(yard, job).explained(yard, now));
        });
        found.ok_or_else(map::no_job)
    }

    /// The newest jobs of ours that are wanted, newest first. Of the waiting ones only the newest are explained.
    pub(crate) fn sights(&self, max: usize, wanted: impl Fn(&Job) -> bool) -> Vec<Sight> {
        /// The yard counts those ahead of each, and decides nothing meanwhile: a long line is not counted for all of it.
        const EXPLAINED_MAX: usize = 50;
        let (now, mut found) = (self.handle.now(), Vec::new());
        self.handle.read(&mut |yard| {
            let ours = yard.jobs().rev().filter(|job| map::is_ours(&job.subject) && wanted(job));
            let mut unexplained = EXPLAINED_MAX;
            let sight = |job: &Job| {
                let sight = Sight::of(yard, job);
                let is_waiting = matches!(job.phase, Phase::Waiting(_));
                if !is_waiting || unexplained == 0 {
                    return sight;
                }
                unexplained -= 1;
                sight.explained(yard, now)
            };
            found = ours.take(max).map(sight).collect();
        });
        found
    }

    pub(crate) fn job(&self, id: JobId) -> Result<JobRecord, Fault> {
        let sight = self.sight(id)?;
        self.job_record(sight, self.mark(id), usize::MAX)
    }

    /// The same in words, which are kept. Not of one that waits: for how long yet is another matter each time.
    fn tell_job(&self, id: JobId) -> Result<Response, Fault> {
        let notes = self.host.notes_edition();
        let (sight, mark) = (self.sight(id)?, self.mark(id));
        let is_kept = notes.is_some() && !matches!(sight.job.phase, Phase::Waiting(_));
        let made_of = is_kept.then(|| (sight.job.clone(), sight.model.clone(), mark.clone()));
        let response = ok(&One::Job(self.job_record(sight, mark, usize::MAX)?));
        if let (Some((job, model, mark)), Some(notes), Some(json)) = (made_of, notes, response.bytes_ready())
            && response.status() == StatusCode::OK
            && self.host.notes_edition() == Some(notes)
        {
            // Without the room that the text was made in.
            let json = Bytes::copy_from_slice(&json);
            self.told.keep(Telling { notes, job, model, mark, json });
        }
        Ok(response)
    }

    /// What was told of a job, if nothing that it was made of has changed.
    fn told_before(&self, id: JobId) -> Option<Bytes> {
        let notes = self.host.notes_edition()?;
        let (telling, edition) = self.told.find(id).filter(|(telling, _)| telling.notes == notes)?;
        if edition.is_none() || edition != self.handle.edition() {
            let (mut holds, mut newest) = (false, None);
            self.handle.read(&mut |yard| {
                newest = self.handle.edition();
                holds = telling.is_of(yard);
            });
            if !holds {
                return None;
            }
            self.told.holds(&telling, newest);
        }
        (self.mark(id) == telling.mark).then(|| telling.json.clone())
    }

    /// How far a job is.
    fn mark(&self, id: JobId) -> Mark {
        self.marks.raise(id, self.handle.progress(id).as_ref())
    }

    fn job_record(&self, sight: Sight, mark: Mark, log_lines_max: usize) -> Result<JobRecord, Fault> {
        let log_lines_max = log_lines_max.min(self.limits().log_lines);
        let notes = self.host.run(sight.job.id, log_lines_max).map_err(|error| map::broken(&error))?;
        let model = match &sight.model {
            Some(model) => Some(self.host.model(model).map_err(|error| map::broken(&error))?),
            None => None,
        };
        Ok(record(sight, mark, notes, model, log_lines_max))
    }
}

/// The model that a job has made, if it is in the books.
pub(crate) fn made<'a>(yard: &'a Yard, job: &Job) -> Option<&'a Arc<Model>> {
    match job.outcome() {
        Some(Outcome::Completed { model: Some(model) }) => yard.model(*model),
        Some(_) | None => None,
    }
}

fn record(
    sight: Sight,
    mark: Mark,
    notes: RunNotes,
    model: Option<ModelNotes>,
    log_lines_max: usize,
) -> JobRecord {
    let parameters = sight.parameters();
    let (started_at, completed_at) = sight.times();
    let Sight { job, model: _, blockers } = sight;
    let status = map::job_word(&job.phase);
    let (path, adapter) = model.map(|model| (model.path, model.adapter)).unwrap_or_default();
    let (dataset_id, task) = match &parameters.source {
        Source::Dataset(id) => (id.to_string(), None),
        Source::Task(task) => (format!("task:{task}"), Some(task.to_string())),
    };
    let model_id = match job.outcome() {
        Some(Outcome::Completed { model }) => model.map(|model| model.to_string()),
        Some(_) | None => None,
    };
    let skipped = notes.log.len().saturating_sub(log_lines_max);
    JobRecord {
        id: job.id.to_string(),
        status,
        progress: fraction(status, &mark, &notes),
        current_iteration: mark.iteration.or(notes.iteration).unwrap_or(0),
        total_iterations: mark.iterations.or(notes.iterations).or(parameters.iterations),
        loss: mark.loss.map(Score::get).or(notes.loss),
        phase: phase(status, mark.phase, notes.phase),
        dataset_id,
        task,
        backend: parameters.backend.as_str(),
        model: parameters.model.clone(),
        options: options(parameters),
        created_at: job.submitted_at.as_millis(),
        started_at,
        completed_at,
        error: job.outcome().and_then(map::error),
        exit_code: notes.exit_code,
        signal: notes.signal,
        model_id,
        model_path: path,
        adapter_path: adapter,
        output_dir: notes.output_dir,
        log_path: notes.log_path,
        script_path: notes.script_path,
        python_root: (),
        waiting_for: blockers.iter().map(ToString::to_string).collect(),
        logs: notes.log.into_iter().skip(skipped).map(shortened).collect(),
    }
}

fn fraction(status: JobWord, mark: &Mark, notes: &RunNotes) -> f64 {
    match status {
        JobWord::Completed => 1.0,
        JobWord::Queued | JobWord::Running | JobWord::Failed | JobWord::Cancelled => {
            let noted = notes.fraction.filter(|fraction| fraction.is_finite()).unwrap_or(0.0);
            mark.fraction.max(noted).clamp(0.0, 1.0)
        }
    }
}

fn phase(status: JobWord, live: Option<Reason>, noted: Option<String>) -> String {
    match status {
        JobWord::Running => {
            let live = live.map(|phase| phase.as_str().to_owned());
            live.or(noted).unwrap_or_else(|| "starting".to_owned())
        }
        JobWord::Queued | JobWord::Completed | JobWord::Failed | JobWord::Cancelled => {
            status.as_str().to_owned()
        }
    }
}

fn options(parameters: TrainParameters) -> JobOptions {
    JobOptions {
        dataset_id: match parameters.source {
            Source::Dataset(id) => Some(id.to_string()),
            Source::Task(_) => None,
        },
        max_trajectories: parameters.trajectories_max,
        backend: parameters.backend.as_str(),
        model: parameters.model,
        iterations: parameters.iterations,
        batch_size: parameters.batch_size,
        learning_rate: parameters.learning_rate,
        optimizer: parameters.optimizer,
    }
}

/// Six hundred lines are shown, so one has its bound too.
fn shortened(mut line: String) -> String {
    const LINE_BYTES_MAX: usize = 4_096;
    if line.len() > LINE_BYTES_MAX {
        line.truncate(line.floor_char_boundary(LINE_BYTES_MAX));
        line.push('…');
    }
    line
}

/// An id as it was handed out; anything else is the id of nothing.
pub(crate) fn id_of(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}

fn job_id(text: &str) -> Result<JobId, Fault> {
    id_of(text).map(JobId::new).ok_or_else(map::no_job)
}
