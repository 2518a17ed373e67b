//! What the host and the trainers have in common.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trainyard_core::{Class, JobId, Outcome, Subject, Submission};
use trainyard_heygen::Media;
use trainyard_http::secret::Secret;
use trainyard_portrait::{Limits, Order};

use super::catalog::{Catalog, Stored};
use super::config::HeyGenConfig;
use super::work::Check;
use crate::incoming::{self, Inbox};
use crate::keeping::{Behind, Ledger};
use crate::key::kept_key;
use crate::lock::make_private;
use crate::records::RecordsError;

/// Assets, groups and looks, with their files. The catalogue says how far each look is; the yard says only whether
/// somebody works on it.
///
/// | | |
/// |---|---|
/// | `catalog.sqlite` | which assets, groups and looks there are |
/// | `link.key` | what links to pictures are signed with |
/// | `api.key` | what clients show, when nobody has said what |
/// | `incoming/` | files on their way in; cleared at every start |
/// | `assets/` | images, a file `<id>.png` or `<id>.jpg` per asset |
pub(crate) struct Album {
    pub(crate) catalog: Catalog,
    pub(crate) inbox: Inbox,
    pub(crate) check: Arc<Class>,
    pub(crate) limits: Limits,
    pub(crate) order: Order,
    pub(crate) link_key: Secret,
    /// The one that was made, when none is configured.
    pub(crate) made_key: Option<Secret>,
    pub(crate) groups_max: u64,
    pub(crate) looks_max: u64,
    pub(crate) assets_max: u64,
    assets: PathBuf,
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
    pub(crate) fn open(folder: &Path, config: &HeyGenConfig) -> Result<(Self, Option<Secret>), AlbumError> {
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
            check: Check::class(),
            limits: config.photos,
            order: config.order.with_limits(config.photos),
            link_key,
            made_key,
            groups_max: config.groups_max,
            looks_max: config.looks_max,
            assets_max: config.assets_max,
            assets,
            behind: Behind::default(),
        };
        Ok((album, untold))
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
    };
    assets.join(format!("{}.{extension}", stored.id.as_uuid()))
}

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

    fn submission(&self, check: Check, job: JobId) -> Submission {
        check.submission(&self.check, job)
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
}
