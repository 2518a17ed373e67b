//! What a service is told about elizaOS's wire.

use std::path::PathBuf;
use std::sync::Arc;

use trainyard_eliza::{Backend, Runtime};
use trainyard_process::AtShutdown;
use trainyard_prompt::{Endpoint, Optimizer};
use trainyard_runtime::Trainer;

use super::ServiceConfig;
use crate::eliza::{MakeLearner, Measure, Way};
use crate::{ElizaBenchmark, ElizaCommand, ElizaLessons};

impl ServiceConfig {
    /// How elizaOS's wire behaves. Without a token nobody is asked for one on a loopback address; on another one a
    /// random one is made for the data folder, see [`Opened::eliza_token`](crate::Opened::eliza_token), unless
    /// [`OpenAccess::Anywhere`](crate::OpenAccess::Anywhere) says otherwise. The host of a [public URL](ServiceConfig::with_public_url) is
    /// known beside those that the settings name.
    #[must_use]
    pub fn with_eliza(mut self, settings: trainyard_eliza::Settings) -> Self {
        self.eliza.settings = settings;
        self
    }

    /// Whether an agent is attached. Default: [`Runtime::Attached`], for trajectories are kept here.
    #[must_use]
    pub fn with_eliza_runtime(mut self, runtime: Runtime) -> Self {
        self.eliza.runtime = runtime;
        self
    }

    /// Runs so many of its trainings at once, at least 1. Default: 1, as the original.
    #[must_use]
    pub fn with_eliza_running_max(mut self, trainings: u32) -> Self {
        self.eliza.running_max = trainings.max(1);
        self
    }

    /// Trains for a backend with a program. Default: `mlx` with [`ElizaCommand::mlx_lora`], and nothing else. Where
    /// [`trainyard_process`] cannot run programs, which is everywhere but on Linux, such backends are not offered.
    #[must_use]
    pub fn with_eliza_command(mut self, backend: Backend, command: ElizaCommand) -> Self {
        self.eliza.trainers.remove(&backend);
        self.eliza.commands.insert(backend, command);
        self
    }

    /// Trains for a backend with a trainer in this process, which is told what agents did. Jobs that an earlier process
    /// had begun are trained with it, too.
    #[must_use]
    pub fn with_eliza_trainer(
        mut self,
        backend: Backend,
        make: impl Fn(ElizaLessons) -> Arc<dyn Trainer> + Send + Sync + 'static,
    ) -> Self {
        self.eliza.commands.remove(&backend);
        self.eliza.trainers.insert(backend, MakeLearner(Arc::new(make)));
        self
    }

    /// Optimises prompts against this language model: that is what the backend `native` does then, unless it has a
    /// [trainer](ServiceConfig::with_eliza_trainer) of its own. Default: none, and `native` is not offered.
    #[must_use]
    pub fn with_eliza_model(mut self, model: Endpoint) -> Self {
        self.eliza.model = Some(model);
        self
    }

    /// The way to a better prompt where a training does not name one. Default: [`Gepa`](trainyard_prompt::Gepa).
    #[must_use]
    pub fn with_eliza_optimizer(mut self, optimizer: Arc<dyn Optimizer>) -> Self {
        self.eliza.optimizer = Way(optimizer);
        self
    }

    /// Trains adapters beside the base model in this folder: a small llama over bytes, as
    /// [`Base`](trainyard_finetune::Base) has it. That is what the backend `cpu` does, unless it has a
    /// [program](ServiceConfig::with_eliza_command) or a [trainer](ServiceConfig::with_eliza_trainer) of its own. Default:
    /// one that is made from scratch in the data folder when it is needed first, which takes some ten seconds.
    #[must_use]
    pub fn with_eliza_base(mut self, folder: impl Into<PathBuf>) -> Self {
        self.eliza.base = Some(folder.into());
        self
    }

    /// What becomes of programs that train when the service is shut down. Default: they go on, and the next one finds
    /// them again.
    #[must_use]
    pub fn with_eliza_at_shutdown(mut self, at_shutdown: AtShutdown) -> Self {
        self.eliza.at_shutdown = at_shutdown;
        self
    }

    /// How models are measured that programs and trainers of one's own have made, such as by a
    /// [`ValidateCommand`](crate::ValidateCommand). Default: not at all. Those of the backends that are built in are
    /// judged by rows that were held out, before and after.
    #[must_use]
    pub fn with_eliza_benchmark(mut self, benchmark: impl ElizaBenchmark) -> Self {
        self.eliza.benchmark = Some(Measure(Arc::new(benchmark)));
        self
    }

    /// Takes in the trajectories of a file when it is opened, once for what is in it: an object, an array of such, or
    /// JSON lines. May be said for several. One that cannot be read keeps the service from being opened.
    #[must_use]
    pub fn with_eliza_trajectories(mut self, file: impl Into<PathBuf>) -> Self {
        self.eliza.files.push(file.into());
        self
    }

    /// Keeps so many trajectories; beyond, the oldest that is over goes, and while none is, no more come in. Default:
    /// 100,000.
    #[must_use]
    pub fn with_eliza_trajectories_max(mut self, trajectories: u64) -> Self {
        self.eliza.bounds.trajectories_max = trajectories;
        self
    }

    /// Lets trajectories take so many bytes together, in the same way. Default: 20 GiB.
    #[must_use]
    pub fn with_eliza_bytes_max(mut self, bytes: u64) -> Self {
        self.eliza.bounds.bytes_max = bytes;
        self
    }

    /// Keeps so many datasets; beyond, the oldest that no training needs goes, and while there is none, no more are
    /// built. Default: 1,000.
    #[must_use]
    pub fn with_eliza_datasets_max(mut self, datasets: u64) -> Self {
        self.eliza.datasets_max = datasets;
        self
    }

    /// What an adapter is based on in Ollama when neither the request nor its training says. Default:
    /// `qwen2.5:7b-instruct`, as the original.
    #[must_use]
    pub fn with_eliza_base_model(mut self, model: impl Into<String>) -> Self {
        self.eliza.base_model = model.into();
        self
    }

    /// How elizaOS's wire behaves.
    #[must_use]
    pub fn eliza(&self) -> &trainyard_eliza::Settings {
        &self.eliza.settings
    }

    /// The language model that prompts are optimised against, if there is one.
    #[must_use]
    pub fn eliza_model(&self) -> Option<&Endpoint> {
        self.eliza.model.as_ref()
    }

    /// How many of its trainings run at once.
    #[must_use]
    pub fn eliza_running_max(&self) -> u32 {
        self.eliza.running_max
    }

    /// What becomes of programs that train when the service is shut down.
    #[must_use]
    pub fn eliza_at_shutdown(&self) -> AtShutdown {
        self.eliza.at_shutdown
    }

    /// The program that trains for a backend, if one does.
    #[must_use]
    pub fn eliza_command(&self, backend: Backend) -> Option<&ElizaCommand> {
        self.eliza.commands.get(&backend)
    }
}
