//! Makes yard and catalogue agree, and answers for them.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use trainyard_core::{QueueName, QueueSettings, Retention};
use trainyard_heygen::{HeyGen, Settings};
use trainyard_http::secret::Secret;
use trainyard_http::{Mount, PublicUrl};
use trainyard_runtime::{Builder, Context, JobToTrain, Trainyard};

use super::GroupPhotos;
use super::album::Album;
use super::config::HeyGenConfig;
use super::host::PhotoHost;
use super::trainers::{CheckTrainer, Discreet, PortraitTrainer};
use crate::OpenError;
use crate::keeping::Keeper;
use crate::memory::{memory_mib, turn_away, with_memory};

/// What is to be mounted, and the thread that ends with the yard.
pub(crate) struct Serving {
    pub(crate) adapter: HeyGen<Trainyard, PhotoHost>,
    pub(crate) mounts: [Mount; 2],
    pub(crate) keeping: JoinHandle<()>,
    /// How many looks have got their job again.
    pub(crate) resumed: usize,
}

/// How many jobs of HeyGen's run at once, beside so many trainings. Each takes as much memory as one photo may.
pub(crate) const BESIDE_MAX: u32 = 2;

/// A yard that can do all of it.
pub(crate) fn trainers(builder: Builder, album: &Arc<Album>, config: &HeyGenConfig) -> Builder {
    let photos = GroupPhotos::new(Arc::clone(album));
    let kind = config.settings.class().kind.clone();
    let builder = builder.trainer(album.check.kind.clone(), CheckTrainer(Arc::clone(album)));
    match &config.trainer {
        None => builder.trainer(kind, Discreet(PortraitTrainer { photos, album: Arc::clone(album) })),
        Some(make) => {
            let trainer = (make.0)(photos);
            let train = move |cx: &mut Context, job: &JobToTrain| trainer.train(cx, job);
            builder.trainer(kind, Discreet(train))
        }
    }
}

/// The lines that its jobs wait in.
pub(crate) fn queues(
    album: &Album,
    config: &HeyGenConfig,
    waiting_max: u32,
) -> [(QueueName, QueueSettings); 2] {
    let settings = |running_max| QueueSettings {
        running_max: Some(running_max),
        waiting_max,
        ..QueueSettings::default()
    };
    [
        (config.settings.class().queue.clone(), settings(config.running_max)),
        (album.check.queue.clone(), settings(BESIDE_MAX)),
    ]
}

/// How much is kept of the jobs that look at images. How far each look is, the catalogue says.
pub(crate) fn retention(album: &Album) -> (QueueName, Retention) {
    let retention = Retention { finished_max: Some(FINISHED_MAX), ..Retention::default() };
    (album.check.queue.clone(), retention)
}

const FINISHED_MAX: u32 = 1_000;

/// Asks for the key of the data folder, and signs by another one, unless others were given.
pub(crate) fn serve(
    album: &Arc<Album>,
    yard: &Trainyard,
    config: &HeyGenConfig,
    public_url: Option<&PublicUrl>,
) -> Result<Serving, OpenError> {
    let settings = settings(album, config, public_url);
    let host = PhotoHost::new(Arc::clone(album), yard.clone());
    let adapter = HeyGen::new(Arc::new(yard.clone()), Arc::new(host), settings);
    let opened = Keeper::open(Arc::clone(album), yard.clone());
    let (keeper, healed) = opened.map_err(OpenError::album)?;
    turn_away(yard, &config.settings.class().kind, album.memory_mib);
    let thread = thread::Builder::new().name("trainyard-looks".to_owned());
    let keeping = thread.spawn(move || keeper.run()).map_err(OpenError::Thread)?;
    let mounts = adapter.mounts();
    Ok(Serving { adapter, mounts, keeping, resumed: healed.submitted })
}

pub(super) fn settings(album: &Album, config: &HeyGenConfig, public_url: Option<&PublicUrl>) -> Settings {
    let mut settings = config.settings.clone();
    // The key would do for both, but a key that people made up must not.
    let is_own = |link: &Secret| settings.key().is_none_or(|key| key.expose() != link.expose());
    if !settings.link_key().is_some_and(is_own) {
        settings = settings.with_link_key(album.link_key.clone());
    }
    // What another trainer takes, whoever brings it says.
    if config.trainer.is_none() && memory_mib(settings.class()) == 0 {
        let looks_max = usize::try_from(album.looks_max).unwrap_or(usize::MAX);
        let needed = album.needed_mib(looks_max);
        if needed > album.memory_mib {
            let max = album.memory_mib;
            tracing::warn!(needed, max, "trainings of large groups do not fit into the memory");
        }
        let mut class = settings.class().clone();
        class.resources = with_memory(class.resources, needed.min(album.memory_mib));
        settings = settings.with_class(class);
    }
    if let Some(key) = &album.made_key {
        settings = settings.with_key(key.clone());
    }
    if let (Some(url), None) = (public_url, settings.public_url()) {
        settings = settings.with_public_url(url.clone());
    }
    settings
}
