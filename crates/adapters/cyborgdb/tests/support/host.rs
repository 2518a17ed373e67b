//! Indexes in memory, searched exactly.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use trainyard_core::{Model, ModelId};
use trainyard_cyborgdb::{
    Batch, Description, Entry, Hit, Host, HostError, IndexId, Item, Listed, Metric, NewIndex, Parts, Query,
    Refused, Resolved,
};
use uuid::Uuid;

#[derive(Default)]
pub struct MemoryHost {
    indexes: Mutex<BTreeMap<IndexId, Index>>,
    ids: AtomicUsize,
    /// Everything fails from now on.
    pub broken: AtomicBool,
    /// Whoever asks for an index finds a bug.
    pub panics: AtomicBool,
    /// It is being shut down.
    pub stopping: AtomicBool,
    /// No model can be adopted.
    pub damaged: AtomicBool,
    /// How many ids the last get asked for.
    pub asked_for: AtomicUsize,
}

struct Index {
    new: NewIndex,
    dimension: Option<usize>,
    items: BTreeMap<String, (Vec<f32>, Entry)>,
    serves: Option<ModelId>,
}

impl MemoryHost {
    pub fn id(&self, name: &str) -> Option<IndexId> {
        self.resolve(name).unwrap().map(|index| index.id)
    }

    pub fn serves(&self, name: &str) -> Option<ModelId> {
        let id = self.id(name).unwrap();
        self.indexes.lock().unwrap()[&id].serves
    }

    /// As if this index had grown while nobody listened: items without an upsert.
    pub fn stuff(&self, name: &str, count: usize) {
        let id = self.id(name).unwrap();
        self.with(id, |index| {
            index.dimension = Some(1);
            for n in 0..count {
                let entry = Entry { id: format!("s{n}"), contents: None, metadata: None };
                index.items.insert(entry.id.clone(), (vec![0.0], entry));
            }
            Ok(())
        })
        .unwrap();
    }

    fn with<T>(&self, id: IndexId, act: impl FnOnce(&mut Index) -> Result<T, Refused>) -> Result<T, Refused> {
        self.check()?;
        if self.stopping.load(Ordering::SeqCst) {
            return Err(Refused::Stopping);
        }
        act(self.indexes.lock().unwrap().get_mut(&id).ok_or(Refused::Gone)?)
    }

    fn check(&self) -> Result<(), HostError> {
        match self.broken.load(Ordering::SeqCst) {
            true => Err(HostError::new("a secret cause")),
            false => Ok(()),
        }
    }
}

impl Host for MemoryHost {
    fn create(&self, new: NewIndex) -> Result<IndexId, Refused> {
        self.check()?;
        if self.stopping.load(Ordering::SeqCst) {
            return Err(Refused::Stopping);
        }
        let mut indexes = self.indexes.lock().unwrap();
        if indexes.values().any(|index| index.new.name == new.name) {
            return Err(Refused::Taken);
        }
        let id = IndexId::new(Uuid::from_u128(self.ids.fetch_add(1, Ordering::SeqCst) as u128 + 1));
        let dimension = new.dimension;
        indexes.insert(id, Index { new, dimension, items: BTreeMap::new(), serves: None });
        Ok(id)
    }

    fn list(&self) -> Result<Vec<Listed>, HostError> {
        self.check()?;
        if self.stopping.load(Ordering::SeqCst) {
            return Err(HostError::new(Refused::Stopping));
        }
        let indexes = self.indexes.lock().unwrap();
        Ok(indexes.iter().map(|(id, index)| Listed { id: *id, name: index.new.name.clone() }).rev().collect())
    }

    fn resolve(&self, name: &str) -> Result<Option<Resolved>, HostError> {
        assert!(!self.panics.load(Ordering::SeqCst), "a bug of the host's");
        self.check()?;
        let indexes = self.indexes.lock().unwrap();
        let found = indexes.iter().find(|(_, index)| index.new.name == name);
        Ok(found.map(|(id, index)| Resolved { id: *id, key: Some(index.new.key) }))
    }

    fn describe(&self, id: IndexId) -> Result<Description, Refused> {
        self.with(id, |index| Ok(Description { dimension: index.dimension, metric: index.new.metric }))
    }

    fn remove(&self, id: IndexId) -> Result<(), Refused> {
        self.with(id, |_| Ok(()))?;
        self.indexes.lock().unwrap().remove(&id).map(|_| ()).ok_or(Refused::Gone)
    }

    fn adopt(&self, id: IndexId, model: &Model) -> Result<(), Refused> {
        self.with(id, |index| {
            if self.damaged.load(Ordering::SeqCst) {
                return Err(HostError::new("a damaged file").into());
            }
            index.serves = Some(model.id);
            Ok(())
        })
    }

    fn upsert(&self, id: IndexId, batch: Batch) -> Result<u64, Refused> {
        assert!(!batch.items.is_empty() && batch.dimension > 0);
        assert_eq!(batch.vectors.len(), batch.items.len() * batch.dimension);
        assert!(batch.vectors.iter().all(|number| number.is_finite()));
        self.with(id, |index| {
            let expected = *index.dimension.get_or_insert(batch.dimension);
            if expected != batch.dimension {
                return Err(Refused::WrongDimension { expected, got: batch.dimension });
            }
            for (vector, entry) in batch.vectors.chunks(expected).zip(batch.items) {
                index.items.insert(entry.id.clone(), (vector.to_vec(), entry));
            }
            Ok(index.items.len() as u64)
        })
    }

    fn get(&self, id: IndexId, ids: &[String], _: Parts) -> Result<Vec<Item>, Refused> {
        self.asked_for.store(ids.len(), Ordering::SeqCst);
        self.with(id, |index| {
            let item = |(vector, entry): &(Vec<f32>, Entry)| Item {
                id: entry.id.clone(),
                vector: Some(vector.clone()),
                contents: entry.contents.clone(),
                metadata: entry.metadata.clone(),
            };
            Ok(ids.iter().filter_map(|id| index.items.get(id)).map(item).collect())
        })
    }

    fn delete(&self, id: IndexId, ids: &[String]) -> Result<(), Refused> {
        self.with(id, |index| {
            ids.iter().for_each(|id| drop(index.items.remove(id)));
            Ok(())
        })
    }

    fn list_ids(&self, id: IndexId) -> Result<Vec<String>, Refused> {
        self.with(id, |index| Ok(index.items.keys().cloned().collect()))
    }

    fn count(&self, id: IndexId) -> Result<u64, Refused> {
        self.with(id, |index| Ok(index.items.len() as u64))
    }

    fn query(&self, id: IndexId, query: &Query) -> Result<Vec<Vec<Hit>>, Refused> {
        assert!(query.top_k > 0 && query.dimension > 0 && !query.vectors.is_empty());
        self.with(id, |index| {
            let filters = query.filters.clone().unwrap_or_default();
            if let Some(name) = filters.keys().find(|name| name.starts_with('$')) {
                return Err(Refused::Invalid(format!("unknown operator {name}")));
            }
            let fits = |entry: &Entry| {
                filters
                    .iter()
                    .all(|(name, value)| entry.metadata.as_ref().and_then(|m| m.get(name)) == Some(value))
            };
            let near = |wanted: &[f32]| {
                let hit = |(vector, entry): &(Vec<f32>, Entry)| Hit {
                    id: entry.id.clone(),
                    distance: distance(index.new.metric, wanted, vector),
                    metadata: entry.metadata.clone().filter(|_| query.metadata),
                };
                let mut hits: Vec<Hit> =
                    index.items.values().filter(|(_, entry)| fits(entry)).map(hit).collect();
                hits.sort_by(|a, b| a.distance.total_cmp(&b.distance));
                hits.truncate(query.top_k);
                hits
            };
            Ok(query.vectors.chunks(query.dimension).map(near).collect())
        })
    }
}

fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    let squares: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    match metric {
        Metric::Euclidean => squares.sqrt(),
        Metric::SquaredEuclidean => squares,
        Metric::Cosine => 1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt(),
    }
}
