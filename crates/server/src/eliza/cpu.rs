//! The backend `cpu`: adapters for a small language model, trained on the processor.

use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use trainyard_core::Trained;
use trainyard_eliza::{Refused, Source, TrainParameters};
use trainyard_finetune::{
    self as finetune, Adapter, Base, Benchmark, ModelError, NoScores, Recipe, train_adapter,
};
use trainyard_runtime::{Context, JobToTrain, TrainError, Trainer};
use trainyard_trainkit::told;
use trainyard_trajectories::{HELD_OUT_SHARE, split};

use super::judged::{Judged, Triple, stopped};
use super::rows::{self, Rows};
use super::{ElizaFigures, ElizaLesson, ElizaLessons, ElizaModel};

/// Trains an adapter on what a dataset, or a task, has.
pub(super) struct AdapterTrainer {
    pub(super) lessons: ElizaLessons,
    pub(super) cpu: Cpu,
}

/// Beside which model adapters are learned.
#[derive(Debug, Clone)]
pub(crate) struct Cpu {
    /// What it is called.
    pub(super) name: String,
    base: finetune::Source,
    /// What one training may take.
    pub(super) memory_mib: u64,
}

impl Trainer for AdapterTrainer {
    fn train(&self, cx: &mut Context, job: &JobToTrain) -> Result<Trained, TrainError> {
        let lesson = self.lessons.lay_out(job, cx.dir()?)?;
        let ElizaLesson { parameters, tasks, jsonl, .. } = &lesson;
        self.cpu.fits(parameters).map_err(TrainError::failed)?;
        let Rows { rows, left } = match &parameters.source {
            Source::Task(task) => rows::of_task(tasks, task.as_str())?,
            Source::Dataset(_) => rows::of_all(tasks, jsonl)?,
        };
        let order = self.cpu.order(parameters).map_err(TrainError::failed)?;
        // As the training parts them.
        let (learning, held_out) = split(rows.clone(), HELD_OUT_SHARE);
        let (count, kept) = (learning.len(), held_out.len());
        drop(learning);
        rows::keep_held_out(cx.dir()?, held_out)?;
        let more = if left { ", of more" } else { "" };
        let name = &self.cpu.name;
        let line = format!("an adapter of {name} is trained on {count} rows{more}, {kept} are held out");
        self.lessons.log(job, &line);
        train_adapter(cx, job, &rows, &order)
    }
}

impl Cpu {
    /// Beside the model in a folder, or one that is made below `archive`.
    pub(super) fn new(base: Option<&Path>, archive: &Path, memory_mib: u64) -> Self {
        let made = || finetune::Source::Made { recipe: Recipe::new(SEED), cache: archive.join("bases") };
        let named = |folder: &Path| folder.file_name().map(|name| name.to_string_lossy().into_owned());
        Self {
            name: base.map_or_else(|| Some(MADE.to_owned()), named).unwrap_or_else(|| "base".to_owned()),
            base: base.map_or_else(made, |folder| finetune::Source::Folder(folder.to_owned())),
            memory_mib: memory_mib.min(MEMORY_MIB),
        }
    }

    /// Whether the base that somebody has given can be used.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        match &self.base {
            finetune::Source::Folder(folder) => Base::open(folder, self.memory_bytes()).map(drop),
            finetune::Source::Made { .. } => Ok(()),
        }
    }

    /// Whether a training can be as it is asked for; else why not.
    pub(super) fn fits(&self, parameters: &TrainParameters) -> Result<(), String> {
        if let Some(model) = parameters.model.as_ref().filter(|model| **model != self.name) {
            return Err(format!("there is no model {model:?} here to train; there is {}", self.name));
        }
        self.order(parameters).map(drop)
    }

    /// Judges an adapter beside its base, on rows that were held out when it was learned.
    pub(super) fn measure(
        &self,
        model: &ElizaModel,
        goes_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<ElizaFigures, Refused> {
        let adapter = model.adapter.as_ref().ok_or(Refused::NoAdapter)?;
        let rows = rows::held_out(&model.path)?;
        let unfit = |error: ModelError| Refused::Unfit(format!("it cannot be measured: {}", told(&error)));
        let base = Base::open(&self.base.folder(), self.memory_bytes()).map_err(unfit)?;
        let adapter = Adapter::open(adapter, &base).map_err(unfit)?;
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN).min(THREADS);
        let judge = |adapter| -> Result<Triple, Refused> {
            let scores = Benchmark::new(SEED).run(&base, adapter, &rows, threads, goes_on);
            let scores = scores.map_err(|none| {
                let is_stopped = none == NoScores::Stopped;
                if is_stopped { stopped() } else { Refused::Unfit(format!("it cannot be measured: {none}")) }
            })?;
            let finetune::Scores { coherence, consistency, helpfulness, .. } = scores;
            Ok(Triple { coherence, consistency, helpfulness })
        };
        let judged = Judged { rows: rows.len(), before: judge(None)?, after: judge(Some(&adapter))? };
        // Who knows nothing may say the same for ever: how consistent somebody is decides nothing by itself.
        let Judged { before, after, .. } = &judged;
        let is_passed = after.coherence >= before.coherence && after.helpfulness >= before.helpfulness;
        judged.figures(is_passed)
    }

    fn order(&self, parameters: &TrainParameters) -> Result<finetune::Order, String> {
        let TrainParameters { iterations, batch_size, learning_rate, .. } = parameters;
        let mut order = finetune::Order::new(self.base.clone()).with_memory_bytes(self.memory_bytes());
        let bad = |error: finetune::BadOrder| error.to_string();
        if let Some(iterations) = iterations {
            order = order.with_iterations(*iterations).map_err(bad)?;
        }
        if let Some(rows) = batch_size {
            order = order.with_batch_size(*rows).map_err(bad)?;
        }
        if let Some(rate) = learning_rate {
            order = order.with_learning_rate(*rate).map_err(bad)?;
        }
        Ok(order)
    }

    fn memory_bytes(&self) -> u64 {
        self.memory_mib << 20
    }
}

/// What a base that is made is called.
const MADE: &str = "trainyard-small";
/// Of a base that is made, and of answers that are drawn to judge by.
const SEED: u64 = 1;
const MEMORY_MIB: u64 = 1_024;
/// At most, for a benchmark: trainings go on meanwhile.
const THREADS: NonZeroUsize = NonZeroUsize::new(2).expect("2 is not 0");
