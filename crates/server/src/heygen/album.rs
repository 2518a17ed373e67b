//! What the host and the trainers have in common.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use trainyard_core::{Class, JobId, Outcome, QueueName, Subject, Submission, Timestamp};
use trainyard_heygen::{Asset, Media, Refused};
use trainyard_http::secret::Secret;
use trainyard_portrait::{Limits, Order};
use trainyard_runtime::Trainyard;

use super::catalog::{Catalog, Stored};
use super::config::HeyGenConfig;
use super::tending;
use super::work::Check;
use crate::disk::{Disk, NotKept};
use crate::incoming::{self, Inbox, Incoming};
use crate::keeping::{Behind, Ledger};
use crate::key::kept_key;
use crate::lock::make_private;
use crate::records::RecordsError;
use crate::room::{Part, Room};

/// Assets, groups and looks, with their files. The catalogue says how far each look is; the yard says only whether
/// somebody works on it.
///
/// | | |
/// |---|---|
/// | `catalog.sqlite` | which assets, groups and looks there are |
/// | `link.key` | what links to pictures are signed with |
/// | `api.key` | what clients show, when nobody has said what |
/// | `incoming/` | files on their way in; cleared at every start |
/// | `assets/` | a file per asset: `<id>.png` or `<id>.jpg`, or of another sort that no look shows |
pub(crate) struct Album {
    pub(crate) catalog: Catalog,
    pub(crate) inbox: Inbox,
    pub(crate) room: Arc<Room<()>>,
    pub(crate) check: Arc<Class>,
    pub(crate) limits: Limits,
    pub(crate) order: Order,
    /// What trainings may take together, in MiB.
    pub(crate) memory_mib: u64,
    pub(crate) link_key: Secret,
    /// The one that was made, when none is configured.
    pub(crate) made_key: Option<Secret>,
    pub(crate) groups_max: u64,
    pub(crate) looks_max: u64,
    pub(crate) assets_max: u64,
    assets: PathBuf,
    /// What the files of assets take, in bytes. Held while one becomes an asset, or some go.
    stored: Mutex<u64>,
    /// How long an asset that no look shows stays: as long as a link to it may be good.
    idle_max: Duration,
    behind: Behind,
}

/// Why the album cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AlbumError {
    #[error(transparent)]
    Catalog(#[from] RecordsError),
    #[error("could not use {}", path.display())]
    Folder { path: PathBuf, source: io::Error },
}

/// Where the key is that was made here, below the folder of the album.
pub(crate) const MADE_KEY: &str = "api.key";

impl Album {
    /// Opens the catalogue, and clears away what a crash has left; says which key was made since none is configured, if
    /// nobody has been told of it.
    pub(crate) fn open(
        folder: &Path,
        config: &HeyGenConfig,
        memory_mib: u64,
        disk: Disk,
    ) -> Result<(Self, Option<Secret>), AlbumError> {
        let failed = |path: PathBuf| move |source| AlbumError::Folder { path, source };
        make_private(folder).map_err(failed(folder.to_owned()))?;
        let catalog = Catalog::open(&folder.join("catalog.sqlite"))?;
        let assets = folder.join("assets");
        fs::create_dir_all(&assets).map_err(failed(assets.clone()))?;
        let inbox = Inbox::open(folder.join("incoming"), config.settings.limits().uploads);
        let inbox = inbox.map_err(failed(folder.to_owned()))?;
        let known: BTreeSet<PathBuf> =
            catalog.assets()?.into_iter().map(|stored| file(&assets, stored)).collect();
        let cleared = incoming::clear_all_but(&assets, &known).map_err(failed(assets.clone()))?;
        if cleared > 0 {
            tracing::info!(cleared, "images that nobody knows were cleared away");
        }
        let stored = known.iter().map(|path| bytes_of(path)).fold(0, u64::saturating_add);
        let link = folder.join("link.key");
        let link_key = kept_key(&link).map_err(failed(link))?;
        let (mut made_key, mut untold) = (None, None);
        if config.settings.key().is_none() {
            let path = folder.join(MADE_KEY);
            if !path.exists() {
                // Whoever knew the last one is told of the next one.
                catalog.tell_key(false)?;
            }
            let key = kept_key(&path).map_err(failed(path))?;
            untold = (!catalog.is_key_told()?).then(|| key.clone());
            made_key = Some(key);
        }
        let album = Self {
            catalog,
            inbox,
            room: Arc::new(Room::new(disk, config.bytes_max)),
            check: Check::class(config.retry),
            limits: config.photos,
            order: config.order.with_limits(config.photos),
            memory_mib,
            link_key,
            made_key,
            groups_max: config.groups_max,
            looks_max: config.looks_max,
            assets_max: config.assets_max,
            assets,
            stored: Mutex::new(stored),
            idle_max: config.settings.limits().link_life,
            behind: Behind::default(),
        };
        Ok((album, untold))
    }

    /// What a training on so many photos may take, in MiB.
    pub(crate) fn needed_mib(&self, photos: usize) -> u64 {
        self.order.training_bytes(photos).div_ceil(1 << 20)
    }

    /// How much the files of assets take, in bytes.
    pub(crate) fn stored(&self) -> u64 {
        *self.stored.lock()
    }

    /// Makes a whole file an asset. The file comes first, the record second: a crash in between leaves a file that
    /// nobody knows. Of what makes room for it the record goes first, for the same end.
    pub(crate) fn take_in(&self, asset: &Asset, incoming: Incoming, part: Part<()>) -> Result<(), Refused> {
        incoming.sync().map_err(NotKept::from)?;
        let mut stored = self.stored.lock();
        part.check(*stored)?;
        let path = self.file(Stored { id: asset.id, media: asset.media });
        let kept = incoming.keep(&path).map_err(|error| Refused::from(NotKept::from(error)));
        let settled = before(asset.created_at, UNTOUCHED);
        let gone = kept.and_then(|()| Ok(self.catalog.add_asset(asset, self.assets_max, settled)?));
        let gone = gone.inspect_err(|_| incoming::remove(&path))?;
        *stored = stored.saturating_add(part.bytes());
        self.remove(&mut stored, gone);
        Ok(())
    }

    /// Removes the assets that no look shows, and that are as old as links may be.
    pub(crate) fn sweep(&self, now: Timestamp) -> Result<(), RecordsError> {
        let mut stored = self.stored.lock();
        let gone = self.catalog.sweep_assets(before(now, self.idle_max))?;
        if !gone.is_empty() {
            tracing::info!(gone = gone.len(), "files that no look shows any more were cleared away");
        }
        self.remove(&mut stored, gone);
        Ok(())
    }

    fn remove(&self, stored: &mut u64, gone: Vec<Stored>) {
        for path in gone.into_iter().map(|gone| self.file(gone)) {
            let bytes = bytes_of(&path);
            incoming::remove(&path);
            *stored = stored.saturating_sub(bytes);
        }
    }

    /// Where the image of an asset is.
    pub(crate) fn file(&self, stored: Stored) -> PathBuf {
        file(&self.assets, stored)
    }
}

fn file(assets: &Path, stored: Stored) -> PathBuf {
    let extension = match stored.media {
        Media::Jpeg => "jpg",
        Media::Png => "png",
        Media::Mp4 => "mp4",
        Media::WebM => "webm",
        Media::Mp3 => "mp3",
        Media::Wav => "wav",
    };
    assets.join(format!("{}.{extension}", stored.id.as_uuid()))
}

/// How long a file is; 0 when it is not there.
fn bytes_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// So long before a time.
fn before(at: Timestamp, wait: Duration) -> Timestamp {
    let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(at.as_millis().saturating_sub(millis))
}

/// An asset makes no room for another one before it is so old: whoever has sent it is about to use it.
const UNTOUCHED: Duration = Duration::from_secs(3_600);

impl Ledger for Album {
    type Work = Check;
    type Error = RecordsError;

    fn work_of(&self, subject: &Subject) -> Option<Check> {
        Check::of(subject)
    }

    fn at_work(&self) -> Result<Vec<(Check, JobId)>, RecordsError> {
        let at_work = self.catalog.looks_at_work()?;
        Ok(at_work.into_iter().map(|(look, job)| (Check(look), job)).collect())
    }

    fn line(&self, _: Check) -> &QueueName {
        &self.check.queue
    }

    fn submission(
        &self,
        _: &Trainyard,
        check: Check,
        job: JobId,
    ) -> Result<Option<Submission>, RecordsError> {
        Ok(Some(check.submission(&self.check, job)))
    }

    fn settle(&self, Check(look): Check, outcome: &Outcome) -> Result<(), RecordsError> {
        let reason = match outcome {
            Outcome::TimedOut(_) => "the picture took too long to be read",
            Outcome::Completed { .. }
            | Outcome::Stalled
            | Outcome::Cancelled { .. }
            | Outcome::Failed { .. }
            | Outcome::Superseded => "the picture could not be read, for a reason that is not in it",
        };
        if self.catalog.fail_look(look, reason)? {
            tracing::error!(%look, %outcome, "its image could not be looked at");
        }
        Ok(())
    }

    fn behind(&self) -> &Behind {
        &self.behind
    }

    fn tend(&self, yard: &Trainyard) -> Result<(), RecordsError> {
        self.sweep(yard.now())?;
        tending::take_back_held(self, yard);
        tending::retire_gone(self, yard)
    }
}
