//! Makes yard and catalogue agree, and answers for them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use trainyard_core::{QueueName, QueueSettings, Subject};
use trainyard_heygen::{GroupId, HeyGen, Settings};
use trainyard_http::Mount;
use trainyard_http::secret::Secret;
use trainyard_runtime::{Builder, Context, JobToTrain, Trainyard};

use super::GroupPhotos;
use super::album::Album;
use super::config::HeyGenConfig;
use super::host::PhotoHost;
use super::trainers::{CheckTrainer, PortraitTrainer};
use crate::OpenError;
use crate::keeping::Keeper;
use crate::records::RecordsError;

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
        None => builder.trainer(kind, PortraitTrainer { photos, order: album.order }),
        Some(make) => {
            let trainer = (make.0)(photos);
            builder.trainer(kind, move |cx: &mut Context, job: &JobToTrain| trainer.train(cx, job))
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

/// Asks for the key of the data folder, and signs by another one, unless others were given.
pub(crate) fn serve(
    album: &Arc<Album>,
    yard: &Trainyard,
    config: &HeyGenConfig,
    public_url: Option<&str>,
) -> Result<Serving, OpenError> {
    let settings = settings(album, config, public_url)?;
    let limits = *settings.limits();
    retire_gone(album, yard).map_err(OpenError::album)?;
    let host = PhotoHost::new(Arc::clone(album), yard.clone());
    let adapter = HeyGen::new(Arc::new(yard.clone()), Arc::new(host), settings);
    let opened = Keeper::open(Arc::clone(album), yard.clone());
    let (keeper, healed) = opened.map_err(OpenError::album)?;
    let thread = thread::Builder::new().name("trainyard-looks".to_owned());
    let keeping = thread.spawn(move || keeper.run()).map_err(OpenError::Thread)?;
    let mount = |prefix| Mount::new(prefix, Arc::new(adapter.clone())).expect("it is a path prefix");
    let assets = mount(HeyGen::<Trainyard, PhotoHost>::ASSETS)
        .with_body_limit(limits.upload_bytes)
        .with_body_timeout(limits.upload_time);
    let rest = mount(HeyGen::<Trainyard, PhotoHost>::PREFIX).with_body_limit(limits.json_bytes);
    Ok(Serving { adapter, mounts: [assets, rest], keeping, resumed: healed.submitted })
}

fn settings(album: &Album, config: &HeyGenConfig, public_url: Option<&str>) -> Result<Settings, OpenError> {
    let mut settings = config.settings.clone();
    // The key would do for both, but a key that people made up must not.
    let is_own = |link: &Secret| settings.key().is_none_or(|key| key.expose() != link.expose());
    if !settings.link_key().is_some_and(is_own) {
        settings = settings.with_link_key(album.link_key.clone());
    }
    if let Some(key) = &album.made_key {
        settings = settings.with_key(key.clone());
    }
    if let (Some(url), None) = (public_url, settings.public_url()) {
        settings = settings.with_public_url(url).map_err(OpenError::album)?;
    }
    Ok(settings)
}

/// Groups whose end the yard has not heard of, because a crash came in between.
pub(super) fn retire_gone(album: &Album, yard: &Trainyard) -> Result<(), RecordsError> {
    let there: BTreeSet<GroupId> = album.catalog.groups()?.into_iter().map(|group| group.id).collect();
    let gone: BTreeSet<Subject> = yard.read(|yard| {
        let jobs = yard.jobs().filter(|job| job.outcome().is_none()).map(|job| &job.subject);
        let models = yard.registries().flat_map(|registry| yard.models(registry)).map(|model| &model.subject);
        let is_gone = |subject: &&Subject| GroupId::of(subject).is_some_and(|id| !there.contains(&id));
        jobs.chain(models).filter(is_gone).cloned().collect()
    });
    for subject in gone {
        tracing::info!(%subject, "its group is gone: it is retired");
        if let Err(error) = yard.retire(subject).wait() {
            tracing::warn!(%error, "that is tried again at the next start");
        }
    }
    Ok(())
}
