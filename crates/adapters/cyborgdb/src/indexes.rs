//! Indexes: made, listed, described, taken away.

use std::collections::BTreeMap;
use std::sync::Arc;

use trainyard_core::Model;
use trainyard_core::port::Handle;
use trainyard_http::{Request, Response, StatusCode, blocking};

use crate::fault::Fault;
use crate::host::{Host, IndexId, NewIndex, Refused};
use crate::map::{self, Doing};
use crate::service::{CyborgDb, Edge, IndexKey};
use crate::wire::answers::{Described, IndexConfig, Indexes, Said};
use crate::wire::requests::{Create, OfIndex};

/// The most numbers a vector may have.
pub(crate) const DIMENSION_MAX: i64 = 65_535;

impl<H: Handle + ?Sized, S: Host + ?Sized> CyborgDb<H, S> {
    pub(crate) async fn list_indexes(&self) -> Result<Response, Fault> {
        let edge = Arc::clone(&self.edge);
        blocking(move || {
            let listed = edge.host.list().map_err(|error| map::refused(Doing::List, "", &error.into()))?;
            let mut indexes: Vec<String> = listed.into_iter().map(|index| index.name).collect();
            indexes.sort_unstable();
            Ok(Response::json(StatusCode::OK, &Indexes { indexes }))
        })
        .await
    }

    pub(crate) async fn create(&self, request: Request) -> Result<Response, Fault> {
        let (name, ruled) = self
            .post(request, |edge, body: Create| {
                let index = edge.to_be_created(body)?;
                let name = index.name.clone();
                let created = edge.host.create(index);
                let id = created.map_err(|refused| map::refused(Doing::Create, &name, &refused))?;
                let ruled = edge.set_rule(id, &name);
                Ok((name, ruled))
            })
            .await?;
        if let Err(error) = ruled.await {
            // The index is there; its first upsert sets the rule, or the next start.
            tracing::warn!(%error, index = name, "a new index has no retrain rule yet");
        }
        let said = Said::success(format!("Index '{name}' created successfully"));
        Ok(Response::json(StatusCode::OK, &said))
    }

    pub(crate) async fn describe(&self, request: Request) -> Result<Response, Fault> {
        self.post(request, |edge, index: OfIndex| edge.described(index)).await
    }

    pub(crate) async fn remove(&self, request: Request) -> Result<Response, Fault> {
        let (name, retired) = self
            .post(request, |edge, index: OfIndex| {
                let id = edge.open(Doing::Remove, &index)?;
                let removed = edge.host.remove(id);
                removed.map_err(|refused| map::refused(Doing::Remove, &index.name, &refused))?;
                edge.unfit.forget(id);
                Ok((index.name, edge.handle.retire(id.subject())))
            })
            .await?;
        if let Err(error) = retired.await {
            // The index is gone; its work finds nothing to train, and the next start retires it.
            tracing::warn!(%error, index = name, "a deleted index was not retired yet");
        }
        let said = Said::success(format!("Index '{name}' deleted successfully"));
        Ok(Response::json(StatusCode::OK, &said))
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    /// Makes the registry's active model the one that serves, and says which it is. The registry is the truth.
    /// The log hears of a model that the host cannot adopt once, however often it is asked for.
    pub(crate) fn adopt(&self, id: IndexId) -> Result<Option<Arc<Model>>, Refused> {
        let Some(model) = self.handle.active_model(&id.registry()) else {
            return Ok(None);
        };
        let Err(error) = self.host.adopt(id, &model) else {
            self.unfit.pardon(id);
            return Ok(Some(model));
        };
        let is_the_models_fault = match &error {
            Refused::Gone | Refused::Stopping => false,
            Refused::Failed(error) => !error.is_stopping(),
            Refused::Taken
            | Refused::DimensionUnset
            | Refused::WrongDimension { .. }
            | Refused::Invalid(_) => true,
        };
        if is_the_models_fault && self.unfit.note(id, model.id) {
            let (cause, model) = (&error as &dyn std::error::Error, model.id);
            tracing::error!(index = %id, %model, error = cause, "a model cannot be served");
        }
        Err(error)
    }

    /// The same; when the host cannot, queries are served as before.
    pub(crate) fn adopt_if_possible(&self, id: IndexId) -> Option<Arc<Model>> {
        self.adopt(id).unwrap_or_default()
    }

    fn described(&self, index: OfIndex) -> Result<Response, Fault> {
        let id = self.open(Doing::Describe, &index)?;
        self.is_going()?;
        // First this, then the model: a training that ends in between shows its model.
        let is_training = self.is_in_training(id);
        let model = self.adopt_if_possible(id);
        let described = self.host.describe(id);
        let described = described.map_err(|refused| map::refused(Doing::Describe, &index.name, &refused))?;
        let n_lists = model.as_ref().map_or(1, |model| map::lists_of(model));
        let dimension = described.dimension.unwrap_or(0);
        let metric = map::metric_word(described.metric);
        let answer = Described {
            index_name: index.name,
            is_trained: model.is_some() && !is_training,
            dimension,
            metric,
            n_lists,
            metadata_schema: BTreeMap::new(),
            bm25: None,
            index_type: INDEX_TYPE,
            index_config: IndexConfig { kind: INDEX_TYPE, dimension, metric, n_lists },
        };
        Ok(Response::json(StatusCode::OK, &answer))
    }

    /// A run that finds nothing to do reports no progress, so it does not count.
    fn is_in_training(&self, id: IndexId) -> bool {
        let subject = id.subject();
        let mut running = None;
        self.handle.read(&mut |yard| {
            running = yard.unfinished(&subject).find(|job| job.running().is_some()).map(|job| job.id);
        });
        running.is_some_and(|job| self.handle.progress(job).is_some())
    }

    fn to_be_created(&self, body: Create) -> Result<NewIndex, Fault> {
        let OfIndex { name, key } = body.index;
        let invalid = |reason: &str| Err(Doing::Create.invalid(reason));
        let name_bytes_max = self.settings.limits().name_bytes;
        if name.is_empty() {
            return Err(Fault::bad("index_name cannot be empty."));
        }
        if name.len() > name_bytes_max {
            return invalid(&format!(
                "index_name cannot be longer than {name_bytes_max} bytes, got {}",
                name.len()
            ));
        }
        if name.contains(char::is_control) {
            return invalid("index_name cannot hold control characters");
        }
        let given = |word: Option<String>| word.filter(|word| !word.is_empty());
        let hex = match (given(key), given(body.kms_name)) {
            (Some(hex), None) => hex,
            (None, Some(kms)) => {
                return Err(Fault::bad(format!("kms_name '{}' is not configured", map::shortened(&kms))));
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(Fault::bad("exactly one of kms_name or index_key must be supplied"));
            }
        };
        let key = IndexKey::read(&hex)?;
        if key.len() != IndexKey::BYTES {
            let got = key.len();
            return Err(Fault::bad(format!("index_key must be 32 bytes (hex-encoded); got {got} bytes")));
        }
        if given(body.embedding_model).is_some() {
            return invalid("embedding models are not offered by this server");
        }
        if body.wants_text_search {
            return invalid("metadata schemas and text search are not offered by this server");
        }
        let dimension = match body.dimension {
            None | Some(0) => None,
            Some(got @ i64::MIN..0) => return invalid(&format!("dimension cannot be negative, got {got}")),
            Some(got @ 1..=DIMENSION_MAX) => usize::try_from(got).ok(),
            Some(got) => return invalid(&format!("dimension cannot be above {DIMENSION_MAX}, got {got}")),
        };
        let metric = map::metric(body.metric.as_deref())?;
        let precision = body.precision.unwrap_or_default();
        Ok(NewIndex { name, key: key.digest(), dimension, metric, precision })
    }
}

/// What the older clients are told an index is.
const INDEX_TYPE: &str = "ivfflat";
