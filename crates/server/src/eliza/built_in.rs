//! What is trained, and judged, in this process without anybody bringing a trainer.

use std::path::Path;
use std::sync::Arc;

use trainyard_eliza::{Backend, Refused, TrainParameters};
use trainyard_runtime::Trainer;

use super::config::ElizaConfig;
use super::cpu::{AdapterTrainer, Cpu};
use super::native::{Native, PromptTrainer};
use super::{ElizaFigures, ElizaLessons, ElizaModel};

/// The backends that are trained for in this process, and how.
#[derive(Debug, Clone)]
pub(crate) struct BuiltIn {
    pub(super) native: Option<Native>,
    pub(super) cpu: Option<Cpu>,
}

/// A trainer, and what it starts from when a training names nothing else.
pub(super) struct Learner {
    pub(super) trainer: Arc<dyn Trainer>,
    pub(super) model: Option<String>,
}

impl BuiltIn {
    /// Models that are made are kept below this folder. Trainings have so much memory in all.
    pub(super) fn of(config: &ElizaConfig, folder: &Path, memory_mib: u64) -> Self {
        let has = |backend| config.built_in().any(|built_in| built_in == backend);
        let native = config.model.clone().filter(|_| has(Backend::Native));
        Self {
            native: native.map(|endpoint| Native { endpoint, optimizer: config.optimizer.clone() }),
            cpu: has(Backend::Cpu).then(|| Cpu::new(config.base.as_deref(), folder, memory_mib)),
        }
    }

    /// Those who train.
    pub(super) fn learners(&self, lessons: &ElizaLessons) -> Vec<(Backend, Learner)> {
        let native = self.native.clone().map(|native| {
            let model = Some(native.endpoint.model().to_owned());
            let trainer = Arc::new(PromptTrainer { lessons: lessons.clone(), native });
            (Backend::Native, Learner { trainer, model })
        });
        let cpu = self.cpu.clone().map(|cpu| {
            let model = Some(cpu.name.clone());
            let trainer = Arc::new(AdapterTrainer { lessons: lessons.clone(), cpu });
            (Backend::Cpu, Learner { trainer, model })
        });
        native.into_iter().chain(cpu).collect()
    }

    /// Whether a training can be as it is asked for; else why not.
    pub(super) fn fits(&self, parameters: &TrainParameters) -> Result<(), String> {
        match parameters.backend {
            Backend::Native => self.native.as_ref().map_or(Ok(()), |native| native.fits(parameters)),
            Backend::Cpu => self.cpu.as_ref().map_or(Ok(()), |cpu| cpu.fits(parameters)),
            Backend::Mlx | Backend::Cuda => Ok(()),
        }
    }

    /// Judges a model that was trained here, as long as `goes_on` says so; `None` when others trained it.
    pub(super) fn measure(
        &self,
        model: &ElizaModel,
        goes_on: &(dyn Fn() -> bool + Sync),
    ) -> Option<Result<ElizaFigures, Refused>> {
        match model.backend {
            Backend::Native => self.native.as_ref().map(|native| native.measure(model, goes_on)),
            Backend::Cpu => self.cpu.as_ref().map(|cpu| cpu.measure(model, goes_on)),
            Backend::Mlx | Backend::Cuda => None,
        }
    }
}
