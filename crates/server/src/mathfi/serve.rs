//! Makes yard and catalogue agree, and answers for them.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use trainyard_core::{QueueName, QueueSettings, Retention};
use trainyard_http::{Mount, PublicUrl};
use trainyard_mathfi::{MathFi, Settings};
use trainyard_runtime::{Builder, Trainyard};

use super::books::Books;
use super::config::MathFiConfig;
use super::host::TableHost;
use super::trainers::{ContestTrainer, PredictTrainer, PrepareTrainer};
use crate::OpenError;
use crate::keeping::Keeper;
use crate::memory::turn_away;

/// What is to be mounted, and the thread that ends with the yard.
pub(crate) struct Serving {
    pub(crate) adapter: MathFi<Trainyard, TableHost>,
    pub(crate) mounts: [Mount; 3],
    pub(crate) keeping: JoinHandle<()>,
    /// How many datasets and predictions have got their job again.
    pub(crate) resumed: usize,
}

/// How many jobs of MathFi's run at once, beside so many contests.
pub(crate) const BESIDE_MAX: u32 = PREPARING_MAX + PREDICTING_MAX;

const PREPARING_MAX: u32 = 2;
const PREDICTING_MAX: u32 = 2;

/// A yard that can do all of it.
pub(crate) fn trainers(builder: Builder, books: &Arc<Books>, config: &MathFiConfig) -> Builder {
    let kind = config.settings.class().kind.clone();
    builder
        .trainer(kind, ContestTrainer(Arc::clone(books)))
        .trainer(books.classes.prepare.kind.clone(), PrepareTrainer(Arc::clone(books)))
        .trainer(books.classes.predict.kind.clone(), PredictTrainer(Arc::clone(books)))
}

/// The lines that its jobs wait in.
pub(crate) fn queues(
    books: &Books,
    config: &MathFiConfig,
    waiting_max: u32,
) -> [(QueueName, QueueSettings); 3] {
    let settings = |running_max| QueueSettings {
        running_max: Some(running_max),
        waiting_max,
        ..QueueSettings::default()
    };
    [
        (config.settings.class().queue.clone(), settings(config.running_max)),
        (books.classes.prepare.queue.clone(), settings(PREPARING_MAX)),
        (books.classes.predict.queue.clone(), settings(PREDICTING_MAX)),
    ]
}

/// How much is kept of what came through them. The key of a model is good as long as its training is shown, so models stay,
/// which are small; how far datasets and predictions are, the catalogue says.
pub(crate) fn retentions(books: &Books, config: &MathFiConfig) -> [(QueueName, Retention); 3] {
    let models = Retention { models_max: Some(MODELS_MAX), ..Retention::default() };
    let work = Retention { finished_max: Some(FINISHED_MAX), ..Retention::default() };
    [
        (config.settings.class().queue.clone(), models),
        (books.classes.prepare.queue.clone(), work),
        (books.classes.predict.queue.clone(), work),
    ]
}

/// Of one dataset.
const MODELS_MAX: u32 = 10_000;
/// Of datasets that were made ready, and of predictions.
const FINISHED_MAX: u32 = 1_000;

/// Signs by the key of the data folder, unless another one was given.
pub(crate) fn serve(
    books: &Arc<Books>,
    yard: &Trainyard,
    config: &MathFiConfig,
    public_url: Option<&PublicUrl>,
) -> Result<Serving, OpenError> {
    let mut settings: Settings = config.settings.clone();
    if settings.key().is_none() {
        settings = settings.with_key(books.key.clone()).map_err(OpenError::books)?;
    }
    if let (Some(url), None) = (public_url, settings.public_url()) {
        settings = settings.with_public_url(url.clone());
    }
    let host = TableHost::new(Arc::clone(books), yard.clone());
    let adapter = MathFi::new(Arc::new(yard.clone()), Arc::new(host), settings);
    let (keeper, healed) = Keeper::open(Arc::clone(books), yard.clone()).map_err(OpenError::books)?;
    turn_away(yard, &config.settings.class().kind, books.memory_mib);
    let thread = thread::Builder::new().name("trainyard-keeper".to_owned());
    let keeping = thread.spawn(move || keeper.run()).map_err(OpenError::Thread)?;
    let mounts = adapter.mounts();
    Ok(Serving { adapter, mounts, keeping, resumed: healed.submitted })
}
