//! What the host and the trainers have in common.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use sha2::{Digest, Sha256};
use trainyard_core::{JobId, ModelId, Timestamp};
use trainyard_eliza::{Events, HostError, Ingested, Refused, Runtime, Trajectory};
use trainyard_http::secret::Secret;
use trainyard_process::Processes;
use trainyard_runtime::Trainyard;
use trainyard_trajectories::{Limits, PrivacyFilter, ReadError, Trajectories};

use super::built_in::BuiltIn;
use super::catalog::{Bounds, Catalog, NewTrajectory, NotTaken};
use super::config::{ElizaConfig, Measure};
use super::datasets::Datasets;
use super::ollama::Ollama;
use super::probe::Probes;
use super::runs::Runs;
use super::translate;
use crate::disk::{Disk, NotKept};
use crate::key::kept_key;
use crate::lock::make_private;
use crate::records::RecordsError;

/// Trajectories, datasets, runs and models, with their files.
///
/// | | |
/// |---|---|
/// | `catalog.sqlite` | trajectories, and which datasets there are; what is known of runs and models beside the yard |
/// | `api.token` | what clients show, when the service can be reached by others and nobody has said what |
/// | `datasets/` | a folder per dataset |
/// | `bases/` | language models that were made from scratch |
/// | `salt.key` | what people's names are hidden with |
/// | `logs/` | the end of what each run has said |
/// | `processes/` | what is at work outside of this process |
pub(crate) struct Archive {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) runs: Arc<Runs>,
    pub(crate) events: Events,
    pub(super) datasets: Datasets,
    pub(super) probes: Probes,
    /// What is at work outside of this process; `None` where programs cannot be run.
    pub(crate) processes: Option<Processes>,
    pub(super) runtime: Runtime,
    pub(super) built_in: BuiltIn,
    pub(super) benchmark: Option<Measure>,
    pub(super) base_model: String,
    pub(super) ollama: Ollama,
    /// The one that was made, when one is needed and none is configured.
    pub(crate) made_token: Option<Secret>,
    disk: Disk,
    limits: Limits,
    bounds: Bounds,
    /// Held while trajectories come in, so that what the disk has is not promised twice.
    coming_in: Mutex<()>,
    /// Read by whoever does for a caller what the listener does not wait for.
    pub(super) at_work: RwLock<()>,
}

/// Why the archive cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error(transparent)]
    Catalog(#[from] RecordsError),
    #[error("could not use {}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("could not take in the trajectories of {}", path.display())]
    File { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
}

/// Where the token is that was made here, below the folder of the archive.
pub(crate) const MADE_TOKEN: &str = "api.token";
/// Where it is noted what is at work outside of this process, below the folder of the archive.
const PROCESSES: &str = "processes";

impl Archive {
    /// Opens the catalogue, clears away what a crash has left, and takes in the files that are named, each once. Says
    /// which token was made since one is needed and none is configured, if nobody has been told of it.
    pub(crate) fn open(
        folder: &Path,
        config: &ElizaConfig,
        memory_mib: u64,
        needs_token: bool,
        disk: Disk,
        at: Timestamp,
    ) -> Result<(Self, Option<Secret>), ArchiveError> {
        let failed = |path: PathBuf| move |source| ArchiveError::Folder { path, source };
        make_private(folder).map_err(failed(folder.to_owned()))?;
        let catalog = Arc::new(Catalog::open(&folder.join("catalog.sqlite"))?);
        let salt = folder.join("salt.key");
        let salt = kept_key(&salt).map_err(failed(salt))?;
        let filter = filter(&salt, config);
        let (root, max) = (folder.join("datasets"), config.datasets_max);
        let datasets = Datasets::open(root, Arc::clone(&catalog), disk.clone(), max, filter)?;
        let events = Events::new();
        let logs = folder.join("logs");
        let runs = Runs::open(Arc::clone(&catalog), events.clone(), logs.clone()).map_err(failed(logs))?;
        let processes = folder.join(PROCESSES);
        let processes = unless_unsupported((config.open_processes)(&processes)).map_err(failed(processes))?;
        let mut presences = config.presences();
        presences.retain(|backend, _| processes.is_some() || !config.commands.contains_key(backend));
        let (mut made_token, mut untold) = (None, None);
        if needs_token {
            let path = folder.join(MADE_TOKEN);
            if !path.exists() {
                // Whoever knew the last one is told of the next one.
                catalog.tell_token(false)?;
            }
            let token = kept_key(&path).map_err(failed(path))?;
            untold = (!catalog.is_token_told()?).then(|| token.clone());
            made_token = Some(token);
        }
        let archive = Self {
            catalog,
            runs: Arc::new(runs),
            events,
            datasets,
            probes: Probes::open(presences),
            processes,
            runtime: config.runtime,
            built_in: BuiltIn::of(config, folder, memory_mib),
            benchmark: config.benchmark.clone(),
            base_model: config.base_model.clone(),
            ollama: Ollama::new(),
            made_token,
            disk,
            limits: config.limits,
            bounds: config.bounds,
            coming_in: Mutex::default(),
            at_work: RwLock::default(),
        };
        for path in &config.files {
            let failed = |source| ArchiveError::File { path: path.clone(), source };
            archive.import(path, at).map_err(failed)?;
        }
        Ok((archive, untold))
    }

    /// Takes in what was sent: an object, an array of such, or JSON lines. All of it, or nothing.
    pub(super) fn ingest(&self, json: &[u8], at: Timestamp) -> Result<Ingested, Refused> {
        let new = translate::read_all(json, self.limits, at).map_err(unread)?;
        let _one_at_a_time = self.coming_in.lock();
        self.has_room_for(&new)?;
        Ok(self.catalog.take_in(&new, self.bounds)?)
    }

    /// One trajectory, with everything in it.
    pub(super) fn trajectory(&self, id: &str) -> Result<Option<Trajectory>, HostError> {
        let Some((row, document)) = self.catalog.trajectory(id).map_err(HostError::new)? else {
            return Ok(None);
        };
        let trajectory = translate::from_document(&document).map_err(HostError::new)?;
        Ok(Some(translate::shown(row, &trajectory)))
    }

    /// Forgets what belongs to jobs and models that the yard has forgotten, and looks again at what there is.
    pub(super) fn tend(&self, yard: &Trainyard) -> Result<(), RecordsError> {
        self.probes.refresh(&|| yard.stopped().is_none());
        // Listed before the yard is looked at: a job that comes meanwhile is not among them.
        let (runs, noted) = (self.runs.noted()?, self.catalog.noted_models()?);
        let (jobs, models): (BTreeSet<JobId>, BTreeSet<ModelId>) = yard.read(|yard| {
            let models = || yard.registries().flat_map(|registry| yard.models(registry));
            let jobs = yard.jobs().map(|job| job.id).chain(models().map(|model| model.job));
            (jobs.collect(), models().map(|model| model.id).collect())
        });
        self.runs.forget(&(&runs - &jobs))?;
        self.catalog.forget_models(&(&noted - &models))
    }

    /// Waits a while until what was begun for callers has ended, once the yard has stopped: programs that measure are
    /// killed then. An import that Ollama takes its time for is left behind, and can be asked for again.
    pub(crate) fn rest(&self) {
        if self.at_work.try_write_for(REST).is_none() {
            tracing::warn!("a dataset, an import or a benchmark is cut off");
        }
    }

    fn has_room_for(&self, new: &[NewTrajectory]) -> Result<(), NotKept> {
        let bytes = new.iter().map(|new| new.document.len() as u64).fold(0, u64::saturating_add);
        self.disk.has(bytes.saturating_mul(2)) // for the log of the catalogue, too
    }

    /// Takes in a file of trajectories, unless it was taken in before. What is wrong in it is told, and then nothing of
    /// it is there but what came before that, or before a crash; it begins anew then, and what is there stays.
    fn import(&self, path: &Path, at: Timestamp) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let digest = digest(path)?;
        if self.catalog.is_imported(&digest)? {
            return Ok(());
        }
        let mut read = Trajectories::new(BufReader::new(File::open(path)?), self.limits);
        let mut taken = 0;
        loop {
            let some =
                read.by_ref().take(AT_A_TIME).map(|read| read.map(|read| translate::taken_in(&read, at)));
            let some: Vec<NewTrajectory> = some.collect::<Result<_, _>>()?;
            taken += some.len();
            self.has_room_for(&some).map_err(|error| match error {
                NotKept::Full => "the disk is full".into(),
                NotKept::Failed(error) => error,
            })?;
            let is_last = some.len() < AT_A_TIME;
            if is_last {
                self.catalog.take_in_last(&some, self.bounds, &digest, at)?;
                tracing::info!(file = %path.display(), taken, "trajectories were taken in");
                return Ok(());
            }
            self.catalog.take_in(&some, self.bounds)?;
        }
    }
}

/// Takes out what is private, and what must never be written, whatever it looks like: our own token, and the values of
/// environment variables whose names look secret.
fn filter(salt: &Secret, config: &ElizaConfig) -> PrivacyFilter {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
    let filter = PrivacyFilter::new(salt.expose()).with_secrets_of(variables);
    config.settings.token().map(Secret::expose).into_iter().fold(filter, PrivacyFilter::with_secret)
}

/// Where programs could not be found again after a restart none are run, and all else is served.
fn unless_unsupported(opened: io::Result<Processes>) -> io::Result<Option<Processes>> {
    match opened {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            tracing::warn!(%error, "no agent is trained by a program here");
            Ok(None)
        }
        opened => opened.map(Some),
    }
}

fn unread(error: ReadError) -> Refused {
    if let ReadError::Refused(refusal) = &error {
        return Refused::Unfit(refusal.to_string());
    }
    HostError::new(error).into()
}

/// How long a service that ends waits for what was begun for callers.
const REST: Duration = Duration::from_secs(5);
/// So many trajectories of a file are in memory at once.
const AT_A_TIME: usize = 64;

/// The SHA-256 of a file, in hexadecimal digits.
fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => digest.update(&buffer[..count]),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

impl From<NotTaken> for Refused {
    fn from(error: NotTaken) -> Self {
        match error {
            NotTaken::TooMany { max } => Self::TooMany { what: "trajectories", max },
            NotTaken::TooLong => Self::Full,
            NotTaken::Failed(error) => NotKept::from(error).into(),
        }
    }
}
