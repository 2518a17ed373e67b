//! Models: listed, imported, activated, measured.

use std::cmp::Reverse;
use std::sync::Arc;

use trainyard_core::port::Handle;
use trainyard_core::{Model, ModelId, Registry, Switch, Yard};
use trainyard_http::{Request, Response, StatusCode};

use crate::events::{Event, EventKind};
use crate::fault::Fault;
use crate::follow;
use crate::host::{Backend, DatasetId, Host, Import, Imported, ModelNotes, Task};
use crate::jobs::id_of;
use crate::map;
use crate::once::Waited;
use crate::service::{Edge, Eliza, ok};
use crate::wire::answers::{Activated, Benchmarked, Importing, ModelRecord, One, Work};
use crate::wire::requests::{Activation, NewImport};

impl<H: Handle + ?Sized, S: Host + ?Sized> Eliza<H, S> {
    pub(crate) async fn list_models(&self) -> Result<Response, Fault> {
        self.work(|edge| {
            edge.is_going()?;
            let mut models = edge.models();
            models.truncate(edge.limits().models_listed);
            let records = models.iter().map(|model| edge.model_record(model));
            Ok(ok(&One::Models(records.collect::<Result<Vec<_>, Fault>>()?)))
        })
        .await
    }

    /// What is asked for is looked at before the model is.
    pub(crate) async fn import_model(&self, id: &str, request: Request) -> Result<Response, Fault> {
        let wanted = NewImport::of(&self.members(request).await?)?;
        let model = self.find(id).await?;
        let edge = Arc::clone(&self.edge);
        let waited = self.edge.imports.run(model.id, self.edge.settings.patience(), {
            let model = Arc::clone(&model);
            move || edge.import(&model, wanted)
        });
        let pending = over(waited.await)?;
        let told = move |edge: &Edge<H, S>| {
            let record = edge.model_record(&edge.sight_of(model.id)?)?;
            Ok(Response::json(status(pending), &Importing { model: record, pending }))
        };
        self.work(told).await
    }

    pub(crate) async fn activate_model(&self, id: &str, request: Request) -> Result<Response, Fault> {
        let wanted = Activation::of(&self.members(request).await?)?;
        let model = self.find(id).await?;
        let id = model.id;
        let activated = self.work(move |edge| {
            let notes = edge.host.model(&model).map_err(|error| map::broken(&error))?;
            let name = wanted.provider_model.or_else(|| own_name(notes)).ok_or_else(|| {
                Fault::bad("Import this model into Ollama first, or say which providerModel to use")
            })?;
            edge.host.note_provider_model(id, &name).map_err(|error| map::broken(&error))?;
            Ok((name, edge.handle.activate(id)))
        });
        let (name, activated) = activated.await?;
        activated.await.map_err(|error| map::unanswered(&error))?;
        self.edge.events.publish(follow::activated(id, &name));
        Ok(ok(&Activated {
            ok: true,
            active_model: name.clone(),
            model_id: id.to_string(),
            provider_model: name,
            needs_restart: self.edge.settings.restart() == Switch::On,
        }))
    }

    pub(crate) async fn benchmark_model(&self, id: &str) -> Result<Response, Fault> {
        let model = self.find(id).await?;
        let edge = Arc::clone(&self.edge);
        let waited = self.edge.benchmarks.run(model.id, self.edge.settings.patience(), {
            let model = Arc::clone(&model);
            move || edge.benchmark(&model)
        });
        let pending = over(waited.await)?;
        let told = move |edge: &Edge<H, S>| {
            let notes = edge.host.model(&model).map_err(|error| map::broken(&error))?;
            let record = map::benchmark(notes.benchmark);
            let answer = Benchmarked {
                model_id: model.id.to_string(),
                status: record.status,
                scores: record.scores,
                output: record.output.unwrap_or_default(),
                completed_at: record.last_run_at,
                pending,
            };
            Ok(Response::json(status(pending), &answer))
        };
        self.work(told).await
    }

    async fn find(&self, id: &str) -> Result<Arc<Model>, Fault> {
        let id = id_of(id).map(ModelId::new).ok_or_else(map::no_model)?;
        self.work(move |edge| {
            edge.is_going()?;
            Ok(edge.sight_of(id)?.model)
        })
        .await
    }
}

/// A model, and whether it is the one of its registry.
pub(crate) struct ModelSight {
    model: Arc<Model>,
    is_active: bool,
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    /// All models of ours, newest first.
    pub(crate) fn models(&self) -> Vec<ModelSight> {
        let mut models = Vec::new();
        self.handle.read(&mut |yard| {
            models = self.models_in(yard).collect();
        });
        models.sort_by_key(|sight| Reverse((sight.model.at, sight.model.id)));
        models
    }

    /// The models of ours that are in the books, by registry.
    pub(crate) fn models_in<'a>(&'a self, yard: &'a Yard) -> impl Iterator<Item = ModelSight> + 'a {
        let registries = yard.registries().filter(|registry| self.is_ours(registry));
        registries.flat_map(|registry| {
            let active = yard.active_model(registry).map(|model| model.id);
            let ours = yard.models(registry).filter(|model| map::is_ours(&model.subject));
            ours.map(move |model| ModelSight {
                model: Arc::clone(model),
                is_active: active == Some(model.id),
            })
        })
    }

    fn sight_of(&self, id: ModelId) -> Result<ModelSight, Fault> {
        let mut found = None;
        self.handle.read(&mut |yard| {
            let model = yard.model(id).filter(|model| map::is_ours(&model.subject));
            found = model.map(|model| ModelSight {
                model: Arc::clone(model),
                is_active: yard.active_model(&model.registry).is_some_and(|active| active.id == id),
            });
        });
        found.ok_or_else(map::no_model)
    }

    /// What a model of ours is called, if it is the one of its registry.
    pub(crate) fn active_name(&self, id: ModelId) -> Option<String> {
        let sight = self.sight_of(id).ok().filter(|sight| sight.is_active)?;
        // A host that fails has said so in the log; the model is the active one all the same.
        let notes = self.host.model(&sight.model).map_err(|error| map::broken(&error));
        Some(notes.map_or_else(|_| id.to_string(), |notes| notes.name))
    }

    /// Models of a task, or of a dataset whose class names no registry, are in one of their own.
    fn is_ours(&self, registry: &Registry) -> bool {
        self.settings.names_registry(registry) || map::is_name_of_ours(registry.as_str())
    }

    fn model_record(&self, sight: &ModelSight) -> Result<ModelRecord, Fault> {
        let model = &sight.model;
        let notes = self.host.model(model).map_err(|error| map::broken(&error))?;
        let run = self.host.run(model.job, 0).map_err(|error| map::broken(&error))?;
        let ollama = notes.imported.as_ref().map(|imported| imported.name.clone());
        Ok(ModelRecord {
            id: model.id.to_string(),
            job_id: model.job.to_string(),
            name: notes.name,
            created_at: model.at.as_millis(),
            active: sight.is_active,
            backend: notes.backend.as_str(),
            dataset_id: DatasetId::of(&model.subject).map(|id| id.to_string()),
            task: Task::of(&model.subject).map(|task| task.to_string()),
            source_model: notes.source_model,
            model_path: notes.path,
            adapter_path: notes.adapter,
            output_dir: run.output_dir,
            ollama_model: ollama.clone(),
            ollama_name: ollama,
            imported_at: notes.imported.map(|imported| imported.at.as_millis()),
            provider_model: notes.provider_model,
            benchmark: map::benchmark(notes.benchmark),
        })
    }

    fn import(&self, model: &Model, wanted: NewImport) -> Result<(), Fault> {
        let import = Import {
            ollama: wanted.ollama.unwrap_or_else(|| self.settings.ollama().clone()),
            name: wanted.name.unwrap_or_else(|| ollama_name(model.id)),
            base: wanted.base,
            at: self.handle.now(),
        };
        match self.host.import(model, &import) {
            Ok(Imported { name, .. }) => {
                let message = format!("Imported model {name} into Ollama");
                self.events.publish(Event::new(EventKind::ModelImported, message).with_model(model.id));
                Ok(())
            }
            Err(refused) => {
                let fault = map::refused(&refused);
                let message = format!("Could not import model {}: {}", import.name, fault.words());
                self.events.publish(Event::new(EventKind::ModelImportFailed, message).with_model(model.id));
                Err(fault)
            }
        }
    }

    fn benchmark(&self, model: &Model) -> Result<(), Fault> {
        let measured = self.host.benchmark(model).map_err(|refused| map::refused(&refused));
        let message = match &measured {
            Ok(benchmark) if benchmark.is_passed => "The benchmark was passed".to_owned(),
            Ok(_) => "The benchmark was not passed".to_owned(),
            Err(fault) => format!("The model could not be measured: {}", fault.words()),
        };
        self.events.publish(Event::new(EventKind::ModelBenchmarked, message).with_model(model.id));
        measured.map(|_| ())
    }
}

/// What an agent calls a model when nobody says: prompts go by their own name, weights by the one in Ollama.
fn own_name(notes: ModelNotes) -> Option<String> {
    match notes.backend {
        Backend::Native => Some(notes.name),
        Backend::Mlx | Backend::Cuda | Backend::Cpu => {
            notes.imported.map(|imported| format!("ollama/{}", imported.name))
        }
    }
}

/// What a model is called in Ollama when nobody says.
fn ollama_name(id: ModelId) -> String {
    let id = id.as_uuid().as_simple().to_string();
    format!("trainyard-{}", &id[id.len() - 8..])
}

fn over(waited: Waited) -> Result<Work, Fault> {
    match waited {
        Waited::Over(end) => end.map(|()| Work::Done),
        Waited::GoesOn => Ok(Work::GoesOn),
        Waited::NoRoom => Err(Fault::later("Too many imports and benchmarks at once")),
    }
}

const fn status(work: Work) -> StatusCode {
    match work {
        Work::Done => StatusCode::OK,
        Work::GoesOn => StatusCode::ACCEPTED,
    }
}
