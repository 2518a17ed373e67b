//! The backend `native`: prompts that are optimised against a language model.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use trainyard_core::{Model, Registry, Timestamp, Trained};
use trainyard_eliza::{Refused, Source, Task, TrainParameters};
use trainyard_finetune::similarity;
use trainyard_prompt::{
    Artifact, Compare, Endpoint, HttpModel, LanguageModel, ModelError, Optimizer, Order, Request, optimizer,
    train_prompt,
};
use trainyard_runtime::{Context, JobToTrain, TrainError, Trainer};
use trainyard_trainkit::{each, real, told};
use trainyard_trajectories::Row;

use super::config::Way;
use super::judged::{Judged, Triple, flow, form, stopped};
use super::rows::{self, Rows};
use super::{ElizaFigures, ElizaLesson, ElizaLessons, ElizaModel};

/// Optimises the prompt of a task.
///
/// Of a dataset it is the task with the most rows. What has to be beaten is the task's own prompt: the active one of its
/// registry, or else the one that the rows were answered under.
pub(super) struct PromptTrainer {
    pub(super) lessons: ElizaLessons,
    pub(super) native: Native,
}

/// Against which model, and how.
#[derive(Debug, Clone)]
pub(crate) struct Native {
    pub(super) endpoint: Endpoint,
    /// When a training names no other.
    pub(super) optimizer: Way,
}

impl Trainer for PromptTrainer {
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let lesson = self.lessons.lay_out(job, cx.dir()?)?;
        let ElizaLesson { parameters, tasks, .. } = &lesson;
        let (task, dataset) = match &parameters.source {
            Source::Task(task) => (task.clone(), format!("task:{task}")),
            Source::Dataset(id) => (rows::fullest(tasks)?, id.to_string()),
        };
        let Rows { rows, left } = rows::of_task(tasks, task.as_str())?;
        let endpoint = self.native.endpoint(parameters).map_err(TrainError::failed)?;
        let order = self.native.order(parameters, &task).map_err(TrainError::failed)?;
        let mut order = order.with_dataset(dataset);
        if let Some(at) = submitted_at(cx, job) {
            order = order.with_generated_at(at);
        }
        if let Some(in_use) = self.in_use(cx, job, &task) {
            order = order.with_incumbent(in_use);
        }
        rows::keep_held_out(cx.dir()?, order.held_back(&rows, cx.seed()))?;
        let more = if left { ", of more" } else { "" };
        let (count, model) = (rows.len(), endpoint.model());
        self.lessons
            .log(job, &format!("the prompt of {task} is optimised on {count} rows{more}, with {model}"));
        train_prompt(cx, job, &rows, &HttpModel::new(endpoint), &order)
    }
}

impl PromptTrainer {
    /// The prompt that a task is answered under now, if an earlier training made it.
    fn in_use(&self, cx: &Context, job: &JobToTrain, task: &Task) -> Option<String> {
        let registry = Registry::new(task.subject().as_str()).ok()?;
        let model: Arc<Model> = cx.read(|yard| yard.active_model(&registry).cloned())?;
        let opened = cx.path(&model.artifact).map_err(|error| told(&error));
        match opened.and_then(|path| Artifact::open(&path).map_err(|error| told(&error))) {
            Ok(artifact) => Some(artifact.prompt),
            Err(error) => {
                tracing::warn!(%task, model = %model.id, error, "the prompt in use cannot be read");
                self.lessons.log(job, &format!("the prompt in use cannot be read: {error}"));
                None
            }
        }
    }
}

impl Native {
    /// Whether a training can be as it is asked for; else why not.
    pub(super) fn fits(&self, parameters: &TrainParameters) -> Result<(), String> {
        self.endpoint(parameters)?;
        self.optimizer(parameters).map(drop)
    }

    /// Judges a prompt, and the one that it began with, by what the model answers to rows that were held out.
    pub(super) fn measure(
        &self,
        model: &ElizaModel,
        goes_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<ElizaFigures, Refused> {
        let unfit = |error: String| Refused::Unfit(format!("it cannot be measured: {error}"));
        let made = Artifact::open(&model.path).map_err(|error| unfit(told(&error)))?;
        let mut rows = rows::held_out(&model.path)?;
        rows.truncate(JUDGED_MAX);
        let endpoint = match &model.source_model {
            Some(name) => self.endpoint.clone().with_model(name),
            None => Ok(self.endpoint.clone()),
        };
        let language = HttpModel::new(endpoint.map_err(|error| unfit(error.to_string()))?);
        let compare = Compare::of_task(&made.task);
        let judge = |prompt: &str| judge(&language, prompt, &rows, compare, goes_on);
        let judged = Judged { rows: rows.len(), before: judge(&made.baseline)?, after: judge(&made.prompt)? };
        judged.figures(judged.after.helpfulness >= judged.before.helpfulness)
    }

    /// The model that a training asks.
    fn endpoint(&self, parameters: &TrainParameters) -> Result<Endpoint, String> {
        let endpoint = self.endpoint.clone();
        match &parameters.model {
            Some(model) => endpoint.with_model(model).map_err(|error| error.to_string()),
            None => Ok(endpoint),
        }
    }

    fn optimizer(&self, parameters: &TrainParameters) -> Result<Arc<dyn Optimizer>, String> {
        match &parameters.optimizer {
            Some(name) => optimizer(name).map(Arc::from).map_err(|error| error.to_string()),
            None => Ok(Arc::clone(&self.optimizer.0)),
        }
    }

    /// What is to be done. The size of batches and the learning rate mean nothing here.
    fn order(&self, parameters: &TrainParameters, task: &Task) -> Result<Order, String> {
        let order = Order::new(task.as_str()).with_optimizer(self.optimizer(parameters)?);
        let candidates = parameters.iterations.and_then(NonZeroU64::new);
        Ok(candidates.into_iter().fold(order, Order::with_candidates))
    }
}

/// Scores a prompt: four answers to each row, the likeliest one and three that are drawn.
fn judge(
    language: &dyn LanguageModel,
    prompt: &str,
    rows: &[Row],
    compare: Compare,
    goes_on: &(dyn Fn() -> bool + Sync),
) -> Result<Triple, Refused> {
    let failed = AtomicBool::new(false);
    let stop = || !goes_on() || failed.load(Ordering::Acquire);
    let ask = |row: &Row, temperature: f64, seed: u32| {
        let request = Request { temperature, seed, ..Request::new(prompt, row.user.as_str()) };
        language.complete(&request, &stop).map(|answer| answer.text)
    };
    let of_row = |row: &Row| -> Result<Triple, ModelError> {
        let likeliest = ask(row, 0.0, 0)?;
        let drawn: Vec<String> =
            (1..=DRAWN).map(|seed| ask(row, TEMPERATURE, seed)).collect::<Result<_, _>>()?;
        let is_json = form(&row.expected) > 0.0;
        let pairs = drawn.iter().enumerate();
        let pairs =
            pairs.flat_map(|(nth, one)| drawn[nth + 1..].iter().map(move |other| similarity(one, other)));
        let pairs: Vec<f64> = pairs.collect();
        Ok(Triple {
            coherence: if is_json { form(&likeliest) } else { flow(&likeliest) },
            consistency: pairs.iter().sum::<f64>() / real(pairs.len()),
            helpfulness: compare.score(&likeliest, &row.expected),
        })
    };
    // When one stays without an answer, the others are not asked for.
    let judged = each(CALLS_AT_ONCE, rows.len(), |number| {
        of_row(&rows[number]).inspect_err(|_| failed.store(true, Ordering::Release))
    });
    if let Some(error) = judged.iter().filter_map(|one| one.as_ref().err()).find(|error| !error.is_stopped())
    {
        return Err(Refused::Upstream(told(error)));
    }
    let judged: Vec<Triple> = judged.into_iter().collect::<Result<_, _>>().map_err(|_| stopped())?;
    let mean = |score: fn(&Triple) -> f64| judged.iter().map(score).sum::<f64>() / real(judged.len());
    Ok(Triple {
        coherence: mean(|one| one.coherence),
        consistency: mean(|one| one.consistency),
        helpfulness: mean(|one| one.helpfulness),
    })
}

/// Rows that a prompt is judged by: 8 calls each, for it and for the one that it began with.
const JUDGED_MAX: usize = 16;
const CALLS_AT_ONCE: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not 0");
/// Answers that are drawn, to see whether they are alike.
const DRAWN: u32 = 3;
const TEMPERATURE: f64 = 0.7;

fn submitted_at(cx: &Context, job: &JobToTrain) -> Option<Timestamp> {
    cx.read(|yard| yard.job(job.id).map(|job| job.submitted_at))
}
