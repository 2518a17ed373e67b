//! What the adapter asks of trajectories, datasets, runs and models.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use trainyard_core::{Job, JobId, Model, ModelId, Timestamp};
use trainyard_eliza::{
    AutoConfig, Backend, Benchmark, Build, Dataset, DatasetId, Host, HostError, Import, Imported, Ingested,
    ModelNotes, Page, Refused, RunNotes, Runtime, Shelf, Task, TrainParameters, Trajectory,
};
use trainyard_runtime::Trainyard;
use trainyard_trainkit::told;

use super::archive::Archive;
use super::benchmark::{ElizaFigures, ElizaModel};
use super::ollama::OllamaError;

/// The archive, with the yard that works on what is in it.
pub(crate) struct AgentHost {
    archive: Arc<Archive>,
    yard: Trainyard,
}

impl AgentHost {
    pub(crate) fn new(archive: Arc<Archive>, yard: Trainyard) -> Self {
        Self { archive, yard }
    }

    /// Where a model is; `None` when it has none, or is somewhere else.
    fn path(&self, model: &Model) -> Option<PathBuf> {
        self.yard.artifact_path(model).ok()
    }
}

impl Host for AgentHost {
    fn runtime(&self) -> Runtime {
        self.archive.runtime
    }

    fn backends(&self) -> Vec<Backend> {
        self.archive.probes.backends()
    }

    fn trajectories(&self, page: Page) -> Result<Shelf, HostError> {
        self.archive.catalog.trajectories(page).map_err(HostError::new)
    }

    fn trajectory(&self, id: &str) -> Result<Option<Trajectory>, HostError> {
        self.archive.trajectory(id)
    }

    fn ingest(&self, json: &[u8], at: Timestamp) -> Result<Ingested, Refused> {
        let _at_work = self.archive.at_work.read();
        self.archive.ingest(json, at)
    }

    fn task_totals(&self) -> Result<BTreeMap<Task, u64>, HostError> {
        self.archive.catalog.task_totals().map_err(HostError::new)
    }

    fn auto_config(&self) -> Result<AutoConfig, HostError> {
        self.archive.catalog.auto_config().map_err(HostError::new)
    }

    fn set_auto_config(&self, config: &AutoConfig) -> Result<(), HostError> {
        self.archive.catalog.set_auto_config(config).map_err(HostError::new)
    }

    fn build_dataset(&self, build: Build) -> Result<Dataset, Refused> {
        let _at_work = self.archive.at_work.read();
        let is_needed = |id: &DatasetId| {
            let subject = id.subject();
            let needs = |job: &Job| job.outcome().is_none() && job.subject == subject;
            self.yard.read(|yard| yard.jobs().any(needs))
        };
        self.archive.datasets.build(build, is_needed)
    }

    fn datasets(&self) -> Result<Vec<Dataset>, HostError> {
        self.archive.datasets.all().map_err(HostError::new)
    }

    fn dataset_count(&self) -> Option<usize> {
        Some(self.archive.catalog.dataset_count())
    }

    fn dataset(&self, id: &DatasetId) -> Result<Option<Dataset>, HostError> {
        self.archive.datasets.find(id).map_err(HostError::new)
    }

    fn fits(&self, parameters: &TrainParameters) -> Result<(), Refused> {
        self.archive.built_in.fits(parameters).map_err(Refused::Unfit)
    }

    fn run(&self, job: JobId, log_lines_max: usize) -> Result<RunNotes, HostError> {
        self.archive.runs.notes(job, log_lines_max).map_err(HostError::new)
    }

    fn notes_edition(&self) -> Option<u64> {
        self.archive.catalog.noted.now()
    }

    fn model(&self, model: &Model) -> Result<ModelNotes, HostError> {
        let Archive { catalog, .. } = &*self.archive;
        let run = catalog.run(model.job).map_err(HostError::new)?.unwrap_or_default();
        // When the catalogue was lost the yard still knows, as long as it knows the job.
        let job = if run.backend.is_none() { self.yard.job(model.job) } else { None };
        let asked = job.and_then(|job| TrainParameters::from_bytes(job.parameters.as_bytes()).ok());
        let version = catalog.version(model.job).map_err(HostError::new)?;
        let record = catalog.model(model.id).map_err(HostError::new)?;
        let backend = run.backend.or(asked.as_ref().map(|asked| asked.backend)).unwrap_or(Backend::Native);
        let path = self.path(model);
        Ok(ModelNotes {
            name: name(model.id, version),
            adapter: adapter(backend, path.as_ref()),
            path,
            backend,
            source_model: run.model.or(asked.and_then(|asked| asked.model)),
            imported: record.imported,
            provider_model: record.provider_model,
            benchmark: record.benchmark,
        })
    }

    fn import(&self, model: &Model, import: &Import) -> Result<Imported, Refused> {
        let _at_work = self.archive.at_work.read();
        let ModelNotes { adapter, source_model, .. } = self.model(model)?;
        let adapter = adapter.ok_or(Refused::NoAdapter)?;
        let base = import.base.clone().or(source_model);
        let base = base.unwrap_or_else(|| self.archive.base_model.clone());
        let Import { ollama, name, .. } = import;
        self.archive.ollama.import(ollama.as_str(), name, &base, &adapter).map_err(not_imported)?;
        let imported = Imported { name: import.name.clone(), at: import.at };
        self.archive.catalog.note_import(model.id, &imported).map_err(HostError::new)?;
        Ok(imported)
    }

    fn note_provider_model(&self, model: ModelId, name: &str) -> Result<(), HostError> {
        self.archive.catalog.note_provider_model(model, name).map_err(HostError::new)
    }

    fn benchmark(&self, model: &Model) -> Result<Benchmark, Refused> {
        let _at_work = self.archive.at_work.read();
        let ModelNotes { name, backend, source_model, path, adapter, .. } = self.model(model)?;
        let path = path.ok_or(Refused::NoAdapter)?;
        let to_measure = ElizaModel { id: model.id, name, backend, source_model, path, adapter };
        let goes_on = || self.yard.stopped().is_none();
        let measured = match self.archive.built_in.measure(&to_measure, &goes_on) {
            Some(measured) => measured?,
            None => {
                let Some(measure) = &self.archive.benchmark else {
                    return Err(Refused::Unfit("No benchmark is configured".to_owned()));
                };
                measure.0.measure(&to_measure, &goes_on)?
            }
        };
        let ElizaFigures { is_passed, scores, output } = measured;
        let benchmark = Benchmark { is_passed, scores, output, at: self.yard.now() };
        self.archive.catalog.note_benchmark(model.id, &benchmark).map_err(HostError::new)?;
        Ok(benchmark)
    }
}

/// What a model is called: by its number, or by the end of its id when it has none.
fn name(id: ModelId, version: Option<u64>) -> String {
    version.map_or_else(
        || {
            let id = id.to_string();
            format!("eliza-{}", &id[id.len().saturating_sub(8)..])
        },
        |version| format!("eliza-v{version}"),
    )
}

/// The adapter of a model: what programs make is one, or has one in it; a prompt is none.
fn adapter(backend: Backend, path: Option<&PathBuf>) -> Option<PathBuf> {
    match backend {
        Backend::Mlx | Backend::Cuda | Backend::Cpu => {
            let within = path.map(|path| path.join("adapter")).filter(|within| within.is_dir());
            within.or_else(|| path.cloned())
        }
        Backend::Native => None,
    }
}

fn not_imported(error: OllamaError) -> Refused {
    match error {
        OllamaError::BadValue { .. } => Refused::Unfit(told(&error)),
        OllamaError::Adapter { ref source, .. } if source.kind() == io::ErrorKind::NotFound => {
            tracing::warn!(error = told(&error), "a model has no adapter that can be imported");
            Refused::NoAdapter
        }
        OllamaError::Adapter { .. } => Refused::Failed(HostError::new(error)),
        OllamaError::TimedOut
        | OllamaError::Broken(_)
        | OllamaError::Refused { .. }
        | OllamaError::Failed { .. }
        | OllamaError::Odd { .. } => Refused::Upstream(told(&error)),
    }
}
