//! Models that the host could not adopt.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use trainyard_core::ModelId;

use crate::host::IndexId;

/// At most one model per index, its active one, and at most [`Unfit::KEPT_MAX`] in all.
#[derive(Debug, Default)]
pub(crate) struct Unfit {
    models: Mutex<BTreeMap<IndexId, Known>>,
}

#[derive(Debug)]
struct Known {
    model: ModelId,
    /// Whether it could not be adopted the last time too.
    is_unfit: bool,
}

impl Unfit {
    const KEPT_MAX: usize = 1_024;

    /// Takes a model in; false when it is known already.
    pub(crate) fn note(&self, index: IndexId, model: ModelId) -> bool {
        let mut models = self.models();
        let before = models.insert(index, Known { model, is_unfit: true });
        if before.is_some_and(|before| before.model == model) {
            return false;
        }
        if models.len() > Self::KEPT_MAX {
            // Another one is forgotten: it is reported again, and counts as a model until then.
            let other = models.keys().find(|known| **known != index).copied();
            other.map(|other| models.remove(&other));
        }
        true
    }

    /// The host has no objection now. It may have one again, about the same model: that is nothing new.
    pub(crate) fn pardon(&self, index: IndexId) {
        if let Some(known) = self.models().get_mut(&index) {
            known.is_unfit = false;
        }
    }

    /// The index is no more.
    pub(crate) fn forget(&self, index: IndexId) {
        self.models().remove(&index);
    }

    /// Whether this model of the index could not be adopted the last time.
    pub(crate) fn has(&self, index: IndexId, model: ModelId) -> bool {
        self.models().get(&index).is_some_and(|known| known.is_unfit && known.model == model)
    }

    fn models(&self) -> MutexGuard<'_, BTreeMap<IndexId, Known>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn index(n: usize) -> IndexId {
        IndexId::new(Uuid::from_u128(n as u128))
    }

    #[test]
    fn a_model_is_new_once() {
        let unfit = Unfit::default();
        let [old, new] = [1, 2].map(ModelId::from_u128);
        assert!(unfit.note(index(1), old) && !unfit.note(index(1), old));
        assert!(unfit.note(index(1), new) && unfit.has(index(1), new) && !unfit.has(index(1), old));
        unfit.pardon(index(1));
        assert!(!unfit.has(index(1), new));
        assert!(!unfit.note(index(1), new) && unfit.has(index(1), new));
        unfit.forget(index(1));
        assert!(!unfit.has(index(1), new) && unfit.note(index(1), new));
    }

    #[test]
    fn so_many_are_kept() {
        let unfit = Unfit::default();
        for n in 0..2 * Unfit::KEPT_MAX {
            assert!(
                unfit.note(index(n), ModelId::from_u128(1)) && unfit.has(index(n), ModelId::from_u128(1))
            );
        }
        assert_eq!(unfit.models().len(), Unfit::KEPT_MAX);
    }
}
