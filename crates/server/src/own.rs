//! Trainers of kinds that no adapter knows.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use trainyard_core::Kind;
use trainyard_runtime::{Builder, Context, JobToTrain, Trainer};

/// Who trains which kind, and how many slots there are for it.
#[derive(Clone, Default)]
pub(crate) struct OwnTrainers(BTreeMap<Kind, (u64, Arc<dyn Trainer>)>);

impl OwnTrainers {
    pub(crate) fn insert(&mut self, kind: Kind, slots: u64, trainer: Arc<dyn Trainer>) {
        self.0.insert(kind, (slots, trainer));
    }

    /// Of two trainers for one kind the last counts, so those of the adapters come after this.
    pub(crate) fn register(&self, builder: Builder) -> Builder {
        self.0.iter().fold(builder, |builder, (kind, (_, trainer))| {
            let trainer = Arc::clone(trainer);
            builder.trainer(kind.clone(), move |cx: &mut Context, job: &JobToTrain| trainer.train(cx, job))
        })
    }

    /// For all of them together.
    pub(crate) fn slots(&self) -> u64 {
        self.0.values().fold(0, |all, (slots, _)| all.saturating_add(*slots))
    }
}

impl fmt::Debug for OwnTrainers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
