//! What the service is told of elizaOS.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trainyard_eliza::{Backend, Runtime, Settings};
use trainyard_process::{AtShutdown, Processes};
use trainyard_prompt::{Endpoint, Gepa, Optimizer};
use trainyard_runtime::Trainer;
use trainyard_trajectories::Limits;

use super::catalog::Bounds;
use super::{ElizaBenchmark, ElizaCommand, ElizaLessons, Presence};

/// What the service is told of elizaOS; see the setters of [`ServiceConfig`](crate::ServiceConfig).
#[derive(Debug, Clone)]
pub(crate) struct ElizaConfig {
    pub(crate) settings: Settings,
    pub(crate) runtime: Runtime,
    pub(crate) running_max: u32,
    pub(crate) commands: BTreeMap<Backend, ElizaCommand>,
    pub(crate) trainers: BTreeMap<Backend, MakeLearner>,
    /// The language model that prompts are optimised against.
    pub(crate) model: Option<Endpoint>,
    /// The way to a better prompt when a training names none.
    pub(crate) optimizer: Way,
    /// The folder of the model that adapters are learned beside, if not one that is made.
    pub(crate) base: Option<PathBuf>,
    pub(crate) benchmark: Option<Measure>,
    /// Files with trajectories that are taken in when it is opened.
    pub(crate) files: Vec<PathBuf>,
    /// On what is read of one trajectory.
    pub(crate) limits: Limits,
    pub(crate) bounds: Bounds,
    pub(crate) datasets_max: u64,
    /// What a model is based on in Ollama when nobody knows.
    pub(crate) base_model: String,
    pub(crate) at_shutdown: AtShutdown,
    /// Opens what is known of programs at work. Another one only in a test.
    pub(crate) open_processes: fn(&Path) -> io::Result<Processes>,
}

/// Makes a trainer that knows what agents did.
#[derive(Clone)]
pub(crate) struct MakeLearner(pub(crate) Arc<dyn Fn(ElizaLessons) -> Arc<dyn Trainer> + Send + Sync>);

/// A way to a better prompt.
#[derive(Clone)]
pub(crate) struct Way(pub(crate) Arc<dyn Optimizer>);

/// Measures models.
#[derive(Clone)]
pub(crate) struct Measure(pub(crate) Arc<dyn ElizaBenchmark>);

impl ElizaConfig {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::new(),
            runtime: Runtime::Attached,
            running_max: 1,
            commands: [(Backend::Mlx, ElizaCommand::mlx_lora())].into(),
            trainers: BTreeMap::new(),
            model: None,
            optimizer: Way(Arc::new(Gepa::default())),
            base: None,
            benchmark: None,
            files: Vec::new(),
            limits: Limits::default(),
            bounds: Bounds { trajectories_max: 100_000, bytes_max: 20 << 30 },
            datasets_max: 1_000,
            base_model: "qwen2.5:7b-instruct".to_owned(),
            at_shutdown: AtShutdown::default(),
            open_processes: |folder| Processes::open(folder),
        }
    }

    /// The backends that somebody trains for, and whether the machine has to be looked at first.
    pub(crate) fn presences(&self) -> BTreeMap<Backend, Presence> {
        let commands = self.commands.iter().map(|(backend, command)| (*backend, command.presence()));
        let in_process = self.trainers.keys().copied().chain(self.built_in());
        commands.chain(in_process.map(|backend| (backend, Presence::Assumed))).collect()
    }

    /// The backends that are trained for here, since nothing else was put in their place.
    pub(crate) fn built_in(&self) -> impl Iterator<Item = Backend> {
        let native = self.model.as_ref().map(|_| Backend::Native);
        let is_taken =
            |backend: &Backend| self.commands.contains_key(backend) || self.trainers.contains_key(backend);
        native.into_iter().chain([Backend::Cpu]).filter(move |backend| !is_taken(backend))
    }
}

impl fmt::Debug for MakeLearner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MakeLearner(..)")
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl fmt::Debug for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Measure(..)")
    }
}
