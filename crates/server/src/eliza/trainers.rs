//! Who trains for which backend.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use trainyard_core::Trained;
use trainyard_eliza::{Backend, Settings, TrainParameters};
use trainyard_process::formats::Format;
use trainyard_process::{Launch, ProcessTrainer, Processes};
use trainyard_runtime::{Builder, Context, JobToTrain, TrainError, Trainer};

use super::ElizaLessons;
use super::built_in::{BuiltIn, Learner};
use super::command::{ElizaCommand, Places};
use super::config::{ElizaConfig, MakeLearner};
use super::lessons::{ElizaLesson, parameters};
use super::runs::Watcher;

/// A yard that can do all of it.
pub(super) fn register(
    builder: Builder,
    lessons: &ElizaLessons,
    processes: Option<&Processes>,
    config: &ElizaConfig,
    built_in: &BuiltIn,
) -> Builder {
    let kind = |settings: &Settings, backend: Backend| settings.class(backend).kind.clone();
    // Whatever waits for a backend that nobody trains for any more is told so, and does not wait for ever.
    let known = config.presences();
    let missing = Backend::ALL.into_iter().filter(|backend| !known.contains_key(backend));
    let builder = missing.fold(builder, |builder, backend| {
        let refuse = move |_: &mut Context, _: &JobToTrain| -> Result<Trained, TrainError> {
            Err(TrainError::failed(format!("nobody trains for the backend {backend} on this host")))
        };
        builder.trainer(kind(&config.settings, backend), refuse)
    });
    let builder = config.commands.iter().fold(builder, |builder, (backend, command)| {
        let kind = kind(&config.settings, *backend);
        let Some(processes) = processes else { return builder.trainer(kind, refuse) };
        let trainer = process_trainer(lessons.clone(), processes, command.clone());
        trainer.with_at_shutdown(config.at_shutdown).register(builder, kind)
    });
    let builder = built_in.learners(lessons).into_iter().fold(builder, |builder, (backend, learner)| {
        let Learner { trainer, model } = learner;
        builder.trainer(kind(&config.settings, backend), in_process(lessons.clone(), trainer, model))
    });
    config.trainers.iter().fold(builder, |builder, (backend, MakeLearner(make))| {
        let trainer = in_process(lessons.clone(), make(lessons.clone()), None);
        builder.trainer(kind(&config.settings, *backend), trainer)
    })
}

/// A trainer in this process, whose runs are noted. `model` is what one starts from that names none.
fn in_process(lessons: ElizaLessons, trainer: Arc<dyn Trainer>, model: Option<String>) -> impl Trainer {
    move |cx: &mut Context, job: &JobToTrain| {
        let TrainParameters { model: named, .. } = parameters(job)?;
        lessons.begin(job, cx.dir()?, named.or_else(|| model.clone()), None)?;
        let trained = catch_unwind(AssertUnwindSafe(|| trainer.train(cx, job)));
        let is_trained = matches!(&trained, Ok(Ok(trained)) if trained.artifact.is_some());
        lessons.end(job, is_trained, cx.progress().as_ref());
        trained.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

fn refuse(_: &mut Context, _: &JobToTrain) -> Result<Trained, TrainError> {
    Err(TrainError::failed("programs cannot be run on this system"))
}

fn process_trainer(lessons: ElizaLessons, processes: &Processes, command: ElizaCommand) -> ProcessTrainer {
    let watcher = Watcher::new(lessons.runs());
    let plan = move |job: &JobToTrain, folder: &Path| {
        let parameters = parameters(job)?;
        lessons.begin(job, folder, command.model_of(&parameters), Some(command.shown()))?;
        let lesson = lessons.lay_out(job, folder)?;
        Ok(launch(&command, folder, lesson))
    };
    processes.trainer(plan).with_observer(watcher)
}

/// What is run for a lesson.
fn launch(command: &ElizaCommand, folder: &Path, lesson: ElizaLesson) -> Launch {
    let ElizaLesson { parameters, jsonl, trajectories, data, tasks: _, examples: _ } = lesson;
    let places = Places { data, jsonl, trajectories, output: folder.join(OUTPUT) };
    let arguments = command.arguments_for(parameters.backend, &places, &parameters);
    let launch = Launch::new(command.program())
        .with_args(arguments)
        .with_grace(GRACE)
        .with_formats([Format::Mlx, Format::Transformers, Format::Phases])
        .with_result(OUTPUT)
        .with_data("examples", places.jsonl.to_string_lossy())
        .with_data("train", places.data.join("train.jsonl").to_string_lossy())
        .with_data("valid", places.data.join("valid.jsonl").to_string_lossy())
        .with_data("trajectories", places.trajectories.to_string_lossy());
    let launch = command.variables().fold(launch, |launch, (name, value)| launch.with_env(name, value));
    match command.folder() {
        Some(folder) => launch.with_working_dir(folder),
        None => launch,
    }
}

/// Below the attempt's folder: what a program leaves there is the model.
const OUTPUT: &str = "output";
/// Between being told to stop and being killed.
const GRACE: Duration = Duration::from_secs(10);
