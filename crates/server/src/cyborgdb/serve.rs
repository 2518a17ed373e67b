//! Makes yard and indexes agree, and answers for them.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use trainyard_core::Event;
use trainyard_core::port::Change;
use trainyard_cyborgdb::{CyborgDb, IndexId, Resynced, Settings};
use trainyard_http::{Mount, block_on};
use trainyard_runtime::{Subscription, Trainyard};

use super::Shelf;
use super::host::VectorHost;
use crate::OpenError;

/// What is to be mounted, and the thread that ends with the yard.
pub(crate) fn serve(
    shelf: &Arc<Shelf>,
    yard: &Trainyard,
    settings: &Settings,
) -> Result<(Mount, JoinHandle<()>, Resynced), OpenError> {
    let host = Arc::new(VectorHost::new(Arc::clone(shelf), yard.clone()));
    let adapter = CyborgDb::new(Arc::new(yard.clone()), Arc::clone(&host), settings.clone());
    shelf.open_all();
    let indexes = block_on(adapter.resync())?;
    let changes = yard.subscribe();
    let thread = thread::Builder::new().name("trainyard-adopt".to_owned());
    let adopting = thread.spawn(move || adopt_all(&host, changes)).map_err(OpenError::Thread)?;
    let mount = Mount::new("/v1", Arc::new(adapter)).expect("it is a path prefix");
    Ok((mount.with_body_limit(settings.limits().body_bytes), adopting, indexes))
}

/// So that no query is the first to wait for a model: at the start, and after every training.
fn adopt_all(host: &VectorHost, changes: Subscription) {
    host.ids().into_iter().for_each(|id| host.adopt_active(id));
    for change in changes {
        match change {
            Change::Happened { fact, .. } => {
                if let Event::ModelRegistered { model } = &fact.event
                    && let Some(id) = IndexId::of(&model.subject)
                {
                    host.adopt_active(id);
                }
            }
            // Whoever asks such an index next makes it adopt.
            Change::Progressed { .. } | Change::Missed { .. } => {}
        }
    }
}
