//! The index library's words and the adapter's: pure, and total.

use std::num::{NonZeroU32, NonZeroUsize};

use serde_json::Value;
use trainyard_cyborgdb::{
    Batch, Hit, HostError, Item as GotItem, Metric, Parts, Query, Refused, TrainParameters,
};
use trainyard_ivf::{Filter, IndexError, Item, Refusal, Search, StorageError, Tolerance, TrainOrder};

use super::shelf::ShelfError;

pub(super) fn metric(metric: Metric) -> trainyard_ivf::Metric {
    match metric {
        Metric::Euclidean => trainyard_ivf::Metric::Euclidean,
        Metric::SquaredEuclidean => trainyard_ivf::Metric::SquaredEuclidean,
        Metric::Cosine => trainyard_ivf::Metric::Cosine,
    }
}

pub(super) fn items(batch: Batch) -> Vec<Item> {
    let Batch { dimension, vectors, items } = batch;
    let entries = items.into_iter().zip(vectors.chunks_exact(dimension));
    let item = |(entry, vector): (trainyard_cyborgdb::Entry, &[f32])| Item {
        id: entry.id,
        vector: vector.to_vec(),
        contents: entry.contents.unwrap_or_default(),
        metadata: entry.metadata.unwrap_or_default(),
    };
    entries.map(item).collect()
}

pub(super) fn got(item: Item, parts: Parts) -> GotItem {
    let Item { id, vector, contents, metadata } = item;
    GotItem {
        id,
        vector: parts.vector.then_some(vector),
        contents: parts.contents.then_some(contents),
        metadata: parts.metadata.then_some(metadata),
    }
}

/// `threads` for work that is worth more than one.
pub(super) fn search(query: &Query, vectors: usize, threads: NonZeroUsize) -> Result<Search, Refused> {
    let top_k = NonZeroUsize::new(query.top_k).ok_or_else(|| Refused::Invalid("top_k is 0".to_owned()))?;
    let mut search = Search::new(top_k);
    if let Some(probes) = query.n_probes {
        let probes = u32::try_from(probes).unwrap_or(u32::MAX);
        search = search.with_probes(NonZeroU32::new(probes).unwrap_or(NonZeroU32::MIN));
    }
    if let Some(filters) = &query.filters {
        let filter = Filter::parse(&Value::Object(filters.clone()));
        search = search.with_filter(filter.map_err(|error| Refused::Invalid(error.to_string()))?);
    }
    let products = query.vectors.len().saturating_mul(vectors);
    Ok(if products > PRODUCTS_ALONE_MAX { search.with_threads(threads) } else { search })
}

/// Up to so many multiplications one thread is as quick as several.
const PRODUCTS_ALONE_MAX: usize = 1 << 25;

pub(super) fn hit(hit: trainyard_ivf::Hit, metadata: bool) -> Hit {
    let trainyard_ivf::Hit { id, distance, metadata: found } = hit;
    Hit { id: id.as_ref().to_owned(), distance, metadata: metadata.then(|| found.as_ref().clone()) }
}

pub(super) fn order(parameters: &TrainParameters) -> TrainOrder {
    let TrainParameters { index_name: _, n_lists, batch_size, max_iters, tolerance, max_memory, min_vectors } =
        parameters;
    let small = |given: Option<u64>| NonZeroU32::new(u32::try_from(given?).unwrap_or(u32::MAX));
    let mut order = TrainOrder::new().with_min_vectors(*min_vectors);
    if let Some(lists) = small(*n_lists) {
        order = order.with_lists(lists);
    }
    if let Some(batch_size) = small(*batch_size) {
        order = order.with_batch_size(batch_size);
    }
    if let Some(max_iters) = small(*max_iters) {
        order = order.with_max_iters(max_iters);
    }
    if let Some(tolerance) = tolerance.and_then(Tolerance::new) {
        order = order.with_tolerance(tolerance);
    }
    if let Some(megabytes) = max_memory.and_then(std::num::NonZeroU64::new) {
        order = order.with_memory_megabytes(megabytes);
    }
    order
}

impl From<ShelfError> for Refused {
    fn from(error: ShelfError) -> Self {
        match error {
            ShelfError::Taken => Self::Taken,
            ShelfError::Gone => Self::Gone,
            ShelfError::Stopping => Self::Stopping,
            ShelfError::Full { .. } => Self::Invalid(error.to_string()),
            ShelfError::Catalog(_) | ShelfError::Storage(_) | ShelfError::Folder(_) => {
                Self::Failed(HostError::new(error))
            }
        }
    }
}

pub(super) fn failed(error: StorageError) -> Refused {
    Refused::Failed(HostError::new(error))
}

pub(super) fn index_error(error: IndexError) -> Refused {
    match error {
        IndexError::Refused(refusal) => refused(refusal),
        IndexError::Failed(error) => failed(error),
        error => Refused::Failed(HostError::new(error)),
    }
}

pub(super) fn refused(refusal: Refusal) -> Refused {
    match refusal {
        Refusal::WrongDimension { expected, got, .. } => Refused::WrongDimension { expected, got },
        Refusal::DimensionUnknown => Refused::DimensionUnset,
        Refusal::Stopped => Refused::Failed(HostError::new(refusal)),
        Refusal::DimensionOutOfBounds { .. }
        | Refusal::NotFinite { .. }
        | Refusal::IdLength { .. }
        | Refusal::ContentsTooLong { .. }
        | Refusal::MetadataTooLong { .. }
        | Refusal::MetadataTooDeep { .. }
        | Refusal::Full
        | Refusal::TooMuch { .. }
        | _ => Refused::Invalid(refusal.to_string()),
    }
}
