//! Items: put in, read, taken out, counted.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trainyard_core::port::Handle;
use trainyard_http::{Request, Response, StatusCode};

use crate::fault::Fault;
use crate::host::{Batch, Entry, Host, Refused};
use crate::indexes::DIMENSION_MAX;
use crate::map::{self, Doing};
use crate::service::{CyborgDb, Edge};
use crate::training::Grown;
use crate::wire::answers::{Count, Got, Ids, Results, Said, Upserted};
use crate::wire::json::to_map;
use crate::wire::requests::{Delete, Get, OfIndex, SentBatch, SentItem, SentVectors, Upsert, UpsertBinary};

impl<H: Handle + ?Sized, S: Host + ?Sized> CyborgDb<H, S> {
    pub(crate) async fn upsert(&self, request: Request) -> Result<Response, Fault> {
        let work = |edge: &Edge<H, S>, body: Upsert| {
            let id = edge.open(Doing::Upsert, &body.index)?;
            edge.bounded(Doing::Upsert, "items", body.items.len(), edge.settings.limits().items)?;
            let described = edge.host.describe(id);
            let described =
                described.map_err(|error| map::refused(Doing::Upsert, &body.index.name, &error))?;
            let batch = batch_of_items(body.items, described.dimension)?;
            edge.put(Doing::Upsert, id, body.index.name, batch)
        };
        let grown = self.post(request, work).await?;
        Ok(self.upserted(grown).await)
    }

    pub(crate) async fn upsert_binary(&self, request: Request) -> Result<Response, Fault> {
        let work = |edge: &Edge<H, S>, body: UpsertBinary| {
            let id = edge.open(Doing::UpsertBinary, &body.index)?;
            edge.bounded(Doing::UpsertBinary, "ids", body.batch.ids.len(), edge.settings.limits().items)?;
            let batch = batch_of_bytes(body.batch)?;
            edge.put(Doing::UpsertBinary, id, body.index.name, batch)
        };
        let grown = self.post(request, work).await?;
        Ok(self.upserted(grown).await)
    }

    async fn upserted(&self, grown: Grown) -> Response {
        let message = format!("Upserted {} vectors", grown.upserted);
        let (training_message, warning) = match self.train_if_due(grown).await {
            Ok(message) => (message, None),
            Err(()) => (None, Some("Training check failed but upsert succeeded")),
        };
        let training_triggered = training_message.is_some().then_some(true);
        let answer = Upserted { status: "success", message, training_triggered, training_message, warning };
        Response::json(StatusCode::OK, &answer)
    }

    pub(crate) async fn get(&self, request: Request) -> Result<Response, Fault> {
        self.post(request, |edge, body: Get| {
            let id = edge.open(Doing::Get, &body.index)?;
            edge.bounded(Doing::Get, "ids", body.ids.len(), edge.settings.limits().ids)?;
            let ids = folded(body.ids);
            if body.parts.vector {
                let described = edge.host.describe(id);
                let described =
                    described.map_err(|error| map::refused(Doing::Get, &body.index.name, &error))?;
                let numbers = ids.len().saturating_mul(described.dimension.unwrap_or(0));
                if numbers.saturating_mul(NUMBER_BYTES) > edge.settings.limits().answer_bytes {
                    return Err(edge.too_long(Doing::Get));
                }
            }
            let items = edge.host.get(id, &ids, body.parts);
            let items = items.map_err(|error| map::refused(Doing::Get, &body.index.name, &error))?;
            let results = items.into_iter().map(|item| Got::new(item, body.parts)).collect();
            edge.bounded_answer(Doing::Get, &Results { results })
        })
        .await
    }

    pub(crate) async fn delete(&self, request: Request) -> Result<Response, Fault> {
        self.post(request, |edge, body: Delete| {
            let id = edge.open(Doing::Delete, &body.index)?;
            edge.bounded(Doing::Delete, "ids", body.ids.len(), edge.settings.limits().ids)?;
            let deleted = edge.host.delete(id, &body.ids);
            deleted.map_err(|error| map::refused(Doing::Delete, &body.index.name, &error))?;
            let said = Said::success(format!("Deleted {} vectors", body.ids.len()));
            Ok(Response::json(StatusCode::OK, &said))
        })
        .await
    }

    pub(crate) async fn list_ids(&self, request: Request) -> Result<Response, Fault> {
        self.post(request, |edge, index: OfIndex| {
            let id = edge.open(Doing::ListIds, &index)?;
            let ids = edge.host.list_ids(id);
            let ids = ids.map_err(|error| map::refused(Doing::ListIds, &index.name, &error))?;
            let count = ids.len();
            Ok(Response::json(StatusCode::OK, &Ids { ids, count }))
        })
        .await
    }

    pub(crate) async fn count(&self, request: Request) -> Result<Response, Fault> {
        self.post(request, |edge, index: OfIndex| {
            let id = edge.open(Doing::Count, &index)?;
            let result = edge.host.count(id);
            let result = result.map_err(|error| map::refused(Doing::Count, &index.name, &error))?;
            Ok(Response::json(StatusCode::OK, &Count { result }))
        })
        .await
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    pub(crate) fn bounded(&self, doing: Doing, what: &str, got: usize, max: usize) -> Result<(), Fault> {
        match got <= max {
            true => Ok(()),
            false => Err(doing.invalid(format!("at most {max} {what} in one request, got {got}"))),
        }
    }
}

/// About how many bytes of an answer one number of a vector takes.
const NUMBER_BYTES: usize = 12;

/// Each id once, where it came first.
fn folded(ids: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::with_capacity(ids.len());
    let is_new: Vec<bool> = ids.iter().map(|id| seen.insert(&**id)).collect();
    ids.into_iter().zip(is_new).filter_map(|(id, is_new)| is_new.then_some(id)).collect()
}

fn batch_of_items(items: Vec<SentItem>, dimension: Option<usize>) -> Result<Batch, Fault> {
    let invalid = |reason: String| Doing::Upsert.invalid(reason);
    let first = items.first().ok_or_else(|| {
        invalid("Invalid arguments. Expected a list of dicts when passing a single argument.".to_owned())
    })?;
    let length = |item: &SentItem| item.vector.as_ref().map(Vec::len);
    let expected = dimension.or_else(|| length(first)).unwrap_or(0);
    // What was sent, not what should have been: a short item must not reserve a long one's room.
    let mut vectors = Vec::with_capacity(items.iter().filter_map(length).sum());
    let mut entries = Vec::with_capacity(items.len());
    for (n, item) in items.into_iter().enumerate() {
        let Some(vector) = item.vector else {
            return Err(invalid(format!("item {n} has no vector, and the index has no embedding model")));
        };
        if vector.len() != expected || expected == 0 {
            let refused = Refused::WrongDimension { expected: expected.max(1), got: vector.len() };
            return Err(map::refused(Doing::Upsert, "", &refused));
        }
        if item.id.is_empty() {
            return Err(invalid(format!("item {n} has an empty id")));
        }
        vectors.extend(vector);
        let metadata = item.metadata.map(|members| to_map(&members));
        entries.push(Entry { id: item.id, contents: item.contents, metadata });
    }
    let fits = i64::try_from(expected).is_ok_and(|expected| expected <= DIMENSION_MAX);
    let batch = Batch { dimension: expected, vectors, items: entries };
    fits.then_some(batch)
        .ok_or_else(|| invalid(format!("dimension cannot be above {DIMENSION_MAX}, got {expected}")))
}

/// When ids and vectors differ in number the surplus is dropped, as the original does.
fn batch_of_bytes(batch: SentBatch) -> Result<Batch, Fault> {
    let (dimension, mut vectors) = decoded(Doing::UpsertBinary, &batch.vectors)?;
    let items = batch.ids.len().min(vectors.len() / dimension);
    if items == 0 {
        return Err(
            Doing::UpsertBinary.invalid("Invalid arguments. Expected at least one id and its vector.")
        );
    }
    vectors.truncate(items * dimension);
    if let Some(n) = batch.ids.iter().take(items).position(String::is_empty) {
        return Err(Doing::UpsertBinary.invalid(format!("item {n} has an empty id")));
    }
    let mut contents = batch.contents.into_iter();
    let mut metadata = batch.metadata.into_iter();
    let entry = |id| {
        let metadata = metadata.next().flatten().map(|members| to_map(&members));
        Entry { id, contents: contents.next().flatten(), metadata }
    };
    let items = batch.ids.into_iter().take(items).map(entry).collect();
    Ok(Batch { dimension, vectors, items })
}

/// The dimension and the numbers: whole vectors, finite.
pub(crate) fn decoded(doing: Doing, sent: &SentVectors) -> Result<(usize, Vec<f32>), Fault> {
    let dimension = match sent.dimension {
        1..=DIMENSION_MAX => usize::try_from(sent.dimension).unwrap_or(usize::MAX),
        got => {
            return Err(doing.invalid(format!("dimension must be between 1 and {DIMENSION_MAX}, got {got}")));
        }
    };
    let bytes =
        STANDARD.decode(&sent.base64).map_err(|_| doing.invalid("vectors_b64 is not valid base64"))?;
    if bytes.len() % (dimension * 4) != 0 {
        let got = bytes.len();
        return Err(doing
            .invalid(format!("vectors_b64 holds {got} bytes, which are no vectors of {dimension} float32")));
    }
    let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("chunks are of four bytes"));
    let numbers: Vec<f32> = bytes.chunks_exact(4).map(number).collect();
    if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
        return Err(doing.invalid(format!("vector {} holds a number that is not finite", at / dimension)));
    }
    Ok((dimension, numbers))
}
